"""When the rounds of complaints began and came to their end (预案 4.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from models.delivery import EventType
from models.status import Effect, StatusCode
from models.tables import events, statuses

_ENDS = (StatusCode.RESOLVED.value, StatusCode.REJECTED.value)


@dataclass(frozen=True, slots=True)
class Round:
    """The round that a complaint is in. began: None in the first. ended: when a tracker last said that a round is over."""

    began: datetime | None = None
    ended: datetime | None = None


def of(conn: Connection, numbers: Sequence[str]) -> dict[str, Round]:
    """The rounds of these complaints; those of which nothing was said are not there."""
    if not numbers:
        return {}
    e, s = events.c, statuses.c
    newest = select(e.number, func.max(e.created_at).label("at")).where(e.number.in_(numbers), e.type == EventType.REOPENED.value)
    over = select(s.number, func.max(s.received_at).label("at"))
    over = over.where(s.number.in_(numbers), s.status.in_(_ENDS), s.effect == Effect.MOVED.value)
    began = {row.number: row.at for row in conn.execute(newest.group_by(e.number))}
    ended = {row.number: row.at for row in conn.execute(over.group_by(s.number))}
    return {number: Round(began.get(number), ended.get(number)) for number in began.keys() | ended.keys()}
