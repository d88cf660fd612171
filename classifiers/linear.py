"""The features and the linear model, as scikit-learn estimators: the only scikit-learn pipeline of jiesu.

Bit-for-bit reproducible on purpose: counting is done in sorted order, logarithms by `math`, the solver is liblinear's dual coordinate
descent (one thread, no BLAS), and what is learned is rounded to four significant digits, so that a last bit that another processor
computes otherwise does not show.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import Pipeline

from classifiers.facets import Hit
from classifiers.reading import Reading
from classifiers.text import Words
from models.verdict import ComplaintClass

# The order of columns wherever a number stands for a class.
CLASSES: tuple[ComplaintClass, ...] = tuple(ComplaintClass)

Floats = NDArray[np.float64]

# The three places where a facet may show, each a feature of its own.
ZONES = ("title", "demand", "body")


# Facets that are no features: angry letters go to authorities whatever they complain of, so these words must not vote for `other`
# (`classifier-study.md`). They stay in the lexicon for the segmenter and for people.
NO_FEATURES = frozenset({"gov", "authority"})


def rounded(values: Iterable[float] | Floats) -> NDArray[np.float32]:
    """Float32 with four significant digits."""
    exact = np.asarray(values, dtype=np.float64)
    with np.errstate(divide="ignore"):
        power = np.where(exact == 0, 0.0, np.floor(np.log10(np.abs(exact))))
    scale = 10.0 ** (3 - power)
    result: NDArray[np.float32] = (np.round(exact * scale) / scale).astype(np.float32)
    return result


def runs(words: Words) -> list[list[str]]:
    """The words between punctuation, line breaks and blanks, run by run; word pairs never cross such a border."""
    found: list[list[str]] = [[]]
    for word in words.words:
        if word.isalnum() or word[0] == "<":
            found[-1].append(word)
        elif found[-1] and word != " ":
            found.append([])
    return found


class Features(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Readings to a sparse matrix (texts × features), float64.

    Columns: words and pairs of words of title and body; words of the title once more; then every facet for each of `ZONES`.
    Word columns are sublinear TF-IDF with rows of length `word_weight`; facet columns are log(1 + count) times `facet_weight`.
    """

    def __init__(
        self,
        facets: Sequence[str] = (),
        min_texts: int = 3,
        pairs: bool = True,
        word_weight: float = 2.0,
        facet_weight: float = 1.0,
    ) -> None:
        self.facets = facets
        self.min_texts = min_texts
        self.pairs = pairs
        self.word_weight = word_weight
        self.facet_weight = facet_weight

    def fit(self, readings: Sequence[Reading], y: object = None) -> Self:
        """Learns which words there are and how rare each is. `y` is not looked at."""
        seen: Counter[str] = Counter()
        for reading in readings:
            seen.update(self._names(reading).keys())
        kept = sorted(name for name, texts in seen.items() if texts >= self.min_texts)
        self.names_ = "\n".join(kept)
        self.idf_ = rounded([math.log((1 + len(readings)) / (1 + seen[name])) + 1 for name in kept])
        self._index = {name: place for place, name in enumerate(kept)}
        return self

    def transform(self, readings: Sequence[Reading]) -> sparse.csr_matrix:
        """One row a reading; `classify` takes its reasons from the same rows."""
        index = self.index()
        idf = self.idf_.tolist()
        width = len(idf)
        data: list[float] = []
        columns: list[int] = []
        pointers = [0]
        for reading in readings:
            row: dict[int, float] = {}
            squares = 0.0
            for name, count in self._names(reading).items():
                place = index.get(name)
                if place is not None:
                    value = (1.0 + math.log(count)) * idf[place] if count > 1 else idf[place]
                    row[place] = value
                    squares += value * value
            if squares:
                scale = self.word_weight / math.sqrt(squares)
                for place in row:
                    row[place] *= scale
            for place, times in self._facet_counts(reading).items():
                row[width + place] = math.log1p(times) * self.facet_weight
            # Sorted, so that sums over a row are always taken in the same order.
            for place in sorted(row):
                columns.append(place)
                data.append(row[place])
            pointers.append(len(columns))
        return sparse.csr_matrix(
            (np.array(data, dtype=np.float64), np.array(columns, dtype=np.int32), np.array(pointers, dtype=np.int32)),
            shape=(len(readings), width + len(ZONES) * len(self.facets)),
        )

    def index(self) -> Mapping[str, int]:
        """Column of each word feature by name: `漏水` a word, `楼顶 漏水` a pair, `^漏水` a word of the title."""
        if getattr(self, "_index", None) is None:
            names = self.names_.split("\n") if self.names_ else []
            self._index = {name: place for place, name in enumerate(names)}
        return self._index

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Names of all columns; facets are called `[zone:code]`."""
        names = self.names_.split("\n") if self.names_ else []
        return np.array([*names, *(f"[{zone}:{code}]" for zone in ZONES for code in self.facets)], dtype=object)

    def __getstate__(self) -> dict[str, Any]:
        # The index is made again from the names; a dictionary of 50,000 entries would make the file slow to load.
        return {key: value for key, value in vars(self).items() if not key.startswith("_")}

    def _names(self, reading: Reading) -> Counter[str]:
        names: Counter[str] = Counter()
        for words in (reading.title, reading.said):
            for run in runs(words):
                names.update(run)
                if self.pairs and len(run) > 1:
                    names.update([f"{left} {right}" for left, right in pairwise(run)])
        if reading.title.words:
            names.update({f"^{word}" for run in runs(reading.title) for word in run})
        return names

    def _facet_counts(self, reading: Reading) -> Counter[int]:
        counts: Counter[int] = Counter()
        for hit in reading.title_hits:
            counts.update(self.facet_places(hit, "title"))
        for hit, demand in zip(reading.hits, reading.demand, strict=True):
            counts.update(self.facet_places(hit, "body"))
            if demand:
                counts.update(self.facet_places(hit, "demand"))
        return counts

    def facet_places(self, hit: Hit, zone: str) -> tuple[int, ...]:
        """Which facet columns, counted from the first of them, `hit` counts in when it stands in `zone`.

        By code, so that a model trained with yesterday's lexicon goes on working with today's.
        """
        places = getattr(self, "_places", None)
        if places is None:
            places = {}
            for start, name in enumerate(ZONES):
                for place, code in enumerate(self.facets):
                    places[name, code] = start * len(self.facets) + place
            self._places = places
        return tuple(places[zone, code] for code in hit.facets if (zone, code) in places)


class OneVsRest(BaseEstimator):  # type: ignore[misc]
    """One logistic regression for each class against the rest, by liblinear's dual solver with a fixed seed.

    `fit` takes an indicator matrix (texts × classes, 0 or 1), so that a text may belong to several classes.
    After it: `coef_` (classes × features) and `intercept_` (classes), float32.
    """

    def __init__(self, C: float = 1.0, balanced: bool = False, seed: int = 0) -> None:
        self.C = C
        self.balanced = balanced
        self.seed = seed

    def fit(self, X: sparse.csr_matrix, y: NDArray[np.int_]) -> Self:
        """Learns each class by itself; a class that no text or every text has keeps weight 0 and an intercept of ∓10."""
        # Only training needs it, and the gateway starts sooner without.
        from sklearn.linear_model import LogisticRegression

        coefficients = np.zeros((y.shape[1], X.shape[1]), dtype=np.float32)
        intercepts = np.zeros(y.shape[1], dtype=np.float32)
        for column in range(y.shape[1]):
            target = y[:, column]
            if target.min() == target.max():
                intercepts[column] = 10.0 if target.min() else -10.0
                continue
            model = LogisticRegression(
                solver="liblinear",
                dual=True,
                C=self.C,
                class_weight="balanced" if self.balanced else None,
                tol=1e-5,
                max_iter=10_000,
                random_state=self.seed,
            ).fit(X, target)
            coefficients[column] = rounded(model.coef_[0])
            intercepts[column] = rounded(model.intercept_)[0]
        self.coef_ = coefficients
        self.intercept_ = intercepts
        return self

    def decision_function(self, X: sparse.csr_matrix) -> Floats:
        """Scores (texts × classes); each row is summed by itself, so a batch gives what one by one gives."""
        scores: Floats = X @ self.coef_.T.astype(np.float64) + self.intercept_.astype(np.float64)
        return scores


def pipeline(facets: Sequence[str], *, C: float = 1.0, **features: Any) -> Pipeline:
    """The pipeline that is trained and shipped: readings in, one score a class out. `facets` are the codes of the lexicon."""
    counted = tuple(code for code in facets if code not in NO_FEATURES)
    return Pipeline([("features", Features(counted, **features)), ("classes", OneVsRest(C))])


def softmax(scores: Floats, temperature: float) -> Floats:
    """Scores (texts × classes) to probabilities; each row adds up to 1."""
    scaled = scores / temperature
    scaled = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    chances: Floats = scaled / scaled.sum(axis=1, keepdims=True)
    return chances
