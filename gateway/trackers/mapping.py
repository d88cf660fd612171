"""A mapping: which requests a tracking system wants, as a TOML file, and how their templates are filled.

Bodies are filled as structures and spelt as JSON afterwards, paths and queries are percent-encoded: nothing that a customer wrote can end
a string, add a key, or lead to another address. In paths and queries only what we make ourselves may stand, because a search has a language
of its own.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gateway.trackers import words
from gateway.trackers.base import Case
from models.errors import BadSetting
from models.status import StatusCode

_PLACE = re.compile(r"\{([a-z_0-9]+(?:\.[A-Za-z0-9_-]+)?)\}")
# RFC 9110, 5.6.2.
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# What we make ourselves.
OURS = frozenset({"key", "number", "round", "id", "since", "minutes"})
SECRETS = frozenset({"api_key", "api_key_base64"})
ABOUT = OURS | {
    "subject", "text", "note", "link", "mark", "summary", "title", "matter", "class", "class_name", "department", "department_name",
    "priority", "mapped_priority", "customer_name", "customer_phone", "customer_email", "customer_estate", "customer_unit",
}  # fmt: skip
FILE = frozenset({"file_name", "file_type", "file_base64"})
_VALUES = "values."
_SHIPPED = ("redmine", "zammad", "jira")
# Further keys of each section beside those of every request; True where one must be given.
_SECTIONS: Mapping[str, Mapping[str, bool]] = {
    "check": {},
    "find": {"items": True, "id": True, "compare": True},
    "create": {"id": True, "url": False},
    "said": {"items": True, "text": True, "also": False},
    "note": {},
    "change": {},
    "reopen": {},
    "file": {"how": True, "part": False},
    "updated": {"items": True, "id": True, "at": True, "status": True, "paging": False},
    "ticket": {"at": True, "status": True},
    "notes": {"items": True, "id": True, "text": True, "at": True, "by": False, "internal": False, "public": False},
}
_NEEDED = ("check", "find", "create", "said", "note")
_POINTERS = frozenset({"items", "id", "text", "also", "at", "status", "by", "internal", "public"})
_PAGING = {"parameter": str, "first": int, "step": int, "full": int}


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the file has it. `more`: the keys of its section, as in `_SECTIONS`."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    more: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TrackerMapping:
    """A whole mapping."""

    headers: Mapping[str, str]
    requests: Mapping[str, Request]
    statuses: Mapping[str, StatusCode]
    markup: str = "plain"
    known: frozenset[str] = field(default_factory=frozenset)


def load(home: Path, name: str, key: str) -> TrackerMapping:
    """The mapping that a setting names: a file in the home, or one that ships. Raises `BadSetting`, which names `key` or the file's key."""
    path = home / name
    try:
        if path.is_file():
            text = path.read_text("utf-8")
        elif name in _SHIPPED:
            text = resources.files("gateway.trackers").joinpath("mappings", f"{name}.toml").read_text("utf-8")
        else:
            shipped = ", ".join(_SHIPPED)
            raise BadSetting(key, f"找不到文件 {path}；自带的有 {shipped}", f"there is no file {path}; {shipped} ship with the program")
        return read(tomllib.loads(text), name)
    except UnicodeDecodeError:
        raise BadSetting(str(path), "不是 UTF-8 文本，请另存为 UTF-8", "is not UTF-8; save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise BadSetting(str(path), f"不是有效的 TOML（{error}）", f"is not valid TOML ({error})") from None
    except OSError as error:
        raise BadSetting(str(path), f"读不了（{error.strerror}）", f"cannot be read ({error.strerror})") from None


def read(told: Mapping[str, Any], name: str) -> TrackerMapping:
    """A mapping from what the file holds. Raises `BadSetting`."""
    for section in told:
        if section not in {*_SECTIONS, "headers", "statuses", "markup", "title"}:
            raise _wrong(name, section, "没有这个键", "there is no such key")
    for section in _NEEDED:
        if section not in told:
            raise _wrong(name, section, "必须给出", "must be given")
    headers = _headers(told.get("headers", {}), name, "headers")
    requests = {section: _request(told[section], name, section) for section in _SECTIONS if section in told}
    _keeps_promises(requests, name)
    statuses: dict[str, StatusCode] = {}
    for word, code in told.get("statuses", {}).items():
        if code not in list(StatusCode):
            known = ", ".join(StatusCode)
            raise _wrong(name, f"statuses.{word}", f"“{code}” 不行，应为 {known} 之一", f"'{code}' will not do; one of {known}")
        statuses[word] = StatusCode(code)
    if ("updated" in requests) != bool(statuses):
        raise _wrong(name, "statuses", "与 updated 必须同时给出", "must be given together with updated")
    markup = told.get("markup", "plain")
    return TrackerMapping(headers, requests, statuses, markup, frozenset(_places([headers, *map(_all, requests.values())])))


def _request(told: Any, name: str, section: str) -> Request:
    if not isinstance(told, dict):
        raise _wrong(name, section, "应为一节", "must be a section")
    own = _SECTIONS[section]
    for key in told:
        if key not in {"method", "path", "query", "headers", "body", *own}:
            raise _wrong(name, f"{section}.{key}", "没有这个键", "there is no such key")
    for key in ("path", *(one for one, needed in own.items() if needed)):
        if key not in told:
            raise _wrong(name, f"{section}.{key}", "必须给出", "must be given")
    path, method = told["path"], told.get("method", "GET")
    if not isinstance(path, str) or not path.startswith("/"):
        raise _wrong(name, f"{section}.path", "应以 / 开头", "must begin with /")
    if method not in ("GET", "POST", "PUT", "PATCH"):
        raise _wrong(name, f"{section}.method", "应为 GET、POST、PUT 或 PATCH", "must be GET, POST, PUT or PATCH")
    _check(path, name, f"{section}.path", OURS)
    body = told.get("body")
    _check(body, name, f"{section}.body", ABOUT | (FILE if section == "file" else frozenset()))
    more = {key: told[key] for key in own if key in told}
    for key, value in more.items():
        if key in _POINTERS and not (isinstance(value, str) and (not value or value.startswith("/"))):
            raise _wrong(name, f"{section}.{key}", "应为 JSON 指针，例如 /issue/id", "must be a JSON pointer, e.g. /issue/id")
    if section == "find":
        compare = _texts(more["compare"], name, "find.compare", OURS)
        if not compare or not any({"key", "number"} & set(_places(one)) for one in compare.values()):
            raise _wrong(
                name, "find.compare", "应指明答复中何处有 {key} 或 {number}", "must say where in the answer {key} or {number} stands"
            )
    if section == "file" and more["how"] not in ("base64", "multipart"):
        raise _wrong(name, "file.how", "应为 base64 或 multipart", "must be base64 or multipart")
    paging = more.get("paging")
    if paging is not None and not (
        isinstance(paging, dict)
        and set(paging) == set(_PAGING)
        and all(isinstance(paging[one], kind) for one, kind in _PAGING.items())
        and paging["step"] > 0
    ):
        raise _wrong(name, f"{section}.paging", "应有 parameter、first、step、full", "must have parameter, first, step and full")
    query = _texts(told.get("query", {}), name, f"{section}.query", OURS)
    headers = _headers(told.get("headers", {}), name, f"{section}.headers")
    return Request(method, path, query, headers, body, more)


def _keeps_promises(requests: Mapping[str, Request], name: str) -> None:
    """Raises `BadSetting` where what we promise of tickets could not be kept: one for one complaint, with every word of it."""
    for section, place in (("create", "text"), ("note", "note")):
        if place not in _places(requests[section].body):
            raise _wrong(
                name,
                f"{section}.body",
                f"缺少 {{{place}}}：请写在系统显示文字的字段里，否则内容会丢失，也认不出自己写过的",
                f"has no {{{place}}}: put it where the system shows text, or words are lost and ours are not known again",
            )
    for section in _OF_A_TICKET & requests.keys():
        request = requests[section]
        if "id" not in _places([request.path, request.query, request.body]):
            raise _wrong(
                name,
                f"{section}.path",
                "缺少 {id}：请在路径、查询或正文中写明是哪张工单",
                "has no {id}: say in the path, the query or the body which ticket it is about",
            )
    create, (written, about) = requests["create"], _sample()
    filled = [fill(one, about) for one in (create.body, create.query)] + [fill_text(create.path, about)]
    for pointer, compared in requests["find"].more["compare"].items():
        # A field is mostly read under the names that it is written under, all of them: `value` alone may be that of any other field.
        field_of: list[Any] = [filled]
        for part in pointer.split("/")[1:]:
            field_of = field_of if part.isdigit() else [one for whole in field_of for one in _under(whole, part)]
        if not any(fill_text(compared, about) in text for text in _leaves(field_of or filled)):
            raise _wrong(
                name,
                f"find.compare.{pointer}",
                f"“{compared}” 在 [create] 写的内容里都没有，找不到建过的工单，会重复建单；请把它写进 [create] 的正文，或改为比对那里写了的"
                f"（{{subject}} 以 [编号] 开头，{{text}} 末尾有一行 {written}）",
                f"nothing that [create] writes holds '{compared}', so a ticket that is there would not be found and made again: write it "
                f"in the body of [create], or compare what is written ({{subject}} begins with [number], {{text}} has a line {written})",
            )


# What is asked or changed of one ticket.
_OF_A_TICKET = {"said", "note", "change", "reopen", "file", "ticket", "notes"}


def _sample() -> tuple[str, dict[str, Any]]:
    """The line with the key as people would write it, and what a template is filled with for a complaint of which little is known."""
    case = Case(None, "evt", {"number": "TS-20261123-0042", "idempotency_key": "installation:TS-20261123-0042"})
    known = {place: f"{{{place}}}" for place in ABOUT | FILE} | {"key": case.key, "number": case.number, "round": case.round}
    text = words.whole(case, words.description(case))
    return words.key_line(case).replace(case.key, "{key}"), known | {"subject": words.subject(case), "text": text}


def _leaves(filled: Any) -> Iterator[str]:
    """Every text within a structure."""
    if isinstance(filled, str):
        yield filled
    elif isinstance(filled, Mapping):
        for one in filled.values():
            yield from _leaves(one)
    elif isinstance(filled, list):
        for one in filled:
            yield from _leaves(one)


def _under(filled: Any, name: str) -> Iterator[Any]:
    """Whatever stands under this name, at any depth."""
    if isinstance(filled, Mapping):
        for key, one in filled.items():
            if key == name:
                yield one
            yield from _under(one, name)
    elif isinstance(filled, list):
        for one in filled:
            yield from _under(one, name)


def _headers(told: Any, name: str, where: str) -> Mapping[str, str]:
    found = _texts(told, name, where, SECRETS)
    for header, value in found.items():
        if not _HEADER.fullmatch(header):
            raise _wrong(name, f"{where}.{header!r}", "不是请求头的名称", "is no name of a header")
        if any(ord(char) < ord(" ") or ord(char) == 127 for char in value):
            raise _wrong(
                name,
                f"{where}.{header}",
                "含换行或控制字符，请删去，写在一行里",
                "holds a line break or control character: take it out and write it in one line",
            )
    return found


def _texts(told: Any, name: str, where: str, known: frozenset[str]) -> Mapping[str, str]:
    if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
        raise _wrong(name, where, "应为 名称 = 文字", "must be names with texts")
    _check(told, name, where, known)
    return told


def _check(told: Any, name: str, where: str, known: frozenset[str]) -> None:
    for place in _places(told):
        if place not in known and not (place.startswith(_VALUES) and place != _VALUES):
            there = ", ".join(sorted(known)) + ", values.…"
            raise _wrong(name, where, f"这里不能写 {{{place}}}，可以写 {there}", f"{{{place}}} cannot stand here; write one of {there}")


def _places(told: Any) -> Iterator[str]:
    """Every placeholder within a structure."""
    for text in _leaves(told):
        yield from _PLACE.findall(text)


def _all(request: Request) -> list[Any]:
    return [request.path, request.query, request.headers, request.body, dict(request.more)]


def _wrong(name: str, key: str, zh: str, en: str) -> BadSetting:
    return BadSetting(f"{name} [{key}]", zh, en)


# ---- Filling -------------------------------------------------------------------------------------------------------------------------


def fill(template: Any, values: Mapping[str, Any]) -> Any:
    """The structure with every placeholder filled. A text that is nothing but a placeholder becomes the value itself, of its own type.

    A key whose value is not known is left out: what is not said keeps the other side's own default.
    """
    if isinstance(template, str):
        alone = _PLACE.fullmatch(template)
        return values.get(alone[1]) if alone else fill_text(template, values)
    if isinstance(template, Mapping):
        return {key: value for key, one in template.items() if (value := fill(one, values)) is not None}
    if isinstance(template, list):
        return [fill(one, values) for one in template]
    return template


def fill_text(template: str, values: Mapping[str, Any], *, encoded: bool = False) -> str:
    """A text with every placeholder filled. encoded: percent-encoded, for a path."""

    def spelt(found: re.Match[str]) -> str:
        value = values.get(found[1])
        text = "" if value is None else str(value)
        return quote(text, safe="") if encoded else text

    return _PLACE.sub(spelt, template)


def at(answer: Any, pointer: str) -> Any:
    """What stands at a JSON pointer (RFC 6901); None where nothing does."""
    found = answer
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping):
            found = found.get(name)
        elif isinstance(found, list) and name.isdigit() and int(name) < len(found):
            found = found[int(name)]
        else:
            return None
    return found
