"""Durable acceptance under `smtp-source` (20 sessions, mails of 5 kB) beside Postfix and a bare aiosmtpd, in one run.

The same program sends the same mails to each in turn: to the gateway as it ships, worker included; to the same with two processes that
take mail in; to one with its worker standing still; to a Postfix that takes them into its queue; to an aiosmtpd that discards them. Each
round asks all of them one after another, and ratios are taken round by round. Afterwards every mail that was answered 250 must be in the
store.
"""

from __future__ import annotations

import statistics
import subprocess
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

from benchmarks import postfix
from benchmarks.measuring import BenchmarkError, Report, cores_here, ratios, rounds
from benchmarks.programs import Gateway, gateway, running

_GROUP = "doors"
SESSIONS, MAIL_BYTES = 20, 5120


def measure(report: Report, folder: Path, *, quick: bool) -> None:
    """Adds the rows of this measurement. Takes about a minute, quick a few seconds of sending."""
    refusal = postfix.why_not()
    if refusal is not None:
        report.notes.append(f"doors: smtp-source and Postfix are left out: {refusal}.")
        return
    most, mails, budget = (1, 100, 5.0) if quick else (5, 1000, 120.0)
    rates: dict[tuple[str, bool], list[float]] = defaultdict(list)
    sent = 0
    with ExitStack() as stack:
        bare = stack.enter_context(running(folder, "benchmarks.bare_smtp"))
        real = stack.enter_context(gateway(folder, "home-working"))
        two = stack.enter_context(gateway(folder, "home-two", acceptors=2))
        still = stack.enter_context(gateway(folder, "home-still", working=False))
        where = bare.first_line()["smtp"]
        doors: dict[str, tuple[str, int]] = {
            "postfix": stack.enter_context(postfix.running()),
            "bare": (where[0], where[1]),
            "gateway": real.opened().smtp,
            "two": two.opened().smtp,
            "still": still.opened().smtp,
        }
        working = {"gateway": real, "two": two}
        for address in doors.values():
            _send(address, 40, new=False)
        for _ in rounds(most, budget):
            for new in (False, True):
                for name, address in doors.items():
                    rates[name, new].append(_send(address, mails, new=new))
                    if name in working and not working[name].settle(180):
                        raise BenchmarkError("the gateway's worker did not get done with the mails of a round")
                sent += mails
        kept = {name: _taken(one) - 40 for name, one in (("gateway", real), ("two", two), ("still", still))}
    for name, count in kept.items():
        report.single(_GROUP, f"{name}: mails answered 250 that are not in the store", float(sent - count), "mails")
    _tell(report, rates)


def _send(address: tuple[str, int], mails: int, *, new: bool) -> float:
    """Sends them all; returns mails/s. Raises `BenchmarkError` when one was refused."""
    command = ["smtp-source", "-s", str(SESSIONS), "-m", str(mails), "-l", str(MAIL_BYTES), "-f", "lin@bench.example"]
    # -d: do not disconnect after a mail.
    command += [*([] if new else ["-d"]), "-t", "tousu@jiesu.example", f"{address[0]}:{address[1]}"]
    begun = time.monotonic()
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if ended.returncode:
        raise BenchmarkError(f"smtp-source: {ended.stderr.strip()[-200:]}")
    return mails / (time.monotonic() - begun)


def _taken(one: Gateway) -> int:
    return int(sum(value for name, value in one.metrics().items() if name.startswith("jiesu_received_total")))


def _tell(report: Report, rates: dict[tuple[str, bool], list[float]]) -> None:
    titles = {
        "postfix": "Postfix, into its queue",
        "bare": "bare aiosmtpd, discards",
        "gateway": "gateway as it ships",
        "two": "gateway with two acceptors",
        "still": "gateway, its worker standing still",
    }
    for new in (False, True):
        connections = "a new connection each" if new else "kept connections"
        for name, title in titles.items():
            report.add(_GROUP, f"{title}; {connections}", rates[name, new], "/s")
        for name in ("gateway", "two", "still"):
            for against in ("postfix", "bare"):
                report.add(_GROUP, f"ratio {name} / {against}; {connections}", ratios(rates[name, new], rates[against, new]), "x")
    spread = statistics.median(rates["postfix", False])
    report.notes.append(
        f"doors: smtp-source, {SESSIONS} sessions, {MAIL_BYTES} bytes, loopback; servers and sender share {cores_here()} cores; Postfix "
        f"{spread:,.0f}/s with a process a session and an fsync a mail."
    )
