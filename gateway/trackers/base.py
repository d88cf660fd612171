"""What every adapter is made of: a case, a line to the tracking system, and what it must be able to do."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any, Protocol
from urllib.parse import urlencode

from gateway.http_client import Answer, HttpClient
from models.delivery import EventType, Outcome, OutcomeCode
from models.errors import JiesuError

# The longest answer that is read, and how much of an error is kept.
_MOST_BYTES, _MOST_SAID = 8_000_000, 400
_JSON = "application/json"

# What a status means for whoever set the adapter up.
_HINTS: Mapping[int, str] = {
    401: "API 密钥不对，或未启用 REST API / the API key is wrong, or the REST API is off",
    403: "该密钥的账号没有权限，或项目、队列不存在 / the key's account may not do this, or there is no such project or queue",
    404: "没有这个地址、项目或工单 / there is no such address, project or ticket",
    413: "太大 / too large",
    422: "内容被拒绝 / the content was refused",
}


class Trouble(Exception):
    """A request did not bring what it should; `outcome` says why, in the words that a try is kept with."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.answer)
        self.outcome = outcome

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed later."""
        return self.outcome.code is not OutcomeCode.CLIENT_ERROR or self.outcome.status in (401, 403, 408)


class CannotAsk(JiesuError):
    """A tracking system could not be asked how its tickets stand: it is asked again later."""


class Line:
    """The requests of one event or one look, within one time.

    base: the address before every path. headers: of every request, with the key. seconds: for all requests together.
    """

    def __init__(self, client: HttpClient, base: str, headers: Mapping[str, str], seconds: float) -> None:
        self._client, self._base, self._headers = client, base.rstrip("/"), headers
        self._begun, self._seconds = time.monotonic(), seconds

    @property
    def elapsed(self) -> float:
        """Seconds since the first request could be made."""
        return time.monotonic() - self._begun

    def json(self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Any = None) -> Any:
        """The JSON that is answered; None where nothing is. `path` is encoded already. Raises `Trouble`."""
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        return self.send(method, path, query=query, content=content, content_type=_JSON)

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        content: bytes | None,
        content_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The same with any bytes for a body. Raises `Trouble`."""
        left = self._seconds - self.elapsed
        if left <= 0:
            raise Trouble(Outcome(OutcomeCode.TIMEOUT, None, self.elapsed, "时间已用完 / the time is used up"))
        url = self._base + path + ("?" + urlencode(query) if query else "")
        told = {"accept": _JSON, "user-agent": "jiesu", **self._headers, **(headers or {})}
        if content is not None:
            told["content-type"] = content_type
        asking = self._client.ask(method, url, headers=told, body=content, most_bytes=_MOST_BYTES, seconds=left)
        return self._read(self._client.run(asking))

    def _read(self, answer: Answer) -> Any:
        if answer.code is not OutcomeCode.ACCEPTED:
            code = OutcomeCode.CLIENT_ERROR if answer.code is OutcomeCode.GONE else answer.code
            raise Trouble(Outcome(code, answer.status, self.elapsed, _explained(answer), answer.retry_after))
        if not answer.body.strip():
            return None
        try:
            if not answer.whole:
                raise ValueError
            return json.loads(answer.body)
        except ValueError:
            kind = "网页" if b"<html" in answer.body[:2000].lower() else "不是 JSON 的内容"
            told = f"答复的是{kind}，请检查地址 / the answer is no JSON: is the address right?"
            raise Trouble(Outcome(OutcomeCode.UNREACHABLE, answer.status, self.elapsed, told)) from None


def _explained(answer: Answer) -> str:
    if answer.status is None:
        return answer.why
    if answer.code is OutcomeCode.REDIRECTED:
        where = answer.headers.get("location", "").partition("?")[0][:200]
        return f"被要求转到 {where}，请改用那个地址 / redirected there; set that address"
    zh, _, en = _HINTS.get(answer.status, "").partition(" / ")
    said = _complaints(answer.body)
    return f"{zh}：{said} / {en}: {said}" if zh and said else said or (f"{zh} / {en}" if zh else "")


def _complaints(body: bytes) -> str:
    """What a tracking system itself says is wrong; nothing of pages for people."""
    try:
        said = json.loads(body)
    except ValueError:
        return ""
    found: list[str] = []
    if isinstance(said, dict):
        for key in ("errors", "errorMessages", "error_human", "error", "message"):
            _collect(said.get(key), found)
    else:
        _collect(said, found)
    return "；".join(dict.fromkeys(found))[:_MOST_SAID]


def _collect(value: Any, found: list[str]) -> None:
    if isinstance(value, str) and value.strip():
        found.append(" ".join(value.split()))
    elif isinstance(value, list):
        for one in value:
            _collect(one, found)
    elif isinstance(value, dict):
        for name, one in value.items():
            _collect(f"{name}: {one}" if isinstance(one, str) else one, found)


def cannot(said: str, code: OutcomeCode = OutcomeCode.CLIENT_ERROR) -> Trouble:
    """Something that the adapter itself finds wrong."""
    return Trouble(Outcome(code, None, 0.0, said))


@dataclass(frozen=True, slots=True)
class Case:
    """An event on its way into a ticket. `type` None: a test, about no complaint. `zone`: in which times are told to people."""

    type: EventType | None
    webhook_id: str
    data: Mapping[str, Any]
    zone: tzinfo = UTC

    @property
    def number(self) -> str:
        """The complaint's number."""
        return str(self.data.get("number", ""))

    @property
    def key(self) -> str:
        """One ticket for one key, however often we are told."""
        return str(self.data.get("idempotency_key", ""))

    @property
    def round(self) -> int:
        """Which handling it is about."""
        return int(self.data.get("round", 1))

    @property
    def has_ticket(self) -> bool:
        """Whether a ticket can be made of it."""
        return "matter" in self.data

    @property
    def priority(self) -> str:
        """How urgent, by our words; empty where it does not say."""
        return str(self.data.get("priority", ""))


def in_order(told: str, *, reopens: bool) -> str:
    """What a check says that found nothing wrong; also where the next round of a complaint would leave a ticket closed."""
    if reopens:
        return told
    zh, en = (
        "未设置重新处理的状态，已办结的工单届时仍是办结，只添加说明",
        "no state is set for the next round: a closed ticket stays closed then",
    )
    return f"{told}；{zh} / {told}; {en}"


def moment(spelt: str) -> datetime:
    """A time in ISO 8601 with its offset, in UTC. Raises `ValueError` for anything else."""
    return datetime.fromisoformat(spelt).astimezone(UTC)


def stamp(at: datetime) -> str:
    """A time to the second, as trackers ask for it and marks are kept: in UTC, with a Z."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_case(webhook_id: str, body: bytes, zone: tzinfo) -> Case:
    """The case of an event's payload."""
    payload = json.loads(body)
    kind = payload.get("type")
    return Case(EventType(kind) if kind in list(EventType) else None, webhook_id, payload.get("data", {}), zone)


@dataclass(frozen=True, slots=True)
class Found:
    """A ticket over there: its id, and where people look at it."""

    id: str
    url: str


@dataclass(frozen=True, slots=True)
class File:
    """A file for a ticket. `mark` is short, ours, and the same at each try."""

    id: str
    filename: str
    mime_type: str
    content: bytes

    @property
    def mark(self) -> str:
        """What it is known by over there."""
        return self.id[:12]


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened to a ticket: `status` is the system's own word where that changed; `text` words of a person.

    public:    whether the words are for the customer.
    own_round: of which round it is, where we wrote it; None for anybody else's.
    standing:  it says how the ticket stands now, not that this has changed just then.
    """

    id: str
    at: datetime
    by: str = ""
    status: str = ""
    text: str = ""
    public: bool = False
    sequence: int | None = None
    own_round: int | None = None
    standing: bool = False


@dataclass(frozen=True, slots=True)
class History:
    """What happened to a ticket, oldest first. `first`: its status before any of it."""

    changes: Sequence[Change]
    first: str = ""


@dataclass(frozen=True, slots=True)
class Updated:
    """Tickets that changed since a mark, by remote id, with what the listing says of each; and the newest mark."""

    ids: Sequence[str]
    mark: str
    told: Mapping[str, Any] = field(default_factory=dict)


class Adapter(Protocol):
    """One tracking system. Every method may raise `Trouble`; `line` is what it asks by."""

    def headers(self) -> Mapping[str, str]:
        """Of every request, with the key."""
        ...

    def check(self, line: Line) -> str:
        """Whether it can be written to as the settings say; a sentence."""
        ...

    def find(self, line: Line, case: Case) -> Found | None:
        """The ticket of this key, where there is one."""
        ...

    def create(self, line: Line, case: Case) -> Found:
        """Makes the ticket."""
        ...

    def said(self, line: Line, remote_id: str) -> Sequence[str]:
        """The texts of a ticket in which our marks may stand."""
        ...

    def note(self, line: Line, remote_id: str, case: Case, text: str) -> str:
        """Adds words, and changes what follows from the event. `text` ends with our mark. What could not be changed, else empty."""
        ...

    def attach(self, line: Line, remote_id: str, case: Case, files: Sequence[File]) -> Mapping[str, str]:
        """Adds files with a note that ends with their marks. By the file's id why one was refused; those that are there are not named."""
        ...

    def updated(self, line: Line, since: str) -> Updated:
        """Tickets that changed since a mark of its own."""
        ...

    def history(self, line: Line, remote_id: str, told: Any) -> History:
        """What happened to a ticket. `told`: what the listing said of it, None where it was not listed."""
        ...
