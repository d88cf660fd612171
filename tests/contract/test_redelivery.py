"""Deliveries that are made once more: in the order of events, whatever waits, is parked or under way; on both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from factories import MORNING
from fakes import FakeSender
from handoff_house import House
from sqlalchemy import select, update

from gateway.store import deliveries, events, jobs
from gateway.store.deliveries import Wanted
from gateway.store.engine import Store
from gateway.store.events import Tried
from gateway.store.jobs import Job
from models.correction import Source
from models.delivery import Event, EventType, Outcome, OutcomeCode
from models.tables import jobs as jobs_table
from models.verdict import ComplaintClass

LEASE = timedelta(seconds=60)
OK = Outcome(OutcomeCode.ACCEPTED, 200, 0.1)
BI = "bi"


def announce(store: Store, *names: str, number: str = "TS-1") -> list[int]:
    """Events by these ids, each for one endpoint. Returns the deliveries."""
    with store.write() as conn:
        for name in names:
            events.announce(conn, Event(name, number, EventType.UPDATED, MORNING, "{}"), [BI])
        return [row.id for row in deliveries.find(conn, Wanted(number=number), 100)][::-1][-len(names) :]


def claim(store: Store, at=MORNING, limit: int = 10) -> list[Job]:
    with store.write() as conn:
        return jobs.claim(store, conn, "deliver", limit=limit, lease=LEASE, worker="w", now=at, behind_parked=False, queue=BI)


def take(store: Store, at=MORNING) -> list[int]:
    """What an endpoint that takes everything gets now, in order; without what was taken out of the worker's hand, which comes again."""
    taken = []
    while mine := claim(store, at):
        for job in mine:
            with suppress(_LostError), store.write() as conn:
                events.record_attempts(conn, [Tried(job.payload["delivery_id"], OK, at)])
                if not jobs.finish(conn, [job], "w"):
                    raise _LostError
                taken.append(job.payload["delivery_id"])
    return taken


class _LostError(Exception):
    """Nothing of it may stand."""


def park(store: Store, delivery: int) -> None:
    with store.write() as conn:
        conn.execute(
            update(jobs_table)
            .where(jobs_table.c.id == job_of(store, delivery).id)
            .values(state=jobs.PARKED, attempts=10, reason_code="attempts_exhausted", reason="r")
        )


def job_of(store: Store, delivery: int):
    with store.read() as conn:
        (found,) = [row for row in conn.execute(select(jobs_table)) if row.payload["delivery_id"] == delivery]
    return found


def again(store: Store, *ids: int, at=MORNING) -> int:
    count = 0
    for start in range(0, len(ids), deliveries.AT_ONCE):
        with store.write() as conn:
            count += deliveries.again(conn, ids[start : start + deliveries.AT_ONCE], at)
    return count


def deliver_first(store: Store, *names: str) -> list[int]:
    """Deliveries of which the first has arrived and the others wait."""
    first = announce(store, names[0])
    assert take(store) == first
    return first + announce(store, *names[1:])


@pytest.mark.parametrize("aside", [False, True], ids=["waiting", "parked"])
def test_a_range_goes_in_the_order_of_its_events(store: Store, aside: bool) -> None:
    routed, updated, reopened = deliver_first(store, "routed", "updated", "reopened")
    if aside:
        park(store, updated)
    assert again(store, routed, updated, reopened) == 3
    assert take(store) == [routed, updated, reopened]


def test_one_that_arrived_goes_before_what_waits_and_leaves_it_as_it_was(store: Store) -> None:
    routed, updated, reopened = deliver_first(store, "routed", "updated", "reopened")
    (mine,) = claim(store)
    later = MORNING + timedelta(minutes=5)
    with store.write() as conn:
        assert jobs.retry(conn, mine, "w", at=later, code="client_error", reason="422")
    again(store, routed)
    waiting = job_of(store, updated)
    assert (waiting.run_at, waiting.attempts, waiting.reason_code, waiting.reason) == (later, 1, "client_error", "422")
    # Its own time is not cut short, nor may the last overtake it.
    assert take(store) == [routed]
    assert take(store, later) == [updated, reopened]


def test_what_is_parked_stays_so_with_its_reason_where_only_an_older_one_is_asked_for(store: Store) -> None:
    routed, updated, reopened = deliver_first(store, "routed", "updated", "reopened")
    park(store, updated)
    again(store, routed)
    assert take(store) == [routed]
    kept = job_of(store, updated)
    assert (kept.state, kept.attempts, kept.reason_code, kept.created_at) == (jobs.PARKED, 10, "attempts_exhausted", MORNING)
    again(store, updated)
    assert job_of(store, updated).attempts == 0
    assert take(store) == [updated, reopened]


def test_an_older_one_that_waits_stays_in_front(store: Store) -> None:
    first = announce(store, "received", "routed")
    (mine,) = claim(store)
    with store.write() as conn:
        jobs.park(conn, mine, "w", code="c", reason="r")
    again(store, first[1])
    assert take(store) == []
    again(store, first[0])
    assert take(store) == first


def test_what_is_under_way_comes_again_after_the_older_one_and_never_beside_it(store: Store) -> None:
    routed, updated, reopened = deliver_first(store, "routed", "updated", "reopened")
    (mine,) = claim(store)
    assert mine.payload["delivery_id"] == updated
    again(store, routed, updated)
    # Whoever has it in hand cannot settle it any more; it may be sending still, so nothing of the complaint goes out before its lease ends.
    with store.write() as conn:
        assert not jobs.retry(conn, mine, "w", at=MORNING, code="c", reason="r")
    assert take(store) == []
    assert take(store, MORNING + LEASE) == [routed, updated, reopened]


def test_asking_again_and_again_lets_nothing_go_out_beside_what_is_under_way(store: Store) -> None:
    received, routed = announce(store, "received", "routed")
    assert take(store) == [received, routed]
    updated, reopened = announce(store, "updated", "reopened")
    (mine,) = claim(store)
    with store.write() as conn:
        jobs.retry(conn, mine, "w", at=MORNING, code="client_error", reason="422")
    # The second try of it is under way.
    assert [job.payload["delivery_id"] for job in claim(store)] == [updated]
    for asked in ([routed], [routed], [received], [received, routed], [updated], [received]):
        again(store, *asked)
        assert take(store) == []
    assert take(store, MORNING + LEASE) == [received, routed, updated, reopened]


def test_a_job_that_a_wrong_clock_made_is_due_once_it_is_asked_for(store: Store) -> None:
    with store.write() as conn:
        events.announce(conn, Event("routed", "TS-1", EventType.UPDATED, MORNING + timedelta(days=365), "{}"), [BI])
        (one,) = deliveries.ids_of(conn, Wanted(number="TS-1"))
    assert take(store) == []
    again(store, one)
    assert take(store) == [one]


def test_what_is_under_way_already_in_its_place_is_left_alone(store: Store) -> None:
    ids = announce(store, "routed", "updated")
    (mine,) = claim(store)
    assert again(store, *ids) == 2
    with store.write() as conn:
        assert jobs.finish(conn, [mine], "w")
    assert take(store) == [ids[1]]


def test_each_complaint_has_an_order_of_its_own(store: Store) -> None:
    one, other = announce(store, "a1"), announce(store, "b1", number="TS-2")
    assert take(store) == one + other
    one, other = one + announce(store, "a2"), other + announce(store, "b2", number="TS-2")
    park(store, other[1])
    again(store, *one, *other)
    taken = take(store)
    assert [id_ for id_ in taken if id_ in one] == one
    assert [id_ for id_ in taken if id_ in other] == other


def test_jobs_are_not_made_anew_where_they_stand_right(store: Store) -> None:
    ids = announce(store, "routed", "updated")
    before = [job_of(store, id_).id for id_ in ids]
    park(store, ids[0])
    again(store, *ids)
    assert [job_of(store, id_).id for id_ in ids] == before


def test_a_long_range_is_put_in_order_in_parts(store: Store) -> None:
    # Part by part, so that the last events of every complaint come long after the first.
    for name in range(60):
        for number in range(10):
            announce(store, f"TS-{number}-{name}", number=f"TS-{number}")
    with store.read() as conn:
        every = deliveries.ids_of(conn, Wanted(endpoint=BI))
    assert len(every) == 600
    first = claim(store)
    with store.write() as conn:
        events.record_attempts(conn, [Tried(job.payload["delivery_id"], OK, MORNING) for job in first])
        assert jobs.finish(conn, first, "w")
    assert again(store, *every) == 600
    taken = take(store)
    assert sorted(taken) == every
    for number in range(10):
        assert [id_ for id_ in taken if id_ % 10 == (every[0] + number) % 10] == every[number::10]


def test_whoever_claims_meanwhile_gets_each_once_and_in_order(store: Store) -> None:
    numbers = [f"TS-{n}" for n in range(12)]
    every = [id_ for number in numbers for id_ in announce(store, f"{number}-a", number=number)]
    assert take(store) == every
    later = {number: announce(store, f"{number}-b", f"{number}-c", number=number) for number in numbers}
    taken: list[int] = []
    ready = threading.Barrier(2)

    def work() -> None:
        ready.wait(20)
        for _ in range(200):
            taken.extend(take(store, MORNING + LEASE))

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait(20)
    for number, first in zip(numbers, every, strict=True):
        again(store, first, *later[number], at=MORNING + LEASE)
    thread.join(60)
    # A lease that was taken away runs out.
    taken += take(store, MORNING + 3 * LEASE)
    for number, first in zip(numbers, every, strict=True):
        mine = [first, *later[number]]
        came = [id_ for id_ in taken if id_ in mine]
        # What came before the question is not part of the answer.
        assert came[came.index(first) :] == mine


def test_parked_means_the_delivery_itself_and_not_what_waits_behind_it(store: Store) -> None:
    ids = announce(store, "routed", "updated", "reopened")
    park(store, ids[1])
    with store.read() as conn:
        assert [row.id for row in deliveries.find(conn, Wanted(state="parked"), 10)] == [ids[1]]
        assert deliveries.ids_of(conn, Wanted(state="parked", endpoint=BI)) == [ids[1]]
        assert deliveries.ids_of(conn, Wanted(state="parked", endpoint="other")) == []
        assert len(deliveries.find(conn, Wanted(state="open"), 10)) == 3


def test_a_range_of_numbers_goes_by_their_counts_and_not_their_letters(store: Store) -> None:
    numbers = [f"TS-20261123-{n:04d}" for n in (999, 9999, 10000, 10001)] + ["TS-20261124-0001"]
    for number in numbers:
        announce(store, number, number=number)

    def found(first: str = "", last: str = "") -> list[str]:
        with store.read() as conn:
            return [row.number for row in deliveries.find(conn, Wanted(first=first, last=last), 10)][::-1]

    assert found(numbers[1], numbers[3]) == numbers[1:4]
    assert found(numbers[2]) == numbers[2:]
    assert found(last=numbers[1]) == numbers[:2]
    assert found(last=numbers[3]) == numbers[:4]


# The whole house


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "home")
    yield made
    made.app.close()


def test_a_complaint_is_told_once_more_in_order_after_its_receiver_refused_an_event(house: House) -> None:
    number = house.complain("合同问题", "合同问题")
    tracker: FakeSender = house.sender.of["tracker"]
    tracker.fail_times, tracker.failure = 10**6, Outcome(OutcomeCode.CLIENT_ERROR, 422, 0.01, "no")
    house.app.correcting.correct(number, ComplaintClass.PRICE, by="王静", source=Source.CONSOLE)
    house.app.worker.drain()
    tracker.fail_times = 0
    tracker.accepted.clear()
    assert house.app.redelivery.all_of(Wanted(endpoint="tracker", number=number), by="王静") == 2
    house.app.worker.drain()
    assert house.types("tracker") == ["routed", "rerouted"]
