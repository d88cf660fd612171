"""Counts what became of every submission that was accepted, from the tables alone: what no row accounts for is unexplained."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select

from models.delivery import EventType
from models.tables import complaints, day_numbers, deliveries, events, jobs, joined_numbers, messages, reconciliations, submissions

_CHUNK = 500
# Events that carry the ticket, and so say how many messages they tell of.
_TICKETS = [kind.value for kind in (EventType.ROUTED, EventType.REROUTED, EventType.UPDATED, EventType.REOPENED)]
# So the key of a submission begins that was erased; no door makes such keys.
ERASED = "erased:"


@dataclass(frozen=True, slots=True)
class EventFacts:
    """An event. told: whom it was for (None: not written down).

    messages, supersedes: what one that carries the ticket says, of complaints with several submissions: how many messages it tells of,
    and the event before it.
    """

    id: str
    type: str
    told: list[str] | None
    messages: int = 0
    supersedes: str | None = None


@dataclass(slots=True)
class Facts:
    """What the store knows of some submissions, and what of their complaints."""

    # id, number, of each submission; the first of each complaint.
    submissions: list[tuple[int, str]] = field(default_factory=list)
    first: dict[str, int] = field(default_factory=dict)
    # The message of each submission, by submission.
    message: dict[int, int] = field(default_factory=dict)
    # How far each complaint is sorted, and its last event.
    triaged: dict[str, int] = field(default_factory=dict)
    last_event: dict[str, str | None] = field(default_factory=dict)
    # State of the open jobs: by (kind, submission) for intake, by number for triage, by delivery for deliver; with the reason's code.
    intake: dict[int, str] = field(default_factory=dict)
    triage: dict[str, str] = field(default_factory=dict)
    deliver: dict[int, tuple[str, str]] = field(default_factory=dict)
    # Submissions that ask for no sorting: notices that change nothing, and mails that the complaint has already.
    aside: set[int] = field(default_factory=set)
    # Those whose words are erased; what had not become of them by then never will.
    erased: set[int] = field(default_factory=set)
    # Events by number. Deliveries by event.
    events: dict[str, list[EventFacts]] = field(default_factory=dict)
    # Of complaints with several submissions: those that the customer said something of the matter with, in the order in which they were
    # read, and among them those that only steered a talk.
    spoken: dict[str, list[int]] = field(default_factory=dict)
    steering: set[int] = field(default_factory=set)
    deliveries: dict[str, list[tuple[int, str, bool]]] = field(default_factory=dict)


def facts(conn: Connection, since: datetime, until: datetime) -> Iterator[Facts]:
    """The facts of what was accepted in a period, some complaints at a time."""
    accepted = (submissions.c.received_at >= since, submissions.c.received_at < until)
    rows = conn.execute(select(submissions.c.id, submissions.c.number).where(*accepted).order_by(submissions.c.id)).all()
    by_number: dict[str, list[int]] = {}
    for row in rows:
        by_number.setdefault(row.number, []).append(row.id)
    numbers = list(by_number)
    for start in range(0, len(numbers), _CHUNK):
        part = numbers[start : start + _CHUNK]
        yield _of(conn, part, [(one, number) for number in part for one in by_number[number]])


def _of(conn: Connection, numbers: Sequence[str], offered: list[tuple[int, str]]) -> Facts:
    found = Facts(submissions=offered)

    def rows(query: Any) -> Any:
        return conn.execute(query)

    s, c, m, e, d = submissions.c, complaints.c, messages.c, events.c, deliveries.c
    several = []
    for number, first, count in rows(select(s.number, func.min(s.id), func.count()).where(s.number.in_(numbers)).group_by(s.number)):
        found.first[number] = first
        if count > 1:
            several.append(number)
    found.message = {r.submission_id: r.id for r in rows(select(m.submission_id, m.id).where(m.number.in_(numbers)))}
    for r in rows(select(m.number, m.submission_id, m.parsed).where(m.number.in_(several)).order_by(m.id)):
        if not r.parsed.get("aside"):
            found.spoken.setdefault(r.number, []).append(r.submission_id)
        if r.parsed.get("details", {}).get("steers"):
            found.steering.add(r.submission_id)
    for r in rows(select(c.number, c.triaged_through, c.last_event).where(c.number.in_(numbers))):
        found.triaged[r.number], found.last_event[r.number] = r.triaged_through or 0, r.last_event
    for r in rows(select(jobs).where(jobs.c.number.in_(numbers))):
        if r.kind == "intake":
            found.intake[r.payload["submission_id"]] = r.state
        elif r.kind == "triage":
            found.triage[r.number] = r.state
        elif r.kind == "deliver":
            found.deliver[r.payload["delivery_id"]] = (r.state, r.reason_code or "")
    says = {r.id: _says(r.payload) for r in rows(select(e.id, e.payload).where(e.number.in_(several), e.type.in_(_TICKETS)))}
    for r in rows(select(e.number, e.id, e.type, e.told).where(e.number.in_(numbers)).order_by(e.seq)):
        found.events.setdefault(r.number, []).append(EventFacts(r.id, r.type, r.told, *says.get(r.id, (0, None))))
    for r in rows(select(d.event_id, d.id, d.endpoint, d.delivered_at).where(d.number.in_(numbers))):
        found.deliveries.setdefault(r.event_id, []).append((r.id, r.endpoint, r.delivered_at is not None))
    found.aside = _aside(conn, numbers, found)
    found.erased = set(rows(select(s.id).where(s.number.in_(numbers), s.source_key.startswith(ERASED))).scalars())
    return found


def _says(payload: str) -> tuple[int, str | None]:
    data = json.loads(payload).get("data", {})
    return int(data.get("messages") or 0), data.get("supersedes")


def _aside(conn: Connection, numbers: Sequence[str], found: Facts) -> set[int]:
    s, m, j = submissions.c, messages.c, joined_numbers.c
    late = select(m.submission_id, m.parsed).join(complaints, complaints.c.number == m.number)
    late = late.where(m.number.in_(numbers), m.id > func.coalesce(complaints.c.triaged_through, 0))
    aside = {r.submission_id for r in conn.execute(late) if r.parsed.get("aside") or r.parsed.get("details", {}).get("steers")}
    # The same mail once more makes no message; so many as the numbers that lead there say.
    same = select(j.joined, func.count()).where(j.joined.in_(numbers), j.by == "duplicate").group_by(j.joined)
    for number, count in conn.execute(same):
        unread = conn.execute(select(s.id).where(s.number == number).order_by(s.id.desc())).scalars()
        aside.update([one for one in unread if one not in found.message and one not in found.intake][:count])
    return aside


def numbers_without_submission(conn: Connection, first_day: str, last_day: str) -> dict[str, int]:
    """Of each day (`20261123`) how many numbers were given that no submission has: numbers are given in the transaction that stores it."""
    day = func.substr(submissions.c.number, 4, 8)
    counted = select(day, func.count(submissions.c.number.distinct())).where(day >= first_day, day <= last_day).group_by(day)
    kept = Counter({row[0]: int(row[1]) for row in conn.execute(counted)})
    # What was joined to another complaint has no submission under its own number any more, which leads there.
    leads = func.substr(joined_numbers.c.number, 4, 8)
    alone = joined_numbers.c.number.not_in(select(submissions.c.number))
    for row in conn.execute(select(leads, func.count()).where(leads >= first_day, leads <= last_day, alone).group_by(leads)):
        kept[row[0]] += int(row[1])
    given = conn.execute(select(day_numbers).where(day_numbers.c.day >= first_day, day_numbers.c.day <= last_day))
    lacking = {row.day: row.last - kept.get(row.day, 0) for row in given}
    return {name: count for name, count in lacking.items() if count}


@dataclass(frozen=True, slots=True)
class Done:
    """A reconciliation as it was done at night: when, and how many it could not account for."""

    at: datetime
    unexplained: int


def last_done(conn: Connection, now: datetime) -> Done | None:
    """The last one that was done at night, on whichever node. One from the future was done under a clock that has been put right."""
    past = select(reconciliations).where(reconciliations.c.at <= now)
    row = conn.execute(past.order_by(reconciliations.c.at.desc(), reconciliations.c.id.desc()).limit(1)).first()
    return Done(row.at, row.unexplained) if row else None


def keep_done(conn: Connection, at: datetime, accepted: int, unexplained: int) -> None:
    """Keeps that one was done."""
    conn.execute(insert(reconciliations).values(at=at, accepted=accepted, unexplained=unexplained))
