"""Which estates and classes have been complained of again and again lately (群诉)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from models.tables import complaints

# Of one estate and class; more than that need nobody count.
_MOST = 2000


@dataclass(frozen=True, slots=True)
class Group:
    """Complaints of one estate and class, the newest first. `homes`: how many different homes or people."""

    estate: str
    klass: str
    numbers: tuple[str, ...]
    homes: int
    urgent: bool


def since(conn: Connection, begin: datetime, least: int) -> list[Group]:
    """Those with at least so many homes among what came in since."""
    c = complaints.c
    lately = (c.received_at >= begin, c.estate.is_not(None), c.klass.is_not(None))
    often = select(c.estate, c.klass).where(*lately).group_by(c.estate, c.klass).having(func.count() >= least)
    wanted = {(estate, klass) for estate, klass in conn.execute(often)}
    found = []
    for estate, klass in sorted(wanted):
        rows = conn.execute(
            select(c.number, c.unit, c.phone, c.email, c.priority)
            .where(*lately, c.estate == estate, c.klass == klass)
            .order_by(c.received_at.desc(), c.number.desc())
            .limit(_MOST)
        ).all()
        # One home that writes, rings and chats is one home; whoever names none is told by what he is reached by.
        homes: defaultdict[str, int] = defaultdict(int)
        for row in rows:
            homes[row.unit or row.phone or row.email or row.number] += 1
        if len(homes) >= least:
            urgent = any(row.priority == "urgent" for row in rows)
            found.append(Group(estate, klass, tuple(row.number for row in rows), len(homes), urgent))
    return found
