"""Durable SMTP acceptance (250 only after commit) against a bare aiosmtpd that discards: 20 clients, mails of 5 kB.

Three servers, each in its own process and asked in turn, with the load generator in yet another process:
bare     aiosmtpd on uvloop that discards;
gateway  `jiesu serve` as it ships, without a tracker: while mails come in its worker parses and classifies those before;
still    the same gateway with its worker standing still, which shows what durability costs alone.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measuring import BenchmarkError, Report, cores_here, fsync_ms, ratios, rounds
from benchmarks.programs import Gateway, Program, gateway, running

_GROUP = "SMTP"
CLIENTS = 20


@dataclass(slots=True)
class _Taken:
    """What the rounds of one server gave. rates: mails/s; cpu_ms: processor ms of the server a mail; busy, load: cores used."""

    rates: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    load: list[float] = field(default_factory=list)


def measure(report: Report, folder: Path, *, quick: bool) -> None:
    """Adds the rows of this measurement. Takes about a minute, quick a quarter of it."""
    most, seconds, budget = (1, 0.4, 10.0) if quick else (5, 1.5, 60.0)
    floor = fsync_ms(folder)
    taken: dict[tuple[str, bool], _Taken] = defaultdict(_Taken)
    groups: dict[str, tuple[float, float]] = {}
    with (
        running(folder, "benchmarks.bare_smtp") as bare,
        gateway(folder, "home-working") as real,
        gateway(folder, "home-still", working=False) as still,
    ):
        where = bare.first_line()["smtp"]
        real.opened()
        still.opened()
        servers: dict[str, tuple[Program, tuple[str, int], Gateway | None]] = {
            "bare": (bare, (where[0], where[1]), None),
            "gateway": (real.program, real.smtp, real),
            "still": (still.program, still.smtp, None),
        }
        for name, (program, address, worker) in servers.items():
            _round(folder, program, address, 0.3, new=False)
            if worker is not None:
                worker.settle()
            if name != "bare":
                groups[name] = _groups(real if name == "gateway" else still)
        for _ in rounds(most, budget):
            for new in (False, True):
                for name, (program, address, worker) in servers.items():
                    rate, cpu_ms, busy, load = _round(folder, program, address, seconds, new=new)
                    now = taken[name, new]
                    now.rates.append(rate)
                    now.cpu_ms.append(cpu_ms)
                    now.busy.append(busy)
                    now.load.append(load)
                    # What the worker has not done yet must not slow the next server's round.
                    if worker is not None and not worker.settle():
                        raise BenchmarkError("the gateway's worker did not get done with the mails of a round")
        sizes = {name: _mean(groups[name], _groups(one)) for name, one in (("gateway", real), ("still", still))}
    _tell(report, taken, sizes, floor)


def _round(folder: Path, program: Program, address: tuple[str, int], seconds: float, *, new: bool) -> tuple[float, float, float, float]:
    """Mails/s, server's processor ms a mail, cores that the server and the load generator used."""
    arguments = [address[0], str(address[1]), "--clients", str(CLIENTS), "--seconds", str(seconds), *(["--new"] if new else [])]
    cpu = program.cpu_seconds()
    with running(folder, "benchmarks.load", *arguments) as load:
        told = load.result(seconds + 60)
    used = program.cpu_seconds() - cpu
    if not told["mails"]:
        raise BenchmarkError("no mail was acknowledged")
    return (
        told["mails"] / told["seconds"],
        used * 1000 / told["mails"],
        used / told["seconds"],
        told["cpu_seconds"] / told["seconds"],
    )


def _groups(one: Gateway) -> tuple[float, float]:
    figures = one.metrics()
    return figures["jiesu_commit_group_size_sum"], figures["jiesu_commit_group_size_count"]


def _mean(before: tuple[float, float], after: tuple[float, float]) -> float:
    return (after[0] - before[0]) / max(1.0, after[1] - before[1])


def _tell(report: Report, taken: dict[tuple[str, bool], _Taken], sizes: dict[str, float], floor: float) -> None:
    titles = {
        "bare": "bare aiosmtpd, discards",
        "gateway": "gateway, durable, worker at work",
        "still": "gateway, durable, worker standing still",
    }
    for new in (False, True):
        connections = "a new connection each" if new else "kept connections"
        for name, title in titles.items():
            now = taken[name, new]
            bound = f"server {_share(now.busy)} of a core, load generator {_share(now.load)}"
            report.add(_GROUP, f"{title}; {connections}", now.rates, "/s", bound)
            if any(now.cpu_ms):
                report.add(_GROUP, "  processor time of the server a mail", now.cpu_ms, "CPU ms", _cost(name))
        above = statistics.median(taken["still", new].cpu_ms) - statistics.median(taken["bare", new].cpu_ms)
        bounds = {
            "gateway": "the worker, which computes in the same interpreter",
            "still": f"{above:.2f} CPU ms a mail above the bare server: hand-over, store, log" if above > 0 else "Python",
        }
        for name, bound in bounds.items():
            report.add(_GROUP, f"ratio {name} / bare; {connections}", ratios(taken[name, new].rates, taken["bare", new].rates), "x", bound)
    report.single(_GROUP, "mails in one commit, worker at work", sizes["gateway"], "mean", f"at most the {CLIENTS} clients that wait")
    report.single(_GROUP, "mails in one commit, worker standing still", sizes["still"], "mean")
    report.single(_GROUP, "appending 8 kB and fsync in the same folder", floor, "ms", f"the disk would take {1000 / floor:,.0f} commits/s")
    report.notes.append(
        f"SMTP: {CLIENTS} clients, 5 kB multipart mails, no pipelining, loopback; a server and the load generator share {cores_here()} "
        "cores. 'Worker at work' is the gateway as it ships: its intake and triage run while mails come in (no tracker, so nothing is "
        "delivered). What they still have to do after a round is in no figure; the next round begins when they are done."
    )


def _share(cores: list[float]) -> str:
    return f"{statistics.median(cores):.0%}"


def _cost(name: str) -> str:
    return {
        "bare": "the library's line-by-line reading",
        "gateway": "acceptance during the round; part of the worker's work falls after it",
        "still": "acceptance alone",
    }[name]
