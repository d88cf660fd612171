"""The feed: events in the order of their commits, without gaps, for those who pull.

On SQLite there is one writer, so `seq` is that order. On PostgreSQL a sequence is drawn before the commit, and who commits later may have
drawn earlier: a reader who has passed on would miss him. So places are given afterwards, to what is committed, by one at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, text

from gateway.store.engine import Store
from models.tables import events, feed_positions

# Whoever gives places holds this lock; any number that nothing else of ours locks.
_LOCK = 20261124
_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of the feed, with its place."""

    place: int
    type: str
    payload: str


@dataclass(frozen=True, slots=True)
class Page:
    """Entries after a place; `through` is how far was looked, `head` the last place that there is."""

    entries: Sequence[Entry]
    through: int
    head: int


def give_places(store: Store, conn: Connection) -> int:
    """Gives places to events that are committed and have none yet. Returns how many. Nothing to do on SQLite."""
    if store.is_sqlite:
        return 0
    conn.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    # In the order of `seq`, which for one complaint is the order in which its events were made: whoever writes it holds its row.
    given = text(
        "UPDATE events SET position = fresh.place FROM ("
        "  SELECT seq, (SELECT coalesce(max(position), 0) FROM events) + row_number() OVER (ORDER BY seq) AS place"
        "  FROM (SELECT seq FROM events WHERE position IS NULL ORDER BY seq LIMIT :most) AS unplaced"
        ") AS fresh WHERE events.seq = fresh.seq"
    )
    return conn.execute(given, {"most": _AT_ONCE}).rowcount


def lacks_places(store: Store, conn: Connection) -> bool:
    """Whether there are committed events without a place."""
    if store.is_sqlite:
        return False
    return conn.execute(select(events.c.seq).where(events.c.position.is_(None)).limit(1)).first() is not None


def head(store: Store, conn: Connection) -> int:
    """The last place that there is; 0 where there is none."""
    return int(conn.execute(select(func.coalesce(func.max(_place(store)), 0))).scalar_one())


def page(store: Store, conn: Connection, after: int, limit: int, types: Sequence[str]) -> Page:
    """Up to `limit` events after a place, of these types or of all."""
    last = head(store, conn)
    place = _place(store)
    wanted = select(place.label("place"), events.c.type, events.c.payload).where(place > after, place <= last)
    if types:
        wanted = wanted.where(events.c.type.in_(types))
    found = [Entry(row.place, row.type, row.payload) for row in conn.execute(wanted.order_by(place).limit(limit))]
    # When less was found than asked for, there is nothing more up to the end.
    through = found[-1].place if len(found) == limit else max(last, after)
    return Page(found, through, last)


def _place(store: Store) -> Any:
    return events.c.seq if store.is_sqlite else events.c.position


@dataclass(frozen=True, slots=True)
class Position:
    """How far a consumer has come."""

    cursor: str
    at: datetime


def keep_position(store: Store, conn: Connection, token: str, name: str, position: Position) -> None:
    """Remembers how far a consumer has come."""
    values = {"cursor": position.cursor, "at": position.at}
    conn.execute(
        store.insert(feed_positions)
        .values(token=token, name=name, **values)
        .on_conflict_do_update(index_elements=["token", "name"], set_=values)
    )


def position(conn: Connection, token: str, name: str) -> Position | None:
    """How far a consumer has come; None where nobody of this name has told."""
    mine = (feed_positions.c.token == token, feed_positions.c.name == name)
    row = conn.execute(select(feed_positions).where(*mine)).first()
    return Position(row.cursor, row.at) if row else None
