"""Labelled texts of other hands, to measure a classifier by: JSON lines or CSV (`docs/classifier.md`).

Looser than the corpus's own files (`corpus.py`): keys and classes may be Chinese, cells may be empty, other columns are passed over. What
cannot be understood is refused by file, line, key and value, in Chinese and English, all of it at once.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from classifiers.corpus import REGISTERS, BadCorpus
from models.verdict import ComplaintClass, Risk

CHANNELS = ("email", "chat", "phone")
CUSTOMER = ("name", "phone", "email", "estate", "unit")

# Other names of the keys; what stands in neither is passed over.
_ALIASES: Mapping[str, str] = {
    "subject": "title",
    "正文": "text",
    "文本": "text",
    "内容": "text",
    "标题": "title",
    "主题": "title",
    "渠道": "channel",
    "类别": "primary",
    "主要类别": "primary",
    "次要类别": "secondary",
    "风险": "risk",
    # As spreadsheets of complaint desks head their columns.
    "class": "primary",
    "content": "text",
    "投诉内容": "text",
    "诉求内容": "text",
    "问题描述": "text",
    "投诉标题": "title",
    "投诉渠道": "channel",
    "来源渠道": "channel",
    "分类": "primary",
    "投诉类别": "primary",
    "投诉类型": "primary",
    "投诉分类": "primary",
    "其他类别": "secondary",
    "姓名": "customer.name",
    "客户姓名": "customer.name",
}
_KEYS = frozenset({"text", "title", "channel", "primary", "secondary", "risk", "customer"} | {f"customer.{name}" for name in CUSTOMER})
# Keys of the corpus that say nothing about being right.
_PASSED_OVER = frozenset({"id", "register", "scenario"})
_CHANNEL_NAMES: Mapping[str, str] = {"邮件": "email", "电子邮件": "email", "对话": "chat", "在线对话": "chat", "电话": "phone"}
_CLASS_NAMES: Mapping[str, str] = {name.zh: name.value for name in ComplaintClass}

_PARTED = re.compile(r"[;；、,，|\s]+")
_SHOWN = 30
_MOST_TOLD = 10
# So many characters that are good UTF-8 before the first bad byte are no accident: the file is damaged, and not of another encoding.
_UTF8_BEYOND_DOUBT = 8

Member = TypeVar("Member", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Labelled:
    """One text with what is labelled of it; `None` where nothing is, which is not the same as none.

    where:    file and line, for people.
    customer: the labelled fields by name; an empty one means that the text does not say it.
    """

    where: str
    text: str
    title: str = ""
    channel: str | None = None
    primary: ComplaintClass | None = None
    secondary: tuple[ComplaintClass, ...] | None = None
    risk: tuple[Risk, ...] | None = None
    customer: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at one place, in both languages, with what to do about it."""

    zh: str
    en: str


class BadLabelled(BadCorpus):
    """A labelled file cannot be used; `zh` and `en` say why, a line for each place."""

    def __init__(self, problems: list[Problem]) -> None:
        rest = len(problems) - _MOST_TOLD
        shown = problems[:_MOST_TOLD]
        self.zh = "\n  ".join([one.zh for one in shown] + ([f"……另有 {rest} 处"] if rest > 0 else []))
        self.en = "\n  ".join([one.en for one in shown] + ([f"… and {rest} more"] if rest > 0 else []))
        super().__init__(self.en)


class _Wrong(Exception):
    """A row is wrong at `key`; becomes a `Problem` once the line is known."""

    def __init__(self, key: str, zh: str, en: str) -> None:
        super().__init__(en)
        self.key, self.zh, self.en = key, zh, en


def read(data: bytes, name: str, *, labels: bool = True) -> tuple[list[Labelled], tuple[str, ...]]:
    """The texts of a file, and the keys in it that were passed over. Raises `BadLabelled`, also for a file without a text.

    name:   of the file; it is CSV where it ends so or where its first character is no brace.
    labels: whether each text must have its class.
    """
    found: list[Labelled] = []
    problems: list[Problem] = []
    unused: dict[str, None] = {}
    for number, row in rows_of(data, name):
        if isinstance(row, Problem):
            problems.append(row)
            continue
        known, passed = keyed(row)
        unused.update(dict.fromkeys(passed))
        one = labelled(known, f"{name}:{number}", labels=labels)
        if isinstance(one, Problem):
            problems.append(one)
        else:
            found.append(one)
    if problems:
        raise BadLabelled(problems)
    if not found:
        raise BadLabelled([Problem(f"{name}：只有列名，请在下面写上文本", f"{name}: has only a header; write texts below it")])
    return found, tuple(unused)


def rows_of(data: bytes, name: str, columns: Mapping[str, str] | None = None) -> Iterator[tuple[int, Mapping[str, object] | Problem]]:
    """The rows of a JSON lines or CSV file as they stand, each with its line and under the names of its columns.

    columns: keys by names of columns, beside the usual ones.

    Raises `BadLabelled` where the file as a whole cannot be read.
    """
    text = _decoded(data, name)
    begun = text.lstrip()
    if not begun:
        raise BadLabelled([Problem(f"{name}：文件是空的，每行应有一条文本", f"{name}: the file is empty; each line must hold a text")])
    ending = name.lower().rpartition(".")[2]
    is_csv = ending in ("csv", "tsv") or (ending not in ("jsonl", "ndjson", "json") and not begun.startswith(("{", "[")))
    for number, row in _csv_rows(text, columns) if is_csv else _json_rows(text):
        yield number, _problem(f"{name}:{number}", row) if isinstance(row, _Wrong) else row


def keyed(
    row: Mapping[str, object], columns: Mapping[str, str] | None = None, also: Collection[str] = ()
) -> tuple[dict[str, object], list[str]]:
    """A row under the keys of this module, and the names of its columns that are none of them. `also` are keys besides."""
    known: dict[str, object] = {}
    passed = []
    for name, value in row.items():
        key = key_of(name, columns)
        if key not in _KEYS and key not in _PASSED_OVER and key not in also:
            passed.append(name)
        elif not known.get(key):
            known[key] = value
    return known, passed


def key_of(name: str, columns: Mapping[str, str] | None = None) -> str:
    """The key that a column of this name holds; the name in small letters where it is none."""
    if columns and name.strip() in columns:
        return columns[name.strip()]
    plain = name.strip().lower()
    key = _ALIASES.get(plain, plain)
    # Who names the column of a key means no other.
    return f"({key})" if columns and key in columns.values() else key


def labelled(row: Mapping[str, object], where: str, *, labels: bool = True) -> Labelled | Problem:
    """One keyed row understood, or what is wrong with it. `where` is its file and line; `labels`: whether it must have a class."""
    try:
        return _labelled(row, where, labels)
    except _Wrong as wrong:
        return _problem(where, wrong)


def wrong_header(names: Sequence[str], where: str, columns: Mapping[str, str] | None = None) -> Problem | None:
    """What is wrong with the names of a table's columns."""
    wrong = _wrong_header(list(names), columns)
    return _problem(where, wrong) if wrong else None


def shown(value: object) -> str:
    """A value as a message may quote it: short, and without what a terminal would obey."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = "".join(char if char.isprintable() else "�" for char in text[: _SHOWN + 1])
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _decoded(data: bytes, name: str) -> str:
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise BadLabelled(
            [
                Problem(
                    f"{name}：这是 Excel 文件，请另存为“CSV UTF-8（逗号分隔）”",
                    f"{name}: is an Excel file; save it as 'CSV UTF-8 (comma delimited)'",
                )
            ]
        )
    try:
        text = data.decode("utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeDecodeError as error:
        good = data[: error.start].decode("utf-8", "ignore")
        damaged = sum(not char.isascii() for char in good) >= _UTF8_BEYOND_DOUBT
        try:
            text = "\0" if damaged or error.encoding != "utf-8" else data.decode("gb18030")
        except UnicodeDecodeError:
            text = "\0"
        if "\0" in text:
            line = data.count(b"\n", 0, error.start) + 1
            raise BadLabelled(
                [
                    Problem(
                        f"{name}:{line}：既不是完好的 UTF-8，也不是 GB18030 文本；请另存为 UTF-8",
                        f"{name}:{line}: is neither sound UTF-8 nor GB18030 text; save it as UTF-8",
                    )
                ]
            ) from None
    return text


def _json_rows(text: str) -> Iterator[tuple[int, Mapping[str, object] | _Wrong]]:
    if text.lstrip().startswith("["):
        zh = "这是一个 JSON 数组；请每行写一条，例如用 jq -c '.[]' 转换"
        yield 1, _Wrong("", zh, "is one JSON array; write one object a line, for instance with jq -c '.[]'")
        return
    # Only the line feed ends a line: JSON may hold other line ends of Unicode as they are.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            yield number, row
        else:
            yield (
                number,
                _Wrong("", f"“{shown(line)}”不是 JSON 对象；每行应是一条", f"'{shown(line)}' is no JSON object; each line must be one"),
            )


def _csv_rows(text: str, columns: Mapping[str, str] | None = None) -> Iterator[tuple[int, Mapping[str, object] | _Wrong]]:
    head = text.lstrip("\r\n").partition("\n")[0]
    # Spreadsheets of other countries part cells by semicolons or tabs.
    parts = max(",\t;", key=head.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=parts, strict=True)
    header: list[str] | None = None
    begins = 1
    while True:
        begins = rows.line_num + 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error:
            # After a quote that is never closed nothing can be told apart any more.
            yield (
                begins,
                _Wrong("", "引号没有成对；正文里的引号要写成两个", "a quote is not closed; a quote within a text is written twice"),
            )
            return
        if not any(cell.strip() for cell in cells):
            continue
        if header is None:
            header = [cell.strip() for cell in cells]
            if wrong := _wrong_header(header, columns):
                yield begins, wrong
                return
        elif any(cell.strip() for cell in cells[len(header) :]):
            zh = f"这一行有 {len(cells)} 格，列名只有 {len(header)} 个；含逗号的正文要加引号"
            yield begins, _Wrong("", zh, f"has {len(cells)} cells under {len(header)} names; quote a text that holds commas")
        else:
            yield begins, dict(zip(header, cells, strict=False))


def _wrong_header(header: list[str], columns: Mapping[str, str] | None) -> _Wrong | None:
    missing = next((name for name in columns or () if name not in header), None)
    if missing is not None:
        seen = "、".join(map(shown, header[:10]))
        return _Wrong(shown(missing), f"没有这一列；首行是：{seen}", f"there is no such column; the first line has: {seen}")
    names = [key_of(cell, columns) for cell in header]
    if "text" not in names:
        seen = shown("、".join(header))
        return _Wrong(
            "text",
            f"首行“{seen}”里没有这一列；首行应是列名，例如 text,primary,channel",
            f"is not among the first line's '{seen}'; the first line must name the columns, e.g. text,primary,channel",
        )
    twice = next((cell for place, cell in enumerate(header) if cell and cell in header[:place]), None)
    return _Wrong(shown(twice), "这一列出现了两次", "this column stands twice") if twice else None


def _labelled(row: Mapping[str, object], where: str, labels: bool) -> Labelled:
    text = _string(row, "text")
    if not text.strip():
        raise _Wrong("text", "缺少正文", "is lacking; write the text")
    primary = None
    label = _string(row, "primary").strip()
    if label:
        primary = _member(ComplaintClass, label, "primary", _CLASS_NAMES)
    elif labels:
        raise _Wrong("primary", f"缺少类别；应为 {_choices(ComplaintClass)} 之一", f"is lacking; one of {', '.join(ComplaintClass)}")
    secondary = _members(ComplaintClass, row, "secondary", _CLASS_NAMES)
    return Labelled(
        where=where,
        text=text,
        title=_string(row, "title"),
        channel=_channel(row),
        primary=primary,
        # What is named first is no further class, and nothing is further `other`.
        secondary=None if secondary is None else tuple(one for one in secondary if one not in (primary, ComplaintClass.OTHER)),
        risk=_members(Risk, row, "risk", {}),
        customer=_customer(row),
    )


def _string(row: Mapping[str, object], key: str) -> str:
    value = row.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _Wrong(key, f"“{shown(value)}”不是文字，应加引号", f"'{shown(value)}' is no text; put it in quotes")
    return value


def _channel(row: Mapping[str, object]) -> str | None:
    value = _string(row, "channel").strip()
    if not value:
        register = row.get("register")
        return REGISTERS.get(register) if isinstance(register, str) else None
    channel = _CHANNEL_NAMES.get(value, value.lower())
    if channel not in CHANNELS:
        raise _Wrong(
            "channel", f"“{shown(value)}”不行，应为 email、chat、phone 之一", f"'{shown(value)}' will not do: one of email, chat, phone"
        )
    return channel


def _members(kind: type[Member], row: Mapping[str, object], key: str, names: Mapping[str, str]) -> tuple[Member, ...] | None:
    value = row.get(key)
    if value is None:
        return None
    values = [part for part in _PARTED.split(value) if part] if isinstance(value, str) else value
    if not isinstance(values, list):
        raise _Wrong(key, f"“{shown(value)}”不行，应为列表", f"'{shown(value)}' will not do: must be a list")
    return tuple(dict.fromkeys(_member(kind, one, key, names) for one in values))


def _member(kind: type[Member], value: object, key: str, names: Mapping[str, str]) -> Member:
    code = names.get(value.strip(), value.strip().lower()) if isinstance(value, str) else None
    for member in kind:
        if member.value == code:
            return member
    raise _Wrong(key, f"“{shown(value)}”不行，应为 {_choices(kind)} 之一", f"'{shown(value)}' will not do: one of {', '.join(kind)}")


def _choices(kind: type[StrEnum]) -> str:
    return "、".join(f"{member.zh} {member}" if isinstance(member, ComplaintClass) else str(member) for member in kind)


def _customer(row: Mapping[str, object]) -> Mapping[str, str] | None:
    whole = row.get("customer")
    if whole is not None and not isinstance(whole, dict):
        raise _Wrong("customer", f"“{shown(whole)}”不行，应为对象", f"'{shown(whole)}' will not do: must be an object")
    fields: dict[str, str] = {}
    for name in CUSTOMER:
        key = f"customer.{name}"
        value = row.get(key) if row.get(key) is not None else (whole or {}).get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            # A spreadsheet's exporter takes a phone number for a number.
            value = str(value)
        if value is not None and not isinstance(value, str):
            raise _Wrong(key, f"“{shown(value)}”不是文字", f"'{shown(value)}' is no text")
        if value is not None or whole is not None:
            fields[name] = (value or "").strip()
    return fields or None


def _problem(where: str, wrong: _Wrong) -> Problem:
    key_zh, key_en = (f"{wrong.key}：", f"{wrong.key}: ") if wrong.key else ("", "")
    return Problem(f"{where}：{key_zh}{wrong.zh}", f"{where}: {key_en}{wrong.en}")
