"""Drift: whether what comes in moves away from what the champion knows, with the figure behind it.

The last seven days are held against the four weeks before them, as the same trained model saw both. Nothing is said on few complaints.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from classifiers.base import Classifier, Query
from classifiers.linear_classifier import LinearClassifier
from gateway.clock import Clock
from gateway.oplog import OperatorLog
from gateway.periodic import Periodic
from gateway.store import drifting
from gateway.store.engine import Store
from gateway.triage import Champion
from models.verdict import ComplaintClass

DAYS, REFERENCE_DAYS = 7, 28

# So many verdicts, texts or reviews must there be, lately and before; fewer say nothing.
LEAST = {"classes": (100, 200), "confidence": (100, 200), "words": (100, 200), "corrected": (50, 100)}
# Population stability index of the classes: from 0.1 on people speak of a shift, from 0.25 on of a large one (Siddiqi 2006).
NOTICED_PSI, WARNED_PSI = 0.1, 0.25
# By how much the mean confidence must have fallen, and the shares of unknown words and of corrected answers have risen.
WARNED_CONFIDENCE, WARNED_WORDS, WARNED_CORRECTED = 0.05, 0.05, 0.05
# And so many standard deviations, so that chance alone does not warn.
_DEVIATIONS = 3.0

# So many of each span are looked into.
_MOST = 1_000
# How long a report serves, and how often a gateway looks by itself.
_FRESH = timedelta(minutes=10)
_LOOK_SECONDS = 3600.0
_TOLD_AGAIN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Figure:
    """One kind of drift.

    lately, before: what is compared; `of_lately` and `of_before` over how many. figure: by how much it has moved.
    state: `steady`, `noticed`, `warning`, or `too_few` to tell.
    """

    kind: str
    lately: Any
    before: Any
    of_lately: int
    of_before: int
    figure: float | None
    state: str

    def as_json(self) -> dict[str, Any]:
        """JSON values for the console, the API and the command."""
        zh, en = _words(self)
        return {
            "kind": self.kind,
            "state": self.state,
            "figure": None if self.figure is None else round(self.figure, 4),
            "lately": self.lately,
            "before": self.before,
            "of_lately": self.of_lately,
            "of_before": self.of_before,
            "zh": zh,
            "en": en,
        }


class Drift(Periodic):
    """Measures drift from the store. Threads may share it."""

    def __init__(self, store: Store, clock: Clock, champion: Champion, log: OperatorLog) -> None:
        super().__init__("drift", _LOOK_SECONDS, log, join_seconds=10)
        self._store, self._clock, self._champion = store, clock, champion
        self._lock = threading.Lock()
        self._last: tuple[datetime, str, list[Figure]] | None = None
        self._told: dict[str, datetime] = {}

    def report(self) -> dict[str, Any]:
        """`trained_model`, `days`, `reference_days`, `figures` (each kind with its state), and `warnings`: those that warn."""
        version, figures = self._measured()
        told = [figure.as_json() for figure in figures]
        return {
            "trained_model": version,
            "days": DAYS,
            "reference_days": REFERENCE_DAYS,
            "figures": told,
            "warnings": [one for one in told if one["state"] == "warning"],
        }

    def gauges(self) -> Mapping[str, float]:
        """By how much each kind had moved when it was last measured; nothing is measured for this."""
        last = self._last
        return {one.kind: one.figure for one in last[2] if one.figure is not None} if last else {}

    def look(self) -> None:
        """Measures, and tells the log of each kind that warns, at most once a day."""
        version, figures = self._measured()
        now = self._clock.now()
        for one in figures:
            told = self._told.get(one.kind)
            if one.state == "warning" and (told is None or not timedelta(0) <= now - told < _TOLD_AGAIN):
                self._told[one.kind] = now
                self._log.write(
                    "Drift",
                    kind=one.kind,
                    figure=round(one.figure or 0.0, 4),
                    lately=one.of_lately,
                    before=one.of_before,
                    trained_model=version,
                )

    def _measured(self) -> tuple[str, list[Figure]]:
        now = self._clock.now()
        classifier = self._champion.classifier()
        with self._lock:
            last = self._last
            if last is None or last[1] != classifier.version or not timedelta(0) <= now - last[0] < _FRESH:
                last = self._last = now, classifier.version, self._measure(classifier, now)
        return last[1], last[2]

    def _measure(self, classifier: Classifier, now: datetime) -> list[Figure]:
        moments = [now - timedelta(days=DAYS + REFERENCE_DAYS), now - timedelta(days=DAYS), now + timedelta(days=1)]
        version = classifier.version
        with self._store.read() as conn:
            start, parted, end = drifting.verdict_bounds(conn, moments)
            classes = [drifting.classes(conn, version, *span) for span in ((parted, end), (start, parted))]
            sure = [drifting.confidences(conn, version, *span, _MOST) for span in ((parted, end), (start, parted))]
            start, parted, end = drifting.correction_bounds(conn, moments)
            reviewed = [drifting.corrected(conn, version, *span) for span in ((parted, end), (start, parted))]
            start, parted, end = drifting.message_bounds(conn, moments)
            texts = [drifting.texts(conn, *span, _MOST) for span in ((parted, end), (start, parted))]
        figures = [_classes(*classes), _confidence(*sure), _share("corrected", reviewed[0], reviewed[1], WARNED_CORRECTED)]
        if isinstance(classifier, LinearClassifier):
            unknown = [_unknown(classifier, span) for span in texts]
            figures.append(_words_unknown(*unknown))
        return figures


def stability(lately: Sequence[int], before: Sequence[int]) -> float:
    """The population stability index of two rows of counts. Half is added to each, so that what is rare does not make it endless."""
    shares = [[(count + 0.5) / (sum(counts) + 0.5 * len(counts)) for count in counts] for counts in (lately, before)]
    return math.fsum((new - old) * math.log(new / old) for new, old in zip(*shares, strict=True))


def _classes(lately: Mapping[ComplaintClass, int], before: Mapping[ComplaintClass, int]) -> Figure:
    counts = [[span.get(name, 0) for name in ComplaintClass] for span in (lately, before)]
    many, reference = sum(counts[0]), sum(counts[1])
    shares = [
        {name.value: round(span.get(name, 0) / max(1, sum(span.values())), 4) for name in ComplaintClass} for span in (lately, before)
    ]
    if _few("classes", many, reference):
        return Figure("classes", shares[0], shares[1], many, reference, None, "too_few")
    moved = stability(*counts)
    state = "warning" if moved >= WARNED_PSI else "noticed" if moved >= NOTICED_PSI else "steady"
    return Figure("classes", shares[0], shares[1], many, reference, moved, state)


def _confidence(lately: Sequence[float], before: Sequence[float]) -> Figure:
    means = [sum(span) / len(span) if span else 0.0 for span in (lately, before)]
    rounded = [round(mean, 4) for mean in means]
    if _few("confidence", len(lately), len(before)):
        return Figure("confidence", rounded[0], rounded[1], len(lately), len(before), None, "too_few")
    spread = [sum((value - mean) ** 2 for value in span) / len(span) for span, mean in zip((lately, before), means, strict=True)]
    doubt = math.sqrt(spread[0] / len(lately) + spread[1] / len(before))
    fallen = means[1] - means[0]
    state = "warning" if fallen >= WARNED_CONFIDENCE and fallen > _DEVIATIONS * doubt else "steady"
    return Figure("confidence", rounded[0], rounded[1], len(lately), len(before), fallen, state)


def _share(kind: str, lately: tuple[int, int], before: tuple[int, int], warned: float) -> Figure:
    """(how many, how many of these) lately and before: whether the share has risen."""
    shares = [part / many if many else 0.0 for many, part in (lately, before)]
    rounded = [round(share, 4) for share in shares]
    if _few(kind, lately[0], before[0]):
        return Figure(kind, rounded[0], rounded[1], lately[0], before[0], None, "too_few")
    together = (lately[1] + before[1]) / (lately[0] + before[0])
    doubt = math.sqrt(together * (1 - together) * (1 / lately[0] + 1 / before[0]))
    risen = shares[0] - shares[1]
    state = "warning" if risen >= warned and risen > _DEVIATIONS * doubt else "steady"
    return Figure(kind, rounded[0], rounded[1], lately[0], before[0], risen, state)


def _unknown(classifier: LinearClassifier, texts: Sequence[drifting.Incoming]) -> list[float]:
    """Of each text with any words, the share that the trained model does not know."""
    counted = classifier.words_known([Query(one.said, one.title, "", one.channel) for one in texts])
    return [1 - known / many for known, many in counted if many]


def _words_unknown(lately: Sequence[float], before: Sequence[float]) -> Figure:
    # The unknown share is judged as the confidence is, only that it is bad when it rises.
    fallen = _confidence([1 - share for share in lately], [1 - share for share in before])
    means = [round(1 - known, 4) if many else 0.0 for known, many in ((fallen.lately, lately), (fallen.before, before))]
    if _few("words", len(lately), len(before)):
        return Figure("words", means[0], means[1], len(lately), len(before), None, "too_few")
    state = "warning" if fallen.state == "warning" and (fallen.figure or 0.0) >= WARNED_WORDS else "steady"
    return Figure("words", means[0], means[1], len(lately), len(before), fallen.figure, state)


def _few(kind: str, lately: int, before: int) -> bool:
    least = LEAST[kind]
    return lately < least[0] or before < least[1]


def _words(one: Figure) -> tuple[str, str]:
    """What a figure says, in both languages."""
    if one.state == "too_few":
        least = LEAST[one.kind]
        zh, en = _KINDS[one.kind]
        return (
            f"{zh}：件数还不够（近 {DAYS} 天 {one.of_lately}，需 {least[0]}；此前 {one.of_before}，需 {least[1]}）",
            f"{en}: too few to tell (last {DAYS} days {one.of_lately} of {least[0]}; before {one.of_before} of {least[1]})",
        )
    if one.kind == "classes":
        most = max(ComplaintClass, key=lambda name: abs(one.lately[name.value] - one.before[name.value]))
        share = f"{one.before[most.value]:.0%} → {one.lately[most.value]:.0%}"
        return (
            f"各类投诉的占比：稳定性指数 PSI {one.figure:.2f}（{WARNED_PSI} 起告警），变化最大的是{most.zh} {share}",
            f"shares of the classes: PSI {one.figure:.2f} (warns from {WARNED_PSI}), most of all {most.value} {share}",
        )
    zh, en = _KINDS[one.kind]
    change = f"{one.before:.1%} → {one.lately:.1%}"
    return f"{zh}：{change}", f"{en}: {change}"


_KINDS: Mapping[str, tuple[str, str]] = {
    "classes": ("各类投诉的占比", "shares of the classes"),
    "confidence": ("模型的平均把握", "mean confidence of the model"),
    "words": ("模型不认识的词的占比", "share of words that the model does not know"),
    "corrected": ("复核后被改判的占比", "share of reviewed answers that were corrected"),
}
