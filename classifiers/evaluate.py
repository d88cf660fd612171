"""How right a classifier is: figures of a labelled set as values and as a plain table, and folds that never split a story."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifiers.linear import CLASSES, Floats
from models.verdict import ComplaintClass, Decision, Verdict

Labels = NDArray[np.int_]

_BINS = 10


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """Precision, recall and F1 of one class, and how many texts have it as their label."""

    precision: float
    recall: float
    f1: float
    texts: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of a labelled set; shares and rates are between 0 and 1.

    four_class:   accuracy over the texts labelled with one of the four, the best of the four probabilities taken.
    top_two:      share of texts whose label is among the two likeliest classes.
    ece:          expected calibration error over ten bins of equal width.
    auto_share:   share of texts that would be routed without a person; `auto_error` how many of these are wrong.
    lenient:      share whose answer is the primary or a listed secondary class; `None` where no secondary classes were given.
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

    def table(self) -> str:
        """The figures as plain text, in Chinese, fit for a terminal."""
        lines = [
            f"文本 {self.texts}  准确率 {self.accuracy:.3f}  宏平均F1 {self.macro_f1:.3f}  四类准确率 {self.four_class:.3f}",
            f"前二命中 {self.top_two:.3f}  校准误差 {self.ece:.3f}  自动分派 {self.auto_share:.1%}  其中错误 {self.auto_error:.1%}",
        ]
        if self.lenient is not None and self.secondary_f1 is not None:
            lines.append(f"宽松准确率 {self.lenient:.3f}  次要类别F1 {self.secondary_f1:.3f}")
        lines.append("类别　　　 精确率 召回率    F1  文本 | " + " ".join(f"{name.zh[:2]:>3}" for name in CLASSES))
        for name, row in zip(CLASSES, self.confusion, strict=True):
            one = self.per_class[name]
            label = name.zh.ljust(5, "　")
            cells = " ".join(f"{count:>5}" for count in row)
            lines.append(f"{label} {one.precision:6.3f} {one.recall:6.3f} {one.f1:6.3f} {one.texts:5d} | {cells}")
        return "\n".join(lines)


def figures(
    chances: Floats,
    labels: Labels,
    auto: NDArray[np.bool_],
    secondary: Sequence[tuple[frozenset[int], frozenset[int]]] | None = None,
) -> Figures:
    """Figures from probabilities (texts × classes), labels (class numbers), and which texts would be routed alone.

    secondary: for each text the labelled and the answered further classes, as class numbers.
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
        secondary_f1=None if secondary is None else _micro_f1(secondary),
        per_class=per_class,
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
    )


def figures_of(
    verdicts: Sequence[Verdict], labels: Sequence[ComplaintClass], secondary: Sequence[Sequence[ComplaintClass]] | None = None
) -> Figures:
    """Figures of a classifier's verdicts against labels, and against labelled secondary classes where they are known."""
    chances = np.array([[verdict.probabilities[name] for name in CLASSES] for verdict in verdicts], dtype=np.float64)
    numbers = np.array([CLASSES.index(label) for label in labels], dtype=int)
    auto = np.array([verdict.decision is Decision.AUTO for verdict in verdicts], dtype=bool)
    both = None
    if secondary is not None:
        both = [(_numbers(truth), _numbers(verdict.secondary)) for truth, verdict in zip(secondary, verdicts, strict=True)]
    return figures(chances.reshape(-1, len(CLASSES)), numbers, auto, both)


def calibration_error(chances: Floats, labels: Labels) -> float:
    """Expected calibration error: how far, on average, the stated probability of the answer is from its rate of being right."""
    if not len(labels):
        return 0.0
    stated = chances.max(axis=1)
    right = chances.argmax(axis=1) == labels
    bins = np.minimum((stated * _BINS).astype(int), _BINS - 1)
    error = 0.0
    for number in range(_BINS):
        inside = bins == number
        if inside.any():
            error += abs(float(stated[inside].mean()) - float(right[inside].mean())) * float(inside.mean())
    return error


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


def _lenient(answers: Labels, labels: Labels, secondary: Sequence[tuple[frozenset[int], frozenset[int]]]) -> NDArray[np.bool_]:
    pairs = zip(answers.tolist(), labels.tolist(), secondary, strict=True)
    return np.array([answer == label or answer in truth for answer, label, (truth, _) in pairs], dtype=bool)


def _micro_f1(secondary: Sequence[tuple[frozenset[int], frozenset[int]]]) -> float:
    hit = sum(len(truth & answer) for truth, answer in secondary)
    total = sum(len(truth) + len(answer) for truth, answer in secondary)
    return 2 * hit / total if total else 1.0
