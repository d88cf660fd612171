"""What was taken in under a number and has not become a complaint yet: it waits to be read, or could not be read and is parked.

Whoever was told a number, by the 250 of his mail say, may ask for it from that moment on; nobody may be told that it does not exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from gateway.store import jobs
from models.errors import Refused
from models.submission import Channel
from models.tables import jobs as work
from models.tables import submissions


@dataclass(frozen=True, slots=True)
class Part:
    """One submission that is not read. `job` reads it; `code` and `reason` say why it could not, so far."""

    submission_id: int
    channel: Channel
    received_at: datetime
    size: int
    came_by: str
    job: int
    parked: bool
    attempts: int
    code: str
    reason: str

    @property
    def zh(self) -> str:
        """The reason in Chinese."""
        return self.reason.partition(" / ")[0]

    @property
    def en(self) -> str:
        """The reason in English."""
        return self.reason.partition(" / ")[2] or self.reason


@dataclass(frozen=True, slots=True)
class Unread:
    """A number of which nothing is read yet, with all that was taken in under it, oldest first."""

    number: str
    parts: Sequence[Part]

    @property
    def channel(self) -> Channel:
        """On which way it came."""
        return self.parts[0].channel

    @property
    def received_at(self) -> datetime:
        """When it came."""
        return self.parts[0].received_at

    @property
    def parked(self) -> bool:
        """Whether it is put aside until somebody looks; else it is read by itself."""
        return any(part.parked for part in self.parts)


def find(conn: Connection, number: str) -> Unread | None:
    """What waits under a number; None where nothing does: it was never given, or it was read, joined or erased."""
    j = work.c
    waiting = select(j.id, j.payload, j.state, j.attempts, j.reason_code, j.reason).where(j.number == number, j.kind == "intake")
    found = conn.execute(waiting.order_by(j.id)).all()
    s = submissions.c
    ids = [row.payload["submission_id"] for row in found]
    columns = (s.id, s.channel, s.received_at, func.length(s.raw).label("size"), s.envelope)
    came = {row.id: row for row in conn.execute(select(*columns).where(s.id.in_(ids)))} if ids else {}
    parts = [
        Part(
            one.id,
            Channel(one.channel),
            one.received_at,
            one.size,
            str(one.envelope.get("mailbox", "")),
            row.id,
            row.state == jobs.PARKED,
            row.attempts,
            row.reason_code or "",
            row.reason or "",
        )
        for row in found
        if (one := came.get(row.payload["submission_id"])) is not None
    ]
    return Unread(number, parts) if parts else None


def lacking(conn: Connection, number: str) -> Refused:
    """Why there is no complaint of this number to do anything with: nobody was given it, or what came under it is not read yet."""
    found = find(conn, number)
    if found is None:
        return Refused("no_such_complaint", f"没有编号为 {number[:40]} 的投诉", f"there is no complaint {number[:40]}")
    if found.parked:
        return Refused(
            "not_read",
            f"{number} 已收到，但内容无法读取，已搁置（jiesu show {number}）",
            f"{number} was received, but cannot be read and is parked (jiesu show {number})",
        )
    return Refused("not_read", f"{number} 已收到，还没有读完，请稍候", f"{number} was received and is not read yet; wait a moment")
