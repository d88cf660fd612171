"""A correction: staff say what the class should have been; one that says the same confirms it. Append-only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from models.verdict import ComplaintClass


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
