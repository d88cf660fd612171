"""Trained models: bytes and card, kept in the database so that every node serves the same one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, text, update

from gateway.store.engine import Store
from models.tables import trained_models

CHAMPION, RETIRED = "champion", "retired"


@dataclass(frozen=True, slots=True)
class TrainedRow:
    """A trained model as the store has it."""

    version: str
    card: Mapping[str, Any]
    body: bytes


def champion(conn: Connection) -> TrainedRow | None:
    """The trained model that answers now."""
    row = conn.execute(select(trained_models).where(trained_models.c.state == CHAMPION)).first()
    return TrainedRow(row.version, row.card, bytes(row.body)) if row else None


def is_known(conn: Connection, version: str) -> bool:
    """Whether this version was ever here, in whatever state."""
    return conn.execute(select(trained_models.c.version).where(trained_models.c.version == version)).first() is not None


def crown(store: Store, conn: Connection, version: str, card: Mapping[str, Any], body: bytes, at: datetime) -> None:
    """Makes this version the champion and retires the one before. Two nodes that do so at once do it one after another."""
    if not store.is_sqlite:
        conn.execute(text("SELECT pg_advisory_xact_lock(20261124)"))
    conn.execute(update(trained_models).where(trained_models.c.state == CHAMPION).values(state=RETIRED))
    conn.execute(
        store.insert(trained_models)
        .values(version=version, state=CHAMPION, card=dict(card), body=body, added_at=at)
        .on_conflict_do_nothing()
    )
    conn.execute(update(trained_models).where(trained_models.c.version == version).values(state=CHAMPION))
