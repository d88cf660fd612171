"""Rooms of the chat: what all connections of one talk share, how much anybody may do, and how the rooms' pages are told."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connectors.base import Entry, Standing, TalkNow, Visitor

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Counts:
    """How often each key did something within the last `seconds`; the keys that were silent longest are forgotten first."""

    def __init__(self, seconds: float, most_keys: int = 20_000) -> None:
        self._seconds, self._most_keys = seconds, most_keys
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def allows(self, key: str, most: int) -> bool:
        """Whether this key may do it once more now; if so that is counted."""
        now = time.monotonic()
        times = self._times.setdefault(key, deque())
        self._times.move_to_end(key)
        while times and now - times[0] > self._seconds:
            times.popleft()
        if len(self._times) > self._most_keys:
            self._times.popitem(last=False)
        if len(times) >= most:
            return False
        times.append(now)
        return True


def network_of(host: str) -> str:
    """Who counts as one address: of IPv6 the network that one household has."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64))) if isinstance(address, ipaddress.IPv6Address) else host


@dataclass(eq=False, slots=True)
class Room:
    """One talk with all its connections here.

    One line is taken in after the other, also from two tabs, so that each is read by the question that stood open.
    """

    talk: str
    visitor: Visitor
    sends: set[Send] = field(default_factory=set)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    telling: asyncio.Lock = field(default_factory=asyncio.Lock)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    times: deque[float] = field(default_factory=deque)
    begun: bool = False
    asked: str = ""
    topic: str = ""
    agent: str = ""
    topics: tuple[str, ...] = ()
    numbers: frozenset[str] = frozenset()
    standings: dict[str, Standing] = field(default_factory=dict)
    last_said: int = 0
    last_answer: int = 0
    # Until when somebody writes (monotonic seconds): the customer, for staff to see.
    writes_until: float = 0.0

    def opened(self, now: TalkNow) -> None:
        """What is known of the talk when the first connection opens it."""
        self._place(now)
        self.standings = {one.number: one for one in now.standings}
        self.numbers = frozenset(self.standings)
        for entry in now.entries:
            self._count(entry)

    def took(self, number: str, topic: str) -> None:
        """A line was taken in under this number."""
        self.begun, self.topic = True, topic
        self.numbers |= {number}

    async def news(self, now: TalkNow) -> None:
        """Tells every page of the room what is new to it."""
        async with self.telling:
            for told in self._fresh(now):
                await self.tell(told)

    def _fresh(self, now: TalkNow) -> Iterable[dict[str, Any]]:
        before = self.agent
        self._place(now)
        if before != self.agent:
            yield {"type": "agent", "name": self.agent}
        for entry in sorted(now.entries, key=lambda entry: (entry.at, _number(entry))):
            if self._count(entry):
                open_ = {"open": self.asked} if entry.kind == "say" else {}
                yield {"type": entry.kind} | entry_json(entry) | open_
        for standing in now.standings:
            if standing.klass and standing != self.standings.get(standing.number):
                self.standings[standing.number] = standing
                yield {"type": "status"} | standing_json(standing)

    def _place(self, now: TalkNow) -> None:
        self.asked, self.topic, self.agent, self.topics = now.asked, now.topic, now.agent, tuple(now.topics)
        self.begun = self.begun or bool(now.topics)

    def _count(self, entry: Entry) -> bool:
        """Whether the entry is new; then it is not next time."""
        number = _number(entry)
        if entry.kind == "say" and number > self.last_said:
            self.last_said = number
            return True
        if entry.kind == "answer" and number > self.last_answer:
            self.last_answer = number
            return True
        return False

    async def tell(self, what: dict[str, Any], but: Send | None = None) -> None:
        """Sends the same to every page of the room."""
        others = [send for send in self.sends if send != but]
        if len(others) == 1:
            # Mostly there is one page, which needs no task of its own.
            with contextlib.suppress(Exception):
                await others[0](what)
        elif others:
            await asyncio.gather(*(send(what) for send in others), return_exceptions=True)


def _number(entry: Entry) -> int:
    return int(entry.id[1:]) if entry.kind in ("say", "answer") else 0


def entry_json(entry: Entry) -> dict[str, Any]:
    """An entry as a page is told it."""
    told: dict[str, Any] = {"id": entry.id, "at": iso(entry.at), "topic": entry.topic}
    match entry.kind:
        case "say":
            told |= {"zh": entry.zh, "en": entry.en, "asks": entry.asks, "replies": [list(reply) for reply in entry.replies]}
        case "answer":
            told |= {"text": entry.zh, "by": entry.by}
        case "file":
            told |= {"text": entry.zh, "file": True}
        case _:
            told |= {"text": entry.zh}
    return told


def standing_json(standing: Standing) -> dict[str, Any]:
    """Where a complaint stands, as a customer is told it."""
    return {
        "number": standing.number,
        "topic": standing.topic,
        "state": standing.state,
        "step": standing.step,
        "class": standing.klass,
        "class_zh": standing.klass_zh,
        "department": standing.department,
        "department_en": standing.department_en,
        "reply_due": iso(standing.reply_due) if standing.reply_due else None,
        "review": standing.review,
    }


def iso(at: datetime) -> str:
    """A time as it is told: UTC, to the millisecond."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
