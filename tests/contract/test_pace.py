"""How much an endpoint is given at a time: much where it is quick, little where it is not, and never more than ends before its lease."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeSender
from handoff_house import House
from sqlalchemy import select

from gateway.store import events, jobs
from gateway.store.among import among, spelt
from models.delivery import Event, EventType, Outcome
from models.tables import attempts, deliveries


class Paced(FakeSender):
    """Takes so long for one event: that of this place among all that it is sent."""

    def __init__(self, seconds: float = 0.0, slow: int = -1) -> None:
        super().__init__()
        self.seconds, self.slow = seconds, slow

    def send(self, outgoing: Any) -> list[Outcome]:
        if len(self.sent) == self.slow:
            time.sleep(self.seconds)
        return super().send(outgoing)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def house(request: pytest.FixtureRequest, tmp_path: Path):
    url = {} if request.param == "sqlite" else {"JIESU_STORE_URL": request.getfixturevalue("postgres_url")}
    made = House(tmp_path / "home", JIESU_TRACKER_TIMEOUT_SECONDS="0.3", **url)
    yield made
    made.app.close()


def waiting(house: House, count: int) -> None:
    """So many events that wait to be delivered."""
    with house.app.store.write() as conn:
        for n in range(count):
            body = json.dumps({"type": "complaint.routed", "timestamp": "", "data": {"number": f"TS-20261123-{n:04d}"}})
            events.announce(conn, Event(f"evt_{n}", f"TS-20261123-{n:04d}", EventType.ROUTED, house.clock.now(), body), ["tracker"])


def claims(house: House, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many jobs each claim of a delivery brings, from now on."""
    found: list[int] = []
    claim = jobs.claim

    def counted(*args: Any, **named: Any) -> Any:
        mine = claim(*args, **named)
        if args[2] == "deliver" and mine:
            found.append(len(mine))
        return mine

    monkeypatch.setattr(jobs, "claim", counted)
    return found


def test_a_quick_endpoint_is_given_more_at_a_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    sender = house.sender.of["tracker"] = Paced()
    waiting(house, 1500)
    sizes = claims(house, monkeypatch)
    house.app.worker.drain()
    assert sizes == [64, 128, 256, 512, 512, 28]
    assert len({sent.webhook_id for sent in sender.accepted}) == len(sender.accepted) == 1500
    with house.app.store.read() as conn:
        assert events.undelivered(conn) == 0
        assert len(conn.execute(select(attempts.c.id)).all()) == 1500


def test_what_cannot_end_in_time_is_given_back_and_costs_no_try(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    sender = house.sender.of["tracker"] = Paced(0.4, slow=64)
    waiting(house, 700)
    sizes = claims(house, monkeypatch)
    # In the second slice of a batch of 256, one takes longer than a try may.
    house.app.worker._steps["deliver:tracker"]._batch = 256
    house.app.worker.drain()
    assert sizes[0] == 256
    given_back = house.log("Retry")
    assert len(given_back) == 128
    assert {line["code"] for line in given_back} == {"not_begun"}
    assert len({sent.webhook_id for sent in sender.accepted}) == len(sender.accepted) == 700
    assert {line["attempt"] for line in house.log("DeliveryAttempt")} == {1}


def test_a_slow_endpoint_is_given_less_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.sender.of["tracker"] = Paced(1.1, slow=0)
    waiting(house, 700)
    house.app.worker._steps["deliver:tracker"]._batch = 512
    sizes = claims(house, monkeypatch)
    house.app.worker.drain()
    assert sizes[:2] == [512, 256]


def test_rows_are_found_by_any_number_of_ids_on_each_database(house: House) -> None:
    waiting(house, 3)
    with house.app.store.read() as conn:
        known = conn.execute(select(deliveries.c.id).order_by(deliveries.c.id)).scalars().all()
        query = select(deliveries.c.id).where(among(deliveries.c.id, sqlite=house.app.store.is_sqlite)).order_by(deliveries.c.id)
        for ids in ([], known[:1], known[1:], [*known, 10**15], list(range(10**6, 10**6 + 40_000))):
            assert conn.execute(query, {"ids": spelt(conn, ids)}).scalars().all() == [one for one in known if one in ids]


def test_two_threads_of_a_lane_hold_no_more_than_twice_a_batch(house: House) -> None:
    gate = house.app.worker._gates["deliver:tracker"]
    at_first = gate.take(house.clock.now(), 512)
    assert at_first == 64
    gate.give_back(at_first, at_first)
    waiting(house, 200)
    house.sender.of["tracker"] = Paced()
    house.app.worker.drain()
    held = [gate.take(house.clock.now() + timedelta(seconds=1), 512) for _ in range(3)]
    assert held[0] == held[1] > 64
    assert held[2] == 0
