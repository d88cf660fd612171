"""Handing over: events that wait in the store go to the tracker, beside the same bodies sent by the same HTTP client without a store."""

from __future__ import annotations

import gc
import io
import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measuring import BenchmarkError, Report, ratios, rounds
from benchmarks.programs import get, running
from gateway import bootstrap, config
from gateway.bootstrap import App
from gateway.oplog import OperatorLog
from gateway.store import events
from models.delivery import Event, EventType, OutcomeCode, Outgoing

_GROUP = "hand-off"
_THROUGH_SECONDS = 90
# A receiver that does nothing at all, one that does a little, and one with a network and a database of its own.
_ANSWERS_AFTER_MS = (0, 2, 5)


def measure(report: Report, folder: Path, *, quick: bool) -> None:
    """Adds the rows of this measurement. Takes about a minute, quick eight seconds."""
    for milliseconds in _ANSWERS_AFTER_MS:
        _measure(report, folder, milliseconds, quick=quick)


def _measure(report: Report, folder: Path, milliseconds: int, *, quick: bool) -> None:
    most, count, budget = (1, 200, 5.0) if quick else (5, 3000, 20.0)
    through: list[float] = []
    bare: list[float] = []
    with running(folder, "benchmarks.receiver", str(milliseconds)) as receiver:
        url = str(receiver.first_line()["url"])
        app = _app(folder / f"home-handoff-{milliseconds}", url)
        try:
            bodies = [_body(n) for n in range(count)]
            # As a gateway does once it is up: what stays is not looked through again and again.
            gc.collect()
            gc.freeze()
            _bare(app, url, bodies[:200])
            for place in rounds(most, budget):
                # Whichever is first meets another machine; so they take turns.
                if place % 2:
                    bare.append(_bare(app, url, bodies))
                through.append(_through(app, url, bodies, place))
                if not place % 2:
                    bare.append(_bare(app, url, bodies))
        finally:
            gc.unfreeze()
            app.close()
    answers = f"answered after {milliseconds} ms" if milliseconds else "answered at once"
    bound = "16 tries at a time" if milliseconds else "client and store share one core"
    size = f"{len(bodies[0].encode())} bytes an event"
    report.add(_GROUP, f"{count} events that wait in the store, {answers}", through, "/s", bound)
    report.add(_GROUP, f"the same bodies by the same HTTP client alone, {answers}", bare, "/s", "aiohttp and HMAC on one core")
    report.add(_GROUP, f"ratio with store / HTTP client alone, {answers}", ratios(through, bare), "x", size)


def _app(home: Path, url: str) -> App:
    environment = {"JIESU_HOME": str(home), "JIESU_TRACKER_URL": f"{url}/events"}
    return bootstrap.build(config.load(environment), log=OperatorLog(stream=io.StringIO()))


def _body(n: int) -> str:
    """An event as large as most: about 3 kB."""
    data = {"number": f"TS-20261123-{n:04d}", "matter": "卫生间漏水三个月没人修，请尽快处理。" * 40, "steps": ["现场勘查", "整改", "验收"]}
    return json.dumps(
        {"type": "complaint.routed", "timestamp": "2026-11-23T01:00:00Z", "data": data}, ensure_ascii=False, separators=(",", ":")
    )


def _through(app: App, url: str, bodies: list[str], place: int) -> float:
    """Events/s from the store, from the start of the worker to the last 200 and the last settlement."""
    now = datetime.now(UTC)
    made = [Event(f"evt_{place}_{n}", f"TS-20261123-{n:04d}", EventType.ROUTED, now, body) for n, body in enumerate(bodies)]
    with app.store.write() as conn:
        for event in made:
            events.announce(conn, event, ["tracker"])
    get(f"{url}/arrivals")
    # Only the delivery works: what else a gateway does is measured elsewhere.
    worker = app.worker
    begun = time.perf_counter()
    worker.start()
    try:
        deadline = begun + _THROUGH_SECONDS
        # The receiver is asked, which is a process of its own: a look into the store would take time from the very work that is measured.
        while (there := int(get(f"{url}/count"))) < len(bodies) or _left(app):
            if time.perf_counter() > deadline:
                raise BenchmarkError(f"{len(bodies) - there} of {len(bodies)} events did not arrive within {_THROUGH_SECONDS} s")
            time.sleep(0.01)
        rate = len(bodies) / (time.perf_counter() - begun)
    finally:
        worker.stop()
    if int(get(f"{url}/count")) != len(bodies):
        raise BenchmarkError("other events arrived than were made")
    return rate


def _left(app: App) -> int:
    with app.store.read() as conn:
        return events.undelivered(conn)


def _bare(app: App, url: str, bodies: list[str]) -> float:
    """Events/s of the HTTP client alone, signing included, all handed to it at once, with as many tries at a time as the gateway has."""
    served = app.endpoints.served["tracker"]
    one = Outgoing("", f"{url}/events", served.keyring.secrets().new, b"")
    outgoing = [replace(one, webhook_id=f"evt_{n}", body=body.encode()) for n, body in enumerate(bodies)]
    begun = time.perf_counter()
    outcomes = served.sender.send(outgoing)
    rate = len(outgoing) / (time.perf_counter() - begun)
    if any(outcome.code is not OutcomeCode.ACCEPTED for outcome in outcomes):
        raise BenchmarkError("the receiver did not take every event")
    return rate
