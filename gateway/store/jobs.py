"""The one jobs table: what is still to be done, who does it now, what is parked and why.

A job is ready, running under a lease, or parked; a finished one is deleted, because what it made stands in the other tables. Jobs with
the same order key run one after another, in the order in which they were made.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Delete,
    Integer,
    Row,
    Select,
    String,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from gateway.store.among import among, is_sqlite, spelt
from gateway.store.engine import Store
from models.columns import UtcTime
from models.tables import jobs

READY, RUNNING, PARKED = "ready", "running", "parked"


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be made. `run_at` None means at once; `queue` tells apart those who do the same work."""

    kind: str
    number: str
    order_key: str
    payload: Mapping[str, object]
    run_at: datetime | None = None
    queue: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it was claimed. `attempts` counts this claim; `unreported` the claims in a row that no worker reported on."""

    id: int
    kind: str
    number: str
    order_key: str
    payload: Mapping[str, Any]
    created_at: datetime
    attempts: int
    unreported: int


@dataclass(frozen=True, slots=True)
class ParkedJob:
    """A job that was put aside, whole, with its reason. `submission_id` where it is about one."""

    id: int
    kind: str
    number: str
    attempts: int
    created_at: datetime
    reason_code: str
    reason: str
    submission_id: int | None = None


def enqueue(conn: Connection, new: Sequence[NewJob], now: datetime) -> None:
    """Makes jobs, on the caller's transaction, so that they exist exactly when the result they follow from does."""
    if new:
        conn.execute(insert(jobs), [row_of(one, now) for one in new])


def row_of(new: NewJob, now: datetime) -> dict[str, Any]:
    """How a job stands in the table before anybody has tried it."""
    return {
        "kind": new.kind,
        "queue": new.queue,
        "number": new.number,
        "order_key": new.order_key,
        "payload": dict(new.payload),
        "state": READY,
        "created_at": now,
        "run_at": new.run_at or now,
        "attempts": 0,
        "unreported": 0,
        "lease_until": None,
        "leased_by": None,
        "reason_code": None,
        "reason": None,
    }


def put_behind(conn: Connection, gone: Sequence[int], rows: Sequence[Mapping[str, Any]]) -> None:
    """Takes jobs away and makes these instead, in this order, behind every job that there is. Who has one of them in hand loses it."""
    for start in range(0, len(gone), 500):
        conn.execute(delete(jobs).where(jobs.c.id.in_(gone[start : start + 500])))
    if rows:
        conn.execute(insert(jobs), list(rows))


def postpone_or_enqueue(conn: Connection, new: NewJob, now: datetime, *, latest_after: timedelta, moves: bool = True) -> None:
    """Makes the job, or, where the same is ready already, moves it to `new.run_at`, but no later than `latest_after` from its making.

    Lets a chat be sorted when the customer pauses, and not once for each of his lines. `moves` False: one that is ready is left as it is.
    """
    same = and_(jobs.c.kind == new.kind, jobs.c.number == new.number, jobs.c.state == READY, jobs.c.attempts == 0)
    waiting = conn.execute(select(jobs.c.id, jobs.c.created_at).where(same).limit(1)).first()
    if waiting is not None and not moves:
        # Looked at under the lock of whoever claims: one that is claimed just now has not read what came with this transaction.
        if conn.execute(update(jobs).where(jobs.c.id == waiting.id, same).values(run_at=jobs.c.run_at)).rowcount:
            return
    elif waiting is not None:
        later = min(new.run_at or now, waiting.created_at + latest_after)
        # Between the look and this a worker may have claimed it; then it is not ready any more and a new one is made.
        if conn.execute(update(jobs).where(jobs.c.id == waiting.id, same).values(run_at=later)).rowcount:
            return
    enqueue(conn, [new], now)


def claim(
    store: Store,
    conn: Connection,
    kind: str,
    *,
    limit: int,
    lease: timedelta,
    worker: str,
    now: datetime,
    behind_parked: bool,
    after: str | None = None,
    queue: str = "",
) -> list[Job]:
    """Takes up to `limit` jobs of a queue that are due, under a lease, counting the attempt now.

    Only the first job of each order key can be had. `behind_parked` says whether a parked job lets those behind it pass; `after` names a
    kind whose due jobs of the same complaint come first. A job whose last worker died without a report is handed out alone, so that it
    takes nobody with it again.
    """
    for query in _claimable(kind, behind_parked, after, not store.is_sqlite):
        ids = conn.execute(query, {"now": now, "most": limit, "queue": queue}).scalars().all()
        if ids:
            return _lease(conn, ids, now + lease, worker)
    return []


@cache
def _claimable(kind: str, behind_parked: bool, after: str | None, skip_locked: bool) -> tuple[Select[int], ...]:
    """The two questions of a claim, built once: those whose worker vanished, one at a time; then the others."""
    now: BindParameter[datetime] = bindparam("now", type_=UtcTime())
    earlier, other = jobs.alias("earlier"), jobs.alias("other")
    holding = (READY, RUNNING) if behind_parked else (READY, RUNNING, PARKED)
    first = ~exists().where(
        earlier.c.order_key == jobs.c.order_key, earlier.c.id < jobs.c.id, earlier.c.kind == kind, earlier.c.state.in_(holding)
    )
    if after is not None:
        due_before = or_(other.c.state == RUNNING, and_(other.c.state == READY, other.c.run_at <= now))
        first = and_(first, ~exists().where(other.c.number == jobs.c.number, other.c.kind == after, due_before))
    due = and_(jobs.c.state == READY, jobs.c.run_at <= now)
    dropped = and_(jobs.c.state == RUNNING, jobs.c.lease_until <= now)
    # The literal lets both databases see that the partial index serves.
    suspects = and_(jobs.c.unreported > literal_column("0"), or_(due, dropped))
    wanted = select(jobs.c.id).where(jobs.c.kind == kind, jobs.c.queue == bindparam("queue", type_=String()), first)
    queries = (
        wanted.where(suspects).order_by(jobs.c.id).limit(1),
        # Order within a key is held by `first`, so the others may go by the index.
        wanted.where(due, jobs.c.unreported == 0).order_by(jobs.c.run_at, jobs.c.id).limit(bindparam("most", type_=Integer())),
    )
    return tuple(query.with_for_update(skip_locked=True, of=jobs) for query in queries) if skip_locked else queries


def _lease(conn: Connection, ids: Sequence[int], until: datetime, worker: str) -> list[Job]:
    rows = conn.execute(_leasing(is_sqlite(conn)), {"ids": spelt(conn, ids), "until": until, "worker": worker}).all()
    return sorted((_job(row) for row in rows), key=lambda job: job.id)


@cache
def _leasing(sqlite: bool) -> ReturningUpdate[Any]:
    values = {
        "state": RUNNING,
        "attempts": jobs.c.attempts + 1,
        "unreported": jobs.c.unreported + 1,
        "lease_until": bindparam("until", type_=UtcTime()),
        "leased_by": bindparam("worker", type_=String()),
    }
    return update(jobs).where(among(jobs.c.id, sqlite=sqlite)).values(**values).returning(*_OF_A_JOB)


# What a worker wants to know of a job.
_OF_A_JOB = tuple(jobs.c[name] for name in ("id", "kind", "number", "order_key", "payload", "created_at", "attempts", "unreported"))


def _job(row: Row[Any]) -> Job:
    return Job(row.id, row.kind, row.number, row.order_key, row.payload, row.created_at, row.attempts, row.unreported)


def _still_mine(job: Job, worker: str) -> ColumnElement[bool]:
    """The fence: true only while no other worker has taken the job over since."""
    return and_(
        jobs.c.id == job.id,
        jobs.c.state == RUNNING,
        jobs.c.leased_by == worker,
        jobs.c.attempts == job.attempts,
    )


def finish(conn: Connection, done: Sequence[Job], worker: str) -> bool:
    """Strikes jobs off. False when the lease of any was lost; then the caller must roll back what it wrote."""
    tried: dict[int, list[int]] = {}
    for job in done:
        tried.setdefault(job.attempts, []).append(job.id)
    # One statement for all that were tried alike, which are mostly all.
    struck = 0
    for attempts, ids in tried.items():
        values = {"ids": spelt(conn, ids), "tried": attempts, "worker": worker}
        struck += conn.execute(_striking_off(is_sqlite(conn)), values).rowcount
    return struck == len(done)


@cache
def _striking_off(sqlite: bool) -> Delete:
    """The fence is that of `_still_mine`."""
    return delete(jobs).where(
        among(jobs.c.id, sqlite=sqlite),
        jobs.c.state == RUNNING,
        jobs.c.leased_by == bindparam("worker", type_=String()),
        jobs.c.attempts == bindparam("tried", type_=Integer()),
    )


def retry(conn: Connection, job: Job, worker: str, *, at: datetime, code: str, reason: str, counted: bool = True) -> bool:
    """Gives the job back, to be run again at `at`; with the attempt taken off again where it is not `counted`."""
    values = {
        "state": READY,
        "run_at": at,
        "attempts": job.attempts if counted else job.attempts - 1,
        "unreported": 0,
        "lease_until": None,
        "leased_by": None,
        "reason_code": code,
        "reason": reason,
    }
    return conn.execute(update(jobs).where(_still_mine(job, worker)).values(**values)).rowcount == 1


def park(conn: Connection, job: Job, worker: str, *, code: str, reason: str) -> bool:
    """Puts the job aside with its reason, until a person replays it."""
    values = {
        "state": PARKED,
        "unreported": 0,
        "lease_until": None,
        "leased_by": None,
        "reason_code": code,
        "reason": reason,
    }
    return conn.execute(update(jobs).where(_still_mine(job, worker)).values(**values)).rowcount == 1


# How long a job that was in hand when its process ended is let lie, by how often that has happened to it in a row. The first time says
# nothing; but a job that ends its process does so whenever it is handed out, and one that merely was in hand while somebody killed the
# gateway again and again within minutes is not to be taken for it.
_LET_LIE = (timedelta(0), timedelta(seconds=10), timedelta(minutes=2), timedelta(minutes=10))


def release_all_leases(conn: Connection, now: datetime) -> int:
    """Gives back every running job: right only where no other worker can be alive (SQLite, under the home's lock). Returns how many.

    One that was in hand several times in a row when its process ended is let lie for a while, as leases that run out do by themselves.
    """
    free = {"state": READY, "lease_until": None, "leased_by": None}
    running = update(jobs).where(jobs.c.state == RUNNING)
    often = 0
    for times, wait in enumerate(_LET_LIE[1:], 2):
        same = jobs.c.unreported == times if times < len(_LET_LIE) else jobs.c.unreported >= times
        often += conn.execute(running.where(same).values(run_at=now + wait, **free)).rowcount
    return often + conn.execute(running.values(**free)).rowcount


def parked(conn: Connection, *, kind: str | None = None, number: str | None = None) -> list[ParkedJob]:
    """What is parked, oldest first."""
    query = select(jobs).where(jobs.c.state == PARKED).order_by(jobs.c.id)
    if kind:
        query = query.where(jobs.c.kind == kind)
    if number:
        query = query.where(jobs.c.number == number)
    return [
        ParkedJob(
            row.id,
            row.kind,
            row.number,
            row.attempts,
            row.created_at,
            row.reason_code or "",
            row.reason or "",
            row.payload.get("submission_id"),
        )
        for row in conn.execute(query)
    ]


def put_back(now: datetime) -> dict[str, Any]:
    """What a parked job becomes when it is put back: due now, with a fresh count of attempts."""
    return {"state": READY, "run_at": now, "attempts": 0, "unreported": 0, "reason_code": None, "reason": None}


def replay(conn: Connection, ids: Sequence[int] | None, now: datetime) -> list[Job]:
    """Puts parked jobs back with a fresh count of attempts; all of them when `ids` is None. Returns those that were parked."""
    back = update(jobs).where(jobs.c.state == PARKED).values(**put_back(now)).returning(*_OF_A_JOB)
    if ids is None:
        rows = list(conn.execute(back))
    else:
        # No database takes any number of parameters.
        chunks = [ids[n : n + 500] for n in range(0, len(ids), 500)]
        rows = [row for chunk in chunks for row in conn.execute(back.where(jobs.c.id.in_(chunk)))]
    return sorted((_job(row) for row in rows), key=lambda job: job.id)


def counts(conn: Connection) -> dict[tuple[str, str], int]:
    """How many jobs there are, by kind and state."""
    found = conn.execute(select(jobs.c.kind, jobs.c.state, func.count()).group_by(jobs.c.kind, jobs.c.state))
    return {(kind, state): count for kind, state, count in found}


def parked_by_reason(conn: Connection) -> dict[tuple[str, str, str], int]:
    """How many jobs are parked, by kind, queue and reason code."""
    columns = (jobs.c.kind, jobs.c.queue, jobs.c.reason_code)
    found = conn.execute(select(*columns, func.count()).where(jobs.c.state == PARKED).group_by(*columns))
    return {(kind, queue, code or ""): count for kind, queue, code, count in found}


def oldest_due(conn: Connection, now: datetime) -> datetime | None:
    """When the job that has waited longest past its time was due; None when nothing waits."""
    due: datetime | None = conn.execute(select(func.min(jobs.c.run_at)).where(jobs.c.state == READY, jobs.c.run_at <= now)).scalar_one()
    return due


def next_due(conn: Connection, kinds: Collection[str], queue: str | None = None) -> datetime | None:
    """When the next ready job of these kinds is due, of one queue or of any; None when there is none."""
    if queue is not None and len(kinds) == 1:
        # What each lane asks again and again.
        due: datetime | None = conn.execute(_NEXT_DUE, {"wanted": next(iter(kinds)), "queue_": queue}).scalar_one()
        return due
    wanted = select(func.min(jobs.c.run_at)).where(jobs.c.state == READY, jobs.c.kind.in_(kinds))
    found: datetime | None = conn.execute(wanted if queue is None else wanted.where(jobs.c.queue == queue)).scalar_one()
    return found


_NEXT_DUE = select(func.min(jobs.c.run_at)).where(
    jobs.c.kind == bindparam("wanted", type_=String()), jobs.c.queue == bindparam("queue_", type_=String()), jobs.c.state == READY
)


def hasten(conn: Connection, kind: str, queue: str, now: datetime, *, code: str | None = None) -> int:
    """Makes jobs of a queue that wait for another try due now: those that failed for this reason, or all. Returns how many."""
    waiting = [jobs.c.kind == kind, jobs.c.queue == queue, jobs.c.state == READY, jobs.c.run_at > now, jobs.c.reason_code.is_not(None)]
    if code is not None:
        waiting.append(jobs.c.reason_code == code)
    return conn.execute(update(jobs).where(*waiting).values(run_at=now)).rowcount


def has_dropped(conn: Connection, kind: str, now: datetime, queue: str = "") -> bool:
    """Whether a job of this queue is held by a worker whose lease ran out."""
    return conn.execute(_DROPPED, {"wanted": kind, "queue_": queue, "now": now}).first() is not None


_DROPPED = (
    select(jobs.c.id)
    .where(
        jobs.c.kind == bindparam("wanted", type_=String()),
        jobs.c.queue == bindparam("queue_", type_=String()),
        jobs.c.state == RUNNING,
        jobs.c.lease_until <= bindparam("now", type_=UtcTime()),
    )
    .limit(1)
)
