"""Deliveries as operators look at them: found again, with every try, and made once more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, exists, select, update

from gateway.store import jobs as job_store
from gateway.store.events import AttemptRow, job_of
from models.tables import attempts, deliveries, events, jobs

# No database takes any number of parameters.
_CHUNK = 500
UNKNOWN = "endpoint_unknown"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which deliveries; what is empty says nothing. `first`, `last`: numbers, both included; `since`, `until`: when the event was made.

    state: `delivered`, `open` (not delivered yet), `parked`, or `failed` (open, and tried in vain).
    """

    endpoint: str = ""
    number: str = ""
    type: str = ""
    state: str = ""
    since: datetime | None = None
    until: datetime | None = None
    first: str = ""
    last: str = ""
    before: int | None = None


STATES = ("delivered", "open", "parked", "failed")


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A delivery as it is listed. `job` is `ready`, `running`, `parked` or empty; `tries` newest last."""

    id: int
    event_id: str
    endpoint: str
    number: str
    type: str
    made_at: datetime
    delivered_at: datetime | None
    webhook_id: str
    job: str
    job_id: int | None
    next_try: datetime | None
    reason: str
    tries: Sequence[AttemptRow]


def find(conn: Connection, wanted: Wanted, limit: int) -> list[DeliveryRow]:
    """The newest of those that are wanted."""
    query = select(deliveries, events.c.type, events.c.created_at).join(events, events.c.id == deliveries.c.event_id)
    rows = conn.execute(query.where(*_where(wanted)).order_by(deliveries.c.id.desc()).limit(limit)).all()
    tries: dict[int, list[AttemptRow]] = {}
    ids = [row.id for row in rows]
    for row in conn.execute(select(attempts).where(attempts.c.delivery_id.in_(ids)).order_by(attempts.c.id)):
        tries.setdefault(row.delivery_id, []).append(AttemptRow(row.at, row.code, row.status, row.seconds, row.answer))
    held = _jobs_of(conn, {row.number for row in rows})
    found = []
    for row in rows:
        job = held.get(row.id)
        found.append(
            DeliveryRow(
                row.id,
                row.event_id,
                row.endpoint,
                row.number,
                row.type,
                row.created_at,
                row.delivered_at,
                row.webhook_id,
                job.state if job else "",
                job.id if job else None,
                job.run_at if job else None,
                (job.reason or "") if job else "",
                tries.get(row.id, ()),
            )
        )
    return found


def ids_of(conn: Connection, wanted: Wanted) -> list[int]:
    """All that are wanted, in the order in which their events were made."""
    query = select(deliveries.c.id).join(events, events.c.id == deliveries.c.event_id)
    return list(conn.execute(query.where(*_where(wanted)).order_by(events.c.seq)).scalars())


def again(conn: Connection, ids: Sequence[int], now: datetime) -> int:
    """Lets these be delivered once more, in this order, under the ids that they had. Returns how many there are.

    Those that wait are due now; those that are parked are put back; for the others a job is made.
    """
    count = 0
    for start in range(0, len(ids), _CHUNK):
        part = ids[start : start + _CHUNK]
        rows = {row.id: row for row in conn.execute(select(deliveries).where(deliveries.c.id.in_(part)))}
        held = _jobs_of(conn, {row.number for row in rows.values()})
        conn.execute(update(deliveries).where(deliveries.c.id.in_(part)).values(delivered_at=None))
        parked = [held[one].id for one in part if one in held and held[one].state == job_store.PARKED]
        job_store.replay(conn, parked, now)
        ready = [held[one].id for one in part if one in held and held[one].state == job_store.READY]
        conn.execute(update(jobs).where(jobs.c.id.in_(ready), jobs.c.state == job_store.READY).values(run_at=now))
        new = [job_of(one, rows[one].endpoint, rows[one].number) for one in part if one in rows and one not in held]
        job_store.enqueue(conn, new, now)
        count += len(rows)
    return count


def put_strangers_aside(conn: Connection, known: Sequence[str], now: datetime) -> int:
    """Parks what waits for endpoints that the settings do not know, and brings back what waited for those they know again.

    Returns how many were parked.
    """
    of_strangers = (jobs.c.kind == "deliver", jobs.c.queue.not_in(known))
    reason = "设置中没有这个接收方；补上后重启即会投递 / the settings know no such endpoint; add it and start again"
    aside = {"state": job_store.PARKED, "reason_code": UNKNOWN, "reason": reason}
    parked = conn.execute(update(jobs).where(*of_strangers, jobs.c.state == job_store.READY).values(**aside)).rowcount
    back = (jobs.c.kind == "deliver", jobs.c.queue.in_(known), jobs.c.state == job_store.PARKED, jobs.c.reason_code == UNKNOWN)
    conn.execute(update(jobs).where(*back).values(state=job_store.READY, run_at=now, attempts=0, reason_code=None, reason=None))
    return parked


def _where(wanted: Wanted) -> list[ColumnElement[bool]]:
    d, e = deliveries.c, events.c
    where: list[ColumnElement[bool]] = []
    for column, value in ((d.endpoint, wanted.endpoint), (d.number, wanted.number), (e.type, wanted.type)):
        if value:
            where.append(column == value)
    if wanted.since:
        where.append(e.created_at >= wanted.since)
    if wanted.until:
        where.append(e.created_at < wanted.until)
    if wanted.first:
        where.append(d.number >= wanted.first)
    if wanted.last:
        where.append(d.number <= wanted.last)
    if wanted.before is not None:
        where.append(d.id < wanted.before)
    if wanted.state == "delivered":
        where.append(d.delivered_at.is_not(None))
    elif wanted.state:
        where.append(d.delivered_at.is_(None))
    if wanted.state == "parked":
        same = (jobs.c.kind == "deliver", jobs.c.number == d.number, jobs.c.queue == d.endpoint, jobs.c.state == job_store.PARKED)
        where.append(exists().where(*same))
    if wanted.state == "failed":
        where.append(exists().where(attempts.c.delivery_id == d.id))
    return where


def _jobs_of(conn: Connection, numbers: set[str]) -> dict[int, Any]:
    """The delivery jobs of these complaints, by delivery."""
    found: dict[int, Any] = {}
    spelt = sorted(numbers)
    for start in range(0, len(spelt), _CHUNK):
        query = select(jobs).where(jobs.c.kind == "deliver", jobs.c.number.in_(spelt[start : start + _CHUNK]))
        found |= {row.payload["delivery_id"]: row for row in conn.execute(query)}
    return found
