"""Stand-ins for what lies across the process border, each with one field for each way it can fail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from classifiers.base import Query
from classifiers.fields import FieldFinder
from models.complaint import Customer
from models.delivery import Outcome, OutcomeCode, Outgoing
from models.verdict import ComplaintClass, Decision, Reason, Risk, Verdict


@dataclass
class FakeSender:
    """An endpoint that remembers what it was sent.

    fail_times: answers the next so many sends with `failure`; fail_ids: always fails these webhook ids; away: nobody listens.
    """

    fail_times: int = 0
    failure: Outcome = field(default_factory=lambda: Outcome(OutcomeCode.SERVER_ERROR, 500, 0.01, "oops"))
    fail_ids: set[str] = field(default_factory=set)
    away: bool = False
    sent: list[Outgoing] = field(default_factory=list)
    accepted: list[Outgoing] = field(default_factory=list)

    def send(self, outgoing: Sequence[Outgoing]) -> list[Outcome]:
        return [self._one(each) for each in outgoing]

    def _one(self, one: Outgoing) -> Outcome:
        self.sent.append(one)
        if self.away:
            return Outcome(OutcomeCode.AWAY, None, 0.01)
        if self.fail_times or one.webhook_id in self.fail_ids:
            self.fail_times = max(self.fail_times - 1, 0)
            return self.failure
        self.accepted.append(one)
        return Outcome(OutcomeCode.ACCEPTED, 200, 0.01, "ok")

    def reachable(self, url: str) -> bool:
        return not self.away


def throttled(seconds: float) -> Outcome:
    """A receiver that asks for time."""
    return Outcome(OutcomeCode.THROTTLED, 429, 0.01, "slow down", timedelta(seconds=seconds))


class FakeClassifier:
    """Sorts by the first class whose Chinese name stands in the text; for tests of the house, not of the classifier."""

    version = "fake-1"
    # Sure of what it knows, unsure of all else.
    caution = (0.5, (0.1,) * len(ComplaintClass))

    def __init__(self, explode_on: str | None = None, fields: FieldFinder | None = None) -> None:
        self.explode_on, self.fields = explode_on, fields
        self.batches: list[int] = []

    def classify(self, queries: Sequence[Query]) -> list[Verdict]:
        self.batches.append(len(queries))
        return [self._one(query) for query in queries]

    def _one(self, query: Query) -> Verdict:
        if self.explode_on and self.explode_on in query.said:
            raise ZeroDivisionError(query.said)
        primary = next((k for k in ComplaintClass if k.zh in query.said + query.title), None)
        sure = primary is not None
        primary = primary or ComplaintClass.OTHER
        second = ComplaintClass.PRICE if primary is not ComplaintClass.PRICE else ComplaintClass.CONTRACT
        return Verdict(
            primary=primary,
            probabilities={k: 0.8 if k is primary else 0.08 if k is second else 0.04 for k in ComplaintClass},
            secondary=(),
            decision=Decision.AUTO if sure else Decision.REVIEW,
            decision_code="sure" if sure else "unsure",
            candidates=(primary, second),
            risk=(Risk.SAFETY,) if "危险" in query.said else (),
            reasons=(Reason("词", 1.0, ((0, 1),)),) if query.said else (),
            customer=self.fields.find(query) if self.fields else Customer(name="林树") if "林树" in query.said else Customer(),
            trained_model=self.version,
        )


class FakeChampion:
    """Hands out the fake classifier."""

    def __init__(self, classifier: FakeClassifier | None = None) -> None:
        self.fake = classifier or FakeClassifier()

    def classifier(self) -> FakeClassifier:
        return self.fake


class Meeting:
    """Lets tests wait for something that another thread does, bounded in time."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def happen(self, *_: object) -> None:
        self._event.set()

    def wait(self, seconds: float = 20) -> None:
        if not self._event.wait(seconds):
            raise TimeoutError


def eventually(what: Callable[[], object], seconds: float = 30) -> object:
    """Waits until `what` gives something true, and returns it; raises TimeoutError after `seconds`."""
    import time

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(0.05)
    raise TimeoutError(f"still {what()!r} after {seconds} s")
