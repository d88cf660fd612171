"""Times, numbers, names and telephone numbers as the vendors write them, brought to one form."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, timezone

MILLISECONDS = 1000.0
TICKS = 10_000_000.0
SECONDS = 1.0

# No call lasts longer; a larger figure is garbage or an instant, not a time within the call.
_LONGEST = 10 * 24 * 3600.0
# What is written without a zone was written by a call centre in China.
_CHINA = timezone(timedelta(hours=8))

_NUMBER = re.compile(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*s?\s*", re.ASCII)
_ISO_DURATION = re.compile(r"P(?:(\d{1,3})D)?(?:T(?:(\d{1,4})H)?(?:(\d{1,6})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?)?", re.ASCII)
_CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,4}):(\d{1,2}(?:[.,]\d{1,9})?)", re.ASCII)
_WORDY = re.compile(r"(?:(\d{1,3})\s*(?:小时|时))?\s*(?:(\d{1,4})\s*(?:分钟|分))?\s*(?:(\d{1,6})\s*秒)?", re.ASCII)
_PHONE = re.compile(r"(?:tel:)?(\+?[0-9*#][0-9*#\-\s()]{3,22})", re.ASCII)
_MOBILE = re.compile(r"(?:\+?0{0,2}86)?(1[3-9]\d{9})", re.ASCII)


def seconds(value: object, per_second: float = SECONDS) -> float | None:
    """A time within a call as seconds from its beginning, to the millisecond.

    value:      a number, a number in a string, `4.100s`, `PT2.6S` (ISO 8601) or `0:02.600`; anything else is None.
    per_second: how many of the vendor's units make a second; strings that carry their unit are taken at their word.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        # An integer of a thousand digits has no float.
        return _sane(float(value) / per_second) if abs(value) < 1e18 else None
    if not isinstance(value, str) or len(value) > 60:
        return None
    text = value.strip()
    if number := _NUMBER.fullmatch(text):
        return _sane(float(number[1]) / (SECONDS if text.endswith("s") else per_second))
    if (duration := _ISO_DURATION.fullmatch(text)) and len(text) > 2:
        days, hours, minutes, rest = (float(part or 0) for part in duration.groups())
        return _sane(days * 86400 + hours * 3600 + minutes * 60 + rest)
    if clock := _CLOCK.fullmatch(text):
        return _sane(int(clock[1] or 0) * 3600 + int(clock[2]) * 60 + float(clock[3].replace(",", ".")))
    if text and (wordy := _WORDY.fullmatch(text)):
        return _sane(int(wordy[1] or 0) * 3600 + int(wordy[2] or 0) * 60 + float(wordy[3] or 0))
    return None


def _sane(value: float) -> float | None:
    """The value to the millisecond, or None where no call could have it."""
    return round(value, 3) if math.isfinite(value) and 0 <= value <= _LONGEST else None


def added(start: float | None, length: float | None) -> float | None:
    """The end of what starts at `start` and lasts `length` seconds."""
    return None if start is None or length is None else round(start + length, 3)


def instant(value: object) -> datetime | None:
    """An aware UTC instant from an ISO 8601 text, with or without its zone (then China's), also `2025/10/09 16:00`."""
    if not isinstance(value, str) or not 8 <= len(value) <= 40:
        return None
    text = value.strip().replace("/", "-").replace("年", "-").replace("月", "-").replace("日", "")
    # The year 1 in China is the year 0 in UTC, which has no date.
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=_CHINA)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def phone(value: object) -> str | None:
    """A telephone number: a Chinese mobile as its 11 digits, another as it stands without spaces; None if it is none."""
    if not isinstance(value, str) or not (match := _PHONE.fullmatch(value.strip())):
        return None
    digits = re.sub(r"[\s\-()]", "", match[1])
    mobile = _MOBILE.fullmatch(digits)
    return mobile[1] if mobile else digits if len(digits) >= 5 else None


def name(value: object) -> str | None:
    """A speaker's or channel's name from what a vendor writes there, a string or a number; None for nothing."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return str(value) if abs(value) < 1_000_000 else None
    if isinstance(value, float):
        return str(int(value)) if math.isfinite(value) and abs(value) < 1_000_000 else None
    if isinstance(value, str):
        return cleaned(value[:200]).strip()[:60] or None
    return None


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060\ufeff]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def cleaned(text: str) -> str:
    """The text without control and direction characters and lone surrogates, which no store and no screen can take."""
    return _SURROGATE.sub("\ufffd", _CONTROL.sub("", text))
