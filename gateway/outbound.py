"""Outbound: an answer as the bytes of a mail (RFC 5322), which nobody's name or subject can add a header to.

Written out by hand, because the header must be the same, whatever it holds, under every version of the standard library's folding.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from gateway.reply_token import ReplyTokens
from models.answer import Answer, AnswerKind, Letter, Thread

# Lines of a header end before this (RFC 5322 2.1.1); an encoded word has 75 characters at most (RFC 2047 2).
_LINE, _WORD_BYTES = 76, 42
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_ID = re.compile(r"<[\x21-\x3b=\x3f-\x7e]{1,300}>", re.ASCII)
_SPECIALS = re.compile(r'[()<>\[\]:;@\\,."]')


@dataclass(frozen=True, slots=True)
class Sender:
    """From whom answers come. `plus`: whether the reply address may carry the token. `installation`: marks our own mail in `X-Loop`."""

    address: str
    name: str
    plus: bool
    installation: str


class Outbound:
    """Makes letters of answers."""

    def __init__(self, sender: Sender, tokens: ReplyTokens) -> None:
        self._sender, self._tokens = sender, tokens

    def letter(self, answer: Answer, thread: Thread, at: datetime) -> Letter:
        """The mail of an answer that has its `to` and `message_id`. The same answer makes the same mail but for its Date."""
        sender = self._sender
        to = address_of(_UNSAFE.sub("", answer.to or ""))
        replies = self._tokens.reply_address(sender.address, answer.number) if sender.plus else sender.address
        known = [one for one in thread.message_ids if _ID.fullmatch(one) and one != answer.message_id]
        fields = [
            ("Date", format_datetime(at)),
            ("From", spelt_mailbox(sender.name, sender.address)),
            ("Reply-To", spelt_mailbox(sender.name, replies)),
            ("To", f"<{to}>"),
            ("Subject", spelt_words(f"{answer.subject} {self._tokens.tag(answer.number)}")),
            ("Message-ID", answer.message_id or ""),
        ]
        if known:
            fields += [("In-Reply-To", known[-1]), ("References", _folded("References", known))]
        if answer.kind is not AnswerKind.STAFF:
            # No machine is to answer this (RFC 3834 5), and no program to treat it as a person's.
            fields += [("Auto-Submitted", "auto-replied"), ("Precedence", "auto_reply")]
        fields += [
            ("X-Auto-Response-Suppress", "All"),
            ("X-Loop", f"jiesu@{sender.installation}"),
            ("X-Jiesu-Loop", sender.installation),
            ("MIME-Version", "1.0"),
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Language", {"zh": "zh-Hans", "zh-hant": "zh-Hant"}.get(answer.language, "en")),
            ("Content-Transfer-Encoding", "base64"),
        ]
        head = "".join(f"{name}: {value}\r\n" for name, value in fields)
        body = answer.body.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n").encode("utf-8", "replace")
        raw = head.encode("utf-8", "replace") + b"\r\n" + base64.encodebytes(body).replace(b"\n", b"\r\n")
        return Letter(sender.address, to, raw)


def address_of(address: str) -> str:
    """The address with its domain in ASCII, so that only a local part beyond it asks the server for more (RFC 5891, RFC 6531)."""
    local, _, domain = address.rpartition("@")
    with suppress(UnicodeError):
        return f"{local}@{domain.encode('idna').decode('ascii')}"
    return address


def spelt_words(text: str) -> str:
    """Text as encoded words where it is not plain ASCII, folded (RFC 2047). Nothing of it can end a line."""
    text = " ".join(_UNSAFE.sub(" ", text).split())
    if text.isascii() and "=?" not in text and len(text) <= _LINE - 10:
        return text
    pieces: list[str] = []
    piece = b""
    for character in text:
        spelt = character.encode("utf-8", "replace")
        # A word ends at the end of a character (RFC 2047 5).
        if len(piece) + len(spelt) > _WORD_BYTES:
            pieces.append(_encoded(piece))
            piece = b""
        piece += spelt
    return "\r\n ".join([*pieces, _encoded(piece)])


def _encoded(piece: bytes) -> str:
    return f"=?utf-8?B?{base64.b64encode(piece).decode('ascii')}?="


def spelt_mailbox(name: str, address: str) -> str:
    """A name and an address as a header has them."""
    name = " ".join(_UNSAFE.sub(" ", name).split())[:80]
    if not name:
        return f"<{address}>"
    spelt = spelt_words(name)
    if spelt == name and _SPECIALS.search(name):
        spelt = '"' + re.sub(r'([\\"])', r"\\\1", name) + '"'
    return f"{spelt}\r\n <{address}>"


def _folded(name: str, ids: Iterable[str]) -> str:
    lines, used = [""], len(name) + 2
    for one in ids:
        if used + len(one) + 1 > _LINE and lines[-1]:
            lines.append("")
            used = 1
        lines[-1] += (" " if lines[-1] else "") + one
        used += len(one) + 1
    return "\r\n ".join(lines)
