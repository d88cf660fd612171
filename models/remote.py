"""A ticket of a complaint in somebody's tracking system, the files that went there, and how asking that system does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class RemoteTicket:
    """The ticket of one complaint at one endpoint.

    remote_id: as the tracking system knows it. url: where people look at it; may be empty.
    status:    what it was last said to be, by our own words; empty where nothing was said. For systems that tell no changes.
    unread:    its history is to be read from the beginning, because it was there before we knew of it.
    """

    endpoint: str
    number: str
    remote_id: str
    url: str
    status: str = ""
    unread: bool = False


class FileState(StrEnum):
    """What became of a file on its way to a tracking system."""

    TAKEN = "taken"
    # For good: its note says so.
    REFUSED = "refused"
    # Tried in vain, and to be tried again.
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class PollHealth:
    """How asking one endpoint does. `code`, `zh`, `en` say the last error; they stay after it is over, `failures` does not."""

    endpoint: str
    looked_at: datetime | None = None
    succeeded_at: datetime | None = None
    failures: int = 0
    failing_since: datetime | None = None
    code: str = ""
    zh: str = ""
    en: str = ""
