"""Whoever has a person's words in hand while he is erased keeps none of them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from erasing_house import NAME, PHONE, SECRETS, TEXT, Echo, found_in, ids, mailed, of, opened, taken
from handoff_house import House
from sqlalchemy import update

from gateway.erasing import Reason
from gateway.store import call_joining, complaints, events, jobs, threads, trackers
from gateway.store.trackers import FileRow
from models.errors import TryLater
from models.remote import FileState
from models.submission import Channel, Submission
from models.tables import metadata


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    yield from opened(request, tmp_path / "home")


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
    envelope = {"door": "drop", "file_name": "a.txt", "call": {"caller": f"1381111{next(ids):04d}"}}
    raw = f"坐席：您好\n客户：{text}\n".encode()
    return taken(house, Submission(Channel.PHONE, raw, "text/plain", f"drop:{next(ids)}", house.clock.now(), None, envelope))


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
    raw = json.dumps({"id": f"c{next(ids)}", "text": text}).encode()
    key = f"{'b' * 64}:{next(ids)}"
    return taken(house, Submission(Channel.CHAT, raw, "application/json", key, house.clock.now(), "b" * 64, {"door": "chat"}))


def test_who_writes_does_not_wait_for_the_log_to_be_cut(house: House) -> None:
    store = house.app.store
    number = mailed(house, TEXT, "投诉")
    with store.read() as reading:
        # A long report, which keeps the log from being cut.
        complaints.load(reading, [number])
        erasure = threading.Thread(target=lambda: house.app.erasing.erase(number, reason=Reason.PERSON_ASKED, by="王芳"))
        erasure.start()
        time.sleep(0.5)
        began = time.monotonic()
        house.complain()
        assert time.monotonic() - began < 3
    erasure.join(20)
    assert found_in(house, *SECRETS) == set()


def test_an_erasure_is_told_of_though_the_log_cannot_be_cut(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    number = mailed(house, TEXT, "投诉")

    def busy() -> None:
        raise TryLater("store_busy", "忙", "busy")

    monkeypatch.setattr(house.app.store, "forget_log", busy)
    assert list(house.app.erasing.erase(number, reason=Reason.PERSON_ASKED, by="王芳").numbers) == [number]
    assert [line["number"] for line in house.log("Erased")] == [number]
