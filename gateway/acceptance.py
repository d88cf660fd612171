"""Acceptance: says that a submission is taken in only when its bytes and the first job are on disk. Nothing is acknowledged before.

Concurrent acceptances are committed together, because one transaction costs one fsync whatever it holds. Who `accept`s waits, and whoever
comes first commits for all that wait at that moment; what is `offer`ed waits for nobody: one thread commits it and tells.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
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

# So many submissions in so many seconds are a burst: more than any company's customers write, and many senders wait at once.
_BURST, _BURST_SECONDS = 15, 0.25
# How long the sorting gives way to one burst, at the most.
_LONGEST_WAY_SECONDS = 10.0


class _Waiting:
    """One caller's submission on its way into a group."""

    __slots__ = ("answer", "submission", "told")

    def __init__(self, submission: Submission, told: Callable[[Receipt | Exception], None] | None = None) -> None:
        self.submission, self.told = submission, told
        self.answer: Receipt | JiesuError | None = None


class Acceptance:
    """Takes submissions in. Call it from any thread."""

    def __init__(self, store: Store, clock: Clock, zone: ZoneInfo, log: OperatorLog, metrics: Metrics) -> None:
        self._store, self._clock, self._zone, self._log, self._metrics = store, clock, zone, log, metrics
        self._queue: deque[_Waiting] = deque()
        self._queue_lock = threading.Lock()
        self._news = threading.Condition(self._queue_lock)
        self._committing = threading.Lock()
        self._committer: threading.Thread | None = None
        self._closed = False
        # When the last groups were committed, and how large they were.
        self._groups: deque[tuple[float, int]] = deque(maxlen=256)
        self._burst_since: float | None = None

    def accept(self, submission: Submission) -> Receipt:
        """The receipt, after commit. Raises `TryLater` when it cannot be committed; then nothing was taken in."""
        mine = _Waiting(submission)
        with self._queue_lock:
            self._queue.append(mine)
        with self._committing:
            if mine.answer is None:
                group = self._next_group(mine)
                self._settle(group)
                self._tell(group)
        answer = mine.answer or _not_accepted()
        if isinstance(answer, JiesuError):
            raise answer
        return answer

    def offer(self, submission: Submission, told: Callable[[Receipt | Exception], None]) -> None:
        """Returns at once; `told` is called in another thread, with the receipt after commit, or with the error."""
        with self._queue_lock:
            if self._closed:
                raise _not_accepted()
            self._queue.append(_Waiting(submission, told))
            self._news.notify()
            if self._committer is None:
                self._committer = threading.Thread(target=self._commit_what_is_offered, name="committer", daemon=True)
                self._committer.start()

    def give_way(self, stopping: threading.Event) -> None:
        """Waits while a burst comes in, but not for ever: what is taken in is safe, and whoever waits for his 250 is not helped by sorting.

        Called before each batch by the worker, which computes in the same interpreter.
        """
        while self._in_a_burst():
            self._burst_since = self._burst_since or time.monotonic()
            if time.monotonic() - self._burst_since > _LONGEST_WAY_SECONDS or stopping.wait(_BURST_SECONDS / 4):
                return
        self._burst_since = None

    def _in_a_burst(self) -> bool:
        since = time.monotonic() - _BURST_SECONDS
        return sum(count for at, count in list(self._groups) if at > since) >= _BURST

    def close(self) -> None:
        """Commits what was offered and ends the thread that does it; nothing can be offered any more."""
        with self._queue_lock:
            self._closed = True
            self._news.notify()
        if self._committer is not None:
            self._committer.join()

    def _commit_what_is_offered(self) -> None:
        while True:
            with self._queue_lock:
                while not self._queue:
                    if self._closed:
                        return
                    self._news.wait()
                first = self._queue[0]
            group: list[_Waiting] = []
            with self._committing:
                if first.answer is None:
                    group = self._next_group(first)
                    self._settle(group)
            # The next group need not wait for the log.
            self._tell(group)

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

    def _settle(self, group: Sequence[_Waiting]) -> None:
        """Commits a group and tells those who offered it."""
        try:
            self._commit(group)
        except Exception as error:
            self._log.fault("acceptance", error)
        for waiting in group:
            waiting.answer = waiting.answer or _not_accepted()
            if waiting.told is not None:
                try:
                    waiting.told(waiting.answer)
                except Exception as error:
                    # The others are told all the same.
                    self._log.fault("acceptance", error)

    def _tell(self, group: Sequence[_Waiting]) -> None:
        """Counts and logs what came of each."""
        for waiting in group:
            channel, answer = waiting.submission.channel.value, waiting.answer
            if isinstance(answer, JiesuError):
                self._metrics.not_accepted.labels(channel).inc()
                self._log.write("NotAccepted", channel=channel, code=answer.code)
            elif answer is not None:
                counter = self._metrics.duplicates if answer.duplicate else self._metrics.received
                counter.labels(channel).inc()
                verb = "Duplicate" if answer.duplicate else "Received"
                self._log.write(verb, answer.number, channel=channel, bytes=len(waiting.submission.raw))

    def _commit(self, group: Sequence[_Waiting]) -> None:
        try:
            with self._store.write() as conn:
                receipts = submissions.take_in(self._store, conn, [w.submission for w in group], self._zone, self._clock.now())
        except TryLater as error:
            for waiting in group:
                waiting.answer = error
        except Exception as error:
            # One submission that the database refuses must not take the others of its group with it.
            if len(group) == 1 and not isinstance(error, IntegrityError):
                self._log.fault("acceptance", error)
            else:
                self._one_by_one(group)
        else:
            self._metrics.group.observe(len(group))
            self._groups.append((time.monotonic(), len(group)))
            for waiting, receipt in zip(group, receipts, strict=True):
                waiting.answer = receipt

    def _one_by_one(self, group: Sequence[_Waiting]) -> None:
        for waiting in group:
            try:
                with self._store.write() as conn:
                    now = self._clock.now()
                    waiting.answer = submissions.take_in(self._store, conn, [waiting.submission], self._zone, now)[0]
            except TryLater as error:
                waiting.answer = error
            except Exception as error:
                self._log.fault("acceptance", error)


def _not_accepted() -> TryLater:
    return TryLater("not_accepted", "暂时无法受理，请稍后再试", "cannot be taken in now; try again later")
