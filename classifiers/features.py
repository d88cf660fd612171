"""The columns of the model as a scikit-learn transformer: readings in, a sparse matrix out.

Bit-for-bit reproducible on purpose: counting in order, logarithms by `math`, what is learned is rounded.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin

from classifiers.columns import Columns, lexicon_of
from classifiers.reading import Reading
from classifiers.scores import rounded


class Features(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Readings to a sparse matrix (texts × columns), float64: words, then terms, then every hinted facet for each of `columns.ZONES`.

    lexicon:     as `columns.written` gives it.
    min_texts:   in how many texts a word must stand to be a column.
    word_weight: length of the words' part of a row, which is sublinear TF-IDF.

    Terms are log(1 + count) by title and text, shared out over the root of how much a text holds, so that a long letter is not surer than
    a short one. Facets likewise, weighted by zone.
    """

    def __init__(self, lexicon: str = "", min_texts: int = 3, word_weight: float = 2.0) -> None:
        self.lexicon = lexicon
        self.min_texts = min_texts
        self.word_weight = word_weight

    def fit(self, readings: Sequence[Reading], y: object = None) -> Self:
        """Learns which words there are and how rare each is. `y` is not looked at."""
        seen: Counter[str] = Counter()
        for reading in readings:
            seen.update({word for word in (*reading.title.words, *reading.said.words) if word.isalnum() or word[0] == "<"})
        kept = sorted(word for word, texts in seen.items() if texts >= self.min_texts)
        self.names_ = "\n".join(kept)
        self.idf_ = rounded([math.log((1 + len(readings)) / (1 + seen[word])) + 1 for word in kept])
        self.__dict__.pop("_columns", None)
        return self

    def transform(self, readings: Sequence[Reading]) -> sparse.csr_matrix:
        """One row a reading; the running gateway fills its rows by the same `Columns`."""
        columns = self.columns()
        rows = columns.fill(readings)
        return sparse.csr_matrix((rows.values, rows.columns, rows.starts), shape=(len(readings), columns.width))

    def columns(self) -> Columns:
        """What each column stands for."""
        made: Columns | None = getattr(self, "_columns", None)
        if made is None:
            names = self.names_.split("\n") if self.names_ else []
            made = self._columns = Columns(names, self.idf_.tolist(), lexicon_of(self.lexicon), self.word_weight)
        return made

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Names of all columns; terms are called `{term}`, facets `[zone:code]`."""
        columns = self.columns()
        names = [*columns.words, *(f"{{{term}}}" for term in columns.terms), *(f"[{zone}:{code}]" for zone, code in columns.facets)]
        return np.array(names, dtype=object)

    def __getstate__(self) -> dict[str, Any]:
        # The columns are made again from the names; dictionaries of thousands of entries would make the file slow to load.
        return {key: value for key, value in vars(self).items() if not key.startswith("_")}
