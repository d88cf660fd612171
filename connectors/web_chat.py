"""The web chat: lines come over a WebSocket, each is ticked only after commit, and a talk can be resumed by its token.

The client sends `hello` (with the token it was given, if any) and `message` (with an id of its own, so that one sent again after a broken
connection is no second one). docs/chat.md has the whole protocol.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from connectors.base import Accept, Now, Talks, Visitor
from connectors.chat_hall import ERRORS, ID, TOKEN, TOPIC, ChatOptions, ChatRefused, Hall, dumps, within_a_minute
from connectors.chat_identity import verified
from connectors.chat_lines import MEDIA_TYPE, conversation_key, conversation_of, parse, read_line
from connectors.chat_room import Room, entry_json, iso, network_of, standing_json
from models.errors import Refused

__all__ = ["MEDIA_TYPE", "ChatDoor", "ChatOptions", "ChatRefused", "conversation_key", "parse", "read_line"]

# A client that does not take what is sent to it within so many seconds is cut off (threats: row 17).
_SLOW_READER_SECONDS = 10
_HELLO_SECONDS = 15
# More frames than these, whatever they hold, and the other side is no customer (threats: row 17).
_FRAMES_PER_MINUTE, _FRAMES_PER_LINE = 60, 4
# How much of a talk is told when it is resumed. What the page misses it sends again, and is told that we have it.
_MOST_LINES_TOLD = 500
# Longest name of an estate that a page says it is about.
_MOST_ESTATE = 60
# For how long a customer who pressed a key is taken to be writing.
_WRITES_SECONDS = 6.0


class ChatDoor(Hall):
    """Serves chats. One object a process; it counts who is connected, and one watch looks for news of all of them."""

    def __init__(self, accept: Accept, talks: Talks, now: Now, options: ChatOptions) -> None:
        super().__init__(accept, talks, now, options)
        self._by_address: Counter[str] = Counter()
        self._open: set[_Connection] = set()

    def origin_allowed(self, origin: str | None, host: str | None) -> bool:
        """Whether a page of this origin may open a chat: our own, or one that the settings name. No origin: no browser, allowed."""
        if origin is None:
            return True
        if origin.lower() in {allowed.lower().rstrip("/") for allowed in self.options.allowed_origins}:
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
        self.start()
        address = network_of(websocket.client.host if websocket.client else "")
        await websocket.accept()
        full = self._by_address.total() >= self.options.max_connections
        if full or self._by_address[address] >= self.options.max_connections_per_address:
            await websocket.send_text(dumps(_error("too_many")))
            await websocket.close(1013)
            return
        self._by_address[address] += 1
        connection = _Connection(self, websocket, address)
        self._open.add(connection)
        try:
            await connection.run()
        finally:
            self._open.discard(connection)
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]

    async def close(self) -> None:
        """Tells every open chat to come back (1012, service restart)."""
        self.stop()
        await asyncio.gather(*(connection.end(1012) for connection in list(self._open)), return_exceptions=True)


@dataclass(eq=False, slots=True)
class _Connection:
    door: ChatDoor
    websocket: WebSocket
    address: str
    room: Room | None = None
    frames: deque[float] = field(default_factory=deque)

    async def run(self) -> None:
        begun = time.monotonic()
        options = self.door.options
        try:
            while True:
                # Whatever comes instead of hello does not prolong the wait for it.
                wait = options.idle_seconds if self.room else begun + _HELLO_SECONDS - time.monotonic()
                async with asyncio.timeout(wait):
                    text = await self._receive()
                if within_a_minute(self.frames) >= _FRAMES_PER_MINUTE + _FRAMES_PER_LINE * options.max_lines_per_minute:
                    await self.send(_error("too_fast"))
                    await self.end(1008)
                    return
                self.frames.append(time.monotonic())
                await self._hear(text)
        except TimeoutError:
            await self.end(1001 if self.room else 1008)
        except WebSocketDisconnect:
            pass
        finally:
            if self.room is not None:
                self.door.leave(self.room, self.send)

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

    async def send(self, what: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(_SLOW_READER_SECONDS):
                await self.websocket.send_text(dumps(what))
        except TimeoutError:
            await self.end(1013)
            raise WebSocketDisconnect(1013) from None
        except (RuntimeError, OSError):
            raise WebSocketDisconnect(1006) from None

    async def _hear(self, text: str) -> None:
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            await self.send(_error("not_json"))
            return
        match event.get("type"):
            case "hello" if self.room:
                await self.send(_error("second_hello"))
            case "hello":
                await self._hello(event)
            case "message" | "typing" | "seen" if not self.room:
                await self.send(_error("no_hello", event.get("id")))
            case "message":
                await self._message(event)
            case "typing":
                assert self.room  # noqa: S101 - the case above
                self.room.writes_until = time.monotonic() + _WRITES_SECONDS
            case "seen":
                assert self.room  # noqa: S101 - the case above
                through = event.get("through")
                await self.door.seen(self.room, through if isinstance(through, int) and through < 1 << 53 else 0)
            case _:
                await self.send(_error("unknown_event", event.get("id")))

    async def _hello(self, event: dict[str, Any]) -> None:
        token, topics = event.get("token"), event.get("topics")
        token = token if isinstance(token, str) and TOKEN.fullmatch(token) else None
        some = [one for one in topics if isinstance(one, str) and TOPIC.fullmatch(one)][:20] if isinstance(topics, list) else []
        identity, wrong = self._identity(event.get("identity"))
        estate = event.get("estate")
        visitor = Visitor(
            "en" if event.get("lang") == "en" else "zh",
            identity,
            estate[:_MOST_ESTATE] if isinstance(estate, str) else "",
        )
        token, self.room, now = await self.door.enter(self.send, token, visitor, some)
        mine = [entry for entry in now.entries if entry.kind in ("line", "file")]
        others = [entry for entry in now.entries if entry.kind not in ("line", "file")]
        await self.send(
            {
                "type": "welcome",
                "token": token,
                "lines": [entry_json(entry) for entry in mine[-_MOST_LINES_TOLD:]],
                "told": [{"kind": entry.kind} | entry_json(entry) for entry in others[-_MOST_LINES_TOLD:]],
                "complaints": [standing_json(standing) for standing in now.standings],
                "asked": now.asked,
                "topic": now.topic,
                "agent": now.agent,
                "known": bool(visitor.identity),
            }
        )
        if wrong:
            # He is welcome all the same, as nobody that we know.
            await self.send(_error(wrong))

    def _identity(self, told: object) -> tuple[dict[str, str] | None, str | None]:
        """Who the site says that he is; nobody where it says nothing, or signs it wrongly, with the code of what is wrong."""
        if not told:
            return None, None
        secret = self.door.options.identity_secret
        if not secret or not isinstance(told, str):
            return None, "bad_identity"
        try:
            return verified(secret, told, self.door.now()), None
        except Refused as error:
            return None, error.code

    async def _message(self, event: dict[str, Any]) -> None:
        room = self.room
        assert room  # noqa: S101 - nothing is heard before hello
        client_id, text, topic = event.get("id"), event.get("text"), event.get("topic")
        if not isinstance(client_id, str) or not ID.fullmatch(client_id):
            await self.send(_error("bad_id"))
            return
        if topic is not None and not (isinstance(topic, str) and TOPIC.fullmatch(topic)):
            await self.send(_error("bad_topic", client_id))
            return
        wrong = self._wrong_with(room, text)
        if wrong:
            await self.send(_error(wrong, client_id))
            return
        async with room.lock:
            where = self.door.topic_of(room, topic, str(text))
            submission = self.door.line(room, client_id, where, str(text))
            try:
                receipt = await self.door.take(room, self.address, submission, where)
            except ChatRefused as refused:
                await self.send(_error(refused.code, client_id))
                return
            except Exception:
                # Also a bug of ours, of which acceptance itself has told: the line was not taken in, and the page sends it again.
                await self.send(_error("try_later", client_id))
                return
            if receipt.duplicate:
                # It belongs to where it was taken in first.
                where = next((one.topic for one in room.standings.values() if one.number == receipt.number), where)
            at = iso(submission.received_at)
            await self.send({"type": "ack", "id": client_id, "number": receipt.number, "topic": where, "at": at})
            line = {"type": "line", "id": client_id, "text": text, "at": at, "topic": where, "number": receipt.number}
            await room.tell(line, but=self.send)
            await self.door.answered(room, conversation_of(room.talk, where))

    def _wrong_with(self, room: Room, text: object) -> str | None:
        """The code of what is wrong with a line; None when nothing is."""
        if not isinstance(text, str) or not text.strip():
            return "empty"
        if len(text) > self.door.options.max_line_chars:
            return "too_long"
        return None if self.door.may_write(room, self.address) else "too_fast"


def _error(code: str, client_id: object = None) -> dict[str, Any]:
    zh, en = ERRORS[code]
    told: dict[str, Any] = {"type": "error", "code": code, "zh": zh, "en": en}
    if isinstance(client_id, str) and ID.fullmatch(client_id):
        told["id"] = client_id
    return told
