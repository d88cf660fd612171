"""Asks trackers how their tickets stand, while this node holds the lease, and hands each report to `Statuses.take`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from gateway.clock import Clock
from gateway.oplog import OperatorLog
from gateway.statuses import Statuses, StatusSource
from gateway.store import endpoints, trackers
from gateway.store.engine import Store
from models.errors import JiesuError, Refused, TryLater
from models.remote import PollHealth
from models.status import StatusReport

# A look that takes longer than the lease may be made by another node too: then each report is known by its id and counts once.
_LEASE = timedelta(minutes=3)
# How long to wait after failures in a row, in times of the interval, and at most.
_MOST_WAIT = 900.0
# From when on people are warned.
_FAILURES = 3
_STOP_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class Polled:
    """Somebody who is asked: every so many seconds. `have_read` is called once everything of a look was taken."""

    source: StatusSource
    every_seconds: float
    have_read: Callable[[Sequence[StatusReport]], None]


class Polls:
    """All trackers that are asked, each in a thread of its own, so that a slow one holds up no other."""

    def __init__(self, store: Store, clock: Clock, statuses: Statuses, polled: Sequence[Polled], log: OperatorLog, node: str) -> None:
        self._store, self._clock, self._statuses, self._log, self._node = store, clock, statuses, log, node
        self._polled = {one.source.endpoint: one for one in polled}
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._told: set[str] = set()

    def start(self) -> None:
        """Begins."""
        for name, one in self._polled.items():
            thread = threading.Thread(target=self._run, args=(one,), name=f"poll-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Ends all within seconds; a look that is under way then is made again at the next start."""
        self._stopping.set()
        until = time.monotonic() + _STOP_SECONDS
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0))
        if not self._threads:
            return
        try:
            with self._store.write() as conn:
                for name in self._polled:
                    trackers.let_go(conn, name, self._node)
        except TryLater:
            # Then the leases end by themselves.
            pass

    def look(self, name: str) -> bool:
        """Asks one endpoint now, unless it is switched off or another node holds the lease. Whether all went well."""
        one = self._polled[name]
        now = self._clock.now()
        with self._store.write() as conn:
            if endpoints.standing(conn, name).disabled:
                return True
            mark = trackers.hold(self._store, conn, name, self._node, now, now + _LEASE)
        if mark is None:
            return True
        try:
            reports, following = one.source.changed(mark)
            whole = self._take(name, reports)
        except JiesuError as error:
            self._failed(name, error.code, error.zh, error.en)
            return False
        except Exception as error:
            self._log.fault(f"poll {name}", error)
            self._failed(name, "not_understood", "答复无法理解", "the answer is not understood")
            return False
        if whole:
            one.have_read(reports)
        with self._store.write() as conn:
            trackers.succeeded(conn, name, following if whole else mark, self._clock.now())
        if name in self._told:
            self._told.discard(name)
            self._log.write("PollBack", endpoint=name)
        return True

    def health(self) -> Mapping[str, PollHealth]:
        """How asking does, by endpoint; only of those that are asked."""
        with self._store.read() as conn:
            kept = trackers.health(conn)
        return {name: kept.get(name, PollHealth(name)) for name in self._polled}

    def failing(self) -> list[str]:
        """The names of those about whom people should be warned."""
        return [name for name, health in self.health().items() if health.failures >= _FAILURES]

    def gauges(self) -> Sequence[tuple[str, int, float]]:
        """By endpoint: failures in a row, and when it was last asked in vain or not (seconds since 1970; 0 never)."""
        return [(n, h.failures, h.succeeded_at.timestamp() if h.succeeded_at else 0.0) for n, h in sorted(self.health().items())]

    def _take(self, name: str, reports: Sequence[StatusReport]) -> bool:
        """Hands reports over. False where one of them must come again."""
        for report in reports:
            try:
                self._statuses.take(report)
            except Refused as refused:
                if refused.code == "not_sorted_yet":
                    return False
                # A ticket of a complaint that is not there any more, or of a round that never was: no other try mends it.
                self._log.write("StatusRefused", report.number, endpoint=name, code=refused.code)
        return True

    def _failed(self, name: str, code: str, zh: str, en: str) -> None:
        with self._store.write() as conn:
            health = trackers.failed(conn, name, code, zh, en, self._clock.now())
        if health.failures >= _FAILURES and name not in self._told:
            self._told.add(name)
            self._log.write("PollFailing", endpoint=name, code=code, failures=health.failures)

    def _run(self, one: Polled) -> None:
        name, failures = one.source.endpoint, 0
        while not self._stopping.is_set():
            try:
                failures = 0 if self.look(name) else failures + 1
            except Exception as error:
                # A store that is away.
                if failures == 0 and not isinstance(error, TryLater):
                    self._log.fault(f"poll {name}", error)
                failures += 1
            self._stopping.wait(min(one.every_seconds * 2 ** min(failures, 10), max(_MOST_WAIT, one.every_seconds)))
