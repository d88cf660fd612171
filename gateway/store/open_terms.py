"""The terms of complaints that nobody has been told of yet: when each is to be looked at, and what is known of its complaint then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, delete, exists, select, update
from sqlalchemy.dialects import postgresql, sqlite

from models.answer import AnswerKind, AnswerState
from models.assignment import Assignment
from models.complaint import ComplaintState
from models.notice import Term
from models.tables import answers, assignments, complaints, messages, open_terms

# No database takes any number of parameters.
_AT_ONCE = 400


@dataclass(frozen=True, slots=True)
class OpenTerm:
    """A term that is to be looked at, with its complaint as it is now.

    spoken: staff or the tracker has told the customer something. machine: no person has written.
    """

    number: str
    term: Term
    begun: datetime
    due: datetime
    round: int
    state: ComplaintState
    klass: str | None
    department: str | None
    estate: str | None
    priority: str | None
    spoken: bool
    machine: bool
    escalate_to: tuple[str, ...]


def keep(conn: Connection, number: str, assignment: Assignment, begun: datetime, at: datetime) -> None:
    """The terms of a new assignment, in place of those before, on the caller's transaction. begun: since when they run."""
    dues = ((Term.REPLY, assignment.reply_due), (Term.RESOLVE, assignment.resolve_due))
    rows = [{"number": number, "term": term.value, "begun": begun, "due": due, "look_at": at} for term, due in dues]
    conn.execute(_keeping(conn.dialect.name == "sqlite"), rows)


@cache
def _keeping(on_sqlite: bool) -> Any:
    """The statement, built once. Of two that assign at once one is overtaken, and must learn that by the complaint and not by this."""
    row = (sqlite.insert if on_sqlite else postgresql.insert)(open_terms)
    new = {"begun": row.excluded.begun, "due": row.excluded.due, "look_at": row.excluded.look_at}
    return row.on_conflict_do_update(index_elements=["number", "term"], set_=new)


def to_look_at(conn: Connection, now: datetime, limit: int) -> list[OpenTerm]:
    """Those whose time has come, the earliest first."""
    spoken = exists().where(
        answers.c.number == open_terms.c.number,
        answers.c.kind.in_((AnswerKind.STAFF.value, AnswerKind.STATUS.value)),
        answers.c.state != AnswerState.SUPPRESSED.value,
    )
    by_person = exists().where(messages.c.number == open_terms.c.number, ~messages.c.machine)
    columns = (complaints.c.round, complaints.c.state, complaints.c.klass, complaints.c.department)
    found = conn.execute(
        select(open_terms, *columns, complaints.c.estate, complaints.c.priority, spoken.label("spoken"), by_person.label("by_person"))
        .join(complaints, complaints.c.number == open_terms.c.number)
        .where(open_terms.c.look_at <= now)
        .order_by(open_terms.c.look_at, open_terms.c.number)
        .limit(limit)
    ).all()
    concerned = _escalations(conn, sorted({row.number for row in found}))
    return [_open(row, concerned.get(row.number, ())) for row in found]


def _open(row: Any, escalate_to: tuple[str, ...]) -> OpenTerm:
    return OpenTerm(
        row.number,
        Term(row.term),
        row.begun,
        row.due,
        row.round,
        ComplaintState(row.state),
        row.klass,
        row.department,
        row.estate,
        row.priority,
        bool(row.spoken),
        not row.by_person,
        escalate_to,
    )


def _escalations(conn: Connection, numbers: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Whom the plan wants to know, by the newest assignment."""
    told: dict[str, tuple[str, ...]] = {}
    for first in range(0, len(numbers), _AT_ONCE):
        some = numbers[first : first + _AT_ONCE]
        # Oldest first, so that the newest stays.
        query = select(assignments.c.number, assignments.c.body).where(assignments.c.number.in_(some)).order_by(assignments.c.id)
        told |= {number: tuple(body.get("escalate_to", ())) for number, body in conn.execute(query)}
    return told


def postpone(conn: Connection, term: OpenTerm, look_at: datetime) -> None:
    """Looks again then; nothing where the term has been given anew since."""
    conn.execute(update(open_terms).where(*_same(term)).values(look_at=look_at))


def close(conn: Connection, term: OpenTerm) -> None:
    """It is kept, or its end is told; nothing where the term has been given anew since."""
    conn.execute(delete(open_terms).where(*_same(term)))


def _same(term: OpenTerm) -> tuple[Any, ...]:
    return (open_terms.c.number == term.number, open_terms.c.term == term.term.value, open_terms.c.due == term.due)
