"""Trained models: bytes and card, kept in the database so that every node serves the same one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, select, text, update

from gateway.store.engine import Store
from models.tables import trained_models

# A candidate has passed the gate and waits; a rejected one has not; a retired one answered before the champion.
CANDIDATE, CHAMPION, RETIRED, REJECTED = "candidate", "champion", "retired", "rejected"


@dataclass(frozen=True, slots=True)
class TrainedRow:
    """A trained model as the store has it."""

    version: str
    card: Mapping[str, Any]
    body: bytes


@dataclass(frozen=True, slots=True)
class Listed:
    """A trained model without its bytes. `gate` is the gate's verdict; None for what shipped."""

    version: str
    state: str
    card: Mapping[str, Any]
    added_at: datetime
    gate: Mapping[str, Any] | None
    crowned_at: datetime | None


def champion(conn: Connection) -> TrainedRow | None:
    """The trained model that answers now."""
    row = conn.execute(select(trained_models).where(trained_models.c.state == CHAMPION)).first()
    return TrainedRow(row.version, row.card, bytes(row.body)) if row else None


def champion_version(conn: Connection) -> str | None:
    """The version of the trained model that answers now: one look at an index."""
    found = conn.execute(select(trained_models.c.version).where(trained_models.c.state == CHAMPION)).scalar_one_or_none()
    return None if found is None else str(found)


def is_known(conn: Connection, version: str) -> bool:
    """Whether this version was ever here, in whatever state."""
    return conn.execute(select(trained_models.c.version).where(trained_models.c.version == version)).first() is not None


def crown(store: Store, conn: Connection, version: str, card: Mapping[str, Any], body: bytes, at: datetime) -> None:
    """Makes this version the champion and retires the one before. Two nodes that do so at once do it one after another."""
    alone(store, conn)
    conn.execute(update(trained_models).where(trained_models.c.state == CHAMPION).values(state=RETIRED))
    conn.execute(
        store.insert(trained_models)
        .values(version=version, state=CHAMPION, card=dict(card), body=body, added_at=at, crowned_at=at)
        .on_conflict_do_nothing()
    )
    conn.execute(update(trained_models).where(trained_models.c.version == version).values(state=CHAMPION, crowned_at=at))


def alone(store: Store, conn: Connection) -> None:
    """Holds off every other change of the champion until this transaction ends."""
    if not store.is_sqlite:
        conn.execute(text("SELECT pg_advisory_xact_lock(20261124)"))


def add(conn: Connection, version: str, card: Mapping[str, Any], body: bytes, at: datetime, *, state: str, gate: object) -> None:
    """Keeps a candidate with the gate's verdict. Where the version is there already and does not answer, its verdict is made anew."""
    kept = conn.execute(
        update(trained_models)
        .where(trained_models.c.version == version, trained_models.c.state.in_((CANDIDATE, REJECTED)))
        .values(state=state, gate=gate)
    ).rowcount
    if not kept and not is_known(conn, version):
        conn.execute(insert(trained_models).values(version=version, state=state, card=dict(card), body=body, added_at=at, gate=gate))


def listed(conn: Connection) -> list[Listed]:
    """All of them without their bytes, the newest first."""
    columns = [column for column in trained_models.c if column.name != "body"]
    order = (trained_models.c.added_at.desc(), trained_models.c.version)
    return [_listed(row) for row in conn.execute(select(*columns).order_by(*order))]


def find(conn: Connection, version: str) -> Listed | None:
    """One of them without its bytes."""
    columns = [column for column in trained_models.c if column.name != "body"]
    row = conn.execute(select(*columns).where(trained_models.c.version == version)).first()
    return _listed(row) if row else None


def promote(conn: Connection, version: str, at: datetime, gate: object) -> None:
    """Makes a version that is there the champion, with this verdict of the gate. To be called under `alone`."""
    last = conn.execute(select(trained_models.c.crowned_at).where(trained_models.c.state == CHAMPION)).scalar_one_or_none()
    # Always later than the one before, whatever the clock says, so that going back finds its way.
    at = at if last is None else max(at, last + timedelta(microseconds=1))
    conn.execute(update(trained_models).where(trained_models.c.state == CHAMPION).values(state=RETIRED))
    conn.execute(update(trained_models).where(trained_models.c.version == version).values(state=CHAMPION, crowned_at=at, gate=gate))


def before(conn: Connection) -> str | None:
    """The version that answered before the champion; None where there is none.

    Going back keeps the time at which that one was promoted and forgets that of the one left, so that going back again goes further back.
    """
    now = select(trained_models.c.crowned_at).where(trained_models.c.state == CHAMPION).scalar_subquery()
    found = conn.execute(
        select(trained_models.c.version)
        .where(trained_models.c.state == RETIRED, trained_models.c.crowned_at < now)
        .order_by(trained_models.c.crowned_at.desc(), trained_models.c.version)
        .limit(1)
    ).scalar_one_or_none()
    return None if found is None else str(found)


def go_back(conn: Connection, version: str) -> None:
    """Lets an earlier champion answer again. To be called under `alone`."""
    conn.execute(update(trained_models).where(trained_models.c.state == CHAMPION).values(state=RETIRED, crowned_at=None))
    conn.execute(update(trained_models).where(trained_models.c.version == version).values(state=CHAMPION))


def _listed(row: Row[Any]) -> Listed:
    return Listed(row.version, row.state, row.card, row.added_at, row.gate, row.crowned_at)
