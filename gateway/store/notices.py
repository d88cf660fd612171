"""Notices for people: made once for each cause, with the jobs that tell them; every message of every robot, and who may send now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from gateway.store import jobs
from gateway.store.engine import Store
from models.notice import Notice, NoticeKind, Robot, TellCode, TellOutcome
from models.tables import jobs as job_table
from models.tables import message_notices, notice_robots, notices, robot_messages

KIND = "notice"
UNKNOWN = "unknown_robot"
# No database takes any number of parameters.
_AT_ONCE = 400


@dataclass(frozen=True, slots=True)
class Kept:
    """A notice as it was kept; `over_at` where the state that it tells of is over."""

    notice: Notice
    over_at: datetime | None


@dataclass(frozen=True, slots=True)
class Message:
    """One message that a robot sent or tried to, and how many notices stood in it."""

    id: int
    robot: str
    at: datetime
    outcome: TellOutcome
    hold_until: datetime
    notices: int


def make(store: Store, conn: Connection, notice: Notice, robots: Mapping[str, datetime | None], now: datetime) -> int | None:
    """Keeps a notice on the caller's transaction, with a job for each robot; robots: when each may tell it (None: at once).

    Returns its id; None where there is one of this key already, and then nothing is written.
    """
    body = {
        "departments": list(notice.departments),
        "class": notice.klass,
        "estate": notice.estate,
        "urgent": notice.urgent,
        "facts": dict(notice.facts),
    }
    values = {"key": notice.key, "kind": notice.kind.value, "subject": notice.subject[:120], "at": notice.at, "number": notice.number}
    inserted = store.insert(notices).values(**values, body=body).on_conflict_do_nothing().returning(notices.c.id)
    made = conn.execute(inserted).scalar_one_or_none()
    if made is None:
        return None
    if robots:
        conn.execute(insert(notice_robots), [{"notice_id": made, "robot": name} for name in robots])
    # Each has an order key of its own, so that all that wait can be had in one claim.
    new = [
        jobs.NewJob(KIND, notice.number, f"notice:{name}:{made}", {"notice_id": made}, run_at, name) for name, run_at in robots.items()
    ]  # fmt: skip
    jobs.enqueue(conn, new, now)
    return int(made)


def last(conn: Connection, kind: NoticeKind, subject: str) -> Kept | None:
    """The newest of a kind about a subject."""
    wanted = select(notices).where(notices.c.kind == kind.value, notices.c.subject == subject[:120])
    row = conn.execute(wanted.order_by(notices.c.id.desc()).limit(1)).first()
    return _kept(row) if row else None


def all_of(conn: Connection, kind: NoticeKind, subject: str) -> list[Notice]:
    """All of a kind about a subject, oldest first."""
    wanted = select(notices).where(notices.c.kind == kind.value, notices.c.subject == subject[:120]).order_by(notices.c.id)
    return [_kept(row).notice for row in conn.execute(wanted)]


def lasting(conn: Connection, kind: NoticeKind) -> list[Notice]:
    """Those of a kind whose state was not over when it was last looked."""
    wanted = select(notices).where(notices.c.kind == kind.value, notices.c.over_at.is_(None)).order_by(notices.c.id)
    return [_kept(row).notice for row in conn.execute(wanted)]


def end(conn: Connection, kind: NoticeKind, subject: str, at: datetime) -> None:
    """What these tell of is over."""
    lasts = (notices.c.kind == kind.value, notices.c.subject == subject[:120], notices.c.over_at.is_(None))
    conn.execute(update(notices).where(*lasts).values(over_at=at))


# ---- For the step ----------------------------------------------------------------------------------------------------------------------


def untold(conn: Connection, robot: str, ids: Sequence[int]) -> dict[int, Notice]:
    """Those of these notices that this robot has not told yet, by id."""
    found: dict[int, Notice] = {}
    for first in range(0, len(ids), _AT_ONCE):
        wanted = (
            select(notices)
            .join(notice_robots, notice_robots.c.notice_id == notices.c.id)
            .where(notice_robots.c.robot == robot, notice_robots.c.told_at.is_(None), notices.c.id.in_(ids[first : first + _AT_ONCE]))
        )
        found |= {row.id: _kept(row).notice for row in conn.execute(wanted)}
    return found


def may_send_from(conn: Connection, robot: Robot, *, by_hand: bool = False) -> datetime | None:
    """Before when this robot may send nothing; None where it never has.

    by_hand: a person who has put something right need not wait for the end of a pause of ours, but for what the maker wants.
    """
    wanted = select(robot_messages).where(robot_messages.c.robot == robot.name).order_by(robot_messages.c.id.desc()).limit(1)
    last = conn.execute(wanted).first()
    if last is None:
        return None
    makers = last.code in (TellCode.SENDING.value, TellCode.THROTTLED.value)
    free_from: datetime = last.at + robot.interval if by_hand and not makers else last.hold_until
    return free_from


def reserve(store: Store, conn: Connection, robot: Robot, now: datetime, *, by_hand: bool = False) -> int | None:
    """A message that may be sent now, written before it is, so that nobody else sends one meanwhile; None where it is too early."""
    if not store.is_sqlite:
        # Two nodes that look at the same moment would both find that it is time. SQLite has one writer.
        conn.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"robot:{robot.name}"))))
    free_from = may_send_from(conn, robot, by_hand=by_hand)
    if free_from is not None and free_from > now:
        return None
    # Whoever dies while he sends leaves the robot free again after this, and what he sent may be sent again.
    hold = now + max(robot.interval, timedelta(seconds=robot.timeout_seconds))
    row = {"robot": robot.name, "at": now, "code": TellCode.SENDING.value, "seconds": 0.0, "zh": "", "en": "", "said": ""}
    made = insert(robot_messages).values(**row, hold_until=hold).returning(robot_messages.c.id)
    return int(conn.execute(made).scalar_one())


def give_up(conn: Connection, message: int) -> None:
    """A message that was not sent after all."""
    conn.execute(delete(robot_messages).where(robot_messages.c.id == message, robot_messages.c.code == TellCode.SENDING.value))


def settle(conn: Connection, message: int, robot: Robot, outcome: TellOutcome, ids: Sequence[int], now: datetime) -> None:
    """What came of a message: which notices stood in it, and from when on the next may be sent."""
    sent_at = conn.execute(select(robot_messages.c.at).where(robot_messages.c.id == message)).scalar_one_or_none() or now
    values = {
        "code": outcome.code.value,
        "status": outcome.status,
        "maker_code": outcome.maker_code,
        "seconds": outcome.seconds,
        "zh": outcome.zh,
        "en": outcome.en,
        "said": outcome.said,
        "hold_until": max(sent_at + robot.interval, now + outcome.hold),
    }
    conn.execute(update(robot_messages).where(robot_messages.c.id == message).values(**values))
    if ids:
        conn.execute(insert(message_notices), [{"message_id": message, "notice_id": one} for one in ids])
    if outcome.code is TellCode.ACCEPTED:
        for first in range(0, len(ids), _AT_ONCE):
            mine = (notice_robots.c.robot == robot.name, notice_robots.c.notice_id.in_(ids[first : first + _AT_ONCE]))
            conn.execute(update(notice_robots).where(*mine).values(told_at=now))


def failures_in_a_row(conn: Connection, robot: str, most: int) -> int:
    """How many of the newest messages failed, one after another; those under way are passed over."""
    under_way = robot_messages.c.code == TellCode.SENDING.value
    wanted = select(robot_messages.c.code).where(robot_messages.c.robot == robot, ~under_way).order_by(robot_messages.c.id.desc())
    count = 0
    for code in conn.execute(wanted.limit(most)).scalars():
        if code == TellCode.ACCEPTED.value:
            break
        count += 1
    return count


def put_strangers_aside(conn: Connection, names: Sequence[str], now: datetime) -> int:
    """Parks what waits for robots that the settings do not know, and brings back what waited for those they know again.

    Returns how many were parked.
    """
    strangers = (job_table.c.kind == KIND, job_table.c.queue.not_in(names), job_table.c.state == jobs.READY)
    reason = "设置中没有这个机器人；补上后重启即会发送 / the settings know no such robot; add it and start again"
    parked = conn.execute(update(job_table).where(*strangers).values(state=jobs.PARKED, reason_code=UNKNOWN, reason=reason)).rowcount
    back = (job_table.c.kind == KIND, job_table.c.queue.in_(names), job_table.c.state == jobs.PARKED, job_table.c.reason_code == UNKNOWN)
    conn.execute(update(job_table).where(*back).values(state=jobs.READY, run_at=now, attempts=0, reason_code=None, reason=None))
    return parked


# ---- For people ------------------------------------------------------------------------------------------------------------------------


def newest(conn: Connection, limit: int) -> list[tuple[Notice, dict[str, datetime | None]]]:
    """The newest notices, each with when which robot told it."""
    found = [_kept(row).notice for row in conn.execute(select(notices).order_by(notices.c.id.desc()).limit(limit))]
    told: dict[int, dict[str, datetime | None]] = {notice.id: {} for notice in found}
    ids = list(told)
    for first in range(0, len(ids), _AT_ONCE):
        some = notice_robots.c.notice_id.in_(ids[first : first + _AT_ONCE])
        for row in conn.execute(select(notice_robots).where(some).order_by(notice_robots.c.robot)):
            told[row.notice_id][row.robot] = row.told_at
    return [(notice, told[notice.id]) for notice in found]


def messages(conn: Connection, robot: str, limit: int, *, accepted: bool | None = None) -> list[Message]:
    """The newest messages of a robot: all, those that were accepted, or those that were not."""
    count = select(func.count()).where(message_notices.c.message_id == robot_messages.c.id).scalar_subquery().label("notices")
    wanted = select(robot_messages, count).where(robot_messages.c.robot == robot)
    if accepted is not None:
        fine = robot_messages.c.code == TellCode.ACCEPTED.value
        wanted = wanted.where(fine if accepted else ~fine, robot_messages.c.code != TellCode.SENDING.value)
    return [_message(row) for row in conn.execute(wanted.order_by(robot_messages.c.id.desc()).limit(limit))]


def waiting(conn: Connection) -> dict[str, tuple[int, int]]:
    """By robot: how many notices wait, and how many are parked."""
    counted = select(job_table.c.queue, job_table.c.state, func.count()).where(job_table.c.kind == KIND)
    found: dict[str, tuple[int, int]] = {}
    for queue, state, count in conn.execute(counted.group_by(job_table.c.queue, job_table.c.state)):
        waits, parked = found.get(queue, (0, 0))
        found[queue] = (waits, parked + count) if state == jobs.PARKED else (waits + count, parked)
    return found


def _kept(row: Row[Any]) -> Kept:
    body = row.body
    notice = Notice(
        row.key,
        NoticeKind(row.kind),
        row.at,
        row.subject,
        row.number,
        tuple(body["departments"]),
        body["class"],
        body["estate"],
        body["urgent"],
        body["facts"],
        row.id,
    )
    return Kept(notice, row.over_at)


def _message(row: Row[Any]) -> Message:
    outcome = TellOutcome(TellCode(row.code), row.status, row.seconds, row.maker_code, row.zh, row.en, row.said)
    return Message(row.id, row.robot, row.at, outcome, row.hold_until, row.notices)
