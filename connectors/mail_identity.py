"""What makes two copies of a mail the same mail, by whatever door they come and whatever servers wrote on them under way."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime

# What servers write on a mail under way: another copy of the same mail bears other ones (RFC 5321 4.4, RFC 8601, RFC 8617, and what the
# servers of QQ, NetEase and Microsoft are seen to add, whose fields all begin with `X-`).
_UNDER_WAY = frozenset(
    {
        b"return-path",
        b"received",
        b"received-spf",
        b"delivered-to",
        b"envelope-to",
        b"delivery-date",
        b"authentication-results",
        b"dkim-signature",
        b"domainkey-signature",
        b"arc-seal",
        b"arc-message-signature",
        b"arc-authentication-results",
        b"status",
    }
)
_FIELD = re.compile(rb"([!-9;-~]{1,200})[ \t]*:")
_BLANK = re.compile(rb"\r?\n\r?\n")
# A mail says who wrote it, when, and which it is; one that lacks any of these is told apart by its very bytes.
_NEEDED = (b"from", b"date", b"message-id")
# What its sender's program gives a mail so that it differs from the next one with the same words.
_TELLS_APART = re.compile(rb"^(?:date|message-id)[ \t]*:[ \t]*(?:\r?\n[ \t]+)?\S", re.IGNORECASE | re.MULTILINE)
# The longest head that is looked at.
_LONGEST_HEAD = 262_144


def mail_key(raw: bytes, mail_from: str, at: datetime | None) -> str:
    """A source key that every copy of a mail has, and no other mail.

    A mail with exactly one From, Date and Message-ID is known by all that its sender wrote: its fields but those that servers add, and its
    body, line endings aside. So a Message-ID that is used again for another mail makes another key, and the same mail has the same key when
    it comes by SMTP and lies in a mailbox too (threats: row 7). Any other mail is known by `mail_from`, the return path, and its bytes:
    two senders may write the same words without fields of their own, and neither must lose them to the other.

    at: when it arrived, by the clock of whoever took it in first; None where nobody knows. What a form on a web site sends has often
    neither Date nor Message-ID, and is the same to the byte when the lift fails again next month. So such a mail is the same within one
    day (of UTC) only: a server that lost our answer comes again within minutes, and where that is past midnight there are two complaints
    rather than none.
    """
    own = _as_written(raw)
    if own is not None:
        return "mail:" + own
    known = hashlib.sha256(mail_from.encode("utf-8", "replace") + b"\0" + raw).hexdigest()
    if at is None or _TELLS_APART.search(raw, 0, _end_of_head(raw)):
        return "sha256:" + known
    return f"day:{at.astimezone(UTC):%Y%m%d}:{known}"


def _end_of_head(raw: bytes) -> int:
    blank = _BLANK.search(raw, 0, _LONGEST_HEAD)
    return blank.start() if blank else min(len(raw), _LONGEST_HEAD)


def _as_written(raw: bytes) -> str | None:
    blank = _BLANK.search(raw, 0, _LONGEST_HEAD)
    if blank is None:
        return None
    counted = dict.fromkeys(_NEEDED, 0)
    digest = hashlib.sha256()
    kept = True
    for line in raw[: blank.start()].replace(b"\r\n", b"\n").split(b"\n"):
        folded = line[:1] in (b" ", b"\t")
        if not folded:
            field = _FIELD.match(line)
            if field is None:
                return None
            name = field[1].lower()
            if name in counted:
                counted[name] += 1
                # An empty one tells nothing apart.
                if not line[field.end() :].strip():
                    return None
            kept = name not in _UNDER_WAY and not name.startswith(b"x-")
        if kept:
            digest.update(b" " * folded + b" ".join(line.split()) + b"\n")
    if any(count != 1 for count in counted.values()):
        return None
    digest.update(b"\n" + raw[blank.end() :].replace(b"\r\n", b"\n").rstrip(b"\n"))
    return digest.hexdigest()
