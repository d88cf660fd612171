"""What a mail says and what it carries: the text for people, chosen and decoded, and the attachments.

Purpose: the parts of `connectors.mail_parts` sorted into one plain text and a list of files with safe names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from connectors.charsets import charset_of, clean_text, decode
from connectors.file_types import UNKNOWN, type_of
from connectors.mail_addresses import message_ids
from connectors.mail_choice import chosen
from connectors.mail_defects import Budget
from connectors.mail_files import FILE_NAME, PATH, kind_of, known_extension, safe_filename
from connectors.mail_headers import header_text, one_line, unstructured
from connectors.mail_html import html_text
from connectors.mail_parts import TYPE, Part, inner_headers, inner_subject, part_content, uudecoded
from connectors.mail_tnef import SIGNATURE, read_tnef
from models.complaint import Attachment


@dataclass(frozen=True, slots=True)
class MailPart:
    """A file that came with a mail: what is known of it, and its bytes.

    content_id: without its angle brackets, as HTML refers to it; empty when there is none.
    inline:     True when the mail wants it shown within the text.
    """

    attachment: Attachment
    content: bytes = field(repr=False)
    content_id: str = ""
    inline: bool = False


@dataclass(slots=True)
class Content:
    """What was found in the tree.

    reported_id:     the id of the mail that a delivery report is about, when it says so.
    reported_action: what that report says became of it, in small letters: `failed`, `delayed`, `delivered`, … (RFC 3464 2.3.3);
                     `displayed` for a receipt of reading, `complained` for a complaint of spam (RFC 5965).
    returned_ids:    the ids of mails that are attached, whole or by their headers.
    reported_status: its status code, e.g. `5.1.1` (RFC 3464 2.3.4).
    """

    text: str = ""
    parts: list[MailPart] = field(default_factory=list)
    reported_id: str | None = None
    returned_ids: list[str] = field(default_factory=list)
    # The letter that was wrapped together with its files (TNEF).
    wrapped: str = ""
    reported_action: str | None = None
    reported_status: str | None = None


_BODY_TYPES = frozenset(("text/plain", "text/html", "text/enriched", "text/richtext", "text/markdown", "text/x-markdown"))
_ACTION = re.compile(rb"[A-Za-z-]{1,20}")
_STATUS = re.compile(rb"[245]\.\d{1,3}\.\d{1,3}")
_NEVER_BODY = frozenset(("text/rfc822-headers",))
_SEALED = frozenset(("application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted"))
# Shown by Google's mailers instead of the HTML, never besides it.
_IGNORED = frozenset(("text/x-amp-html",))


def read_content(raw: bytes, root: Part, hints: Sequence[str], budget: Budget, defects: set[str]) -> Content:
    """Text and attachments of a tree.

    hints:  charsets declared elsewhere in the mail (`charsets.decode`).
    Errors: `Unreadable` (`mail_too_slow`).
    """
    reader = _Reader(raw, hints, budget, defects)
    texts = reader.gather(root)
    content = reader.content
    joined = "\n\n".join(text for text in (reader.render(piece).strip("\n") for piece in texts) if text.strip())
    if len(joined) > budget.limits.text_chars:
        defects.add("text_cut")
        joined = joined[: budget.limits.text_chars]
    content.text = joined.strip("\n").rstrip() or content.wrapped[: budget.limits.text_chars].strip()
    if "-----BEGIN PGP MESSAGE-----" in content.text:
        defects.add("sealed")
    return content


# So many mails that came along are known by their ids.
_MOST_RETURNED = 5


def _is_mail(part: Part, mime_type: str) -> bool:
    """Whether a file is a mail, or the headers of one: by its type, or, where a mailer gives none, by its name."""
    return mime_type in ("message/rfc822", "message/global", *_NEVER_BODY) or part.filename.lower().endswith(".eml")


@dataclass(slots=True)
class _Choice:
    """The same thing said twice: as plain text and as HTML (multipart/alternative)."""

    plain: list[_Piece]
    rich: list[_Piece]


_Piece = Part | _Choice


class _Reader:
    def __init__(self, raw: bytes, hints: Sequence[str], budget: Budget, defects: set[str]) -> None:
        self._raw = raw
        self._hints = hints
        self._budget = budget
        self._defects = defects
        self._names: set[str] = set()
        self._has_text = False
        self.content = Content()

    def gather(self, part: Part, alternative: bool = False) -> list[_Piece]:
        """The pieces of text below `part`, in order; everything else becomes an attachment. Calls itself as deep as the tree, at most."""
        self._budget.check_time()
        if not part.children:
            if part.main_type == "multipart":
                return []
            if self._is_body(part, alternative):
                self._has_text = True
                return [part]
            if part.mime_type not in _IGNORED:
                self._attach(part, False)
            return []
        kind = part.mime_type
        if kind == "multipart/alternative":
            return self._gather_alternative(part)
        if kind == "multipart/encrypted":
            self._defects.add("sealed")
            for leaf in part.children:
                self._attach_all(leaf)
            return []
        if kind not in ("multipart/related", "multipart/report", "multipart/signed"):
            return [piece for child in part.children for piece in self.gather(child)]
        # Only one part of a related set is the document, normally the first; the others are what it refers to (RFC 2387 3.1).
        # Of a report only the first part is for people (RFC 6522 3), of a signed mail only the first is signed content (RFC 1847 2.1).
        if kind == "multipart/report" and part.params.get("report-type", "").strip().lower() == "feedback-report":
            self.content.reported_action = "complained"
        document = next((child for child in part.children if child.children or child.mime_type in _BODY_TYPES), part.children[0])
        pieces: list[_Piece] = []
        for child in part.children:
            if child is document:
                pieces = self.gather(child, alternative)
            else:
                self._attach_all(child, kind == "multipart/report")
        return pieces

    def _gather_alternative(self, part: Part) -> list[_Piece]:
        plain: list[_Piece] = []
        rich: list[_Piece] = []
        for child in part.children:
            pieces = self.gather(child, True)
            if pieces and all(isinstance(piece, Part) and piece.mime_type != "text/html" for piece in pieces):
                plain = plain or pieces
            elif pieces:
                # The last is the richest (RFC 2046 5.1.4).
                rich = pieces
        if plain and rich:
            return [_Choice(plain, rich)]
        return plain or rich

    def _is_body(self, part: Part, alternative: bool) -> bool:
        if part.mime_type not in _BODY_TYPES:
            return False
        if part.disposition == "attachment":
            # A mail whose only part calls itself an attachment, but gives no name, is a mail with a strange mailer.
            return part.depth == 0 and not part.filename
        # A name in Content-Type alone says little where the first text stands; a file name in Content-Disposition says: a file.
        return not part.filename or (part.named_by_type and (alternative or not self._has_text) and not self._names)

    def _attach_all(self, part: Part, in_report: bool = False) -> None:
        if not part.children:
            if part.main_type != "multipart" and part.mime_type not in _IGNORED:
                self._attach(part, in_report)
            return
        for child in part.children:
            self._attach_all(child, in_report)

    def _attach(self, part: Part, in_report: bool) -> None:
        content = part_content(self._raw, part, self._budget, self._defects)
        mime_type = part.mime_type
        if content.startswith(SIGNATURE) and self._unwrap(content):
            return
        if part.main_type in ("text", "message") and mime_type != "message/rfc822":
            # Lines end in CR LF on the wire whatever the file had (RFC 2046 4.1.1), so that its size would depend on the way it came.
            content = content.replace(b"\r\n", b"\n")
        if mime_type in _SEALED:
            self._defects.add("sealed")
        if mime_type == "application/octet-stream" or not part.declared:
            mime_type = type_of(content) or mime_type
        subject = ""
        if _is_mail(part, mime_type) and len(self.content.returned_ids) < _MOST_RETURNED:
            self.content.returned_ids += message_ids(inner_headers(content, self._budget).first("message-id"))[:1]
        if mime_type in ("message/rfc822", "message/global") or mime_type in _NEVER_BODY:
            inner = inner_headers(content, self._budget)
            subject = inner_subject(inner)
            if in_report and self.content.reported_id is None:
                self.content.reported_id = next(iter(message_ids(inner.first("message-id"))), None)
        elif in_report and mime_type == "message/disposition-notification" and self.content.reported_id is None:
            inner = inner_headers(content, self._budget)
            self.content.reported_id = next(iter(message_ids(inner.first("original-message-id"))), None)
            # It was shown or deleted (RFC 8098), so it did arrive.
            self.content.reported_action = "displayed"
        elif mime_type == "message/feedback-report":
            # Whoever calls it spam has got it.
            self.content.reported_action = "complained"
        elif in_report and mime_type in ("message/delivery-status", "message/global-delivery-status"):
            self._read_status(content)
        content_id = header_text(part.headers.first("content-id"), self._defects).strip().strip("<>")[:250]
        name = self._own_name(self._name(part, mime_type, content_id, subject))
        self.content.parts.append(
            MailPart(
                attachment=Attachment(filename=name, size=len(content), mime_type=mime_type),
                content=content,
                content_id=one_line(content_id),
                inline=part.disposition != "attachment" and bool(content_id),
            )
        )

    def _unwrap(self, content: bytes) -> bool:
        """Takes the files and the letter out of Outlook's TNEF. False when nothing is in it, or not all of it could be read."""
        found = read_tnef(content, self._budget, self._defects)
        if found is None or not (found.files or found.plain or found.html):
            return False
        for file in found.files:
            if not (file.content or found.whole):
                continue
            mime_type = file.mime_type if TYPE.fullmatch(file.mime_type) else type_of(file.content) or UNKNOWN
            name = self._own_name(self._safe(file.name) or "".join(kind_of(mime_type)))
            known = Attachment(filename=name, size=len(file.content), mime_type=mime_type)
            content_id = one_line(file.content_id.strip().strip("<>"))[:250]
            self.content.parts.append(MailPart(known, file.content, content_id, bool(content_id)))
        self.content.wrapped = found.plain or (html_text(found.html, self._budget, self._defects) if found.html else "")
        if not found.whole:
            self._defects.add("bad_tnef")
        return found.whole

    def _unpack_lines(self, text: str) -> str:
        """`text` without the files that stand in it as lines of uuencode; they become attachments."""
        kept: list[str] = []
        at = looked = 0
        for begin in _UU_BEGIN.finditer(text):
            if begin.start() < looked:
                continue
            # Each line says by its first character how long it is; a letter that tells of `begin` and `end` has others.
            looked = begin.end()
            while (end := text.find("\n", looked)) >= 0 and _is_uu(text[looked : min(end, looked + 100)]):
                looked = end + 1
            last = text[looked : end if end >= 0 else len(text)][:10].rstrip()
            if last != "end":
                continue
            content = uudecoded(text[begin.end() : looked].encode("latin-1"), self._budget, self._defects)
            mime_type = type_of(content) or UNKNOWN
            self._budget.spend_part(1)
            name = self._own_name(self._safe(begin[1]) or "".join(kind_of(mime_type)))
            self.content.parts.append(MailPart(Attachment(filename=name, size=len(content), mime_type=mime_type), content))
            kept.append(text[at : begin.start()])
            at = looked = end + 1 if end >= 0 else len(text)
        return "".join(kept) + text[at:] if kept else text

    def _read_status(self, content: bytes) -> None:
        """The first action and status of the recipients in a report; `failed` of any is stronger than what befell the others."""
        fields = [
            (name.strip().lower(), value.strip()) for name, _, value in (line.partition(b":") for line in content[:65_536].splitlines())
        ]
        for wanted, pattern, known in ((b"action", _ACTION, "reported_action"), (b"status", _STATUS, "reported_status")):
            found = [match.group().decode("ascii").lower() for name, value in fields if name == wanted and (match := pattern.match(value))]
            if found:
                bad = next((one for one in found if one == "failed" or one.startswith("5")), found[0])
                setattr(self.content, known, bad)

    def _name(self, part: Part, mime_type: str, content_id: str, subject: str) -> str:
        """The name to show: the declared one, else the best that can be made of what else is said."""
        name = self._safe(part.filename)
        if name:
            return name
        kind, extension = kind_of(mime_type)
        # A slash in a description is a word's, not a path's.
        description = unstructured(part.headers.first("content-description"), self._defects, self._hints).replace("/", "-")
        if mime_type in ("message/rfc822", "message/global"):
            return self._safe(f"{PATH.sub('-', subject) or description or 'mail'}{extension}") or "mail.eml"
        local = content_id.partition("@")[0]
        # Mailers put a file's name or mere numbers there; only a known extension tells them apart.
        if known_extension(local):
            return self._safe(local)
        location = header_text(part.headers.first("content-location"), self._defects, self._hints).strip()
        if FILE_NAME.fullmatch(location):
            return self._safe(location)
        description = self._safe(description)
        if description:
            return description if FILE_NAME.fullmatch(description) else f"{description}{extension}"
        return f"{kind}{extension}"

    def _safe(self, name: str) -> str:
        safe, cut = safe_filename(name)
        if cut:
            self._defects.add("filename_cut")
        return safe

    def _own_name(self, name: str) -> str:
        """`name`, numbered when an earlier attachment of this mail already has it."""
        stem, dot, extension = name.rpartition(".")
        if not dot:
            stem, extension = name, ""
        number = 0
        unique = name
        while unique in self._names:
            number += 1
            unique = f"{stem}{number}{dot}{extension}"
        self._names.add(unique)
        return unique

    def render(self, piece: _Piece) -> str:
        """The text of a piece."""
        self._budget.check_time()
        if isinstance(piece, _Choice):
            return self._render_choice(piece)
        content = part_content(self._raw, piece, self._budget, self._defects)
        if b"\x00" in content and charset_of(piece.params.get("charset")) not in ("utf-16", "utf-16le", "utf-16be", "utf-32"):
            self._defects.add("nul_bytes")
            content = content.replace(b"\x00", b"")
        text = decode(content, piece.params.get("charset"), self._defects, self._hints)
        if piece.mime_type == "text/html":
            return html_text(text, self._budget, self._defects)
        if len(text) > self._budget.limits.text_chars:
            self._defects.add("text_cut")
            text = text[: self._budget.limits.text_chars]
        text = self._unpack_lines(clean_text(text))
        if piece.mime_type in ("text/enriched", "text/richtext"):
            return _ENRICHED.sub("", text).replace("<<", "<")
        if piece.params.get("format", "").lower() == "flowed":
            return unflow(text, piece.params.get("delsp", "").lower() == "yes")
        return text

    def _render_choice(self, choice: _Choice) -> str:
        plain = "\n\n".join(self.render(piece) for piece in choice.plain).strip()
        rich = "\n\n".join(self.render(piece) for piece in choice.rich).strip()
        self._budget.check_time()
        known = plain and all(isinstance(piece, Part) for piece in choice.rich)
        return chosen(plain, rich, "".join(self._html_source(piece) for piece in choice.rich if isinstance(piece, Part)) if known else "")

    def _html_source(self, piece: Part) -> str:
        content = part_content(self._raw, piece, self._budget, self._defects)
        return decode(content.replace(b"\x00", b""), piece.params.get("charset"), self._defects, self._hints)


_UU_BEGIN = re.compile(r"^begin [0-7]{3,4} ([^\n]{1,200})\n(?=M)", re.MULTILINE)


def _is_uu(line: str) -> bool:
    if not line:
        return False
    length = (ord(line[0]) - 32) & 63
    return line.isascii() and " " <= line[0] <= "`" and len(line) - 1 in range(length // 3 * 4, -(-length // 3) * 4 + 2)


_ENRICHED = re.compile(r"<(?!<)(?:param>.{0,1000}?</param|[^<>]*)>", re.IGNORECASE | re.DOTALL)


def unflow(text: str, delete_space: bool = False) -> str:
    """The paragraphs of `format=flowed` text on one line each, its quote marks kept (RFC 3676 4.1 to 4.5).

    delete_space: the DelSp parameter: the space before a soft line break belongs to the break; Chinese and Japanese mailers need it.
    """
    lines: list[str] = []
    flowing: list[str] = []
    depth = 0
    for line in text.split("\n"):
        content = line.lstrip(">")
        quoted = len(line) - len(content)
        if content.startswith(" "):
            content = content[1:]
        soft = content.endswith(" ") and content != "-- "
        if flowing and quoted != depth:
            lines.append(_quoted("".join(flowing), depth))
            flowing = []
        if content == "-- " and flowing:
            lines.append(_quoted("".join(flowing), depth))
            flowing = []
        depth = quoted
        flowing.append(content[:-1] if soft and delete_space else content)
        if not soft:
            lines.append(_quoted("".join(flowing), depth))
            flowing = []
    if flowing:
        lines.append(_quoted("".join(flowing), depth))
    return "\n".join(lines)


def _quoted(line: str, depth: int) -> str:
    return f"{'>' * depth} {line}" if depth else line
