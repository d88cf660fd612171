"""The feed of events for those who pull: cursors that stay good, remembered positions, and how far there is to go."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.clock import Clock
from gateway.store import feed
from gateway.store.engine import Store
from gateway.store.feed import Entry, Position
from models.errors import Refused

# Most events of one answer.
MOST = 500
# Stands for the end, as a cursor.
LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Slice:
    """What was asked for. `next` is where to go on, also when nothing was found; `more` whether there is something behind it now."""

    entries: Sequence[Entry]
    next: str
    more: bool


@dataclass(frozen=True, slots=True)
class Remembered:
    """How far a consumer has come, since when, and how many events lie behind that."""

    cursor: str
    at: datetime
    behind: int


class Feed:
    """Reads the feed. `installation`: our name, so that a cursor of another store is known for one."""

    def __init__(self, store: Store, clock: Clock, installation: str) -> None:
        self._store, self._clock, self._installation = store, clock, installation

    def head(self) -> int:
        """The last place, with all that is committed in it."""
        with self._store.read() as conn:
            lacking = feed.lacks_places(self._store, conn)
        while lacking:
            with self._store.write() as conn:
                lacking = feed.give_places(self._store, conn) > 0 and feed.lacks_places(self._store, conn)
        with self._store.read() as conn:
            return feed.head(self._store, conn)

    def after(self, cursor: str, limit: int, types: Sequence[str]) -> Slice:
        """Events after a cursor; an empty one is the beginning. Raises `Refused`."""
        last = self.head()
        place = last if cursor == LATEST else self._place(cursor)
        self._no_further_than(place, last)
        with self._store.read() as conn:
            found = feed.page(self._store, conn, place, limit, types)
        return Slice(found.entries, self.cursor(found.through), found.through < found.head)

    def remember(self, token: str, name: str, cursor: str) -> Remembered:
        """Keeps how far a consumer has come. Raises `Refused`."""
        last = self.head()
        place = last if cursor == LATEST else self._place(cursor, "cursor")
        self._no_further_than(place, last, "cursor")
        position = Position(self.cursor(place), self._clock.now())
        with self._store.write() as conn:
            feed.keep_position(self._store, conn, token, name, position)
        return Remembered(position.cursor, position.at, last - place)

    def remembered(self, token: str, name: str) -> Remembered | None:
        """How far a consumer has come; None where he never told."""
        last = self.head()
        with self._store.read() as conn:
            found = feed.position(conn, token, name)
        return Remembered(found.cursor, found.at, max(0, last - self._place(found.cursor))) if found else None

    def cursor(self, place: int) -> str:
        """A place as it is told: nobody need know what is in it."""
        return base64.urlsafe_b64encode(f"{self._installation}.{place}".encode()).decode().rstrip("=")

    def _place(self, cursor: str, key: str = "after") -> int:
        """key: what it is called where it was given, for the error."""
        if not cursor:
            return 0
        try:
            spelt = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        except (binascii.Error, ValueError):
            spelt = ""
        whose, _, place = spelt.rpartition(".")
        if not re.fullmatch(r"\d{1,18}", place, re.ASCII):
            raise Refused("bad_cursor", f"{key}：不是我们给的游标", f"{key}: this is no cursor of ours")
        if whose != self._installation:
            raise Refused("foreign_cursor", f"{key}：这是另一套系统的游标", f"{key}: this cursor is of another installation")
        return int(place)

    def _no_further_than(self, place: int, last: int, key: str = "after") -> None:
        if place > last:
            raise Refused(
                "cursor_ahead",
                f"{key}：游标超过了最后一个事件；数据库可能已从备份恢复，请从头读取并按事件号去重",
                f"{key}: the cursor is behind the last event; the store may have been restored: read from the beginning, passing over what "
                "you have",
            )
