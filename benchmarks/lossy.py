"""`python -m benchmarks.lossy [--complaints 10000]`: four workers hand over to a tracker that loses 10 % of its answers and refuses 10 %.

Each complaint must be there exactly once by its key, with its events in order. The clock leaps over the waits between tries.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from benchmarks.programs import get, running, temporary_folder
from gateway import bootstrap, config
from gateway.bootstrap import App
from gateway.oplog import OperatorLog
from gateway.sections import General
from gateway.store import endpoints, events, jobs
from models.delivery import Event, EventType
from models.tables import jobs as jobs_table

WORKERS, EVENTS_EACH = 4, 3
_KINDS = (EventType.ROUTED, EventType.UPDATED, EventType.REROUTED)


class Leaping:
    """A clock that goes on as the real one does, and leaps when it is told to."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)

    def now(self) -> datetime:
        """Now, with all leaps."""
        return datetime.now(UTC) + self._ahead

    def leap_to(self, at: datetime) -> None:
        """Forward only."""
        self._ahead += max(at - self.now(), timedelta(0))


def run(folder: Path, complaints: int, seed: int = 1) -> dict[str, Any]:
    """Hands everything over and returns what came of it; `wrong` must be empty."""
    clock = Leaping()
    with running(folder, "benchmarks.lossy_receiver", str(seed)) as program:
        url = str(program.first_line()["url"])
        environment = {"JIESU_HOME": str(folder / "home-lossy"), "JIESU_TRACKER_URL": f"{url}/events"}
        settings = config.load(environment)
        # One serves, the others are further nodes on the same store.
        log = OperatorLog(stream=io.StringIO())
        named = [settings.model_copy(update={"general": General(node=f"node-{n}")}) for n in range(WORKERS)]
        apps = [bootstrap.build(own, clock=clock, log=log, serving=not n) for n, own in enumerate(named)]
        try:
            _fill(apps[0], complaints, clock.now())
            begun = time.monotonic()
            leaps = _hand_over(apps, clock)
            seconds = time.monotonic() - begun
            taken = json.loads(get(f"{url}/taken"))
            with apps[0].store.read() as conn:
                left, parked = events.undelivered(conn), len(jobs.parked(conn))
        finally:
            for app in apps:
                app.close()
    wanted = {f"bench:{n}": list(range(EVENTS_EACH)) for n in range(complaints)}
    tickets: dict[str, list[int]] = taken["tickets"]
    wrong = [key for key in wanted | tickets if tickets.get(key) != wanted.get(key)]
    return {
        "complaints": complaints,
        "events": complaints * EVENTS_EACH,
        "sends": taken["sends"],
        "repeats known by their id": taken["repeats"],
        "seconds": round(seconds),
        "leaps": leaps,
        "left": left,
        "parked": parked,
        "wrong": wrong[:20],
    }


def _fill(app: App, complaints: int, now: datetime) -> None:
    for start in range(0, complaints, 500):
        with app.store.write() as conn:
            for n in range(start, min(start + 500, complaints)):
                number = f"TS-20261123-{n:05d}"
                for order, kind in enumerate(_KINDS):
                    data = {"number": number, "idempotency_key": f"bench:{n}", "order": order, "matter": "漏水" * 300}
                    body = json.dumps({"type": kind.value, "timestamp": "2026-11-23T01:00:00Z", "data": data}, ensure_ascii=False)
                    events.announce(conn, Event(f"evt_{n}_{order}", number, kind, now, body), ["tracker"])


def _hand_over(apps: list[App], clock: Leaping) -> int:
    """Works in all nodes at once until nothing is left; leaps when nothing is due. Returns how often."""
    leaps = 0
    with ThreadPoolExecutor(WORKERS) as threads:
        while True:
            settled = sum(threads.map(lambda app: app.worker.drain(), apps))
            with apps[0].store.read() as conn:
                if not events.undelivered(conn):
                    return leaps
                # Those that are due and wait behind an earlier one of their complaint do not count.
                waits = select(func.min(jobs_table.c.run_at)).where(jobs_table.c.run_at > clock.now())
                due = [at for at in (conn.execute(waits).scalar_one(),) if at]
                due += [row.next_try for row in endpoints.troubled(conn).values() if row.next_try]
            if not settled:
                leaps += 1
                # What failed at about the same time is due at about the same time.
                clock.leap_to(max(due, default=clock.now()) + timedelta(minutes=2))


def main() -> int:
    """Runs it and prints what came of it. 0 when nothing was wrong."""
    asking = argparse.ArgumentParser(prog="python -m benchmarks.lossy", description=__doc__)
    asking.add_argument("--complaints", type=int, default=10_000)
    asking.add_argument("--seed", type=int, default=1)
    asked = asking.parse_args()
    with temporary_folder() as folder:
        found = run(folder, asked.complaints, asked.seed)
    print(json.dumps(found, ensure_ascii=False, indent=1))
    return 1 if found["wrong"] or found["left"] or found["parked"] else 0


if __name__ == "__main__":
    sys.exit(main())
