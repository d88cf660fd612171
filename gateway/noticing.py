"""Makes notices for people and puts them down with what caused them: once for each cause, for the robots that tell of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from gateway.reconcile import Report
from gateway.store import notices
from gateway.store.engine import Store
from gateway.ticket import Triaged, iso
from models.assignment import Priority
from models.notice import Notice, NoticeKind, Robot

# So many numbers stand in a notice.
_NAMED = 5


class Noticing:
    """Puts notices down. Where no robot tells of a kind, nothing is."""

    def __init__(self, store: Store, robots: Sequence[Robot], zone: ZoneInfo) -> None:
        self._store, self._robots, self._zone = store, tuple(robots), zone

    def told_by(self, notice: Notice) -> list[str]:
        """The names of the robots that tell of it."""
        return [robot.name for robot in self._robots if robot.takes(notice)]

    def put(self, conn: Connection, notice: Notice, now: datetime) -> bool:
        """Keeps a notice on the caller's transaction, with a job for each robot; what is not urgent waits for the end of quiet hours.

        Whether it was made: False where there is one of this key, or nobody tells of it.
        """
        when = {robot.name: self._not_before(robot, notice, now) for robot in self._robots if robot.takes(notice)}
        return bool(when) and notices.make(self._store, conn, notice, when, now) is not None

    def _not_before(self, robot: Robot, notice: Notice, now: datetime) -> datetime | None:
        if notice.urgent or robot.quiet is None:
            return None
        return robot.quiet.over_at(now.astimezone(self._zone))

    # ---- With what caused it -----------------------------------------------------------------------------------------------------------

    def risks(self, conn: Connection, triaged: Triaged, now: datetime) -> None:
        """Tells of risks that a triage found and nobody was told of, on the transaction of the triage (预案 二)."""
        number, found = triaged.complaint.number, [risk.value for risk in triaged.verdict.risk]
        # What a machine wrote rings no bell: it may be a notice of ours that came back.
        if not found or all(message.machine for message in triaged.messages):
            return
        before = {risk for notice in notices.all_of(conn, NoticeKind.RISK, number) for risk in notice.risks}
        if not set(found) - before:
            return
        assignment = triaged.assignment
        notice = Notice(
            key=f"risk:{number}:{'+'.join(sorted(found))}",
            kind=NoticeKind.RISK,
            at=now,
            subject=number,
            number=number,
            departments=(assignment.department, *assignment.escalate_to),
            klass=triaged.verdict.primary.value,
            estate=triaged.customer.estate or triaged.complaint.customer.estate,
            urgent=assignment.priority is Priority.URGENT,
            facts={"risk": found, "priority": assignment.priority.value, "reply_due": iso(assignment.reply_due)},
        )
        self.put(conn, notice, now)

    def unexplained(self, report: Report, day: str, now: datetime) -> None:
        """Tells of a nightly reconciliation that cannot account for everything; once a day, whichever node found it."""
        numbers = list(dict.fromkeys(number for one in report.endpoints.values() for number in one.numbers))
        facts = {"count": report.unexplained, "lost": sum(report.lost.values()), "numbers": numbers[:_NAMED]}
        notice = Notice(f"unexplained:{day}", NoticeKind.UNEXPLAINED, now, day, urgent=True, facts=facts)
        with self._store.write() as conn:
            self.put(conn, notice, now)
