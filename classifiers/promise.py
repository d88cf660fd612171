"""The promise to the operator: of the complaints routed alone, at most the tolerated share is wrong. Kept by what staff has reviewed.

A trained model ships with thresholds from composed texts, and composed texts are easier than a company's own. So an installation starts
cautiously, and widens for a class in a channel only as far as reviewed complaints of that class there allow; where they contradict, it
narrows, down to nothing. Evidence are the complaints that went to a person anyway, and a small random share of those routed alone, each of
which stands for all that were not looked at.

Everything here is a pure function of the evidence: the same reviews give the same policy, on every node.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from classifiers import abstain
from classifiers.abstain import TOLERATED, Ruling
from classifiers.scores import CLASSES, Floats, softmax
from models.verdict import ComplaintClass

# The share of complaints routed alone that a person looks at all the same; the first while there is little evidence of a class.
_AUDITED_FIRST = 0.2
AUDITED = 0.05

# With fewer reviewed complaints not even a row without a mistake shows a rate below 5 %.
LEAST_EVIDENCE = 45
# So many of a class must there be before its prediction sets rest on them: below, the quantile is a matter of six or fewer complaints.
_LEAST_SET = 150
# So many reviews is worth what is believed beforehand: of the shipped threshold, and of a channel what the others have shown.
_BELIEVED = 120.0
# Thresholds move by so many reviewed complaints at a time.
_STRATUM = 15
# So many before the probabilities themselves are calibrated anew.
_LEAST_CALIBRATED = 200

# Probabilities are only ever made more modest. Only thresholds widen, class by class: a sharper scale would widen classes and channels that
# nobody has reviewed.
_COLDEST = 1.0

# A promise is called broken on so many mistakes at least, and when they are so many deviations beyond chance: it is checked over and over,
# in sixteen places at once.
_LEAST_WRONG, _SURE = 3, 2.5

# How many of the newest reviews count: enough to tell, few enough to notice that the complaints have changed.
NEWEST = 8000

# The channel that stands for all channels together.
ANYWHERE = "*"

_OTHER = CLASSES.index(ComplaintClass.OTHER)
# No text is so sure.
_NEVER = 1.01


class Basis(StrEnum):
    """What a threshold rests on."""

    SHIPPED = "shipped"
    CLASS = "class"
    CHANNEL = "channel"


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A complaint whose class a person has settled.

    chances: the probabilities of the five classes that the verdict stated, in the order of `CLASSES`.
    weight:  how many complaints it stands for: 1, or more where it was picked out of those routed alone.
    """

    channel: str
    chances: tuple[float, ...]
    label: ComplaintClass
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Threshold:
    """From which probability on a class is routed alone in a channel, what that rests on, and what the evidence says of it.

    reviewed: how many reviewed complaints of this answer there are; `above` how many of them reach the threshold, `wrong` of these.
    most:     upper bound of the share that is wrong above the threshold; 1 where there is no evidence.
    """

    probability: float
    basis: Basis
    reviewed: int = 0
    above: int = 0
    wrong: int = 0
    most: float = 1.0


@dataclass(frozen=True, slots=True)
class Policy:
    """When a complaint is routed alone. Immutable; `shipped_policy` and `policy` make it.

    least:   for a channel, the probability of each class from which on it is in a text's prediction set.
    thresholds: for a channel and class.
    warmth:  for a channel, what logarithms of stated probabilities are divided by to become calibrated ones.
    Channels that are not named are decided as `ANYWHERE`.
    """

    tolerated: float
    least: Mapping[str, tuple[float, ...]]
    thresholds: Mapping[tuple[str, ComplaintClass], Threshold]
    warmth: Mapping[str, float]
    reviewed: int = 0

    @property
    def cautious(self) -> bool:
        """Whether nothing rests on the company's own complaints yet."""
        return all(threshold.basis is Basis.SHIPPED for threshold in self.thresholds.values())

    def calibrated(self, chances: Sequence[float], channel: str | None) -> tuple[float, ...]:
        """The probabilities as this company's own complaints have shown them to be."""
        warmth = self.warmth.get(channel or ANYWHERE, self.warmth[ANYWHERE])
        return tuple(chances) if warmth == 1.0 else tuple(_warmed(np.array([chances]), warmth)[0].tolist())

    def rule(self, chances: Sequence[float], channel: str | None) -> Ruling:
        """Whether calibrated probabilities are sure enough in this channel (`abstain.rule`)."""
        place = channel if channel in self.least else ANYWHERE
        answer = CLASSES[max(range(len(chances)), key=lambda column: chances[column])]
        threshold = self.thresholds[place or ANYWHERE, answer].probability
        return abstain.rule(np.asarray(chances), threshold, anything=True, least=self.least[place or ANYWHERE])

    def audited(self, answer: ComplaintClass, channel: str | None) -> float:
        """The share of those routed alone as `answer` that a person looks at all the same."""
        place = channel if channel in self.least else ANYWHERE
        known = self.thresholds[place or ANYWHERE, answer].above
        return AUDITED if known >= 2 * LEAST_EVIDENCE else _AUDITED_FIRST


def shipped_policy(threshold: float, least: Sequence[float], tolerated: float = TOLERATED) -> Policy:
    """The cautious start: the trained model's own thresholds everywhere.

    They were set for `abstain.TOLERATED`. Who tolerates less starts with nothing routed alone below that much surer.
    """
    if tolerated < TOLERATED:
        threshold = 1 - (1 - threshold) * tolerated / TOLERATED
    return Policy(
        tolerated=tolerated,
        least={ANYWHERE: tuple(least)},
        thresholds={(ANYWHERE, name): Threshold(threshold, Basis.SHIPPED) for name in CLASSES},
        warmth={ANYWHERE: 1.0},
    )


def policy(reviewed: Iterable[Reviewed], shipped: Policy, channels: Iterable[str]) -> Policy:
    """The policy that the evidence allows, for each of `channels` and for `ANYWHERE`. Later evidence counts no more than earlier."""
    evidence = _Evidence.of(list(reviewed)[-NEWEST:])
    tolerated = shipped.tolerated
    warmth: dict[str, float] = {}
    least: dict[str, tuple[float, ...]] = {}
    thresholds: dict[tuple[str, ComplaintClass], Threshold] = {}
    for channel in (ANYWHERE, *channels):
        here = evidence.where(np.full(len(evidence.labels), True) if channel == ANYWHERE else evidence.channels == channel)
        warmth[channel] = (
            max(_COLDEST, abstain.temperature(here.logs, here.labels, here.weights))
            if len(here.labels) >= _LEAST_CALIBRATED
            else warmth.get(ANYWHERE, 1.0)
        )
        least[channel] = _least(evidence, here, warmth[channel], shipped.least[ANYWHERE], tolerated)
        warmed = evidence.warmed(warmth[channel])
        for answer, name in enumerate(CLASSES):
            rows = warmed.answered(answer)
            local = np.full(len(rows.labels), True) if channel == ANYWHERE else rows.channels == channel
            first = shipped.thresholds[ANYWHERE, name].probability
            basis = Basis.CHANNEL if local.sum() >= LEAST_EVIDENCE and channel != ANYWHERE else Basis.CLASS
            thresholds[channel, name] = _threshold(rows, answer, local, least[channel], first, basis, tolerated)
    return Policy(tolerated, least, thresholds, warmth, len(evidence.labels))


def is_audited(number: str, share: float) -> bool:
    """Whether a complaint routed alone is among those that a person looks at all the same: fixed by its number, and even over numbers."""
    return int.from_bytes(hashlib.sha256(b"audit:" + number.encode()).digest()[:8]) < share * 2**64


@dataclass(frozen=True, slots=True)
class _Evidence:
    chances: Floats
    labels: NDArray[np.int_]
    weights: Floats
    channels: NDArray[np.str_]

    @classmethod
    def of(cls, reviewed: Sequence[Reviewed]) -> _Evidence:
        return cls(
            np.array([one.chances for one in reviewed], dtype=np.float64).reshape(-1, len(CLASSES)),
            np.array([CLASSES.index(one.label) for one in reviewed], dtype=int),
            np.array([one.weight for one in reviewed], dtype=np.float64),
            np.array([one.channel for one in reviewed], dtype=str),
        )

    @property
    def logs(self) -> Floats:
        return _logs(self.chances)

    def where(self, chosen: NDArray[np.bool_]) -> _Evidence:
        return _Evidence(self.chances[chosen], self.labels[chosen], self.weights[chosen], self.channels[chosen])

    def warmed(self, warmth: float) -> _Evidence:
        return replace(self, chances=_warmed(self.chances, warmth)) if warmth != 1.0 and len(self.labels) else self

    def answered(self, answer: int) -> _Evidence:
        return self.where(self.chances.argmax(axis=1) == answer) if len(self.labels) else self


def _logs(chances: Floats) -> Floats:
    logs: Floats = np.log(np.maximum(chances, 1e-6))
    return logs


def _warmed(chances: Floats, warmth: float) -> Floats:
    return softmax(_logs(chances), warmth)


def _least(everywhere: _Evidence, here: _Evidence, warmth: float, shipped: Sequence[float], tolerated: float) -> tuple[float, ...]:
    """Of each class the probability that all but the tolerated share of its reviewed complaints reach (weighted quantile)."""
    least = []
    for column in range(len(CLASSES)):
        for evidence in (here, everywhere):
            own = evidence.labels == column
            if own.sum() >= _LEAST_SET:
                chances = evidence.warmed(warmth).chances[own, column]
                order = np.argsort(chances, kind="stable")
                passed = np.cumsum(evidence.weights[own][order]) / (evidence.weights[own].sum() + 1)
                place = int(np.searchsorted(passed, tolerated, side="right")) - 1
                least.append(_just_below(float(chances[order[place]])) if place >= 0 else 0.0)
                break
        else:
            least.append(shipped[column])
    return tuple(least)


def _threshold(
    rows: _Evidence, answer: int, local: NDArray[np.bool_], least: Sequence[float], first: float, basis: Basis, tolerated: float
) -> Threshold:
    """The lowest probability above which the evidence bounds the share that is wrong by what is tolerated.

    local: which rows count in full; all others are what is believed beforehand, and count as `_BELIEVED` reviews at most.
    first: the shipped threshold; above it the model is believed, as if it had been looked at so often and kept half of what is tolerated.

    Rows of like probability are reviewed alike often, so within a stratum each counts once, and strata count by what they stand for.
    """
    if answer == _OTHER:
        return Threshold(first, Basis.SHIPPED, int(local.sum()))
    inside = rows.chances >= np.asarray(least)
    single = (inside.sum(axis=1) == 1) & inside[:, answer]
    order = np.flatnonzero(single)[np.argsort(-rows.chances[single, answer], kind="stable")]
    stated, weights, own = rows.chances[order, answer], rows.weights[order], local[order]
    wrong = rows.labels[order] != answer
    counts = np.where(own, 1.0, min(1.0, _BELIEVED / max(1, int((~own).sum()))))
    up = int((stated >= first).sum())
    mass, missed, doubt = max(1.0, float(weights[:up].sum())), 0.0, 0.0
    found: tuple[float, float] | None = None
    # What is surer than `first`, as one stratum, the belief in it included; narrower where that is not good enough.
    for many in (up, *(end for end in reversed(_ends(stated[:up], _STRATUM)) if end < up)):
        # The rarer mistakes may be, the more it takes to see that they are.
        believed = _BELIEVED * TOLERATED / tolerated * (many / up if up else 1.0)
        number = believed + float(counts[:many].sum())
        share = (believed * tolerated / 2 + float((counts * wrong)[:many].sum())) / number
        most = share + abstain.DEVIATIONS * math.sqrt(share * (1 - share) / number)
        if most <= tolerated:
            found = (first if many == up else _just_below(float(stated[many - 1])), most)
            missed, doubt = mass * share, mass**2 * share * (1 - share) / number
            break
    if found is not None and found[0] == first:
        start = up
        for end in _ends(stated, _STRATUM):
            if end <= start:
                continue
            number = float(counts[start:end].sum())
            weight = float(weights[start:end].sum())
            share = float((counts * wrong)[start:end].sum()) / number
            # Neither none nor all of a few says that there are none at all (Agresti and Coull 1998).
            likely = (share * number + 1) / (number + 2)
            mass, missed, doubt = mass + weight, missed + weight * share, doubt + weight**2 * likely * (1 - likely) / number
            most = missed / mass + abstain.DEVIATIONS * math.sqrt(doubt) / mass
            if most <= tolerated and counts[:end].sum() >= LEAST_EVIDENCE:
                found = (_just_below(float(stated[end - 1])), most)
            start = end
    probability, most = found or (_NEVER, 1.0)
    above = own & (stated >= probability)
    if probability == first:
        basis = Basis.SHIPPED
    return Threshold(probability, basis, int(local.sum()), int(above.sum()), int((wrong & above).sum()), most)


def _just_below(probability: float) -> float:
    """So that the very probability that a threshold was taken from reaches it, whatever the last bit of a product is."""
    return probability * (1 - 1e-9)


def _ends(stated: Floats, size: int) -> list[int]:
    """Where strata of at least `size` rows end, the surest first; rows that state the same are never parted."""
    ends, start = [], 0
    for many in range(1, len(stated) + 1):
        if many - start >= size and (many == len(stated) or stated[many] < stated[many - 1]):
            ends.append(many)
            start = many
    return ends


def upper_bound(share: float, many: float, deviations: float = abstain.DEVIATIONS) -> float:
    """Wilson's upper bound of a rate that was observed over `many`, which is above 0."""
    z2 = deviations**2
    return (share + z2 / (2 * many) + deviations * math.sqrt(share * (1 - share) / many + z2 / (4 * many**2))) / (1 + z2 / many)


def lower_bound(share: float, many: float, deviations: float = abstain.DEVIATIONS) -> float:
    """Wilson's lower bound; the mirrored upper one."""
    return 1 - upper_bound(1 - share, many, deviations)


@dataclass(frozen=True, slots=True)
class Kept:
    """Whether the promise is kept in a channel for a class: how many routed alone were looked at, how many of these were wrong.

    broken: even the lower bound of the rate is above what is tolerated.
    """

    audited: int
    wrong: int
    broken: bool


def kept(audited: int, wrong: int, tolerated: float) -> Kept:
    """The check of the promise on the random sample of those routed alone."""
    return Kept(audited, wrong, broken=wrong >= _LEAST_WRONG and lower_bound(wrong / audited, audited, _SURE) > tolerated)
