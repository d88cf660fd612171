"""Calls as they are kept, and earlier complaints of the same caller."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, or_, select, union

from gateway.store.engine import Store
from models.complaint import Customer
from models.tables import calls, complaints
from models.verdict import ComplaintClass

# So many earlier complaints of one look are enough to find the one that is meant.
_MOST = 400


@dataclass(frozen=True, slots=True)
class CallRow:
    """A call as the store has it."""

    submission_id: int
    number: str
    received_at: datetime
    centre: str
    call_id: str
    caller: str
    words: str
    to_call_back: bool


@dataclass(frozen=True, slots=True)
class EarlierRow:
    """A complaint of somebody who has complained before."""

    number: str
    received_at: datetime
    klass: ComplaintClass | None
    customer: Customer


def add(store: Store, conn: Connection, row: Mapping[str, object]) -> None:
    """Keeps a call; the same submission never twice."""
    conn.execute(store.insert(calls).values(**row).on_conflict_do_nothing())


def of_numbers(conn: Connection, numbers: Sequence[str]) -> dict[str, list[CallRow]]:
    """The calls of these complaints, oldest first."""
    by_number: dict[str, list[CallRow]] = {number: [] for number in numbers}
    for row in conn.execute(select(calls).where(calls.c.number.in_(numbers)).order_by(calls.c.submission_id)):
        by_number[row.number].append(CallRow(**row._mapping))
    return by_number


def earlier(
    conn: Connection, *, callers: Iterable[str], call_ids: Iterable[str], words: Iterable[str], besides: Iterable[str]
) -> list[EarlierRow]:
    """Complaints of these telephone numbers, or with a call of these ids or words; the newest first, without those named `besides`."""
    phones, ids, spoken = ([one for one in set(several) if one] for several in (callers, call_ids, words))
    c, k = calls.c, complaints.c
    same_call = or_(c.caller.in_(phones), c.call_id.in_(ids), c.words.in_(spoken))
    found = union(select(c.number).where(same_call), select(k.number).where(k.phone.in_(phones))).subquery()
    query = select(complaints).where(k.number.in_(select(found.c.number)), k.number.not_in(list(besides)))
    return [_earlier(row) for row in conn.execute(query.order_by(k.received_at.desc(), k.number.desc()).limit(_MOST))]


def _earlier(row: Any) -> EarlierRow:
    klass = ComplaintClass(row.klass) if row.klass else None
    return EarlierRow(row.number, row.received_at, klass, Customer(row.name, row.phone, row.email, row.estate, row.unit))
