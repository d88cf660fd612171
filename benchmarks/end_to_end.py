"""End to end: from the 250 that accepts a mail to the 200 with which the tracker takes its ticket, in a burst and at a calm rate.

Beside it the same bodies, sent by the same HTTP client to the same receiver without store, worker and door: the ceiling of handing over.
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Any

from benchmarks.measuring import BenchmarkError, Report, cores_here, percentile, ratios, rounds
from benchmarks.programs import Gateway, gateway, get, running
from gateway.clock import SystemClock
from gateway.flow import FLOW
from gateway.home import webhook_secret
from gateway.sections import Tracker
from gateway.tracker import WebhookSender
from models.delivery import OutcomeCode, Outgoing

_GROUP = "journey"
CLIENTS = 8
# Mails a second at the calm rate.
CALM = 10
# So long may a burst take to come through.
_THROUGH_SECONDS = 60


def measure(report: Report, folder: Path, *, quick: bool) -> None:
    """Adds the rows of this measurement. Takes about 40 s, quick ten."""
    most, burst, calm, budget = (1, 80, 2 * CALM, 6.0) if quick else (3, 800, 10 * CALM, 30.0)
    through: list[float] = []
    accepting: list[float] = []
    cpu_ms: list[float] = []
    bare: list[float] = []
    waits: list[float] = []
    with (
        running(folder, "benchmarks.receiver") as receiver,
        gateway(folder, "home-journey", tracker_url=f"{(url := str(receiver.first_line()['url']))}/events") as house,
    ):
        house.opened()
        _journey(folder, house, url, ["--clients", str(CLIENTS), "--mails", "40"])
        house.settle()
        before = house.metrics()
        for _ in rounds(most, budget):
            cpu = house.program.cpu_seconds()
            told, arrived = _journey(folder, house, url, ["--clients", str(CLIENTS), "--mails", str(burst)])
            # The last results are written after the last 200.
            house.settle()
            through.append(burst / (max(at for at, _ in arrived.values()) - told["begun"]))
            accepting.append(burst / told["seconds"])
            cpu_ms.append((house.program.cpu_seconds() - cpu) * 1000 / burst)
            waits += _waits(told, arrived)
            bare.append(_bare(url, [body for _, body in arrived.values()]))
        after = house.metrics()
        steps, batches = _steps(before, after), _batches(before, after)
        told, arrived = _journey(folder, house, url, ["--per-second", str(CALM), "--mails", str(calm)])
        calm_waits = _waits(told, arrived)
    claims = ", ".join(f"{kind} {jobs:.0f}" for kind, jobs in batches.items())
    shares = ", ".join(f"{kind} {ms:.1f}" for kind, ms in steps.items())
    cores = f"{statistics.median(cpu_ms) * statistics.median(through) / 1000:.0%} of a core in the gateway" if any(cpu_ms) else ""
    report.add(
        _GROUP, f"burst of {burst} mails from {CLIENTS} clients, begun → last 200", through, "/s", cores or "the gateway's one process"
    )
    report.add(_GROUP, "  accepted (250) meanwhile", accepting, "/s", "doors and all lanes of the worker share one interpreter")
    if any(cpu_ms):
        report.add(
            _GROUP, "  processor time of the gateway a mail, all of it", cpu_ms, "CPU ms", f"wall ms a complaint in the steps: {shares}"
        )
    report.single(
        _GROUP,
        "  accepted → 200 in the burst, p50",
        statistics.median(waits),
        "ms",
        f"the queue, which grows with the burst; jobs a claim: {claims}",
    )
    report.single(_GROUP, "  accepted → 200 in the burst, p99", percentile(waits, 0.99), "ms")
    report.add(_GROUP, "the same bodies by the same HTTP client alone", bare, "/s", "aiohttp and HMAC on one core")
    report.add(
        _GROUP, "ratio journey / HTTP client alone", ratios(through, bare), "x", "everything before it: door, store, parsing, classifying"
    )
    bound = f"{calm} mails at {CALM}/s: three steps, each a look, a claim and a settlement with its fsync"
    report.single(_GROUP, "calm, accepted → 200, p50", statistics.median(calm_waits), "ms", bound)
    report.single(_GROUP, "calm, accepted → 200, p99", percentile(calm_waits, 0.99), "ms")
    report.notes.append(
        f"Journey: 5 kB multipart mails on kept connections; gateway, load generator and receiver are three processes on {cores_here()} "
        "cores. The receiver verifies and stores nothing. A rate counts from the first connection to the last 200; the worker delivers "
        "while mails come in."
    )


def _journey(folder: Path, house: Gateway, url: str, load: list[str]) -> tuple[dict[str, Any], dict[str, tuple[float, str]]]:
    """Sends mails; returns what the load generator told, and of each complaint when it arrived and its event."""
    get(f"{url}/arrivals")
    host, port = house.smtp
    with running(folder, "benchmarks.load", host, str(port), *load) as sending:
        told = sending.result(_THROUGH_SECONDS)
    wanted = {number for number, _ in told["accepted"]}
    deadline = time.monotonic() + _THROUGH_SECONDS
    while int(get(f"{url}/count")) < len(wanted):
        if time.monotonic() > deadline:
            raise BenchmarkError(f"of {len(wanted)} complaints {int(get(f'{url}/count'))} arrived within {_THROUGH_SECONDS} s")
        time.sleep(0.05)
    arrived = {number: (at, body) for number, at, body in json.loads(get(f"{url}/arrivals"))}
    if set(arrived) != wanted:
        raise BenchmarkError("other complaints arrived than were accepted")
    return told, arrived


def _waits(told: dict[str, Any], arrived: dict[str, tuple[float, str]]) -> list[float]:
    """Milliseconds from each 250 to its 200; 0 where the 200 overtook the reading of the 250."""
    return [max(0.0, (arrived[number][0] - at) * 1000) for number, at in told["accepted"]]


def _bare(url: str, bodies: list[str]) -> float:
    """Events/s of the HTTP client alone, signing included, all handed to it at once, with as many tries at a time as the gateway has."""
    defaults = Tracker()
    secret = webhook_secret()
    outgoing = [Outgoing(f"evt_{place}", f"{url}/events", secret, body.encode()) for place, body in enumerate(bodies)]
    sender = WebhookSender(
        SystemClock(),
        allow_private_hosts=defaults.allow_private_hosts,
        timeout_seconds=defaults.timeout_seconds,
        concurrency=defaults.concurrency,
    )
    try:
        sender.send(outgoing[: defaults.concurrency])
        begun = time.perf_counter()
        outcomes = sender.send(outgoing)
        rate = len(outgoing) / (time.perf_counter() - begun)
        if int(get(f"{url}/count")) < len(outgoing) or any(outcome.code is not OutcomeCode.ACCEPTED for outcome in outcomes):
            raise BenchmarkError("the receiver did not take every event")
        return rate
    finally:
        sender.close()


def _batches(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """Jobs that each step had in one claim, on average."""
    return {
        stage.kind: _grown(before, after, _done(stage.kind))
        / max(1.0, _grown(before, after, f'jiesu_step_seconds_count{{kind="{stage.kind}"}}'))
        for stage in FLOW
    }


def _done(kind: str) -> str:
    return f'jiesu_jobs_total{{kind="{kind}",result="done"}}'


def _grown(before: dict[str, float], after: dict[str, float], name: str) -> float:
    return after.get(name, 0.0) - before.get(name, 0.0)


def _steps(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """Milliseconds that each step took a complaint, by the gateway's own figures; waiting for the other threads is in them."""
    return {
        stage.kind: _grown(before, after, f'jiesu_step_seconds_sum{{kind="{stage.kind}"}}')
        * 1000
        / max(1.0, _grown(before, after, _done(stage.kind)))
        for stage in FLOW
    }
