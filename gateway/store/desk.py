"""What the review desk reads: the queue as filtered and searched, and the whole story of one complaint."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import permutations
from typing import Any

from sqlalchemy import ColumnElement, Connection, Text, and_, exists, func, or_, select, type_coerce, update

from gateway.store import threads
from gateway.store.engine import Store
from models.delivery import EventType
from models.submission import Channel
from models.tables import assignments, attempts, complaints, corrections, deliveries, events, messages, submissions, verdicts
from models.verdict import ComplaintClass, Risk

# Words and risks are looked for among so many complaints: those at the head of the queue, or the newest ones.
LOOKED_AT = 10_000
# How a complaint's number is spelt.
NUMBER = re.compile(r"TS-\d{8}-\d{4,9}", re.IGNORECASE | re.ASCII)
# So much of a message is read for a line of the list.
_HEAD_CHARS = 200
# Events that say what the story says anyway.
_REPEATS = frozenset({EventType.RECEIVED.value, EventType.CLASSIFIED.value})
# So many of the newest corrections are looked at for what a person has just decided.
_NEWEST_CORRECTIONS = 500


@dataclass(frozen=True, slots=True)
class After:
    """Where a page of the list ended."""

    rank: float
    received_at: datetime
    number: str


@dataclass(frozen=True, slots=True)
class View:
    """What of the complaints is to be listed. `words` must all be found; `everything`: also what waits for nobody, newest first."""

    channel: Channel | None = None
    klass: ComplaintClass | None = None
    risk: Risk | None = None
    words: tuple[str, ...] = ()
    everything: bool = False
    after: After | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A complaint as the list shows it. `head` is the beginning of its first message, `verdict` the body of its newest one."""

    number: str
    channel: Channel
    received_at: datetime
    title: str
    name: str | None
    klass: ComplaintClass | None
    priority: str | None
    reply_due: datetime | None
    rank: float | None
    head: str
    verdict: Mapping[str, Any]


def page(store: Store, conn: Connection, view: View, limit: int) -> list[Listed]:
    """A page of the list: the review queue, the least rank first; or, with `everything`, the newest first."""
    c = complaints.c
    wanted: list[ColumnElement[bool]] = []
    if not view.everything:
        wanted.append(c.review_rank.is_not(None))
    if view.channel:
        wanted.append(c.channel == view.channel.value)
    if view.klass:
        wanted.append(c.klass == view.klass.value)
    if view.after:
        wanted.append(_behind(view.after, view.everything))
    order = [c.number.desc()] if view.everything else [c.review_rank, c.received_at, c.number]
    found = [_has(store, word) for word in view.words]
    if view.risk:
        found.append(_risks(view.risk))
    if len(view.words) == 1 and NUMBER.fullmatch(view.words[0]):
        # The whole number of a complaint finds it at once, wherever it is.
        found = [c.number == threads.resolve(conn, view.words[0].upper())]
    elif found:
        # Looked through one by one in the order of the list, so not without end.
        last = conn.execute(select(c.number, c.review_rank).where(*wanted).order_by(*order).offset(LOOKED_AT).limit(1)).first()
        if last is not None:
            found.append(c.number >= last.number if view.everything else c.review_rank <= last.review_rank)
    rows = conn.execute(select(complaints).where(*wanted, *found).order_by(*order).limit(limit)).all()
    numbers = [row.number for row in rows]
    heads, bodies = _heads(conn, numbers), newest_verdicts(conn, numbers)
    return [
        Listed(
            number=row.number,
            channel=Channel(row.channel),
            received_at=row.received_at,
            title=row.title,
            name=row.name,
            klass=ComplaintClass(row.klass) if row.klass else None,
            priority=row.priority,
            reply_due=row.reply_due,
            rank=row.review_rank,
            head=heads.get(row.number, ""),
            verdict=bodies.get(row.number, {}),
        )
        for row in rows
    ]


def _behind(after: After, everything: bool) -> ColumnElement[bool]:
    c = complaints.c
    if everything:
        return c.number < after.number
    later = and_(c.received_at == after.received_at, c.number > after.number)
    return and_(c.review_rank >= after.rank, or_(c.review_rank > after.rank, c.received_at > after.received_at, later))


def _has(store: Store, word: str) -> ColumnElement[bool]:
    """Whether a word stands in what was said, or in who complains. SQLite's LIKE is blind to case by itself."""
    c, m = complaints.c, messages.c

    def holds(column: Any) -> ColumnElement[bool]:
        found: ColumnElement[bool] = column.contains(word, autoescape=True) if store.is_sqlite else column.icontains(word, autoescape=True)
        return found

    said = exists().where(m.number == c.number, or_(holds(m.said), holds(m.title))).correlate(complaints)
    return or_(holds(c.name), holds(c.phone), holds(c.email), holds(c.estate), holds(c.unit), said)


def _risks(risk: Risk) -> ColumnElement[bool]:
    """Whether the newest verdict names a risk, by how its body is spelt."""
    told = verdicts.alias("told")
    newest = select(func.max(verdicts.c.id)).where(verdicts.c.number == complaints.c.number).correlate(complaints).scalar_subquery()
    spelt = type_coerce(told.c.body, Text)
    named = json.dumps(risk.value)
    # The same word may also stand in a reason, so what comes before it in the list is spelt out; the first look passes over most.
    others = [json.dumps(other.value) for other in Risk if other is not risk]
    before = ["".join(f"{one}," for one in some) for many in range(len(others) + 1) for some in permutations(others, many)]
    exactly = or_(*(spelt.contains(f'"risk":[{some}{named}', autoescape=True) for some in before))
    return exists().where(told.c.id == newest, spelt.contains(named, autoescape=True), exactly).correlate(complaints)


def newest_verdicts(conn: Connection, numbers: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """The body of the newest verdict of each."""
    newest = select(func.max(verdicts.c.id)).where(verdicts.c.number.in_(numbers)).group_by(verdicts.c.number)
    return {row.number: row.body for row in conn.execute(select(verdicts.c.number, verdicts.c.body).where(verdicts.c.id.in_(newest)))}


def _heads(conn: Connection, numbers: Sequence[str]) -> dict[str, str]:
    first = select(func.min(messages.c.id)).where(messages.c.number.in_(numbers)).group_by(messages.c.number)
    head = func.substr(messages.c.said, 1, _HEAD_CHARS).label("head")
    return {row.number: row.head for row in conn.execute(select(messages.c.number, head).where(messages.c.id.in_(first)))}


@dataclass(frozen=True, slots=True)
class Told:
    """A verdict or an assignment, as it was kept."""

    at: datetime
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """An event: its type, and for each endpoint when it was delivered and the tries so far (at, code, status, seconds)."""

    id: str
    type: str
    at: datetime
    payload: str
    deliveries: tuple[Delivered, ...]


@dataclass(frozen=True, slots=True)
class Delivered:
    """One event for one endpoint."""

    endpoint: str
    delivered_at: datetime | None
    attempts: tuple[tuple[datetime, str, int | None, float], ...]


@dataclass(frozen=True, slots=True)
class Original:
    """What came in, without its bytes."""

    id: int
    media_type: str
    received_at: datetime
    size: int


def verdicts_of(conn: Connection, number: str) -> list[Told]:
    """Every verdict on a complaint, oldest first."""
    return [Told(row.at, row.body) for row in conn.execute(select(verdicts).where(verdicts.c.number == number).order_by(verdicts.c.id))]


def assignments_of(conn: Connection, number: str) -> list[Told]:
    """Every assignment of a complaint, oldest first."""
    found = conn.execute(select(assignments).where(assignments.c.number == number).order_by(assignments.c.id))
    return [Told(row.at, row.body) for row in found]


def events_of(conn: Connection, number: str) -> list[Sent]:
    """Every event of a complaint with its deliveries and their tries, oldest first."""
    tries: dict[int, list[tuple[datetime, str, int | None, float]]] = {}
    query = select(attempts).join(deliveries, deliveries.c.id == attempts.c.delivery_id).where(deliveries.c.number == number)
    for row in conn.execute(query.order_by(attempts.c.id)):
        tries.setdefault(row.delivery_id, []).append((row.at, row.code, row.status, row.seconds))
    by_event: dict[str, list[Delivered]] = {}
    for row in conn.execute(select(deliveries).where(deliveries.c.number == number).order_by(deliveries.c.id)):
        one = Delivered(row.endpoint, row.delivered_at, tuple(tries.get(row.id, ())))
        by_event.setdefault(row.event_id, []).append(one)
    found = conn.execute(select(events).where(events.c.number == number).order_by(events.c.seq))
    # What only repeats the message or the verdict is of interest where somebody was told of it.
    return [
        Sent(row.id, row.type, row.created_at, row.payload, tuple(by_event.get(row.id, ())))
        for row in found
        if row.id in by_event or row.type not in _REPEATS
    ]


def originals_of(conn: Connection, number: str) -> dict[int, Original]:
    """What came in for a complaint, by id."""
    s = submissions.c
    query = select(s.id, s.media_type, s.received_at, func.length(s.raw).label("size")).where(s.number == number)
    return {row.id: Original(row.id, row.media_type, row.received_at, row.size) for row in conn.execute(query)}


def original(conn: Connection, number: str, submission_id: int) -> tuple[str, bytes] | None:
    """Media type and bytes of what came in; None where this complaint has no such."""
    s = submissions.c
    row = conn.execute(select(s.media_type, s.raw).where(s.id == submission_id, s.number == number)).first()
    return (row.media_type, bytes(row.raw)) if row else None


@dataclass(frozen=True, slots=True)
class Decided:
    """A correction as it is needed to undo it."""

    id: int
    number: str
    should_be: ComplaintClass
    was: ComplaintClass
    weight: float
    note: str


def newest_decisions(conn: Connection, by: str, source: str, since: datetime) -> list[Decided]:
    """What a person has decided since then, newest first; as far as it is among the newest of all corrections."""
    newest = select(corrections).order_by(corrections.c.id.desc()).limit(_NEWEST_CORRECTIONS).subquery()
    n = newest.c
    found = conn.execute(select(newest).where(n.by == by, n.source == source, n.at >= since).order_by(n.id.desc()))
    return [_decided(row) for row in found]


def decisions_on(conn: Connection, number: str) -> list[Decided]:
    """What was decided about a complaint, oldest first."""
    return [_decided(row) for row in conn.execute(select(corrections).where(corrections.c.number == number).order_by(corrections.c.id))]


def _decided(row: Any) -> Decided:
    return Decided(row.id, row.number, ComplaintClass(row.should_be), ComplaintClass(row.was), row.weight, row.note)


def put_back(conn: Connection, number: str, rank: float) -> None:
    """Puts a complaint back into the review queue."""
    conn.execute(update(complaints).where(complaints.c.number == number).values(review_rank=rank))


def waits(conn: Connection, number: str) -> bool:
    """Whether a complaint stands in the review queue."""
    return conn.execute(select(complaints.c.review_rank).where(complaints.c.number == number)).scalar_one_or_none() is not None
