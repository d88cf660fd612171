"""What a customer wrote this time: the forms of the mailers common in China, each a literal text and the part that is his."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.replies import read_subject, reply_text, said_now

OWN = "阳台还在漏水，请尽快安排维修。"

# A mailer's form: name, then what follows the customer's own line. Nothing of it is the customer's.
BELOW = {
    "qq": (
        '------------------ 原始邮件 ------------------\n发件人: "客服中心" <kf@example.com>;\n'
        '发送时间: 2024年5月1日(星期三) 中午12:00\n收件人: "张三"<zhang@example.com>;\n主题: 回复：阳台漏水\n\n'
        "您好，已收到您的反馈。"
    ),
    "qq nbsp": '------------------\xa0原始邮件\xa0------------------\n发件人: "客服" <kf@example.com>;\n您好',
    "qq short": (
        '---原始邮件---\n发件人:"客服中心"<kf@example.com>\n发送时间:2024年5月1日(周三) 中午12:00\n收件人:"张三";\n主题:回复\n\n您好'
    ),
    "qq english": (
        '------------------ Original ------------------\nFrom:  "客服"<kf@example.com>;\n'
        'Date:  Wed, May 1, 2024 12:00 PM\nTo:  "张三";\nSubject:  Re: 漏水\n\n您好'
    ),
    "qq original message": "------------------ Original Message ------------------\nFrom: kf\n\n您好",
    "qq traditional": '------------------ 原始郵件 ------------------\n寄件者: "客服" <kf@example.com>;\n您好',
    "163 english": 'At 2024-05-01 12:00:00, "客服中心" <kf@example.com> wrote:\n>您好，\n>已收到您的反馈。',
    "163 chinese": '在 2024-05-01 12:00:00，"客服中心" <kf@example.com> 写道：\n>您好，\n>已收到。',
    "163 old": "在2024-05-01 12:00:00，客服中心 <kf@example.com> 写道：\n\n您好，已收到。",
    "126 unmarked": 'At 2024-05-01 12:00:00, "客服中心" <kf@example.com> wrote:\n\n您好，已收到您的反馈。',
    "netease master": ("---- 回复的原邮件 ----\n| 发件人 | 客服<kf@example.com> |\n| 日期 | 2024年05月01日 12:00 |\n| 主题 | 回复 |\n您好"),
    "netease master english": "---- Replied Message ----\n| From | kf<kf@example.com> |\n| Date | 05/01/2024 12:00 |\n您好",
    "foxmail": "发件人： 客服中心\n发送时间： 2024-05-01 12:00\n收件人： 张三\n主题： 回复: 阳台漏水\n\n您好，已收到。",
    "foxmail half width": "发件人: kf@example.com\n发送时间: 2024-05-01 12:00\n收件人: zhang\n主题: 回复\n您好",
    "foxmail with rule": "------------------------------\n\n发件人： 客服中心\n发送时间： 2024-05-01 12:00\n收件人： 张三\n\n您好",
    "outlook english": (
        "________________________________\nFrom: 客服 <kf@example.com>\nSent: Wednesday, May 1, 2024 12:00 PM\n"
        "To: 张三\nSubject: Re\n\n您好"
    ),
    "outlook no rule": "From: kf@example.com\nSent: Wednesday, May 1, 2024 12:00 PM\nTo: Zhang San\nSubject: RE: leak\n\nDear Sir,",
    "outlook chinese": (
        "________________________________\n发件人: 客服 <kf@example.com>\n发送时间: 2024年5月1日 12:00\n"
        "收件人: 张三 <z@example.com>\n主题: Re\n\n您好"
    ),
    "outlook original message": "-----Original Message-----\nFrom: kf [mailto:kf@example.com]\nSent: Wednesday\n\n您好",
    "outlook chinese original": "-----邮件原件-----\n发件人: kf [mailto:kf@example.com]\n发送时间: 2024年5月1日\n收件人: 张三\n\n您好",
    "outlook traditional": (
        "________________________________\n寄件者: 客服 <kf@example.com>\n寄件日期: 2024年5月1日 下午 12:00\n"
        "收件者: 張三\n主旨: 回覆\n\n您好"
    ),
    "outlook bold": "*发件人:* 客服 <kf@example.com>\n*发送时间:* 2024年5月1日\n*收件人:* 张三\n*主题:* 回复\n\n您好",
    "apple chinese": "> 在 2024年5月1日，12:00，客服 <kf@example.com> 写道：\n> \n> 您好",
    "apple chinese unmarked": "在 2024年5月1日，12:00，客服 <kf@example.com> 写道：\n\n您好，已收到。",
    "apple traditional": "客服 <kf@example.com> 於 2024年5月1日 中午12:00 寫道：\n\n> 您好",
    "apple traditional front": "於 2024年5月1日，12:00，客服 <kf@example.com> 寫道：\n> 您好",
    "apple english": "On May 1, 2024, at 12:00, Customer Care <kf@example.com> wrote:\n\n> Hello",
    "apple without address": "在 2024年5月1日，12:00，客服中心 写道：\n\n您好，已收到。",
    "gmail english": "On Wed, May 1, 2024 at 12:00 PM 客服 <kf@example.com> wrote:\n\n> 您好\n",
    "gmail folded": "On Wed, May 1, 2024 at 12:00 PM Customer Care Center of the Estate\n<kf@example.com> wrote:\n\n> 您好",
    "gmail folded twice": "On Wed, May 1, 2024 at 12:00 PM\nCustomer Care Center of the Estate\n<kf@example.com> wrote:\n\n> 您好",
    "gmail chinese": "客服中心 <kf@example.com> 于2024年5月1日周三 12:00写道：\n\n> 您好\n> 已收到",
    "gmail chinese folded": "客服中心 <kf@example.com> 于2024年5月1日周三\n12:00写道：\n\n> 您好",
    "gmail traditional": "客服 <kf@example.com> 於 2024年5月1日 週三 下午12:00寫道：\n\n> 您好",
    "sina": ("----- 原始邮件 -----\n发件人：客服 <kf@example.com>\n收件人：张三\n主题：回复\n日期：2024年05月01日 12点00分\n\n您好"),
    "wecom": ("发件人：客服中心 <kf@example.com>\n发件时间：2024年5月1日 (周三) 12:00\n收件人：张三<z@example.com>\n主题：Re:漏水\n\n您好"),
    "wecom original": "------------------ Original ------------------\nFrom: 客服<kf@example.com>\nDate: 2024-05-01\n\n您好",
    "aliyun": (
        "------------------------------------------------------------------\n发件人：客服 <kf@example.com>\n"
        "发送时间：2024年5月1日(星期三) 12:00\n收件人：张三 <z@example.com>\n主　题：Re: 漏水\n\n您好"
    ),
    "139": (
        '----邮件原文----\n发件人："客服" <kf@example.com>\n收 件 人：张三 <z@example.com>\n抄 送： (无)\n'
        "发送时间：2024-05-01 12:00:00\n主题：漏水\n\n您好"
    ),
    "coremail": (
        "-----原始邮件-----\n发件人:客服 <kf@example.com>\n发送时间:2024-05-01 12:00:00 (星期三)\n收件人: 张三\n主题: 漏水\n\n您好"
    ),
    "feishu": ('发件人： "客服"<kf@example.com>\n日期：  2024年5月1日 (周三) 12:00\n主题：  回复\n收件人：  "张三"<z@example.com>\n\n您好'),
    "thunderbird chinese": "在 2024/5/1 12:00, 客服 写道:\n> 您好\n> 已收到",
    "thunderbird older": "于 2024/5/1 12:00, 客服 <kf@example.com> 写道:\n> 您好",
    "yahoo taiwan": "在 2024年5月1日星期三 上午10:00:00 [GMT+8]， 客服<kf@example.com> 寫道：\n\n您好",
    "name first": '"客服"<kf@example.com> 写道：\n> 您好',
    "date first": "2024-05-01 12:00:00 客服 <kf@example.com> 写道：\n> 您好",
    "only marks": "> 您好，\n> 已收到您的反馈。\n>\n> 客服中心",
}


@pytest.mark.parametrize("name", BELOW)
def test_history_below_is_left_out(name: str) -> None:
    assert reply_text(f"{OWN}\n\n{BELOW[name]}\n") == OWN


@pytest.mark.parametrize("name", BELOW)
def test_history_right_below_without_a_blank_line_is_left_out(name: str) -> None:
    assert reply_text(f"{OWN}\n{BELOW[name]}") == OWN


FOOTERS = [
    "发自我的iPhone",
    "发自我的 iPhone",
    "發自我的 iPhone",
    "來自我的 iPhone",
    "從我的 iPhone 傳送",
    "从我的iPhone发送",
    "从QQ邮箱发来的邮件",
    "发自我的小米手机",
    "来自HUAWEI Mate 40",
    "来自我的华为手机",
    "发自我的 vivo 智能手机",
    "Sent from my iPhone",
    "Sent from my Huawei phone",
    "Sent from Mail for Windows",
    "发送自 Windows 10 版邮件应用",
    "从 Windows 版邮件发送",
    "发送自 Outlook",
    "获取 Outlook for iOS",
    "获取 Outlook for Android",
    "取得 Outlook for iOS",
    "Get Outlook for iOS",
    "发自新浪邮箱客户端",
    "发自网易邮箱大师",
    "签名由 网易邮箱大师 定制",
    "来自企业微信",
    "[发自我的iPhone]",
]


@pytest.mark.parametrize("footer", FOOTERS)
def test_a_mailers_footer_is_left_out(footer: str) -> None:
    assert reply_text(f"{OWN}\n\n{footer}\n") == OWN


@pytest.mark.parametrize("footer", FOOTERS)
def test_a_footer_above_history_is_left_out(footer: str) -> None:
    assert reply_text(f"{OWN}\n\n{footer}\n\n{BELOW['qq']}") == OWN


@pytest.mark.parametrize(
    "line",
    [
        "来自物业的人说不归他们管。",
        "来自华为的员工也买了这里的房",
        "从我手机里能看到聊天记录，你们自己看。",
        "用微信发送给销售的照片他不回。",
        "在2024年5月1日，销售小王对我写道：保证交房。他说话不算数。",
        "时间：2024年5月1日",
        "主题：投诉",
        "日期：2024年5月1日，金额：5万元",
        ">3个月没人管",
        "——这就是你们的服务！",
        "From the beginning nobody answered.",
        "To: the manager",
        "On May 1 the seller wrote a promise.",
        "我在5月1日给你们写道歉信了吗？",
    ],
)
def test_a_customers_own_line_stays(line: str) -> None:
    text = f"{OWN}\n{line}\n请回复。"
    assert reply_text(text) == text


def test_answers_between_quoted_lines_stay() -> None:
    text = "在 2024年5月1日，12:00，客服 <kf@example.com> 写道：\n\n> 请问漏水几天了？\n\n三天了。\n\n> 哪个房间？\n\n主卧和阳台。\n"
    assert reply_text(text) == "三天了。\n\n主卧和阳台。"


def test_answers_between_quoted_lines_of_163_stay() -> None:
    text = '您好：\nAt 2024-05-01 12:00:00, "客服" <kf@example.com> wrote:\n>请问漏水几天了？\n三天了。\n>哪个房间？\n主卧。'
    assert reply_text(text) == "您好：\n三天了。\n主卧。"


def test_an_answer_below_quoted_lines_stays() -> None:
    assert reply_text(f"On May 1, 2024, at 12:00, Care <kf@example.com> wrote:\n> Hello\n> World\n\n{OWN}") == OWN


def test_a_nested_attribution_between_answers_is_left_out() -> None:
    text = "是的。\n\n在 2024年5月2日，客服 <kf@example.com> 写道：\n> 您好\n>> 第一封\n\n已经三天。\n"
    assert reply_text(text) == "是的。\n\n已经三天。"


@pytest.mark.parametrize("name", ["qq", "foxmail", "outlook english", "163 old"])
def test_in_a_mail_that_answers_none_a_letter_without_a_word_above_it_is_the_matter(name: str) -> None:
    text = f"{BELOW[name]}\n\n{OWN}"
    assert reply_text(text, answers=False) == text
    assert reply_text(text) == ""


@pytest.mark.parametrize("name", BELOW)
@pytest.mark.parametrize("own", ["", "发自我的iPhone", "--\n张三\n13800138000"])
def test_nothing_of_ones_own_above_history_is_nothing(name: str, own: str) -> None:
    assert reply_text(f"\n{own}\n\n{BELOW[name]}") == ""


def test_the_subject_tells_whether_a_mail_answers() -> None:
    assert said_now(BELOW["qq"], "回复：漏水") == said_now(BELOW["qq"], "漏水", answers=True) == ""
    assert said_now(BELOW["qq"], "漏水 [TS-20240501-0007-k7d2mq4axbcd]") == ""
    assert "您好" in said_now(BELOW["qq"], "漏水")
    assert "您好" in said_now(BELOW["qq"], "转发：漏水")


@pytest.mark.parametrize(
    "own",
    [
        "见下面红字回复",
        "请看原文中的答复",
        "见下，谢谢。",
        "在您的邮件中逐条回复了",
        "逐條回覆如下：",
        "My answers are below.",
        "See below.",
        "以下是我上次的投诉内容：",
    ],
)
def test_whoever_points_into_an_unmarked_letter_may_have_answered_in_it(own: str) -> None:
    text = f"{own}\n\n{BELOW['outlook chinese']}\n三天了"
    assert reply_text(text) == text


@pytest.mark.parametrize("own", ["漏水了，见下图。", "问题如下：墙面开裂，地板翘起。", "我见下午有人来过", "合同第三条用红字印的不算数吗"])
def test_whoever_points_elsewhere_has_not(own: str) -> None:
    assert reply_text(f"{own}\n\n{BELOW['outlook chinese']}") == own


@pytest.mark.parametrize(
    ("above", "separator"),
    [
        ("", "---------- Forwarded message ---------"),
        ("请处理", "---------- Forwarded message ---------"),
        ("FYI", "-------- Forwarded Message --------"),
        ("", "---------- 转发邮件信息 ----------"),
        ("见下，请尽快处理，谢谢！", "---- 转发的邮件 ----"),
        ("", "开始转发的邮件："),
        ("", "下面是被转发的邮件："),
        ("", "Begin forwarded message:"),
        ("", "---------- 轉寄的郵件 ----------"),
    ],
)
def test_a_forwarded_mail_with_little_above_it_is_kept(above: str, separator: str) -> None:
    forwarded = f"发件人: 李四 <li@example.com>\n日期: 2024年5月1日\n主题: 漏水\n收件人: 张三\n\n{OWN}"
    reply = reply_text(f"{above}\n\n{separator}\n{forwarded}\n")
    assert OWN in reply
    assert "李四" in reply
    assert reply.startswith(above)
    assert separator not in reply


@pytest.mark.parametrize("name", ["qq", "foxmail", "outlook chinese", "apple chinese unmarked", "only marks"])
def test_the_subject_says_that_a_mail_is_forwarded(name: str) -> None:
    """QQ, Foxmail and Outlook put the same lines above a forwarded mail as above one that is answered."""
    assert "您好" in reply_text(f"请看下面。\n\n{BELOW[name]}", forwarded=name != "only marks") or name == "only marks"
    assert "您好" in reply_text(BELOW[name], forwarded=True)


def test_a_forwarded_mail_below_a_long_message_is_left_out() -> None:
    long = "我家阳台漏水三个月了，多次联系物业和销售都没有人处理，" * 4
    assert reply_text(f"{long}\n\n---------- Forwarded message ---------\nFrom: a <a@example.com>\nDate: 2024\n\n您好") == long


@pytest.mark.parametrize("subject", ["Fwd: 漏水", "FW: leak", "转发: 漏水", "转发：漏水", "轉寄: 漏水", " Fw：x", "[外部邮件]转发：漏水"])
def test_forward_subjects(subject: str) -> None:
    assert read_subject(subject).forwarded


@pytest.mark.parametrize("subject", ["Re: 漏水", "转发给谁都没用", "forward", "", "Re: Fwd: 漏水"])
def test_other_subjects(subject: str) -> None:
    assert not read_subject(subject).forwarded


@pytest.mark.parametrize(
    ("subject", "passed_on"),
    [
        ("回复：转发：漏水", True),
        ("Re: 答复: Fwd: 漏水", True),
        ("Re: 回复：漏水", False),
        ("Fwd: Re: 漏水", False),
        ("回复：转发给谁都没用", False),
    ],
)
def test_a_reply_to_what_was_forwarded(subject: str, passed_on: bool) -> None:
    assert read_subject(subject).passed_on is passed_on


@pytest.mark.parametrize(
    "subject",
    [
        "回复：漏水 [TS-20240501-0007-k7d2mq4axbcd]",
        "回复：漏水 [TS-20240501-0007-k7d2mq4a xbcd]",
        "回复：漏水 [TS-20240501-0007-g77 3xd3ry3wx]",
        "回复：漏水 [TS-20240501-0007- k7d2mq4axbcd ]",
        "回复：漏水 [TS-2024 0501-0007-k7d2mq4axbcd]",
        "回复：[TS-20240501-0007-k7d2mq4axbcd] 漏水",
        "回复：漏水 [TS-20240501-0007-k7d2",
        "回复：漏水 TS-20240501-0007",
        "回复：漏水 TS-20240501-0007-k7d2mq4axbcd",
    ],
)
def test_our_tag_is_no_part_of_a_topic(subject: str) -> None:
    assert (read_subject(subject).topic, read_subject(subject).replied) == ("漏水", True)


def test_the_signature_below_two_dashes_is_left_out() -> None:
    assert reply_text(f"{OWN}\n\n-- \n张三\n13800138000\n") == OWN
    assert reply_text(f"{OWN}\n\n--\n张三\n阳光花园 3 栋 502\n") == OWN


def test_dashes_between_the_customers_paragraphs_are_no_signature() -> None:
    text = "一、漏水\n--\n" + "\n".join(f"第{n}条：墙面开裂。" for n in range(20))
    assert reply_text(text) == text


def test_an_address_card_below_a_rule_is_left_out() -> None:
    assert reply_text(f"{OWN}\n\n------------------\n张三\n电话：13800138000\n\n\n{BELOW['qq']}") == OWN


def test_demands_below_a_rule_stay() -> None:
    text = f"{OWN}\n------------------\n1. 退还定金。\n2. 赔偿损失。"
    assert reply_text(text) == text


def test_the_card_of_netease_is_left_out() -> None:
    card = "| |\n张三\n|\n|\n邮箱：zhang@example.com\n|\n\n签名由 网易邮箱大师 定制"
    assert reply_text(f"{OWN}\n\n\n{card}\n\n{BELOW['163 english']}") == OWN


def test_a_farewell_stays() -> None:
    text = f"{OWN}\n\n此致\n敬礼\n张三 13800138000"
    assert reply_text(text) == text


@pytest.mark.parametrize("text", ["", " \n \n", "\n\n"])
def test_nothing_stays_nothing(text: str) -> None:
    assert reply_text(text) == ""


@pytest.mark.parametrize("text", ["--\n张三", ">3个月没人管", "-- ", "张三\n13800138000", "发自我的手机里的照片"])
def test_never_empty_when_something_was_written(text: str) -> None:
    assert reply_text(text)


@pytest.mark.parametrize("text", ["> 您好", ">您好", ">您好\n>已收到\n\n发自我的iPhone", "发自我的iPhone", "发自我的iPhone\n> 您好"])
def test_quotation_and_footer_are_nothing(text: str) -> None:
    assert reply_text(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "报价\n>100万\n>120万\n到底多少",
        "报价\n> 100万\n> 120万",
        "物业说：\n>没人管\n请回复",
        "您好：\n>请问几天了？\n三天了",
        "发自我的iPhone\n也拍不清楚",
        "让我\n用微信发送",
        "我的投诉：\n发件人：李四\n发送时间：2024年5月1日\n主题：漏水\n至今没人理我",
        "收件人：贵司\n发件人：张三\n主题：漏水\n日期：5月1日\n漏了三个月",
        "漏水了\n\n\n请打我电话\n物业公司没人管",
        "漏水了\n\n| |\n没人管\n|\n|\n电话也不接\n|",
        "Nobody came.\nSent with the photos to your office, but no answer",
    ],
)
def test_words_that_look_like_a_programs_stay(text: str) -> None:
    assert reply_text(text) == text.replace("\n\n\n", "\n\n")


def test_only_marked_quotation_is_nothing_new() -> None:
    assert reply_text("> 您好\n> 已收到") == ""
    assert reply_text('在 2024-05-01 12:00:00，"客服" <kf@example.com> 写道：\n> 您好\n> 已收到') == ""


LINE = st.one_of(
    st.sampled_from(
        [*BELOW.values(), *FOOTERS, OWN, "", "> 引用", "--", "-- ", "________________________________", "|", "| |", "发件人：", "From: x"]
    ),
    st.text(max_size=30),
)


@given(st.lists(LINE, max_size=12), st.booleans())
def test_never_fails_and_never_invents(lines: list[str], forwarded: bool) -> None:
    text = "\n".join(lines)
    reply = reply_text(text, forwarded=forwarded)
    assert all(line.strip() in text for line in reply.split("\n"))
    if not reply:
        # Then something was known for another's letter or a program's line.
        own = [line for line in text.split("\n") if line.strip() and not line.lstrip().startswith(">")]
        assert not own or any(known in text for known in (*BELOW.values(), *FOOTERS))


@pytest.mark.parametrize(
    "text",
    [
        "\n" * 1_000_000,
        "a\n" * 500_000,
        "> a\n" * 250_000,
        "-" * 1_000_000,
        "在 2024-05-01 12:00\n" * 50_000,
        "发件人：\n" * 200_000,
        "<" * 1_000_000,
        "On 2024 " * 100_000,
        "wrote:\n" * 140_000,
        "From: a@b.c\nwrote\n" * 60_000,
        "来自" * 500_000,
        "| |\n网易邮箱大师\n" * 80_000,
        "> a\n> b\nOn 2024 " + "x" * 900_000 + "\n",
        "> a\n> b\nOn 2024\n" + "x" * 900_000 + "写道：\n",
    ],
    ids=range(14),
)
def test_time_grows_with_the_length_alone(text: str) -> None:
    started = time.process_time()
    reply_text(text[:1_000_000])
    assert time.process_time() - started < 4
