"""Retrainings: asked for, running, done or failed; at most one waits or runs, and whoever runs it must be heard of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from gateway.store.engine import Store
from models.tables import corrections, retrainings

WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"


@dataclass(frozen=True, slots=True)
class Retraining:
    """One retraining. `outcome` says in words what came of it; `version` is the candidate's."""

    id: int
    state: str
    asked_at: datetime
    by: str
    doing: str
    done: float
    leased_by: str | None
    lease_until: datetime | None
    finished_at: datetime | None
    version: str | None
    outcome: dict[str, Any] | None


def ask(store: Store, conn: Connection, by: str, at: datetime) -> tuple[Retraining, bool]:
    """Asks for a retraining. Where one waits or runs already, that one is it; the flag tells whether this one is new."""
    values = {"state": WAITING, "asked_at": at, "by": by, "doing": WAITING, "done": 0.0, "open": 1}
    new = conn.execute(store.insert(retrainings).values(**values).on_conflict_do_nothing().returning(retrainings.c.id)).scalar_one_or_none()
    found = current(conn)
    # The open one can have ended between the two statements on PostgreSQL; then the next asking makes one.
    return (found, new is not None) if found else ask(store, conn, by, at)


def current(conn: Connection) -> Retraining | None:
    """The one that waits or runs."""
    row = conn.execute(select(retrainings).where(retrainings.c.open == 1)).first()
    return _retraining(row) if row else None


def last(conn: Connection, limit: int = 1) -> list[Retraining]:
    """The newest, the newest first."""
    return [_retraining(row) for row in conn.execute(select(retrainings).order_by(retrainings.c.id.desc()).limit(limit))]


def find(conn: Connection, id: int) -> Retraining | None:
    """One of them."""
    row = conn.execute(select(retrainings).where(retrainings.c.id == id)).first()
    return _retraining(row) if row else None


def claim(conn: Connection, who: str, now: datetime, lease: timedelta) -> Retraining | None:
    """Takes the one that waits. None where none waits or another was faster."""
    row = conn.execute(
        update(retrainings)
        .where(retrainings.c.open == 1, retrainings.c.state == WAITING)
        .values(state=RUNNING, leased_by=who, lease_until=now + lease, doing="read", done=0.0)
        .returning(retrainings)
    ).first()
    return _retraining(row) if row else None


def beat(conn: Connection, id: int, who: str, doing: str, done: float, until: datetime) -> bool:
    """Renews the lease and tells how far it is. False where the lease was lost."""
    told = conn.execute(_held(id, who).values(doing=doing[:40], done=done, lease_until=until))
    return bool(told.rowcount)


def finish(conn: Connection, id: int, who: str, now: datetime, *, version: str | None, outcome: dict[str, Any], failed: bool) -> bool:
    """Ends it. False where the lease was lost: then nothing else of the transaction may stand."""
    state = FAILED if failed else DONE
    values = {"state": state, "finished_at": now, "version": version, "outcome": outcome, "open": 0, "lease_until": None}
    if not failed:
        values |= {"done": 1.0, "doing": DONE}
    return bool(conn.execute(_held(id, who).values(**values)).rowcount)


def fail_dead(conn: Connection, now: datetime, outcome: dict[str, Any]) -> list[int]:
    """Ends the one whose runner has not been heard of for the length of its lease. Returns its id."""
    found = conn.execute(
        update(retrainings)
        .where(retrainings.c.open == 1, retrainings.c.state == RUNNING, retrainings.c.lease_until < now)
        .values(state=FAILED, finished_at=now, outcome=outcome, open=0, lease_until=None)
        .returning(retrainings.c.id)
    )
    return [int(id) for id in found.scalars()]


def corrections_since_last(conn: Connection) -> int:
    """How many complaints were corrected since the last retraining that came to an end was asked for."""
    since = conn.execute(select(func.max(retrainings.c.asked_at)).where(retrainings.c.open == 0)).scalar_one_or_none()
    counted = select(func.count(func.distinct(corrections.c.number)))
    return int(conn.execute(counted if since is None else counted.where(corrections.c.at > since)).scalar_one())


def _held(id: int, who: str) -> Any:
    return update(retrainings).where(retrainings.c.id == id, retrainings.c.state == RUNNING, retrainings.c.leased_by == who)


def _retraining(row: Row[Any]) -> Retraining:
    return Retraining(
        id=row.id,
        state=row.state,
        asked_at=row.asked_at,
        by=row.by,
        doing=row.doing,
        done=row.done,
        leased_by=row.leased_by,
        lease_until=row.lease_until,
        finished_at=row.finished_at,
        version=row.version,
        outcome=row.outcome,
    )
