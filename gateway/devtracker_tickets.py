"""What the development tracker knows: the events on disk, the tickets they make, whose signature is true, and how it is told to fail.

Nothing here is shared with the sender, so that a mistake in one is found by the other. Served by `gateway/devtracker.py`.
"""

from __future__ import annotations

import asyncio
import base64
import fcntl
import hashlib
import hmac
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers

from models.errors import BadSetting, Refused, TryLater, Unreadable

_TOLERANCE_SECONDS = 300
_CHINA = timezone(timedelta(hours=8))
_WEBHOOK_ID = re.compile(r"[\x21-\x7e]{1,200}")
# How it can be told to answer a true event. `lose` keeps the event and then cuts the connection; `hang` keeps nothing and never answers.
MODES = ("ok", "500", "429", "410", "302", "400", "hang", "lose")


@dataclass(frozen=True, slots=True)
class Kept:
    """One event as it was kept. `order` counts from 1 as they came in; `body` is the exact text that was signed."""

    order: int
    webhook_id: str
    received_at: str
    body: str

    @property
    def payload(self) -> dict[str, Any]:
        """The event, read."""
        return dict(json.loads(self.body))

    def line(self) -> str:
        """Its line in the log."""
        return json.dumps({"order": self.order, "webhook_id": self.webhook_id, "received_at": self.received_at, "body": self.body}) + "\n"

    def shown(self) -> dict[str, Any]:
        """It as JSON for those who look."""
        return {"order": self.order, "webhook_id": self.webhook_id, "received_at": self.received_at, "payload": self.payload}


class EventLog:
    """The append-only file of events, one JSON object a line, held by one tracker at a time.

    Opening it raises `BadSetting` when the folder cannot be used, another tracker has it, or a line other than the last is damaged.
    A last line that a crash left half written was never acknowledged; it is cut off.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / "events.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            _sync(folder)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise BadSetting("folder", f"已有一个工单系统在使用 {folder}", f"a tracker is already using {folder}") from None
        except OSError as error:
            raise BadSetting("folder", f"无法使用 {folder}（{error.strerror}）", f"{folder} cannot be used ({error.strerror})") from None
        self.kept: list[Kept] = []
        self._size = 0
        lines = path.read_bytes().splitlines(keepends=True)
        for number, line in enumerate(lines, 1):
            try:
                kept = Kept(**json.loads(line))
                read_event(kept.body)
                whole = line.endswith(b"\n")
            except (ValueError, TypeError, AttributeError, Unreadable):
                whole = False
            if whole:
                self.kept.append(kept)
                self._size += len(line)
            elif number < len(lines):
                os.close(self._file)
                raise BadSetting(
                    "folder", f"{path} 第 {number} 行已损坏；请移走此文件", f"{path}, line {number}, is damaged; move the file away"
                )
        os.ftruncate(self._file, self._size)

    def append(self, events: Sequence[Kept]) -> None:
        """Writes them and returns when they are on disk. Raises `TryLater` when they cannot be; then none is in the file."""
        data = "".join(event.line() for event in events).encode()
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._file, view) :]
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, self._size)
            raise TryLater("not_kept", f"写不进去（{error.strerror}）", f"it cannot be written ({error.strerror})") from None
        self._size += len(data)

    def close(self) -> None:
        """Gives the file free."""
        os.close(self._file)


@dataclass(slots=True)
class Failing:
    """How it is told to answer: in which mode, for how many events more (None: until told otherwise), with which Retry-After."""

    mode: str = "ok"
    times: int | None = None
    retry_after: float | None = None

    def next(self) -> tuple[str, float | None]:
        """Mode and Retry-After for this event, which is counted."""
        told = self.mode, self.retry_after
        if self.times is not None:
            self.times -= 1
            if self.times == 0:
                self.mode, self.times, self.retry_after = "ok", None, None
        return told

    def shown(self) -> dict[str, Any]:
        """It as JSON."""
        return {"mode": self.mode, "times": self.times, "retry_after": self.retry_after}


@dataclass(slots=True)
class Tickets:
    """What the tracker knows. One ticket for one idempotency key; the event that came last tells how it stands."""

    log: EventLog
    failing: Failing = field(default_factory=Failing)
    events: list[Kept] = field(default_factory=list)
    by_key: dict[str, list[Kept]] = field(default_factory=dict)
    repeats: int = 0
    _ids: set[str] = field(default_factory=set)
    _coming: dict[str, tuple[Kept, asyncio.Future[None]]] = field(default_factory=dict)
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        for kept in self.log.kept:
            self._add(kept)

    async def keep(self, webhook_id: str, received_at: str, body: str) -> bool:
        """Keeps an event, on disk when this returns; False when it was there already. Raises `TryLater` when it cannot be written."""
        if webhook_id in self._ids:
            self.repeats += 1
            return False
        new = webhook_id not in self._coming
        if new:
            # Its place in the order is given when it is written, because a write that fails leaves no place behind.
            self._coming[webhook_id] = (Kept(0, webhook_id, received_at, body), asyncio.get_running_loop().create_future())
        _, done = self._coming[webhook_id]
        # Events that come while one write is under way are written together by the next: an fsync costs the same for many.
        async with self._writing:
            if not done.done():
                await self._write(list(self._coming.values()))
        done.result()
        self.repeats += not new
        return new

    async def _write(self, batch: Sequence[tuple[Kept, asyncio.Future[None]]]) -> None:
        events = [replace(kept, order=order) for order, (kept, _) in enumerate(batch, len(self.events) + 1)]
        try:
            await asyncio.to_thread(self.log.append, events)
        except TryLater as error:
            for kept, done in batch:
                del self._coming[kept.webhook_id]
                done.set_exception(error)
            return
        for event, (_, done) in zip(events, batch, strict=True):
            self._add(event)
            del self._coming[event.webhook_id]
            done.set_result(None)

    def _add(self, kept: Kept) -> None:
        self.events.append(kept)
        self._ids.add(kept.webhook_id)
        self.by_key.setdefault(kept.payload["data"]["idempotency_key"], []).append(kept)

    def shown(self, key: str) -> dict[str, Any]:
        """A ticket as JSON: the newest state, and how it came about. Raises KeyError when there is none."""
        history = self.by_key[key]
        # What tells only that it was received, classified or closed carries no ticket.
        newest = next((kept.payload for kept in reversed(history) if "department" in kept.payload["data"]), history[-1].payload)
        return {
            "number": str(newest["data"].get("number") or key),
            "idempotency_key": key,
            "type": newest.get("type"),
            "events": len(history),
            "webhook_ids": [kept.webhook_id for kept in history],
            "first_received_at": history[0].received_at,
            "last_received_at": history[-1].received_at,
            "ticket": newest["data"],
        }


def secret_key(secret: str) -> bytes:
    """The key inside `whsec_…`. Raises `BadSetting` when it is not the base64 of 24 to 64 bytes (Standard Webhooks 1.0.0)."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise BadSetting("secret", "应为 whsec_ 加 24 至 64 字节的 base64", "must be whsec_ and the base64 of 24 to 64 bytes")
    return key


def verify(key: bytes, headers: Headers, body: bytes, now: float) -> str:
    """The webhook-id of a request that is truly signed, and not longer ago than five minutes. Raises `Refused`, and nothing else."""
    webhook_id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not _WEBHOOK_ID.fullmatch(webhook_id):
        raise Refused("bad_id", "缺少有效的 webhook-id", "webhook-id is missing or malformed")
    if not re.fullmatch(r"[0-9]{1,12}", stamp):
        raise Refused("bad_timestamp", "webhook-timestamp 应为整数秒", "webhook-timestamp must be whole seconds")
    if abs(now - int(stamp)) > _TOLERANCE_SECONDS:
        raise Refused("stale", "webhook-timestamp 与本机时间相差超过 5 分钟", "webhook-timestamp is more than 5 minutes off")
    signed = b"%s.%s.%s" % (webhook_id.encode(), stamp.encode(), body)
    expected = b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    # Every signature is compared, whole and in constant time: a header may carry several while secrets are changed.
    given = headers.get("webhook-signature", "").encode("latin-1").split(b" ")
    if not sum(hmac.compare_digest(expected, one) for one in given):
        raise Refused("bad_signature", "签名不符", "no signature matches")
    return webhook_id


def is_test(text: str) -> bool:
    """Whether it is the test of an endpoint, which is about no complaint."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(told, dict) and told.get("type") == "endpoint.test"


def read_event(text: str) -> dict[str, Any]:
    """An event's payload. Raises `Unreadable` with what is wrong with it."""
    try:
        payload = json.loads(text)
        # Python reads NaN and 1e999, which are no JSON and could not be shown to a browser.
        json.dumps(payload, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise Unreadable("not_json", f"不是有效的 JSON（{error}）", f"is not valid JSON ({error})") from None
    data = payload.get("data") if isinstance(payload, dict) else None
    if not isinstance(payload, dict) or not isinstance(payload.get("type"), str) or not isinstance(data, dict):
        raise Unreadable("no_event", "应为含 type 和 data 的对象", "must be an object with type and data")
    idempotency_key = data.get("idempotency_key")
    if not isinstance(idempotency_key, str) or not 0 < len(idempotency_key) <= 200:
        raise Unreadable("no_key", "缺少 data.idempotency_key", "data.idempotency_key is missing")
    return payload


def read_failing(text: str) -> Failing:
    """What `POST /fail` asks for. Raises `Unreadable` with what is wrong with it."""
    try:
        asked = json.loads(text)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict) or asked.get("mode") not in MODES or asked.keys() - {"mode", "times", "retry_after"}:
        raise Unreadable("bad_mode", f"mode 应为 {'、'.join(MODES)} 之一", f"mode must be one of {', '.join(MODES)}")
    times, wait = asked.get("times"), asked.get("retry_after")
    if times is not None and (type(times) is not int or times < 1):
        raise Unreadable("bad_times", "times 应为正整数或 null", "times must be a whole number above 0, or null")
    if wait is not None and (type(wait) not in (int, float) or not 0 <= wait <= 86_400):
        raise Unreadable("bad_wait", "retry_after 应为 0 至 86400 秒或 null", "retry_after must be 0 to 86400 seconds, or null")
    return Failing(asked["mode"], None if asked["mode"] == "ok" else times, wait)


def row(shown: dict[str, Any]) -> dict[str, Any]:
    """A ticket as the page shows it; whatever has another shape than ours is left out there and still seen in the whole JSON."""
    data = shown["ticket"]
    risk, customer, department = data.get("risk"), data.get("customer"), data.get("department")
    words = ("number", "channel", "class", "class_name", "decision", "priority", "title", "summary")
    return {
        **{word: data[word] for word in words if isinstance(data.get(word), str)},
        "number": shown["number"],
        "events": shown["events"],
        "risk": [one for one in risk if isinstance(one, str)] if isinstance(risk, list) else [],
        "customer": [one for one in customer.values() if isinstance(one, str)] if isinstance(customer, dict) else [],
        "department": department.get("name") if isinstance(department, dict) else department,
        "due": _in_china(data.get("reply_due")),
        "received": _in_china(shown["first_received_at"]),
        "whole": json.dumps(data, ensure_ascii=False, indent=2),
    }


def _in_china(at: object) -> str:
    try:
        return datetime.fromisoformat(str(at)).astimezone(_CHINA).strftime("%m-%d %H:%M")
    except (ValueError, OverflowError):
        return ""


def _sync(folder: Path) -> None:
    """A new file is safe only when its folder is on disk too."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
