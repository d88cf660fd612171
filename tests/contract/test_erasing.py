"""Erasure (PIPL 47): nothing in the store, in any table, says any more whose complaint it was, and what others rely on is whole."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest
from erasing_house import NAME, PHONE, SECRETS, TEXT, WORDS, found_in, ids, mailed, of, opened, taken, unexplained
from fakes import FakeSender
from handoff_house import House
from sqlalchemy import insert

from gateway import event_schemas
from gateway.erasing import Reason
from gateway.store import complaints, erasing, jobs, statuses
from gateway.store.erasing import TREATMENT, Blank, Gone
from models.complaint import ComplaintState
from models.correction import Source
from models.errors import Refused
from models.status import StatusCode, StatusReport
from models.submission import Channel, Submission
from models.tables import answered_requests, mailbox_mails, metadata, statements, talk_says, talks
from models.verdict import ComplaintClass


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
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    yield from opened(request, tmp_path / "home")


def everything(house: House, number: str) -> None:
    """All that can be kept of a complaint: replies, a correction, answers, statuses, calls of a program, the ledger of a mailbox."""
    sent = house.app.desk.story(number).answers[0].message_id
    house.app.correcting.correct(number, ComplaintClass.CONTRACT, by="王芳", source=Source.API, note=f"{NAME} 说的是合同")
    said = StatusReport(
        "tracker", f"m{next(ids)}", number, StatusCode.RESOLVED, house.clock.now(), None, None, f"{NAME}您好", f"打 {PHONE}", NAME
    )
    house.app.statuses.take(said)
    house.app.replies.write(number, f"{NAME}先生：{WORDS}已修", by="王芳", key="k")
    house.app.worker.drain()
    mailed(house, f"还是{WORDS}", "Re: x", In_Reply_To=str(sent))
    with house.app.store.write() as conn:
        row = {"key": f"k{next(ids)}", "sha256": "", "at": house.clock.now(), "status": 201}
        conn.execute(insert(answered_requests).values(body=json.dumps({"number": number, "text": WORDS}, ensure_ascii=False), **row))
        conn.execute(insert(statements).values(number=number, at=house.clock.now(), was="price", klass="contract"))
        led = {"mailbox": "kefu", "generation": 1, "uid": next(ids), "state": "taken", "at": house.clock.now(), "size": 9}
        conn.execute(insert(mailbox_mails).values(number=number, reason=f"{NAME}: odd", attempts=1, after="nothing", **led))


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


def test_nothing_is_left_of_a_chat_with_two_matters(house: House) -> None:
    talk = "a" * 64
    for conversation, text in ((talk, TEXT), (f"{talk}:two", f"价格问题 {NAME}")):
        raw = json.dumps({"id": f"c{next(ids)}", "text": text}).encode()
        envelope = {"door": "chat", "language": "zh", "customer": {"name": NAME, "phone": PHONE}}
        key = f"{talk}:{next(ids)}"
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


def test_what_was_never_sorted_of_a_person_is_no_riddle_to_the_reconciliation(house: House) -> None:
    first = mailed(house, TEXT, "投诉")
    away = {"Auto_Submitted": "auto-replied", "In_Reply_To": str(house.app.desk.story(first).answers[0].message_id)}
    # A notice of absence, which is sorted by nobody; a chat that has not paused yet; and one in which he agreed at last.
    mailed(house, "我在休假", "自动回复", **away)
    assert len(house.app.desk.story(first).messages) == 2
    seen = []
    for talk, text, asked in (("2", f"价格问题{WORDS}", {}), ("3", f"价格问题{WORDS}", {}), ("3", "同意", {"asked": "consent"})):
        raw = json.dumps({"id": f"c{next(ids)}", "text": text}).encode()
        key, envelope = f"t{talk}:{next(ids)}", {"door": "chat", **asked}
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
