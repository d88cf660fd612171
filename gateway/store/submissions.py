"""Submissions: taken in whole, each with the number of its complaint and its first job, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from gateway.store import fence, jobs
from gateway.store.engine import Store
from models.submission import Channel, Receipt, Submission
from models.tables import conversations, day_numbers, submissions

_Key = tuple[Channel, str]

# Built once; their building would cost more than their running.
_KNOWN = select(submissions.c.source_key, submissions.c.id, submissions.c.number).where(
    submissions.c.channel == bindparam("channel"), submissions.c.source_key.in_(bindparam("keys", expanding=True))
)
_RAISE = (
    update(day_numbers)
    .where(day_numbers.c.day == bindparam("this_day"))
    .values(last=day_numbers.c.last + bindparam("count"))
    .returning(day_numbers.c.last)
)
_KEEP = insert(submissions).returning(submissions.c.id, sort_by_parameter_order=True)


def take_in(store: Store, conn: Connection, offered: Sequence[Submission], zone: ZoneInfo, now: datetime) -> list[Receipt]:
    """Stores the submissions with one intake job each; those known already get the receipt they got before.

    One transaction and a handful of statements whatever the number: the group commit of concurrent acceptances.
    """
    if any(s.conversation for s in offered):
        # A line of a chat goes on with a complaint that is not erased before the line is there.
        fence.shared(conn)
    receipts = _known(conn, offered)
    fresh: dict[_Key, Submission] = {}
    for s in offered:
        # One that is offered twice within a group is stored once.
        if (s.channel, s.source_key) not in receipts:
            fresh.setdefault((s.channel, s.source_key), s)
    new: set[_Key] = set()
    if fresh:
        rows = _rows(store, conn, fresh.values(), now.astimezone(zone).strftime("%Y%m%d"))
        ids = conn.execute(_KEEP, rows).scalars()
        for key, row, submission_id in zip(fresh, rows, ids, strict=True):
            receipts[key] = Receipt(submission_id=submission_id, number=row["number"])
            new.add(key)
        wanted = [receipts[key] for key in fresh]
        jobs.enqueue(
            conn,
            [jobs.NewJob("intake", r.number, r.number, {"submission_id": r.submission_id}) for r in wanted],
            now,
        )
    answers: list[Receipt] = []
    for s in offered:
        key = (s.channel, s.source_key)
        receipt = receipts[key]
        answers.append(receipt if key in new else Receipt(receipt.submission_id, receipt.number, duplicate=True))
        new.discard(key)
    return answers


def _known(conn: Connection, offered: Sequence[Submission]) -> dict[_Key, Receipt]:
    receipts: dict[_Key, Receipt] = {}
    for channel in dict.fromkeys(s.channel for s in offered):
        # A channel at a time: SQLite looks a list of pairs up by reading the whole table, and would get slower with each submission.
        found = conn.execute(_KNOWN, {"channel": channel.value, "keys": [s.source_key for s in offered if s.channel is channel]})
        receipts |= {(channel, row.source_key): Receipt(row.id, row.number, duplicate=True) for row in found}
    return receipts


def _rows(store: Store, conn: Connection, fresh: Iterable[Submission], day: str) -> list[dict[str, Any]]:
    fresh = list(fresh)
    talks = {s.conversation: "" for s in fresh if s.conversation}
    if talks:
        known = conn.execute(select(conversations).where(conversations.c.conversation.in_(list(talks))))
        talks |= {row.conversation: row.number for row in known}
    begun = [talk for talk, number in talks.items() if not number]
    alone = sum(1 for s in fresh if not s.conversation)
    numbers = iter(_numbers(store, conn, day, alone + len(begun)))
    for talk in begun:
        talks[talk] = _begin(store, conn, talk, next(numbers))
    return [
        {
            "channel": s.channel.value,
            "source_key": s.source_key,
            "number": talks[s.conversation] if s.conversation else next(numbers),
            "conversation": s.conversation,
            "media_type": s.media_type,
            "raw": s.raw,
            "envelope": dict(s.envelope),
            "received_at": s.received_at,
        }
        for s in fresh
    ]


def _numbers(store: Store, conn: Connection, day: str, count: int) -> list[str]:
    """The next `count` numbers of the day, e.g. TS-20261123-0042."""
    if not count:
        return []
    raising = {"this_day": day, "count": count}
    last = conn.execute(_RAISE, raising).scalar_one_or_none()
    if last is None:
        # The first of the day.
        conn.execute(store.insert(day_numbers).values(day=day, last=0).on_conflict_do_nothing())
        last = conn.execute(_RAISE, raising).scalar_one()
    return [f"TS-{day}-{n:04d}" for n in range(last - count + 1, last + 1)]


def _begin(store: Store, conn: Connection, conversation: str, candidate: str) -> str:
    """The number of a conversation: ours, or that of another node which began it at this very moment."""
    conn.execute(store.insert(conversations).values(conversation=conversation, number=candidate).on_conflict_do_nothing())
    where = select(conversations.c.number).where(conversations.c.conversation == conversation)
    return str(conn.execute(where).scalar_one())


def any_taken_in(conn: Connection) -> bool:
    """Whether anything was ever taken in."""
    return conn.execute(select(submissions.c.id).limit(1)).first() is not None


def sizes(conn: Connection, submission_ids: Sequence[int]) -> dict[int, int]:
    """How many bytes each submission has, by id."""
    found = conn.execute(select(submissions.c.id, func.length(submissions.c.raw)).where(submissions.c.id.in_(submission_ids)))
    return {row[0]: row[1] for row in found}


@dataclass(frozen=True, slots=True)
class Outline:
    """A submission without its bytes. `size` counts them."""

    channel: Channel
    size: int
    envelope: Mapping[str, object]


def outlines(conn: Connection, submission_ids: Sequence[int]) -> dict[int, Outline]:
    """The submissions without their bytes, by id."""
    columns = (submissions.c.id, submissions.c.channel, func.length(submissions.c.raw), submissions.c.envelope)
    found = conn.execute(select(*columns).where(submissions.c.id.in_(submission_ids)))
    return {row[0]: Outline(Channel(row[1]), row[2], row[3]) for row in found}


def load(conn: Connection, submission_ids: Sequence[int]) -> dict[int, tuple[Submission, str]]:
    """The submissions with their complaints' numbers, by id."""
    found = conn.execute(select(submissions).where(submissions.c.id.in_(submission_ids)))
    return {row.id: (_submission(row), row.number) for row in found}


def _submission(row: Row[Any]) -> Submission:
    return Submission(
        channel=Channel(row.channel),
        raw=bytes(row.raw),
        media_type=row.media_type,
        source_key=row.source_key,
        received_at=row.received_at,
        conversation=row.conversation,
        envelope=row.envelope,
    )
