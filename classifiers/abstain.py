"""When to route alone and when to ask a person (预案 4.2), and which further classes to name: thresholds taken from texts held out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifiers.scores import CLASSES, Floats, softmax
from models.verdict import ComplaintClass, Decision

# The share of wrongly routed complaints that is put up with among those routed alone.
TOLERATED = 0.05

# Composed texts are easier than a company's own (`docs/classifier.md`), so on them only half the tolerated rate is allowed, and nothing
# below this probability is ever routed alone.
_CAUTION = 0.5
_LEAST_SURE = 0.8

# An enumeration looks its members up anew each time they are named.
_OTHER = ComplaintClass.OTHER

# No prediction sets: the likeliest class alone counts.
ANY: Sequence[float] = ()

# One standard deviation and a half above the observed rate: about 93 % of the time the true rate is lower.
DEVIATIONS = 1.5


@dataclass(frozen=True, slots=True)
class Ruling:
    """What `rule` makes of one text's probabilities; the fields are those of `Verdict`."""

    primary: ComplaintClass
    candidates: tuple[ComplaintClass, ComplaintClass]
    decision: Decision
    code: str


def rule(chances: Sequence[float] | Floats, threshold: float, anything: bool, least: Sequence[float] = ANY) -> Ruling:
    """Primary class, the two likeliest, and whether the likeliest is sure enough to be routed alone.

    chances:   probabilities of the five classes.
    threshold: least probability of the primary class that is routed alone.
    least:     of each class, as `set_thresholds` gives it; `ANY` puts only the likeliest class into the set.
    anything:  whether the text held a single word that the trained model knows; without one nothing is sure.
    """
    best, next_best = sorted(range(len(chances)), key=lambda place: chances[place], reverse=True)[:2]
    first, second = CLASSES[best], CLASSES[next_best]
    if not anything:
        return Ruling(first, (first, second), Decision.REVIEW, "nothing_to_go_by")
    inside = [place for place, chance in enumerate(chances) if chance >= least[place]] if len(least) else [best]
    if first is not _OTHER and inside == [best] and chances[best] >= threshold:
        return Ruling(first, (first, second), Decision.AUTO, "sure")
    return Ruling(first, (first, second), Decision.REVIEW, "unsure")


def alone(chances: Floats, threshold: float, least: Sequence[float] = ANY) -> NDArray[np.bool_]:
    """Which texts (texts × classes) are sure enough to be routed without a person: the prediction set is one class, and it is likely.

    `other` never is: what is no complaint goes to a person anyway, and on other hands' letters it is the class that errs most.
    """
    answers = chances.argmax(axis=1)
    one = np.ones(len(chances), dtype=bool)
    if len(least):
        inside = chances >= np.asarray(least)
        one = (inside.sum(axis=1) == 1) & inside[np.arange(len(chances)), answers]
    sure: NDArray[np.bool_] = one & (chances.max(axis=1) >= threshold) & (answers != CLASSES.index(ComplaintClass.OTHER))
    return sure


def set_thresholds(chances: Floats, labels: NDArray[np.int_], tolerated: float = TOLERATED) -> list[float]:
    """For each class the probability from which on it belongs to a text's prediction set (class-conditional conformal prediction).

    Of held-out texts of a class, all but the share put up with have at least this probability of it; half the tolerated share, as above.
    0, which every text reaches, where a class has too few texts to tell.
    """
    least = []
    for column in range(len(CLASSES)):
        own = np.sort(chances[labels == column, column])
        rank = int(tolerated * _CAUTION * (len(own) + 1))
        least.append(float(f"{own[rank - 1]:.4g}") if rank >= 1 else 0.0)
    return least


def temperature(scores: Floats, labels: NDArray[np.int_], weights: Floats | None = None) -> float:
    """The number that scores are divided by so that the labels of texts held out become likeliest (temperature scaling, Guo et al. 2017).

    weights: how much each text counts; evenly where there are none.
    Found by golden section between 0.05 and 5, rounded to four significant digits.
    """
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        chances = softmax(scores, math.exp(log_temperature))[rows, labels]
        return -float(np.average(np.log(np.maximum(chances, 1e-12)), weights=weights))

    low, high = math.log(0.05), math.log(5.0)
    ratio = (math.sqrt(5) - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    loss_left, loss_right = loss(left), loss(right)
    while high - low > 1e-5:
        if loss_left <= loss_right:
            high, right, loss_right = right, left, loss_left
            left = high - ratio * (high - low)
            loss_left = loss(left)
        else:
            low, left, loss_left = left, right, loss_right
            right = low + ratio * (high - low)
            loss_right = loss(right)
    return float(f"{math.exp((low + high) / 2):.4g}")


def auto_threshold(chances: Floats, labels: NDArray[np.int_], tolerated: float = TOLERATED) -> float:
    """The least probability from which on texts held out were wrong rarely enough, with a margin for chance and for other hands' texts.

    Above 1, which no text reaches, where no threshold is good enough.
    """
    eligible = alone(chances, 0.0)
    stated = chances.max(axis=1)[eligible]
    wrong = (chances.argmax(axis=1) != labels)[eligible]
    order = np.argsort(-stated, kind="stable")
    stated, errors = stated[order], np.cumsum(wrong[order])
    many = np.arange(1, len(order) + 1)
    # Wilson's upper bound of the error rate among the surest 1, 2, 3 … texts.
    rate = errors / many
    z2 = DEVIATIONS**2
    upper = (rate + z2 / (2 * many) + DEVIATIONS * np.sqrt(rate * (1 - rate) / many + z2 / (4 * many**2))) / (1 + z2 / many)
    good = np.flatnonzero(upper <= tolerated * _CAUTION)
    if not len(good):
        return 1.01
    return float(f"{max(_LEAST_SURE, float(stated[good[-1]])):.4g}")


def secondary_thresholds(scores: Floats, truth: NDArray[np.int_], primary: NDArray[np.int_]) -> list[float]:
    """For each class the score from which on it is named as a further class, where F1 over texts held out is best.

    scores:  of the model that was taught every class a text complains of (texts × classes).
    truth:   1 where the class is labelled secondary.
    primary: the answered primary class of each text, which is never named again.
    """
    thresholds = []
    for column, name in enumerate(CLASSES):
        eligible = primary != column
        best, best_f1 = 99.0, 0.0
        values, wanted = scores[eligible, column], truth[eligible, column]
        if name is not ComplaintClass.OTHER and wanted.sum() >= 5:
            for step in range(-50, 21):
                named = values >= step / 10
                hit = float((named & (wanted == 1)).sum())
                f1 = 2 * hit / (named.sum() + wanted.sum())
                if f1 > best_f1:
                    best, best_f1 = step / 10, f1
        thresholds.append(best)
    return thresholds


def secondary_of(scores: Sequence[float] | Floats, thresholds: Sequence[float], primary: ComplaintClass) -> tuple[ComplaintClass, ...]:
    """The further classes of one text, most likely first; a text that is no complaint has none."""
    if primary is _OTHER:
        return ()
    named = [
        (threshold - score, column)
        for column, (score, threshold) in enumerate(zip(scores, thresholds, strict=True))
        if score >= threshold and CLASSES[column] not in (primary, _OTHER)
    ]
    return tuple(CLASSES[column] for _, column in sorted(named))
