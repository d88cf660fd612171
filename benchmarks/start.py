"""How long a gateway takes from nothing to open doors and to sorting, and how much memory it holds when it has sorted some mail.

By the clock on the wall, in a home that was served before: what a restart costs.
"""

from __future__ import annotations

import smtplib
import statistics
import time
from pathlib import Path

from benchmarks.measuring import BenchmarkError, Report
from benchmarks.programs import Gateway, gateway
from classifiers import corpus

_GROUP = "start"
_MOST_SECONDS = 60


def measure(report: Report, folder: Path, *, quick: bool) -> None:
    """Adds the rows of this measurement. Takes about 20 s, quick ten."""
    texts = [example.query.said for example in corpus.shipped_corpus()[:: 40 if quick else 8]]
    with gateway(folder, "home") as first:
        first.opened()
        _sorting(first)
    doors: list[float] = []
    sorting: list[float] = []
    for _ in range(2 if quick else 7):
        begun = time.perf_counter()
        with gateway(folder, "home") as restarted:
            restarted.opened()
            doors.append(time.perf_counter() - begun)
            _sorting(restarted)
            sorting.append(time.perf_counter() - begun)
    report.add(_GROUP, "restart until the doors are open", doors, "s", "imports; what comes in from here on is safe")
    report.add(_GROUP, "restart until it sorts", sorting, "s", "the same, and loading words, lexicon and trained model")
    with gateway(folder, "home") as working:
        working.opened()
        with smtplib.SMTP(*working.smtp, timeout=_MOST_SECONDS) as smtp:
            for text in texts:
                smtp.sendmail("lin@mail.example", ["tousu@jiesu.example"], f"Subject: x\r\n\r\n{text}".encode())
        if not working.settle():
            raise BenchmarkError("the gateway did not sort all mail in time")
        resident = _resident(working.program.pid)
    if resident:
        report.single(_GROUP, f"memory after sorting {len(texts)} mails", resident, "MB", "resident set of the one process")
    report.notes.append(f"start: median of {len(doors)} restarts; spread {statistics.pstdev(doors):.2f} s")


def _sorting(running: Gateway) -> None:
    """Waits until the gateway says that it can sort."""
    deadline = time.monotonic() + _MOST_SECONDS
    while not running.ready():
        if time.monotonic() > deadline:
            raise BenchmarkError("the gateway does not become ready")
        time.sleep(0.01)


def _resident(pid: int) -> float:
    """Resident memory in MB; 0 where the system does not tell (only Linux does)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), 0.0)
