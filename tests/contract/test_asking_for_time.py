"""An endpoint that asks for time (`Retry-After`) gets it: whatever else it took, over a restart, and within a batch."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from factories import MORNING
from fakes import FakeSender, throttled
from handoff_house import House

from gateway import home
from gateway.clock import SystemClock
from gateway.store import deliveries, endpoints
from gateway.store.deliveries import Wanted
from gateway.store.endpoints import TroubleRow
from gateway.store.engine import Store
from gateway.tracker import WebhookSender
from models.delivery import Outcome, OutcomeCode, Outgoing

BI = """
[[endpoint]]
name = "bi"
url = "http://x.example/bi"
"""


class ByTurns(FakeSender):
    """Takes one and refuses the next, as a limiter of the rate does."""

    def send(self, outgoing: Sequence[Outgoing]) -> list[Outcome]:
        found = []
        for one in outgoing:
            self.fail_times, self.failure = (1, throttled(30)) if len(self.sent) % 2 else (0, self.failure)
            found.append(self._one(one))
        return found


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "home", BI)
    yield made
    made.app.close()


def pile_up(house: House, sender: FakeSender, count: int) -> None:
    """So many events wait for it, and are sent at once."""
    house.sender.of["bi"] = sender
    house.app.redelivery.disable("bi", by="tests")
    for _ in range(count):
        house.complain()
    house.app.redelivery.enable("bi", by="tests")


def test_who_takes_some_and_asks_for_time_with_others_is_left_alone_until_then(house: House) -> None:
    sender = ByTurns()
    pile_up(house, sender, 6)
    house.app.worker.drain()
    assert len(sender.accepted) == 3
    house.complain()
    house.clock.move(seconds=29)
    house.app.worker.drain()
    assert len(sender.sent) == 6
    house.sender.of["bi"] = after = FakeSender()
    house.clock.move(seconds=9)
    house.app.worker.drain()
    assert len(after.accepted) == 4
    with house.app.store.read() as conn:
        assert endpoints.troubled(conn) == {}


def test_after_a_wish_for_time_no_more_of_the_batch_is_begun(house: House) -> None:
    # More than go out in one slice.
    sender = FakeSender(fail_times=1, failure=throttled(30))
    pile_up(house, sender, 70)
    house.app.worker.drain()
    assert len(sender.sent) == 64
    house.clock.move(seconds=40)
    house.app.worker.drain()
    assert len(sender.accepted) == 70
    # What was given back was not counted as a try.
    last = [line for line in house.log("DeliveryAttempt") if line["endpoint"] == "bi"][-6:]
    assert [line["attempt"] for line in last] == [1] * 6


def test_a_clock_that_was_ahead_and_is_put_right_leaves_nobody_waiting(house: House) -> None:
    sender = FakeSender(fail_times=10**6, failure=throttled(900))
    house.sender.of["bi"] = sender
    house.clock.move(days=365)
    for _ in range(6):
        house.complain()
        house.clock.move(minutes=16)
    with house.app.store.read() as conn:
        assert endpoints.troubled(conn)["bi"].open
    tried = {sent.webhook_id for sent in sender.sent}
    house.clock.move(days=-365)
    sender.fail_times = 0
    house.complain()
    # And then all that had failed.
    house.clock.move(seconds=1)
    house.app.worker.drain()
    assert tried < {sent.webhook_id for sent in sender.accepted}
    with house.app.store.read() as conn:
        assert endpoints.troubled(conn) == {}
    # The longest wish that there can be is kept for all that.
    sender.fail_times, sender.failure = 1, throttled(86_400)
    house.complain()
    sent = len(sender.sent)
    house.clock.move(hours=23)
    house.complain()
    assert len(sender.sent) == sent


class Redelivering(FakeSender):
    """Has every delivery that is sent asked for once more by an operator meanwhile, so that its job is made anew."""

    house: House

    def send(self, outgoing: Sequence[Outgoing]) -> list[Outcome]:
        found = super().send(outgoing)
        if found[-1].code is not OutcomeCode.ACCEPTED:
            self.house.app.redelivery.all_of(Wanted(endpoint="bi", type="complaint.received"), by="王静")
        return found


@pytest.mark.parametrize("code", [OutcomeCode.THROTTLED, OutcomeCode.GONE])
def test_a_redelivery_meanwhile_makes_nobody_forget_what_the_endpoint_asked_for(tmp_path: Path, code: OutcomeCode) -> None:
    house = House(tmp_path / "home", f'{BI}types = ["complaint.received", "complaint.routed"]\n')
    house.complain()
    house.complain("合同问题", "合同问题", "李雷 <li@mail.example>")
    sender = Redelivering(fail_times=10, failure=replace(throttled(900), code=code))
    sender.house, house.sender.of["bi"] = house, sender
    # The last events of two complaints, in one batch; those before them have arrived.
    house.app.redelivery.disable("bi", by="tests")
    with house.app.store.read() as conn:
        last = {row.number: row.id for row in reversed(deliveries.find(conn, Wanted(endpoint="bi"), 50))}
    for delivery in last.values():
        house.app.redelivery.one(delivery, by="tests")
    house.app.redelivery.enable("bi", by="tests")
    house.app.worker.drain()
    assert len(house.log("LeaseLost")) == 2
    assert len(sender.sent) == 2
    with house.app.store.read() as conn:
        standing = endpoints.standing(conn, "bi")
    if code is OutcomeCode.GONE:
        assert standing.disabled == "410 Gone"
    else:
        assert standing.trouble is not None
        assert standing.trouble.asked_until is not None
    house.clock.move(seconds=600)
    house.app.worker.drain()
    assert len(sender.sent) == 2
    house.app.close()


def test_a_restart_ends_no_wish_for_time(house: House) -> None:
    sender = FakeSender(fail_times=1, failure=throttled(900))
    pile_up(house, sender, 2)
    house.app.worker.drain()
    assert len(sender.sent) == 2
    house.app.close()
    house.build()
    step = house.app.worker._steps["deliver:bi"]
    assert step.idle(house.clock.now()) is False
    house.complain()
    house.clock.move(seconds=890)
    house.app.worker.drain()
    assert len(sender.sent) == 2
    house.clock.move(seconds=20)
    house.app.worker.drain()
    assert len(sender.accepted) == 3


def test_a_restart_leaves_the_circuit_of_one_that_answered_as_it_is(house: House) -> None:
    sender = FakeSender(fail_times=10**6)
    pile_up(house, sender, 8)
    house.app.worker.drain()
    with house.app.store.read() as conn:
        before = endpoints.troubled(conn)["bi"]
    house.app.close()
    house.build()
    house.app.worker._steps["deliver:bi"].idle(house.clock.now())
    with house.app.store.read() as conn:
        assert endpoints.troubled(conn)["bi"] == before


@pytest.mark.parametrize(
    ("code", "asked", "soonest"),
    [("away", None, 0), ("away", -5, 0), ("away", 60, 60), ("throttled", 60, 900), ("server_error", None, 900)],
)
def test_only_a_wait_for_one_that_was_away_is_cut_short_by_its_coming_back(
    store: Store, code: str, asked: int | None, soonest: int
) -> None:
    until = None if asked is None else MORNING + timedelta(seconds=asked)
    row = TroubleRow("bi", 9, MORNING, MORNING + timedelta(seconds=900), True, code, None, "", until)
    with store.write() as conn:
        endpoints.keep_trouble(store, conn, row)
        endpoints.try_now(conn, "bi", MORNING, code=OutcomeCode.AWAY.value)
        kept = endpoints.troubled(conn)["bi"]
    assert (kept.next_try, kept.asked_until) == (MORNING + timedelta(seconds=soonest), until)


def test_of_two_that_hear_of_the_first_trouble_at_once_the_second_knows_of_the_first(store: Store) -> None:
    known: list[TroubleRow | None] = []

    def second() -> None:
        with store.write() as conn:
            known.append(endpoints.hold_trouble(conn, "bi"))

    row = TroubleRow("bi", 1, MORNING, MORNING, False, "throttled", 429, "", MORNING)
    with store.write() as conn:
        assert endpoints.hold_trouble(conn, "bi") is None
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.3)
        assert known == []
        endpoints.keep_trouble(store, conn, row)
    thread.join(20)
    assert known == [row]


# Over real sockets


class Limiter(ThreadingHTTPServer):
    """Takes so many and answers all others 429."""

    daemon_threads = True

    def __init__(self, takes: int) -> None:
        self.takes, self.got, self.lock = takes, 0, threading.Lock()
        super().__init__(("127.0.0.1", 0), _Limited)

    def count(self) -> bool:
        with self.lock:
            self.got += 1
            return self.got <= self.takes


class _Limited(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Limiter

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        taken = self.server.count()
        time.sleep(0.02)
        self.send_response(200 if taken else 429)
        if not taken:
            self.send_header("retry-after", "30")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("concurrency", [1, 4])
def test_those_not_under_way_yet_stay_here_once_it_asks_for_time(concurrency: int) -> None:
    with Limiter(takes=10) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        sender = WebhookSender(SystemClock(), allow_private_hosts=["127.0.0.1"], timeout_seconds=5, concurrency=concurrency)
        try:
            one = Outgoing("e", f"http://127.0.0.1:{server.server_address[1]}/", home.webhook_secret(), b"{}")
            outcomes = sender.send([one] * 64)
        finally:
            sender.close()
            server.shutdown()
            thread.join(10)
    assert [outcome.code for outcome in outcomes].count(OutcomeCode.ACCEPTED) == 10
    # What was on its way already is on its way.
    assert 11 <= server.got == len(outcomes) <= 10 + 2 * concurrency
