"""Events, their deliveries to endpoints, and every attempt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, Update, bindparam, func, insert, select, update

from gateway.store import fence, jobs
from gateway.store.among import among, is_sqlite, spelt
from models.columns import UtcTime
from models.delivery import Event, EventType, Outcome, OutcomeCode
from models.tables import attempts, complaints, deliveries, events


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """A delivery with the event that it carries."""

    id: int
    endpoint: str
    webhook_id: str
    number: str
    event_type: EventType
    payload: str
    delivered: bool


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One try, as it was kept."""

    at: datetime
    code: str
    status: int | None
    seconds: float
    answer: str


def announce(conn: Connection, event: Event, endpoints: Sequence[str]) -> None:
    """Keeps the event, with one delivery and one job for each endpoint: the outbox is simply these jobs."""
    values = {"id": event.id, "number": event.number, "type": event.type.value, "created_at": event.created_at, "payload": event.payload}
    conn.execute(_KEEP_EVENT, values | {"told": list(endpoints)})
    new = []
    for endpoint in endpoints:
        row = {"event_id": event.id, "endpoint": endpoint, "webhook_id": f"{event.id}_{endpoint}", "number": event.number}
        delivery_id = conn.execute(_KEEP_DELIVERY, row).scalar_one()
        new.append(job_of(delivery_id, endpoint, event.number))
    jobs.enqueue(conn, new, event.created_at)


_KEEP_EVENT = insert(events)
_KEEP_DELIVERY = insert(deliveries).returning(deliveries.c.id)


def job_of(delivery_id: int, endpoint: str, number: str) -> jobs.NewJob:
    """The job that brings a delivery to its endpoint."""
    payload = {"delivery_id": delivery_id, "endpoint": endpoint}
    return jobs.NewJob("deliver", number, f"{endpoint}:{number}", payload, queue=endpoint)


def pending(conn: Connection, delivery_ids: Sequence[int]) -> dict[int, PendingDelivery]:
    """Deliveries with their events, by id."""
    found = conn.execute(_pending(is_sqlite(conn)), {"ids": spelt(conn, delivery_ids)})
    return {
        row.id: PendingDelivery(
            row.id,
            row.endpoint,
            row.webhook_id,
            row.number,
            EventType(row.type),
            row.payload,
            row.delivered_at is not None,
        )
        for row in found
    }


@cache
def _pending(sqlite: bool) -> Select[Any]:
    query = select(deliveries, events.c.type, events.c.payload).join(events, events.c.id == deliveries.c.event_id)
    return query.where(among(deliveries.c.id, sqlite=sqlite))


@dataclass(frozen=True, slots=True)
class Tried:
    """One try of one delivery, and what came of it."""

    delivery_id: int
    outcome: Outcome
    at: datetime


def without_words(conn: Connection, tried: Sequence[Tried]) -> list[Tried]:
    """The tries as they may be kept: what a receiver answered may repeat what it was sent, and that may have been erased meanwhile."""
    said = [one.delivery_id for one in tried if one.outcome.answer]
    if not said:
        return list(tried)
    fence.shared(conn)
    erased = set(conn.execute(_erased(is_sqlite(conn)), {"ids": spelt(conn, said)}).scalars())
    return [replace(one, outcome=replace(one.outcome, answer="")) if one.delivery_id in erased else one for one in tried]


@cache
def _erased(sqlite: bool) -> Select[int]:
    query = select(deliveries.c.id).join(complaints, complaints.c.number == deliveries.c.number)
    return query.where(among(deliveries.c.id, sqlite=sqlite), complaints.c.erased_at.is_not(None))


def record_attempts(conn: Connection, tried: Sequence[Tried]) -> None:
    """Keeps tries, and which deliveries have arrived."""
    tried = without_words(conn, tried)
    rows = [
        {
            "delivery_id": one.delivery_id,
            "at": one.at,
            "code": one.outcome.code.value,
            "status": one.outcome.status,
            "seconds": one.outcome.seconds,
            "answer": one.outcome.answer,
        }
        for one in tried
    ]
    if not rows:
        return
    conn.execute(_KEEP_ATTEMPT, rows)
    arrived: dict[datetime, list[int]] = {}
    for one in tried:
        if one.outcome.code is OutcomeCode.ACCEPTED:
            arrived.setdefault(one.at, []).append(one.delivery_id)
    # What was sent together has one time.
    for at, ids in arrived.items():
        conn.execute(_arrived(is_sqlite(conn)), {"ids": spelt(conn, ids), "at": at})


@cache
def _arrived(sqlite: bool) -> Update:
    return update(deliveries).where(among(deliveries.c.id, sqlite=sqlite)).values(delivered_at=bindparam("at", type_=UtcTime()))


_KEEP_ATTEMPT = insert(attempts)


def attempts_of(conn: Connection, number: str) -> list[AttemptRow]:
    """Every try for one complaint, oldest first."""
    query = select(attempts).join(deliveries, deliveries.c.id == attempts.c.delivery_id).where(deliveries.c.number == number)
    return [AttemptRow(r.at, r.code, r.status, r.seconds, r.answer) for r in conn.execute(query.order_by(attempts.c.id))]


def of_number(conn: Connection, number: str) -> list[Event]:
    """The events of one complaint, oldest first."""
    found = conn.execute(select(events).where(events.c.number == number).order_by(events.c.seq))
    return [Event(r.id, r.number, EventType(r.type), r.created_at, r.payload) for r in found]


def undelivered(conn: Connection) -> int:
    """How many deliveries no endpoint has accepted yet."""
    return conn.execute(select(func.count()).where(deliveries.c.delivered_at.is_(None)).select_from(deliveries)).scalar_one()
