"""Erasure (PIPL 47): nothing in the store, in any table, says any more whose complaint it was, and what others rely on is whole."""

from __future__ import annotations

import base64
import io
import itertools
import json
import threading
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from answering_house import MAIL, message
from fakes import FakeSender
from handoff_house import House
from sqlalchemy import insert, inspect, select, update

from gateway import event_schemas
from gateway.erasing import Reason
from gateway.store import call_joining, complaints, erasing, events, jobs, statuses, threads, trackers
from gateway.store.erasing import TREATMENT, Blank, Gone
from gateway.store.trackers import FileRow
from models.complaint import ComplaintState
from models.correction import Source
from models.errors import Refused
from models.remote import FileState
from models.status import StatusCode, StatusReport
from models.submission import Channel, Submission
from models.tables import answered_requests, mailbox_mails, metadata, statements, talk_says, talks
from models.verdict import ComplaintClass

NAME, PHONE, BOX, ESTATE, UNIT, WORDS = "诸葛树人", "13912345678", "zhuge@wolong.example", "隆中花园", "7栋2单元1803", "茅庐漏雨"
SECRETS = (NAME, PHONE, BOX, ESTATE, UNIT, WORDS, "wolong", "12345678")
_ids = itertools.count(1)


def test_every_table_and_column_is_in_the_list() -> None:
    assert set(TREATMENT) == set(metadata.tables)
    for name, treatment in TREATMENT.items():
        if isinstance(treatment, Blank):
            columns = [*treatment.kept, *treatment.values, *treatment.rewritten]
            assert sorted(columns) == sorted(metadata.tables[name].columns.keys()), name
        # Those that say nothing of a customer are told by name, for a person to have looked.
        assert isinstance(treatment, Blank | Gone) or treatment.why


def test_the_page_for_people_names_every_table_that_is_changed() -> None:
    page = (Path(__file__).parents[2] / "docs" / "erasure.md").read_text("utf-8")
    assert [name for name, one in TREATMENT.items() if isinstance(one, Blank | Gone) and f"`{name}`" not in page] == []


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def house(request: pytest.FixtureRequest, tmp_path: Path):
    url = {} if request.param == "sqlite" else {"JIESU_STORE_URL": request.getfixturevalue("postgres_url")}
    bi = '[[endpoint]]\nname = "bi"\nurl = "http://x.example/bi"\ntypes = ["*"]\n'
    none = '[[endpoint]]\nname = "none"\nurl = "http://x.example/none"\nclasses = ["service_attitude"]\n'
    made = House(tmp_path / "home", bi + none, **url, **MAIL)
    made.sender.of["tracker"] = Echo()
    yield made
    made.app.close()


class Echo(FakeSender):
    """A receiver that repeats what it was sent, as those do that are badly made."""

    def send(self, outgoing: Any) -> Any:
        from dataclasses import replace

        return [replace(one, answer=sent.body.decode()[:4000]) for one, sent in zip(super().send(outgoing), outgoing, strict=True)]


def mailed(house: House, body: str, subject: str, **headers: str) -> str:
    raw = message(body, subject, From=f"{NAME} <{BOX}>", **headers)
    envelope = {"door": "imap", "mailbox": "kefu", "mail_from": BOX, "rcpt_tos": ["tousu@jiesu.example"]}
    return taken(house, Submission(Channel.EMAIL, raw, "message/rfc822", f"mail:{next(_ids)}:{PHONE}", house.clock.now(), None, envelope))


def taken(house: House, submission: Submission) -> str:
    number = house.app.accept(submission).number
    house.clock.move(seconds=9)
    house.app.worker.drain()
    return number


def everything(house: House, number: str) -> None:
    """All that can be kept of a complaint: replies, a correction, answers, statuses, calls of a program, the ledger of a mailbox."""
    sent = house.app.desk.story(number).answers[0].message_id
    house.app.correcting.correct(number, ComplaintClass.CONTRACT, by="王芳", source=Source.API, note=f"{NAME} 说的是合同")
    said = StatusReport(
        "tracker", f"m{next(_ids)}", number, StatusCode.RESOLVED, house.clock.now(), None, None, f"{NAME}您好", f"打 {PHONE}", NAME
    )
    house.app.statuses.take(said)
    house.app.replies.write(number, f"{NAME}先生：{WORDS}已修", by="王芳", key="k")
    house.app.worker.drain()
    mailed(house, f"还是{WORDS}", "Re: x", In_Reply_To=str(sent))
    with house.app.store.write() as conn:
        row = {"key": f"k{next(_ids)}", "sha256": "", "at": house.clock.now(), "status": 201}
        conn.execute(insert(answered_requests).values(body=json.dumps({"number": number, "text": WORDS}, ensure_ascii=False), **row))
        conn.execute(insert(statements).values(number=number, at=house.clock.now(), was="price", klass="contract"))
        led = {"mailbox": "kefu", "generation": 1, "uid": next(_ids), "state": "taken", "at": house.clock.now(), "size": 9}
        conn.execute(insert(mailbox_mails).values(number=number, reason=f"{NAME}: odd", attempts=1, after="nothing", **led))


def found_in(house: House, *secrets: str) -> set[str]:
    """The tables and columns in which one of these words stands, however it is spelt."""
    spelt = {form for secret in secrets for form in (secret, json.dumps(secret)[1:-1])}
    coded = {base64.b64encode(secret.encode()[shift:]).decode().rstrip("=")[:-1] for secret in secrets for shift in range(3)}
    seen = set()
    with house.app.store.read() as conn:
        assert set(inspect(conn).get_table_names()) - {"alembic_version"} == set(metadata.tables)
        for table in metadata.sorted_tables:
            if table.name == "trained_models":
                continue
            for row in conn.execute(select(table)).mappings():
                for column, value in row.items():
                    text = (
                        value.decode("utf-8", "replace") if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False, default=str)
                    )
                    if any(one in text for one in spelt) or any(one in text for one in coded):
                        seen.add(f"{table.name}.{column}")
    return seen


TEXT = f"合同问题：我叫{NAME}，电话{PHONE}，{ESTATE}{UNIT}，{WORDS}"


def test_nothing_is_left_of_a_mail_and_all_that_came_of_it(house: House, tmp_path: Path) -> None:
    other = house.complain("价格问题", "价格问题：别人的事")
    number = mailed(house, TEXT, f"{NAME}的投诉")
    everything(house, number)
    before = found_in(house, *SECRETS)
    # The test can fail: the words are all over the place.
    assert {one.partition(".")[0] for one in before} >= {
        "submissions", "messages", "complaints", "events", "attempts", "answers", "statuses", "corrections",
        "answered_requests", "mailbox_mails", "mail_ids", "examples",
    }  # fmt: skip
    ids = [(row.id, row.type) for row in of(house, number)]
    looked = house.app.erasing.preview(number)
    assert found_in(house, *SECRETS) == before
    assert (looked.numbers, looked.told, looked.outside, looked.before) == ([number], ["bi", "tracker"], ["mailbox: kefu"], False)
    assert looked.rows["submissions"] == looked.rows["messages"] == 2
    done = house.app.erasing.erase(number, reason=Reason.PERSON_ASKED, by="王芳")
    assert done == looked
    assert found_in(house, *SECRETS) == set()
    # Ids, order and deliveries are as they were; what is left of each event is still what its schema says.
    assert [(row.id, row.type) for row in of(house, number)][:-1] == ids
    for row in of(house, number):
        jsonschema.validate(json.loads(row.payload), event_schemas.made()[event_schemas.name_of(row.type.value)])
    house.app.worker.drain()
    # Who was told is told, whatever he wants to hear of; and nobody else.
    for endpoint in ("tracker", "bi"):
        told = house.told(endpoint)[-1]
        assert (told["type"], told["data"]["number"], told["data"]["reason"]) == ("complaint.erased", number, "person_asked")
    assert "none" not in house.sender.of
    report = house.app.reconciliation.report(house.clock.now() - timedelta(days=1), house.clock.now() + timedelta(days=1))
    assert report.unexplained == 0
    # What statistics want is there.
    whole = house.app.records.whole(number)
    assert whole is not None
    with house.app.store.read() as conn:
        left = complaints.load(conn, [number])[number]
        assert (left.klass, left.department, left.state, left.erased) == (ComplaintClass.CONTRACT, "legal", ComplaintState.CLOSED, True)
        assert len(statuses.of(conn, number)) == 1
    assert house.app.desk.story(number) is not None
    assert "价格问题" in json.dumps(house.app.records.whole(other), ensure_ascii=False)
    # Once more does no harm and tells nobody.
    assert house.app.erasing.erase(number, reason=Reason.RETENTION, by="王芳").before
    house.app.worker.drain()
    assert house.types("tracker").count("erased") == 1
    assert [line["reason"] for line in house.log("Erased")] == ["person_asked", "retention"]
    assert not any(secret in house.stream.getvalue() for secret in SECRETS)
    if house.app.store.is_sqlite:
        # Not in the file either: neither in free pages nor in the log of writes.
        for file in (tmp_path / "home").glob("jiesu.db*"):
            assert [secret for secret in SECRETS if secret.encode() in file.read_bytes()] == [], file


def of(house: House, number: str) -> Any:
    with house.app.store.read() as conn:
        return events.of_number(conn, number)


def test_nothing_is_left_of_a_chat_with_two_matters(house: House) -> None:
    talk = "a" * 64
    for conversation, text in ((talk, TEXT), (f"{talk}:two", f"价格问题 {NAME}")):
        raw = json.dumps({"id": f"c{next(_ids)}", "text": text}).encode()
        envelope = {"door": "chat", "language": "zh", "customer": {"name": NAME, "phone": PHONE}}
        key = f"{talk}:{next(_ids)}"
        taken(house, Submission(Channel.CHAT, raw, "application/json", key, house.clock.now(), conversation, envelope))
    house.app.talks.advance([talk, f"{talk}:two"])
    with house.app.store.write() as conn:
        conn.execute(talks.update().values(identity={"id": PHONE, "name": NAME}))
        say = {"talk": talk, "topic": "", "at": house.clock.now(), "code": "x", "en": "", "asks": "", "replies": [[NAME, NAME]]}
        conn.execute(insert(talk_says).values(zh=f"{NAME}您好", **say))
    numbers = sorted({event["data"]["number"] for event in house.told()})
    assert len(numbers) == 2
    done = house.app.erasing.erase(numbers[1], reason=Reason.RETENTION, by="王芳")
    assert list(done.numbers) == numbers
    assert found_in(house, *SECRETS) == set()
    house.app.worker.drain()
    assert house.types("tracker").count("erased") == 2
    # His token opens nothing any more, and what he writes next is a new complaint.
    raw = json.dumps({"id": "c9", "text": "价格问题"}).encode()
    again = taken(house, Submission(Channel.CHAT, raw, "application/json", f"{talk}:9", house.clock.now(), talk, {"door": "chat"}))
    assert again not in numbers


def test_nothing_is_left_of_a_call(house: House) -> None:
    raw = f"坐席：您好\n客户：{TEXT}\n".encode()
    call = {"caller": PHONE, "id": f"call-{PHONE}", "agent": NAME}
    envelope = {"door": "drop", "file_name": f"{PHONE}.txt", "sidecar": json.dumps(call), "call": call}
    number = taken(house, Submission(Channel.PHONE, raw, "text/plain", f"drop:{PHONE}", house.clock.now(), None, envelope))
    assert {one.partition(".")[0] for one in found_in(house, *SECRETS)} >= {"calls", "submissions", "messages", "events"}
    done = house.app.erasing.erase(number, reason=Reason.PERSON_ASKED, by="王芳")
    assert done.outside == [f"drop/done: {PHONE}.txt"]
    assert found_in(house, *SECRETS) == set()


def test_what_was_parked_and_never_read_is_erased_too(house: House) -> None:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("x", TEXT)
    raw = zipped.getvalue() + TEXT.encode()
    number = taken(house, Submission(Channel.PHONE, raw, "text/plain", f"drop:{PHONE}", house.clock.now(), None, {"door": "drop"}))
    with house.app.store.read() as conn:
        assert [one.number for one in jobs.parked(conn)] == [number]
    assert found_in(house, *SECRETS)
    assert house.app.erasing.erase(number, reason=Reason.PERSON_ASKED, by="王芳").told == []
    assert found_in(house, *SECRETS) == set()
    with house.app.store.read() as conn:
        assert jobs.parked(conn) == []
    assert unexplained(house) == 0


def unexplained(house: House) -> int:
    return house.app.reconciliation.report(house.clock.now() - timedelta(days=1), house.clock.now() + timedelta(days=1)).unexplained


def test_what_was_never_sorted_of_a_person_is_no_riddle_to_the_reconciliation(house: House) -> None:
    first = mailed(house, TEXT, "投诉")
    away = {"Auto_Submitted": "auto-replied", "In_Reply_To": str(house.app.desk.story(first).answers[0].message_id)}
    # A notice of absence, which is sorted by nobody; a chat that has not paused yet; and one in which he agreed at last.
    mailed(house, "我在休假", "自动回复", **away)
    assert len(house.app.desk.story(first).messages) == 2
    seen = []
    for talk, text, asked in (("2", f"价格问题{WORDS}", {}), ("3", f"价格问题{WORDS}", {}), ("3", "同意", {"asked": "consent"})):
        raw = json.dumps({"id": f"c{next(_ids)}", "text": text}).encode()
        key, envelope = f"t{talk}:{next(_ids)}", {"door": "chat", **asked}
        seen.append(house.app.accept(Submission(Channel.CHAT, raw, "application/json", key, house.clock.now(), talk * 64, envelope)).number)
    house.app.worker.drain()
    for number in (first, *dict.fromkeys(seen)):
        house.app.erasing.erase(number, reason=Reason.PERSON_ASKED, by="王芳")
    house.app.worker.drain()
    assert found_in(house, *SECRETS) == set()
    assert unexplained(house) == 0


def test_what_was_not_delivered_yet_goes_out_without_the_person(house: House) -> None:
    house.sender.of["bi"] = FakeSender(fail_times=10**6)
    number = mailed(house, TEXT, f"{NAME}的投诉")
    house.app.erasing.erase(number, reason=Reason.PERSON_ASKED, by="王芳")
    house.sender.of["bi"].fail_times = 0
    for _ in range(30):
        house.clock.move(hours=12)
        house.app.worker.drain()
    told = house.told("bi")
    assert house.types("bi") == ["received", "classified", "routed", "erased"]
    assert not any(secret in json.dumps(told, ensure_ascii=False) for secret in SECRETS)
    assert told[2]["data"]["class"] == "contract"


def test_nothing_is_added_to_what_is_erased(house: House) -> None:
    number = mailed(house, TEXT, "投诉")
    sent = house.app.desk.story(number).answers[0].message_id
    subject = house.mailer.taken[-1].message["Subject"]
    house.app.erasing.erase(number, reason=Reason.PERSON_ASKED, by="王芳")
    with pytest.raises(Refused, match="erased"):
        house.app.correcting.correct(number, ComplaintClass.PRICE, by="王芳", source=Source.API)
    with pytest.raises(Refused, match="erased"):
        house.app.statuses.take(StatusReport("tracker", "m", number, StatusCode.RESOLVED, house.clock.now(), customer_text=NAME))
    with pytest.raises(Refused, match="erased"):
        house.app.replies.write(number, "您好", by="王芳", key="k")
    # A reply begins a complaint of its own, even with our token in its subject.
    assert mailed(house, "合同问题", f"Re: {subject}", In_Reply_To=str(sent)) != number
    assert len(house.app.desk.story(number).messages) == 1


def test_who_is_asked_for_nothing_or_says_nothing_is_refused(house: House) -> None:
    with pytest.raises(Refused, match="there is no complaint"):
        house.app.erasing.preview("TS-20261123-9999")
    number = house.complain()
    with pytest.raises(Refused, match="say who erases"):
        house.app.erasing.erase(number, reason=Reason.RETENTION, by="  ")
    with house.app.store.read() as conn:
        assert not complaints.load(conn, [number])[number].erased


def test_another_complaint_of_the_same_person_is_named_and_stays(house: House) -> None:
    first, second = mailed(house, TEXT, "投诉一"), mailed(house, TEXT, "投诉二")
    assert list(house.app.erasing.preview(first).others) == [second]
    house.app.erasing.erase(first, reason=Reason.PERSON_ASKED, by="王芳")
    assert list(house.app.erasing.preview(second).others) == []
    assert found_in(house, WORDS)
    with house.app.store.read() as conn:
        assert erasing.find(conn, "nothing") is None


# ---- What is in hand at that moment --------------------------------------------------------------------------------------------------


class Meanwhile(Echo):
    """A receiver that takes its time, in which somebody is erased; then it repeats what it was sent."""

    def __init__(self, erase: Any, **more: Any) -> None:
        super().__init__(**more)
        self.erase = erase

    def send(self, outgoing: Any) -> Any:
        erase, self.erase = self.erase, None
        if erase:
            erase(json.loads(outgoing[0].body)["data"]["number"])
        return super().send(outgoing)


@pytest.mark.parametrize("fails", [0, 10**6])
def test_what_a_receiver_says_of_a_delivery_in_hand_is_kept_without_the_person(house: House, fails: int) -> None:
    house.sender.of["bi"] = Meanwhile(
        lambda number: house.app.erasing.erase(number, reason=Reason.PERSON_ASKED, by="王芳"), fail_times=fails
    )
    number = mailed(house, TEXT, f"{NAME}的投诉")
    assert house.sender.of["bi"].erase is None
    assert len(house.sender.of["bi"].sent) > 0
    assert found_in(house, *SECRETS) == set()
    with house.app.store.read() as conn:
        assert complaints.load(conn, [number])[number].erased
        assert len(events.attempts_of(conn, number)) > 0


def test_a_call_in_hand_is_joined_to_nothing_that_is_erased(house: House) -> None:
    first, second = ring(house, "合同问题：押金不退"), ring(house, "价格问题：多收了钱")
    house.app.erasing.erase(first, reason=Reason.PERSON_ASKED, by="王芳")
    with house.app.store.write() as conn:
        (said,) = complaints.conversation(conn, [second])[second]
        # Whoever decided before the erasure that they are about the same comes after it.
        why = {"by": "same_home", "zh": "", "en": ""}
        assert not call_joining.join(conn, said.submission_id, second, first, house.clock.now(), why)
    assert len(house.app.desk.story(first).messages) == len(house.app.desk.story(second).messages) == 1


def ring(house: House, text: str) -> str:
    envelope = {"door": "drop", "file_name": "a.txt", "call": {"caller": f"1381111{next(_ids):04d}"}}
    raw = f"坐席：您好\n客户：{text}\n".encode()
    return taken(house, Submission(Channel.PHONE, raw, "text/plain", f"drop:{next(_ids)}", house.clock.now(), None, envelope))


def test_what_a_tracker_says_of_a_file_in_hand_is_kept_without_the_person(house: House) -> None:
    number = mailed(house, TEXT, "投诉")
    house.app.erasing.erase(number, reason=Reason.PERSON_ASKED, by="王芳")
    with house.app.store.write() as conn:
        trackers.keep_file(house.app.store, conn, "bi", number, "a1", FileRow(FileState.REFUSED, 1, f"{PHONE}.txt: too large"))
    assert found_in(house, *SECRETS) == set()


def test_a_reply_that_joins_at_that_moment_is_erased_too(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    number = mailed(house, "价格问题", "投诉")
    sent = house.app.desk.story(number).answers[0].message_id
    done = threading.Event()

    def erase() -> None:
        house.app.erasing.erase(number, reason=Reason.PERSON_ASKED, by="王芳")
        done.set()

    erasure = threading.Thread(target=erase)

    def slowly(*args: Any) -> None:
        # It is decided where the mail belongs, and there is time to come in between.
        erasure.start()
        done.wait(0.5)
        join(*args)

    join = threads.join
    monkeypatch.setattr(threads, "join", slowly)
    mailed(house, TEXT, "Re: 投诉", In_Reply_To=str(sent))
    erasure.join(20)
    house.app.worker.drain()
    assert done.is_set()
    assert found_in(house, *SECRETS) == set()
    with house.app.store.read() as conn:
        assert len(complaints.conversation(conn, [number])[number]) == 2
        assert {kind for kind, _ in jobs.counts(conn)} <= {"deliver"}


def test_nothing_is_decided_any_more_about_what_is_erased(house: House) -> None:
    number = chatted(house, "价格问题")
    house.app.erasing.erase(number, reason=Reason.PERSON_ASKED, by="王芳")
    house.app.worker.drain()
    told = len(of(house, number))
    with house.app.store.write() as conn:
        conn.execute(update(metadata.tables["complaints"]).values(triaged_through=0))
        jobs.enqueue(conn, [jobs.NewJob("triage", number, number, {})], house.clock.now())
    house.app.worker.drain()
    assert len(of(house, number)) == told
    with house.app.store.read() as conn:
        assert not jobs.counts(conn)


def chatted(house: House, text: str) -> str:
    raw = json.dumps({"id": f"c{next(_ids)}", "text": text}).encode()
    key = f"{'b' * 64}:{next(_ids)}"
    return taken(house, Submission(Channel.CHAT, raw, "application/json", key, house.clock.now(), "b" * 64, {"door": "chat"}))
