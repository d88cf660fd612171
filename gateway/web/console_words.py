"""Every word that the console says, in Chinese and English, in one literal table."""

# A row of the table is one line, however long.
# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from gateway.web.answer_words import ANSWER_WORDS
from gateway.web.call_words import CALL_WORDS
from gateway.web.handoff_words import HANDOFF_WORDS
from gateway.web.learning_words import LEARNING_WORDS
from gateway.web.mailbox_words import MAILBOX_WORDS
from gateway.web.robot_words import ROBOT_WORDS
from gateway.web.talk_words import TALK_WORDS
from gateway.web.unread_words import UNREAD_WORDS

Language = Literal["zh", "en"]

WORDS: Mapping[str, tuple[str, str]] = {
    # ---- Frame
    "brand": ("接诉", "jiesu"),
    "console": ("接诉控制台", "jiesu console"),
    "skip_to_main": ("跳到正文", "Skip to the content"),
    "navigation": ("主导航", "Main navigation"),
    "nav.queue": ("待审", "Review"),
    "nav.models": ("模型", "Models"),
    "nav.examples": ("样本", "Examples"),
    "sign_out": ("退出", "Sign out"),
    "other_language": ("English", "中文"),
    "role.agent": ("客服专员", "agent"),
    "role.lead": ("领导小组", "lead"),
    "role.operator": ("管理员", "operator"),
    "back": ("返回", "Back"),
    "close": ("关闭", "Close"),
    "none": ("无", "none"),
    # ---- Sign-in
    "sign_in": ("登录", "Sign in"),
    "name": ("姓名", "Name"),
    "password": ("口令", "Password"),
    "password_again": ("再输一次", "Once more"),
    "sign_in.wrong": ("姓名或口令不对。", "Wrong name or password."),
    "sign_in.lost": ("忘记口令或还没有账号：请管理员运行 jiesu people invite 或 add。",
                     "Forgotten, or no account yet: ask your operator for jiesu people invite or add."),
    "invitation.title": ("设置口令", "Set a password"),
    "invitation.hello": ("您好，{name}。请设置登录口令，之后用它登录控制台。", "Hello {name}. Set the password that you will sign in with."),
    "invitation.rules": ("至少 10 个字符，汉字、字母、数字、符号和空格都可以；不要用自己的名字、连续数字或反复的字符。几个不相干的词连起来最好记也最难猜。",
                         "10 characters or more of any kind, spaces too; not your name, digits in a row or the same characters again and again. "
                         "A few words that have nothing to do with one another are easy to keep and hard to guess."),
    "invitation.differ": ("两次输入的口令不一样。", "The two are not the same."),
    "invitation.set": ("设置并登录", "Set and sign in"),
    "invitation.gone": ("这个链接已经用过、已过期或不完整。请管理员运行 jiesu people invite 重新发一个。",
                        "This link was used, has run out, or is incomplete. Ask your operator for another: jiesu people invite."),
    # ---- What went wrong
    "wrong.title": ("没有办成", "That did not work"),
    "wrong.not_found": ("没有这一页，或没有这样编号的投诉。", "There is no such page, or no complaint of this number."),
    "wrong.forbidden": ("您的角色是“{role}”，这一页需要“{needed}”。如有需要，请管理员用 jiesu people role 调整。",
                        "Your role is {role}; this needs {needed}. Your operator can change that with jiesu people role."),
    "wrong.csrf": ("页面已过期，请返回刷新后再试。什么都没有改动。", "This page is out of date; go back, reload and try again. Nothing was changed."),
    "wrong.form": ("表单无法读取。", "The form cannot be read."),
    "wrong.fault": ("系统内部出错，已记入日志。请稍后再试。", "Something of ours failed and was logged. Try again later."),
    "wrong.class": ("请选择一个类别。", "Choose a class."),
    "wrong.seen": ("{by} 刚刚把这件投诉判为“{klass}”。请再看一眼；若仍不同意，请再判定一次。",
                   "{by} has just decided that this is: {klass}. Look again; if you still disagree, decide once more."),
    "wrong.offline": ("没有连上服务器，这一步没有保存，请重试。", "The server cannot be reached; this was not saved, try again."),
    # ---- The queue
    "queue.title": ("待审队列", "Review queue"),
    "queue.waiting": ("件待审", "waiting"),
    "queue.empty": ("没有待审的投诉。", "Nothing waits for review."),
    "queue.empty_more": ("新的投诉到来、且需要人工判定时会出现在这里。", "Complaints that need a person will appear here."),
    "queue.nothing_found": ("没有符合条件的投诉。", "No complaint matches."),
    "queue.clear": ("清除条件", "Clear filters"),
    "queue.more": ("后面的投诉", "Further complaints"),
    "queue.first": ("回到最前", "Back to the first"),
    "queue.to_list": ("返回列表", "Back to the list"),
    "queue.bounded": ("搜索与风险筛选只看{what} {count} 件。", "Search and risk look at {what} {count} only."),
    "queue.bounded.waiting": ("队列最前", "the first"),
    "queue.bounded.all": ("最近", "the newest"),
    "filter.title": ("筛选与搜索", "Filter and search"),
    "filter.search": ("搜索内容、姓名、电话、楼盘或编号", "Search text, name, phone, estate or number"),
    "filter.channel": ("渠道", "Channel"),
    "filter.class": ("类别", "Class"),
    "filter.risk": ("风险", "Risk"),
    "filter.show": ("范围", "Show"),
    "filter.any_channel": ("全部渠道", "all channels"),
    "filter.any_class": ("全部类别", "all classes"),
    "filter.any_risk": ("不限风险", "any risk"),
    "filter.waiting": ("只看待审", "waiting only"),
    "filter.everything": ("全部投诉", "all complaints"),
    "filter.go": ("筛选", "Filter"),
    "row.no_name": ("未留姓名", "no name"),
    "row.nothing": ("（没有可读的内容）", "(nothing readable)"),
    "row.decided": ("不待审", "not waiting"),
    "item.text": ("投诉内容", "What was said"),
    "item.candidates": ("模型的看法", "What the model thinks"),
    "item.legend": ("标出的词", "Marked words"),
    "item.for": ("支持“{klass}”", "for: {klass}"),
    "item.against": ("反对“{klass}”", "against: {klass}"),
    "item.weight": ("{term}：{weight}", "{term}: {weight}"),
    "item.later": ("分类之后新增", "Said after it was sorted"),
    "item.extracted": ("顾客与房屋", "Customer and home"),
    "item.missing": ("未提供", "missing"),
    "item.history": ("经过", "So far"),
    "item.decide": ("判定类别", "Decide the class"),
    "item.note": ("备注", "Note"),
    "item.note_hint": ("为什么这样判（可不填）", "why (may stay empty)"),
    "item.skip": ("跳过", "Skip"),
    "item.undo": ("撤销 {number}", "Undo {number}"),
    "item.whole": ("完整经过", "The whole story"),
    "item.shortcut": ("快捷键", "Keys"),
    "item.unsorted": ("还在分类，请稍候。", "Still being sorted; wait a moment."),
    "decided.told": ("{number} 已判为“{klass}”，转{department}。", "{number}: {klass}, to {department}."),
    "decided.undone": ("已撤销 {number} 的判定，恢复为“{klass}”。", "{number} taken back to: {klass}."),
    "decided.all_done": ("这一批处理完了。", "This batch is done."),
    "keys.title": ("键盘快捷键", "Keys"),
    "keys.decide": ("判定为产品质量、服务态度、合同问题、价格问题、其他", "decide: product quality, service attitude, contract, price, other"),
    "keys.undo": ("撤销上一个判定", "take the last decision back"),
    "keys.skip": ("跳过，看下一件", "skip to the next"),
    "keys.note": ("写备注", "write a note"),
    "keys.move": ("下一件、上一件", "next, previous"),
    "keys.open": ("打开完整经过", "open the whole story"),
    "keys.search": ("搜索", "search"),
    "keys.help": ("显示或关闭本表", "show or close this list"),
    # ---- Classes, channels, risks, priorities, fields
    "class.product_quality": ("产品质量", "product quality"),
    "class.service_attitude": ("服务态度", "service attitude"),
    "class.contract": ("合同问题", "contract"),
    "class.price": ("价格问题", "price"),
    "class.other": ("其他", "other"),
    "tag.product_quality": ("质量", "quality"),
    "tag.service_attitude": ("服务", "service"),
    "tag.contract": ("合同", "contract"),
    "tag.price": ("价格", "price"),
    "tag.other": ("其他", "other"),
    "channel.email": ("邮件", "mail"),
    "channel.chat": ("对话", "chat"),
    "channel.phone": ("电话", "phone"),
    "channel.*": ("全部", "all"),
    "risk.safety": ("人身安全", "safety"),
    "risk.legal": ("法律纠纷", "legal"),
    "risk.reputation": ("声誉", "reputation"),
    "risk.churn": ("退房流失", "churn"),
    "priority.normal": ("普通", "normal"),
    "priority.high": ("优先", "high"),
    "priority.urgent": ("紧急", "urgent"),
    "field.name": ("姓名", "name"),
    "field.contact": ("联系方式", "contact"),
    "sender.from": ("发件人", "From"),
    "sender.unknown": ("未写明", "not said"),
    "sender.another": ("另一发件人（不是最初来信的地址，不会收到给顾客的答复）", "another sender: not who began it, and not sent what the customer is told"),
    "sender.brand": ("品牌", "brand"),
    "sender.check": ("发件域核对", "Sender's domain"),
    "sender.no_dns": ("没有 DNS，未核对", "not checked: there is no DNS"),
    "sender.by": ("由 {by} 核对", "checked by {by}"),
    "sender.forged": ("发件人可能是冒用的", "the sender may be forged"),
    "sender.result.pass": ("通过", "pass"),
    "sender.result.fail": ("未通过", "fail"),
    "sender.result.softfail": ("可疑", "softfail"),
    "sender.result.neutral": ("未表态", "neutral"),
    "sender.result.none": ("无记录", "none"),
    "sender.result.temperror": ("暂时查不到", "could not be asked"),
    "sender.result.permerror": ("记录有误", "malformed"),
    "field.estate": ("楼盘", "estate"),
    "field.unit": ("房号", "unit"),
    # ---- Times
    "ago.now": ("刚刚", "just now"),
    "ago.minutes": ("{n} 分钟前", "{n} min ago"),
    "ago.hours": ("{n} 小时前", "{n} h ago"),
    "ago.days": ("{n} 天前", "{n} d ago"),
    "due.left": ("还剩 {time}", "{time} left"),
    "due.over": ("已超 {time}", "{time} overdue"),
    "span.minutes": ("{n} 分钟", "{n} min"),
    "span.hours": ("{n} 小时", "{n} h"),
    "span.days": ("{n} 天", "{n} d"),
    # ---- One complaint
    "story.class": ("类别", "Class"),
    "story.department": ("部门", "Department"),
    "story.priority": ("优先级", "Priority"),
    "story.due": ("应答复", "Reply due"),
    "story.round": ("第几轮", "Round"),
    "story.state": ("状态", "State"),
    "story.waits": ("待审", "waits for review"),
    "story.decided": ("已由人工判定", "decided by a person"),
    "story.alone": ("自动分派", "routed alone"),
    "story.unsorted": ("分类中", "being sorted"),
    "story.timeline": ("从第一句话到现在", "From the first word to now"),
    "story.correct": ("更正类别", "Correct the class"),
    "story.correct_hint": ("更正会立即改派，并通知跟踪系统。", "A correction reassigns at once and tells the tracker."),
    "story.disagree": ("几个人的判定不一致", "People disagree"),
    "story.disagree_hint": ("最近一次判定生效。请确认哪个对，再判定一次。", "The last one holds. Find out who is right, and decide once more."),
    "story.original": ("原件", "original"),
    "story.bytes": ("{n} 字节", "{n} bytes"),
    "story.full_text": ("全文（含引用、签名）", "The whole text, quotes and signature included"),
    "story.turns": ("逐句", "Turn by turn"),
    "story.attachments": ("附件", "Attachments"),
    "file.too_large": ("超过大小上限，只在原件里。", "Beyond the limit of size: only in the original."),
    "file.too_many": ("超过个数上限，只在原件里。", "Beyond the limit of number: only in the original."),
    "file.kind.pdf": ("PDF", "PDF"),
    "file.kind.word": ("文档", "document"),
    "file.kind.sheet": ("表格", "table"),
    "file.kind.slides": ("幻灯片", "slides"),
    "file.kind.office": ("Office 文件", "Office file"),
    "file.kind.archive": ("压缩包", "archive"),
    "file.kind.mail": ("邮件", "mail"),
    "file.kind.calendar": ("日历", "calendar"),
    "file.kind.image": ("图片", "picture"),
    "file.kind.audio": ("录音", "sound"),
    "file.kind.video": ("视频", "film"),
    "file.kind.program": ("程序", "program"),
    "file.kind.page": ("网页", "web page"),
    "file.kind.text": ("文本", "text"),
    "file.kind.other": ("文件", "file"),
    "file.beware.program": ("这是程序或脚本，不要打开。", "A program or script: do not open it."),
    "file.beware.page": ("网页类文件，可能含有脚本，不要用浏览器打开。", "A page that may hold scripts: do not open it in a browser."),
    "file.beware.archive": ("压缩包，里面的内容没有检查过。", "An archive; nobody has looked into it."),
    "file.beware.other": ("内容与发件人声称的类型不符。", "It is not what its sender says it is."),
    "story.why": ("为什么", "Why"),
    "story.nothing": ("（没有可读的内容）", "(nothing readable)"),
    "story.nothing_new": ("（没有新写的话）", "(no new words)"),
    "story.parked": ("已搁置，等人处理：{reason}（{command}）", "put aside until somebody looks: {reason} ({command})"),
    "kind.message": ("收到", "message"),
    "kind.verdict": ("分类", "verdict"),
    "kind.assignment": ("指派", "assignment"),
    "kind.event": ("通知", "event"),
    "kind.correction": ("判定", "decision"),
    "kind.undo": ("撤销", "undo"),
    "kind.parked": ("搁置", "parked"),
    "verdict.alone": ("把握足够，直接分派", "sure enough to be routed alone"),
    "verdict.sampled": ("把握足够，已直接分派；抽查", "routed alone; picked at random for a check"),
    "verdict.unsure": ("把握不足，请人判定", "not sure; a person decides"),
    "verdict.nothing_to_go_by": ("没有可依据的内容，请人判定", "nothing to go by; a person decides"),
    "verdict.decided_by_person": ("人工已判定，保持不变", "a person has decided; that stays"),
    "verdict.model": ("模型版本 {version}", "trained model {version}"),
    "verdict.secondary": ("另涉及：{classes}", "also: {classes}"),
    "assignment.told": ("{department}，{priority}", "{department}, {priority}"),
    "assignment.rule": ("规则 {rule}：{why}", "rule {rule}: {why}"),
    "assignment.plan": ("预案 {version}", "plan {version}"),
    "assignment.due": ("{reply} 前答复，{resolve} 前办结", "reply by {reply}, settle by {resolve}"),
    "event.delivered": ("已送达 {endpoint}", "delivered to {endpoint}"),
    "event.undelivered": ("尚未送达 {endpoint}", "not yet delivered to {endpoint}"),
    "event.nobody": ("没有接收方", "nobody to tell"),
    "event.attempts": ("尝试", "tries"),
    "correction.told": ("{by} 判为“{should_be}”（模型：{was}）", "{by} decided: {should_be} (the model: {was})"),
    "correction.confirmed": ("{by} 确认“{should_be}”", "{by} confirmed: {should_be}"),
    "correction.undone": ("{by} 撤销，恢复为“{should_be}”", "{by} took it back to: {should_be}"),
    "correction.source.api": ("经接口", "by API"),
    "correction.source.console": ("经控制台", "in the console"),
    "correction.source.command_line": ("经命令行", "on the command line"),
    "history.received": ("{channel}收到", "received by {channel}"),
    "history.messages": ("共 {n} 条", "{n} messages"),
    "history.verdict": ("判为{klass} {sure}", "sorted as {klass} {sure}"),
    "history.department": ("现在{department}", "now with {department}"),
    "history.decided": ("已有 {n} 次人工判定", "decided {n} times"),
    "history.told": ("已通知 {n} 次", "told {n} times"),
    "history.another": ("有另一发件人来信", "another sender wrote, too"),
    "history.mailing_list": ("经邮件列表发来", "through a mailing list"),
    "history.machine": ("自动发出的邮件", "written by a machine"),
}  # fmt: skip

# What the closed lists of other rooms say here: event types, routing rules, outcomes of a try.
CODES: Mapping[str, tuple[str, str]] = {
    "step.intake": ("读取", "reading"),
    "step.triage": ("分类", "sorting"),
    "step.deliver": ("投递", "delivery"),
    "step.answer": ("回复", "answer"),
    "step.check_sender": ("核对发件人", "checking the sender"),
    "step.notice": ("提醒", "notice"),
    "event.complaint.routed": ("首次派单", "routed"),
    "event.complaint.rerouted": ("改派", "rerouted"),
    "event.complaint.updated": ("有新内容", "updated"),
    "event.complaint.received": ("已受理", "received"),
    "event.complaint.classified": ("已分类", "classified"),
    "event.complaint.reopened": ("重新处理", "reopened"),
    "event.complaint.customer_rated": ("顾客评价", "rated by the customer"),
    "event.complaint.closed": ("已办结", "closed"),
    "event.complaint.erased": ("已删除顾客信息", "erased"),
    "rule.by_person": ("客服已判定类别，转责任部门", "a person has decided the class; to the department in charge"),
    "rule.nothing_said": ("没有可读的内容，请客服回电或回信询问", "nothing readable; customer service is to ask"),
    "rule.mailing_list": ("经邮件列表发来，由客服确认是否投诉", "through a mailing list; customer service looks whether it is a complaint"),
    "rule.machine_mail": ("自动发出的邮件，由客服确认是否投诉", "written by a machine; customer service looks whether it is a complaint"),
    "rule.danger_first": (
        "涉及人身安全，先由工程部门到场，类别待客服确认",
        "danger to life: engineers go first, the class is confirmed later",
    ),
    "rule.unsure": ("分类把握不足，由客服在两个可能的类别中判定", "not sure; customer service chooses between the two likeliest"),
    "rule.by_class": ("按类别转责任部门", "by class to the department in charge"),
    "outcome.accepted": ("已接收", "accepted"),
    "outcome.redirected": ("被要求转到别处", "redirected"),
    "outcome.client_error": ("被拒绝", "refused"),
    "outcome.gone": ("接收方已停用", "gone"),
    "outcome.throttled": ("接收方要求稍后", "asked to wait"),
    "outcome.server_error": ("接收方出错", "server error"),
    "outcome.timeout": ("超时", "timed out"),
    "outcome.away": ("接收方不在线", "nobody listens"),
    "outcome.unreachable": ("连接中断", "connection broke"),
    "mail.accepted": ("已接受", "accepted"),
    "mail.refused": ("收件方拒收", "refused"),
    "mail.deferred": ("对方要求稍后再发", "put off"),
    "mail.not_let_in": ("发信服务器拒绝我方", "we are not let in"),
    "mail.away": ("发信服务器不在线", "nobody listens"),
    "mail.lost": ("连接中断", "connection broke"),
    "mail.timeout": ("超时", "timed out"),
    "mail.not_secure": ("加密不可靠", "not secure"),
    "mail.address": ("地址含发信服务器不支持的字符", "its letters are not taken"),
    "outcome.forbidden_address": ("地址不允许", "address not allowed"),
}


class Say:
    """Says words in one language: `say("queue.more")`; unknown words are a bug and raise `KeyError`."""

    def __init__(self, language: Language) -> None:
        self.language: Language = language
        self._place = 0 if language == "zh" else 1

    def __call__(self, key: str, **fill: object) -> str:
        """The words of this key, with {…} filled in."""
        pair = (
            WORDS.get(key)
            or ANSWER_WORDS.get(key)
            or CALL_WORDS.get(key)
            or MAILBOX_WORDS.get(key)
            or TALK_WORDS.get(key)
            or UNREAD_WORDS.get(key)
            or HANDOFF_WORDS.get(key)
            or ROBOT_WORDS.get(key)
            or LEARNING_WORDS[key]
        )
        words = pair[self._place]
        return words.format(**fill) if fill else words

    def code(self, kind: str, value: str) -> str:
        """The words for a value of a closed list; the value itself where a newer one is not known yet."""
        name = f"{kind}.{value}"
        pair = CODES.get(name) or WORDS.get(name) or ANSWER_WORDS.get(name) or HANDOFF_WORDS.get(name)
        return pair[self._place] if pair else value

    def half(self, reason: str) -> str:
        """Of `code: Chinese / English` the sentence of this language."""
        _, _, said = reason.partition(": ")
        zh, parted, en = said.partition(" / ")
        return self.either(zh, en) if parted else reason

    def either(self, zh: str, en: str) -> str:
        """One of two sentences that somebody else wrote."""
        return zh if self._place == 0 else en
