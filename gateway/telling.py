"""Tells a customer, in plain words, what the tracking system says, on the way by which he complained (预案 4.4)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from gateway.store import answers, complaints
from gateway.store.complaints import ComplaintRow
from gateway.store.engine import Store
from models.answer import Answer, AnswerKind, Way
from models.status import StatusCode
from models.submission import Channel


class Telling:
    """Writes answers."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def tell(self, conn: Connection, number: str, told: StatusCode, text: str, *, source_key: str, by: str, now: datetime) -> Answer | None:
        """Keeps what the customer is told, on the caller's transaction. None where this source has been answered already."""
        complaint = complaints.load(conn, [number])[number]
        way = _way(complaint)
        to = complaint.customer.email if way is Way.EMAIL else None
        body = text.replace("\r\n", "\n").strip()
        answer = Answer(0, number, AnswerKind.STATUS, source_key, way, to, "zh", f"投诉 {number} 的处理进展", body, by, now)
        return answer if answers.add(self._store, conn, answer, now) is not None else None


def _way(complaint: ComplaintRow) -> Way:
    """The chat for who chatted; mail for who gave an address; else somebody must ring him up."""
    if complaint.channel is Channel.CHAT:
        return Way.CHAT
    return Way.EMAIL if complaint.channel is Channel.EMAIL and complaint.customer.email else Way.CALL
