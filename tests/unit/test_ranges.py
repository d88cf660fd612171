"""Ranges that people ask for: numbers are ordered by their day and count, however many digits that has."""

from __future__ import annotations

import pytest

from gateway.ranges import number_of, numbers_in_order
from models.complaint import place_of
from models.errors import Refused


@pytest.mark.parametrize(
    ("spelt", "kept"),
    [
        ("", ""),
        (" ts-20261123-0042 ", "TS-20261123-0042"),
        ("TS-20261123-42", "TS-20261123-0042"),
        ("ＴＳ－２０２６１１２３－００４２", "TS-20261123-0042"),
        ("TS-20261123-10001", "TS-20261123-10001"),
    ],
)
def test_a_number_is_read_as_it_is_kept(spelt: str, kept: str) -> None:
    assert number_of(spelt) == kept


@pytest.mark.parametrize("spelt", ["中文", "TS-1", "TS-20261123-", "TS-20261123-0042x", "\0", "9" * 200, "TS-20261123-4²x"])
def test_what_is_no_number_is_refused(spelt: str) -> None:
    with pytest.raises(Refused, match="write a number as"):
        number_of(spelt)


def test_numbers_grow_beyond_four_digits() -> None:
    assert numbers_in_order("TS-20261123-9999", "TS-20261123-10001") == ("TS-20261123-9999", "TS-20261123-10001")
    assert numbers_in_order("TS-20261123-10001", "TS-20261124-0001") == ("TS-20261123-10001", "TS-20261124-0001")
    with pytest.raises(Refused, match="the first number comes after"):
        numbers_in_order("TS-20261123-10001", "TS-20261123-9999")
    made = [f"TS-20261123-{n:04d}" for n in (1, 999, 9999, 10000, 10001, 99999, 100000)] + ["TS-20261124-0001"]
    assert sorted(sorted(made), key=place_of) == made
