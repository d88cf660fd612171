"""Events, their deliveries to endpoints, and every attempt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select, update

from gateway.store import jobs
from gateway.store.engine import Store
from models.delivery import Event, EventType, Outcome
from models.tables import attempts, deliveries, disabled_endpoints, events


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
    conn.execute(
        insert(events).values(
            id=event.id,
            number=event.number,
            type=event.type.value,
            created_at=event.created_at,
            payload=event.payload,
        )
    )
    for endpoint in endpoints:
        delivery_id = conn.execute(
            insert(deliveries)
            .values(event_id=event.id, endpoint=endpoint, webhook_id=f"{event.id}_{endpoint}", number=event.number)
            .returning(deliveries.c.id)
        ).scalar_one()
        job = jobs.NewJob(
            "deliver",
            event.number,
            f"{endpoint}:{event.number}",
            {"delivery_id": delivery_id, "endpoint": endpoint},
        )
        jobs.enqueue(conn, [job], event.created_at)


def pending(conn: Connection, delivery_ids: Sequence[int]) -> dict[int, PendingDelivery]:
    """Deliveries with their events, by id."""
    query = select(deliveries, events.c.type, events.c.payload).join(events, events.c.id == deliveries.c.event_id)
    found = conn.execute(query.where(deliveries.c.id.in_(delivery_ids)))
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


def record_attempt(conn: Connection, delivery_id: int, outcome: Outcome, at: datetime) -> None:
    """Keeps one try."""
    conn.execute(
        insert(attempts).values(
            delivery_id=delivery_id,
            at=at,
            code=outcome.code.value,
            status=outcome.status,
            seconds=outcome.seconds,
            answer=outcome.answer,
        )
    )


def mark_delivered(conn: Connection, delivery_id: int, at: datetime) -> None:
    """The endpoint has it."""
    conn.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(delivered_at=at))


def attempts_of(conn: Connection, number: str) -> list[AttemptRow]:
    """Every try for one complaint, oldest first."""
    query = select(attempts).join(deliveries, deliveries.c.id == attempts.c.delivery_id).where(deliveries.c.number == number)
    return [AttemptRow(r.at, r.code, r.status, r.seconds, r.answer) for r in conn.execute(query.order_by(attempts.c.id))]


def of_number(conn: Connection, number: str) -> list[Event]:
    """The events of one complaint, oldest first."""
    found = conn.execute(select(events).where(events.c.number == number).order_by(events.c.seq))
    return [Event(r.id, r.number, EventType(r.type), r.created_at, r.payload) for r in found]


def disable_endpoint(store: Store, conn: Connection, endpoint: str, reason: str, at: datetime) -> None:
    """Switches an endpoint off; what it should have got stays, parked."""
    conn.execute(store.insert(disabled_endpoints).values(endpoint=endpoint, at=at, reason=reason).on_conflict_do_nothing())


def enable_endpoint(conn: Connection, endpoint: str) -> None:
    """Switches an endpoint on again."""
    conn.execute(delete(disabled_endpoints).where(disabled_endpoints.c.endpoint == endpoint))


def disabled(conn: Connection) -> dict[str, str]:
    """The endpoints that are off, each with the reason."""
    return {row.endpoint: row.reason for row in conn.execute(select(disabled_endpoints))}


def undelivered(conn: Connection) -> int:
    """How many deliveries no endpoint has accepted yet."""
    return conn.execute(select(func.count()).where(deliveries.c.delivered_at.is_(None)).select_from(deliveries)).scalar_one()
