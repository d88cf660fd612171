"""The classifier that ships: lexicon terms, facets and words, weighed by one table, answering by the batch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from scipy import sparse
from sklearn.pipeline import Pipeline

from classifiers.abstain import rule, secondary_of
from classifiers.base import Query
from classifiers.blend import Blend
from classifiers.explain import Explainer
from classifiers.features import Features
from classifiers.fields import FieldFinder
from classifiers.linear import CLASSES, OneVsRest, softmax
from classifiers.reading import Reader, Reading
from classifiers.risk import risks
from models.verdict import ComplaintClass, Verdict


class LinearClassifier:
    """Answers from a trained model's parts; immutable after it is made, so threads may share it (`classifiers.base.Classifier`).

    content: what `classifiers.train` packs: `pipeline`, `also`, `temperature`, `threshold`, `least`, `secondary`.
    estates: names of the company's estates, which field extraction then finds wherever they stand.
    """

    def __init__(self, content: Mapping[str, Any], version: str, reader: Reader, estates: Collection[str] = ()) -> None:
        pipeline: Pipeline = content["pipeline"]
        self._features: Features = pipeline.named_steps["features"]
        self._primary: Blend = pipeline.named_steps["classes"]
        self._also: OneVsRest = content["also"]
        self._temperature = float(content["temperature"])
        self._threshold = float(content["threshold"])
        self._secondary = [float(value) for value in content["secondary"]]
        self._least = [float(value) for value in content["least"]]
        self._explainer = Explainer(self._features)
        self._version = version
        self._reader = reader
        self._fields = FieldFinder(estates)

    @property
    def version(self) -> str:
        """Version of the trained model."""
        return self._version

    @property
    def temperature(self) -> float:
        """What scores are divided by before they become probabilities."""
        return self._temperature

    @property
    def bounds(self) -> tuple[float, list[float]]:
        """What a text must reach to be routed alone: `threshold` and `least` of `classifiers.abstain.alone`."""
        return self._threshold, list(self._least)

    def rows(self, readings: Sequence[Reading]) -> sparse.csr_matrix:
        """The features of readings (texts × columns)."""
        return self._features.transform(readings)

    def classify(self, queries: Sequence[Query]) -> list[Verdict]:
        """One verdict for each query, in order; never raises."""
        if not queries:
            return []
        readings = self._reader.read_all(queries)
        rows = self.rows(readings)
        scores = self._primary.decision_function(rows)
        chances = softmax(scores, self._temperature)
        also = self._also.decision_function(rows)
        verdicts = []
        for place, (query, reading) in enumerate(zip(queries, readings, strict=True)):
            start, end = rows.indptr[place], rows.indptr[place + 1]
            ruling = rule(chances[place], self._threshold, anything=end > start, least=self._least)
            columns = rows.indices[start:end]
            primary = CLASSES.index(ruling.primary)
            weights = self._primary.coef_[primary, columns] * rows.data[start:end]
            text = f"{reading.title.clean.text}\n{reading.said.clean.text}"
            parts = list(zip(columns.tolist(), weights.tolist(), strict=True))
            verdicts.append(
                Verdict(
                    primary=ruling.primary,
                    probabilities=dict(zip(CLASSES, chances[place].tolist(), strict=True)),
                    secondary=secondary_of(also[place], self._secondary, ruling.primary),
                    decision=ruling.decision,
                    decision_code=ruling.code,
                    candidates=ruling.candidates,
                    risk=risks(text, complaint=ruling.primary is not ComplaintClass.OTHER),
                    reasons=self._explainer.explain(reading, parts, float(scores[place, primary])),
                    customer=self._fields.find(query, reading.said.clean),
                    trained_model=self._version,
                )
            )
        return verdicts
