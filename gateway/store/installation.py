"""The name of this installation, made once, the same on all its nodes."""

from __future__ import annotations

import secrets

from sqlalchemy import Connection, select

from gateway.store.engine import Store
from models.tables import installation


def name(store: Store, conn: Connection) -> str:
    """The installation's name: 12 hexadecimal digits."""
    conn.execute(store.insert(installation).values(only=1, id=secrets.token_hex(6)).on_conflict_do_nothing())
    return str(conn.execute(select(installation.c.id)).scalar_one())
