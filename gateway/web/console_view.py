"""How things look: times in words, reasons marked in the text, control characters that cannot hide anything."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gateway.web.console_words import Say
from models.attachment import StoredAttachment

# From here on a due time is amber.
_SOON = timedelta(hours=4)
# Controls, and what turns the direction of text or cannot be seen: shown as U+FFFD, so that nothing reads otherwise than it is.
_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]")
# Marks are looked for in so much of a text.
_MARKED_CHARS = 200_000


def plain(text: object) -> str:
    """Text from outside with nothing hidden in it, of the same length."""
    return _HIDDEN.sub("\ufffd", str(text))


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text; `weight` of the reason that marks it, `term` its word. Without a mark both are empty."""

    text: str
    term: str = ""
    weight: float = 0.0

    @property
    def kind(self) -> str:
        """`for`, `against` or nothing."""
        return "for" if self.weight > 0 else "against" if self.weight < 0 else ""


def pieces(text: str, reasons: Sequence[Mapping[str, Any]]) -> list[Piece]:
    """The text cut where marks begin and end; where they lie upon one another the strongest shows. What points nowhere is passed over."""
    owner = [-1] * min(len(text), _MARKED_CHARS)
    ranked = sorted(range(len(reasons)), key=lambda place: abs(float(reasons[place].get("weight", 0))))
    for place in ranked:
        for span in reasons[place].get("spans", ()):
            start, end = max(0, int(span[0])), min(len(owner), int(span[1]))
            if start < end:
                owner[start:end] = [place] * (end - start)
    found: list[Piece] = []
    begun = 0
    for at in range(1, len(owner) + 1):
        if at == len(owner) or owner[at] != owner[begun]:
            found.append(_piece(text[begun:at], owner[begun], reasons))
            begun = at
    if rest := text[len(owner) :]:
        found.append(Piece(plain(rest)))
    return found


def _piece(text: str, place: int, reasons: Sequence[Mapping[str, Any]]) -> Piece:
    if place < 0:
        return Piece(plain(text))
    return Piece(plain(text), plain(reasons[place].get("term", "")), float(reasons[place].get("weight", 0)))


@dataclass(frozen=True, slots=True)
class Due:
    """A due time in words. `state`: `calm`, `soon` or `over`."""

    words: str
    state: str
    at: datetime


class Times:
    """Times in words, in one language and zone, as seen from `now`."""

    def __init__(self, say: Say, zone: ZoneInfo, now: datetime) -> None:
        self._say, self._zone, self._now = say, zone, now

    def exact(self, at: datetime) -> str:
        """To the second, in the zone of the settings."""
        return f"{at.astimezone(self._zone):%Y-%m-%d %H:%M:%S}"

    def short(self, at: datetime) -> str:
        """To the minute; the year only where it is another."""
        local = at.astimezone(self._zone)
        same_year = local.year == self._now.astimezone(self._zone).year
        return f"{local:%m-%d %H:%M}" if same_year else f"{local:%Y-%m-%d %H:%M}"

    def iso(self, at: datetime) -> str:
        """For machines."""
        return at.isoformat(timespec="seconds")

    def of_text(self, spelt: object) -> datetime | None:
        """The time that a text spells (ISO 8601), as the learning loop gives it."""
        try:
            return datetime.fromisoformat(str(spelt).replace("Z", "+00:00")) if spelt else None
        except ValueError:
            return None

    def ago(self, at: datetime) -> str:
        """How long ago."""
        past = (self._now - at).total_seconds()
        if past < 60:
            return self._say("ago.now")
        if past < 3600:
            return self._say("ago.minutes", n=int(past // 60))
        if past < 48 * 3600:
            return self._say("ago.hours", n=int(past // 3600))
        if past < 60 * 86400:
            return self._say("ago.days", n=int(past // 86400))
        return self.short(at)

    def due(self, at: datetime) -> Due:
        """How long until it is due, or since when it is over."""
        left = at - self._now
        over = left < timedelta(0)
        words = self._say("due.over" if over else "due.left", time=self._span(abs(left)))
        return Due(words, "over" if over else "soon" if left < _SOON else "calm", at)

    def _span(self, length: timedelta) -> str:
        seconds = length.total_seconds()
        if seconds < 3600:
            return self._say("span.minutes", n=max(1, int(seconds // 60)))
        if seconds < 72 * 3600:
            return self._say("span.hours", n=int(seconds // 3600))
        return self._say("span.days", n=int(seconds // 86400))


# What a file can do to whoever opens it, by its content; a name's ending counts too, because that is what a computer goes by.
_PROGRAM_ENDINGS = re.compile(
    r"\.(?:exe|com|scr|pif|bat|cmd|msi|msp|vbs|vbe|js|jse|wsf|wsh|hta|lnk|ps1|jar|apk|app|dmg|sh|reg|cpl|chm|iso|img|docm|xlsm|pptm|xlam)$",
    re.IGNORECASE,
)
_PAGE_ENDINGS = re.compile(r"\.(?:x?html?|shtml|mht(?:ml)?|svgz?|xml)$", re.IGNORECASE)
_PROGRAMS = (
    "application/x-msdownload",
    "application/x-elf",
    "application/x-mach-binary",
    "application/x-ms-shortcut",
    "text/x-shellscript",
)
_PAGES = ("text/html", "image/svg+xml", "text/xml")
_ARCHIVES = re.compile(r"application/(?:zip|gzip|vnd\.rar|x-7z-compressed|x-bzip2|x-xz)")


# What people call a file, by its content.
_KINDS = (
    ("pdf", re.compile(r"application/pdf")),
    ("word", re.compile(r"application/vnd\.openxmlformats-officedocument\.wordprocessingml\..*|application/msword|text/rtf")),
    ("sheet", re.compile(r"application/vnd\.openxmlformats-officedocument\.spreadsheetml\..*|text/csv")),
    ("slides", re.compile(r"application/vnd\.openxmlformats-officedocument\.presentationml\..*")),
    ("office", re.compile(r"application/x-ole-storage")),
    ("archive", _ARCHIVES),
    ("mail", re.compile(r"message/.*|application/ms-tnef")),
    ("calendar", re.compile(r"text/calendar")),
    ("image", re.compile(r"image/(?!svg).*")),
    ("audio", re.compile(r"audio/.*")),
    ("video", re.compile(r"video/.*")),
)


def kind_of(file: StoredAttachment) -> str:
    """What people call such a file: a key of the words."""
    if file.mime_type in _PROGRAMS:
        return "program"
    if file.mime_type in _PAGES:
        return "page"
    found = next((kind for kind, types in _KINDS if types.fullmatch(file.mime_type)), "")
    return found or ("text" if file.mime_type.startswith("text/") else "other")


def caution_of(file: StoredAttachment) -> str:
    """What to beware of: `program`, `page` (may hold scripts), `archive` (nobody has looked into it), `other` (it is not what was said)."""
    if file.mime_type in _PROGRAMS or _PROGRAM_ENDINGS.search(file.filename):
        return "program"
    if file.mime_type in _PAGES or _PAGE_ENDINGS.search(file.filename):
        return "page"
    if _ARCHIVES.fullmatch(file.mime_type):
        return "archive"
    said, is_now = file.declared.partition("/")[0], file.mime_type.partition("/")[0]
    return "other" if said in ("image", "audio", "video") and is_now != said else ""


def percent(chance: float) -> str:
    """A chance as people read it; never 0 % or 100 % of what is neither."""
    if 0 < chance < 0.01:
        return "<1%"
    if 0.99 < chance < 1:
        return ">99%"
    return f"{chance:.0%}"
