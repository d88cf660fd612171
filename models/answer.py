"""Answers: what jiesu tells a customer, on which way, and what became of it (预案 4.4)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from models.delivery import Next


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
    language:   `zh`, `zh-hant` (traditional) or `en`.
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


def box_of(address: str) -> str:
    """Whose box an address is: in small letters and without what stands after a plus, by which limits and senders are compared."""
    local, _, domain = address.strip().casefold().rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"


_DAEMON = re.compile(
    r"(?:mailer[-_.]?daemon|mail[-_.]?daemon|mdaemon|postmaster|mail[-_.]delivery[-_.](?:sub)?system)(?:\+[^@]*)?(?:@|$)", re.IGNORECASE
)


def is_daemon(address: str) -> bool:
    """Whether an address is one under which mail servers write of the mail that they handle."""
    return _DAEMON.match(address) is not None


class MailCode(StrEnum):
    """How one try of mailing an answer ended."""

    ACCEPTED = "accepted"
    # The server says no to this recipient or to this mail, for good (5xx).
    REFUSED = "refused"
    # It says: later (4xx).
    DEFERRED = "deferred"
    # It says no to us, for good: to our login, our sender address, or our greeting. The settings are to be mended.
    NOT_LET_IN = "not_let_in"
    # No connection can be made.
    AWAY = "away"
    # The connection broke.
    LOST = "lost"
    TIMEOUT = "timeout"
    # Its certificate is not to be trusted, or it offers no STARTTLS.
    NOT_SECURE = "not_secure"
    # The recipient's address is of letters that this server does not take (RFC 6531).
    ADDRESS = "address"


# What a try's end means: done, to be tried again, or given up.
AFTER_MAIL: Mapping[MailCode, Next] = {
    MailCode.ACCEPTED: Next.DONE,
    # There is no such box, or the mail is taken for spam: the same again brings the same again.
    MailCode.REFUSED: Next.PARK,
    MailCode.DEFERRED: Next.RETRY,
    # Once the operator has put the settings right, the mail must still go.
    MailCode.NOT_LET_IN: Next.RETRY,
    MailCode.AWAY: Next.RETRY,
    # It may have been taken or not; the Message-ID is the same at the next try, so that whoever gets two sees one.
    MailCode.LOST: Next.RETRY,
    MailCode.TIMEOUT: Next.RETRY,
    MailCode.NOT_SECURE: Next.RETRY,
    MailCode.ADDRESS: Next.PARK,
}


@dataclass(frozen=True, slots=True)
class MailOutcome:
    """What one try brought. `status` is the SMTP code, `said` the server's first words, `seconds` how long it took."""

    code: MailCode
    status: int | None
    seconds: float
    said: str = ""


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail as it is handed to the mail server: envelope and bytes."""

    mail_from: str
    rcpt_to: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Thread:
    """What an answer by mail replies to: the Message-IDs of the conversation, oldest first, and the subject of the customer's last mail."""

    message_ids: tuple[str, ...] = ()
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """The most acknowledgements to one box in each span."""

    spans: tuple[tuple[timedelta, int], ...]
