"""How right a classifier is: figures of a labelled set as values and as a plain table, and what its probabilities are worth."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from classifiers.scores import CLASSES, Floats
from models.verdict import ComplaintClass, Decision, Verdict

Labels = NDArray[np.int_]

# In which language labels are: Chinese, English, or Chinese with English beside.
Language = Literal["zh", "en", "both"]

ENGLISH: Mapping[ComplaintClass, str] = {name: name.value.replace("_", " ") for name in ComplaintClass}

# In the headings of a confusion table.
_SHORT: Mapping[ComplaintClass, str] = dict(zip(ComplaintClass, ("quality", "service", "contract", "price", "other"), strict=True))

_BINS = 10
# Of a normal distribution, so that nineteen intervals of twenty hold the true rate.
_DEVIATIONS = 1.96

Member = TypeVar("Member", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Bin:
    """Texts whose answer has a stated probability of about the same: its mean, the share that is right, and how many they are."""

    stated: float
    right: float
    texts: int


@dataclass(frozen=True, slots=True)
class Point:
    """If all texts were routed alone whose answer is at least so likely (`least`): their share, and the error among them."""

    share: float
    error: float
    least: float


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """Precision, recall and F1 of one class, and how many texts have it as their label."""

    precision: float
    recall: float
    f1: float
    texts: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of a labelled set; shares and rates are between 0 and 1, and 0 where there is nothing to have a share of.

    four_class:   accuracy over the texts labelled with one of the four, the best of the four probabilities taken.
    top_two:      share of texts whose label is among the two likeliest classes.
    ece:          expected calibration error over ten bins of equal width.
    auto_share:   share of texts that would be routed without a person; `auto_error` how many of these are wrong.
    lenient:      share whose answer is the primary or a listed secondary class; `None` where no secondary classes are labelled.
    secondary_f1: micro-F1 of the secondary classes; `None` as above.
    confusion:    rows the label, columns the answer, both in the order of `ComplaintClass`.
    """

    texts: int
    accuracy: float
    macro_f1: float
    four_class: float
    top_two: float
    ece: float
    auto_share: float
    auto_error: float
    lenient: float | None
    secondary_f1: float | None
    per_class: Mapping[ComplaintClass, ClassFigures]
    confusion: tuple[tuple[int, ...], ...]

    def as_json(self) -> dict[str, object]:
        """The figures as JSON values, rounded to four digits, for the card of a trained model."""

        def short(value: float | None) -> float | None:
            return None if value is None else round(value, 4)

        return {
            "texts": self.texts,
            "accuracy": short(self.accuracy),
            "macro_f1": short(self.macro_f1),
            "four_class": short(self.four_class),
            "top_two": short(self.top_two),
            "ece": short(self.ece),
            "auto_share": short(self.auto_share),
            "auto_error": short(self.auto_error),
            "lenient": short(self.lenient),
            "secondary_f1": short(self.secondary_f1),
            "per_class": {
                str(name): {"precision": short(one.precision), "recall": short(one.recall), "f1": short(one.f1), "texts": one.texts}
                for name, one in self.per_class.items()
            },
            "confusion": [list(row) for row in self.confusion],
        }

    @property
    def auto(self) -> tuple[int, int]:
        """How many texts would be routed without a person, and how many of these are wrong."""
        alone = round(self.auto_share * self.texts)
        return alone, round(self.auto_error * alone)

    def table(self, language: Language = "zh") -> str:
        """The figures as plain text, fit for a terminal: shares with the interval that holds the true one nineteen times in twenty."""
        four = sum(one.texts for name, one in self.per_class.items() if name is not ComplaintClass.OTHER)
        alone, wrong = self.auto
        lines = [
            (("文本", "texts"), str(self.texts)),
            (("自动分派", "routed alone"), f"{alone} ({self.auto_share:.1%})"),
            (("其中错误", "of these wrong"), rate(wrong, alone, counted=True)),
            (("准确率", "accuracy"), rate(round(self.accuracy * self.texts), self.texts)),
            (("宏平均F1", "macro-F1"), f"{self.macro_f1:.3f}"),
            (("四类准确率", "four-class accuracy"), rate(round(self.four_class * four), four)),
            (("前二命中", "top two"), rate(round(self.top_two * self.texts), self.texts)),
        ]
        if self.lenient is not None:
            lines.append((("宽松准确率", "lenient accuracy"), rate(round(self.lenient * self.texts), self.texts)))
        lines.append((("校准误差", "calibration error"), f"{self.ece:.3f}"))
        if self.secondary_f1 is not None:
            lines.append((("次要类别F1", "secondary micro-F1"), f"{self.secondary_f1:.3f}"))
        heads = (("类别", "class"), ("精确率", "precision"), ("召回率", "recall"), ("F1", ""), ("文本", "texts"))
        classes = [
            [class_name(name, language), f"{one.precision:.3f}", f"{one.recall:.3f}", f"{one.f1:.3f}", str(one.texts)]
            for name, one in self.per_class.items()
        ]
        short = [(name.zh[:2], _SHORT[name]) for name in CLASSES]
        confusion = headings([("标注＼分类", "label \\ answer"), *short], language)
        confusion += [[class_name(name, language), *map(str, row)] for name, row in zip(CLASSES, self.confusion, strict=True)]
        parts = (
            columns([[said(label, language), value] for label, value in lines], left=2),
            columns([*headings(heads, language), *classes]),
            columns(confusion),
        )
        return "\n\n".join(parts)


def figures(
    chances: Floats,
    labels: Labels,
    auto: NDArray[np.bool_],
    secondary: Sequence[tuple[frozenset[int], frozenset[int]] | None] | None = None,
) -> Figures:
    """Figures from probabilities (texts × classes), labels (class numbers), and which texts would be routed alone.

    secondary: for each text the labelled and the answered further classes, as class numbers; `None` for a text where nobody labelled them.
    """
    answers = chances.argmax(axis=1)
    right = answers == labels
    many = len(CLASSES)
    confusion = np.zeros((many, many), dtype=int)
    np.add.at(confusion, (labels, answers), 1)
    per_class = {name: _class_figures(confusion, place) for place, name in enumerate(CLASSES)}
    present = [one.f1 for one in per_class.values() if one.texts]
    four = labels != CLASSES.index(ComplaintClass.OTHER)
    best_of_four = chances[:, :4].argmax(axis=1)
    two = np.argsort(-chances, axis=1, kind="stable")[:, :2]
    return Figures(
        texts=len(labels),
        accuracy=_mean(right),
        macro_f1=sum(present) / len(present) if present else 0.0,
        four_class=_mean(best_of_four[four] == labels[four]),
        top_two=_mean((two == labels[:, None]).any(axis=1)),
        ece=calibration_error(chances, labels),
        auto_share=_mean(auto),
        auto_error=_mean(~right[auto]),
        lenient=None if secondary is None else _mean(_lenient(answers, labels, secondary)),
        secondary_f1=None if secondary is None else micro_f1([pair for pair in secondary if pair is not None]),
        per_class=per_class,
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
    )


def figures_of(
    verdicts: Sequence[Verdict], labels: Sequence[ComplaintClass], secondary: Sequence[Sequence[ComplaintClass] | None] | None = None
) -> Figures:
    """Figures of a classifier's verdicts against labels, and against labelled secondary classes where they are known."""
    chances, numbers = chances_of(verdicts), numbers_of(labels)
    auto = np.array([verdict.decision is Decision.AUTO for verdict in verdicts], dtype=bool)
    both = None
    if secondary is not None:
        both = [
            None if truth is None else (_numbers(truth), _numbers(verdict.secondary))
            for truth, verdict in zip(secondary, verdicts, strict=True)
        ]
    return figures(chances, numbers, auto, both)


def chances_of(verdicts: Sequence[Verdict]) -> Floats:
    """The probabilities of verdicts (texts × classes)."""
    chances = np.array([[verdict.probabilities[name] for name in CLASSES] for verdict in verdicts], dtype=np.float64)
    return chances.reshape(-1, len(CLASSES))


def numbers_of(labels: Sequence[ComplaintClass]) -> Labels:
    """The class numbers of labels."""
    return np.array([CLASSES.index(label) for label in labels], dtype=int)


def calibration_error(chances: Floats, labels: Labels) -> float:
    """Expected calibration error: how far, on average, the stated probability of the answer is from its rate of being right."""
    return sum(abs(one.stated - one.right) * one.texts for one in reliability(chances, labels)) / max(1, len(labels))


def reliability(chances: Floats, labels: Labels) -> list[Bin]:
    """What stated probabilities are worth, over ten bins of equal width; a bin without texts is left out."""
    stated = chances.max(axis=1, initial=0.0)
    right = chances.argmax(axis=1) == labels
    places = np.minimum((stated * _BINS).astype(int), _BINS - 1)
    found = []
    for number in range(_BINS):
        inside = places == number
        if inside.any():
            found.append(Bin(float(stated[inside].mean()), float(right[inside].mean()), int(inside.sum())))
    return found


def coverage(chances: Floats, labels: Labels) -> list[Point]:
    """The risk-coverage curve: one point for each probability that might be the threshold, the highest first.

    An answer of `other` is never routed alone (`classifiers.abstain`), so the share may stay below 1.
    """
    answers = chances.argmax(axis=1)
    may = answers != CLASSES.index(ComplaintClass.OTHER)
    stated = chances.max(axis=1, initial=0.0)[may]
    order = np.argsort(-stated, kind="stable")
    stated, wrong = stated[order], np.cumsum((answers != labels)[may][order])
    last = [place for place in range(len(stated)) if place + 1 == len(stated) or stated[place + 1] < stated[place]]
    return [Point((place + 1) / len(labels), float(wrong[place]) / (place + 1), float(stated[place])) for place in last]


def interval(hits: int, total: int) -> tuple[float, float]:
    """Wilson's interval: where the true rate lies, nineteen times in twenty; everything is possible where nothing was counted."""
    if not total:
        return 0.0, 1.0
    share, z2 = hits / total, _DEVIATIONS**2
    middle = share + z2 / (2 * total)
    half = _DEVIATIONS * math.sqrt(share * (1 - share) / total + z2 / (4 * total**2))
    scale = 1 + z2 / total
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def micro_f1(pairs: Sequence[tuple[frozenset[Member], frozenset[Member]]]) -> float:
    """Micro-F1 of sets: what is labelled and what is answered."""
    hit = sum(len(truth & answer) for truth, answer in pairs)
    total = sum(len(truth) + len(answer) for truth, answer in pairs)
    return 2 * hit / total if total else 1.0


def rate(hits: int, total: int, *, counted: bool = False) -> str:
    """A share for people, with its interval; `counted`: the number before it. A stroke where there is nothing to have a share of."""
    if not total:
        return "—"
    low, high = interval(hits, total)
    if counted:
        return f"{hits} ({hits / total:.1%}; 95% {low:.1%}–{high:.1%})"
    return f"{hits / total:.3f} (95% {low:.3f}–{high:.3f})"


def said(label: tuple[str, str], language: Language) -> str:
    """A label, Chinese and English, in the language wanted. One that is the same in both has no second half."""
    zh, en = label
    return zh if language == "zh" or not en else en if language == "en" else f"{zh} {en}"


def headings(heads: Sequence[tuple[str, str]], language: Language) -> list[list[str]]:
    """The heading of a table; in both languages it is two rows, so that columns stay narrow."""
    if language == "both":
        return [[zh for zh, _ in heads], [en for _, en in heads]]
    return [[said(head, language) for head in heads]]


def class_name(name: ComplaintClass, language: Language) -> str:
    """The name of a class in the language wanted."""
    return said((name.zh, ENGLISH[name]), language)


def columns(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Rows of cells as plain text. The first `left` columns are aligned at their left, the others at their right."""
    widths = [max(map(_wide, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell + " " * (width - _wide(cell)) if place < left else " " * (width - _wide(cell)) + cell
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _wide(text: str) -> int:
    """How many places of a terminal a text takes: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _numbers(classes: Sequence[ComplaintClass]) -> frozenset[int]:
    return frozenset(CLASSES.index(name) for name in classes)


def _mean(values: NDArray[np.bool_]) -> float:
    return float(values.mean()) if len(values) else 0.0


def _class_figures(confusion: NDArray[np.int_], place: int) -> ClassFigures:
    hit = int(confusion[place, place])
    answered = int(confusion[:, place].sum())
    texts = int(confusion[place].sum())
    precision = hit / answered if answered else 0.0
    recall = hit / texts if texts else 0.0
    f1 = 2 * precision * recall / (precision + recall) if hit else 0.0
    return ClassFigures(precision, recall, f1, texts)


def _lenient(answers: Labels, labels: Labels, secondary: Sequence[tuple[frozenset[int], frozenset[int]] | None]) -> NDArray[np.bool_]:
    pairs = zip(answers.tolist(), labels.tolist(), secondary, strict=True)
    return np.array([answer == label or (pair is not None and answer in pair[0]) for answer, label, pair in pairs], dtype=bool)
