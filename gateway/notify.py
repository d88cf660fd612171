"""Notify: what people are to be told goes out by a robot, all that waits together in one message, and never faster than its maker takes it.

Every message is in the store before it is sent, so that all nodes together keep to the limit; a process that is killed between the maker's
yes and its own commit tells the same once more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from gateway.flow import Report, Stage
from gateway.metrics import Metrics
from gateway.oplog import OperatorLog
from gateway.store import jobs, notices
from gateway.store.engine import Store
from gateway.store.jobs import Job
from models.delivery import Next, RetryDecision
from models.notice import Notice, Robot, TellCode, TellOutcome

# For how long a robot is left alone after the first failed message, the second, …; the last again and again.
_WAITS = tuple(timedelta(seconds=s) for s in (5, 15, 30, 60, 120, 300, 600, 900))


# So many numbers stand in a line of the log.
_NUMBERS = 20


class Teller(Protocol):
    """Tells people by one robot (`gateway.robots`)."""

    def speakable(self, robot: Robot, notice: Notice) -> bool:
        """Whether there are words for a notice; a fault is logged."""
        ...

    def tell(self, robot: Robot, told: Sequence[Notice]) -> TellOutcome:
        """Tells all of these in one message."""
        ...


class Notify:
    """The step from notices to one robot, and the gate before it: one message at a time, and only when the next may be sent.

    again: computes the decision for another try from job and reason (see `gateway/worker.py`).
    """

    def __init__(
        self,
        store: Store,
        robot: Robot,
        teller: Teller,
        stage: Stage,
        again: Callable[..., RetryDecision],
        zone: ZoneInfo,
        log: OperatorLog,
        metrics: Metrics,
        clock: Callable[[], datetime],
    ) -> None:
        self._store, self._robot, self._teller, self._stage, self._again = store, robot, teller, stage, again
        self._zone, self._log, self._metrics, self._now = zone, log, metrics, clock
        # The message that may be sent now, and was not yet. The lane of a robot has one thread.
        self._message: int | None = None

    # ---- The gate --------------------------------------------------------------------------------------------------------------------

    def take(self, now: datetime, most: int) -> int:
        """All that waits, where a message may be sent now; else none, as while it is off."""
        if self._robot.off:
            return 0
        with self._store.read() as conn:
            free_from = notices.may_send_from(conn, self._robot)
        if free_from is not None and free_from > now:
            return 0
        with self._store.write() as conn:
            self._message = notices.reserve(self._store, conn, self._robot, now)
        return most if self._message is not None else 0

    def give_back(self, held: int, used: int) -> None:
        """A message that was not sent leaves room for another."""
        message, self._message = self._message, None
        if message is not None:
            with self._store.write() as conn:
                notices.give_up(conn, message)

    # ---- The step --------------------------------------------------------------------------------------------------------------------

    def run(self, batch: Sequence[Job], now: datetime) -> list[Report]:
        """Tells the batch in one message and reports on each."""
        with self._store.read() as conn:
            found = notices.untold(conn, self._robot.name, [job.payload["notice_id"] for job in batch])
        reports: list[Report] = []
        to_tell: list[tuple[Job, Notice]] = []
        quiet_until = self._quiet_until(now)
        for job in batch:
            notice = found.get(job.payload["notice_id"])
            if notice is None:
                reports.append(Report(job, RetryDecision(Next.DONE, "told_before")))
            elif quiet_until is not None and not notice.urgent:
                wait = RetryDecision(Next.RETRY, "quiet_hours: 安静时段，到时再发 / quiet hours", quiet_until - now, counted=False)
                reports.append(Report(job, wait))
            elif not self._teller.speakable(self._robot, notice):
                fault = "fault: 这条提醒无法写成文字 / there are no words for this notice"
                reports.append(Report(job, self._again(self._stage, job, fault)))
            elif self._message is None:
                # The worker runs a batch that raised one by one; there is room for one message and not for many.
                reports.append(Report(job, RetryDecision(Next.RETRY, "one_message: 稍后再发 / later", self._robot.interval, counted=False)))
            else:
                to_tell.append((job, notice))
        if to_tell:
            reports += self._tell(to_tell)
        return reports

    def idle(self, now: datetime) -> bool:
        """Nothing to look for."""
        return False

    def _quiet_until(self, now: datetime) -> datetime | None:
        quiet = self._robot.quiet
        return quiet.over_at(now.astimezone(self._zone)) if quiet else None

    def _tell(self, to_tell: Sequence[tuple[Job, Notice]]) -> list[Report]:
        message, self._message = self._message, None
        assert message is not None  # noqa: S101 - asked by the caller
        try:
            outcome = self._teller.tell(self._robot, [notice for _, notice in to_tell])
        except Exception as error:
            # The message is settled all the same, so that the robot is left alone and the notices are tried again, and parked in the end.
            self._log.fault(self._stage.name, error)
            outcome = TellOutcome(TellCode.FAULT, zh="本程序出错，见日志", en="a fault of ours; see the log")
        self._metrics.robot_messages.labels(self._robot.name, outcome.code.value).inc()
        told: dict[str, object] = {"robot": self._robot.name, "notices": len(to_tell), "ms": round(outcome.seconds * 1000)}
        if len(to_tell) > 1:
            # The line itself has the first one's number.
            told["numbers"] = [notice.number for _, notice in to_tell if notice.number][:_NUMBERS]
        fine = outcome.code is TellCode.ACCEPTED
        if not fine:
            with self._store.read() as conn:
                failures = notices.failures_in_a_row(conn, self._robot.name, len(_WAITS)) + 1
            wait = _WAITS[min(failures, len(_WAITS)) - 1]
            outcome = replace(outcome, hold=max(outcome.hold, wait))
            told |= {
                "code": outcome.code.value,
                "status": outcome.status,
                "maker_code": outcome.maker_code,
                "zh": outcome.zh,
                "en": outcome.en,
            }
            told["hold_seconds"] = round(outcome.hold.total_seconds())
        elif outcome.zh:
            told |= {"zh": outcome.zh, "en": outcome.en}
        ids = [notice.id for _, notice in to_tell]

        def write(conn: Connection) -> None:
            now = self._now()
            notices.settle(conn, message, self._robot, outcome, ids, now)
            if fine:
                # The robot is well: what waits for another try goes with the next message.
                jobs.hasten(conn, self._stage.kind, self._stage.queue, now)

        reports = [Report(job, self._decide(job, outcome)) for job, _ in to_tell]
        line = ("NoticesTold", told) if fine else ("NoticesNotTold", told)
        first = reports[0]
        reports[0] = Report(first.job, first.decision, write, (line,))
        return reports

    def _decide(self, job: Job, outcome: TellOutcome) -> RetryDecision:
        if outcome.code is TellCode.ACCEPTED:
            return RetryDecision(Next.DONE, "told")
        number = f" {outcome.maker_code or outcome.status or ''}".rstrip()
        reason = f"{outcome.code.value}: {outcome.zh}{number} / {outcome.en}{number}"
        if outcome.code is TellCode.THROTTLED:
            # It says nothing of the notice, and the robot is left alone meanwhile.
            return RetryDecision(Next.RETRY, reason, outcome.hold, counted=False)
        return self._again(self._stage, job, reason)
