"""Joining: which complaint a mail belongs to, as a value with its reason; and what a bounce says of the answer that bounced.

A mail joins an older complaint when it shows our signed token, or when it names a mail of that complaint and comes from the same box.
Whoever merely claims to belong starts a complaint of his own, and the page says what he claims (threats: row 9).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection

from gateway import correspondence
from gateway.bounces import bounce_of
from gateway.correspondence import NOTHING_OF_OURS, Ours
from gateway.reply_token import ReplyTokens
from gateway.store import complaints, threads
from models.answer import Answer
from models.complaint import Parsed
from models.submission import Channel, Submission

# What a program wrote by itself, of all that is marked as a machine's. Through lists and in bulk people write, too, and what they say must
# reach somebody.
_BY_ITSELF = frozenset({"null_return_path", "report", "loop", "auto_submitted", "autoreply_header", "daemon_sender", "auto_subject"})


@dataclass(frozen=True, slots=True)
class Joining:
    """Where a mail belongs.

    number:  the complaint that it joins; None where it starts one of its own.
    by:      how that is known: `token`, `references`, `number`, `bounce`, `duplicate`; empty where it joins none.
    claims:  the complaint that it claims to belong to and does not join; `why` says why not: `forward`,
             `forward_reply`, `other_sender`, `new_topic`.
    aside:   a machine wrote it: it is kept and shown, and changes nothing of what the complaint is about.
    bounced: the answer that did not arrive; `status` says why, by its code (RFC 3463), where that is known.
    again:   the complaint has this very mail already; it came on another way.
    """

    number: str | None = None
    by: str = ""
    claims: str | None = None
    why: str = ""
    aside: bool = False
    bounced: Answer | None = None
    again: bool = False
    status: str = ""


class Joiner:
    """Decides, on the transaction in which the mail becomes a message."""

    def __init__(self, tokens: ReplyTokens, ours: Ours = NOTHING_OF_OURS) -> None:
        self._tokens, self._ours = tokens, ours

    def decide(self, conn: Connection, submission: Submission, parsed: Parsed) -> Joining:
        """Where this mail belongs; what came on another channel starts a complaint of its own or goes on with its conversation."""
        if submission.channel is not Channel.EMAIL:
            return Joining()
        told = parsed.details
        own = str(told.get("message_id") or "")
        if own:
            files = [asdict(attachment) for attachment in parsed.attachments]
            there = threads.same_mail(conn, own, str(told.get("from_email") or ""), parsed.title, parsed.text, files)
            if there is not None:
                return Joining(there, "duplicate", aside=True, again=True)
        bounce = bounce_of(conn, self._tokens, parsed, self._ours)
        if bounce is not None:
            return Joining(bounce.number, "bounce", aside=True, bounced=bounce.answer, status=bounce.status)
        named = [str(one) for one in (told.get("in_reply_to"), *_texts(told.get("references"))[::-1]) if one]
        shown = self._tokens.shown(parsed.title, [*_texts(told.get("to")), *_texts(submission.envelope.get("rcpt_tos"))])
        by_token = [number for number in shown.signed if threads.exists(conn, threads.resolve(conn, number))]
        if by_token and not (told.get("forwarded") or told.get("passed_on")):
            return Joining(threads.resolve(conn, by_token[0]), "token", aside=_is_aside(told))
        return self._by_sender(conn, parsed, named, [*by_token, *shown.bare])

    def _by_sender(self, conn: Connection, parsed: Parsed, named: Sequence[str], spelt: Sequence[str]) -> Joining:
        """By what anybody could write, so only for the complaint's own people; the first claim that cannot be granted is remembered."""
        told = parsed.details
        sender = correspondence.sender_box(told)
        refused: tuple[str, str] | None = None
        referred = [(threads.resolve(conn, one.number), one.subject, "references") for one in threads.known(conn, named)]
        mentioned = [(threads.resolve(conn, number), None, "number") for number in spelt]
        for number, subject, by in [*referred, *mentioned]:
            if not threads.exists(conn, number):
                continue
            known = correspondence.may_write(complaints.conversation(conn, [number])[number], self._ours)
            why = _why_not(told, subject, known=sender in known)
            if not why:
                return Joining(number, by, aside=_is_aside(told))
            refused = refused or (number, why)
        return Joining(claims=refused[0], why=refused[1]) if refused else Joining()


def _why_not(told: Mapping[str, Any], subject: str | None, *, known: bool) -> str:
    """Why a mail does not join what it names; empty where it does."""
    if told.get("forwarded"):
        return "forward"
    if not known:
        # Whoever answers a forward of ours was told of the complaint by its customer; he may have a complaint of his own.
        return "forward_reply" if told.get("passed_on") else "other_sender"
    # Some people begin every mail by answering an old one; a subject of its own, without Re:, is a new matter.
    topic, was = str(told.get("topic") or "").casefold(), (subject or "").casefold()
    replies = told.get("replied") or _is_aside(told)
    if subject is not None and topic and was and not replies and topic not in was and was not in topic:
        return "new_topic"
    return ""


def _is_aside(told: Mapping[str, Any]) -> bool:
    return told.get("auto_reason") in _BY_ITSELF


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list | tuple) else []
