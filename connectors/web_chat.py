"""The web chat: lines come over a WebSocket, each is ticked only after commit, and a conversation can be resumed by its token.

The client sends `hello` (with the token it was given, if any) and `message` (with an id of its own, so that one sent again after a broken
connection is no second one). It is told `welcome`, `ack`, `status` and `error`. docs/chat.md has the whole protocol.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import anyio.to_thread
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from connectors.base import Accept, ChatRecords, Line, Now, Standing
from models.complaint import Parsed
from models.errors import JiesuError, Unreadable
from models.submission import Channel, Submission

MEDIA_TYPE = "application/vnd.jiesu.chat+json"
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
# A client that does not take what is sent to it within so many seconds is cut off (threats: row 17).
_SLOW_READER_SECONDS = 10
_HELLO_SECONDS = 15
# More frames than these, whatever they hold, and the other side is no customer (threats: row 17).
_FRAMES_PER_MINUTE, _FRAMES_PER_LINE = 20, 4
# How much of a conversation is told when it is resumed. What the page misses it sends again, and is told that we have it.
_MOST_LINES_TOLD = 500
# How often an open chat looks where its complaint stands: soon after a line, and later now and then.
_STANDING_SECONDS, _STANDING_LATER_SECONDS, _STANDING_SOON = 1.0, 15.0, 120.0

# Everything that can be wrong with what a client sends: code → (Chinese, English).
_ERRORS = {
    "not_json": ("消息格式不对", "the message is not JSON"),
    "unknown_event": ("不认识的消息类型", "unknown type of message; hello and message are known"),
    "no_hello": ("请先发送 hello", "send hello first"),
    "second_hello": ("每个连接只发送一次 hello", "send hello once a connection"),
    "bad_id": ("消息缺少有效编号", "the message has no valid id (1 to 64 letters, digits, - or _)"),
    "empty": ("消息是空的", "the message is empty"),
    "too_long": ("这一条太长了，请分几条发送", "this line is too long; please send it in parts"),
    "too_fast": ("发送太快了，请稍等片刻再发", "too fast; please wait a moment"),
    "try_later": ("暂时没能收下，页面会自动重发", "it could not be taken in just now; the page will send it again"),
    "too_many": ("当前对话太多，请稍后再来", "too many conversations at the moment; please come back later"),
}


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """How the chat is set; the meaning of each is in docs/configuration.md, `[chat]`."""

    allowed_origins: Sequence[str] = ()
    max_line_chars: int = 4000
    max_lines_per_minute: int = 30
    max_connections: int = 1000
    max_connections_per_address: int = 20
    idle_seconds: float = 1800


class ChatDoor:
    """Serves chats. One object a process; it counts who is connected."""

    def __init__(self, accept: Accept, records: ChatRecords, now: Now, options: ChatOptions) -> None:
        self._accept, self._records, self._now, self._options = accept, records, now, options
        self._by_address: Counter[str] = Counter()
        self._open: set[_Conversation] = set()

    def origin_allowed(self, origin: str | None, host: str | None) -> bool:
        """Whether a page of this origin may open a chat: our own, or one that the settings name. No origin: no browser, allowed."""
        if origin is None:
            return True
        if origin.lower() in {allowed.lower().rstrip("/") for allowed in self._options.allowed_origins}:
            return True
        try:
            return bool(host) and urlsplit(origin).netloc.lower() == str(host).lower()
        except ValueError:
            return False

    async def serve(self, websocket: WebSocket) -> None:
        """One connection, from handshake to end."""
        if not self.origin_allowed(websocket.headers.get("origin"), websocket.headers.get("host")):
            # Closed before it is accepted: the server answers 403.
            await websocket.close()
            return
        address = websocket.client.host if websocket.client else ""
        await websocket.accept()
        full = self._by_address.total() >= self._options.max_connections
        if full or self._by_address[address] >= self._options.max_connections_per_address:
            await websocket.send_text(_dumps(_error("too_many")))
            await websocket.close(1013)
            return
        self._by_address[address] += 1
        conversation = _Conversation(self, websocket)
        self._open.add(conversation)
        try:
            await conversation.run()
        finally:
            self._open.discard(conversation)
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]

    async def close(self) -> None:
        """Tells every open chat to come back (1012, service restart)."""
        await asyncio.gather(*(conversation.end(1012) for conversation in list(self._open)), return_exceptions=True)


@dataclass(eq=False, slots=True)
class _Conversation:
    door: ChatDoor
    websocket: WebSocket
    key: str = ""
    times: deque[float] = field(default_factory=deque)
    frames: deque[float] = field(default_factory=deque)
    last_standing: Standing | None = None
    watching: asyncio.Task[None] | None = None

    async def run(self) -> None:
        begun = time.monotonic()
        try:
            while True:
                # Whatever comes instead of hello does not prolong the wait for it.
                wait = self.door._options.idle_seconds if self.key else begun + _HELLO_SECONDS - time.monotonic()
                text = await asyncio.wait_for(self._receive(), wait)
                if _within_a_minute(self.frames) >= _FRAMES_PER_MINUTE + _FRAMES_PER_LINE * self.door._options.max_lines_per_minute:
                    await self._send(_error("too_fast"))
                    await self.end(1008)
                    return
                self.frames.append(time.monotonic())
                await self._answer(text)
        except TimeoutError:
            await self.end(1001 if self.key else 1008)
        except WebSocketDisconnect:
            pass
        finally:
            if self.watching is not None:
                self.watching.cancel()

    async def end(self, code: int) -> None:
        if self.websocket.application_state is WebSocketState.CONNECTED:
            try:
                await asyncio.wait_for(self.websocket.close(code), 2)
            except (TimeoutError, RuntimeError, OSError):
                pass

    async def _receive(self) -> str:
        message = await self.websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1000))
        text = message.get("text")
        return text if isinstance(text, str) else ""

    async def _send(self, what: dict[str, Any]) -> None:
        try:
            await asyncio.wait_for(self.websocket.send_text(_dumps(what)), _SLOW_READER_SECONDS)
        except TimeoutError:
            await self.end(1013)
            raise WebSocketDisconnect(1013) from None
        except (RuntimeError, OSError):
            raise WebSocketDisconnect(1006) from None

    async def _answer(self, text: str) -> None:
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            await self._send(_error("not_json"))
            return
        match event.get("type"):
            case "hello" if self.key:
                await self._send(_error("second_hello"))
            case "hello":
                await self._hello(event)
            case "message" if self.key:
                await self._message(event)
            case "message":
                await self._send(_error("no_hello", event.get("id")))
            case _:
                await self._send(_error("unknown_event", event.get("id")))

    async def _hello(self, event: dict[str, Any]) -> None:
        token = event.get("token")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            token = secrets.token_urlsafe(32)
        self.key = conversation_key(token)
        try:
            lines: Sequence[Line] = await anyio.to_thread.run_sync(self.door._records.lines, self.key)
        except JiesuError:
            lines = ()
        told = [{"id": line.client_id, "text": line.text, "at": _iso(line.at)} for line in lines[-_MOST_LINES_TOLD:]]
        await self._send({"type": "welcome", "token": token, "lines": told})
        self.last_standing = None
        if lines:
            self._watch()

    async def _message(self, event: dict[str, Any]) -> None:
        client_id, text = event.get("id"), event.get("text")
        if not isinstance(client_id, str) or not _ID.fullmatch(client_id):
            await self._send(_error("bad_id"))
            return
        wrong = self._wrong_with(text)
        if wrong:
            await self._send(_error(wrong, client_id))
            return
        now = self.door._now()
        raw = _dumps({"id": client_id, "text": text}).encode("utf-8", "surrogatepass")
        submission = Submission(
            channel=Channel.CHAT,
            raw=raw,
            media_type=MEDIA_TYPE,
            source_key=f"{self.key}:{client_id}",
            received_at=now,
            conversation=self.key,
            envelope={"door": "chat"},
        )
        try:
            receipt = await anyio.to_thread.run_sync(self.door._accept, submission)
        except Exception:
            # Also a bug of ours, of which acceptance itself has told: the line was not taken in, and the page sends it again.
            await self._send(_error("try_later", client_id))
            return
        await self._send({"type": "ack", "id": client_id, "number": receipt.number, "at": _iso(now)})
        self._watch()

    def _wrong_with(self, text: object) -> str | None:
        """The code of what is wrong with a line; None when nothing is."""
        if not isinstance(text, str) or not text.strip():
            return "empty"
        if len(text) > self.door._options.max_line_chars:
            return "too_long"
        if _within_a_minute(self.times) >= self.door._options.max_lines_per_minute:
            return "too_fast"
        self.times.append(time.monotonic())
        return None

    def _watch(self) -> None:
        # A new line wakes a watch that sleeps long.
        if self.watching is not None:
            self.watching.cancel()
        self.watching = asyncio.get_running_loop().create_task(self._tell_standing())

    async def _tell_standing(self) -> None:
        """Tells the customer when his complaint has been given to a department, and when that changes."""
        while True:
            try:
                standing = await anyio.to_thread.run_sync(self.door._records.standing, self.key)
            except JiesuError:
                standing = None
            if standing is not None and standing.klass and standing != self.last_standing:
                self.last_standing = standing
                try:
                    await self._send(_told(standing))
                except WebSocketDisconnect:
                    return
            soon = bool(self.times) and time.monotonic() - self.times[-1] < _STANDING_SOON
            await asyncio.sleep(_STANDING_SECONDS if soon else _STANDING_LATER_SECONDS)


def _within_a_minute(times: deque[float]) -> int:
    """How many of the times are not older than a minute; the others are dropped."""
    now = time.monotonic()
    while times and now - times[0] > 60:
        times.popleft()
    return len(times)


def _told(standing: Standing) -> dict[str, Any]:
    return {
        "type": "status",
        "number": standing.number,
        "state": standing.state,
        "class": standing.klass,
        "class_zh": standing.klass_zh,
        "department": standing.department,
        "department_en": standing.department_en,
        "reply_due": _iso(standing.reply_due) if standing.reply_due else None,
        "review": standing.review,
    }


def conversation_key(token: str) -> str:
    """What the store knows of a token: its hash, so that a reader of the store cannot take a conversation over."""
    return hashlib.sha256(token.encode()).hexdigest()


def parse(submission: Submission) -> Parsed:
    """The line inside a chat submission. Raises Unreadable when the bytes are not ours."""
    line = read_line(submission.raw)
    return Parsed(title="", said=line["text"], text=line["text"], details={"client_id": line["id"]})


def read_line(raw: bytes) -> dict[str, str]:
    """`id` and `text` of a line as it was kept."""
    try:
        line = json.loads(raw)
        return {"id": str(line["id"]), "text": str(line["text"])}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Unreadable("no_chat_line", "不是对话消息：缺少 id 或 text", "is no chat line: id or text is missing") from None


def _error(code: str, client_id: object = None) -> dict[str, Any]:
    zh, en = _ERRORS[code]
    told: dict[str, Any] = {"type": "error", "code": code, "zh": zh, "en": en}
    if isinstance(client_id, str) and _ID.fullmatch(client_id):
        told["id"] = client_id
    return told


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def _iso(at: Any) -> str:
    return str(at.isoformat(timespec="milliseconds")).replace("+00:00", "Z")
