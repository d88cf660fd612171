"""A table of turns: CSV (or tab-separated) with Chinese or English headings, and the same as a JSON list of objects.

Source: the exports of call-centre and quality-inspection systems, no single vendor's. Times are clock times, instants, seconds or
milliseconds: what the heading or the figures say.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.transcripts.base import MOST_TURNS, Call, Piece, Transcript, build, mapping, rows
from connectors.transcripts.units import MILLISECONDS, SECONDS, instant, name, phone, seconds
from models.errors import Unreadable

# What each column may be called; compared in lower case without spaces, units and underscores.
_COLUMNS: Mapping[str, frozenset[str]] = {
    key: frozenset(names.split())
    for key, names in {
        "text": "内容 文本 对话内容 通话内容 转写内容 转写文本 识别结果 话术 说话内容 text content transcript utterance message sentence",
        "speaker": "角色 说话人 发言人 讲话人 说话者 身份 speaker role from sender party speakerid spk participant",
        "channel": "声道 通道 channel channelid",
        "start": "开始 开始时间 起始 起始时间 时间 start starttime begin begintime time timestamp offset",
        "end": "结束 结束时间 终止时间 end endtime stop stoptime",
        "call": "通话编号 录音编号 会话编号 会话id 通话id 流水号 callid sessionid recordingid",
        "phone": "来电号码 主叫号码 主叫 客户电话 客户号码 电话 手机号 手机 caller callernumber phone customerphone",
    }.items()
}
_DELIMITERS = (",", "\t", ";", "|", "，")
_TURNS_KEYS = ("turns", "dialogue", "dialog", "messages", "utterances")


def _key(heading: object) -> tuple[str | None, float | None]:
    """Which column a heading names, and the unit that it states."""
    plain = str(heading).strip().lower().replace("_", "").replace(" ", "").replace("-", "").replace("）", ")").replace("（", "(")
    unit = None
    for mark, per_second in (("(毫秒)", MILLISECONDS), ("毫秒", MILLISECONDS), ("(ms)", MILLISECONDS), ("(秒)", SECONDS), ("(s)", SECONDS)):
        if plain.endswith(mark):
            plain, unit = plain.removesuffix(mark), per_second
            break
    if unit is None and plain.endswith("ms"):
        plain, unit = plain.removesuffix("ms"), MILLISECONDS
    return next((key for key, names in _COLUMNS.items() if plain in names), None), unit


def _delimiter(text: str) -> str | None:
    """What separates the columns of a table's first line; None where that line is no heading of turns."""
    first = text.lstrip("\n").split("\n", 1)[0][:2000]
    for delimiter in _DELIMITERS:
        keys = {_key(cell.strip().strip('"'))[0] for cell in first.split(delimiter)}
        if "text" in keys and keys & {"speaker", "channel", "start"}:
            return delimiter
    return None


def recognise_csv(doc: Any) -> bool:
    """Whether the first line names a column of texts and one of speakers, channels or times."""
    return isinstance(doc, str) and _delimiter(doc) is not None


def read_csv(doc: Any) -> Transcript:
    """The rows in order of time. Raises `Unreadable`: `broken_table`, or `several_calls` where the rows are of several calls."""
    delimiter = _delimiter(doc) or ","
    table: list[dict[str, object]] = []
    try:
        reader = csv.reader(io.StringIO(doc.lstrip("\n"), newline=""), delimiter=delimiter)
        headings = next(reader, [])
        for row in reader:
            table.append(dict(zip(headings, row, strict=False)))
            if len(table) > MOST_TURNS:
                break
    except csv.Error as error:
        raise Unreadable(
            "broken_table",
            f"这是一张逐句对话表，但第 {len(table) + 2} 行无法解析：引号不成对或单元格过大。",
            f"This is a table of turns, but row {len(table) + 2} cannot be parsed: an open quote or a cell too large.",
        ) from error
    return _read("csv", table)


def recognise_json(doc: Any) -> bool:
    """Whether this is a list of objects, by itself or under `turns`, each with a speaker and a text."""
    listed = _listed(doc)
    return bool(listed) and all({"text", "speaker"} <= {_key(key)[0] for key in list(row)[:40]} for row in listed[:200])


def read_json(doc: Any) -> Transcript:
    """The objects in order of time, with the call's data if they stand beside them."""
    call = mapping(mapping(doc).get("call"))
    read = _read("turns_json", _listed(doc)[: MOST_TURNS + 1])
    phones = call.get("phones")
    numbers = tuple(number for each in phones if (number := phone(each))) if isinstance(phones, list) else ()
    known = Call(name(call.get("id")), instant(call.get("started_at")), seconds(call.get("duration")), numbers)
    return Transcript(read.format, read.turns, known if call else read.call, read.defects, read.leanings, read.caller)


def _listed(doc: Any) -> list[dict[str, Any]]:
    """The objects of the list, wherever it stands."""
    if isinstance(doc, list):
        return rows(doc) if len(rows(doc)) == len(doc) else []
    return next((rows(doc[key]) for key in _TURNS_KEYS if rows(mapping(doc).get(key))), [])


def _read(format: str, table: Sequence[Mapping[str, Any]]) -> Transcript:
    """The turns of a table's rows."""
    keyed: list[dict[str, object]] = []
    units: dict[str, float] = {}
    for row in table:
        cells: dict[str, object] = {}
        for heading, value in list(row.items())[:200]:
            key, unit = _key(heading)
            if key and key not in cells:
                cells[key] = value
                if unit:
                    units[key] = unit
        keyed.append(cells)
    calls = {name(cells.get("call")) for cells in keyed} - {None}
    if len(calls) > 1:
        raise Unreadable(
            "several_calls",
            f"这张表里有 {len(calls)} 通电话的对话；每个文件只应包含一通电话，请拆分后重新投递。",
            f"This table holds the turns of {len(calls)} calls; a file must hold one: split it and drop the parts again.",
        )
    phones = sorted({number for cells in keyed if (number := phone(cells.get("phone")))})
    begin = min((moment for cells in keyed if (moment := instant(cells.get("start")))), default=None)
    per_second = units.get("start") or units.get("end") or _guessed_unit(keyed)
    pieces = [
        Piece(
            str(cells["text"]) if isinstance(cells.get("text"), str | int | float) else "",
            _time(cells.get("start"), begin, per_second),
            _time(cells.get("end"), begin, per_second),
            speaker=name(cells.get("speaker")),
            channel=name(cells.get("channel")),
        )
        for cells in keyed
    ]
    call = Call(next(iter(calls), None), begin, None, tuple(phones))
    return build(format, pieces, call, caller=phones[0] if len(phones) == 1 else None)


def _time(value: object, begin: datetime | None, per_second: float) -> float | None:
    """Seconds from the beginning of the call; an instant counts from the first one in the table."""
    moment = instant(value)
    if moment and begin:
        return seconds((moment - begin).total_seconds())
    return seconds(value, per_second)


def _guessed_unit(keyed: Sequence[Mapping[str, object]]) -> float:
    """Milliseconds where all times are whole numbers and a turn would otherwise last minutes; else seconds."""
    lengths: list[int] = []
    latest = 0
    for cells in keyed:
        start, end = str(cells.get("start", "")).strip(), str(cells.get("end", "")).strip()
        if (start and not start.isdecimal()) or (end and not end.isdecimal()) or len(start) > 12 or len(end) > 12:
            return SECONDS
        latest = max(latest, int(start or 0), int(end or 0))
        if start and end:
            lengths.append(int(end) - int(start))
    if lengths:
        return MILLISECONDS if sorted(lengths)[len(lengths) // 2] >= 120 else SECONDS
    return MILLISECONDS if latest > 20_000 else SECONDS
