"""Which complaint a mail belongs to, and to whom nothing is answered; on both databases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from answering_house import AnsweringHouse, message

from gateway.store import answers, jobs, submissions
from models.answer import AnswerState, MailCode, MailOutcome, Way
from models.complaint import Customer
from models.submission import Channel


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AnsweringHouse]:
    """On each kind of store in turn."""
    settings = {} if request.param == "sqlite" else {"store_url": request.getfixturevalue("postgres_url")}
    made = AnsweringHouse(tmp_path, **settings)
    yield made
    made.app.close()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[AnsweringHouse]:
    """On SQLite alone."""
    made = AnsweringHouse(tmp_path)
    yield made
    made.app.close()


def acknowledged(house: AnsweringHouse, **more: str) -> tuple[str, str, str]:
    """A complaint with its acknowledgement: number, the acknowledgement's Message-ID and subject."""
    number = house.mail(**more).number
    letter = house.mailer.taken[-1].message
    assert number in letter["Subject"]
    return number, letter["Message-ID"], letter["Subject"]


def joins(house: AnsweringHouse, number: str, raw: bytes, by: str, **more: object) -> None:
    """This mail joins: one message more, an event, and its own number leads there; sent again it changes nothing."""
    before = house.story(number)
    fresh = house.take(raw, **more).number  # type: ignore[arg-type]
    after = house.story(number)
    assert fresh != number
    assert len(after.messages) == len(before.messages) + 1
    assert after.messages[-1].parsed["joined"] == {"number": fresh, "by": by}
    assert house.story(fresh).complaint.number == number
    whole = house.app.records.whole(fresh)
    assert whole is not None
    assert whole["number"] == number
    assert fresh in whole["joined"]
    with house.app.store.read() as conn:
        assert submissions.load(conn, [after.messages[-1].submission_id])[after.messages[-1].submission_id][1] == number
    again = house.take(raw, **more)  # type: ignore[arg-type]
    assert len(house.story(number).messages) == len(after.messages)
    assert house.story(again.number).complaint.number == number


def starts(house: AnsweringHouse, raw: bytes, claims: tuple[str, str] | None = None) -> str:
    """This mail starts a complaint of its own, and claims that."""
    number = house.take(raw).number
    story = house.story(number)
    assert story.complaint.number == number
    told = story.messages[0].parsed.get("claims")
    assert told == ({"number": claims[0], "why": claims[1]} if claims else None)
    return number


# How the clients of the list spell a reply's subject; the last has lost our tag but kept References.
SUBJECTS = ("回复：{}", "回复: {}", "答复: {}", "Re：{}", "RE: {}", "Re: 回复： {}", "回覆：{}", "[外部邮件]答复：{}")


@pytest.mark.parametrize("spelt", SUBJECTS)
def test_a_reply_joins_by_the_token_in_its_subject_alone(small: AnsweringHouse, spelt: str) -> None:
    number, _, subject = acknowledged(small)
    joins(small, number, message("补充：还有合同问题", spelt.format(subject), From="老婆 <wife@else.example>"), "token")
    assert small.events(number) == ["complaint.routed", "complaint.updated"]
    # Nobody acknowledges a reply.
    assert len(small.mailer.taken) == 1


def test_a_reply_joins_by_everything_that_it_may(house: AnsweringHouse) -> None:
    number, sent, subject = acknowledged(house)
    token = re.search(r"TS-(\S+)\]", subject)
    assert token
    # The token in the address, whatever the subject and the sender are, and in whatever letters.
    plus = {"rcpt_tos": [f"Tousu+{token[1].upper()}@jiesu.example"]}
    joins(house, number, message("照片见附件", "无主题", From="x@y.example"), "token", envelope=plus)
    # No token anywhere: References and the sender.
    joins(house, number, message("再补充", "回复：已收到您的投诉：定金纠纷", In_Reply_To=sent, From="LIN@Mail.example"), "references")
    joins(house, number, message("又补充", "Re: 别的", References=f"<a@b> {sent}"), "references")
    joins(house, number, message("标题没了", "", References=sent), "references")
    # Neither, but the number, by the same sender.
    joins(house, number, message("进展如何？", f"关于{number}"), "number")
    # To his own earlier mail, which is not ours.
    own = house.story(number).messages[0].details["message_id"]
    joins(house, number, message("忘了说", "Re: 定金纠纷", In_Reply_To=own), "references")
    # Who has shown the token once belongs to it.
    joins(house, number, message("我是他爱人", "Re: 定金纠纷", In_Reply_To=own, From="x@y.example"), "references")
    assert house.events(number)[0] == "complaint.routed"
    assert set(house.events(number)[1:]) <= {"complaint.updated", "complaint.rerouted"}
    assert len(house.mailer.taken) == 1


def test_a_reply_that_changes_the_matter_reroutes(small: AnsweringHouse) -> None:
    number, sent, _ = acknowledged(small, body="我有话说", subject="投诉")
    joins(small, number, message("产品质量：墙裂了", "Re: 投诉", In_Reply_To=sent), "references")
    assert small.events(number) == ["complaint.routed", "complaint.rerouted"]


def test_whoever_merely_claims_to_belong_does_not(house: AnsweringHouse) -> None:
    number, sent, subject = acknowledged(house)
    kept = len(house.story(number).messages)
    starts(house, message("合同问题", "Re: 定金纠纷", In_Reply_To=sent, From="evil@else.example"), (number, "other_sender"))
    starts(house, message("合同问题", f"Re: [{number}-aaaaaaaaaaaa] 定金", From="evil@else.example"), (number, "other_sender"))
    starts(house, message("合同问题", f"关于 {number}", From="evil@else.example"), (number, "other_sender"))
    # A staff address in From is a customer's message too, and is not answered.
    staff = starts(house, message("合同问题", "Re: 定金纠纷", In_Reply_To=sent, From="kefu@jiesu.example"), (number, "other_sender"))
    assert [one.reason for one in house.answers(staff)] == ["own_address: 来信出自本公司地址 / it came from an address of ours"]
    starts(house, message("合同问题", f"转发：{subject}"), (number, "forward"))
    starts(house, message("合同问题", f"Fwd: {subject}", In_Reply_To=sent), (number, "forward"))
    starts(house, message("合同问题", "地下车库漏水", In_Reply_To=sent), (number, "new_topic"))
    starts(house, message("合同问题", "[TS-20200101-0001] 没有这一件", References="<nobody@knows.example>"))
    # No sender is no sender.
    starts(house, message("合同问题", "Re: 定金纠纷", In_Reply_To=sent, From=""), (number, "other_sender"))
    assert len(house.story(number).messages) == kept
    assert house.events(number) == ["complaint.routed"]


def test_a_reply_before_its_first_mail_was_sorted_and_two_at_once(house: AnsweringHouse) -> None:
    first = house.mail(work=False)
    with house.app.store.read() as conn:
        raw = submissions.load(conn, [first.submission_id])[first.submission_id][0].raw
    own = re.search(rb"Message-ID: (\S+)", raw)
    assert own
    replies = [house.take(message(f"补充{n}：合同问题", "Re: 定金纠纷", In_Reply_To=own[1].decode()), work=False).number for n in range(2)]
    house.work()
    story = house.story(first.number)
    assert [message.said.strip() for message in story.messages] == ["合同问题：定金不退", "补充0：合同问题", "补充1：合同问题"]
    assert {house.story(number).complaint.number for number in replies} == {first.number}
    # One letter, however many mails there were when it was sorted.
    assert len(house.mailer.taken) == 1
    assert len(house.answers(first.number)) == 1


def test_the_same_mail_on_two_ways_is_one_message_and_a_reused_id_is_another_mail(house: AnsweringHouse) -> None:
    raw = message(Message_ID="<same@mail.example>")
    number = house.take(raw).number
    # A relay has added its line, so that the bytes differ.
    again = house.take(b"Received: from relay.example by mx.example; Mon, 23 Nov 2026 01:00:00 +0000\r\n" + raw).number
    assert house.story(again).complaint.number == number
    assert len(house.story(number).messages) == 1
    assert house.events(number) == ["complaint.routed"]
    other = starts(house, message("产品质量：电梯坏了", Message_ID="<same@mail.example>"))
    assert other != number
    # No Message-ID at all: each is kept.
    assert starts(house, message(Message_ID="")) != starts(house, message("合同问题，再说一次", Message_ID=""))


def test_a_parked_mail_that_is_replayed_joins_too(small: AnsweringHouse) -> None:
    number, sent, _ = acknowledged(small)
    intake = small.app.worker._steps["intake"]
    parsers, intake._parsers = intake._parsers, {}  # type: ignore[attr-defined]
    fresh = small.take(message("补充", "Re: 定金纠纷", In_Reply_To=sent)).number
    assert small.story(fresh) is None
    for _ in range(8):
        small.clock.move(hours=1)
        small.work()
    intake._parsers = parsers  # type: ignore[attr-defined]
    with small.app.store.write() as conn:
        assert len(jobs.replay(conn, None, small.clock.now())) == 1
    small.work()
    assert small.story(fresh).complaint.number == number
    assert len(small.story(number).messages) == 2


# Every sign by which a mail says that it wants no answer (RFC 3834 2, RFC 2076 3.9), and what we say of it.
SILENT = {
    "null_return_path": ({}, {"mail_from": ""}, "machine"),
    "return_path": ({"Return_Path": "<>"}, {}, "machine"),
    "auto_replied": ({"Auto_Submitted": "auto-replied"}, {}, "machine"),
    "auto_generated": ({"Auto_Submitted": "auto-generated (cron)"}, {}, "machine"),
    "bulk": ({"Precedence": "bulk"}, {}, "machine"),
    "list_precedence": ({"Precedence": "list"}, {}, "mailing_list"),
    "junk": ({"Precedence": "Junk"}, {}, "machine"),
    "auto_reply": ({"Precedence": "auto_reply"}, {}, "machine"),
    "suppress": ({"X_Auto_Response_Suppress": "OOF, AutoReply"}, {}, "machine"),
    "list_id": ({"List_Id": "<owners.example>"}, {}, "mailing_list"),
    "list_unsubscribe": ({"List_Unsubscribe": "<mailto:x@y.example>"}, {}, "mailing_list"),
    "our_loop": ({"X_Jiesu_Loop": "68a9d995789b"}, {}, "machine"),
    "our_x_loop": ({"X_Loop": "jiesu@68a9d995789b"}, {}, "machine"),
    "autoreply": ({"X_Autoreply": "yes"}, {}, "machine"),
    "daemon": ({"From": "MAILER-DAEMON@mx.example"}, {}, "machine"),
    "subject": ({"Subject": "自动回复：我在休假"}, {}, "machine"),
    "own": ({"From": "接诉 <TOUSU@jiesu.example>"}, {}, "own_address"),
    "own_plus": ({"From": "tousu+x@jiesu.example"}, {}, "own_address"),
    "own_other": ({"From": "kefu@jiesu.example"}, {}, "own_address"),
    "no_reply": ({"From": "no-reply@bank.example"}, {}, "no_reply_address"),
    "no_address": ({"From": ""}, {}, "no_address"),
    "lay_in_the_mailbox": ({}, {"door": "imap", "came_at": "2026-11-01T09:00:00+08:00"}, "old_mail"),
}


@pytest.mark.parametrize("case", SILENT)
def test_nothing_is_answered_to(small: AnsweringHouse, case: str) -> None:
    headers, envelope, why = SILENT[case]
    headers = {"subject": headers["Subject"]} | {k: v for k, v in headers.items() if k != "Subject"} if "Subject" in headers else headers
    raw = message(**headers)  # type: ignore[arg-type]
    number = small.take(raw, envelope=envelope).number
    assert small.mailer.taken == []
    (answer,) = small.answers(number)
    assert answer.state is AnswerState.SUPPRESSED
    assert (answer.reason or "").startswith(f"{why}: ")
    # Stored and sorted all the same, and the page says why.
    assert small.events(number) == ["complaint.routed"]
    assert [line["reason"] for line in small.log("AnswerSuppressed")] == [why]


def test_one_address_gets_so_many_acknowledgements_and_no_more(house: AnsweringHouse) -> None:
    numbers = [house.mail(subject=f"第{n}件", From=sender).number for n, sender in enumerate(
        ["lin@mail.example", "LIN@mail.example", "lin+x@mail.example", "lin@MAIL.example", "Lin <lin@mail.example>"]
    )]  # fmt: skip
    states = [house.answers(number)[0].state.value for number in numbers]
    assert states == ["sent", "sent", "sent", "suppressed", "suppressed"]
    assert (house.answers(numbers[-1])[0].reason or "").startswith("limit: ")
    # Others are not concerned, and an hour later there is room again, until the day's limit.
    assert house.answers(house.mail(From="wang@mail.example").number)[0].state is AnswerState.SENT
    sent = 3
    for n in range(12):
        house.clock.move(minutes=61)
        sent += house.answers(house.mail(subject=f"又{n}").number)[0].state is AnswerState.SENT
    assert sent == 10


def test_answers_go_to_nobody_who_forged_his_way_in(small: AnsweringHouse) -> None:
    number, sent, _ = acknowledged(small)
    small.take(message("补充", "Re: 定金纠纷", In_Reply_To=sent, Reply_To="thief@else.example"))
    small.app.replies.write(number, "您好，已处理。", by="王芳", key="k" * 20)
    small.work()
    assert small.mailer.taken[-1].rcpt_tos == ["lin@mail.example"]


REPORT = """From: MAILER-DAEMON@mx.example
To: tousu@jiesu.example
Subject: Undelivered Mail Returned to Sender
Message-ID: <dsn{n}@mx.example>
Date: Mon, 23 Nov 2026 09:00:00 +0800
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="B"

--B
Content-Type: text/plain

I could not deliver your message.

--B
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; lin@mail.example
Action: {action}
Status: {status}

--B
Content-Type: text/rfc822-headers

Message-ID: {id}
Subject: x

--B--
"""
PLAIN = """From: postmaster@qq.example
To: tousu@jiesu.example
Subject: =?utf-8?B?57O757uf6YCA5L+h?=
Message-ID: <plain@qq.example>

Your mail could not be delivered. Its header was:
  Message-ID: {id}
"""


def report(sent: str, action: str, status: str, n: int = 1) -> bytes:
    return REPORT.format(id=sent, action=action, status=status, n=n).replace("\n", "\r\n").encode()


def test_a_bounce_is_attached_and_the_customer_is_rung_up(house: AnsweringHouse) -> None:
    number, sent, _ = acknowledged(house, body="合同问题，我的电话是13800138000")
    with house.app.store.write() as conn:
        # The fake classifier finds no phones.
        from sqlalchemy import update

        from models.tables import complaints

        conn.execute(update(complaints).where(complaints.c.number == number).values(phone="13800138000"))
    # Delayed, and read: nothing bad.
    for n, action in enumerate(("delayed", "delivered")):
        house.take(report(sent, action, "4.4.1", n), envelope={"mail_from": ""})
        assert house.answers(number)[0].state is AnswerState.SENT
    fresh = house.take(report(sent, "failed", "5.1.1", 9), envelope={"mail_from": ""}).number
    assert house.story(fresh).complaint.number == number
    mailed, call = house.answers(number)
    assert mailed.state is AnswerState.FAILED
    assert (mailed.reason or "").startswith("bounced: 信件被退回 5.1.1")
    assert (call.way, call.state, call.body) == (Way.CALL, AnswerState.WAITING, mailed.body)
    (listed,) = house.app.replies.calls()
    assert (listed.phone, listed.answer.number) == ("13800138000", number)
    # Attached, but nothing to sort by, nobody told of it, and nobody answered.
    assert [message.aside for message in house.story(number).messages] == [False, True, True, True]
    assert house.events(number) == ["complaint.routed"]
    assert len(house.mailer.taken) == 1
    assert house.story(number).classified == house.story(number).messages[0].said
    # A later reply is still sorted by people's words alone.
    house.take(message("另外：合同问题", "Re: 定金纠纷", In_Reply_To=sent))
    assert "deliver" not in house.story(number).classified
    # The same report again: one call.
    house.take(report(sent, "failed", "5.1.1", 10), envelope={"mail_from": ""})
    assert len(house.app.replies.calls()) == 1
    # As long as the page lets it be, with the new lines that browsers send.
    done = house.app.replies.called(listed.answer.id, by="王芳", note="告\r\n" * 250)
    assert done.state is AnswerState.SENT
    assert house.app.replies.calls() == []


def test_bounces_of_other_shapes_and_what_only_looks_like_one(small: AnsweringHouse) -> None:
    number, sent, _ = acknowledged(small)
    # An absence notice has an empty return path, too.
    small.take(message("我在休假", "Re: 已收到", In_Reply_To=sent, Auto_Submitted="auto-replied"), envelope={"mail_from": ""})
    assert small.answers(number)[0].state is AnswerState.SENT
    assert small.story(number).messages[-1].aside
    # A bounce of what we never sent starts its own, unanswered.
    own = small.take(report("<unknown@jiesu.example>", "failed", "5.1.1", 5), envelope={"mail_from": ""}).number
    assert small.story(own).complaint.number == own
    small.take(PLAIN.format(id=sent).replace("\n", "\r\n").encode(), envelope={"mail_from": ""})
    assert small.answers(number)[0].state is AnswerState.FAILED
    assert len(small.mailer.taken) == 1


def test_what_cannot_be_mailed_is_tried_again_then_given_up_and_can_be_replayed(house: AnsweringHouse) -> None:
    later = MailOutcome(MailCode.DEFERRED, 451, 0.01, "try later")
    house.mailer.outcomes = [later, later]
    number = house.mail().number
    (answer,) = house.answers(number)
    assert answer.state is AnswerState.WAITING
    for seconds in (20, 75):
        house.clock.move(seconds=seconds)
        house.work()
    (answer,) = house.answers(number)
    assert answer.state is AnswerState.SENT
    assert [one.code for one in house.story(number).tries[answer.id]] == ["deferred", "deferred", "accepted"]
    assert len(house.log("AnswerRetried")) == 2
    assert len(house.log("AnswerSent")) == 1
    # For good: parked at once, and told.
    house.mailer.outcomes = [MailOutcome(MailCode.REFUSED, 550, 0.01, "no such box")]
    number = house.mail(subject="又一件").number
    (answer,) = house.answers(number)
    assert answer.state is AnswerState.FAILED
    assert (answer.reason or "").startswith("refused: 邮件未送出 550")
    assert [job.kind for job in house.story(number).parked] == ["answer"]
    assert house.log("AnswerFailed")[0]["call"] is False
    with house.app.store.write() as conn:
        jobs.replay(conn, None, house.clock.now())
    house.work()
    assert house.answers(number)[0].state is AnswerState.SENT
    # And when every try of a day failed.
    house.mailer.outcomes = [MailOutcome(MailCode.AWAY, None, 0.0)] * 30
    number = house.mail(subject="第三件").number
    for _ in range(14):
        house.clock.move(hours=9)
        house.work()
    (answer,) = house.answers(number)
    assert answer.state is AnswerState.FAILED
    assert (answer.reason or "").startswith("attempts_exhausted: ")
    assert len(house.story(number).tries[answer.id]) == 11


def test_an_unclear_end_is_followed_by_the_same_letter(small: AnsweringHouse) -> None:
    small.mailer.outcomes = [MailOutcome(MailCode.LOST, None, 0.01)]
    small.mail()
    small.clock.move(seconds=20)
    small.work()
    first, second = small.mailer.taken
    assert first.message["Message-ID"] == second.message["Message-ID"]
    assert first.raw.split(b"From:")[1] == second.raw.split(b"From:")[1]


def test_on_which_way_a_customer_is_told(small: AnsweringHouse) -> None:
    from gateway.answering import Told

    def told(number: str, what: Told = Told.RESOLVED, key: str = "status:1"):
        with small.app.store.write() as conn:
            return small.app.answering.tell(
                conn, number, what, "已退还定金。", source_key=f"{key}:{number}", by="tracker", now=small.clock.now()
            )

    number, sent, _ = acknowledged(small)
    answer = told(number)
    assert answer is not None
    assert (answer.way, answer.to) == (Way.EMAIL, "lin@mail.example")
    assert told(number) is None
    small.work()
    letter = small.mailer.taken[-1].message
    assert letter["Auto-Submitted"] == "auto-replied"
    assert letter["References"].split()[-1] == letter["In-Reply-To"] == sent
    assert "已退还定金。" in letter.get_content()
    # A chat is answered in the chat; a machine's mail not at all; without an address the phone is left; without that nothing.
    import json

    from factories import submission

    raw = json.dumps({"id": "c1", "text": "价格问题"}).encode()
    chat = small.app.accept(submission(raw, channel=Channel.CHAT, key="t:c1", conversation="t", at=small.clock.now())).number
    small.clock.move(seconds=30)
    small.work()
    answer = told(chat)
    assert answer is not None
    assert (answer.way, answer.state) == (Way.CHAT, AnswerState.WAITING)
    machine = small.mail(Auto_Submitted="auto-generated").number
    answer = told(machine)
    assert answer is not None
    assert answer.state is AnswerState.SUPPRESSED
    nobody = small.mail(From="").number
    answer = told(nobody)
    assert answer is not None
    assert (answer.state, (answer.reason or "")[:10]) == (AnswerState.SUPPRESSED, "no_address")
    with small.app.store.write() as conn:
        from sqlalchemy import update

        from models.tables import complaints

        conn.execute(update(complaints).where(complaints.c.number == nobody).values(phone="13800138000"))
    answer = told(nobody, key="status:2")
    assert answer is not None
    assert (answer.way, answer.state) == (Way.CALL, AnswerState.WAITING)
    assert [call.phone for call in small.app.replies.calls()] == ["13800138000"]
    assert Customer(phone="1") != Customer()


def test_where_outgoing_mail_is_off_nothing_is_sent_and_the_page_says_so(tmp_path: Path) -> None:
    house = AnsweringHouse(tmp_path, mail_enabled="false")
    try:
        number = house.mail().number
        (answer,) = house.answers(number)
        assert (answer.reason or "").startswith("mail_off: ")
        assert house.mailer.taken == []
    finally:
        house.app.close()


def test_a_message_id_is_fixed_once(small: AnsweringHouse) -> None:
    number, _, _ = acknowledged(small)
    (answer,) = small.answers(number)
    with small.app.store.write() as conn:
        assert answers.fix_message_id(conn, answer.id, "<other@jiesu.example>") == answer.message_id


def test_what_people_write_through_lists_reaches_somebody(small: AnsweringHouse) -> None:
    number, sent, _ = acknowledged(small)
    joins(small, number, message("合同问题，群发的催办", "Re: 定金纠纷", In_Reply_To=sent, Precedence="bulk"), "references")
    assert small.events(number) == ["complaint.routed", "complaint.updated"]
    joins(small, number, message("我在休假", "自动回复: 定金纠纷", In_Reply_To=sent), "references")
    assert small.events(number) == ["complaint.routed", "complaint.updated"]


def test_the_subject_of_an_acknowledgement_is_the_matter_alone(small: AnsweringHouse) -> None:
    small.mail(subject="Re: 转发：FW: 定金纠纷")
    assert small.mailer.taken[0].message["Subject"].startswith("已收到您的投诉：定金纠纷 [TS-")
    # Nobody advertises through us to whom he puts into From.
    for place, subject in enumerate(
        ("买 https://evil.example/x?y 便宜", "访问 evil.com/x 领取", "访问evil.cn领取", "加 win@evil.com 领取"), 1
    ):
        small.mail(subject=subject, From=f"www.evil.example 点我 <o'brien{place}@mail.example>")
        letter = small.mailer.taken[place]
        assert letter.rcpt_tos == [f"o'brien{place}@mail.example"]
        assert "evil" not in str(letter.message["Subject"]) + str(letter.message.get_content())


def test_a_mail_that_is_read_once_more_changes_nothing(small: AnsweringHouse) -> None:
    first = small.mail()
    reply = small.take(message("补充", "Re: 定金纠纷", In_Reply_To=small.mailer.taken[0].message["Message-ID"]))
    for receipt in (first, reply):
        with small.app.store.write() as conn:
            payload = {"submission_id": receipt.submission_id}
            jobs.enqueue(conn, [jobs.NewJob("intake", receipt.number, receipt.number, payload)], small.clock.now())
        small.work()
    story = small.story(first.number)
    assert len(story.messages) == 2
    assert story.joined == {reply.number: "references"}
    assert small.events(first.number) == ["complaint.routed", "complaint.updated"]
    assert len(small.log("Joined")) == 1


def test_whoever_forwards_our_acknowledgement_is_told_what_it_is_about(small: AnsweringHouse) -> None:
    small.mail()
    subject = small.mailer.taken[0].message["Subject"]
    # Folded within the token, as mail programs fold long subjects.
    small.take(message("请转给经理", f"转发：{subject[:-8]} {subject[-8:]}", From="王一 <wang@mail.example>"))
    assert small.mailer.taken[1].message["Subject"].startswith("已收到您的投诉：定金纠纷 [TS-")


def test_a_reply_whose_subject_was_folded_within_the_token_joins(small: AnsweringHouse) -> None:
    number = small.mail().number
    subject = small.mailer.taken[0].message["Subject"]
    joins(small, number, message("再补充", f"回复：{subject[:-8]} {subject[-8:]}", From="王一 <wang@mail.example>"), "token")


@pytest.mark.parametrize("headers", [{"Precedence": "auto_reply"}, {"X_Autoreply": "yes"}, {"Auto_Submitted": "auto-replied"}])
def test_what_a_responder_writes_changes_nothing(small: AnsweringHouse, headers: dict[str, str]) -> None:
    number, _, subject = acknowledged(small)
    joins(small, number, message("产品质量：我在休假", f"Re: {subject}", **headers), "token")
    assert small.story(number).messages[-1].aside
    assert small.events(number) == ["complaint.routed"]
