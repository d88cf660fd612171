"""Corrections, append-only, and the review queue: which complaints a person is to look at, most useful first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, func, insert, select, update

from models.correction import Correction, Source
from models.tables import complaints, corrections
from models.verdict import ComplaintClass


@dataclass(frozen=True, slots=True)
class Waiting:
    """A complaint that waits for a person."""

    number: str
    channel: str
    received_at: datetime
    title: str
    klass: ComplaintClass | None
    rank: float


def add(conn: Connection, correction: Correction) -> int:
    """Keeps a correction and takes its complaint out of the review queue. Returns its id."""
    conn.execute(update(complaints).where(complaints.c.number == correction.number).values(review_rank=None))
    return int(
        conn.execute(
            insert(corrections)
            .values(
                number=correction.number,
                at=correction.at,
                by=correction.by,
                source=correction.source.value,
                was=correction.was.value,
                should_be=correction.should_be.value,
                trained_model=correction.trained_model,
                channel=correction.channel,
                stated=list(correction.stated),
                alone=correction.alone,
                weight=correction.weight,
                note=correction.note,
            )
            .returning(corrections.c.id)
        ).scalar_one()
    )


def of(conn: Connection, number: str) -> list[Correction]:
    """All corrections of a complaint, oldest first."""
    found = conn.execute(select(corrections).where(corrections.c.number == number).order_by(corrections.c.id))
    return [_correction(row) for row in found]


def settled(conn: Connection, numbers: Sequence[str]) -> dict[str, ComplaintClass]:
    """The class that staff last gave these complaints, for those that have one."""
    found = conn.execute(
        select(corrections.c.number, corrections.c.should_be).where(corrections.c.number.in_(numbers)).order_by(corrections.c.id)
    )
    return {row.number: ComplaintClass(row.should_be) for row in found}


def newest_id(conn: Connection) -> int:
    """The id of the newest correction; 0 before the first."""
    return int(conn.execute(select(func.max(corrections.c.id))).scalar_one() or 0)


def evidence(conn: Connection, trained_model: str, most: int) -> list[Correction]:
    """The newest corrections of verdicts of this trained model, oldest first, one a complaint: the last word on it."""
    found = conn.execute(
        select(corrections).where(corrections.c.trained_model == trained_model).order_by(corrections.c.id.desc()).limit(most)
    )
    last: dict[str, Correction] = {}
    for row in found:
        last.setdefault(row.number, _correction(row))
    # Where the last word took one back, nobody has said what it is; and what somebody happened upon says nothing of how often it happens.
    return [one for one in reversed(last.values()) if not one.undoes and one.weight > 0]


def waiting(conn: Connection, limit: int) -> list[Waiting]:
    """The head of the review queue: the least rank first, and of those the oldest."""
    found = conn.execute(
        select(complaints)
        .where(complaints.c.review_rank.is_not(None))
        .order_by(complaints.c.review_rank, complaints.c.received_at)
        .limit(limit)
    )
    return [
        Waiting(row.number, row.channel, row.received_at, row.title, ComplaintClass(row.klass) if row.klass else None, row.review_rank)
        for row in found
    ]


def waiting_count(conn: Connection) -> int:
    """How many complaints wait for a person."""
    return int(conn.execute(select(func.count()).select_from(complaints).where(complaints.c.review_rank.is_not(None))).scalar_one())


def _correction(row: Row[tuple[object, ...]]) -> Correction:
    return Correction(
        number=row.number,
        at=row.at,
        by=row.by,
        source=Source(row.source),
        was=ComplaintClass(row.was),
        should_be=ComplaintClass(row.should_be),
        trained_model=row.trained_model,
        channel=row.channel,
        stated=tuple(row.stated),
        alone=row.alone,
        weight=row.weight,
        note=row.note,
    )
