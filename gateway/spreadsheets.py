"""Tables in and out: XLSX is read as values within bounds, and what is written is never taken for a formula. The home of openpyxl.

What a cell says comes from customers. A spreadsheet runs a text that begins like a formula, so such a text is marked as text: in CSV by a
leading apostrophe, which is taken off again when the file comes back, in XLSX by the cell's type.
"""

from __future__ import annotations

import csv
import io
import json
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from itertools import islice
from typing import IO, Any

from classifiers import labelled
from classifiers.labelled import BadLabelled, Problem

# What a workbook may hold: parts, bytes when unpacked, of that strings that are held at once; rows and columns of a sheet.
_MOST_PARTS, _MOST_BYTES, _MOST_STRINGS = 2_000, 400_000_000, 150_000_000
MOST_ROWS, _MOST_COLUMNS = 200_000, 64
_LAST_ROW = 1_048_576
# A document type in a part of a workbook is no spreadsheet's doing; it stands at the head, if anywhere.
_HEAD = 4_096

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_MARKED = re.compile(r"'+[=+\-@\t\r]")


def is_workbook(data: bytes) -> bool:
    """Whether the bytes are those of an XLSX file (or some other archive)."""
    return data.startswith(b"PK\x03\x04")


def as_text(cell: str) -> str:
    """The text as a cell of CSV that no spreadsheet takes for a formula."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def from_cell(cell: str) -> str:
    """What `as_text` was given."""
    return cell[1:] if _MARKED.match(cell) else cell


def rows_of(data: bytes, name: str, columns: Mapping[str, str] | None = None) -> Iterator[tuple[int, Mapping[str, object] | Problem]]:
    """The rows of the first sheet with a text column, as `labelled.rows_of` gives those of a CSV. Formulas count as their last value.

    Raises `BadLabelled` for what is no workbook, for one beyond the bounds, and for one without such a sheet.
    """
    from openpyxl import load_workbook

    _check_archive(data, name)
    with warnings.catch_warnings():
        # Of styles and extensions, which do not matter here.
        warnings.simplefilter("ignore")
        try:
            book = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        except Exception as error:
            # Whatever a damaged workbook makes the library raise, the file cannot be read.
            raise _bad(
                name, "读不了，可能已损坏；请用 Excel 另存为 .xlsx", "cannot be read and may be damaged; save it as .xlsx anew"
            ) from error
        try:
            first: Problem | None = None
            for sheet in book.worksheets:
                sheet.reset_dimensions()
                rows = _plain_rows(sheet, name)
                number, header = next(((number, row) for number, row in rows if any(row)), (1, []))
                while header and not header[-1]:
                    header.pop()
                wrong = labelled.wrong_header(header, f"{name}:{number}", columns)
                if wrong is None:
                    yield from _under(header, rows, name)
                    return
                first = first or wrong
            raise BadLabelled([first or Problem(f"{name}：没有工作表", f"{name}: has no sheet")])
        finally:
            book.close()


def _check_archive(data: bytes, name: str) -> None:
    """Nothing is unpacked before it is known how much that is. Raises `BadLabelled`."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
            sizes = {part.filename: part.file_size for part in parts}
            strings = sum(size for part, size in sizes.items() if "sharedstrings" in part.lower())
            if len(parts) > _MOST_PARTS or sum(sizes.values()) > _MOST_BYTES or strings > _MOST_STRINGS:
                raise _bad(name, "解开后太大；请分成几个文件", "is too large when unpacked; split it")
            if any(part.flag_bits & 0x1 for part in parts):
                raise _bad(name, "加了密码；请去掉密码另存", "is encrypted; save it without a password")
            for part in parts:
                if part.filename.lower().endswith((".xml", ".rels")):
                    with archive.open(part) as file:
                        if b"<!DOCTYPE" in file.read(_HEAD):
                            raise _bad(name, "含有文档类型声明，不是正常的表格文件", "holds a document type, as no spreadsheet does")
    except (zipfile.BadZipFile, NotImplementedError, OSError, RuntimeError, EOFError, ValueError) as error:
        if isinstance(error, BadLabelled):
            raise
        raise _bad(
            name, "读不了，可能已损坏；请用 Excel 另存为 .xlsx", "cannot be read and may be damaged; save it as .xlsx anew"
        ) from error


def _plain_rows(sheet: Any, name: str) -> Iterator[tuple[int, list[str]]]:
    """Each row that holds something, as texts. Raises `BadLabelled` beyond the bounds."""
    found = 0
    try:
        for number, row in enumerate(islice(sheet.iter_rows(max_col=_MOST_COLUMNS, values_only=True), _LAST_ROW), 1):
            cells = [_plain(value) for value in row]
            if any(cells):
                found += 1
                if found > MOST_ROWS:
                    raise _bad(name, f"超过 {MOST_ROWS} 行；请分成几个文件", f"has more than {MOST_ROWS} rows; split it")
                yield number, cells
    except BadLabelled:
        raise
    except Exception as error:
        # A sheet that ends in the middle, a cell without its string: the library raises whatever it stumbles over.
        raise _bad(name, "工作表读不完，可能已损坏", "its sheet cannot be read to the end and may be damaged") from error


def _under(header: Sequence[str], rows: Iterable[tuple[int, list[str]]], name: str) -> Iterator[tuple[int, Mapping[str, object] | Problem]]:
    for number, cells in rows:
        if any(cells[len(header) :]):
            where = f"{name}:{number}"
            yield number, Problem(f"{where}：这一行的格子比列名多", f"{where}: has more cells than there are names")
        else:
            yield number, dict(zip(header, cells, strict=False))


def _plain(value: object) -> str:
    """A cell as a person reads it."""
    match value:
        case None:
            return ""
        case bool():
            return "TRUE" if value else "FALSE"
        case float() if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        case datetime() | date() | time():
            return value.isoformat()
    return str(value).strip()


def _bad(name: str, zh: str, en: str) -> BadLabelled:
    return BadLabelled([Problem(f"{name}：{zh}", f"{name}: {en}")])


def write_csv(file: IO[bytes], header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table as CSV that spreadsheets open as UTF-8."""
    text = io.TextIOWrapper(file, "utf-8-sig", newline="", write_through=True)
    written = csv.writer(text, lineterminator="\r\n")
    written.writerow(header)
    for row in rows:
        written.writerow([as_text(cell) for cell in row])
    text.detach()


def write_xlsx(file: IO[bytes], header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table as XLSX, every cell a text."""
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell

    book = Workbook(write_only=True)
    sheet = book.create_sheet("examples")
    sheet.freeze_panes = "A2"
    for row in (header, *([*one] for one in rows)):
        cells = []
        for value in row:
            cell = WriteOnlyCell(sheet, value)
            # Even where it begins like a formula; `quotePrefix` keeps it a text when somebody edits the cell.
            cell.data_type = "s"
            if _FORMULA.match(value):
                cell.quotePrefix = True
            cells.append(cell)
        sheet.append(cells)
    book.save(file)


def write_jsonl(file: IO[bytes], rows: Iterable[Mapping[str, object]]) -> None:
    """One JSON object a line."""
    for row in rows:
        write_json(file, row)
        file.write(b"\n")


def write_json(file: IO[bytes], value: Mapping[str, object]) -> None:
    """One JSON object."""
    file.write(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
