"""Pulling events: in the order of commits, without a gap whoever writes at the same time, waiting, remembering, refusing."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from console_house import complain
from factories import MORNING
from jsonschema import Draft202012Validator
from running import RunningGateway

from gateway.clock import SystemClock
from gateway.feed import Feed
from gateway.store import events
from gateway.store.engine import Store
from models.delivery import Event, EventType
from models.errors import Refused
from models.staff import Scope


def told(store: Store, number: str, kind: EventType = EventType.ROUTED, conn: Any = None) -> None:
    event_id = f"evt_{number}_{time.monotonic_ns()}"
    payload = json.dumps({"type": kind.value, "timestamp": "2026-11-23T01:00:00Z", "data": {"number": number, "event_id": event_id}})
    event = Event(event_id, number, kind, MORNING, payload)
    if conn is not None:
        events.announce(conn, event, [])
        return
    with store.write() as own:
        events.announce(own, event, [])


def numbers(entries: Any) -> list[str]:
    return [json.loads(entry.payload)["data"]["number"] for entry in entries]


def test_a_cursor_goes_on_where_it_stopped(store: Store) -> None:
    feed = Feed(store, SystemClock(), "here")
    for n in range(5):
        told(store, str(n))
    first = feed.after("", 2, [])
    second = feed.after(first.next, 2, [])
    third = feed.after(second.next, 2, [])
    assert [numbers(part.entries) for part in (first, second, third)] == [["0", "1"], ["2", "3"], ["4"]]
    assert [part.more for part in (first, second, third)] == [True, True, False]
    # The same cursor gives the same again, and at the end nothing until there is more.
    assert numbers(feed.after(first.next, 2, []).entries) == ["2", "3"]
    assert feed.after(third.next, 2, []).entries == []
    told(store, "5")
    assert numbers(feed.after(third.next, 2, []).entries) == ["5"]
    assert numbers(feed.after("latest", 9, []).entries) == []


def test_types_are_chosen_and_the_cursor_passes_over_the_others(store: Store) -> None:
    feed = Feed(store, SystemClock(), "here")
    for n in range(6):
        told(store, str(n), EventType.ROUTED if n % 2 else EventType.RECEIVED)
    found = feed.after("", 2, ["complaint.routed"])
    assert numbers(found.entries) == ["1", "3"]
    found = feed.after(found.next, 9, ["complaint.routed"])
    assert numbers(found.entries) == ["5"]
    assert feed.after(found.next, 9, []).entries == []


@pytest.mark.parametrize(
    ("cursor", "code"),
    [("x", "bad_cursor"), ("!", "bad_cursor"), ("é", "bad_cursor"), ("dGhlcmUuMQ", "foreign_cursor"), ("aGVyZS45OQ", "cursor_ahead")],
)
def test_a_cursor_that_is_none_is_told(store: Store, cursor: str, code: str) -> None:
    told(store, "1")
    with pytest.raises(Refused) as refused:
        Feed(store, SystemClock(), "here").after(cursor, 2, [])
    assert refused.value.code == code


def test_positions_are_kept_for_each_token_and_name(store: Store) -> None:
    feed = Feed(store, SystemClock(), "here")
    for n in range(4):
        told(store, str(n))
    cursor = feed.after("", 3, []).next
    assert feed.remember("erp", "nightly", cursor).behind == 1
    feed.remember("erp", "other", "")
    kept = feed.remembered("erp", "nightly")
    assert kept is not None
    assert (kept.cursor, kept.behind) == (cursor, 1)
    assert feed.remembered("bi", "nightly") is None


@pytest.mark.postgres
def test_a_reader_misses_nothing_of_who_commits_late(postgres_url: str) -> None:
    """The one who drew his number first commits last: a reader that went by that number would have passed on."""
    from gateway.store import migrations

    store = Store(postgres_url)
    migrations.upgrade(store)
    feed = Feed(store, SystemClock(), "here")
    with store.write() as slow:
        told(store, "slow", conn=slow)
        told(store, "quick")
        found = feed.after("", 9, [])
        assert numbers(found.entries) == ["quick"]
    assert numbers(feed.after(found.next, 9, []).entries) == ["slow"]
    store.close()


def test_many_write_and_many_read_and_nobody_misses_or_repeats_one(store_url: str) -> None:
    from gateway.store import migrations

    store = Store(store_url)
    migrations.upgrade(store)
    writing = threading.Event()
    writing.set()

    def write(worker: int) -> None:
        for n in range(25):
            with store.write() as conn:
                told(store, f"{worker}-{n}", conn=conn)
                if not store.is_sqlite:
                    # Transactions stay open for different times, so that commits fall out of order.
                    time.sleep(0.001 * ((worker * 7 + n * 3) % 5))

    def read(_: int) -> list[str]:
        feed, cursor, got = Feed(store, SystemClock(), "here"), "", []
        while True:
            over = not writing.is_set()
            found = feed.after(cursor, 7, [])
            got += numbers(found.entries)
            cursor = found.next
            if over and not found.entries and not found.more:
                return got

    with ThreadPoolExecutor(9) as threads:
        readers = [threads.submit(read, n) for n in range(3)]
        for writer in [threads.submit(write, n) for n in range(6)]:
            writer.result(60)
        writing.clear()
        seen = [reader.result(60) for reader in readers]
    wanted = {f"{worker}-{n}" for worker in range(6) for n in range(25)}
    for got in seen:
        assert len(got) == len(wanted) == len(set(got))
        assert set(got) == wanted
        # Of one writer in the order in which he wrote.
        assert all([x for x in got if x.startswith(f"{w}-")] == [f"{w}-{n}" for n in range(25)] for w in range(6))
    assert seen[0] == seen[1] == seen[2]
    store.close()


# Over HTTP


class Client:
    def __init__(self, gateway: RunningGateway, token: str) -> None:
        self.host, self.token = gateway.web.removeprefix("http://"), token

    def ask(self, path: str, method: str = "GET", body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.host, timeout=30)
        sent = {"Authorization": f"Bearer {self.token}"} | {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def events(self, **asked: object) -> dict[str, Any]:
        status, _, body = self.ask(f"/api/v1/events?{urlencode(asked)}")
        assert status == 200, body
        return json.loads(body)


@pytest.fixture
def gateway(tmp_path: Path):
    with RunningGateway(tmp_path) as running:
        yield running


def test_a_consumer_pulls_waits_and_goes_on(gateway: RunningGateway) -> None:
    client = Client(gateway, gateway.app.staffing.add_token("erp", [Scope.EVENTS_READ]))
    number = complain(gateway, "价格问题")
    found = client.events()
    assert [event["type"].partition(".")[2] for event in found["events"]] == ["received", "classified", "routed"]
    assert {event["data"]["number"] for event in found["events"]} == {number}
    begun = time.monotonic()
    assert client.events(after=found["next"], wait=0.5)["events"] == []
    assert 0.4 < time.monotonic() - begun < 10
    # Many wait at once, in no thread of their own, and hear of it soon.
    with ThreadPoolExecutor(30) as threads:
        waiting = [threads.submit(client.events, after=found["next"], wait=30, types="complaint.routed") for _ in range(30)]
        time.sleep(0.5)
        names = [thread.name for thread in threading.enumerate()]
        assert sum("AnyIO" in name for name in names) < 30
        second = complain(gateway, "合同问题")
        answers = [waiter.result(30) for waiter in waiting]
    assert all([event["data"]["number"] for event in answer["events"]] == [second] for answer in answers)
    # And what was seen is remembered.
    status, _, body = client.ask("/api/v1/events/position/nightly", "PUT", {"cursor": found["next"]})
    assert (status, json.loads(body)["behind"]) == (200, 3)
    again = client.events(consumer="nightly")
    assert {event["data"]["number"] for event in again["events"]} == {second}
    assert client.ask("/api/v1/events/position/nobody")[0] == 404


def test_a_token_that_is_renewed_goes_on_where_the_one_before_stopped(gateway: RunningGateway) -> None:
    staffing = gateway.app.staffing
    leaked = staffing.add_token("erp", [Scope.EVENTS_READ])
    complain(gateway, "价格问题")
    client = Client(gateway, leaked)
    client.ask("/api/v1/events/position/nightly", "PUT", {"cursor": client.events(limit=2)["next"]})
    renewed = Client(gateway, staffing.renew_token("erp"))
    assert client.ask("/api/v1/events")[0] == 401
    assert [event["type"] for event in renewed.events(consumer="nightly")["events"]] == ["complaint.routed"]
    # It opens no more than before, and one that was switched off comes back.
    assert renewed.ask("/api/v1/review")[0] == 403
    staffing.disable_token("erp")
    assert renewed.ask("/api/v1/events")[0] == 401
    again = Client(gateway, staffing.renew_token(" erp "))
    assert [event["type"] for event in again.events(consumer="nightly")["events"]] == ["complaint.routed"]
    assert renewed.ask("/api/v1/events")[0] == 401
    with pytest.raises(Refused, match="no token called"):
        staffing.renew_token("nobody")


def test_cloudevents_come_as_a_batch(gateway: RunningGateway) -> None:
    client = Client(gateway, gateway.app.api_token)
    complain(gateway, "价格问题")
    status, headers, body = client.ask("/api/v1/events?limit=2", Accept="application/cloudevents-batch+json")
    batch = json.loads(body)
    assert status == 200
    assert headers["content-type"].startswith("application/cloudevents-batch+json")
    assert [event["type"] for event in batch] == ["complaint.received", "complaint.classified"]
    assert len({(event["source"], event["id"]) for event in batch}) == 2
    assert all(event["specversion"] == "1.0" and event["dataschema"].endswith(".v1.json") for event in batch)
    following = client.ask(headers["link"].partition(">")[0].lstrip("<"), Accept="application/cloudevents-batch+json")
    assert [event["type"] for event in json.loads(following[2])] == ["complaint.routed"]
    # The address of the schema leads to it, for anybody.
    path = "/" + batch[0]["dataschema"].split("/", 3)[3]
    status, _, schema = Client(gateway, "").ask(path)
    assert (status, json.loads(schema)["title"]) == (200, "complaint.received")


def test_the_document_says_what_the_feed_answers(gateway: RunningGateway) -> None:
    client = Client(gateway, gateway.app.api_token)
    complain(gateway, "价格问题")
    document = json.loads(client.ask("/api/v1/openapi.json")[2])
    told = document["paths"]["/api/v1/events"]["get"]
    parameters = {one["name"]: one for one in told["parameters"]}
    assert set(parameters) == {"after", "consumer", "limit", "types", "wait"}
    assert all(" / " in one["description"] for one in parameters.values())
    # What it says of limits is what is kept to.
    for name in ("limit", "wait"):
        schema = parameters[name]["schema"]
        for value, status in (
            (schema["minimum"], 200),
            (schema["maximum"], 200),
            (schema["minimum"] - 1, 422),
            (schema["maximum"] + 1, 422),
        ):
            assert client.ask(f"/api/v1/events?{name}={value}")[0] == status
    answer = told["responses"]["200"]
    assert set(answer["content"]) == {"application/json", "application/cloudevents-batch+json"}
    for kind, described in answer["content"].items():
        status, headers, body = client.ask("/api/v1/events", Accept=kind)
        assert status == 200
        assert headers["content-type"].startswith(kind)
        assert {name.lower() for name in answer["headers"]} <= set(headers)
        validator = Draft202012Validator({**described["schema"], "components": document["components"]})
        validator.validate(json.loads(body))
        assert not validator.is_valid([{"type": "complaint.lost"}])
        assert not validator.is_valid({"events": [{"type": "complaint.routed"}], "next": "", "more": False})
    assert {"401", "403", "422", "503"} <= set(told["responses"])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/events?limit=0", 422),
        ("/api/v1/events?limit=501", 422),
        ("/api/v1/events?wait=61", 422),
        ("/api/v1/events?wait=nan", 422),
        ("/api/v1/events?types=complaint.lost", 422),
        ("/api/v1/events?after=x", 422),
        ("/api/v1/events/position/%20", 422),
        ("/api/v1/schemas/../plan.toml", 404),
        ("/api/v1/schemas/asyncapi.json", 404),
        ("/api/v1/schemas/", 200),
        ("/api/v1/asyncapi.json", 200),
    ],
)
def test_what_makes_no_sense_is_refused(gateway: RunningGateway, path: str, status: int) -> None:
    assert Client(gateway, gateway.app.api_token).ask(path)[0] == status


def test_a_token_without_the_scope_sees_nothing(gateway: RunningGateway) -> None:
    token = gateway.app.staffing.add_token("other", [Scope.REVIEW_READ])
    assert Client(gateway, token).ask("/api/v1/events")[0] == 403
    assert Client(gateway, "wrong").ask("/api/v1/events")[0] == 401


def test_the_bell_rings_for_all_and_looks_for_nobody() -> None:
    from gateway.web.feed_api import Bell

    class Fake:
        heads, looks = 1, 0

        @property
        def feed(self):
            return self

        def head(self) -> int:
            self.looks += 1
            return self.heads

    async def run() -> None:
        fake = Fake()
        bell = Bell(fake)
        # Who begins to wait is told to look once more, for what came between his look and his waiting.
        assert await bell.ring(5)
        waiting = [asyncio.create_task(bell.ring(5)) for _ in range(50)]
        await asyncio.sleep(0.3)
        fake.heads = 2
        assert all(await asyncio.gather(*waiting))
        assert bell.waiting == 0
        await asyncio.sleep(0.5)
        looks = fake.looks
        await asyncio.sleep(0.6)
        assert fake.looks == looks
        assert not await asyncio.wait_for(bell.ring(0.0), 5)

    asyncio.run(run())


def test_a_bad_cursor_is_named_as_it_was_given(gateway: RunningGateway) -> None:
    client = Client(gateway, gateway.app.api_token)
    foreign = base64.urlsafe_b64encode(b"another.1").decode().rstrip("=")
    ahead = client.events(after="latest")["next"]
    ahead = base64.urlsafe_b64encode(base64.urlsafe_b64decode(ahead + "=" * (-len(ahead) % 4)) + b"999").decode().rstrip("=")
    for cursor in ("x", foreign, ahead):
        status, _, body = client.ask("/api/v1/events/position/nightly", "PUT", {"cursor": cursor})
        assert status == 422
        assert b"cursor" in body
        assert b"after" not in body
        status, _, body = client.ask(f"/api/v1/events?after={cursor}")
        assert status == 422
        assert b"after" in body
