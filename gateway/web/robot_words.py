"""The words of the page of robots and notices, in Chinese and English; the rest is in `console_words`."""
# A row of the table is one line, however long.
# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Mapping

ROBOT_WORDS: Mapping[str, tuple[str, str]] = {
    "nav.robots": ("提醒", "Notices"),
    "robots.title": ("提醒与机器人", "Notices and robots"),
    "robots.hint": ("需要有人处理的事由机器人告知：期限、风险、群诉、接收方和邮箱故障。消息中没有姓名、电话、房号和投诉内容。",
                    "Robots tell people what needs them: terms, risks, groups, endpoints and mailboxes that fail. No name, phone, unit or text stands in a message."),
    "robots.none": ("设置中没有机器人。在 jiesu.toml 写 [[robot]]（docs/robots.md）。", "The settings name no robot. Write [[robot]] into jiesu.toml (docs/robots.md)."),
    "robots.kind.wecom": ("企业微信群机器人", "WeCom group robot"),
    "robots.kind.dingtalk": ("钉钉机器人", "DingTalk robot"),
    "robots.kind.feishu": ("飞书机器人", "Feishu robot"),
    "robots.kind.email": ("电子邮件", "e-mail"),
    "robots.kind.webhook": ("程序（webhook）", "a program (webhook)"),
    "robots.state.well": ("正常", "works"),
    "robots.state.new": ("还没发过", "nothing sent yet"),
    "robots.state.failing": ("发不出", "cannot tell"),
    "robots.off": ("设置有误，已停用；改后请重启", "Off: its settings will not do; mend them and start again"),
    "robots.tells": ("告知", "Tells"),
    "robots.everything": ("全部提醒", "all notices"),
    "robots.only": ("限于", "Only"),
    "robots.limit": ("频率", "Rate"),
    "robots.per_minute": ("每分钟最多 {n} 条，多的合并", "{n} messages a minute at most; more are put together"),
    "robots.quiet": ("安静时段 {hours}，只发紧急的", "quiet hours {hours}: only what is urgent"),
    "robots.last_told": ("上次发出", "Last told"),
    "robots.last_told_n": ("{at}，含 {n} 条提醒", "{at}, {n} notices"),
    "robots.last_told_test": ("{at}，测试", "{at}, a test"),
    "robots.last_error": ("最近错误", "Last error"),
    "robots.waiting": ("等待", "waiting"),
    "robots.parked": ("搁置", "parked"),
    "robots.test": ("发一条测试", "Send a test"),
    "robots.tested": ("{name}：测试已发出，请到群里或邮箱中查看。", "{name}: the test was sent; look into the group or mailbox."),
    "robots.test_failed": ("{name}：没有发出。{why}", "{name}: it was not sent. {why}"),
    "robots.newest": ("最近的提醒", "Newest notices"),
    "robots.newest_none": ("还没有提醒。", "No notices yet."),
    "robots.when": ("时间", "When"),
    "robots.kind": ("种类", "Kind"),
    "robots.what": ("内容", "What"),
    "robots.who": ("由谁告知", "Told by"),
    "robots.told_at": ("{robot}，{at}", "{robot}, {at}"),
    "robots.not_yet": ("{robot}，等待发出", "{robot}, waiting"),
    "warning.robots": ("机器人 {names} 发不出提醒。", "Robots cannot tell people: {names}."),
}  # fmt: skip
