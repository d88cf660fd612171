"""`python -m benchmarks [WHAT …] [--quick] [--json FILE]`: all measurements, or those named, in one run and as one table.

On loopback and in a temporary folder only; about ten minutes, quick two. Figures of different runs are not to be compared on a
machine that others use too; the ratios are.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.table import Table

from benchmarks import chat, classify, doors, end_to_end, handoff, learning, meanwhile, smtp, start
from benchmarks.measuring import BenchmarkError, Report, machine
from benchmarks.programs import temporary_folder

_MEASUREMENTS: dict[str, Callable[..., None]] = {
    "smtp": smtp.measure,
    "doors": doors.measure,
    "classify": classify.measure,
    "learning": learning.measure,
    "meanwhile": meanwhile.measure,
    "journey": end_to_end.measure,
    "handoff": handoff.measure,
    "start": start.measure,
    "chat": chat.measure,
}


def main() -> int:
    """Measures what was asked for. 0 when everything could be measured, 1 when not; how fast it was changes nothing."""
    asking = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asking.add_argument("what", nargs="*", metavar="|".join(_MEASUREMENTS), help="what to measure; all where nothing is named")
    asking.add_argument("--quick", action="store_true", help="short rounds: shows that it works, not how fast it is")
    asking.add_argument("--json", type=Path, metavar="FILE", help="write the figures into this file too")
    asked = asking.parse_args()
    if unknown := [name for name in asked.what if name not in _MEASUREMENTS]:
        asking.error(f"there is no measurement {unknown[0]!r}; there are {', '.join(_MEASUREMENTS)}")
    # A polite kill ends the programs that were started, too.
    signal.signal(signal.SIGTERM, _ended)
    report = Report()
    progress = Console(stderr=True, highlight=False)
    begun = time.monotonic()
    try:
        for name in asked.what or _MEASUREMENTS:
            progress.print(f"measuring {name} …")
            with temporary_folder() as folder:
                _MEASUREMENTS[name](report, folder, quick=asked.quick)
    except BenchmarkError as error:
        progress.print(f"error: {error}", style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        return 130
    _print(report, time.monotonic() - begun, quick=asked.quick)
    if asked.json:
        asked.json.write_text(json.dumps(report.as_json() | {"quick": asked.quick}, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return 0


def _ended(*_: object) -> NoReturn:
    sys.exit(143)


def _print(report: Report, seconds: float, *, quick: bool) -> None:
    here = machine()
    out = Console(highlight=False)
    if not out.is_terminal:
        # Into a file or a log: as wide as the table wants to be.
        out = Console(highlight=False, width=170)
    table = Table(title=f"jiesu, {here['date']}", title_justify="left", caption_justify="left")
    table.add_column("what")
    table.add_column("median", justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    table.add_column("rounds", justify="right", no_wrap=True)
    table.add_column("bounded by")
    group = ""
    for row in report.rows:
        if row.group != group:
            table.add_section()
            group = row.group
        spread = f"{_shown(min(row.rounds))} – {_shown(max(row.rounds))}" if row.rounds else ""
        table.add_row(f"{row.group}: {row.what}", _shown(row.value), row.unit, spread, row.bound, style="bold" if row.unit == "x" else "")
    out.print(table)
    libraries = ", ".join(f"{name} {number}" for name, number in here["libraries"].items())
    out.print(f"{here['system']}, {here['cores']} cores, load {here['load'][0]}, Python {here['python']}, {libraries}", markup=False)
    for note in report.notes:
        out.print(note, markup=False)
    out.print(f"{'Quick: shows that it works, not how fast it is. ' if quick else ''}Took {seconds:.0f} s.")


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


if __name__ == "__main__":
    sys.exit(main())
