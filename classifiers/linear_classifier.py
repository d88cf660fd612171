"""The classifier that ships: lexicon facets and words, weighed by a linear model, answering by the batch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sklearn.pipeline import Pipeline

from classifiers.abstain import rule, secondary_of
from classifiers.base import Query
from classifiers.explain import explain
from classifiers.fields import FieldFinder
from classifiers.linear import CLASSES, Features, OneVsRest, softmax
from classifiers.reading import Reader
from classifiers.risk import risks
from models.verdict import ComplaintClass, Verdict


class LinearClassifier:
    """Answers from a trained model's parts; immutable after it is made, so threads may share it (`classifiers.base.Classifier`).

    content: what `classifiers.train` packs: `pipeline`, `also`, `temperature`, `threshold`, `secondary`.
    estates: names of the company's estates, which field extraction then finds wherever they stand.
    """

    def __init__(self, content: Mapping[str, Any], version: str, reader: Reader, estates: Collection[str] = ()) -> None:
        pipeline: Pipeline = content["pipeline"]
        self._features: Features = pipeline.named_steps["features"]
        self._primary: OneVsRest = pipeline.named_steps["classes"]
        self._also: OneVsRest = content["also"]
        self._temperature = float(content["temperature"])
        self._threshold = float(content["threshold"])
        self._secondary = [float(value) for value in content["secondary"]]
        self._names = self._features.names_.split("\n") if self._features.names_ else []
        self._features.index()
        self._version = version
        self._reader = reader
        self._fields = FieldFinder(estates)

    @property
    def version(self) -> str:
        """Version of the trained model."""
        return self._version

    def classify(self, queries: Sequence[Query]) -> list[Verdict]:
        """One verdict for each query, in order; never raises."""
        if not queries:
            return []
        readings = self._reader.read_all(queries)
        rows = self._features.transform(readings)
        scores = self._primary.decision_function(rows)
        chances = softmax(scores, self._temperature)
        also = self._also.decision_function(rows)
        verdicts = []
        for place, (query, reading) in enumerate(zip(queries, readings, strict=True)):
            start, end = rows.indptr[place], rows.indptr[place + 1]
            ruling = rule(chances[place], self._threshold, anything=end > start)
            columns = rows.indices[start:end]
            weights = self._primary.coef_[CLASSES.index(ruling.primary), columns] * rows.data[start:end]
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
                    reasons=explain(reading, self._features, self._names, parts),
                    customer=self._fields.find(query, reading.said.clean),
                    trained_model=self._version,
                )
            )
        return verdicts
