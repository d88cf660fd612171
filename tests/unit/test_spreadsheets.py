"""Workbooks are read as values and within bounds; what is written is never taken for a formula."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from classifiers.labelled import BadLabelled, Problem
from gateway import spreadsheets

FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0")


def book(*rows: list[Any]) -> bytes:
    made = Workbook()
    for row in rows:
        made.active.append(row)
    file = io.BytesIO()
    made.save(file)
    return file.getvalue()


def with_part(data: bytes, name: str, change: Any) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            new.writestr(part, change(old.read(part)) if part == name else old.read(part))
    return file.getvalue()


def read(data: bytes) -> list[tuple[int, Any]]:
    return list(spreadsheets.rows_of(data, "a.xlsx"))


def test_rows_under_their_names_with_the_numbers_that_the_person_sees() -> None:
    data = book([None], ["正文", "类别", None], ["漏水", "产品质量"], [], ["收费", 3.0, None], [date(2026, 1, 2), True], ["多", "a", "b"])
    rows = read(data)
    assert [number for number, _ in rows] == [3, 5, 6, 7]
    assert rows[0][1] == {"正文": "漏水", "类别": "产品质量"}
    assert rows[1][1] == {"正文": "收费", "类别": "3"}
    assert rows[2][1] == {"正文": "2026-01-02T00:00:00", "类别": "TRUE"}
    assert isinstance(rows[3][1], Problem)


def test_a_formula_is_its_last_value_and_never_run() -> None:
    data = book(["text", "primary"], ['=HYPERLINK("http://x.example","漏水")', "price"])
    assert read(data) == [(2, {"text": "", "primary": "price"})]
    reckoned = with_part(data, "xl/worksheets/sheet1.xml", lambda xml: re.sub(rb"</f><v ?/>", b"</f><v>7</v>", xml))
    assert read(reckoned) == [(2, {"text": "7", "primary": "price"})]


def test_the_first_sheet_with_a_text_counts() -> None:
    made = Workbook()
    made.active.append(["说明"])
    made.create_sheet("数据").append(["内容", "类别"])
    made["数据"].append(["漏水", "价格问题"])
    file = io.BytesIO()
    made.save(file)
    assert read(file.getvalue()) == [(2, {"内容": "漏水", "类别": "价格问题"})]


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04",
        b"PK\x03\x04" + b"\x00" * 1000,
        book(["说明", "备注"], ["a", "b"]),
        book(),
        book(["text"], ["x"])[:-200],
        with_part(book(["text"], ["漏水"]), "xl/worksheets/sheet1.xml", lambda xml: xml[: len(xml) // 2]),
        with_part(book(["text"], ["漏水"]), "xl/workbook.xml", lambda xml: b"no xml"),
        with_part(
            book(["text"], ["漏水"]),
            "xl/worksheets/sheet1.xml",
            lambda xml: b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + xml,
        ),
        with_part(book(["text"], ["漏水"]), "docProps/app.xml", lambda xml: b" " * 401_000_000),
    ],
    ids=["head alone", "noughts", "no text column", "empty", "cut off", "sheet cut off", "no workbook", "document type", "bomb"],
)
def test_what_is_no_sound_workbook_is_refused_in_both_languages(data: bytes) -> None:
    with pytest.raises(BadLabelled) as caught:
        read(data)
    assert caught.value.zh.startswith("a.xlsx")
    assert caught.value.en.startswith("a.xlsx")


def test_too_many_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheets, "MOST_ROWS", 5)
    with pytest.raises(BadLabelled) as caught:
        read(book(["text"], *(["x"] for _ in range(9))))
    assert "5" in caught.value.en


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_that_looks_like_a_formula_is_written_as_text(text: str) -> None:
    file = io.BytesIO()
    spreadsheets.write_csv(file, ["text"], [[text]])
    written = file.getvalue().decode("utf-8-sig").split("\r\n", 1)[1]
    assert written.lstrip('"').startswith("'")
    file = io.BytesIO()
    spreadsheets.write_xlsx(file, ["text"], [[text]])
    cell = load_workbook(io.BytesIO(file.getvalue())).active["A2"]
    assert cell.data_type in ("s", "inlineStr")
    assert cell.quotePrefix


@given(st.text(alphabet="'=+-@\t\ra漏", max_size=8))
def test_marking_is_undone_exactly(text: str) -> None:
    marked = spreadsheets.as_text(text)
    assert spreadsheets.from_cell(marked) == text
    assert not marked.startswith(("=", "+", "-", "@", "\t", "\r"))
