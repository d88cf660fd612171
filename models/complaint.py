"""A complaint and the messages of its conversation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from models.submission import Channel


class ComplaintState(StrEnum):
    """Where a complaint stands."""

    RECEIVED = "received"
    ROUTED = "routed"
    # What the tracking system says of the handling (预案 4.4).
    ACCEPTED = "accepted"
    IN_PROGRESS = "in_progress"
    NEED_INFO = "need_info"
    RESOLVED = "resolved"
    REJECTED = "rejected"
    # Nothing more is expected of anybody.
    CLOSED = "closed"


def _moves(*states: ComplaintState) -> frozenset[ComplaintState]:
    return frozenset(states)


_S = ComplaintState
# Which state may follow which; whatever is not named here cannot happen.
ALLOWED_MOVES: Mapping[ComplaintState, frozenset[ComplaintState]] = {
    # Sorted and assigned for the first time.
    _S.RECEIVED: _moves(_S.ROUTED),
    # Assigned again, because a further message changed what the complaint is about; or the tracking system has something to say.
    _S.ROUTED: _moves(_S.ROUTED, _S.ACCEPTED, _S.IN_PROGRESS, _S.NEED_INFO, _S.RESOLVED, _S.REJECTED),
    # Taken on. Trackers that know fewer steps leave some out.
    _S.ACCEPTED: _moves(_S.IN_PROGRESS, _S.NEED_INFO, _S.RESOLVED, _S.REJECTED),
    # Working and asking take turns.
    _S.IN_PROGRESS: _moves(_S.NEED_INFO, _S.RESOLVED, _S.REJECTED),
    _S.NEED_INFO: _moves(_S.IN_PROGRESS, _S.RESOLVED, _S.REJECTED),
    # The end of a round: over for good, or opened once more, which begins the next round.
    _S.RESOLVED: _moves(_S.CLOSED, _S.ROUTED),
    _S.REJECTED: _moves(_S.CLOSED, _S.ROUTED),
    # A customer who is not satisfied after all.
    _S.CLOSED: _moves(_S.ROUTED),
}
# From these a complaint is assigned and told of anew without leaving where it stands: whatever the customer adds, the handling goes on.
TRIAGED_IN_PLACE = frozenset(_S) - {_S.RECEIVED}


class Speaker(StrEnum):
    """Who says a turn or writes a message."""

    CUSTOMER = "customer"
    AGENT = "agent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Turn:
    """One utterance of a call or line of a chat. `start` and `end` are seconds from the beginning of the call."""

    role: Speaker
    text: str
    speaker: str | None = None
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """What came with a message.

    filename:  fit to be shown, never to be used as a path.
    size:      in bytes.
    mime_type: what it is; of a `Parsed` by its content, whatever was declared.
    declared:  what its sender said it is.
    sha256:    of its bytes, in hexadecimal; empty where nobody has looked.
    """

    filename: str
    size: int
    mime_type: str
    declared: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Customer:
    """Who complains, and about which home (预案 4.1); only what was found."""

    name: str | None = None
    phone: str | None = None
    email: str | None = None
    estate: str | None = None
    unit: str | None = None

    def missing(self) -> tuple[str, ...]:
        """Names of the fields that 预案 4.1 wants and nobody found: name, estate, unit, and one way to reach the customer."""
        lacking = [key for key in ("name", "estate", "unit") if not getattr(self, key)]
        if not (self.phone or self.email):
            lacking.insert(1, "contact")
        return tuple(lacking)

    def or_else(self, other: Customer) -> Customer:
        """These fields, with what is lacking taken from `other`."""
        return Customer(
            name=self.name or other.name,
            phone=self.phone or other.phone,
            email=self.email or other.email,
            estate=self.estate or other.estate,
            unit=self.unit or other.unit,
        )

    def found(self) -> dict[str, str]:
        """Only the fields that have a value, by name."""
        pairs = ((key, getattr(self, key)) for key in ("name", "phone", "email", "estate", "unit"))
        return {key: value for key, value in pairs if value}


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a connector's parser made of a submission's bytes.

    said:     what the customer himself says now: the reply text of a mail, the customer's turns of a call, a chat line.
    text:     the whole plain text, quoted history, signature and agent's turns included.
    hints:    what the envelope or a header says of the customer (an address, a caller's number), weaker than the text.
    defects:  codes of what was wrong with the bytes and was put up with.
    machine:  True when the message says of itself that a machine wrote it (RFC 3834).
    """

    title: str
    said: str
    text: str
    turns: tuple[Turn, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    hints: Customer = Customer()
    defects: tuple[str, ...] = ()
    machine: bool = False
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of a complaint's conversation."""

    number: str
    submission_id: int
    received_at: datetime
    parsed: Parsed


@dataclass(frozen=True, slots=True)
class Complaint:
    """The record made from a submission. `number` looks like TS-20261123-0042; `round` counts its handlings from 1."""

    number: str
    channel: Channel
    received_at: datetime
    state: ComplaintState
    title: str
    customer: Customer
    round: int = 1


# How far a number's day reaches, its hyphen with it.
DAY_OF_NUMBER = len("TS-20261123-")


def place_of(number: str) -> tuple[str, int, str]:
    """What a number is ordered by: the day, then the count of that day, which has more than four digits once it needs them."""
    return number[:DAY_OF_NUMBER], len(number), number
