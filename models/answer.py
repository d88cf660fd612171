"""Answers: what jiesu tells a customer, on which way, and what became of it (预案 4.4)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AnswerKind(StrEnum):
    """Why a customer is told something."""

    # It arrived: the number, who acts, by when.
    ACKNOWLEDGEMENT = "acknowledgement"
    # The tracking system said something for him (预案 4.4).
    STATUS = "status"
    # A person on our side wrote it.
    STAFF = "staff"


class Way(StrEnum):
    """On which way a customer is told."""

    EMAIL = "email"
    CHAT = "chat"
    # Somebody must ring him up: nobody can write to a caller.
    CALL = "call"


class AnswerState(StrEnum):
    """What became of an answer."""

    WAITING = "waiting"
    # Handed over to the mail server, shown in the chat, or done by whoever rang.
    SENT = "sent"
    # Not sent, and it is not to be: a machine wrote, a limit was reached, nobody can be reached; `reason` says which.
    SUPPRESSED = "suppressed"
    # Given up after every try; can be replayed.
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Answer:
    """One thing told to a customer.

    source_key: what it answers, e.g. `ack:17` or `status:evt_…`; never twice for one key.
    to:         the address (mail), else `None`.
    language:   `zh` or `en`.
    body:       plain text; whoever shows it shows text.
    by:         who speaks: `jiesu`, a member of staff, or the tracking system.
    reason:     why it was suppressed or failed: a code, colon, sentence.
    message_id: the Message-ID under which it was mailed, so that replies and bounces are told by it.
    """

    id: int
    number: str
    kind: AnswerKind
    source_key: str
    way: Way
    to: str | None
    language: str
    subject: str
    body: str
    by: str
    at: datetime
    state: AnswerState = AnswerState.WAITING
    reason: str | None = None
    sent_at: datetime | None = None
    message_id: str | None = None
