"""Ranges that people ask for, of days and of complaints' numbers: refused where they end before they begin."""

from __future__ import annotations

import re
from datetime import datetime

from models.errors import Refused

_NUMBER = re.compile(r"TS-[0-9]{8}-[0-9]{1,9}", re.ASCII)


def days_in_order(since: datetime | None, until: datetime | None) -> None:
    """Raises `Refused` where a period ends before it begins; it may be open at either end."""
    if since is not None and until is not None and until <= since:
        raise Refused("dates_reversed", "起始日期晚于截止日期，请对调", "the first day comes after the last one; change them about")


def numbers_in_order(first: str, last: str) -> tuple[str, str]:
    """Both numbers as they are kept; either may be left out.

    Raises `Refused` for what is no number, and where the first comes after the last one: a range that is not understood must not become
    a wider one.
    """
    first, last = first.strip().upper(), last.strip().upper()
    for number in filter(None, (first, last)):
        if not _NUMBER.fullmatch(number):
            raise Refused("bad_number", "编号应写作 TS-20261123-0042", "write a number as TS-20261123-0042")
    if first and last and last < first:
        raise Refused("numbers_reversed", "起始编号晚于截止编号，请对调", "the first number comes after the last one; change them about")
    return first, last
