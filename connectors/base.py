"""What every connector is given, so that none knows the house behind it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
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
class Line:
    """A line of a chat as it was taken in."""

    client_id: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a complaint stands, in words that a customer may see. `klass` and `department` are empty until it is sorted."""

    number: str
    state: str
    klass: str
    klass_zh: str
    department: str
    department_en: str
    reply_due: datetime | None
    review: bool


class ChatRecords(Protocol):
    """What a chat may read back of its own conversation."""

    def lines(self, conversation: str) -> Sequence[Line]:
        """The lines taken in, oldest first."""
        ...

    def standing(self, conversation: str) -> Standing | None:
        """Where its complaint stands; None before the first line."""
        ...
