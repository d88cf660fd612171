"""The hall of the chat: its rooms, how lines and files are taken in, and the one watch that looks for news of all talks.

It knows no connection: the door gives it pages, each as a way to send to it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import secrets
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import anyio.to_thread

from connectors import chat_answers, chat_files
from connectors.base import Accept, Cursor, Now, TalkNow, Talks, Visitor
from connectors.chat_lines import MEDIA_TYPE, conversation_key, conversation_of
from connectors.chat_room import Counts, Room, Send, iso
from models.errors import JiesuError, Refused
from models.submission import Channel, Receipt, Submission

ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
TOPIC = re.compile(r"[a-z0-9]{0,8}")
# More complaints than these in one talk, and further lines join the last.
_MOST_TOPICS = 20
# How often the watch looks whether anything has happened, looks at every open talk all the same, and looks after those that are away.
_WATCH_SECONDS, _ALL_SECONDS, _AFTER_SECONDS = 1.0, 15.0, 30.0
# How long a line waits for the machine's answer to the one before it, and how soon that is tried again where the store is away.
_ANSWER_SECONDS, _ANSWER_AGAIN_SECONDS = 5.0, 1.0
# So many talks are refreshed at once, so that nothing else waits long for the store.
_REFRESHED_AT_ONCE = 200
_ANSWERED_AT_ONCE = 40
# How long the watch waits for pages that it tells something.
_TELLING_SECONDS = 0.2

# Everything that can be wrong with what a client sends: code → (Chinese, English).
ERRORS: Mapping[str, tuple[str, str]] = {
    "not_json": ("消息格式不对", "the message is not JSON"),
    "unknown_event": ("不认识的消息类型", "unknown type of message; hello, message, typing and seen are known"),
    "no_hello": ("请先发送 hello", "send hello first"),
    "second_hello": ("每个连接只发送一次 hello", "send hello once a connection"),
    "bad_id": ("消息缺少有效编号", "the message has no valid id (1 to 64 letters, digits, - or _)"),
    "bad_topic": ("topic 不对", "the topic is not valid (0 to 8 small letters or digits)"),
    "empty": ("消息是空的", "the message is empty"),
    "too_long": ("这一条太长了，请分几条发送", "this line is too long; please send it in parts"),
    "too_fast": ("发送太快了，请稍等片刻再发", "too fast; please wait a moment"),
    "try_later": ("暂时没能收下，页面会自动重发", "it could not be taken in just now; the page will send it again"),
    "too_many": ("当前对话太多，请稍后再来", "too many conversations at the moment; please come back later"),
    "too_many_new": ("这个网络新开的对话太多，请稍后再来", "too many new conversations from this network; please come back later"),
    "bad_identity": ("网站提供的身份签名不对，按未登录处理", "the site's signature of who you are is wrong; you are not known"),
    "identity_expired": ("网站提供的身份已过期，请刷新页面", "the site's word on who you are has expired; load the page anew"),
    "no_talk": ("对话令牌不对，请重新打开对话", "the conversation's token is wrong; open the chat anew"),
    "file_too_large": ("文件太大", "the file is too large"),
    "file_type": (
        "只能发送图片、PDF、Office 文档、音频或视频",
        "only pictures, PDF, Office documents, audio or video can be sent",
    ),
    "too_many_files": ("这个对话里的文件太多了", "too many files in this conversation"),
}


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """How the chat is set; the meaning of each is in docs/configuration.md, `[chat]`."""

    allowed_origins: Sequence[str] = ()
    max_line_chars: int = 4000
    max_lines_per_minute: int = 30
    max_lines_per_minute_of_address: int = 300
    max_new_per_hour_of_address: int = 60
    max_connections: int = 1000
    max_connections_per_address: int = 20
    idle_seconds: float = 1800
    max_upload_bytes: int = 10_485_760
    max_uploads: int = 20
    identity_secret: str = ""


class ChatRefused(Refused):
    """What a client asked for is not taken; the code stands in `ERRORS`."""

    def __init__(self, code: str) -> None:
        super().__init__(code, *ERRORS[code])


class Hall:
    """All talks that are open in this process."""

    def __init__(self, accept: Accept, talks: Talks, now: Now, options: ChatOptions) -> None:
        self._accept, self._talks, self.now, self.options = accept, talks, now, options
        self._rooms: dict[str, Room] = {}
        self._lines, self._new = Counts(60), Counts(3600)
        self._unanswered: set[str] = set()
        self._to_answer = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopped = False
        self._slow: set[asyncio.Future[None]] = set()

    def start(self) -> None:
        """Begins to watch; call it in the loop. A second call does nothing."""
        if not self._tasks:
            loop = asyncio.get_running_loop()
            self._tasks = [loop.create_task(self._answer()), loop.create_task(self._watch())]

    def stop(self) -> None:
        """Watches no more."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()
        for room in self._rooms.values():
            room.answered.set()

    # ---- Rooms ---------------------------------------------------------------------------------------------------------------------------

    async def enter(self, send: Send, token: str | None, visitor: Visitor, topics: Sequence[str]) -> tuple[str, Room, TalkNow]:
        """Lets a page into the room of its token; of a new one where the token is none, or somebody else's."""
        token = token or secrets.token_urlsafe(32)
        try:
            now = await anyio.to_thread.run_sync(self._talks.open, conversation_key(token), visitor, topics)
        except JiesuError:
            # The store is away: lines are refused for now, and what was said is told when it is back.
            now = TalkNow()
        if now is None:
            token, now = secrets.token_urlsafe(32), TalkNow()
        talk = conversation_key(token)
        room = self._rooms.get(talk)
        if room is None:
            room = self._rooms[talk] = Room(talk, visitor)
            room.opened(now)
        room.sends.add(send)
        return token, room, now

    def leave(self, room: Room, send: Send) -> None:
        """A page is gone; with the last one its room."""
        room.sends.discard(send)
        if not room.sends and self._rooms.get(room.talk) is room:
            del self._rooms[room.talk]

    def writes(self, talk: str) -> bool:
        """Whether the customer of a talk is writing, as far as this process knows."""
        room = self._rooms.get(talk)
        return room is not None and time.monotonic() < room.writes_until

    async def agent_writes(self, talk: str) -> None:
        """Tells the customer that somebody of our side is writing."""
        if talk in self._rooms:
            await self._rooms[talk].tell({"type": "typing"})

    # ---- Taking in -----------------------------------------------------------------------------------------------------------------------

    async def take(self, room: Room, address: str, submission: Submission, topic: str) -> Receipt:
        """Takes a line or a file in, in its turn, and lets the machine answer it. Raises `ChatRefused`."""
        if not room.begun and not self._new.allows(address, self.options.max_new_per_hour_of_address):
            raise ChatRefused("too_many_new")
        receipt = await anyio.to_thread.run_sync(self._accept, submission)
        room.took(receipt.number, topic)
        return receipt

    async def answered(self, room: Room, conversation: str) -> None:
        """Lets the machine answer; returns when it has, or when it takes too long."""
        if self._stopped:
            return
        room.answered.clear()
        self._unanswered.add(conversation)
        self._to_answer.set()
        try:
            await asyncio.wait_for(room.answered.wait(), _ANSWER_SECONDS)
        except TimeoutError:
            pass

    def may_send(self, token: str) -> bool:
        """Whether a talk of this token is open here: only then a file is worth reading."""
        return TOKEN.fullmatch(token) is not None and conversation_key(token) in self._rooms

    async def upload(self, token: str, client_id: str, name: str, topic: str, raw: bytes, address: str) -> Receipt:
        """Takes a file in, of whoever has the token. Raises `ChatRefused` and `TryLater`."""
        if not TOKEN.fullmatch(token):
            raise ChatRefused("no_talk")
        if not ID.fullmatch(client_id):
            raise ChatRefused("bad_id")
        if not TOPIC.fullmatch(topic):
            raise ChatRefused("bad_topic")
        if not raw:
            raise ChatRefused("empty")
        if len(raw) > self.options.max_upload_bytes:
            raise ChatRefused("file_too_large")
        kind = chat_files.type_of(raw)
        if kind is None:
            raise ChatRefused("file_type")
        talk = conversation_key(token)
        # Only where the page is connected: whoever has only guessed at a token has no room, and none is made for him.
        room = self._rooms.get(talk)
        if room is None:
            raise ChatRefused("no_talk")
        if not self._lines.allows(address, self.options.max_lines_per_minute_of_address):
            raise ChatRefused("too_fast")
        name = chat_files.shown_name(name)
        async with room.lock:
            kept = await anyio.to_thread.run_sync(self._talks.files, talk)
            if len(set(kept) - {client_id}) >= self.options.max_uploads:
                raise ChatRefused("too_many_files")
            submission = self._submission(room, client_id, topic, raw, kind, {"filename": name})
            receipt = await self.take(room, address, submission, topic)
            told = {"id": client_id, "text": name, "at": iso(submission.received_at), "topic": topic, "number": receipt.number}
            await room.tell({"type": "line", "file": True} | told)
            await self.answered(room, conversation_of(talk, topic))
        return receipt

    def _submission(self, room: Room, client_id: str, topic: str, raw: bytes, kind: str, envelope: Mapping[str, object]) -> Submission:
        who = {"estate": room.visitor.estate} if room.visitor.estate else {}
        who |= {key: value for key, value in (room.visitor.identity or {}).items() if key != "id"}
        # With the first line the talk is kept, as whose it is; so no line waits for a commit more than its own.
        told = {"door": "chat", "language": room.visitor.language, **envelope}
        if who:
            told["customer"] = who
        if room.visitor.identity:
            told["user"] = room.visitor.identity["id"]
        return Submission(Channel.CHAT, raw, kind, f"{room.talk}:{client_id}", self.now(), conversation_of(room.talk, topic), told)

    def line(self, room: Room, client_id: str, topic: str, text: str) -> Submission:
        """A line as it is handed in, with the question that stands open."""
        raw = dumps({"id": client_id, "text": text}).encode("utf-8", "surrogatepass")
        asked = {"asked": room.asked} if room.asked and topic == room.topic else {}
        return self._submission(room, client_id, topic, raw, MEDIA_TYPE, asked)

    def topic_of(self, room: Room, topic: str | None, text: str) -> str:
        """Which complaint of the talk a line belongs to: the one named, else the last; a new one where he says so and goes on."""
        known = {"", *room.topics}
        reading = chat_answers.read("", text)
        if reading.kind is chat_answers.Kind.ANOTHER and reading.value and (topic is None or topic in known):
            return next((str(n) for n in range(2, _MOST_TOPICS + 1) if str(n) not in known), room.topic)
        if topic is None or (topic not in known and len(known) >= _MOST_TOPICS):
            return room.topic
        return topic

    def may_write(self, room: Room, address: str) -> bool:
        """Whether a further line is not too fast, for its visitor and for his address; if so it is counted."""
        if within_a_minute(room.times) >= self.options.max_lines_per_minute:
            return False
        if not self._lines.allows(address, self.options.max_lines_per_minute_of_address):
            return False
        room.times.append(time.monotonic())
        return True

    # ---- News ----------------------------------------------------------------------------------------------------------------------------

    async def _answer(self) -> None:
        """Lets the machine answer, all that was taken in meanwhile at once."""
        while True:
            await self._to_answer.wait()
            self._to_answer.clear()
            # Not too many at once: what comes in meanwhile waits for the same store.
            some = set(itertools.islice(self._unanswered, _ANSWERED_AT_ONCE))
            self._unanswered -= some
            if self._unanswered:
                self._to_answer.set()
            try:
                moved = await anyio.to_thread.run_sync(self._talks.advance, some)
            except Exception:
                # The lines are safe. They are answered when the store is back, at the latest when the talk is opened again.
                self._unanswered |= some
                asyncio.get_running_loop().call_later(_ANSWER_AGAIN_SECONDS, self._to_answer.set)
                continue
            await self._tell(moved)
            for conversation in some:
                room = self._rooms.get(conversation.partition(".")[0])
                if room is not None:
                    room.answered.set()

    async def _tell(self, moved: Mapping[str, TalkNow]) -> None:
        rooms = [(self._rooms[talk], now) for talk, now in moved.items() if talk in self._rooms]
        telling = [asyncio.ensure_future(room.news(now)) for room, now in rooms]
        if telling:
            _, slow = await asyncio.wait(telling, timeout=_TELLING_SECONDS)
            # A page that does not read is told in its own time, and holds up nobody else.
            self._slow |= slow
            for task in slow:
                task.add_done_callback(self._slow.discard)

    async def _watch(self) -> None:
        """One look for all open talks: whether anything has happened at all, and only then to whom."""
        cursor: Cursor | None = None
        all_at, after_at = time.monotonic() + _ALL_SECONDS, time.monotonic() + _AFTER_SECONDS
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            try:
                first = cursor is None
                cursor, names = await anyio.to_thread.run_sync(self._talks.changed, cursor)
                if first or time.monotonic() >= all_at:
                    all_at = time.monotonic() + _ALL_SECONDS
                    names = {*names, *self._rooms}
                touched = [room for room in self._rooms.values() if room.begun and (room.talk in names or room.numbers & set(names))]
                for begin in range(0, len(touched), _REFRESHED_AT_ONCE):
                    part = {room.talk: room.last_said for room in touched[begin : begin + _REFRESHED_AT_ONCE]}
                    await self._tell(await anyio.to_thread.run_sync(self._talks.refresh, part))
                if time.monotonic() >= after_at:
                    after_at = time.monotonic() + _AFTER_SECONDS
                    await anyio.to_thread.run_sync(self._talks.look_after, [talk for talk, room in self._rooms.items() if room.begun])
            except Exception:  # noqa: S112 - the store is away for a moment; the next look finds what this one did not
                continue

    async def seen(self, room: Room, through: int) -> None:
        """The page has shown the answers up to this one."""
        if 0 < through <= room.last_answer:
            try:
                await anyio.to_thread.run_sync(self._talks.shown, room.talk, through)
            except JiesuError:
                # It is told again when the page is opened again.
                pass


def within_a_minute(times: deque[float]) -> int:
    """How many of the times are not older than a minute; the others are dropped."""
    now = time.monotonic()
    while times and now - times[0] > 60:
        times.popleft()
    return len(times)


def dumps(value: object) -> str:
    """As it is sent and kept: ASCII, so that half a character does no harm."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))
