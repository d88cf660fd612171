"""What several people have said of one complaint, out of the corrections."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from models.correction import UNDONE
from models.tables import complaints, corrections
from models.verdict import ComplaintClass


@dataclass(frozen=True, slots=True)
class Said:
    """Somebody's last word on a complaint."""

    by: str
    klass: ComplaintClass
    at: datetime


@dataclass(frozen=True, slots=True)
class Judged:
    """A complaint that several people have judged, with the last word of each, oldest first, and the class that it has now."""

    number: str
    title: str
    klass: ComplaintClass | None
    said: tuple[Said, ...]


def by_several(conn: Connection, most: int) -> list[Judged]:
    """Complaints that more than one person has judged, those judged last first, at most so many."""
    shared = (
        select(corrections.c.number)
        .group_by(corrections.c.number)
        .having(func.count(corrections.c.by.distinct()) > 1)
        .order_by(func.max(corrections.c.id).desc())
        .limit(most)
    )
    numbers = list(conn.execute(shared).scalars())
    found: dict[str, dict[str, Said]] = {number: {} for number in numbers}
    about: dict[str, tuple[str, ComplaintClass | None]] = {}
    for start in range(0, len(numbers), 500):
        some = numbers[start : start + 500]
        rows = conn.execute(select(corrections).where(corrections.c.number.in_(some)).order_by(corrections.c.id))
        for row in rows:
            # Taken out first, so that the order is that of the last words.
            found[row.number].pop(row.by, None)
            if row.note == UNDONE:
                continue
            found[row.number][row.by] = Said(row.by, ComplaintClass(row.should_be), row.at)
        for row in conn.execute(select(complaints).where(complaints.c.number.in_(some))):
            about[row.number] = row.title, ComplaintClass(row.klass) if row.klass else None
    return [Judged(number, *about[number], tuple(found[number].values())) for number in numbers if len(found[number]) > 1]
