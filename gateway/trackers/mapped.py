"""Any tracking system with an HTTP API of JSON, by a mapping (`gateway/trackers/mapping.py`)."""

from __future__ import annotations

import base64
import json
import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.trackers import mapping, words
from gateway.trackers.base import Case, Change, File, Found, History, Line, Trouble, Updated, cannot, in_order, stamp
from gateway.trackers.mapping import Request, TrackerMapping
from models.delivery import EventType, OutcomeCode

# So much is read twice, for changes that were not seen at once; and so far the clocks may be apart where only minutes are asked for.
_OVERLAP, _CLOCKS = timedelta(minutes=2), timedelta(minutes=15)
_MOST_PAGES = 200
_UNREAD = "答复中没有 {0} / the answer has nothing at {0}"


@dataclass(frozen=True, slots=True)
class MappedOptions:
    """Where tickets are made. `values`: what the mapping calls values.…; `markup`: how texts are shown, else the mapping's own."""

    url: str
    api_key: str
    values: Mapping[str, str]
    priorities: Mapping[str, str]
    markup: str


class Mapped:
    """The adapter of one such system. `now`: by our clock."""

    def __init__(self, told: TrackerMapping, options: MappedOptions, now: Callable[[], datetime]) -> None:
        self._told, self._options, self._now = told, options, now
        self._values = {f"values.{name}": value for name, value in options.values.items()}
        self._markup = options.markup or told.markup
        encoded = base64.b64encode(options.api_key.encode()).decode()
        self._secrets = {**self._values, "api_key": options.api_key, "api_key_base64": encoded}

    def headers(self) -> Mapping[str, str]:
        """Of every request, with the key."""
        return {name: mapping.fill_text(value, self._secrets) for name, value in self._told.headers.items()}

    def check(self, line: Line) -> str:
        """Asks the mapping's own question."""
        self._ask(line, "check", self._values)
        return in_order(self._options.url, reopens="reopen" in self._told.requests)

    # ---- Writing ---------------------------------------------------------------------------------------------------------------------

    def find(self, line: Line, case: Case) -> Found | None:
        """Searches as the mapping says, and compares what is found: a search may be a loose one."""
        values = self._about(case)
        request = self._told.requests["find"]
        for item in _list(self._ask(line, "find", values), request.more["items"]):
            wanted = {pointer: mapping.fill_text(text, values) for pointer, text in request.more["compare"].items()}
            if all(_holds(mapping.at(item, pointer), text) for pointer, text in wanted.items()):
                return self._found(mapping.at(item, request.more["id"]), item)
        return None

    def create(self, line: Line, case: Case) -> Found:
        """Makes the ticket."""
        text = words.whole(case, words.block(words.description(case), self._markup))
        answer = self._ask(line, "create", self._about(case) | {"text": text})
        return self._found(mapping.at(answer, self._told.requests["create"].more["id"]), answer)

    def said(self, line: Line, remote_id: str) -> Sequence[str]:
        """The texts in which our marks may stand."""
        more = self._told.requests["said"].more
        answer = self._ask(line, "said", self._values | {"id": remote_id})
        found = [mapping.at(item, more["text"]) for item in _list(answer, more["items"])]
        if "also" in more:
            found.append(mapping.at(answer, more["also"]))
        return [text for text in found if isinstance(text, str)]

    def note(self, line: Line, remote_id: str, case: Case, text: str) -> str:
        """Changes what the mapping changes, and adds words."""
        body, _, mark = text.rpartition("\n")
        values = self._about(case) | {"id": remote_id, "note": f"{words.block(body, self._markup)}\n\n{mark}", "mark": mark}
        for kind, section in ((EventType.REROUTED, "change"), (EventType.REOPENED, "reopen")):
            if case.type is kind and section in self._told.requests:
                self._ask(line, section, values)
        self._ask(line, "note", values)
        return ""

    def attach(self, line: Line, remote_id: str, case: Case, files: Sequence[File]) -> Mapping[str, str]:
        """Each file by itself, then a note that names them; nothing where the mapping has no files."""
        if "file" not in self._told.requests:
            return {one.id: "本系统的映射没有上传文件" for one in files}
        refused: dict[str, str] = {}
        for one in files:
            try:
                self._upload(line, remote_id, case, one)
            except Trouble as trouble:
                if trouble.passing:
                    raise
                refused[one.id] = trouble.outcome.answer
        if taken := [one for one in files if one.id not in refused]:
            marks = " ".join(one.mark for one in taken)
            text = f"{words.files_note([one.filename for one in taken], {})}\n{words.mark(f'files {marks}', case.round)}"
            self.note(line, remote_id, Case(None, case.webhook_id, case.data, case.zone), text)
        return refused

    def _upload(self, line: Line, remote_id: str, case: Case, file: File) -> None:
        request = self._told.requests["file"]
        values = self._about(case) | {"id": remote_id, "file_name": file.filename, "file_type": file.mime_type}
        if request.more["how"] == "base64":
            self._ask(line, "file", values | {"file_base64": base64.b64encode(file.content).decode()})
            return
        content, kind = multipart(request.more.get("part", "file"), file)
        line.send(
            request.method,
            mapping.fill_text(request.path, values, encoded=True),
            content=content,
            content_type=kind,
            headers=self._own_headers(request),
        )

    # ---- Reading ---------------------------------------------------------------------------------------------------------------------

    def updated(self, line: Line, since: str) -> Updated:
        """Tickets that changed, with how each stands."""
        request = self._told.requests["updated"]
        mark = _time(since)
        minutes = math.ceil((self._now() - mark + _CLOCKS) / timedelta(minutes=1))
        values = self._values | {"since": stamp(mark - _OVERLAP), "minutes": str(max(minutes, 1))}
        told: dict[str, Any] = {}
        newest = mark
        paging = request.more.get("paging")
        for page in range(_MOST_PAGES if paging else 1):
            further = {paging["parameter"]: str(paging["first"] + page * paging["step"])} if paging else {}
            items = _list(self._ask(line, "updated", values, further), request.more["items"])
            for item in items:
                told[_id(mapping.at(item, request.more["id"]), request.more["id"])] = item
                newest = max(newest, _time(mapping.at(item, request.more["at"])))
            if paging and len(items) < paging["full"]:
                break
        return Updated(list(told), stamp(newest), told)

    def history(self, line: Line, remote_id: str, told: Any) -> History:
        """What people wrote, and how the ticket stands now."""
        changes: list[Change] = []
        more = self._told.requests["updated"].more
        values = self._values | {"id": remote_id}
        if told is None and "ticket" in self._told.requests:
            more = self._told.requests["ticket"].more
            told = self._ask(line, "ticket", values)
        if "notes" in self._told.requests:
            changes += self._notes(line, values)
        status = "" if told is None else str(mapping.at(told, more["status"]) or "")
        if status:
            at = _time(mapping.at(told, more["at"]))
            changes.append(Change(f"status:{remote_id}:{status[:60]}:{stamp(at)}", at, status=status, standing=True))
        return History(changes, status)

    def _notes(self, line: Line, values: Mapping[str, Any]) -> list[Change]:
        more = self._told.requests["notes"].more
        found: list[Change] = []
        for item in _list(self._ask(line, "notes", values), more["items"]):
            text = mapping.at(item, more["text"])
            if not isinstance(text, str) or not text.strip():
                continue
            own = words.own(text)
            public = bool(mapping.at(item, more["public"])) if "public" in more else False
            if "internal" in more:
                public = mapping.at(item, more["internal"]) is False
            id_ = _id(mapping.at(item, more["id"]), more["id"])
            by = mapping.at(item, more["by"]) if "by" in more else ""
            at = _time(mapping.at(item, more["at"]))
            found.append(Change(f"note:{id_}", at, str(by or ""), "", text, public, None, own[1] if own else None))
        return sorted(found, key=lambda one: one.at)

    # ---- What it is made of ----------------------------------------------------------------------------------------------------------

    def _ask(self, line: Line, section: str, values: Mapping[str, Any], further: Mapping[str, str] | None = None) -> Any:
        request = self._told.requests[section]
        path = mapping.fill_text(request.path, values, encoded=True)
        query = {name: mapping.fill_text(text, values) for name, text in request.query.items()} | dict(further or {})
        body = None if request.body is None else mapping.fill(request.body, values)
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        return line.send(
            request.method, path, query=query, content=content, content_type="application/json", headers=self._own_headers(request)
        )

    def _own_headers(self, request: Request) -> Mapping[str, str]:
        return {name: mapping.fill_text(value, self._secrets) for name, value in request.headers.items()}

    def _about(self, case: Case) -> dict[str, Any]:
        """What templates may insert about a case."""
        data = case.data
        department, customer = data.get("department", {}), data.get("customer", {})
        return {
            **self._values,
            "key": case.key,
            "number": case.number,
            "round": case.round,
            "subject": words.subject(case),
            "link": words.link(case),
            "department": department.get("code", ""),
            "department_name": department.get("name", ""),
            "priority": case.priority,
            "mapped_priority": self._options.priorities.get(case.priority),
            **{name: data.get(name, "") for name in ("summary", "title", "matter", "class", "class_name")},
            **{f"customer_{name}": customer.get(name) for name in ("name", "phone", "email", "estate", "unit")},
        }

    def _found(self, remote_id: Any, answer: Any) -> Found:
        more = self._told.requests["create"].more
        id_ = _id(remote_id, more["id"])
        path = mapping.fill_text(more.get("url", ""), self._values | {"id": id_}, encoded=True)
        return Found(id_, self._options.url.rstrip("/") + path if path else "")


def _id(value: Any, pointer: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or not 0 < len(str(value)) <= 100:
        raise cannot(_UNREAD.format(pointer), OutcomeCode.UNREACHABLE)
    return str(value)


def _list(answer: Any, pointer: str) -> list[Any]:
    found = mapping.at(answer, pointer)
    if not isinstance(found, list):
        raise cannot(_UNREAD.format(pointer or "/"), OutcomeCode.UNREACHABLE)
    return found


def _holds(value: Any, text: str) -> bool:
    """Whether a text holds the other, or a list has it."""
    return text in value if isinstance(value, str | list) else False


def _time(spelt: Any) -> datetime:
    """A time in ISO 8601, also as Jira spells its offset."""
    try:
        at = datetime.fromisoformat(str(spelt))
    except ValueError:
        raise cannot(_UNREAD.format(f"时间 {str(spelt)[:40]}"), OutcomeCode.UNREACHABLE) from None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def multipart(part: str, file: File) -> tuple[bytes, str]:
    """A form of one file (RFC 7578), whose name cannot end its own quotes."""
    boundary = f"jiesu-{secrets.token_hex(16)}"
    name = "".join(" " if c in "\r\n" else c for c in file.filename).replace("\\", "_").replace('"', "%22")
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{part}"; filename="{name}"\r\nContent-Type: {file.mime_type}\r\n\r\n'
    return head.encode("utf-8", "replace") + file.content + f"\r\n--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"
