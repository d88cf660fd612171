"""What an erasure and those who write a customer's words at that very moment do about one another: one of them is first.

Whoever writes words looks whether whose they are has been erased. On PostgreSQL, where two transactions do not see one another, the look
would be over too early; so writers share a lock for the rest of their transaction, and an erasure has it alone. SQLite has one writer.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import Connection, Select, func, select

from gateway.store.among import is_sqlite
from models.tables import complaints

_LOCK = 20261129


def alone(conn: Connection) -> None:
    """Waits until nobody writes words; from now on, until this transaction ends, nobody does."""
    if not is_sqlite(conn):
        conn.execute(select(func.pg_advisory_xact_lock(_LOCK)))


def shared(conn: Connection) -> None:
    """What this transaction reads and writes from now on is before or after any erasure."""
    if not is_sqlite(conn):
        conn.execute(_share())


def is_erased(conn: Connection, number: str) -> bool:
    """Whether whose complaint it was is gone; it stays so until this transaction ends."""
    shared(conn)
    there = select(complaints.c.number).where(complaints.c.number == number, complaints.c.erased_at.is_not(None))
    return conn.execute(there).first() is not None


@cache
def _share() -> Select[None]:
    return select(func.pg_advisory_xact_lock_shared(_LOCK))
