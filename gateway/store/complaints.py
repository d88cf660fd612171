"""Complaints, their conversations, verdicts and assignments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from gateway.store import open_terms
from gateway.store.engine import Store
from models.assignment import Assignment
from models.complaint import ALLOWED_MOVES, TRIAGED_IN_PLACE, ComplaintState, Customer
from models.errors import JiesuError, Refused
from models.submission import Channel
from models.tables import assignments, complaints, messages, verdicts
from models.verdict import ComplaintClass, Verdict


@dataclass(frozen=True, slots=True)
class ComplaintRow:
    """A complaint as the store has it: the record, and what was last decided about it."""

    number: str
    channel: Channel
    received_at: datetime
    state: ComplaintState
    round: int
    title: str
    customer: Customer
    klass: ComplaintClass | None
    department: str | None
    priority: str | None
    reply_due: datetime | None
    triaged_through: int
    last_event: str | None
    erased: bool = False


@dataclass(frozen=True, slots=True)
class MessageRow:
    """One entry of a conversation as the store has it. `hints` are what the envelope said of the customer."""

    id: int
    number: str
    submission_id: int
    received_at: datetime
    title: str
    said: str
    text: str
    machine: bool
    parsed: Mapping[str, Any]

    @property
    def hints(self) -> Customer:
        """What the envelope or a header said of the customer."""
        return Customer(**self.parsed.get("hints", {}))

    @property
    def aside(self) -> bool:
        """Whether it joined the complaint and changes nothing of what that is about: a bounce, an absence notice."""
        return bool(self.parsed.get("aside"))

    @property
    def details(self) -> Mapping[str, Any]:
        """What else its channel says of it."""
        found: Mapping[str, Any] = self.parsed.get("details", {})
        return found


def begin(store: Store, conn: Connection, number: str, channel: Channel, received_at: datetime, title: str) -> bool:
    """Makes the record of a complaint, unless it exists. Whether it was made."""
    made = conn.execute(
        store.insert(complaints)
        .values(
            number=number,
            channel=channel.value,
            received_at=received_at,
            state=ComplaintState.RECEIVED.value,
            round=1,
            title=title,
        )
        .on_conflict_do_nothing()
        # The count of rows is not to be had of every driver.
        .returning(complaints.c.number)
    )
    return made.first() is not None


def add_message(store: Store, conn: Connection, row: Mapping[str, object]) -> None:
    """Adds an entry to a conversation; the same submission never twice."""
    conn.execute(store.insert(messages).values(**row).on_conflict_do_nothing())


def details_of(conn: Connection, submission_id: int) -> dict[str, Any]:
    """What was read of a message besides its texts; empty where there is no message."""
    parsed = conn.execute(select(messages.c.parsed).where(messages.c.submission_id == submission_id)).scalar_one_or_none()
    return dict((parsed or {}).get("details", {}))


def add_detail(conn: Connection, submission_id: int, key: str, value: object) -> None:
    """Adds what was found out about a message later."""
    mine = messages.c.submission_id == submission_id
    parsed = conn.execute(select(messages.c.parsed).where(mine).with_for_update()).scalar_one_or_none()
    if parsed is not None:
        details = {**parsed.get("details", {}), key: value}
        conn.execute(update(messages).where(mine).values(parsed={**parsed, "details": details}))


def load(conn: Connection, numbers: Sequence[str], *, hold: bool = False) -> dict[str, ComplaintRow]:
    """Complaints by number. `hold`: nobody else writes them until the caller's transaction ends (SQLite has one writer anyway)."""
    wanted = select(complaints).where(complaints.c.number.in_(numbers))
    return {row.number: _complaint(row) for row in conn.execute(wanted.with_for_update() if hold else wanted)}


def conversation(conn: Connection, numbers: Sequence[str]) -> dict[str, list[MessageRow]]:
    """All messages of these complaints, in the order in which they were received, by number."""
    by_number: dict[str, list[MessageRow]] = {number: [] for number in numbers}
    found = conn.execute(
        select(messages).where(messages.c.number.in_(numbers)).order_by(messages.c.number, messages.c.received_at, messages.c.submission_id)
    )
    for row in found:
        by_number[row.number].append(
            MessageRow(
                row.id,
                row.number,
                row.submission_id,
                row.received_at,
                row.title,
                row.said,
                row.text,
                row.machine,
                row.parsed,
            )
        )
    return by_number


def record_triage(
    conn: Connection,
    complaint: ComplaintRow,
    *,
    verdict: Verdict,
    verdict_body: object,
    assignment: Assignment,
    assignment_body: object,
    customer: Customer,
    through: int,
    event_id: str | None,
    review_rank: float | None,
    at: datetime,
    reopens: bool = False,
) -> None:
    """Keeps a verdict and an assignment, and what they make of the complaint. Refuses a move that the table of moves does not allow.

    reopens: with this the round begins that `complaint` says.
    Raises `Overtaken` when somebody else has decided about the complaint since it was loaded.
    """
    # What the customer adds changes nothing about how far the handling is, unless he is not content with its end.
    stays = complaint.state in TRIAGED_IN_PLACE and not reopens
    state = complaint.state if stays else ComplaintState.ROUTED
    if state is not complaint.state:
        _allow(complaint.state, state)
    conn.execute(
        insert(verdicts).values(
            number=complaint.number,
            at=at,
            klass=verdict.primary.value,
            decision=verdict.decision.value,
            trained_model=verdict.trained_model,
            body=verdict_body,
        )
    )
    record_assignment(conn, complaint, assignment=assignment, assignment_body=assignment_body, at=at)
    _decide(
        conn,
        complaint,
        state=state.value,
        round=complaint.round,
        klass=verdict.primary.value,
        department=assignment.department,
        priority=assignment.priority.value,
        reply_due=assignment.reply_due,
        triaged_through=through,
        last_event=event_id or complaint.last_event,
        review_rank=review_rank,
        **{key: getattr(customer, key) for key in ("name", "phone", "email", "estate", "unit")},
    )


def record_assignment(conn: Connection, complaint: ComplaintRow, *, assignment: Assignment, assignment_body: object, at: datetime) -> None:
    """Keeps an assignment, with the terms that it sets."""
    conn.execute(
        insert(assignments).values(
            number=complaint.number,
            at=at,
            department=assignment.department,
            priority=assignment.priority.value,
            rule=assignment.rule,
            plan_version=assignment.plan_version,
            body=assignment_body,
        )
    )
    # The terms of the first round run from the receipt, those of a later one from when it began.
    open_terms.keep(conn, complaint.number, assignment, complaint.received_at if complaint.round == 1 else at, at)


def record_correction(
    conn: Connection,
    complaint: ComplaintRow,
    klass: ComplaintClass,
    assignment: Assignment,
    assignment_body: object,
    event_id: str,
    at: datetime,
) -> None:
    """Keeps the assignment that follows from a correction, and what both make of the complaint. Raises `Overtaken`."""
    record_assignment(conn, complaint, assignment=assignment, assignment_body=assignment_body, at=at)
    _decide(
        conn,
        complaint,
        klass=klass.value,
        department=assignment.department,
        priority=assignment.priority.value,
        reply_due=assignment.reply_due,
        last_event=event_id,
        review_rank=None,
    )


def move(
    conn: Connection, complaint: ComplaintRow, state: ComplaintState, *, round: int | None = None, event_id: str | None = None
) -> None:
    """Puts a complaint where the table of moves allows, in another round where one is given.

    Raises `Refused` where the table does not know the move, `Overtaken` where somebody else has decided since it was loaded.
    """
    _allow(complaint.state, state)
    same = complaints.c.last_event.is_not_distinct_from(complaint.last_event)
    there = (complaints.c.number == complaint.number, complaints.c.state == complaint.state.value, same)
    values: dict[str, object] = {"state": state.value, "round": round or complaint.round}
    if event_id is not None:
        values["last_event"] = event_id
    if not conn.execute(update(complaints).where(*there).values(**values)).rowcount:
        raise Overtaken(complaint.number)


def _allow(now: ComplaintState, then: ComplaintState) -> None:
    if then not in ALLOWED_MOVES[now]:
        raise Refused("impossible_move", f"投诉不能从“{now}”变为“{then}”", f"no complaint goes from {now} to {then}")


class Overtaken(JiesuError):
    """Somebody else has decided about the complaint in the meantime: look at it again."""

    def __init__(self, number: str) -> None:
        super().__init__("overtaken", f"投诉 {number} 刚被别人处理过，请重试", f"somebody else has just decided about {number}; try again")


def not_erased(complaint: ComplaintRow) -> None:
    """Raises `Refused` where whose complaint it was is gone: nothing more is written of it."""
    if complaint.erased:
        raise Refused("erased", f"投诉 {complaint.number} 的顾客信息已删除", f"whose complaint {complaint.number} was has been erased")


def _decide(conn: Connection, complaint: ComplaintRow, **values: object) -> None:
    # Each decision is told by an event that supersedes the one before, so the last event says whether this is still what was loaded; and
    # what a tracker says moves the state alone.
    same = (complaints.c.last_event.is_not_distinct_from(complaint.last_event), complaints.c.state == complaint.state.value)
    done = conn.execute(update(complaints).where(complaints.c.number == complaint.number, *same).values(**values))
    if not done.rowcount:
        raise Overtaken(complaint.number)


def latest_verdict(conn: Connection, number: str) -> Mapping[str, Any] | None:
    """The body of the newest verdict."""
    query = select(verdicts.c.body).where(verdicts.c.number == number).order_by(verdicts.c.id.desc()).limit(1)
    return conn.execute(query).scalar_one_or_none()


def latest_assignment(conn: Connection, number: str) -> Mapping[str, Any] | None:
    """The body of the newest assignment."""
    query = select(assignments.c.body).where(assignments.c.number == number).order_by(assignments.c.id.desc()).limit(1)
    return conn.execute(query).scalar_one_or_none()


def _complaint(row: Row[Any]) -> ComplaintRow:
    return ComplaintRow(
        number=row.number,
        channel=Channel(row.channel),
        received_at=row.received_at,
        state=ComplaintState(row.state),
        round=row.round,
        title=row.title,
        customer=Customer(row.name, row.phone, row.email, row.estate, row.unit),
        klass=ComplaintClass(row.klass) if row.klass else None,
        department=row.department,
        priority=row.priority,
        reply_due=row.reply_due,
        triaged_through=row.triaged_through or 0,
        last_event=row.last_event,
        erased=row.erased_at is not None,
    )
