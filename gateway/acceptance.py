"""Acceptance: returns only when the bytes and the first job are on disk. Nothing is acknowledged before.

Concurrent acceptances are committed together, because one transaction costs one fsync whatever it holds. Whoever comes first commits for
all that wait at that moment; the others find their receipt ready.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from sqlalchemy.exc import IntegrityError

from gateway.clock import Clock
from gateway.metrics import Metrics
from gateway.oplog import OperatorLog
from gateway.store import submissions
from gateway.store.engine import Store
from models.errors import JiesuError, TryLater
from models.submission import Receipt, Submission

# The most submissions of one transaction, and the most bytes: a group must not hold up the first in it.
_GROUP, _GROUP_BYTES = 100, 32 * 1024 * 1024


class _Waiting:
    """One caller's submission on its way into a group."""

    __slots__ = ("error", "receipt", "submission")

    def __init__(self, submission: Submission) -> None:
        self.submission = submission
        self.receipt: Receipt | None = None
        self.error: JiesuError | None = None

    @property
    def settled(self) -> bool:
        return self.receipt is not None or self.error is not None


class Acceptance:
    """Takes submissions in. Call it from any thread."""

    def __init__(self, store: Store, clock: Clock, zone: ZoneInfo, log: OperatorLog, metrics: Metrics) -> None:
        self._store, self._clock, self._zone, self._log, self._metrics = store, clock, zone, log, metrics
        self._queue: deque[_Waiting] = deque()
        self._queue_lock = threading.Lock()
        self._committing = threading.Lock()

    def accept(self, submission: Submission) -> Receipt:
        """The receipt, after commit. Raises `TryLater` when it cannot be committed; then nothing was taken in."""
        mine = _Waiting(submission)
        with self._queue_lock:
            self._queue.append(mine)
        with self._committing:
            if not mine.settled:
                self._commit(self._next_group(mine))
        if mine.receipt is None:
            self._metrics.not_accepted.labels(submission.channel.value).inc()
            error = mine.error or TryLater("not_accepted", "暂时无法受理，请稍后再试", "cannot be taken in now; try again later")
            self._log.write("NotAccepted", channel=submission.channel.value, code=error.code)
            raise error
        counter = self._metrics.duplicates if mine.receipt.duplicate else self._metrics.received
        counter.labels(submission.channel.value).inc()
        self._log.write(
            "Duplicate" if mine.receipt.duplicate else "Received",
            mine.receipt.number,
            channel=submission.channel.value,
            bytes=len(submission.raw),
        )
        return mine.receipt

    def _next_group(self, mine: _Waiting) -> list[_Waiting]:
        """What waits now, oldest first; always with `mine` in it, however long the queue."""
        group: list[_Waiting] = []
        size = 0
        with self._queue_lock:
            while self._queue and (mine not in group or (len(group) < _GROUP and size < _GROUP_BYTES)):
                waiting = self._queue.popleft()
                group.append(waiting)
                size += len(waiting.submission.raw)
        return group

    def _commit(self, group: Sequence[_Waiting]) -> None:
        try:
            with self._store.write() as conn:
                receipts = submissions.take_in(self._store, conn, [w.submission for w in group], self._zone, self._clock.now())
        except TryLater as error:
            for waiting in group:
                waiting.error = error
        except Exception as error:
            # One submission that the database refuses must not take the others of its group with it.
            if len(group) == 1 and not isinstance(error, IntegrityError):
                self._log.fault("acceptance", error)
                group[0].error = TryLater("not_accepted", "暂时无法受理，请稍后再试", "cannot be taken in now; try again later")
            else:
                self._one_by_one(group)
        else:
            self._metrics.group.observe(len(group))
            for waiting, receipt in zip(group, receipts, strict=True):
                waiting.receipt = receipt

    def _one_by_one(self, group: Sequence[_Waiting]) -> None:
        for waiting in group:
            try:
                with self._store.write() as conn:
                    now = self._clock.now()
                    waiting.receipt = submissions.take_in(self._store, conn, [waiting.submission], self._zone, now)[0]
            except TryLater as error:
                waiting.error = error
            except Exception as error:
                self._log.fault("acceptance", error)
                waiting.error = TryLater("not_accepted", "暂时无法受理，请稍后再试", "cannot be taken in now; try again later")
