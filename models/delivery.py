"""Events, their deliveries to endpoints, the attempts made, and what the sender decides after each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class EventType(StrEnum):
    """What happened to a complaint; the `type` of a Standard Webhooks payload."""

    ROUTED = "complaint.routed"
    REROUTED = "complaint.rerouted"
    UPDATED = "complaint.updated"


@dataclass(frozen=True, slots=True)
class Event:
    """A signed, versioned notice about a ticket. `payload` is the exact JSON text that is sent."""

    id: str
    number: str
    type: EventType
    created_at: datetime
    payload: str


class OutcomeCode(StrEnum):
    """How one attempt ended."""

    ACCEPTED = "accepted"
    REDIRECTED = "redirected"
    CLIENT_ERROR = "client_error"
    GONE = "gone"
    THROTTLED = "throttled"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    # Nobody listens there: no connection could be made at all.
    AWAY = "away"
    # A connection was made, and broke or was no HTTP.
    UNREACHABLE = "unreachable"
    FORBIDDEN_ADDRESS = "forbidden_address"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt brought. `status` is the HTTP status, `retry_after` what the receiver asked for,
    `answer` the first bytes of what it said, `seconds` how long it took."""

    code: OutcomeCode
    status: int | None
    seconds: float
    answer: str = ""
    retry_after: timedelta | None = None


class Next(StrEnum):
    """What becomes of a job after a try."""

    DONE = "done"
    RETRY = "retry"
    PARK = "park"


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """What to do after a try, as a value: done, again after `wait`, or parked with its reason."""

    next: Next
    reason: str
    wait: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One event on its way to one endpoint. `webhook_id` is the same on every retry."""

    webhook_id: str
    url: str
    secret: str
    body: bytes
