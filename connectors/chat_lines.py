"""The bytes of a chat: a line or a file as it is kept, read back, and who its writer is by it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from connectors import chat_answers
from connectors.chat_answers import Ask, Kind
from models.complaint import Attachment, Customer, Parsed
from models.errors import Unreadable
from models.submission import Submission

MEDIA_TYPE = "application/vnd.jiesu.chat+json"
_FIELDS = ("name", "phone", "email", "estate", "unit")


def conversation_key(token: str) -> str:
    """What the store knows of a token: its hash, so that a reader of the store cannot take a conversation over."""
    return hashlib.sha256(token.encode()).hexdigest()


def conversation_of(talk: str, topic: str) -> str:
    """Under which name a complaint of a talk is kept: the first under the talk's own."""
    return f"{talk}.{topic}" if topic else talk


def talk_of(conversation: str) -> tuple[str, str]:
    """The talk and the topic of a conversation."""
    talk, _, topic = conversation.partition(".")
    return talk, topic


def parse(submission: Submission) -> Parsed:
    """The line or file inside a chat submission. Raises Unreadable when the bytes are not ours."""
    who = _customer(submission.envelope.get("customer"))
    if "filename" in submission.envelope:
        name = str(submission.envelope["filename"] or "")
        kept = Attachment(name, len(submission.raw), submission.media_type, sha256=hashlib.sha256(submission.raw).hexdigest())
        return Parsed(title="", said="", text=name, attachments=(kept,), hints=who, details=_details(submission, "upload"))
    line = read_line(submission.raw)
    asked = str(submission.envelope.get("asked") or "")
    reading = chat_answers.read(asked, line["text"])
    # What only steers the dialogue says nothing of the matter, and must not be sorted by.
    steering = reading.kind in (Kind.SKIP, Kind.OBJECTION) or (
        reading.kind is Kind.ANSWER and asked in (Ask.CONSENT, Ask.CLASS)
    ) or (reading.kind is Kind.ANOTHER and not reading.value)  # fmt: skip
    details: dict[str, object] = {"client_id": line["id"]}
    if asked:
        details["asked"] = asked
    if reading.kind is Kind.ANSWER and asked == Ask.SINCE:
        details["since"] = reading.value
    if steering and asked:
        # Nothing of it changes where the complaint goes, so it is not sorted anew for it.
        details["steers"] = True
    elif reading.kind is Kind.ANSWER:
        details["answers"] = True
    said = "" if steering else line["text"]
    return Parsed(title="", said=said, text=line["text"], hints=answered(asked, reading).or_else(who), details=details)


def file_of(submission: Submission, position: int, sha256: str) -> bytes | None:
    """The bytes of a file that was sent in a chat: the submission itself. `None` for a line, and for any other place or sum."""
    same = "filename" in submission.envelope and position == 0 and hashlib.sha256(submission.raw).hexdigest() == sha256
    return submission.raw if same else None


def _details(submission: Submission, kind: str) -> dict[str, object]:
    return {"client_id": submission.source_key.rpartition(":")[2], "kind": kind}


def answered(asked: str, reading: chat_answers.Reading) -> Customer:
    """What an answer says of the customer."""
    if reading.kind is not Kind.ANSWER:
        return Customer()
    if asked == Ask.CONTACT:
        return Customer(email=reading.value) if "@" in reading.value else Customer(phone=reading.value)
    return Customer(**{asked: reading.value}) if asked in (Ask.NAME, Ask.ESTATE, Ask.UNIT) else Customer()


def _customer(told: object) -> Customer:
    """Who the site or the program that asks says that it is."""
    if not isinstance(told, Mapping):
        return Customer()
    return Customer(**{key: value for key in _FIELDS if isinstance(value := told.get(key), str) and value})


def read_line(raw: bytes) -> dict[str, str]:
    """`id` and `text` of a line as it was kept."""
    try:
        line: Any = json.loads(raw)
        return {"id": str(line["id"]), "text": str(line["text"])}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Unreadable("no_chat_line", "不是对话消息：缺少 id 或 text", "is no chat line: id or text is missing") from None
