"""A correction: staff say what the class should have been; one that says the same confirms it. Append-only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from models.verdict import ComplaintClass

# By this note a correction is known to have taken back the one before it by the same person: it says nothing of the class.
UNDONE = "撤销 undo"


class Source(StrEnum):
    """By which way a correction came in."""

    API = "api"
    CONSOLE = "console"
    COMMAND_LINE = "command_line"


@dataclass(frozen=True, slots=True)
class Correction:
    """Who said of which complaint, when, that it is `should_be`, where the trained model had said `was`.

    stated: the probabilities that the trained model stated, in the order of `ComplaintClass`.
    alone:  whether the complaint had been routed without a person.
    weight: how many complaints it stands for as evidence: 1 where all like it are reviewed, more where it was picked at random out of those
        routed alone, 0 where somebody happened upon it.
    """

    number: str
    at: datetime
    by: str
    source: Source
    was: ComplaintClass
    should_be: ComplaintClass
    trained_model: str
    channel: str
    stated: tuple[float, ...]
    alone: bool
    weight: float
    note: str

    @property
    def confirms(self) -> bool:
        """Whether the trained model was right."""
        return self.was is self.should_be

    @property
    def undoes(self) -> bool:
        """Whether it takes a decision back rather than make one."""
        return self.note == UNDONE


def last_words(corrections: Iterable[Correction]) -> dict[str, Correction]:
    """What each person holds after all these corrections of one complaint, oldest first; what was taken back is held by nobody."""
    held: dict[str, list[Correction]] = {}
    for one in corrections:
        mine = held.setdefault(one.by, [])
        if not one.undoes:
            mine.append(one)
        elif mine:
            mine.pop()
    return {by: mine[-1] for by, mine in held.items() if mine}
