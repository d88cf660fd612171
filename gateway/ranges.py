"""Ranges that people ask for, of days and of complaints' numbers: refused where they end before they begin."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime

from models.complaint import place_of
from models.errors import Refused

_NUMBER = re.compile(r"(TS-[0-9]{8}-)([0-9]{1,9})", re.ASCII)


def days_in_order(since: datetime | None, until: datetime | None) -> None:
    """Raises `Refused` where a period ends before it begins; it may be open at either end."""
    if since is not None and until is not None and until <= since:
        raise Refused("dates_reversed", "起始日期晚于截止日期，请对调", "the first day comes after the last one; change them about")


def number_of(spelt: str) -> str:
    """A complaint's number as it is kept, however wide its letters were typed; empty stays empty. Raises `Refused` for what is none."""
    found = _NUMBER.fullmatch(plain := unicodedata.normalize("NFKC", spelt).strip().upper())
    if plain and not found:
        raise Refused("bad_number", "编号应写作 TS-20261123-0042", "write a number as TS-20261123-0042")
    return f"{found[1]}{int(found[2]):04d}" if found else ""


def numbers_in_order(first: str, last: str) -> tuple[str, str]:
    """Both numbers as they are kept; either may be left out.

    Raises `Refused` for what is no number, and where the first comes after the last one: a range that is not understood must not become
    a wider one.
    """
    first, last = number_of(first), number_of(last)
    if first and last and place_of(last) < place_of(first):
        raise Refused("numbers_reversed", "起始编号晚于截止编号，请对调", "the first number comes after the last one; change them about")
    return first, last
