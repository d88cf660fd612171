"""Labelled texts to learn from, de-identified: imported history, and a copy of each corrected complaint, one row a text or complaint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, delete, func, or_, select, update

from gateway.store.engine import Store
from models.tables import examples
from models.verdict import ComplaintClass

# Where a row came from: a complaint that staff corrected, or a file.
CORRECTION, IMPORTED = "correction", "import"
# What a person has said of a suspicious label.
KEPT, IGNORED = "kept", "ignored"

# So many rows are written or asked for at once; SQLite takes 32,766 values a statement.
_BATCH = 500
# Neither database can even be asked for a larger one.
_LAST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ExampleRow:
    """One example as the store has it.

    id:     0 where it is not stored yet.
    origin: `CORRECTION` or `IMPORTED`.
    key:    the complaint's number, or SHA-256 of the imported text.
    number: whose erasure removes it; None where nobody knows.
    source: which way of correction or which file it came by.
    golden: never trained on: the company's own part of the golden set.
    looked_at: `KEPT` or `IGNORED` where a person has looked at a suspicious label.
    """

    id: int
    origin: str
    key: str
    number: str | None
    source: str
    channel: str | None
    title: str
    text: str
    primary: ComplaintClass
    secondary: tuple[ComplaintClass, ...]
    by: str
    added_at: datetime
    golden: bool
    looked_at: str | None


def put(store: Store, conn: Connection, row: ExampleRow) -> None:
    """Keeps an example; where origin and key are known already, the later word wins.

    Two things outlast it: what once was golden stays golden, so that no later import of the same text trains on it; and what a person said
    of the label stays as long as the label does.
    """
    put_all(store, conn, [row])


def put_all(store: Store, conn: Connection, rows: Sequence[ExampleRow]) -> None:
    """`put` for many."""
    if not rows:
        return
    statement = store.insert(examples)
    new = statement.excluded
    same = and_(examples.c.primary == new.primary, examples.c.text == new.text)
    wins = {name: new[name] for name in ("number", "source", "channel", "title", "text", "primary", "secondary", "by", "added_at")}
    statement = statement.on_conflict_do_update(
        index_elements=["origin", "key"],
        set_={
            **wins,
            "golden": or_(examples.c.golden, new.golden),
            "looked_at": case((same, func.coalesce(new.looked_at, examples.c.looked_at)), else_=new.looked_at),
        },
    )
    # One statement a row: the same key twice among many values of one statement is an error on PostgreSQL.
    conn.execute(statement, [_values(row) for row in rows])


def usable(conn: Connection) -> list[ExampleRow]:
    """What may be trained on: neither golden nor ignored, nor the very text of a golden one; oldest first."""
    held_out = set(conn.execute(select(examples.c.text).where(examples.c.golden)).scalars())
    unheard = or_(examples.c.looked_at.is_(None), examples.c.looked_at != IGNORED)
    found = conn.execute(select(examples).where(~examples.c.golden, unheard).order_by(examples.c.added_at, examples.c.id))
    return [_example(row) for row in found if row.text not in held_out]


def golden(conn: Connection) -> list[ExampleRow]:
    """The company's own part of the golden set, oldest first."""
    return [_example(row) for row in conn.execute(select(examples).where(examples.c.golden).order_by(examples.c.added_at, examples.c.id))]


def forget(conn: Connection, number: str) -> int:
    """Removes what was copied of a complaint. Returns how many rows there were."""
    return conn.execute(delete(examples).where(examples.c.number == number)).rowcount


def page(
    conn: Connection,
    after_id: int = 0,
    limit: int = 100,
    *,
    origin: str | None = None,
    primary: ComplaintClass | None = None,
    golden: bool | None = None,
    looked_at: str | None = None,
    contains: str = "",
) -> list[ExampleRow]:
    """The next examples by id, at most `limit`, of those that match."""
    asked: list[ColumnElement[bool]] = [examples.c.id > min(after_id, _LAST_ID)]
    if origin is not None:
        asked.append(examples.c.origin == origin)
    if primary is not None:
        asked.append(examples.c.primary == primary.value)
    if golden is not None:
        asked.append(examples.c.golden if golden else ~examples.c.golden)
    if looked_at is not None:
        asked.append(examples.c.looked_at == looked_at)
    if contains:
        asked.append(or_(examples.c.text.contains(contains, autoescape=True), examples.c.title.contains(contains, autoescape=True)))
    return [_example(row) for row in conn.execute(select(examples).where(*asked).order_by(examples.c.id).limit(limit))]


def every(conn: Connection, origin: str | None = None) -> Iterator[ExampleRow]:
    """All of them by id, or those of an origin, a batch at a time."""
    last = 0
    while rows := page(conn, last, _BATCH, origin=origin):
        yield from rows
        last = rows[-1].id


def load(conn: Connection, id: int) -> ExampleRow | None:
    """One example."""
    if not 0 <= id <= _LAST_ID:
        return None
    row = conn.execute(select(examples).where(examples.c.id == id)).first()
    return _example(row) if row else None


def known(conn: Connection, origin: str, keys: Sequence[str]) -> dict[str, ExampleRow]:
    """Those of these keys that are there."""
    found: dict[str, ExampleRow] = {}
    for start in range(0, len(keys), _BATCH):
        asked = keys[start : start + _BATCH]
        for row in conn.execute(select(examples).where(examples.c.origin == origin, examples.c.key.in_(asked))):
            found[row.key] = _example(row)
    return found


def settle(conn: Connection, id: int, *, looked_at: str, primary: ComplaintClass, secondary: Sequence[ComplaintClass], by: str) -> int:
    """Keeps what a person says of a suspicious label. Returns 0 where there is no such example."""
    values = {"looked_at": looked_at, "primary": primary.value, "secondary": [one.value for one in secondary], "by": by}
    return conn.execute(update(examples).where(examples.c.id == id).values(**values)).rowcount


def counts(conn: Connection) -> list[Mapping[str, Any]]:
    """How many there are, by origin, class, whether golden, and what a person said of the label."""
    by = (examples.c.origin, examples.c.primary, examples.c.golden, examples.c.looked_at)
    return [dict(row) for row in conn.execute(select(*by, func.count().label("count")).group_by(*by)).mappings()]


def _values(row: ExampleRow) -> dict[str, Any]:
    return {
        "origin": row.origin,
        "key": row.key,
        "number": row.number,
        "source": row.source,
        "channel": row.channel,
        "title": row.title,
        "text": row.text,
        "primary": row.primary.value,
        "secondary": [one.value for one in row.secondary],
        "by": row.by,
        "added_at": row.added_at,
        "golden": row.golden,
        "looked_at": row.looked_at,
    }


def _example(row: Row[Any]) -> ExampleRow:
    return ExampleRow(
        id=row.id,
        origin=row.origin,
        key=row.key,
        number=row.number,
        source=row.source,
        channel=row.channel,
        title=row.title,
        text=row.text,
        primary=ComplaintClass(row.primary),
        secondary=tuple(ComplaintClass(one) for one in row.secondary),
        by=row.by,
        added_at=row.added_at,
        golden=row.golden,
        looked_at=row.looked_at,
    )
