"""Events, their deliveries to endpoints, the attempts made, and what the sender decides after each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum


class EventType(StrEnum):
    """What happened to a complaint; the `type` of a Standard Webhooks payload."""

    # It was taken in and can be read.
    RECEIVED = "complaint.received"
    # A verdict was given, by the trained model or by a person.
    CLASSIFIED = "complaint.classified"
    ROUTED = "complaint.routed"
    REROUTED = "complaint.rerouted"
    UPDATED = "complaint.updated"
    # The next round begins (预案 4.4).
    REOPENED = "complaint.reopened"
    CUSTOMER_RATED = "complaint.customer_rated"
    CLOSED = "complaint.closed"
    # Whose complaint it was is gone.
    ERASED = "complaint.erased"


@dataclass(frozen=True, slots=True)
class About:
    """What of a complaint decides who is told; what is not known yet is None."""

    klass: str | None = None
    department: str | None = None
    estate: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A signed, versioned notice about a ticket. `payload` is the exact JSON text that is sent.

    about: what the complaint is now and, where that has just changed, what it was: who was told before learns that it moved away.
    """

    id: str
    number: str
    type: EventType
    created_at: datetime
    payload: str
    about: tuple[About, ...] = (About(),)


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
    # A connection was made, and broke or was not what it should be.
    UNREACHABLE = "unreachable"
    FORBIDDEN_ADDRESS = "forbidden_address"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt brought. `status` is the one of HTTP or AMQP, `retry_after` what the receiver asked for,
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
    """What to do after a try, as a value: done, again after `wait`, or parked with its reason.

    counted: False where the try says nothing of this job, and leaves it as many as it had.
    """

    next: Next
    reason: str
    wait: timedelta = timedelta(0)
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One event on its way to one endpoint. `webhook_id` is the same on every retry.

    old_secret: signs too while a secret is being replaced; empty otherwise.
    headers:    what the format of the body wants, instead of or beside the usual ones.
    topic:      what a broker sorts by; empty for others. attributes: those of a CloudEvent that stand beside the body at a broker.
    """

    webhook_id: str
    url: str
    secret: str
    body: bytes
    old_secret: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    topic: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
