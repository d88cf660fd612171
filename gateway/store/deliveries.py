"""Deliveries as operators look at them: found again, with every try, and made once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import JSON, BigInteger, ColumnElement, Connection, cast, exists, func, select, tuple_, update

from gateway.store import jobs as job_store
from gateway.store.among import is_sqlite
from gateway.store.events import AttemptRow, job_of
from models.complaint import DAY_OF_NUMBER, place_of
from models.tables import attempts, complaints, deliveries, events, jobs

# No database takes any number of parameters. So many deliveries are made once more in one transaction.
AT_ONCE = _CHUNK = 500
UNKNOWN = "endpoint_unknown"
# More than any delivery is leased for.
_LONGEST_LEASE = timedelta(hours=1)


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
    rows = conn.execute(query.where(*_where(conn, wanted)).order_by(deliveries.c.id.desc()).limit(limit)).all()
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
    return list(conn.execute(query.where(*_where(conn, wanted)).order_by(events.c.seq)).scalars())


def again(conn: Connection, ids: Sequence[int], now: datetime) -> int:
    """Lets these, at most `AT_ONCE`, be delivered once more under the ids that they had. Returns how many there are.

    Those that wait are due now; those that are parked are put back; for the others a job is made. An endpoint hears of a complaint in the
    order of its events all the same: a delivery that is made once more goes before those of later events that still wait or are parked.
    """
    query = select(deliveries.c.id, deliveries.c.endpoint, deliveries.c.number, events.c.seq)
    query = query.join(events, events.c.id == deliveries.c.event_id).where(deliveries.c.id.in_(ids))
    rows = {row.id: row for row in conn.execute(query)}
    # Whoever makes an event of a complaint holds its row; otherwise the job of a newer event could come before ours.
    held = select(complaints.c.number).where(complaints.c.number.in_({row.number for row in rows.values()}))
    conn.execute(held.order_by(complaints.c.number).with_for_update(key_share=True))
    conn.execute(update(deliveries).where(deliveries.c.id.in_(ids)).values(delivered_at=None))
    _line_up(conn, rows, now)
    return len(rows)


@dataclass(frozen=True, slots=True)
class _Turn:
    """A delivery that is to be made, in the place of its event. `job`: its row, if it has one; `wanted`: somebody asks for it now."""

    seq: int
    delivery: Any
    job: Any
    wanted: bool


def _line_up(conn: Connection, wanted: Mapping[int, Any], now: datetime) -> None:
    """Gives these deliveries jobs that are due now, so that all jobs of their complaints at their endpoints stand in the order of events.

    Jobs run in the order of their ids. So from the first place where that would be wrong, all jobs of the complaint are made anew.
    """
    keys = {job_of(row.id, row.endpoint, row.number).order_key for row in wanted.values()}
    query = select(jobs).where(jobs.c.kind == "deliver", jobs.c.order_key.in_(keys)).order_by(jobs.c.id)
    # Held, so that nobody takes one of them meanwhile.
    there = {row.payload["delivery_id"]: row for row in conn.execute(query.with_for_update())}
    others = list(there.keys() - wanted.keys())
    places = {id_: row.seq for id_, row in wanted.items()}
    for start in range(0, len(others), _CHUNK):
        of_others = select(deliveries.c.id, events.c.seq).join(events, events.c.id == deliveries.c.event_id)
        places |= {row.id: row.seq for row in conn.execute(of_others.where(deliveries.c.id.in_(others[start : start + _CHUNK])))}
    by_key: dict[str, list[_Turn]] = {}
    for id_, seq in sorted(places.items(), key=lambda place: place[1]):
        job = there.get(id_)
        key = job.order_key if job else job_of(id_, wanted[id_].endpoint, wanted[id_].number).order_key
        by_key.setdefault(key, []).append(_Turn(seq, wanted.get(id_), job, id_ in wanted))
    gone: list[int] = []
    made: list[tuple[int, dict[str, Any]]] = []
    parked: list[int] = []
    due: list[int] = []
    for turns in by_key.values():
        kept = _in_order(turns)
        for turn in turns[:kept]:
            if turn.wanted and turn.job.state == job_store.PARKED:
                parked.append(turn.job.id)
            elif turn.wanted and turn.job.state == job_store.READY and not _waits_for_another(turn.job, now):
                due.append(turn.job.id)
        rows = [_made_anew(turn, now) for turn in turns[kept:]]
        in_hand = [turn.job.lease_until for turn in turns[kept:] if turn.job is not None and turn.job.state == job_store.RUNNING]
        # Nor what was under way when these were lined up before.
        in_hand += [turn.job.run_at for turn in turns[kept:] if turn.job is not None and _waits_for_another(turn.job, now)]
        if in_hand:
            # What is under way cannot be called back, and no two of a complaint go out at once. Without a reason, so that it is known by
            # that for what waits for another.
            rows[0] |= {"run_at": max(rows[0]["run_at"], *in_hand), "reason_code": None, "reason": None}
        gone += [turn.job.id for turn in turns[kept:] if turn.job is not None]
        made += [(turn.seq, row) for turn, row in zip(turns[kept:], rows, strict=True)]
    job_store.replay(conn, parked, now)
    conn.execute(update(jobs).where(jobs.c.id.in_(due)).values(run_at=now))
    job_store.put_behind(conn, gone, [row for _, row in sorted(made, key=lambda one: one[0])])


def _waits_for_another(job: Any, now: datetime) -> bool:
    """Whether a job waits until what was under way when it was made cannot be so any more; what waits for a try of its own has a reason.

    What is further off than any lease was made by a clock that was wrong.
    """
    return bool(job.state == job_store.READY and job.reason_code is None and now < job.run_at <= now + _LONGEST_LEASE)


def _in_order(turns: Sequence[_Turn]) -> int:
    """How many of these, from the first on, have a job whose id is higher than those before it."""
    last = 0
    for count, turn in enumerate(turns):
        if turn.job is None or turn.job.id < last:
            return count
        last = turn.job.id
    return len(turns)


def _made_anew(turn: _Turn, now: datetime) -> dict[str, Any]:
    """The row of the job that takes the place of a turn's own: as it was, tries and reasons with it, save for what is asked for."""
    if turn.job is None:
        return job_store.row_of(job_of(turn.delivery.id, turn.delivery.endpoint, turn.delivery.number), now)
    row = {name: value for name, value in turn.job._mapping.items() if name != "id"}
    if turn.job.state == job_store.RUNNING:
        row |= {"state": job_store.READY, "run_at": now, "lease_until": None, "leased_by": None}
    elif turn.wanted and turn.job.state == job_store.PARKED:
        row |= job_store.put_back(now)
    elif turn.wanted:
        row["run_at"] = now
    return row


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


def _where(conn: Connection, wanted: Wanted) -> list[ColumnElement[bool]]:
    d, e = deliveries.c, events.c
    where: list[ColumnElement[bool]] = []
    for column, value in ((d.endpoint, wanted.endpoint), (d.number, wanted.number), (e.type, wanted.type)):
        if value:
            where.append(column == value)
    if wanted.since:
        where.append(e.created_at >= wanted.since)
    if wanted.until:
        where.append(e.created_at < wanted.until)
    place = tuple_(func.substr(d.number, 1, DAY_OF_NUMBER), func.length(d.number), d.number)
    if wanted.first:
        where.append(place >= place_of(wanted.first))
    if wanted.last:
        where.append(place <= place_of(wanted.last))
    if wanted.before is not None:
        where.append(d.id < wanted.before)
    if wanted.state == "delivered":
        where.append(d.delivered_at.is_not(None))
    elif wanted.state:
        where.append(d.delivered_at.is_(None))
    if wanted.state == "parked":
        # Its own job: others of the complaint that merely wait behind it are not parked.
        its_own = func.json_extract(jobs.c.payload, "$.delivery_id") if is_sqlite(conn) else _DELIVERY_ID
        same = (jobs.c.kind == "deliver", jobs.c.number == d.number, jobs.c.state == job_store.PARKED, its_own == d.id)
        where.append(exists().where(*same))
    if wanted.state == "failed":
        where.append(exists().where(attempts.c.delivery_id == d.id))
    return where


# As PostgreSQL reads it out of the text of a payload.
_DELIVERY_ID = cast(cast(jobs.c.payload, JSON)["delivery_id"].as_string(), BigInteger)


def _jobs_of(conn: Connection, numbers: set[str]) -> dict[int, Any]:
    """The delivery jobs of these complaints, by delivery."""
    found: dict[int, Any] = {}
    spelt = sorted(numbers)
    for start in range(0, len(spelt), _CHUNK):
        query = select(jobs).where(jobs.c.kind == "deliver", jobs.c.number.in_(spelt[start : start + _CHUNK]))
        found |= {row.payload["delivery_id"]: row for row in conn.execute(query)}
    return found
