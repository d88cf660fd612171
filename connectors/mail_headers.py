"""The header block of a mail or of a part: found, mended, unfolded and decoded.

Purpose: headers as real mailers write them, where the standard library's reading stops or is slow. Every function is linear in its input
and never fails on any bytes.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Sequence
from urllib.parse import unquote_to_bytes

from connectors.charsets import charset_of, clean_text, decode, guess
from connectors.mail_defects import Budget

_FIELD = re.compile(rb"([!-9;-~]{1,200})[ \t]*:[ \t]*(.*)", re.DOTALL)
_BLANK = re.compile(rb"\n\r*\n")
_NEWLINES = re.compile(rb"[\r\n]*")
# What tells a header from a line of text that happens to hold a colon.
_KNOWN = re.compile(
    rb"(?:from|to|cc|subject|date|message-id|received|return-path|reply-to|mime-version|content-type|content-transfer-encoding|in-reply-to"
    rb"|references|sender|x-mailer|delivered-to):",
    re.IGNORECASE,
)
_KNOWN_IN_PART = re.compile(rb"content-[a-z-]+:", re.IGNORECASE)

# Longest value of one header that is looked at, in bytes. A subject, an address list or a file name beyond it is no honest one.
LONGEST_HEADER = 64 * 1024

_CONTROLS = re.compile("[\x00-\x20\x7f\u2028\u2029\x85]+")
# Marks that turn the reading direction or take no room: in a name they only serve to deceive (`photo\u202egnp.exe`).
_DECEIVING = re.compile("[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]")


class Headers:
    """The fields of one block, in order, names in lower case, values unfolded but still bytes."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Sequence[tuple[str, bytes]] = ()) -> None:
        self._fields: dict[str, list[bytes]] = {}
        for name, value in fields:
            self._fields.setdefault(name, []).append(value)

    def first(self, name: str) -> bytes | None:
        """The first value of `name` (lower case), `None` if there is none."""
        values = self._fields.get(name)
        return values[0] if values else None

    def every(self, name: str) -> list[bytes]:
        """All values of `name` (lower case), in order."""
        return self._fields.get(name, [])

    def names(self) -> Iterable[str]:
        """The names that occur, in lower case."""
        return self._fields.keys()


def read_block(raw: bytes, start: int, end: int, top: bool, budget: Budget, defects: set[str]) -> tuple[Headers, int]:
    """The headers that begin at `start`, and where the body begins.

    end:     where the mail or part ends.
    top:     True for the mail's own headers, which are mended harder than those of a part.
    Errors:  `Unreadable` (`mail_headers_too_large`) when the mail's headers exceed the budget.
    Source:  RFC 5322 2.1, 2.2; the mending from what servers and forwarders are seen to do.
    """
    if top:
        start = _skip_to_headers(raw, start, end)
    if raw[start : start + 1] == b"\n":
        return Headers(), start + 1
    if raw[start : start + 2] == b"\r\n":
        return Headers(), start + 2
    room = budget.header_room()
    blank = _BLANK.search(raw, start, min(end, start + room))
    block_end = blank.start() if blank else min(end, start + room)
    lines = raw[start:block_end].split(b"\n")
    if not blank and block_end < end and len(lines) > 1:
        # The window ends within a line, which would not look like a header.
        lines.pop()
    fields, read = _fields(lines, top, defects)
    if read < 0:
        # Every line of the window was a header: either the block ends here, or it is longer than is allowed.
        size = block_end - start
        budget.spend_header(size if blank or block_end == end else size + 1)
        return Headers(fields), blank.end() if blank else end
    defects.add("no_blank_line")
    budget.spend_header(read)
    return Headers(fields), start + read


def _skip_to_headers(raw: bytes, start: int, end: int) -> int:
    """Past a byte order mark and blank lines, when headers follow them."""
    if raw.startswith(b"\xef\xbb\xbf", start):
        start += 3
    match = _NEWLINES.match(raw, start, end)
    after = match.end() if match else start
    return after if after != start and _FIELD.match(raw, after, min(end, after + 300)) else start


def _fields(lines: list[bytes], top: bool, defects: set[str]) -> tuple[list[tuple[str, bytes]], int]:
    """The fields of a block's lines, and how many bytes were read when the body begins within the block, else -1."""
    fields: list[tuple[str, bytes]] = []
    name: bytes | None = None
    pieces: list[bytes] = []
    read = 0
    known = _KNOWN if top else _KNOWN_IN_PART
    # The last line that certainly is a header; looked for only once something is odd.
    last_known: int | None = None
    for index, line in enumerate(lines):
        length = len(line) + 1
        line = line.rstrip(b"\r")
        if line[:1] in (b" ", b"\t"):
            if name is not None:
                pieces.append(line.strip())
            read += length
            continue
        match = _FIELD.match(line)
        if match:
            if name is not None:
                fields.append((name.decode("ascii").lower(), b" ".join(pieces)))
            name = match[1]
            pieces = [match[2].rstrip()]
            read += length
            continue
        if index == 0 and top and line.startswith((b"From ", b">From ")):
            # The separator line of an mbox file.
            read += length
            continue
        if not line and index == len(lines) - 1:
            continue
        if last_known is None:
            places = [at for at, other in enumerate(lines) if known.match(other)]
            last_known = places[-1] if len(places) > (1 if name is None else 0) else -1
        if index < last_known:
            if name is None:
                defects.add("header_garbage")
            else:
                defects.add("header_unfolded")
                pieces.append(line.strip())
        elif name is not None and pieces[-1].endswith((b";", b",")):
            defects.add("header_unfolded")
            pieces.append(line.strip())
        else:
            if name is not None:
                fields.append((name.decode("ascii").lower(), b" ".join(pieces)))
            return fields, read
        read += length
    if name is not None:
        fields.append((name.decode("ascii").lower(), b" ".join(pieces)))
    return fields, -1


def header_text(value: bytes | None, defects: set[str], hints: Sequence[str] = ()) -> str:
    """A header's bytes as text, its encoded words still encoded; bytes beyond ASCII are guessed.

    hints: charsets declared elsewhere in the mail (`charsets.decode`).
    """
    if not value:
        return ""
    if len(value) > LONGEST_HEADER:
        defects.add("header_cut")
        value = value[:LONGEST_HEADER]
    if value.isascii() and b"\x1b$" not in value:
        return value.decode("ascii")
    defects.add("raw_header_bytes")
    words = [charset for charset in map(charset_of, _declared_in(value)) if charset]
    return guess(value, defects, [*words, *hints])


def _declared_in(value: bytes) -> list[str]:
    return [found.decode("ascii") for found in re.findall(rb"=\?([A-Za-z0-9_-]{1,40})[?*]", value[:4096])]


def decode_words(text: str, defects: set[str], hints: Sequence[str] = ()) -> str:
    """`text` with its encoded words decoded.

    Adjacent words of one charset are joined as bytes first, because mailers split them in the middle of a character although RFC 2047 5
    forbids it. A word that cannot be decoded stays as it is (`bad_encoded_word`). Source: RFC 2047 2, 6.2; RFC 2231 5.
    """
    if "=?" not in text:
        return text
    # A subject cut off within its last word: what is there of it is read.
    shorn = text.rstrip(" ?")
    last = _WORD_HEAD.match(shorn, shorn.rfind("=?"))
    if last and not any(mark in shorn[last.end() :] for mark in ("?", " ")):
        defects.add("bad_encoded_word")
        text = shorn + "?="
    out: list[str] = []
    # The run of adjacent words under way: charset label, then (encoding, content) of each.
    run: list[tuple[str, str]] = []
    run_label = ""
    done = 0
    at = text.find("=?")
    close = -1
    while at >= 0:
        word = _WORD_HEAD.match(text, at)
        if not word:
            at = text.find("=?", at + 2)
            continue
        if close < word.end():
            close = text.find("?=", word.end())
            if close < 0:
                break
        inner = text.find("=?", word.end(), close)
        if inner >= 0:
            # An unclosed word, with another one behind it.
            at = inner
            continue
        between = text[done:at]
        if run and (between.strip(" \t\r\n") or word[1].lower() != run_label.lower()):
            out.append(_word_text(run_label, run, defects, hints))
            run = []
        if not run:
            # White space between two encoded words does not count, of whatever charsets (RFC 2047 6.2).
            out.append(between if between.strip(" \t\r\n") or not out else "")
            run_label = word[1]
        run.append((word[2], text[word.end() : close]))
        done = close + 2
        at = text.find("=?", done)
    if run:
        out.append(_word_text(run_label, run, defects, hints))
    out.append(text[done:])
    return "".join(out)


_WORD_HEAD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?")


def _word_text(label: str, run: list[tuple[str, str]], defects: set[str], hints: Sequence[str]) -> str:
    content = b""
    pending = ""
    for position, (encoding, payload) in enumerate(run):
        if encoding in "qQ":
            content += binascii.a2b_qp(payload.encode("utf-8", "replace"), header=True)
            continue
        payload = pending + payload.rstrip("= \t")
        pending = ""
        follows = position + 1 < len(run) and run[position + 1][0] in "bB"
        if len(payload) % 4 == 1 and follows:
            # The base64 text itself was cut in the middle: it goes on in the next word.
            pending = payload
            continue
        try:
            content += binascii.a2b_base64(payload[: len(payload) - (len(payload) % 4 == 1)] + "=" * (-len(payload) % 4))
        except (binascii.Error, ValueError):
            defects.add("bad_encoded_word")
            return " ".join(f"=?{label}?{letter}?{raw}?=" for letter, raw in run)
    return decode(content, label, defects, hints)


def unstructured(value: bytes | None, defects: set[str], hints: Sequence[str] = ()) -> str:
    """A header such as Subject as one line of readable text: no CR, LF, NUL or other control survives, encoded ones included."""
    text = decode_words(header_text(value, defects, hints).strip(), defects, hints)
    return one_line(text)


def one_line(text: str) -> str:
    """`text` on one line, controls turned into single spaces, direction marks and zero-width characters removed."""
    if not text.isprintable() or not text.isascii():
        text = _DECEIVING.sub("", text)
        text = _CONTROLS.sub(lambda run: run.group() if run.group().strip(" ") == "" else " ", text)
        if text[:1] == " ":
            text = text.lstrip(" ")
        text = clean_text(text)
    return text


def parameters(value: bytes | None, defects: set[str], hints: Sequence[str] = ()) -> tuple[str, dict[str, str]]:
    """The main value (lower case) and the decoded parameters of a Content-Type or Content-Disposition.

    Reads RFC 2231 continuations and charsets, the forbidden but common encoded words within quotes, raw 8-bit bytes, missing quotes,
    and percent-encoded UTF-8. Source: RFC 2045 5.1, RFC 2231 3 and 4, RFC 2047 5.
    """
    text = header_text(value, defects, hints)
    main, _, rest = text.partition(";")
    found: dict[str, str] = {}
    pieces: dict[str, dict[int, tuple[str, bool]]] = {}
    at = 0
    while at < len(rest):
        gap = _GAP.match(rest, at)
        at = gap.end() if gap else at
        match = _PARAMETER.match(rest, at)
        if not match:
            at = rest.find(";", at) + 1 or len(rest)
            continue
        at = match.end()
        name = match[1].lower()
        value_text = match[3].strip() if match[2] is None else ESCAPED.sub(r"\1", match[2])
        star = _SECTION.fullmatch(name)
        if star:
            section = pieces.setdefault(star[1], {})
            section.setdefault(int(star[2] or 0), (value_text, star[3] == "*" or star[2] is None))
        else:
            found.setdefault(name, value_text)
    decoded = {name: _plain_value(text, defects, hints) for name, text in found.items()}
    for name, sections in pieces.items():
        decoded[name] = _sections_value(sections, defects, hints)
    return main.strip().lower(), decoded


_GAP = re.compile(r"[;\s]*+")
_PARAMETER = re.compile(r"([^\s=;]{1,80})\s*=\s*(?:\"((?:[^\"\\]|\\(?:.|\Z))*+)(?:\"|\Z)[^;]*|([^;]*))(?:;|\Z)", re.DOTALL)
ESCAPED = re.compile(r'\\(["\\])')
_SECTION = re.compile(r"(.+?)\*(?:(\d{1,4})(\*?))?")
_PERCENTS = re.compile(r"(?:%[0-9A-Fa-f]{2}){3}")


def _plain_value(text: str, defects: set[str], hints: Sequence[str]) -> str:
    if "=?" in text:
        return decode_words(text, defects, hints)
    if "%" in text and _PERCENTS.search(text):
        try:
            unquoted = unquote_to_bytes(text).decode("utf-8")
        except UnicodeDecodeError:
            return text
        return text if unquoted.isascii() else unquoted
    return text


def _sections_value(sections: dict[int, tuple[str, bool]], defects: set[str], hints: Sequence[str]) -> str:
    """RFC 2231 3: sections in the order of their numbers; 4.1: those with a star are percent-encoded, the first names the charset."""
    label: str | None = None
    content = b""
    encoded = False
    for position, (_, (text, starred)) in enumerate(sorted(sections.items())):
        if starred:
            encoded = True
            if position == 0 and text.count("'") >= 2:
                label, _, text = text.split("'", 2)
            content += unquote_to_bytes(text)
        else:
            content += text.encode("utf-8", "replace")
    if encoded:
        return decode(content, label or None, defects, hints)
    return decode_words(content.decode("utf-8"), defects, hints)
