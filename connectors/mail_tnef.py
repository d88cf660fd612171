"""TNEF, the `winmail.dat` that Outlook wraps a mail's files in, unwrapped: the files with their names, and the text where it is there.

Purpose: photos and contracts that an Outlook user attached, for staff without Outlook. One pass over the bytes, no decompression; what is
broken ends the reading, and what was read until then counts. The rich text (RTF) of a letter is not read: Outlook sends plain text beside.
Source: MS-OXTNEF 2.1.3 (attributes), 2.1.3.4 (properties); MS-OXPROPS (numbers of properties).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from connectors.charsets import clean_text, decode
from connectors.mail_defects import Budget

SIGNATURE = b"\x78\x9f\x3e\x22"

# Attributes, by the lower half of their number.
_RENDERING, _TITLE, _DATA, _ATTACHMENT, _PROPERTIES, _CODEPAGE, _BODY = 0x9002, 0x8010, 0x800F, 0x9005, 0x9003, 0x9007, 0x800C
# Properties: long name, short name, shown name, media type, content id, bytes; plain text and HTML of the letter.
_LONG_NAME, _SHORT_NAME, _SHOWN_NAME, _MEDIA_TYPE, _CONTENT_ID, _BYTES = 0x3707, 0x3704, 0x3001, 0x370E, 0x3712, 0x3701
_PLAIN, _HTML = 0x1000, 0x1013
# Types of properties whose values have a fixed length, in bytes, padding included (MS-OXCDATA 2.11.1).
_FIXED = {
    0x0001: 4,
    0x0002: 4,
    0x0003: 4,
    0x0004: 4,
    0x000A: 4,
    0x000B: 4,
    0x0005: 8,
    0x0006: 8,
    0x0007: 8,
    0x0014: 8,
    0x0040: 8,
    0x0048: 16,
}
_STRING, _UNICODE, _BINARY, _OBJECT = 0x001E, 0x001F, 0x0102, 0x000D
_MANY = 0x1000
_MOST_PROPERTIES = 5_000


@dataclass(slots=True)
class TnefFile:
    """A file within. `mime_type` is empty when nothing is said; `content_id` too."""

    name: str = ""
    content: bytes = field(default=b"", repr=False)
    mime_type: str = ""
    content_id: str = ""


@dataclass(slots=True)
class Tnef:
    """What was found: the files in their order, and the letter as plain text and as HTML. `whole` is False when the bytes broke off."""

    files: list[TnefFile] = field(default_factory=list)
    plain: str = ""
    html: str = ""
    whole: bool = False


def read_tnef(content: bytes, budget: Budget, defects: set[str]) -> Tnef | None:
    """What `content` holds; `None` when it is no TNEF at all.

    Errors: `Unreadable` when there are more files than parts are allowed in a mail, or the time is used up.
    """
    if not content.startswith(SIGNATURE):
        return None
    found = Tnef()
    codepage = ""
    at = 6
    while at + 9 <= len(content):
        number, length = struct.unpack_from("<II", content, at + 1)
        start, end = at + 9, at + 9 + length
        if end > len(content):
            return found
        at = end + 2
        budget.check_time()
        attribute = number & 0xFFFF
        if attribute == _RENDERING:
            budget.spend_part(1)
            found.files.append(TnefFile())
        elif attribute == _CODEPAGE and length >= 4:
            codepage = f"cp{struct.unpack_from('<I', content, start)[0]}"
        elif attribute == _BODY and not found.plain:
            found.plain = _text(content[start:end], codepage, defects)
        elif attribute == _PROPERTIES and not (found.plain and found.html):
            said = _properties(content[start:end])
            found.plain = found.plain or _said(said, _PLAIN, codepage, defects)
            found.html = found.html or _said(said, _HTML, codepage, defects)
        elif found.files and attribute in (_TITLE, _DATA, _ATTACHMENT):
            _tell(found.files[-1], attribute, content[start:end], codepage, defects)
    found.whole = True
    return found


def _tell(file: TnefFile, attribute: int, value: bytes, codepage: str, defects: set[str]) -> None:
    """One attribute of a file."""
    if attribute == _TITLE:
        file.name = file.name or _text(value, codepage, defects)
    elif attribute == _DATA:
        file.content = value
    else:
        said = _properties(value)
        names = (_said(said, key, codepage, defects) for key in (_LONG_NAME, _SHORT_NAME))
        file.name = next((name for name in names if name), file.name) or _said(said, _SHOWN_NAME, codepage, defects)
        file.mime_type = _said(said, _MEDIA_TYPE, codepage, defects).lower()
        file.content_id = _said(said, _CONTENT_ID, codepage, defects)
        if _BYTES in said:
            kind, inner = said[_BYTES]
            # An object begins with the 16 bytes that say which interface it has.
            inner = inner[16:] if kind == _OBJECT else inner
            # Beside a message within, the attribute only holds words that there is one.
            if not file.content or inner.startswith(SIGNATURE):
                file.content = inner


def _properties(block: bytes) -> dict[int, tuple[int, bytes]]:
    """Type and value of each property, by number; reading ends where the block breaks off."""
    found: dict[int, tuple[int, bytes]] = {}
    try:
        count = min(struct.unpack_from("<I", block, 0)[0], _MOST_PROPERTIES)
        at = 4
        for _ in range(count):
            kind, number = struct.unpack_from("<HH", block, at)
            at += 4
            if number >= 0x8000:
                at = _past_name(block, at)
            many, base = kind & _MANY, kind & ~_MANY
            if base in _FIXED:
                values = 1
                if many:
                    values = struct.unpack_from("<I", block, at)[0]
                    at += 4
                at += _FIXED[base] * values
                continue
            if base not in (_STRING, _UNICODE, _BINARY, _OBJECT):
                return found
            values = struct.unpack_from("<I", block, at)[0]
            at += 4
            for place in range(values):
                length = struct.unpack_from("<I", block, at)[0]
                at += 4
                if at + length > len(block):
                    return found
                if place == 0:
                    found.setdefault(number, (base, block[at : at + length]))
                at += length + -length % 4
    except struct.error:
        return found
    return found


def _past_name(block: bytes, at: int) -> int:
    """Past the name of a named property: a set's id, then a number or a text."""
    by_text, length = struct.unpack_from("<II", block, at + 16)
    return int(at + 24 + (length + -length % 4 if by_text else 0))


def _said(properties: dict[int, tuple[int, bytes]], number: int, codepage: str, defects: set[str]) -> str:
    if number not in properties:
        return ""
    kind, value = properties[number]
    if kind == _UNICODE:
        return clean_text(value.decode("utf-16-le", "replace").split("\x00")[0])
    return _text(value, codepage, defects)


def _text(value: bytes, codepage: str, defects: set[str]) -> str:
    return clean_text(decode(value.split(b"\x00")[0], codepage or None, defects))
