"""The classifier that ships: lexicon terms, facets and words, weighed by one table, answering by the batch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from classifiers.abstain import rule, secondary_of
from classifiers.base import Query
from classifiers.columns import Columns, Rows
from classifiers.explain import Explainer
from classifiers.fields import FieldFinder
from classifiers.reading import Reader, Reading
from classifiers.risk import risks
from classifiers.scores import CLASSES, Floats, softmax
from classifiers.segmenters import word_frequency
from models.verdict import ComplaintClass, Reason, Verdict


@dataclass(frozen=True, slots=True)
class Bounds:
    """How sure is sure enough.

    temperature: what scores are divided by before they become probabilities.
    threshold:   least probability of the primary class of a text that is routed alone.
    least:       for each class the probability from which on it is in a text's prediction set.
    secondary:   for each class the score from which on it is named as a further class.
    """

    temperature: float
    threshold: float
    least: tuple[float, ...]
    secondary: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights (classes × columns) and start values (classes) of a linear model."""

    coef: NDArray[np.float32]
    intercept: NDArray[np.float32]


class LinearClassifier:
    """Answers from a trained model's parts; immutable after it is made, so threads may share it (`classifiers.base.Classifier`).

    primary:   weights of the answer; `also` of the further classes.
    estates:   names of the company's estates, which field extraction then finds wherever they stand.
    frequency: how common a word is (`classifiers.segmenters.word_frequency`).
    """

    def __init__(
        self,
        columns: Columns,
        primary: Weights,
        also: Weights,
        bounds: Bounds,
        version: str,
        reader: Reader,
        estates: Collection[str] = (),
        frequency: Callable[[str], int] = word_frequency,
    ) -> None:
        if not primary.coef.shape == also.coef.shape == (len(CLASSES), columns.width):
            raise ValueError("the weights do not fit the columns")
        self._columns = columns
        # One row a column, so that what a text holds is gathered in one step.
        self._table = np.concatenate([primary.coef, also.coef]).T.astype(np.float64, order="C")
        self._start = np.concatenate([primary.intercept, also.intercept]).astype(np.float64)
        self._bounds = bounds
        self._explainer = Explainer(columns)
        self._version = version
        self._reader = reader
        self._fields = FieldFinder(estates, frequency)

    @property
    def version(self) -> str:
        """Version of the trained model."""
        return self._version

    @property
    def bounds(self) -> Bounds:
        """How sure is sure enough."""
        return self._bounds

    @property
    def caution(self) -> tuple[float, tuple[float, ...]]:
        """As `classifiers.base.Classifier.caution`."""
        return self._bounds.threshold, self._bounds.least

    def rows(self, readings: Sequence[Reading]) -> Rows:
        """The features of readings."""
        return self._columns.fill(readings)

    def scores(self, rows: Rows) -> tuple[Floats, Floats]:
        """Scores of the answer and of the further classes (texts × classes each); each row is summed by itself, whatever the batch."""
        many = len(rows.starts) - 1
        scores = np.zeros((many, len(self._start)))
        if len(rows.columns):
            parts = self._table[rows.columns]
            parts *= rows.values[:, None]
            filled = np.flatnonzero(np.diff(rows.starts))
            scores[filled] = np.add.reduceat(parts, rows.starts[filled], axis=0)
        scores += self._start
        return scores[:, : len(CLASSES)], scores[:, len(CLASSES) :]

    def answers(self, queries: Sequence[Query]) -> list[ComplaintClass]:
        """The likeliest class of each query and nothing else, at a third of the price of `classify`."""
        scores, _ = self.scores(self.rows(self._reader.read_all(queries)))
        return [CLASSES[place] for place in scores.argmax(axis=1).tolist()]

    def words_known(self, queries: Sequence[Query]) -> list[tuple[int, int]]:
        """Of each query how many of its words (of two characters and more) the trained model knows, and how many there are."""
        counted = []
        for reading in self._reader.read_all(queries):
            words = [word for word in (*reading.title.words, *reading.said.words) if len(word) > 1 and word.isalnum()]
            counted.append((sum(word in self._columns.words or word in self._columns.terms for word in words), len(words)))
        return counted

    def classify(self, queries: Sequence[Query]) -> list[Verdict]:
        """One verdict for each query, in order; never raises."""
        if not queries:
            return []
        bounds = self._bounds
        readings = self._reader.read_all(queries)
        rows = self.rows(readings)
        scores, also = self.scores(rows)
        chances = softmax(scores, bounds.temperature)
        answers = chances.argmax(axis=1)
        # Each step for all texts before the next: its tables stay in the processor's cache, which halves its time.
        rulings = [
            rule(chance, bounds.threshold, anything=size > 0, least=bounds.least)
            for chance, size in zip(chances.tolist(), np.diff(rows.starts).tolist(), strict=True)
        ]
        reasons = self._reasons(readings, rows, answers, scores[np.arange(len(answers)), answers])
        customers = [
            self._fields.find(query, reading.said.clean, reading.title.clean) for query, reading in zip(queries, readings, strict=True)
        ]
        return [
            Verdict(
                primary=ruling.primary,
                probabilities=dict(zip(CLASSES, chance, strict=True)),
                secondary=secondary_of(further, bounds.secondary, ruling.primary),
                decision=ruling.decision,
                decision_code=ruling.code,
                candidates=ruling.candidates,
                risk=risks(f"{reading.title.clean.text}\n{reading.said.clean.text}", complaint=ruling.primary is not ComplaintClass.OTHER),
                reasons=why,
                customer=customer,
                trained_model=self._version,
            )
            for reading, ruling, chance, further, why, customer in zip(
                readings, rulings, chances.tolist(), also.tolist(), reasons, customers, strict=True
            )
        ]

    def _reasons(self, readings: Sequence[Reading], rows: Rows, answers: NDArray[np.intp], scores: Floats) -> list[tuple[Reason, ...]]:
        """Why each text was answered with the class of number `answers`, of which it has `scores`."""
        weights = self._table[rows.columns, np.repeat(answers, np.diff(rows.starts))] * rows.values
        parts, columns, bounds = weights.tolist(), rows.columns.tolist(), pairwise(rows.starts.tolist())
        return [
            self._explainer.explain(reading, columns[start:end], parts[start:end], score)
            for reading, (start, end), score in zip(readings, bounds, scores.tolist(), strict=True)
        ]
