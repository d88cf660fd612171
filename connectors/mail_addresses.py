"""Who and which: the mailboxes, message ids and date in a mail's headers.

Purpose: senders and threads as real mailers write them. Every function is linear in its input and never fails on any bytes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from connectors.mail_headers import ESCAPED, LONGEST_HEADER, decode_words, header_text, one_line

_TOKENS = re.compile(
    r"\"((?:[^\"\\]|\\(?:.|\Z))*+)(?:\"|\Z)"  # 1: a quoted string, closed or not
    r"|\(((?:[^()\\]|\\(?:.|\Z))*+)(?:\)|\Z|(?=\())"  # 2: a comment; one within another ends it
    r"|<([^<>]*+)(?:>|\Z|(?=<))"  # 3: an address
    r"|(=\?[^?\s]{1,60}\?[bBqQ]\?[^?]{0,2000}\?=)"  # 4: an encoded word, whose commas do not count
    r"|([,;])"  # 5
    r"|([^\"(<,;=]++|.)",  # 6: anything else
    re.DOTALL,
)
# Neither separators nor anything that cannot be seen.
_NONE_OF = r"\s\x00-\x20\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff<>\"'(),:;"
# An apostrophe is of a name (o'brien@…) unless the address begins with it, which is then quoted.
_ADDRESS = re.compile(rf"[^{_NONE_OF}\[\]][^{_NONE_OF.replace(chr(39), '')}\[\]]{{0,255}}@[^{_NONE_OF}@]{{1,256}}")


def addresses(value: bytes | None, defects: set[str], hints: Sequence[str] = ()) -> list[tuple[str, str]]:
    """The mailboxes of an address header as (display name, address), in order; entries without a usable address have an empty one.

    A display name is decoded after the commas have been found, because an encoded name may hold some. Names in quotes are decoded too,
    although RFC 2047 5 forbids it: much Chinese mail needs it. Source: RFC 5322 3.4, with its obsolete forms.
    """
    text = header_text(value, defects, hints)
    found: list[tuple[str, str]] = []
    phrase: list[str] = []
    comment = ""
    angle: str | None = None
    orphan = ""
    for match in [*_TOKENS.finditer(text), None]:
        kind = match.lastindex if match else 5
        if match and kind == 1:
            phrase.append(ESCAPED.sub(r"\1", match[1]))
        elif match and kind == 2:
            comment = comment or match[2]
        elif match and kind == 3:
            if angle is None or not _ADDRESS.search(angle):
                angle = match[3]
        elif match and kind in (4, 6):
            phrase.append(match[kind])
        else:
            name = "".join(phrase).strip()
            bare = _ADDRESS.search(angle if angle is not None else name)
            if angle is None and bare is None:
                # `Smith, John <j@…>` without quotes: the first half waits for the second.
                orphan = f"{orphan}, {name}".strip(", ")[:200] if name else orphan
            else:
                if angle is None:
                    name = ""
                elif orphan:
                    name = f"{orphan}, {name}".strip(", ")
                    orphan = ""
                shown = decode_words(name or comment, defects, hints)
                found.append((_display(shown), bare.group().rstrip(".") if bare else ""))
            phrase, comment, angle = [], "", None
    return found


def _display(name: str) -> str:
    """A display name as people read it: one line, single spaces, no quotes around it, at most 200 characters."""
    name = " ".join(one_line(name[:2000]).split())
    while len(name) > 1 and name[0] == name[-1] and name[0] in "\"'":
        name = name[1:-1].strip()
    return name.strip('"\\ ')[:200]


_ID = re.compile(r"<([\x21-\x3b=\x3f-\x7e]{1,900})>")
_BARE_ID = re.compile(r"[\x21-\x3b=\x3f-\x7e]{1,900}")


def message_ids(value: bytes | None) -> list[str]:
    """The message ids of a Message-ID, In-Reply-To or References header, each within `<>`, at most the last 100."""
    text = (value or b"")[-LONGEST_HEADER:].decode("ascii", "ignore")
    return [f"<{found}>" for found in _ID.findall(text)][-100:]


def own_id(value: bytes | None, defects: set[str]) -> str | None:
    """The mail's Message-ID within `<>`, put right where it can be; `None` if there is none."""
    if value is None or not value.strip():
        defects.add("no_message_id")
        return None
    ids = message_ids(value)
    if ids:
        if "@" not in ids[0]:
            defects.add("bad_message_id")
        return ids[0]
    defects.add("bad_message_id")
    bare = _BARE_ID.fullmatch(value.strip().decode("ascii", "ignore"))
    return f"<{bare.group()}>" if bare else None


def own_date(value: bytes | None, defects: set[str]) -> datetime | None:
    """The mail's Date, aware, UTC; `None` if there is none or it is no date (RFC 5322 3.3)."""
    try:
        date = parsedate_to_datetime((value or b"")[:200].decode("ascii", "ignore"))
        date = date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        defects.add("bad_date")
        return None
    if not 1970 <= date.year <= 2200:
        defects.add("bad_date")
        return None
    return date
