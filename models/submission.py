"""A submission: what a connector hands in, raw and whole, and the receipt it gets back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Channel(StrEnum):
    """The way a complaint came in (预案 4.1)."""

    EMAIL = "email"
    CHAT = "chat"
    PHONE = "phone"


@dataclass(frozen=True, slots=True)
class Submission:
    """What a connector hands in.

    raw:          every byte, unchanged.
    media_type:   what the bytes claim to be, e.g. `message/rfc822`.
    source_key:   the same for the same submission offered twice; unique within the channel.
    received_at:  aware, UTC.
    conversation: set where several submissions belong to one complaint (a chat); `None` starts a complaint of its own.
    envelope:     what the transport said and the bytes do not (mail_from, rcpt_tos, peer, file name); JSON values only.
    """

    channel: Channel
    raw: bytes
    media_type: str
    source_key: str
    received_at: datetime
    conversation: str | None = None
    envelope: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The proof that a submission is committed: its id, its complaint's number, and whether it had been taken in before."""

    submission_id: int
    number: str
    duplicate: bool = False
