"""Answers as mails: golden files, headers that nobody can add to, tokens, templates and languages."""

from __future__ import annotations

import email.policy
import re
from datetime import UTC, datetime
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import getaddresses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.mime import read_mail
from gateway import wording
from gateway.languages import language_of
from gateway.outbound import Outbound, Sender
from gateway.reply_token import ReplyTokens
from gateway.templates_cli import templates
from models.answer import Answer, AnswerKind, Thread, Way, box_of
from models.errors import BadSetting

GOLDEN = Path(__file__).parents[1] / "letters"
AT = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
TOKENS = ReplyTokens("a secret of thirty-two characters")
NUMBER = "TS-20261123-0042"
NO_THREAD = Thread()


def answer(subject: str = "已收到您的投诉：漏水", body: str = "林树您好：\n\n您的投诉已收到。\n", **more: object) -> Answer:
    fields: dict[str, object] = {
        "id": 1,
        "number": NUMBER,
        "kind": AnswerKind.ACKNOWLEDGEMENT,
        "source_key": "ack",
        "way": Way.EMAIL,
        "to": "lin@mail.example",
        "language": "zh",
        "subject": subject,
        "body": body,
        "by": "jiesu",
        "at": AT,
        "message_id": "<jiesu.1@jiesu.example>",
    }
    return Answer(**(fields | more))  # type: ignore[arg-type]


def raw(told: Answer, thread: Thread = NO_THREAD, name: str = "晨光地产，客服", plus: bool = True) -> bytes:
    return Outbound(Sender("tousu@jiesu.example", name, plus, "68a9d995789b"), TOKENS).letter(told, thread, AT).raw


def parsed(whole: bytes) -> EmailMessage:
    found = BytesParser(policy=email.policy.default).parsebytes(whole)
    assert isinstance(found, EmailMessage)
    assert not found.defects
    return found


SHIPPED = wording.load(Path("/nowhere"))
VALUES = {
    "number": NUMBER,
    "title": "6栋1503卫生间漏水三个月没人修",
    "name": "林树",
    "department": "项目工程部",
    "due": "2026年11月24日09:00",
    "text": "已安排维修。\n请于周三在家等候。",
    "company": "晨光地产客户服务中心",
    "phone": "400-000-0000",
}
CASES = {
    "acknowledgement.zh": ({}, Thread(("<1@mail.example>",), "漏水")),
    "acknowledgement_review.zh-hant": ({"title": "滲水"}, Thread()),
    "acknowledgement.en": (
        {"name": "customer", "title": "Leak", "department": "Project engineering", "phone": "", "due": "09:00 on 24 November 2026"},
        Thread(("<1@mail.example>",)),
    ),
    "resolved.zh": ({}, Thread(tuple(f"<{n}@mail.example>" for n in range(9)))),
    "staff.zh": ({"name": ""}, Thread(("<1@mail.example>", "<jiesu.0@jiesu.example>"))),
}


@pytest.mark.parametrize("case", CASES)
def test_letters_are_as_the_golden_files_say(case: str) -> None:
    more, thread = CASES[case]
    template, _, language = case.partition(".")
    worded = SHIPPED.write(template, language, VALUES | more)
    kind = AnswerKind.STAFF if template == "staff" else AnswerKind.STATUS if template == "resolved" else AnswerKind.ACKNOWLEDGEMENT
    whole = raw(answer(worded.subject, worded.body, language=language, kind=kind), thread)
    message = parsed(whole)
    shown = "".join(f"{name}: {value}\n" for name, value in message.items()) + "\n" + message.get_content().replace("\r\n", "\n")
    golden = GOLDEN / f"{case}.txt"
    if not golden.exists() or golden.read_text("utf-8") != shown:
        golden.with_suffix(".got").write_text(shown, "utf-8")
    assert shown == golden.read_text("utf-8")
    # On the wire: lines that every server takes, ended as they must be.
    assert all(len(line) <= 78 for line in whole.split(b"\r\n"))
    assert b"\n" not in whole.replace(b"\r\n", b"")
    assert whole.isascii()
    # A person's letter may be answered by a machine's absence notice, but not this.
    assert ("Auto-Submitted" in message) == (kind is not AnswerKind.STAFF)
    assert read_mail(whole).auto_reason == ("loop")


HEADERS = {
    "Date", "From", "Reply-To", "To", "Subject", "Message-ID", "In-Reply-To", "References", "Auto-Submitted", "Precedence",
    "X-Auto-Response-Suppress", "X-Loop", "X-Jiesu-Loop", "MIME-Version", "Content-Type", "Content-Language", "Content-Transfer-Encoding",
}  # fmt: skip
HOSTILE = st.text(max_size=120) | st.sampled_from(
    [
        "a\r\nBcc: x@y.example",
        "a\nBcc: x\n\nbody",
        "=?utf-8?B?DQpCY2M6IHg=?=",
        "\u2028Bcc: x",
        "a\x85Bcc: x",
        "\udcff",
        '"<x@y>"',
        "字" * 119,
        "\x00",
        "a,b@c.example",
    ]
)


@settings(max_examples=400, deadline=None)
@given(subject=HOSTILE, name=HOSTILE, body=HOSTILE, ids=st.lists(st.text(max_size=40).map(lambda text: f"<{text}>"), max_size=4))
def test_nobody_adds_a_header_whatever_stands_in_names_and_subjects(subject: str, name: str, body: str, ids: list[str]) -> None:
    whole = raw(answer(subject, body), Thread(tuple(ids)), name)
    head, _, _ = whole.partition(b"\r\n\r\n")
    assert b"\r" not in head.replace(b"\r\n", b"")
    assert b"\n" not in head.replace(b"\r\n", b"")
    names = [line.partition(b":")[0].decode("ascii") for line in head.split(b"\r\n") if not line.startswith(b" ")]
    assert set(names) <= HEADERS
    assert len(names) == len(set(names))
    message = BytesParser(policy=email.policy.compat32).parsebytes(whole)
    assert [address for _, address in getaddresses([message["From"]])] == ["tousu@jiesu.example"]
    assert [address for _, address in getaddresses([message["To"]])] == ["lin@mail.example"]
    assert set(message.keys()) <= HEADERS
    content = message.get_payload(decode=True)
    assert isinstance(content, bytes)
    assert content.decode("utf-8").replace("\r\n", "\n") == body.encode("utf-8", "replace").decode().replace("\r\n", "\n").replace(
        "\r", "\n"
    )
    shown = TOKENS.shown(read_mail(whole).subject, [])
    assert NUMBER in shown.signed


@settings(max_examples=200, deadline=None)
@given(subject=st.text(st.characters(blacklist_categories=("C", "Z")), max_size=100))
def test_what_is_written_is_what_is_read(subject: str) -> None:
    assert parsed(raw(answer(subject)))["Subject"] == f"{subject} {TOKENS.tag(NUMBER)}".strip()


def test_addresses_beyond_ascii() -> None:
    letter = Outbound(Sender("tousu@jiesu.example", "", False, "x"), TOKENS).letter(answer(to="lin@例子.example"), Thread(), AT)
    assert letter.rcpt_to == "lin@xn--fsqu00a.example"
    assert b"\r\nFrom: <tousu@jiesu.example>\r\n" in letter.raw
    assert (
        Outbound(Sender("t@j.example", "", False, "x"), TOKENS).letter(answer(to="用户@a.example"), Thread(), AT).rcpt_to
        == "用户@a.example"
    )


def test_tokens() -> None:
    tag, address = TOKENS.tag(NUMBER), TOKENS.reply_address("tousu@jiesu.example", NUMBER)
    assert re.fullmatch(r"\[TS-20261123-0042-[a-z2-7]{12}\]", tag)
    assert TOKENS.shown(f"回复：{tag} x", []).signed == (NUMBER,)
    assert TOKENS.shown("", [address.upper()]).signed == (NUMBER,)
    assert len(address.partition("@")[0]) <= 64
    # Another number, another installation, a changed or cut token: anybody could write these.
    for spelt in (tag.replace("0042", "0043"), ReplyTokens("x" * 32).tag(NUMBER), tag[:-4] + "aaa]", tag[:-3] + "]", f"[{NUMBER}]"):
        assert TOKENS.shown(spelt, []).signed == ()
    # Folded within, as mail programs fold: whatever they leave there, the signature counts.
    token = tag[-13:-1]
    for spelt in (f"[{NUMBER}-{token[:5]} {token[5:]}]", f"[{NUMBER}- {token}]", f"[{NUMBER}-{' '.join(token)}]"):
        assert TOKENS.shown(spelt, []).signed == (NUMBER,)
    assert TOKENS.shown(f"[{NUMBER}-{token[:5]} {token[5:11]}2]", []).signed == ()
    assert TOKENS.shown(f"关于 {NUMBER}", []).bare == (NUMBER,)
    assert TOKENS.shown(tag + tag, [address]).bare == ()


# A name card as mailers put it below without a mark.
CARD = """

David Chen
Senior Sales Manager, Asia Pacific
Example Trading Company Limited
Room 1203, Tower B, Example Plaza, 100 Example Road, Shanghai
Tel: +86 21 5555 0000  Mobile: +86 138 0000 4321
www.example.com"""


def test_whose_box_an_address_is() -> None:
    assert box_of("Lin+a+b@Mail.Example") == box_of(" lin@mail.example ") == "lin@mail.example"
    assert box_of("lin@mail.example") != box_of("lin@mail2.example")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("卫生间漏水三个月没人修", "zh"),
        ("我家 WiFi 和 iPhone 都连不上，电梯 6 栋坏了", "zh"),
        ("浴室漏水三個月都沒有人來處理，請盡快回覆", "zh-hant"),
        ("我叫喆堃，墙裂了请处理一下", "zh"),
        ("The bathroom leaks. I bought it in 阳光花园.", "en"),
        ("Lift broken", "en"),
        ("", "zh"),
        ("13800138000", "zh"),
        # Who says it in Chinese may have an English card, or an English notice below.
        ("漏水\n厨房漏水" + CARD, "zh"),
        ("投诉\n厨房漏水 David Chen Senior Sales Manager Example Trading Company Limited Shanghai", "zh"),
        ("滲水\n浴室漏水三個月都沒有人來處理" + CARD, "zh-hant"),
        ("漏水\n厨房漏水" + CARD + "\n" + "This message is confidential and intended only for the one it is sent to. " * 3, "zh"),
        ("漏水\n\nDavid Chen\nSenior Sales Manager", "zh"),
        # An English letter may name Chinese homes and papers, and be signed in Chinese.
        ("Leak\nThe kitchen in 阳光花园 3栋1203 leaks and nobody comes.\n\n王芳", "en"),
        ("阳光花园3栋1203\nThe kitchen leaks, nobody comes, please call me.", "en"),
        ("您好\nThe kitchen leaks, nobody comes, please call me.", "en"),
        ("Leak\nI paid under the 认购协议书 and nobody answers me.", "en"),
        ("Leak\nThe kitchen leaks, please call me." + CARD + "\n上海示例贸易有限公司\n地址：上海市浦东新区示例路100号", "en"),
    ],
)
def test_in_which_language_a_customer_is_answered(text: str, language: str) -> None:
    assert language_of(text) == language


def test_a_line_without_its_value_is_left_out_and_values_are_never_templates() -> None:
    worded = SHIPPED.write("resolved", "zh", VALUES | {"phone": "", "text": "$number ${company} $$ %s {x}", "title": "$phone"})
    assert "客服电话" not in worded.body
    assert "$number ${company} $$ %s {x}" in worded.body
    assert SHIPPED.write("acknowledgement", "zh", VALUES | {"title": ""}).subject == "已收到您的投诉"


def test_every_template_ships_in_every_language_and_says_what_it_must() -> None:
    for name, language in SHIPPED.texts:
        worded = SHIPPED.write(name, language, VALUES)
        assert NUMBER in worded.body
        assert "$" not in worded.subject + worded.body
        if name.startswith("acknowledgement"):
            assert VALUES["due"] in worded.body
        elif name != "accepted":
            assert VALUES["text"] in worded.body
    assert len(SHIPPED.texts) == len(wording.TEMPLATES) * len(wording.LANGUAGES)


@pytest.mark.parametrize(
    ("name", "text", "key", "said"),
    [
        (
            "acknowledgement.zh.txt",
            "主题\n\n您好 $nummer\n",
            "templates/acknowledgement.zh.txt:3",
            "there is no $nummer; you may use $number",
        ),
        ("acknowledgement.zh.txt", "主题\n5$ 一次\n", "templates/acknowledgement.zh.txt:2", "write $$"),
        ("acknowledgement.zh.txt", "主题\n\n", "templates/acknowledgement.zh.txt:1", "the first line is the subject"),
        ("acknowledgment.zh.txt", "a\nb", "templates/acknowledgment.zh.txt", "there is no such template"),
        ("staff.de.txt", "a\nb", "templates/staff.de.txt", "there is no such template"),
        ("staff.en.txt", "a\n" + "b" * 20_001, "templates/staff.en.txt", "too long"),
        ("staff.en.txt", "a\n${number.__class__}\n", "templates/staff.en.txt:2", "write $$"),
    ],
)
def test_a_bad_template_is_named_with_its_line_and_remedy(tmp_path: Path, name: str, text: str, key: str, said: str) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / name).write_text(text, "utf-8")
    with pytest.raises(BadSetting, match=re.escape(said)) as found:
        wording.load(tmp_path)
    assert found.value.key == key


def test_the_shipped_templates_can_be_laid_out_and_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JIESU_HOME", str(tmp_path))
    templates(["staff"])
    (tmp_path / "templates" / "staff.zh.txt").write_text("我的\n$text\n", "utf-8")
    templates(None)
    assert (tmp_path / "templates" / "staff.zh.txt").read_text("utf-8") == "我的\n$text\n"
    loaded = wording.load(tmp_path)
    assert len(loaded.own) == 24
    assert {key for key, text in loaded.texts.items() if text != SHIPPED.texts[key]} == {("staff", "zh")}
    with pytest.raises(BadSetting, match="acknowledgement"):
        templates(["thanks"])


def test_own_templates_are_in_use(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "staff.zh.txt").write_text("\ufeff$company\r\n$text，单价 $$5\r\n", "utf-8")
    (tmp_path / "templates" / "staff.en.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(BadSetting, match="UTF-8"):
        wording.load(tmp_path)
    (tmp_path / "templates" / "staff.en.txt").unlink()
    loaded = wording.load(tmp_path)
    assert loaded.own == ("staff.zh.txt",)
    assert loaded.write("staff", "zh", VALUES | {"text": "好"}) == wording.Worded("晨光地产客户服务中心", "好，单价 $5\n")


@pytest.mark.parametrize(
    ("title", "about"),
    [
        ("已收到您的投诉：阳台漏水", "阳台漏水"),
        ("已收到您的投诉：已收到您的投诉：阳台漏水", "阳台漏水"),
        ("We have received your complaint: 已收到您的投訴：leak", "leak"),
        ("已收到您的投诉：", "已收到您的投诉："),
        ("已收到您的投诉", "已收到您的投诉"),
        ("阳台漏水，已收到您的投诉：为什么不处理", "阳台漏水，已收到您的投诉：为什么不处理"),
    ],
)
def test_an_acknowledgement_does_not_repeat_the_subject_of_one(title: str, about: str) -> None:
    assert SHIPPED.subject_of(title) == about


def test_a_companys_own_subject_is_known_too() -> None:
    own = wording.Wording(dict(SHIPPED.texts) | {("acknowledgement", "zh"): "【晨光】$title 已登记\n\n您好"})
    assert own.subject_of("【晨光】【晨光】漏水 已登记 已登记") == "漏水"
    assert wording.Wording(dict.fromkeys(SHIPPED.texts, "收到\n\n您好")).subject_of("收到货") == "收到货"
