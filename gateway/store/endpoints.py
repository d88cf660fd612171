"""How endpoints stand: which are switched off, which fail, and what still waits for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, case, delete, distinct, func, literal, or_, select, update

from gateway.store.among import is_sqlite
from gateway.store.engine import Store
from models.columns import UtcTime
from models.delivery import OutcomeCode
from models.tables import attempts, deliveries, disabled_endpoints, jobs, troubled_endpoints


@dataclass(frozen=True, slots=True)
class TroubleRow:
    """A row of `troubled_endpoints`, in the words of the store."""

    endpoint: str
    failures: int
    since: datetime
    next_try: datetime | None
    open: bool
    code: str
    status: int | None
    answer: str
    asked_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How one endpoint stands. `disabled` is the reason; None where it is on."""

    disabled: str | None
    trouble: TroubleRow | None


_TROUBLE = select(troubled_endpoints).where(troubled_endpoints.c.endpoint == bindparam("name"))
_DISABLED = select(disabled_endpoints.c.reason).where(disabled_endpoints.c.endpoint == bindparam("name"))


def standing(conn: Connection, endpoint: str) -> Standing:
    """How it stands now."""
    row = conn.execute(_TROUBLE, {"name": endpoint}).first()
    return Standing(conn.execute(_DISABLED, {"name": endpoint}).scalar_one_or_none(), _trouble(row) if row else None)


def troubled(conn: Connection) -> dict[str, TroubleRow]:
    """All that fail or asked for time."""
    return {row.endpoint: _trouble(row) for row in conn.execute(select(troubled_endpoints))}


def hold_trouble(conn: Connection, endpoint: str) -> TroubleRow | None:
    """The trouble of an endpoint, which nobody else writes until the caller's transaction ends."""
    if not is_sqlite(conn):
        # Where there is no row yet there is nothing else to wait at, and two nodes would each write as if the other had found nothing.
        conn.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"endpoint:{endpoint}"))))
    row = conn.execute(_TROUBLE.with_for_update(), {"name": endpoint}).first()
    return _trouble(row) if row else None


def keep_trouble(store: Store, conn: Connection, row: TroubleRow) -> None:
    """Writes how an endpoint fails."""
    values = {
        "failures": row.failures,
        "since": row.since,
        "next_try": row.next_try,
        "asked_until": row.asked_until,
        "open": int(row.open),
        "code": row.code,
        "status": row.status,
        "answer": row.answer,
    }
    conn.execute(
        store.insert(troubled_endpoints)
        .values(endpoint=row.endpoint, **values)
        .on_conflict_do_update(index_elements=["endpoint"], set_=values)
    )


def end_trouble(conn: Connection, endpoint: str) -> bool:
    """It takes what it is sent. Whether it had failed."""
    return conn.execute(delete(troubled_endpoints).where(troubled_endpoints.c.endpoint == endpoint)).rowcount > 0


def try_now(conn: Connection, endpoint: str, now: datetime, *, code: str) -> None:
    """Lets an endpoint that is left alone because it last failed so be tried at once, or when the time that it asked for is over."""
    trouble = troubled_endpoints.c
    soonest = case((trouble.asked_until > now, trouble.asked_until), else_=literal(now, UtcTime()))
    conn.execute(update(troubled_endpoints).where(trouble.endpoint == endpoint, trouble.code == code).values(next_try=soonest))


def disable(store: Store, conn: Connection, endpoint: str, reason: str, at: datetime) -> None:
    """Switches an endpoint off; what it should have got waits."""
    conn.execute(store.insert(disabled_endpoints).values(endpoint=endpoint, at=at, reason=reason).on_conflict_do_nothing())


def enable(conn: Connection, endpoint: str) -> None:
    """Switches an endpoint on again, and forgets how it failed."""
    conn.execute(delete(disabled_endpoints).where(disabled_endpoints.c.endpoint == endpoint))
    end_trouble(conn, endpoint)


def disabled(conn: Connection) -> dict[str, str]:
    """The endpoints that are off, each with the reason."""
    return {row.endpoint: row.reason for row in conn.execute(select(disabled_endpoints))}


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for an endpoint: how many deliveries, how many are parked, and since when the oldest that is not."""

    waiting: int = 0
    parked: int = 0
    oldest: datetime | None = None


def waiting(conn: Connection) -> dict[str, Waiting]:
    """What waits for each endpoint."""
    held = jobs.c.state == "parked"
    query = (
        select(
            jobs.c.queue,
            func.sum(_one_if(~held)).label("waiting"),
            func.sum(_one_if(held)).label("parked"),
            func.min(_at_if(~held)).label("oldest"),
        )
        .where(jobs.c.kind == "deliver")
        .group_by(jobs.c.queue)
    )
    return {row.queue: Waiting(int(row.waiting or 0), int(row.parked or 0), row.oldest) for row in conn.execute(query)}


@dataclass(frozen=True, slots=True)
class RefusedEvents:
    """Of how many complaints an endpoint refused an event that still waits or is parked. `since`: when the oldest of these was made."""

    complaints: int
    since: datetime


def refused(conn: Connection) -> dict[str, RefusedEvents]:
    """By endpoint: events that it said no to for their own sake, so that its circuit stays closed."""
    no = OutcomeCode.CLIENT_ERROR.value
    # What is parked because its tries are used up names the last outcome in its reason.
    used_up = and_(jobs.c.state == "parked", jobs.c.reason.contains(f"; {no}: "))
    query = select(jobs.c.queue, func.count(distinct(jobs.c.number)).label("complaints"), func.min(jobs.c.created_at).label("since"))
    return {
        row.queue: RefusedEvents(int(row.complaints), row.since)
        for row in conn.execute(query.where(jobs.c.kind == "deliver", or_(jobs.c.reason_code == no, used_up)).group_by(jobs.c.queue))
    }


def _one_if(condition: Any) -> Any:
    return case((condition, 1), else_=0)


def _at_if(condition: Any) -> Any:
    return case((condition, jobs.c.created_at), else_=None)


@dataclass(frozen=True, slots=True)
class Recent:
    """What came of the tries since some time."""

    tries: int
    accepted: int
    seconds: float


def recent(conn: Connection, since: datetime) -> dict[str, Recent]:
    """By endpoint: tries, how many were accepted, and their mean duration in seconds."""
    query = (
        select(
            deliveries.c.endpoint,
            func.count().label("tries"),
            func.sum(_one_if(attempts.c.code == "accepted")).label("accepted"),
            func.avg(attempts.c.seconds).label("seconds"),
        )
        .join(deliveries, deliveries.c.id == attempts.c.delivery_id)
        .where(attempts.c.at >= since)
        .group_by(deliveries.c.endpoint)
    )
    return {r.endpoint: Recent(int(r.tries), int(r.accepted or 0), float(r.seconds or 0)) for r in conn.execute(query)}


def _trouble(row: Row[Any]) -> TroubleRow:
    at, asked_until = row.next_try, row.asked_until
    return TroubleRow(row.endpoint, row.failures, row.since, at, bool(row.open), row.code, row.status, row.answer, asked_until)
