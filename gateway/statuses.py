"""Takes what tracking systems say of the handling: kept always, obeyed only forwards, and told to the customer where it has words for him
(预案 4.4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection

from gateway.announcing import Announcer
from gateway.answering import Told
from gateway.clock import Clock
from gateway.oplog import OperatorLog
from gateway.plan import Plan
from gateway.store import complaints, statuses, threads
from gateway.store.complaints import ComplaintRow
from gateway.store.engine import Store
from models.complaint import ALLOWED_MOVES, ComplaintState
from models.errors import Refused
from models.status import RANK, Effect, Status, StatusCode, StatusReport

MOST_CUSTOMER_TEXT, MOST_INTERNAL_TEXT, MOST_BY = 2000, 4000, 80
_MOST_SEQUENCE = 2**62

# Tells the customer, on the caller's transaction: number, status, words; source_key, by, now by name.
Tell = Callable[..., object]


class StatusSource(Protocol):
    """A tracking system that is asked rather than tells: an adapter polls it and hands each report to `Statuses.take`.

    A report's `message_id` must be the same whenever the same change is read again, e.g. `journal:4711`.
    """

    @property
    def endpoint(self) -> str:
        """The endpoint that it belongs to."""
        ...

    def changed(self, since: str) -> tuple[Sequence[StatusReport], str]:
        """What changed since a mark of its own (empty: everything), oldest first, and the next mark. Raises `TryLater`."""
        ...


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a report. `duplicate`: it was known, and nothing was done. `state`: where the complaint stands now."""

    duplicate: bool
    effect: Effect | None
    state: ComplaintState | None


class Statuses:
    """Takes reports, from whichever way they come in. `tell` is how a customer is told (`gateway.answering`)."""

    def __init__(self, store: Store, clock: Clock, plan: Plan, announcer: Announcer, tell: Tell, log: OperatorLog) -> None:
        self._store, self._clock, self._plan, self._announcer, self._tell, self._log = store, clock, plan, announcer, tell, log

    def take(self, report: StatusReport) -> Taken:
        """Keeps a report and does what follows, in one transaction. Raises `Refused`; then nothing is kept and it may come again."""
        now = self._clock.now()
        # Who claims to speak from the future would silence all who speak after him.
        report = replace(report, said_at=min(report.said_at, now))
        with self._store.write() as conn:
            if statuses.known(conn, report.endpoint, report.message_id):
                return Taken(True, None, None)
            # A number that was joined to another leads there.
            report = replace(report, number=threads.resolve(conn, report.number))
            complaint = complaints.load(conn, [report.number], hold=True).get(report.number)
            if complaint is None or not statuses.was_told(conn, report.endpoint, report.number):
                asked = report.number[:40]
                raise Refused("no_such_complaint", f"没有交给您编号为 {asked} 的投诉", f"no complaint {asked} was handed to you")
            complaints.not_erased(complaint)
            if complaint.state is ComplaintState.RECEIVED:
                raise Refused(
                    "not_sorted_yet", f"投诉 {report.number} 还在分类，请稍候", f"{report.number} is still being sorted; wait a moment"
                )
            if (report.round or 1) > complaint.round:
                raise Refused("no_such_round", f"round：现在是第 {complaint.round} 次处理", f"round: this is handling {complaint.round}")
            # Who does not say of which round he speaks may have said it before the round began: then he has said newer things since.
            last = statuses.last(conn, report.number, report.endpoint, complaint.round if report.round else None)
            effect = effect_of(complaint, last, report)
            kept = statuses.add(self._store, conn, report, report.round or complaint.round, effect, now)
            if kept is None:
                # Another node took the same message at this very moment.
                return Taken(True, None, None)
            state = self._follow(conn, complaint, report, effect, now)
            if effect is not Effect.LATE and report.customer_text.strip():
                by = report.by or report.endpoint
                self._tell(
                    conn, report.number, Told(report.status.value), report.customer_text, source_key=f"status:{kept}", by=by, now=now
                )
        words = bool(report.customer_text.strip())
        self._log.write(
            "StatusTaken", report.number, endpoint=report.endpoint, status=report.status.value, effect=effect.value, words=words
        )
        return Taken(False, effect, state)

    def _follow(self, conn: Connection, complaint: ComplaintRow, report: StatusReport, effect: Effect, now: datetime) -> ComplaintState:
        if effect is not Effect.MOVED:
            return complaint.state
        state = report.status.state
        complaints.move(conn, complaint, state)
        if report.status in self._plan.closes_at_once:
            moved = replace(complaint, state=state)
            complaints.move(conn, moved, ComplaintState.CLOSED)
            self._announcer.announce(conn, self._announcer.closed(moved, now, outcome=report.status.value, by="plan"))
            return ComplaintState.CLOSED
        return state


def effect_of(complaint: ComplaintRow, last: Status | None, report: StatusReport) -> Effect:
    """What follows from a report, and from nothing else. `last`: the newest of this endpoint from which something followed, in
    this round where the report names one."""
    if (report.round or complaint.round) < complaint.round:
        return Effect.LATE
    if last is not None and _older(report, last.report):
        return Effect.LATE
    then = report.status.state
    if then is complaint.state:
        return Effect.SAME
    if RANK[then] < RANK[complaint.state] or then not in ALLOWED_MOVES[complaint.state]:
        return Effect.LATE
    return Effect.MOVED


def _older(report: StatusReport, last: StatusReport) -> bool:
    """By the sender's own count where he counts, else by his clock."""
    if report.sequence is not None and last.sequence is not None:
        return report.sequence <= last.sequence
    return report.said_at < last.said_at


def read_report(endpoint: str, message_id: str, sent_at: datetime, body: Any) -> StatusReport:
    """The report that a Standard Webhooks payload carries (`complaint.status.v1`). Raises `Refused`, which names the key.

    sent_at: when it was sent, for payloads without a timestamp.
    """
    if not isinstance(body, dict) or body.get("type") != "complaint.status":
        raise Refused("bad_status", "type：应为 complaint.status", "type: must be complaint.status")
    data = body.get("data")
    if not isinstance(data, dict):
        raise Refused("bad_status", "data：应为 JSON 对象", "data: must be a JSON object")
    code = _text(data, "status", 16)
    if code not in list(StatusCode):
        known = ", ".join(StatusCode)
        raise Refused("bad_status", f"status：应为 {known} 之一", f"status: must be one of {known}")
    number = _text(data, "number", 40)
    return StatusReport(
        endpoint=endpoint,
        message_id=message_id,
        number=number if number.isascii() and number.isprintable() else "",
        status=StatusCode(code),
        said_at=_time(body, sent_at),
        round=_whole(data, "round", 1),
        sequence=_whole(data, "sequence", 0),
        customer_text=_text(data, "customer_text", MOST_CUSTOMER_TEXT),
        internal_text=_text(data, "internal_text", MOST_INTERNAL_TEXT),
        by=_text(data, "by", MOST_BY),
    )


def _text(data: Mapping[str, Any], key: str, most: int) -> str:
    value = data.get(key)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > most:
        raise Refused("bad_status", f"{key}：应为文字，最多 {most} 字", f"{key}: must be text of {most} characters at most")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        # Half of a pair: no store can keep it, so it could only fail for ever.
        raise Refused("bad_status", f"{key}：含不成对的代理字符", f"{key}: holds half of a surrogate pair")
    return value


def _whole(data: Mapping[str, Any], key: str, least: int) -> int | None:
    value = data.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MOST_SEQUENCE:
        raise Refused("bad_status", f"{key}：应为不小于 {least} 的整数", f"{key}: must be a whole number from {least}")
    return value


def _time(body: Mapping[str, Any], otherwise: datetime) -> datetime:
    spelt = body.get("timestamp")
    if spelt is None:
        return otherwise
    try:
        at = datetime.fromisoformat(str(spelt).replace("Z", "+00:00"))
        if at.tzinfo is None or at.year < 1971:
            raise ValueError
    except (ValueError, OverflowError):
        raise Refused("bad_status", "timestamp：应为带时区的 ISO 8601 时间", "timestamp: must be a time of ISO 8601 with a zone") from None
    return at
