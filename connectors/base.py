"""What every connector is given, so that none knows the house behind it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from models.submission import Receipt, Submission

# Takes a submission in and returns only after commit. Raises models.errors.TryLater when it cannot; then nothing was taken in.
Accept = Callable[[Submission], Receipt]

# Takes a submission in without keeping the caller waiting: the second argument is called once, from another thread, with the receipt
# after commit, or with the error when nothing was taken in.
Offer = Callable[[Submission, Callable[[Receipt | Exception], None]], None]

# Whether whoever connects from this address has this name and password; None when he must wait before he may try again.
LogIn = Callable[[str, str, str], Awaitable[bool | None]]

# Tells the time; aware, UTC.
Now = Callable[[], datetime]

# Writes one line of the operator log: a verb and its fields.
Tell = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Entry:
    """A thing in a talk: what the customer wrote (`line`) or sent (`file`), what the machine said (`say`), an answer to him (`answer`).

    id:      the customer's own id of a line or file; of the others a number of ours, after `s` or `a`.
    zh, en:  the words; alike where a person wrote them. Of a file its name.
    topic:   which complaint of the talk it belongs to; empty for the first.
    by:      who speaks, where that is no machine and not the customer.
    asks:    the question that it is, with the quick replies that are offered.
    """

    kind: str
    id: str
    at: datetime
    zh: str
    en: str
    topic: str = ""
    by: str = ""
    asks: str = ""
    replies: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a complaint stands, in words that a customer may see. `klass` and `department` are empty until it is sorted.

    step: 0 received, 1 passed to the department, 2 being handled, 3 answered.
    """

    number: str
    state: str
    klass: str
    klass_zh: str
    department: str
    department_en: str
    reply_due: datetime | None
    review: bool
    topic: str = ""
    step: int = 0


@dataclass(frozen=True, slots=True)
class TalkNow:
    """A talk as it is now. `entries` are those that are new to whoever asked, oldest first.

    asked: the question that stands open, about the complaint `topic`; agent: who of our side has the talk.
    """

    entries: Sequence[Entry] = ()
    standings: Sequence[Standing] = ()
    asked: str = ""
    topic: str = ""
    agent: str = ""
    topics: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who opens a talk: his language, who the site says that he is (keys of a customer, and its own `id`), of which estate its page is."""

    language: str = "zh"
    identity: Mapping[str, str] | None = None
    estate: str = ""


# How far a watch has come; whatever it is, it is handed back as it was.
Cursor = tuple[int, ...]


class Talks(Protocol):
    """What the chat's door may ask of its talks, each by the hash of its token. All block; all may raise `TryLater`."""

    def open(self, talk: str, visitor: Visitor, topics: Collection[str] = ()) -> TalkNow | None:
        """The talk with everything in it, and what there is to say by now; None where it is somebody else's. It keeps nothing new."""
        ...

    def files(self, talk: str) -> Collection[str]:
        """The customer's own ids of the files in this talk."""
        ...

    def advance(self, conversations: Collection[str]) -> Mapping[str, TalkNow]:
        """Lets the machine answer what was taken in for these conversations; by talk, with what it says."""
        ...

    def changed(self, since: Cursor | None) -> tuple[Cursor, Collection[str]]:
        """How far everything is, and the complaints (numbers) and talks that something has happened to since then."""
        ...

    def refresh(self, names: Mapping[str, int]) -> Mapping[str, TalkNow]:
        """These talks with where their complaints stand, all answers, and what the machine said after the entry of this number."""
        ...

    def shown(self, talk: str, through: int) -> None:
        """The customer has seen the answers up to the one of this number."""
        ...

    def look_after(self, here: Collection[str]) -> None:
        """Now and then: who is connected; what goes by mail instead; which talks go back to the machine."""
        ...
