"""What trackers said of the handling, append-only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, exists, select

from gateway.store.engine import Store
from models.status import Effect, Status, StatusCode, StatusReport
from models.tables import deliveries, statuses


def add(store: Store, conn: Connection, report: StatusReport, round: int, effect: Effect, now: datetime) -> int | None:
    """Keeps a report. Its id; None where this endpoint has sent the same message before, and then nothing is written."""
    values = {
        "endpoint": report.endpoint,
        "message_id": report.message_id,
        "number": report.number,
        "round": round,
        "status": report.status.value,
        "sequence": report.sequence,
        "said_at": report.said_at,
        "received_at": now,
        "customer_text": report.customer_text,
        "internal_text": report.internal_text,
        "by": report.by,
        "effect": effect.value,
    }
    made = store.insert(statuses).values(**values).on_conflict_do_nothing().returning(statuses.c.id)
    found = conn.execute(made).scalar_one_or_none()
    return None if found is None else int(found)


def known(conn: Connection, endpoint: str, message_id: str) -> bool:
    """Whether this endpoint has sent this message before."""
    same = (statuses.c.endpoint == endpoint, statuses.c.message_id == message_id)
    return bool(conn.execute(select(exists().where(*same))).scalar_one())


def last(conn: Connection, number: str, endpoint: str, round: int | None) -> Status | None:
    """The newest report of an endpoint from which something followed, in this round or in any."""
    mine = [statuses.c.number == number, statuses.c.endpoint == endpoint, statuses.c.effect != Effect.LATE.value]
    if round is not None:
        mine.append(statuses.c.round == round)
    row = conn.execute(select(statuses).where(*mine).order_by(statuses.c.id.desc()).limit(1)).first()
    return _status(row) if row else None


def of(conn: Connection, number: str) -> list[Status]:
    """Everything that was said of one complaint, oldest first."""
    return [_status(row) for row in conn.execute(select(statuses).where(statuses.c.number == number).order_by(statuses.c.id))]


def was_told(conn: Connection, endpoint: str, number: str) -> bool:
    """Whether the endpoint was ever to hear of this complaint."""
    its = (deliveries.c.number == number, deliveries.c.endpoint == endpoint)
    return bool(conn.execute(select(exists().where(*its))).scalar_one())


def _status(row: Row[Any]) -> Status:
    report = StatusReport(
        row.endpoint,
        row.message_id,
        row.number,
        StatusCode(row.status),
        row.said_at,
        row.round,
        row.sequence,
        row.customer_text,
        row.internal_text,
        row.by,
    )
    return Status(row.id, report, row.round, row.received_at, Effect(row.effect))
