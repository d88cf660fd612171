"""Makes the records that tests begin with."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP

from models.submission import Channel, Submission

_counter = itertools.count(1)
MORNING = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)


class FakeClock:
    """A clock that stands still until it is moved."""

    def __init__(self, at: datetime = MORNING) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def move(self, **by: float) -> None:
        self.at += timedelta(**by)


def mail(subject: str = "漏水", body: str = "你好，6栋1503卫生间漏水三个月没人修。", sender: str = "林树 <lin@mail.example>") -> bytes:
    """The bytes of a mail unlike any other."""
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = "tousu@jiesu.example"
    message["Subject"] = subject
    message["Message-ID"] = f"<{next(_counter)}@mail.example>"
    message.set_content(body)
    return bytes(message)


def submission(
    raw: bytes | None = None,
    *,
    channel: Channel = Channel.EMAIL,
    key: str | None = None,
    conversation: str | None = None,
    at: datetime = MORNING,
) -> Submission:
    """A submission unlike any other, unless `key` says which."""
    return Submission(
        channel=channel,
        raw=mail() if raw is None else raw,
        media_type="message/rfc822",
        source_key=key or f"key-{next(_counter)}",
        received_at=at,
        conversation=conversation,
        envelope={"door": "test"},
    )
