"""How the gateway and a process that takes mail in speak with each other: frames over one socket, connections over another."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from models.errors import TryLater
from models.submission import Channel, Receipt, Submission

# What kind, which question, and how long head and bytes are.
_LENGTHS = struct.Struct(">BIII")
# The kinds. To the gateway: ready, a mail, a name with its password, a connection that ended. From it: the settings, answers, the end.
READY, MAIL, LOG_IN, GONE, SETTINGS, TAKEN, LOGGED_IN, STOP = range(8)


@dataclass(frozen=True, slots=True)
class Frame:
    """One message. `about` ties an answer to its question."""

    kind: int
    about: int
    head: Any
    body: bytes = b""


async def receive(reader: asyncio.StreamReader) -> Frame | None:
    """The next frame; None when the other side is gone."""
    try:
        kind, about, head, body = _LENGTHS.unpack(await reader.readexactly(_LENGTHS.size))
        return Frame(kind, about, json.loads(await reader.readexactly(head)), await reader.readexactly(body))
    except (asyncio.IncompleteReadError, OSError):
        return None


def send(writer: asyncio.StreamWriter, frame: Frame) -> None:
    """Sends a frame. One to a process that is gone goes nowhere."""
    head = json.dumps(frame.head).encode()
    writer.write(_LENGTHS.pack(frame.kind, frame.about, len(head), len(frame.body)) + head + frame.body)


def mail(about: int, submission: Submission) -> Frame:
    """A mail on its way to the store."""
    head = {
        "source_key": submission.source_key,
        "received_at": submission.received_at.isoformat(),
        "envelope": dict(submission.envelope),
    }
    return Frame(MAIL, about, head, submission.raw)


def submission(frame: Frame) -> Submission:
    """The mail that a frame holds."""
    head: Mapping[str, Any] = frame.head
    return Submission(
        channel=Channel.EMAIL,
        raw=frame.body,
        media_type="message/rfc822",
        source_key=head["source_key"],
        received_at=datetime.fromisoformat(head["received_at"]),
        envelope=head["envelope"],
    )


def taken(about: int, answer: Receipt | Exception) -> Frame:
    """What came of a mail."""
    if isinstance(answer, Receipt):
        return Frame(TAKEN, about, [answer.submission_id, answer.number, answer.duplicate])
    return Frame(TAKEN, about, None)


def receipt(frame: Frame) -> Receipt | Exception:
    """What came of a mail, as the door wants to be told."""
    if frame.head is None:
        return TryLater("not_accepted", "暂时无法受理，请稍后再试", "cannot be taken in now; try again later")
    submission_id, number, duplicate = frame.head
    return Receipt(submission_id, number, duplicate)
