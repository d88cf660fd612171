"""The tree of a mail's parts, cut out of the bytes within limits, and the content of a part.

Purpose: what the standard library's parser does, for mail that cannot be trusted. That parser calls itself for every level, tests every
line against every open boundary and cannot be stopped; this one looks for one boundary at a time, counts parts and depth as it goes, and
looks at the clock. A test holds it to the standard library's result on well-formed mail.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field

from connectors.mail_defects import Budget
from connectors.mail_headers import Headers, parameters, read_block, unstructured


@dataclass(slots=True)
class Part:
    """One part: a leaf with a body, or a multipart with children.

    mime_type:   as declared, lower case; `text/plain` when nothing usable is declared (RFC 2045 5.2).
    declared:    False when `mime_type` is only that default.
    disposition: `attachment`, `inline` or what else is said; empty when nothing is.
    filename:    as declared, decoded, not yet made safe; `named_by_type` when only Content-Type's `name` said it.
    start, end:  where its body lies in the raw bytes.
    """

    headers: Headers
    mime_type: str
    params: dict[str, str]
    disposition: str
    filename: str
    start: int
    end: int
    depth: int
    declared: bool = True
    named_by_type: bool = False
    children: list[Part] = field(default_factory=list)

    @property
    def main_type(self) -> str:
        """The type before the slash."""
        return self.mime_type.partition("/")[0]


TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,127}/[a-z0-9!#$&^_.+-]{1,127}")

# A line like a delimiter with a part's header behind it.
_LIKELY_BOUNDARY = re.compile(rb"(?<![^\n])--([^\r\n]{1,200}?)(?:--)?[ \t]*\r*\n(?=content-[a-z]+:)", re.IGNORECASE)


def read_tree(raw: bytes, headers: Headers, start: int, budget: Budget, defects: set[str]) -> Part:
    """The tree of the mail whose headers end at `start`.

    A message within the mail (message/rfc822) is a leaf: it is an attachment, not a part of what was said.
    Errors: `Unreadable` when depth, number of parts, headers or time exceed the budget. Source: RFC 2046 5.1.
    """
    root = _part(headers, start, len(raw), 0, "text/plain", defects)
    budget.spend_part(0)
    waiting = [root]
    while waiting:
        part = waiting.pop()
        if part.main_type != "multipart":
            continue
        spans = _spans(raw, part, budget, defects)
        if spans is None:
            # Without any delimiter the whole body is the one thing that can be shown.
            part.mime_type, part.declared = "text/plain", False
            continue
        default = "message/rfc822" if part.mime_type == "multipart/digest" else "text/plain"
        for begin, finish in spans:
            budget.spend_part(part.depth + 1)
            inner, body = read_block(raw, begin, finish, False, budget, defects)
            part.children.append(_part(inner, min(body, finish), finish, part.depth + 1, default, defects))
        if not spans:
            defects.add("no_parts")
        waiting.extend(part.children)
    return root


def _part(headers: Headers, start: int, end: int, depth: int, default: str, defects: set[str]) -> Part:
    mime_type, params = parameters(headers.first("content-type"), defects)
    declared = bool(TYPE.fullmatch(mime_type))
    if not declared:
        mime_type = default
    disposition, said = parameters(headers.first("content-disposition"), defects)
    filename = said.get("filename", "")
    named_by_type = not filename and bool(params.get("name"))
    return Part(
        headers=headers,
        mime_type=mime_type,
        params=params,
        disposition=disposition,
        filename=filename or params.get("name", ""),
        start=start,
        end=end,
        depth=depth,
        declared=declared,
        named_by_type=named_by_type,
    )


def _spans(raw: bytes, part: Part, budget: Budget, defects: set[str]) -> list[tuple[int, int]] | None:
    """Where the children of a multipart begin and end; `None` when there is no delimiter to be found."""
    boundary = part.params.get("boundary", "").encode("utf-8", "replace").rstrip()
    spans = _cut(raw, part, boundary, budget, defects) if boundary else None
    if spans is not None:
        return spans
    defects.add("no_boundary")
    likely = _LIKELY_BOUNDARY.search(raw, part.start, part.end)
    if likely is None:
        return None
    defects.add("boundary_guessed")
    return _cut(raw, part, likely[1], budget, defects)


def _cut(raw: bytes, part: Part, boundary: bytes, budget: Budget, defects: set[str]) -> list[tuple[int, int]] | None:
    """The spans between the delimiter lines `--boundary`, up to `--boundary--` or the end (RFC 2046 5.1.1)."""
    # In one pattern, so that a million lines that only begin like a delimiter are passed over at the speed of a search.
    delimiter = re.compile(rb"\n--" + re.escape(boundary) + rb"(--)?[ \t]*+\r*+(?:\n|\Z)")
    spans: list[tuple[int, int]] = []
    begin = -1
    # The body may begin with the delimiter itself: its line break is then the one of the blank line before.
    found = delimiter.search(raw, max(0, part.start - 1), part.end)
    while found:
        budget.check_time()
        if begin >= 0:
            # The line break before a delimiter belongs to the delimiter.
            finish = found.start()
            while finish > begin and raw[finish - 1 : finish] == b"\r":
                finish -= 1
            spans.append((begin, max(begin, finish)))
            budget.check_parts(len(spans))
        begin = found.end()
        if found[1]:
            return spans
        # A delimiter may follow at once: its line break is then the one just read.
        found = delimiter.search(raw, begin - 1, part.end)
    if begin < 0:
        return None
    defects.add("unclosed_multipart")
    if begin < part.end:
        spans.append((begin, part.end))
    return spans


def part_content(raw: bytes, part: Part, budget: Budget, defects: set[str]) -> bytes:
    """The bytes of a leaf with their transfer encoding undone; what is broken is decoded as far as it goes.

    Errors: `Unreadable` (`mail_too_slow`). Source: RFC 2045 6.
    """
    body = raw[part.start : part.end]
    value = part.headers.first("content-transfer-encoding")
    if value is None:
        return body
    encoding = value.split(b"(")[0].split(b";")[0].strip(b" \t\"'").lower()
    if encoding in (b"", b"7bit", b"8bit", b"binary", b"7-bit", b"8-bit"):
        return body
    if encoding in (b"quoted-printable", b"qp", b"quoted_printable"):
        return binascii.a2b_qp(body)
    if encoding in (b"base64", b"base-64"):
        return _base64(body, part.main_type == "text", defects)
    if encoding in (b"x-uuencode", b"uuencode", b"x-uue", b"uue"):
        return uudecoded(body, budget, defects)
    defects.add("unknown_encoding")
    return body


_BASE64_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(set(range(256)) - set(_BASE64_ALPHABET))


def _base64(body: bytes, is_text: bool, defects: set[str]) -> bytes:
    """Base64 as RFC 2045 6.8 wants it read: foreign characters are passed over, padding may be wrong or stand in the middle."""
    stripped = body.rstrip(b"=\r\n \t")
    if b"=" not in stripped:
        try:
            decoded = binascii.a2b_base64(body)
        except binascii.Error:
            pass
        else:
            # A text that is nothing but letters would decode too; one with other signs shows itself.
            if not is_text or not _is_plain(body):
                return decoded
    if is_text and _is_plain(body):
        defects.add("bad_encoding")
        return body
    defects.add("bad_encoding")
    out = []
    # Lists and gateways append their own encoded footer behind the padding.
    for run in re.split(rb"=+", body, maxsplit=10_000):
        letters = run.translate(None, _NOT_BASE64)
        letters = letters[: len(letters) - (len(letters) % 4 == 1)]
        out.append(binascii.a2b_base64(letters + b"=" * (-len(letters) % 4)))
    return b"".join(out)


def _is_plain(body: bytes) -> bool:
    """Whether what claims to be base64 is text as it stands: more than one sign in twenty is none of base64's."""
    foreign = len(body.translate(None, _BASE64_ALPHABET + b"=\r\n \t"))
    return foreign * 20 > len(body)


def uudecoded(body: bytes, budget: Budget, defects: set[str]) -> bytes:
    """The bytes that lines of uuencode stand for; `begin`, `end` and what is none are passed over."""
    out = []
    for number, line in enumerate(body.splitlines()):
        if number % 10_000 == 0:
            budget.check_time()
        if line.startswith(b"begin ") or line in (b"end", b"`", b""):
            continue
        try:
            out.append(binascii.a2b_uu(line))
        except binascii.Error:
            defects.add("bad_encoding")
            # Some encoders leave the line short or long of what its first character says.
            length = (((line[0] - 32) & 63) * 4 + 5) // 3
            try:
                out.append(binascii.a2b_uu(line[:length]))
            except binascii.Error:
                continue
    return b"".join(out)


def inner_headers(content: bytes, budget: Budget) -> Headers:
    """The headers of a message within the mail, for its subject and its id; they are not counted against the budget of the outer mail."""
    window = content[: 64 * 1024]
    return read_block(window, 0, len(window), True, Budget(budget.limits), set())[0]


def inner_subject(headers: Headers) -> str:
    """The subject of a message within the mail, cleaned; empty when it has none."""
    return unstructured(headers.first("subject"), set()).strip()
