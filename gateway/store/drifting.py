"""What came in lately and what came before: verdicts, corrections and texts of a span of time.

The tables have no index on time, and need none: they only grow, so their numbers rise with time, and the first row of a span is found by
halving. What is then read is a range of the primary key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Table, func, select

from models.tables import complaints, corrections, messages, verdicts
from models.verdict import ComplaintClass, Decision


@dataclass(frozen=True, slots=True)
class Incoming:
    """A text that came in: what the customer said, and the title and channel of its complaint."""

    said: str
    title: str
    channel: str


def first_since(conn: Connection, table: Table, moment: Column[Any], at: datetime) -> int:
    """The id of the first row that is not before `at`; one more than the last where all are."""
    low, high = conn.execute(select(func.min(table.c.id), func.max(table.c.id))).one()
    if low is None:
        return 1
    high += 1
    while low < high:
        middle = (low + high) // 2
        row = conn.execute(select(table.c.id, moment).where(table.c.id >= middle).order_by(table.c.id).limit(1)).first()
        if row is not None and row[1] < at:
            low = row[0] + 1
        else:
            high = middle
    return int(low)


def verdict_bounds(conn: Connection, moments: Sequence[datetime]) -> list[int]:
    """Where in the verdicts these moments stand."""
    return [first_since(conn, verdicts, verdicts.c.at, moment) for moment in moments]


def correction_bounds(conn: Connection, moments: Sequence[datetime]) -> list[int]:
    """Where in the corrections these moments stand."""
    return [first_since(conn, corrections, corrections.c.at, moment) for moment in moments]


def message_bounds(conn: Connection, moments: Sequence[datetime]) -> list[int]:
    """Where in the messages these moments stand."""
    return [first_since(conn, messages, messages.c.received_at, moment) for moment in moments]


def classes(conn: Connection, trained_model: str, start: int, end: int) -> dict[ComplaintClass, int]:
    """How often this trained model gave each class in a range of verdicts; what people decided is not its doing."""
    found = conn.execute(
        select(verdicts.c.klass, func.count().label("many"))
        .where(
            verdicts.c.id >= start,
            verdicts.c.id < end,
            verdicts.c.trained_model == trained_model,
            verdicts.c.decision != Decision.PERSON.value,
        )
        .group_by(verdicts.c.klass)
    )
    return {ComplaintClass(row.klass): row.many for row in found}


def confidences(conn: Connection, trained_model: str, start: int, end: int, most: int) -> list[float]:
    """How sure this trained model was of its answers, the newest of the range, at most so many."""
    found = conn.execute(
        select(verdicts.c.body)
        .where(verdicts.c.id >= start, verdicts.c.id < end, verdicts.c.trained_model == trained_model)
        .order_by(verdicts.c.id.desc())
        .limit(most)
    ).scalars()
    return [max(body.get("stated") or body["probabilities"].values()) for body in found]


def corrected(conn: Connection, trained_model: str, start: int, end: int) -> tuple[int, int]:
    """How many verdicts of this trained model were reviewed in a range of corrections, and how many of these were wrong.

    What somebody happened upon does not count: such complaints are wrong more often than others.
    """
    asked = select(corrections.c.was == corrections.c.should_be, func.count()).where(
        corrections.c.id >= start, corrections.c.id < end, corrections.c.trained_model == trained_model, corrections.c.weight > 0
    )
    by_right = {bool(right): many for right, many in conn.execute(asked.group_by(corrections.c.was == corrections.c.should_be))}
    return sum(by_right.values()), by_right.get(False, 0)


def texts(conn: Connection, start: int, end: int, most: int) -> list[Incoming]:
    """What customers said in a range of messages, the newest, at most so many."""
    found = conn.execute(
        select(messages.c.said, messages.c.title, complaints.c.channel)
        .join(complaints, complaints.c.number == messages.c.number)
        .where(messages.c.id >= start, messages.c.id < end, ~messages.c.machine)
        .order_by(messages.c.id.desc())
        .limit(most)
    )
    return [Incoming(row.said, row.title, row.channel) for row in found]
