"""The worker: claims jobs, lets their step run, and obeys its report. One loop, a few threads a lane."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.flow import LANES, MOST_UNREPORTED, Gate, Report, Stage, Step
from gateway.metrics import Metrics
from gateway.oplog import OperatorLog
from gateway.store import jobs
from gateway.store.engine import Store
from gateway.store.jobs import Job
from models.delivery import Next, RetryDecision
from models.errors import JiesuError, Refused, TryLater, Unreadable

# How often a lane looks for work that nobody told it of (another process's, or a wait that is over).
_POLL_SECONDS = 0.5
# How long a report waits for a store that is away, before its job is left to its lease.
_SETTLE_AGAIN_SECONDS = (0.2, 0.5, 1, 2, 5, 10, 10, 10, 10, 10)
# How long the store is left to a door that waits for it.
_COURTESY_SECONDS = 0.001
# How long a lane pauses after a round in which a door had to wait.
_CROWDED_SECONDS = 0.3
# How far a wait strays, so that jobs that failed together do not come back together.
_JITTER = 0.15


def decide(stage: Stage, job: Job, error: BaseException, stray: Callable[[], float] = random.random) -> RetryDecision:
    """What becomes of a job whose step raised: a value computed from error and job, and from nothing else."""
    if isinstance(error, Unreadable | Refused):
        return RetryDecision(Next.PARK, f"{error.code}: {error.zh} / {error.en}")
    said = f"{error.code}: {error.zh} / {error.en}" if isinstance(error, JiesuError) else f"fault: {type(error).__name__}"
    return again(stage, job, said, stray)


def again(
    stage: Stage,
    job: Job,
    reason: str,
    stray: Callable[[], float] = random.random,
    *,
    at_least: timedelta = timedelta(0),
) -> RetryDecision:
    """Another try after the stage's wait (with jitter), or parked when all tries are used up."""
    if job.attempts > len(stage.backoff):
        return RetryDecision(Next.PARK, f"attempts_exhausted: 多次尝试仍失败 / every try failed; {reason}")
    wait = stage.backoff[job.attempts - 1] * (1 + _JITTER * (2 * stray() - 1))
    return RetryDecision(Next.RETRY, reason, max(wait, at_least))


class Worker:
    """Runs the jobs of a store. `name` is unlike any other worker's; steps and gates go by the stage's name.

    `give_way` waits before each batch of the first lane.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        flow: Sequence[Stage],
        steps: Mapping[str, Step],
        log: OperatorLog,
        metrics: Metrics,
        name: str,
        give_way: Callable[[threading.Event], None] | None = None,
        gates: Mapping[str, Gate] | None = None,
    ) -> None:
        self._give_way = give_way
        self._store, self._clock, self._flow, self._steps = store, clock, tuple(flow), steps
        self._gates = gates or {}
        self._log, self._metrics, self._name = log, metrics, name
        self._stopping = threading.Event()
        self._lanes = tuple(dict.fromkeys(stage.lane for stage in flow))
        self._news = {lane: threading.Event() for lane in self._lanes}
        self._threads: list[threading.Thread] = []
        # The lanes whose last round found a door waiting for the store.
        self._crowded: set[str] = set()
        # The stages whose last claim brought as much as was asked for.
        self._full: set[str] = set()

    def start(self) -> None:
        """Begins to work, in the threads of each lane; again, where it was stopped."""
        self._stopping.clear()
        for lane in self._lanes:
            for n in range(threads_of(lane)):
                thread = threading.Thread(target=self._run_lane, args=(lane,), name=f"{lane}-{n}", daemon=True)
                thread.start()
                self._threads.append(thread)

    def stop(self, timeout: float = 60) -> None:
        """Finishes what is in hand and stops. What is not in hand stays in the store."""
        self._stopping.set()
        for news in self._news.values():
            news.set()
        for thread in self._threads:
            thread.join(timeout)
        self._threads.clear()

    def alive(self) -> bool:
        """Whether every lane has its threads."""
        return len(self._threads) == sum(map(threads_of, self._lanes)) and all(thread.is_alive() for thread in self._threads)

    def wake(self, lane: str | None = None) -> None:
        """Says that there is something new for a lane and all of its queues; for the first where none is named."""
        wanted = lane or self._lanes[0]
        for name, news in self._news.items():
            if name.partition(":")[0] == wanted:
                news.set()

    def wake_all(self) -> None:
        """Says that there is something new for every lane."""
        for news in self._news.values():
            news.set()

    def drain(self) -> int:
        """Works until nothing is due now, in the caller's thread. Returns how many jobs were settled."""
        settled = 0
        while handled := sum(self._run_stage(stage) for stage in self._flow):
            settled += handled
        return settled

    def _run_lane(self, lane: str) -> None:
        stages = [stage for stage in self._flow if stage.lane == lane]
        news = self._news[lane]
        while not self._stopping.is_set():
            news.clear()
            if self._give_way is not None and lane == self._lanes[0]:
                self._give_way(self._stopping)
            try:
                handled = sum(self._run_stage(stage) for stage in stages)
                if not handled:
                    handled = sum(self._steps[stage.name].idle(self._clock.now()) for stage in stages)
            except TryLater:
                # The store is away. What was claimed comes back when its lease ends.
                handled = 0
            except Exception as error:
                self._log.fault(f"lane {lane}", error)
                handled = 0
            if not handled:
                news.wait(_POLL_SECONDS)
            elif lane in self._crowded:
                # While much comes in, taking it in goes first; and what waits meanwhile is worked on by larger batches, which is cheaper.
                self._crowded.discard(lane)
                self._stopping.wait(_CROWDED_SECONDS)

    def _run_stage(self, stage: Stage) -> int:
        """Claims and runs one batch. Returns how many jobs were settled."""
        now = self._clock.now()
        # After a full batch there is mostly more, and the claim itself tells.
        if stage.name in self._full:
            self._full.discard(stage.name)
            return self._gated(stage, now)
        with self._store.read() as conn:
            due = jobs.next_due(conn, [stage.kind], stage.queue)
        if due is None or due > now:
            # A look costs no write; but leases that ran out are not ready and show only to a claim.
            with self._store.read() as conn:
                if not jobs.has_dropped(conn, stage.kind, now, stage.queue):
                    return 0
        return self._gated(stage, now)

    def _gated(self, stage: Stage, now: datetime) -> int:
        """Claims and runs as much as the stage's gate lets."""
        gate = self._gates.get(stage.name)
        if gate is None:
            return self._claim_and_run(stage, stage.batch, now)
        most, ran = gate.take(now, stage.batch), 0
        if not most:
            return 0
        try:
            ran = self._claim_and_run(stage, most, now)
        finally:
            gate.give_back(most, ran)
        return ran

    def _claim_and_run(self, stage: Stage, most: int, now: datetime) -> int:
        with self._store.write() as conn:
            mine = jobs.claim(
                self._store,
                conn,
                stage.kind,
                limit=most,
                lease=stage.lease,
                worker=self._name,
                now=now,
                behind_parked=stage.behind_parked,
                after=stage.after,
                queue=stage.queue,
            )
        if not mine:
            return 0
        if len(mine) == most:
            self._full.add(stage.name)
        with self._metrics.step_seconds.labels(stage.kind).time():
            reports = self._reports(stage, mine, now)
        self._settle_surely(stage, reports)
        for lane in stage.wakes:
            self.wake(lane)
        return len(mine)

    def _reports(self, stage: Stage, mine: Sequence[Job], now: datetime) -> list[Report]:
        killers = [job for job in mine if job.unreported > MOST_UNREPORTED]
        parked = [
            Report(job, RetryDecision(Next.PARK, "killed_its_worker: 处理时进程多次中止 / its worker died again and again"))
            for job in killers
        ]
        mine = [job for job in mine if job.unreported <= MOST_UNREPORTED]
        step = self._steps[stage.name]
        if not mine:
            return parked
        try:
            return parked + step.run(mine, now)
        except Exception as error:
            if len(mine) == 1:
                return [*parked, self._failed(stage, mine[0], error)]
        # One of the batch is bad; which one shows when each is run alone.
        return parked + [report for job in mine for report in self._alone(stage, step, job, now)]

    def _alone(self, stage: Stage, step: Step, job: Job, now: datetime) -> list[Report]:
        try:
            return step.run([job], now)
        except Exception as error:
            return [self._failed(stage, job, error)]

    def _failed(self, stage: Stage, job: Job, error: Exception) -> Report:
        if not isinstance(error, JiesuError):
            self._log.fault(stage.kind, error, job.number)
        return Report(job, decide(stage, job, error))

    def _settle_surely(self, stage: Stage, reports: Sequence[Report]) -> None:
        """Writes the reports; when the store is away for a moment, waits for it, for what was done must not be thrown away."""
        left = list(reports)
        for wait in _SETTLE_AGAIN_SECONDS:
            try:
                self._settle(stage, left)
                return
            except TryLater:
                if self._stopping.wait(wait):
                    break
        self._settle(stage, left)

    def _settle(self, stage: Stage, left: list[Report]) -> None:
        """Writes all in one transaction, or in several where a door waits for the store meanwhile: what comes in is acknowledged first.

        What fails together is written one by one. What is settled is taken out of `left`.
        """
        while left:
            written: list[Report] = []
            try:
                with self._store.write() as conn:
                    while len(written) < len(left):
                        few = left[len(written) : len(written) + stage.written]
                        written += few
                        self._write(conn, few)
                        if self._store.somebody_waits:
                            self._crowded.add(stage.lane)
                            break
            except TryLater:
                raise
            except Exception:
                # One of them cannot be written; which one shows when each has a transaction of its own.
                for report in written:
                    self._settle_alone(stage, report)
                    left.remove(report)
            else:
                del left[: len(written)]
                self._tell(stage, written)
            if left:
                # Whoever waits would else be overtaken by the next part.
                time.sleep(_COURTESY_SECONDS)

    def _settle_alone(self, stage: Stage, report: Report) -> None:
        try:
            with self._store.write() as conn:
                self._write(conn, [report])
        except _LostError:
            self._log.write("LeaseLost", report.job.number, kind=stage.kind, job=report.job.id)
            self._keep_lasting(stage, report)
            return
        except TryLater:
            raise
        except Exception as error:
            lasting, report = report, self._failed(stage, report.job, error)
            try:
                with self._store.write() as conn:
                    self._write(conn, [report])
            except _LostError:
                self._log.write("LeaseLost", report.job.number, kind=stage.kind, job=report.job.id)
                self._keep_lasting(stage, lasting)
                return
            self._keep_lasting(stage, lasting)
        self._tell(stage, [report])

    def _keep_lasting(self, stage: Stage, report: Report) -> None:
        """Writes what does not hang on the job, which was lost or cannot be settled."""
        if report.lasting is None:
            return
        try:
            with self._store.write() as conn:
                report.lasting(conn)
        except TryLater:
            raise
        except Exception as error:
            self._log.fault(stage.kind, error, report.job.number)

    def _write(self, conn: Connection, reports: Sequence[Report]) -> None:
        """What the reports bring, and what becomes of their jobs. Raises when a lease was lost: then nothing of it may stand."""
        kept = True
        for report in reports:
            if report.lasting is not None:
                report.lasting(conn)
        together: dict[Any, list[Any]] = {}
        for report in reports:
            if report.write_together is not None:
                together.setdefault(report.write_together, []).append(report.entry)
        for write_together, entries in together.items():
            write_together(conn, entries)
        for report in reports:
            job, decision = report.job, report.decision
            if report.write is not None:
                report.write(conn)
            code, _, reason = decision.reason.partition(": ")
            if decision.next is Next.RETRY:
                at = self._clock.now() + decision.wait
                kept &= jobs.retry(conn, job, self._name, at=at, code=code, reason=reason or code, counted=decision.counted)
            elif decision.next is Next.PARK:
                kept &= jobs.park(conn, job, self._name, code=code, reason=reason or code)
        kept &= jobs.finish(conn, [report.job for report in reports if report.decision.next is Next.DONE], self._name)
        if not kept:
            raise _LostError

    def _tell(self, stage: Stage, reports: Sequence[Report]) -> None:
        """Counts and logs what was settled."""
        lines: list[tuple[str, str, Mapping[str, object]]] = []
        for report in reports:
            job, decision = report.job, report.decision
            said: list[tuple[str, Mapping[str, object]]] = [*report.log]
            if decision.next is not Next.DONE:
                code = decision.reason.partition(": ")[0]
                told: dict[str, object] = {"kind": stage.kind, "attempt": job.attempts, "code": code}
                if decision.next is Next.RETRY:
                    said.append(("Retry", told | {"wait_seconds": round(decision.wait.total_seconds(), 1)}))
                else:
                    said.append(("Parked", told | {"job": job.id}))
            lines += [(verb, job.number, fields) for verb, fields in said]
        self._log.write_all(lines)
        for result, times in Counter(report.decision.next.value for report in reports).items():
            self._metrics.jobs.labels(stage.kind, result).inc(times)


def threads_of(lane: str) -> int:
    """How many threads a lane has."""
    return LANES[lane.partition(":")[0]]


class _LostError(Exception):
    """Another worker has the job now; whatever this transaction wrote must go."""
