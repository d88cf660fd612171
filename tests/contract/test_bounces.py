"""A letter of ours that comes back, in the shapes of servers that send no report by RFC 3464; and what only looks like that."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from answering_house import AnsweringHouse, message
from fakes import FakeChampion, FakeClassifier

from classifiers.fields import FieldFinder
from models.answer import AnswerState, Way


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AnsweringHouse]:
    """On each kind of store in turn, with the finder of phones that ships."""
    settings = {} if request.param == "sqlite" else {"store_url": request.getfixturevalue("postgres_url")}
    made = AnsweringHouse(tmp_path, FakeChampion(FakeClassifier(fields=FieldFinder())), **settings)
    yield made
    made.app.close()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[AnsweringHouse]:
    """On SQLite alone."""
    made = AnsweringHouse(tmp_path, FakeChampion(FakeClassifier(fields=FieldFinder())))
    yield made
    made.app.close()


def acknowledged(house: AnsweringHouse) -> tuple[str, bytes, str, str]:
    """A complaint whose acknowledgement is out: number, the letter, its Message-ID and its tag."""
    number = house.mail("合同问题，定金不退，我的电话是13800138000").number
    letter = house.mailer.taken[-1]
    subject = str(letter.message["Subject"])
    return number, letter.raw, str(letter.message["Message-ID"]), subject[subject.index("[TS-") :]


def multipart(sender: str, subject: str, text: str, *parts: str) -> bytes:
    """A mail of a daemon with some more parts, as its server writes it."""
    said = base64.encodebytes(text.encode()).decode()
    first = f"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n{said}"
    whole = "".join(f"--B\n{part}\n" for part in (first, *parts))
    head = message("", subject, From=sender).decode().partition("MIME-Version")[0]
    return f"{head}MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n{whole}--B--\n".replace("\r\n", "\n").encode()


def as_message(letter: bytes) -> str:
    return "Content-Type: message/rfc822\n\n" + letter.decode()


def as_file(letter: bytes, kind: str = "application/octet-stream") -> str:
    head = f'Content-Type: {kind}; name="return.eml"\nContent-Disposition: attachment; filename="return.eml"\n'
    return f"{head}Content-Transfer-Encoding: base64\n\n{base64.encodebytes(letter).decode()}"


def headers_of(letter: bytes) -> str:
    return "Content-Type: text/rfc822-headers\n\n" + letter.decode().partition("\r\n\r\n")[0]


NULL = {"mail_from": ""}
GONE = "很抱歉，您的邮件未能送达 lin@mail.example。原因：550 User not found"
WAITS = "您的邮件暂时无法投递到 lin@mail.example，系统将继续尝试投递，您无需重新发送。"


def came_back(house: AnsweringHouse, number: str, raw: bytes, envelope: dict[str, str], *, failed: bool) -> None:
    """It is attached to the complaint, changes nothing of what that is about, and the answer has failed or has not."""
    fresh = house.take(raw, envelope=envelope).number  # type: ignore[arg-type]
    story = house.story(fresh)
    assert story.complaint.number == number
    assert story.messages[-1].parsed["joined"]["by"] == "bounce"
    assert story.messages[-1].aside
    mailed = house.answers(number)[0]
    assert mailed.state is (AnswerState.FAILED if failed else AnswerState.SENT)
    assert [call.phone for call in house.app.replies.calls()] == (["13800138000"] if failed else [])
    assert house.events(number) == ["complaint.routed"]
    assert len(house.mailer.taken) == 1


@pytest.mark.parametrize("shape", ["163", "163_by_id", "sina", "qq", "qq_as_text", "headers", "null_path", "plus", "nameless"])
def test_a_letter_that_came_back_without_a_report_has_failed(house: AnsweringHouse, shape: str) -> None:
    number, letter, _, tag = acknowledged(house)
    stranger = letter.replace(b"Message-ID: <", b"Message-ID: <other.")
    raw, envelope = {
        "163": (multipart("Postmaster@163.example", "系统退信", f"{GONE}\n主题：已收到您的投诉 {tag}", as_message(stranger)), NULL),
        "163_by_id": (multipart("Postmaster@163.example", "系统退信", "您的邮件有问题", as_message(letter)), NULL),
        "sina": (message(GONE, f"退信: 已收到您的投诉 {tag}", From="MAILER-DAEMON@sina.example"), {}),
        "qq": (multipart("PostMaster@qq.example", "系统退信/Systems bounce", "邮件被退回", as_file(letter)), {}),
        "qq_as_text": (multipart("PostMaster@qq.example", "系统退信", "邮件被退回", as_file(letter, "text/plain")), {}),
        "headers": (multipart("mail-daemon@x.example", "x", "Delivery to lin failed", headers_of(letter)), {}),
        "null_path": (multipart("service@x.example", "x", "see below", as_message(letter)), NULL),
        "plus": (message(f"{GONE}\nReply-To: <tousu+{tag[4:-1]}@jiesu.example>", "退信", From="postmaster@x.example"), NULL),
        # Neither the sender nor the shape says that a server wrote.
        "nameless": (message(f"Delivery failed: 5.1.1\nSubject: {tag}", "Failure notice", From="service@x.example"), NULL),
    }[shape]
    came_back(house, number, raw, envelope, failed=True)
    if shape == "nameless":
        assert "退回 5.1.1" in (house.answers(number)[0].reason or "")


@pytest.mark.parametrize("shape", ["by_id", "by_token", "english"])
def test_while_a_server_goes_on_trying_nothing_has_failed(house: AnsweringHouse, shape: str) -> None:
    number, letter, _, tag = acknowledged(house)
    raw = {
        "by_id": multipart("Postmaster@163.example", "投递延迟通知", WAITS, as_message(letter)),
        "by_token": message(WAITS, f"邮件延迟: {tag}", From="MAILER-DAEMON@sina.example"),
        "english": multipart("MAILER-DAEMON@x.example", "Warning", "Not delivered for 4 hours, it will be retried", as_message(letter)),
    }[shape]
    came_back(house, number, raw, NULL, failed=False)
    # At last it gives up, and says that it had been delayed.
    last = multipart("Postmaster@163.example", "系统退信", "多次投递延迟，现已放弃，邮件未能送达", as_message(letter))
    came_back(house, number, last, NULL, failed=True)


def test_of_several_letters_the_one_that_is_meant_has_failed(house: AnsweringHouse) -> None:
    number, _, _, tag = acknowledged(house)
    house.app.replies.write(number, "您好，已处理。", by="王芳", key="k" * 20)
    house.work()
    house.take(message(GONE, f"退信: {tag}", From="MAILER-DAEMON@sina.example"))
    mailed = [one for one in house.answers(number) if one.way is Way.EMAIL]
    assert [one.state for one in mailed] == [AnswerState.SENT, AnswerState.FAILED]


def test_what_knows_neither_our_id_nor_our_token_fails_nothing(house: AnsweringHouse) -> None:
    number, letter, _, _ = acknowledged(house)
    stranger = letter.replace(b"Message-ID: <", b"Message-ID: <other.")
    for raw in (
        multipart("Postmaster@163.example", "系统退信", f"{GONE}\n[{number}-aaaaaaaaaaaa]", as_message(stranger)),
        message(GONE, f"退信: [{number}]", From="MAILER-DAEMON@sina.example"),
    ):
        fresh = house.take(raw, envelope=NULL).number
        assert house.story(fresh).complaint.number == fresh
    # A customer who sends our letter along is no server.
    house.take(multipart("林树 <lin@mail.example>", "退信？", GONE, as_message(letter)))
    assert house.answers(number)[0].state is AnswerState.SENT


@pytest.mark.parametrize("case", ["away", "away_quoting", "away_returning", "postmaster"])
def test_who_is_away_or_reads_a_postmasters_box_brings_nothing_back(house: AnsweringHouse, case: str) -> None:
    number, letter, sent, tag = acknowledged(house)
    raw, envelope = {
        "away": (message("我在休假", f"Re: {tag}", In_Reply_To=sent), NULL),
        "away_returning": (multipart("林树 <lin@mail.example>", f"自动回复: {tag}", "我在休假", as_message(letter)), NULL),
        "away_quoting": (message("我在休假。> 邮件未能送达", f"自动回复: {tag}", In_Reply_To=sent), NULL),
        "postmaster": (message("谢谢，收到", f"Re: {tag}", In_Reply_To=sent, From="postmaster@lin.example"), {}),
    }[case]
    fresh = house.take(raw, envelope=envelope).number
    assert house.story(fresh).complaint.number == number
    assert house.story(fresh).messages[-1].parsed["joined"]["by"] == "token"
    assert house.answers(number)[0].state is AnswerState.SENT


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ("I am away, returning Monday; your message will be answered then.", {"Auto_Submitted": "auto-replied"}),
        ("我出国了，期间信件无法送达本人", {"Auto_Submitted": "auto-replied"}),
        ("上次你们的挂号信被退回了，请重寄。燃气还在漏。", {}),
        # By another of his boxes than the one that was written to.
        ("邮件系统延迟，未能送达的请重发", {"From": "林树 <LIN+home@mail.example>"}),
        ("上次的信被退回了", {"From": "lin@old.example"}),
    ],
)
def test_what_the_addressee_says_himself_is_no_bounce(house: AnsweringHouse, body: str, headers: dict[str, str]) -> None:
    number = house.mail("合同问题，定金不退，我的电话是13800138000", From="lin@old.example", Reply_To="lin@mail.example").number
    letter = house.mailer.taken[-1].message
    assert letter["To"] == "lin@mail.example"
    reply = message(body, f"Re: {letter['Subject']}", **{"In_Reply_To": str(letter["Message-ID"]), **headers})
    fresh = house.take(reply, envelope=NULL).number
    assert house.story(fresh).complaint.number == number
    assert house.story(fresh).messages[-1].parsed["joined"]["by"] == "token"
    assert house.answers(number)[0].state is AnswerState.SENT
    assert house.app.replies.calls() == []


@pytest.mark.parametrize("subject", ["合同投诉", "Handover delay of flat 1503", "收楼延迟通知，要求赔偿", "物业说会再次发送"])
@pytest.mark.parametrize(
    "said",
    [
        "550 User not found: lin@mail.example。请核实收件人地址后重新发送",
        "550 用户不存在。延迟投递通知",
        "The mail could not be delivered, it was delayed. Status: 5.1.1",
        "您的邮件未能送达，建议您稍后再次发送",
        "Your message was not delivered.",
    ],
)
def test_neither_advice_nor_the_customers_own_words_make_a_bounce_a_delay(small: AnsweringHouse, subject: str, said: str) -> None:
    number = small.mail("合同问题，定金不退，我的电话是13800138000", subject).number
    letter = small.mailer.taken[-1].message
    text = f"{said}\n主题：{letter['Subject']}\nMessage-ID: {letter['Message-ID']}\n您的邮件“{subject}”被退回"
    came_back(small, number, message(text, f"退信：{subject}", From="Postmaster@163.example"), NULL, failed=True)


@pytest.mark.parametrize(
    "said", ["将继续尝试投递", "系统将在两小时后重新发送", "我们的服务器会再次尝试投递", "系統會重新投遞", "will be retried"]
)
def test_what_a_server_will_do_itself_is_a_delay(small: AnsweringHouse, said: str) -> None:
    number = small.mail("合同问题，定金不退，我的电话是13800138000", "延迟").number
    letter = small.mailer.taken[-1].message
    text = f"邮件暂未送达，451 busy，{said}\nMessage-ID: {letter['Message-ID']}"
    came_back(small, number, message(text, "投递延迟", From="Postmaster@163.example"), NULL, failed=False)


@pytest.mark.parametrize("kind", ["report", "part_alone", "type_alone"])
def test_a_complaint_of_spam_fails_nothing(small: AnsweringHouse, kind: str) -> None:
    """A feedback report (RFC 5965) returns a letter that did arrive."""
    number, letter, _, _ = acknowledged(small)
    feedback = "Content-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: x/1\nVersion: 1\n"
    parts = [as_message(letter)] if kind == "type_alone" else [feedback, as_message(letter)]
    raw = multipart("abuse@isp.example", "FW: 已收到您的投诉", "This is an email abuse report, delivery failed not", *parts)
    if kind != "part_alone":
        raw = raw.replace(b"multipart/mixed;", b"multipart/report; report-type=feedback-report;")
    came_back(small, number, raw, NULL, failed=False)
