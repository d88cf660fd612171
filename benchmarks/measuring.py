"""What every measurement is made of: medians and percentiles, results as rows, and what machine they were taken on."""

from __future__ import annotations

import math
import os
import platform
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

# The libraries on whose versions the figures hang.
_LIBRARIES = ("aiohttp", "aiosmtpd", "jieba", "numpy", "scikit-learn", "sqlalchemy", "uvloop")


class BenchmarkError(RuntimeError):
    """A measurement could not be taken; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    group, what: the measurement and what of it was measured.
    unit:        `/s`, `ms`, `CPU ms` or the like; `x` for a ratio.
    value:       the median of the rounds, or a percentile where `what` says so.
    rounds:      every round's figure, empty for percentiles.
    bound:       what keeps it from being better, with the evidence of this run.
    """

    group: str
    what: str
    value: float
    unit: str
    rounds: tuple[float, ...] = ()
    bound: str = ""


@dataclass(slots=True)
class Report:
    """All rows of a run, and sentences that belong below the table."""

    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, group: str, what: str, figures: Sequence[float], unit: str, bound: str = "") -> None:
        """A row with the median of `figures`, one figure a round."""
        self.rows.append(Row(group, what, statistics.median(figures), unit, tuple(figures), bound))

    def single(self, group: str, what: str, value: float, unit: str, bound: str = "") -> None:
        """A row with one figure over the whole run."""
        self.rows.append(Row(group, what, value, unit, (), bound))

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {"machine": machine(), "rows": [asdict(row) for row in self.rows], "notes": self.notes}


def rounds(most: int, seconds: float) -> Iterator[int]:
    """Counts up to `most` rounds, but begins none after `seconds`, so that a slow machine takes fewer rather than longer. At least one."""
    ends = time.monotonic() + seconds
    for number in range(most):
        if number and time.monotonic() > ends:
            return
        yield number


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of `values` do not exceed, by the nearest rank."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Round by round, because what ran next to each other met the same machine."""
    return [a / b for a, b in zip(above, below, strict=True)]


def machine() -> dict[str, Any]:
    """Date, cores, Python and libraries; neither host nor paths, so that a report can be passed on."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": cores_here(),
        "load": [round(part, 2) for part in os.getloadavg()],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in _LIBRARIES},
    }


def cores_here() -> int:
    """The cores that we may use, which in a container can be fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def fsync_ms(folder: Path, times: int = 60) -> float:
    """Median milliseconds for appending 8 kB and forcing it to disk, the floor of every commit."""
    path = folder / "fsync"
    taken: list[float] = []
    with path.open("wb", buffering=0) as file:
        for _ in range(times):
            begun = time.perf_counter()
            file.write(b"x" * 8192)
            os.fsync(file.fileno())
            taken.append((time.perf_counter() - begun) * 1000)
    path.unlink()
    return statistics.median(taken)
