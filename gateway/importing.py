"""Takes labelled history into the training store and gives the store out again (`jiesu examples import` and `export`).

A file is understood whole before anything is written; then it goes in by batches, so that the gateway beside it never waits long. Doing it
again changes nothing, so an import that was cut off is simply repeated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from classifiers import labelled
from classifiers.deidentify import Deidentifier
from classifiers.labelled import BadLabelled, Labelled, Problem
from gateway import ask, spreadsheets
from gateway.clock import Clock
from gateway.measuring import BadInput
from gateway.oplog import OperatorLog
from gateway.store import examples
from gateway.store.engine import Store
from gateway.store.examples import ExampleRow
from models.errors import BadSetting
from models.verdict import ComplaintClass

# Larger files are refused before they are read.
MOST_BYTES = 300_000_000
# So many rows are written at once: long enough to be quick, short enough that nobody waits for the store.
_BATCH = 1_000
# Reading what was said out of a mail or transcript is repeated until it changes nothing, so that an export comes back as it was.
_MOST_READINGS = 4

_JSON_LINES = (".jsonl", ".ndjson", ".json")

# Names of people are only looked at to be masked.
_BY_NAMES = ("by", "标注人", "标注者", "判定人")
_GOLDEN_NAMES = ("golden", "黄金集")
_YES = frozenset({"true", "yes", "1", "是"})
KEYS = ("text", "title", "primary", "secondary", "channel", "by", "golden", "customer.name")
_OURS = frozenset({"by", "golden", "looked_at", "origin", "source", "added_at", "row", "reason_zh", "reason"})

COLUMNS = ("title", "text", "primary", "secondary", "channel", "by", "golden", "looked_at", "origin", "source", "added_at")
FORMATS = ("csv", "xlsx", "jsonl", "label-studio")


@dataclass(frozen=True, slots=True)
class Bad:
    """A row that cannot be used: its number, why, and what stood there."""

    number: int
    problem: Problem
    cells: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Good:
    """A row that can be used: who labelled it, and whether it is for the golden set."""

    row: Labelled
    by: str
    golden: bool


@dataclass(slots=True)
class FileRead:
    """A file understood: good rows and bad ones, and the names of columns that were passed over."""

    good: list[Good] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Plan:
    """What an import does: how many texts are new, known already, or have another label than before; how many rows repeat a text of the
    same file, and of these contradict it, where the last word counts; how many texts stay golden; and what is written."""

    new: int = 0
    known: int = 0
    changed: int = 0
    repeated: int = 0
    contradicting: int = 0
    stay_golden: int = 0
    rows: list[ExampleRow] = field(default_factory=list)


def columns_of(said: str) -> dict[str, str]:
    """`text=内容,primary=类别` as keys by names of columns. Raises `BadSetting`."""
    columns: dict[str, str] = {}
    for part in filter(None, (one.strip() for one in said.replace("，", ",").split(","))):
        key, equals, name = (one.strip() for one in part.partition("="))
        if not equals or not name or key not in KEYS:
            known = "、".join(KEYS)
            raise BadSetting(
                "--columns",
                f"“{part}” 不行；写成 text=列名,primary=列名，可用的键：{known}",
                f"'{part}' will not do; write text=COLUMN,primary=COLUMN with keys out of {', '.join(KEYS)}",
            )
        if key in columns.values() or name in columns:
            raise BadSetting("--columns", f"“{part}” 重复", f"'{part}' is there twice")
        columns[name] = key
    return columns


def read_file(path: Path, columns: Mapping[str, str], by: str, golden: bool) -> FileRead:
    """Everything in the file. Raises `BadSetting` where it cannot be read as a whole, or lacks a column that was named."""
    try:
        if path.stat().st_size > MOST_BYTES:
            size = MOST_BYTES // 1_000_000
            raise BadSetting(str(path), f"超过 {size} MB；请分成几个文件", f"is larger than {size} MB; split it")
        data = path.read_bytes()
    except OSError as error:
        raise BadSetting(str(path), f"读不了（{error.strerror}）", f"cannot be read ({error.strerror})") from None
    name = str(path)
    book = spreadsheets.is_workbook(data)
    plain_cells = book or path.suffix.lower() not in _JSON_LINES
    read = spreadsheets.rows_of if book else labelled.rows_of
    found = FileRead()
    unused: dict[str, None] = {}
    seen: set[str] = set()
    try:
        for number, row in read(data, name, columns):
            if isinstance(row, Problem):
                found.bad.append(Bad(number, row, {"line": _line(data, number)} if not book else {}))
                continue
            seen.update(key.strip() for key in row)
            one = _understood(row, f"{name}:{number}", columns, by, golden, unmark=plain_cells and not book, unused=unused)
            if isinstance(one, Problem):
                found.bad.append(Bad(number, one, row))
            else:
                found.good.append(one)
    except BadLabelled as error:
        raise BadInput(error) from None
    if missing := [column for column in columns if column not in seen and seen]:
        there, lacks = "、".join(map(labelled.shown, sorted(seen))), "、".join(missing)
        raise BadSetting("--columns", f"文件里没有这一列：{lacks}；有：{there}", f"there is no column {lacks}; there are: {there}")
    if not found.good and not found.bad:
        raise BadSetting(name, "只有列名，没有文本", "has only a header and no text")
    if not found.good and len(found.bad) == 1 and not seen:
        # A header that lacks the text: the file as a whole is wrong.
        raise BadInput(BadLabelled([found.bad[0].problem]))
    found.unused = list(unused)
    return found


def _understood(
    row: Mapping[str, object], where: str, columns: Mapping[str, str], by: str, golden: bool, *, unmark: bool, unused: dict[str, None]
) -> Good | Problem:
    cells: dict[str, object] = {}
    for name, value in row.items():
        plain = name.strip()
        key = "by" if plain in _BY_NAMES and "by" not in columns.values() else name
        key = "golden" if plain in _GOLDEN_NAMES and "golden" not in columns.values() else key
        cells[key] = spreadsheets.from_cell(value) if unmark and isinstance(value, str) else value
    known, passed = labelled.keyed(cells, columns, _OURS)
    unused.update(dict.fromkeys(passed))
    one = labelled.labelled(known, where)
    if isinstance(one, Problem):
        return one
    said_by = known.get("by")
    return Good(
        one,
        by=said_by.strip()[:80] if isinstance(said_by, str) and said_by.strip() else by,
        golden=golden or str(known.get("golden") or "").strip().lower() in _YES,
    )


def _line(data: bytes, number: int) -> str:
    """The line as it stands, for people: enough of it to find it by."""
    lines = data.split(b"\n", number)
    return lines[number - 1].decode("utf-8", "replace").strip()[:2_000] if len(lines) >= number else ""


class Importer:
    """Compares a file with the training store and takes it in."""

    def __init__(self, store: Store, clock: Clock, deidentifier: Deidentifier, log: OperatorLog) -> None:
        self._store, self._clock, self._deidentifier, self._log = store, clock, deidentifier, log

    def plan(self, read: FileRead, source: str, tell: Callable[[int], None] = lambda done: None) -> Plan:
        """What taking the file in would do; nothing is written. `tell` hears how many rows are done."""
        planned = Plan()
        now = self._clock.now()
        # A text may have come as a corrected complaint before; that is the same example.
        corrected = self._corrected()
        last: dict[str, tuple[ExampleRow, bool]] = {}
        for done, good in enumerate(read.good):
            if done % _BATCH == 0:
                tell(done)
            row = self._row(good, source, now)
            if row.key in last:
                planned.repeated += 1
                planned.contradicting += last[row.key][0].primary is not row.primary
            # Put anew, so that the last word stands where it was said.
            last.pop(row.key, None)
            last[row.key] = row, good.row.secondary is not None
        with self._store.read() as conn:
            there = examples.known(conn, examples.IMPORTED, list(last))
        for key, (row, further) in last.items():
            before = [*([there[key]] if key in there else []), *corrected.get(key, [])]
            if not further and before:
                # Where the file does not speak of further classes, what is known of them stays.
                row = replace(row, secondary=tuple(one for one in before[0].secondary if one is not row.primary))
            self._compare(row, before, planned)
        tell(len(read.good))
        return planned

    def take_in(self, planned: Plan, bad: int, tell: Callable[[int], None] = lambda done: None) -> None:
        """Writes what was planned."""
        for start in range(0, len(planned.rows), _BATCH):
            tell(start)
            with self._store.write() as conn:
                examples.put_all(self._store, conn, planned.rows[start : start + _BATCH])
        tell(len(planned.rows))
        self._log.write("ExamplesImported", new=planned.new, known=planned.known, changed=planned.changed, bad=bad)

    def _compare(self, row: ExampleRow, before: Sequence[ExampleRow], planned: Plan) -> None:
        same = next((one for one in before if (one.primary, one.secondary) == (row.primary, row.secondary)), None)
        old = same or (before[0] if before else None)
        if old is None:
            planned.new += 1
            written = row
        else:
            planned.stay_golden += old.golden and not row.golden
            written = replace(
                old,
                id=0,
                source=old.source if same else row.source,
                channel=row.channel or old.channel,
                primary=row.primary,
                secondary=row.secondary,
                by=old.by if same else row.by,
                added_at=old.added_at if same else row.added_at,
                golden=old.golden or row.golden,
                looked_at=old.looked_at if same else None,
            )
            planned.known += same is not None
            planned.changed += same is None
        if old is None or replace(written, id=old.id) != old:
            planned.rows.append(written)

    def _row(self, good: Good, source: str, now: datetime) -> ExampleRow:
        one = good.row
        said = one.text
        for _ in range(_MOST_READINGS):
            before, said = said, ask.query_of(said, title=one.title, channel=one.channel).said
            if said == before:
                break
        customer = (one.customer or {}).get("name", "")
        title, text = self._deidentifier.mask(one.title, said or one.text, context=one.text, names=[customer] if customer else [])
        return ExampleRow(
            id=0,
            origin=examples.IMPORTED,
            key=key_of(title, text),
            number=None,
            source=source,
            channel=one.channel,
            title=title,
            text=text,
            primary=one.primary or ComplaintClass.OTHER,
            secondary=one.secondary or (),
            by=good.by,
            added_at=now,
            golden=good.golden,
            looked_at=None,
        )

    def _corrected(self) -> dict[str, list[ExampleRow]]:
        found: dict[str, list[ExampleRow]] = {}
        with self._store.read() as conn:
            for row in examples.every(conn, examples.CORRECTION):
                found.setdefault(key_of(row.title, row.text), []).append(row)
        return found


def key_of(title: str, text: str) -> str:
    """The key of an imported text: SHA-256 of what is kept of it, so that it can be known again without keeping who wrote it."""
    return hashlib.sha256(f"{title}\n{text}".encode("utf-8", "replace")).hexdigest()


def keep_bad(path: Path, bad: Sequence[Bad]) -> Path:
    """Writes the bad rows beside the file, with number and reason; mended, they can be imported from there. Raises `BadSetting`."""
    as_json = path.suffix.lower() in _JSON_LINES
    beside = path.with_name(f"{path.name}.bad.{'jsonl' if as_json else 'csv'}")
    try:
        with beside.open("wb") as file:
            if as_json:
                spreadsheets.write_jsonl(
                    file, ({**one.cells, "row": one.number, "reason_zh": one.problem.zh, "reason": one.problem.en} for one in bad)
                )
            else:
                names = list(dict.fromkeys(name for one in bad for name in one.cells))
                header = [*names, "row", "reason_zh", "reason"]
                table = (
                    [*(str(one.cells.get(name) or "") for name in names), str(one.number), one.problem.zh, one.problem.en] for one in bad
                )
                spreadsheets.write_csv(file, header, table)
    except OSError as error:
        raise BadSetting(str(beside), f"写不了（{error.strerror}）", f"cannot be written ({error.strerror})") from None
    return beside


def export(file: IO[bytes], rows: Iterator[ExampleRow], format: str) -> int:
    """Writes examples in one of `FORMATS`; returns how many. Numbers of complaints stay here."""
    count = 0

    def counted() -> Iterator[ExampleRow]:
        nonlocal count
        for row in rows:
            count += 1
            yield row

    if format in ("csv", "xlsx"):
        write = spreadsheets.write_csv if format == "csv" else spreadsheets.write_xlsx
        write(file, COLUMNS, (_cells(row) for row in counted()))
    elif format == "jsonl":
        spreadsheets.write_jsonl(file, (_json(row) for row in counted()))
    else:
        file.write(b"[")
        for place, row in enumerate(counted()):
            file.write(b",\n" if place else b"\n")
            spreadsheets.write_json(file, task_of(row))
        file.write(b"\n]\n")
    return count


def _json(row: ExampleRow) -> dict[str, Any]:
    return {
        "title": row.title,
        "text": row.text,
        "primary": row.primary.value,
        "secondary": [one.value for one in row.secondary],
        **({"channel": row.channel} if row.channel else {}),
        "by": row.by,
        "golden": row.golden,
        "looked_at": row.looked_at or "",
        "origin": row.origin,
        "source": row.source,
        "added_at": row.added_at.isoformat(timespec="seconds"),
    }


def _cells(row: ExampleRow) -> list[str]:
    told = _json(row) | {"secondary": ";".join(row.secondary), "golden": "true" if row.golden else "false"}
    return [str(told.get(name, "")) for name in COLUMNS]


def task_of(row: ExampleRow) -> dict[str, Any]:
    """One task of Label Studio with the label as an annotation; `docs/examples.md` has the labelling interface that fits."""
    result: list[dict[str, Any]] = [_choices("class", [row.primary.zh])]
    if row.secondary:
        result.append(_choices("secondary", [one.zh for one in row.secondary]))
    return {
        "data": {"text": row.text, "title": row.title, "channel": row.channel or "", "by": row.by},
        "annotations": [{"result": result}],
    }


def _choices(name: str, chosen: list[str]) -> dict[str, Any]:
    return {"from_name": name, "to_name": "text", "type": "choices", "value": {"choices": chosen}}
