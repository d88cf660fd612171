"""Calls, joined numbers and the ledger of a bucket, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from factories import MORNING, submission
from sqlalchemy import select

from gateway.store import answers, call_joining, calls, complaints, submissions, threads
from gateway.store.bucket import BucketLedger
from gateway.store.engine import Store
from models.answer import Answer, AnswerKind, Way
from models.submission import Channel
from models.tables import messages


def begun(store: Store, text: str, **call: Any) -> tuple[int, str]:
    """A call that has been read: its submission's id and its number."""
    with store.write() as conn:
        offered = submission(text.encode(), channel=Channel.PHONE)
        (receipt,) = submissions.take_in(store, conn, [offered], ZoneInfo("Asia/Shanghai"), MORNING)
        complaints.begin(store, conn, receipt.number, Channel.PHONE, MORNING, "")
        row = {"number": receipt.number, "submission_id": receipt.submission_id, "received_at": MORNING, "title": "", "said": text}
        complaints.add_message(store, conn, row | {"text": text, "machine": False, "parsed": {"turns": []}})
        known = {"centre": "", "call_id": "", "caller": "", "words": "", "to_call_back": False} | call
        calls.add(store, conn, {"number": receipt.number, "submission_id": receipt.submission_id, "received_at": MORNING} | known)
    return receipt.submission_id, receipt.number


def test_earlier_complaints_are_found_by_caller_id_and_words(store: Store) -> None:
    _, one = begun(store, "a", caller="13900000001")
    _, two = begun(store, "b", call_id="id-2")
    _, three = begun(store, "c", words="w3")
    begun(store, "d", caller="13900000009")
    with store.read() as conn:
        found = calls.earlier(conn, callers=["13900000001", ""], call_ids=["id-2", ""], words=["w3", ""], besides=[])
        assert {row.number for row in found} == {one, two, three}
        assert [row.number for row in calls.earlier(conn, callers=["13900000001"], call_ids=[], words=[], besides=[one])] == []
        assert calls.earlier(conn, callers=[""], call_ids=[""], words=[""], besides=[]) == []


def test_a_call_moves_with_all_that_was_made_of_it_and_its_number_leads_on(store: Store) -> None:
    _, first = begun(store, "a", caller="1")
    second_id, second = begun(store, "b", caller="1")
    third_id, third = begun(store, "c", caller="1")
    why = {"by": "alike", "zh": "内容相近", "en": "similar"}
    with store.write() as conn:
        told = Answer(0, third, AnswerKind.STAFF, "k", Way.CALL, None, "zh", "s", "b", "jiesu", MORNING)
        answers.add(store, conn, told, MORNING)
        assert call_joining.join(conn, third_id, third, second, MORNING, why)
    with store.write() as conn:
        # What has grown is not moved any more.
        assert not call_joining.join(conn, second_id, second, first, MORNING, why)
        assert not call_joining.join(conn, second_id, second, "TS-none", MORNING, why)
    fourth_id, fourth = begun(store, "d", caller="1")
    with store.write() as conn:
        assert call_joining.join(conn, fourth_id, fourth, first, MORNING, why)
        assert not call_joining.join(conn, fourth_id, fourth, first, MORNING, why)
    with store.read() as conn:
        assert threads.resolve(conn, third) == second
        assert threads.resolve(conn, fourth) == first
        assert threads.resolve(conn, first) == first
        assert set(complaints.load(conn, [first, second, third, fourth])) == {first, second}
        assert [call.submission_id for call in calls.of_numbers(conn, [second])[second]] == [second_id, third_id]
        assert [one.number for one in answers.of_number(conn, second)] == [second]
        kept = conn.execute(select(messages.c.parsed).where(messages.c.submission_id == third_id)).scalar_one()
        assert kept["joined"] == {"number": third, **why}


def test_a_number_that_led_to_one_that_is_joined_leads_on(store: Store) -> None:
    _, first = begun(store, "a")
    second_id, second = begun(store, "b")
    why = {"by": "same_call", "zh": "同", "en": "same"}
    from sqlalchemy import insert

    from models.tables import joined_numbers

    with store.write() as conn:
        conn.execute(insert(joined_numbers).values(number="TS-old", joined=second, at=MORNING, by="same_call"))
        assert call_joining.join(conn, second_id, second, first, MORNING, why)
        assert threads.resolve(conn, "TS-old") == first


def test_a_ledger_keeps_the_newest_version(store: Store) -> None:
    ledger = BucketLedger(store)
    ledger.remember("p1", "v1", MORNING)
    ledger.remember("p2", "v1", MORNING)
    ledger.remember("p1", "v2", MORNING)
    assert ledger.known(["p1", "p2", "p3"]) == {"p1": "v2", "p2": "v1"}
    assert ledger.known([]) == {}
