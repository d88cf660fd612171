"""What a classifier is asked, and what every classifier must be able to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from models.verdict import Verdict

# Told what is being done, and which share of it is done (0 to 1).
Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Query:
    """One complaint as the classifier sees it.

    said:    the customer's own words, without quoted history, signature or the agent's turns; only they are classified.
    title:   the subject or title, if there is one.
    context: the whole text, agent's turns included, in which name, phone, estate and unit are looked for; may be empty.
    channel: `email`, `chat`, `phone`, or `None` where nobody knows.
    sender:  the name of who wrote by the envelope, in full; may be empty. Nothing is classified by it.
    own:     the same without what others wrote, where some did: only there the customer's name and how to reach him are looked for.
    """

    said: str
    title: str = ""
    context: str = ""
    channel: str | None = None
    sender: str = ""
    own: Query | None = None


class Classifier(Protocol):
    """Sorts complaints (预案 4.2)."""

    @property
    def version(self) -> str:
        """Version of the trained model that answers; stands in every verdict as `trained_model`."""
        ...

    @property
    def caution(self) -> tuple[float, tuple[float, ...]]:
        """With how much caution it ships (`promise.shipped_policy`): the least probability of what is routed alone, and of each class the
        probability from which on it is in a prediction set."""
        ...

    def classify(self, queries: Sequence[Query]) -> list[Verdict]:
        """One verdict for each query, in order; never raises, whatever characters the texts hold.

        The answer for a query does not depend on the others of the batch; batches are only cheaper.
        """
        ...
