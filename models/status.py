"""A status: what a tracking system says of the handling of a complaint (预案 4.4). Append-only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from models.complaint import ComplaintState


class StatusCode(StrEnum):
    """How far the handling is."""

    ACCEPTED = "accepted"
    IN_PROGRESS = "in_progress"
    NEED_INFO = "need_info"
    RESOLVED = "resolved"
    REJECTED = "rejected"

    @property
    def state(self) -> ComplaintState:
        """Where a complaint stands once this holds."""
        return ComplaintState(self.value)


# What may not go backwards within a round: the greater, the further. What is alike may follow one another.
RANK: Mapping[ComplaintState, int] = {
    ComplaintState.RECEIVED: 0,
    ComplaintState.ROUTED: 1,
    ComplaintState.ACCEPTED: 2,
    # To ask the customer for something and to go on working take turns.
    ComplaintState.IN_PROGRESS: 3,
    ComplaintState.NEED_INFO: 3,
    # The end of a round, whichever it is.
    ComplaintState.RESOLVED: 4,
    ComplaintState.REJECTED: 4,
    ComplaintState.CLOSED: 5,
}


class Effect(StrEnum):
    """What a status brought about."""

    # The complaint stands there now.
    MOVED = "moved"
    # It stood there already; the words are kept.
    SAME = "same"
    # Of an earlier round, older than what is known, or a step back: kept, and nothing follows from it.
    LATE = "late"


@dataclass(frozen=True, slots=True)
class StatusReport:
    """What was said. `message_id` is the sender's own and never counts twice; `said_at` when he said it, by his clock.

    sequence: the sender's own count, the greater the newer; None where he does not count.
    """

    endpoint: str
    message_id: str
    number: str
    status: StatusCode
    said_at: datetime
    round: int | None = None
    sequence: int | None = None
    customer_text: str = ""
    internal_text: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """A report as it was kept, with what it brought about."""

    id: int
    report: StatusReport
    round: int
    received_at: datetime
    effect: Effect
