"""How sure is sure enough here and now: the policy that this company's own corrections allow (预案 4.2), made anew as they come in."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from classifiers import promise
from classifiers.base import Classifier
from classifiers.promise import Kept, Policy, Reviewed
from gateway.oplog import OperatorLog
from gateway.store import corrections
from gateway.store.engine import Store
from models.correction import Correction
from models.submission import Channel
from models.verdict import ComplaintClass, Decision, Verdict

# How long a policy serves before it is asked whether there is anything new.
_FRESH = timedelta(seconds=30)

_CHANNELS = tuple(channel.value for channel in Channel)


@dataclass(frozen=True, slots=True)
class Decided:
    """A verdict as it stands here, and whether a person is to look at it though it is routed alone.

    stated: the probabilities that the trained model stated, before they were calibrated; in the order of `ComplaintClass`.
    audited: the share of such complaints that is looked at, where this one is; `None` where it is not.
    """

    verdict: Verdict
    stated: tuple[float, ...]
    audited: float | None


class Caution:
    """Decides by the policy of the newest corrections. Threads may share it.

    tolerated: the share of wrongly routed complaints that the operator puts up with among those routed alone.
    tells: whether the log is told of each change; a command beside the gateway keeps quiet.
    """

    def __init__(self, store: Store, tolerated: float, log: OperatorLog, *, tells: bool = True) -> None:
        self._store, self._tolerated, self._log, self._tells = store, tolerated, log, tells
        self._lock = threading.Lock()
        self._policy: Policy | None = None
        self._of = ("", -1)
        self._looked_at: datetime | None = None

    def decide(self, classifier: Classifier, verdict: Verdict, channel: str, number: str, now: datetime) -> Decided:
        """The verdict with calibrated probabilities, and with the decision that the policy makes of them."""
        stated = tuple(verdict.probabilities[name] for name in ComplaintClass)
        if verdict.decision_code == "nothing_to_go_by":
            return Decided(verdict, stated, None)
        policy = self.policy(classifier, now)
        chances = policy.calibrated(stated, channel)
        ruling = policy.rule(chances, channel)
        decided = replace(
            verdict,
            probabilities=dict(zip(ComplaintClass, chances, strict=True)),
            decision=ruling.decision,
            decision_code=ruling.code,
            candidates=ruling.candidates,
        )
        share = policy.audited(ruling.primary, channel)
        audited = ruling.decision is Decision.AUTO and promise.is_audited(number, share)
        return Decided(decided, stated, share if audited else None)

    def policy(self, classifier: Classifier, now: datetime) -> Policy:
        """The policy in force for this trained model."""
        with self._lock:
            if self._policy is None or self._of[0] != classifier.version or self._stale(now):
                self._look(classifier, now)
            return self._policy or self._shipped(classifier)

    def report(self, classifier: Classifier, now: datetime) -> Report:
        """What the policy rests on, and whether the promise is kept where it was checked."""
        policy = self.policy(classifier, now)
        with self._store.read() as conn:
            found = corrections.evidence(conn, classifier.version, promise.NEWEST)
        sampled: dict[tuple[str, ComplaintClass], list[bool]] = {}
        for one in found:
            if one.alone:
                for channel in (promise.ANYWHERE, one.channel):
                    sampled.setdefault((channel, one.was), []).append(not one.confirms)
        kept = {key: promise.kept(len(wrong), sum(wrong), self._tolerated) for key, wrong in sampled.items()}
        return Report(classifier.version, policy, kept)

    @staticmethod
    def rank(verdict: Verdict, audited: bool, urgency: int) -> float | None:
        """Where in the review queue the complaint stands: by `urgency` (2 urgent), then the less sure the sooner. None: no need to look."""
        if verdict.decision is Decision.AUTO and not audited:
            return None
        first, second = (verdict.probabilities[name] for name in verdict.candidates)
        # What is only looked at to check on the model can wait for all that waits for a person.
        last = 0.0 if verdict.decision is Decision.REVIEW else 100.0
        return round(last + 10.0 * (2 - urgency) + first - second, 4)

    def _stale(self, now: datetime) -> bool:
        # A clock that was set back must not keep an old policy alive.
        return self._looked_at is None or not timedelta(0) <= now - self._looked_at < _FRESH

    def _look(self, classifier: Classifier, now: datetime) -> None:
        with self._store.read() as conn:
            newest = corrections.newest_id(conn)
            unchanged = self._policy is not None and self._of == (classifier.version, newest)
            found = [] if unchanged else corrections.evidence(conn, classifier.version, promise.NEWEST)
        self._looked_at = now
        if unchanged:
            return
        policy = promise.policy(map(_reviewed, found), self._shipped(classifier), _CHANNELS)
        changed = self._policy is None or self._of[0] != classifier.version or policy.cautious != self._policy.cautious
        if changed and self._tells:
            told: dict[str, Any] = {"trained_model": classifier.version, "reviewed": policy.reviewed, "tolerated": self._tolerated}
            if policy.cautious:
                self._log.write("CautiousStart", **told)
            else:
                self._log.write("OwnEvidence", **told)
        self._policy, self._of = policy, (classifier.version, newest)

    def _shipped(self, classifier: Classifier) -> Policy:
        return promise.shipped_policy(*classifier.caution, self._tolerated)


@dataclass(frozen=True, slots=True)
class Report:
    """What routing alone rests on: the policy of a trained model, and for (channel, class) how the random sample turned out."""

    trained_model: str
    policy: Policy
    kept: dict[tuple[str, ComplaintClass], Kept]


def _reviewed(correction: Correction) -> Reviewed:
    return Reviewed(correction.channel, correction.stated, correction.should_be, correction.weight)
