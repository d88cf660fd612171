"""The columns of the model: words, the lexicon's terms, and facets by zone; readings in, a sparse matrix out (scikit-learn conventions).

Bit-for-bit reproducible on purpose: counting in order, logarithms by `math`, what is learned is rounded.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin

from classifiers.facets import Facet
from classifiers.linear import CLASSES, rounded
from classifiers.reading import Reading

# The three places where a facet may show, each a column of its own, and how much more a word says there than in the body.
ZONES = ("title", "demand", "body")
_ZONE_WEIGHTS = (3.0, 2.0, 1.0)

# Facets that do not vote: angry letters go to authorities whatever they complain of, so these words must not speak for `other`
# (`docs/classifier.md`). They stay in the lexicon for the segmenter and for people.
NO_FEATURES = frozenset({"gov", "authority"})

# A term counts no more than this however often it stands, and a text is taken to hold at least so much.
_MOST = 2.0
_LEAST_TERMS = 5.0

_Tables = tuple[Mapping[str, int], Sequence[float], Mapping[str, int], Mapping[tuple[str, str], int]]

_LOG = [0.0, *(math.log(count) for count in range(1, 1000))]


@dataclass(frozen=True, slots=True)
class Lexicon:
    """What of the facet lexicon the model knows, out of `written`.

    terms:  in order of their columns; `owners` the numbers in `codes` of each term's facets.
    hints:  for each of `codes` the number of the class that the facet hints at, or -1.
    hinted: the codes that hint at a class; each has a column for every zone.
    """

    terms: tuple[str, ...]
    owners: tuple[tuple[int, ...], ...]
    codes: tuple[str, ...]
    hints: tuple[int, ...]
    hinted: tuple[str, ...]


def written(facets: Iterable[Facet]) -> str:
    """The lexicon as one text, a line a facet, so that a trained model carries what it was trained with."""
    return "\n".join(" ".join((facet.code, facet.hint, *facet.terms)) for facet in facets if facet.code not in NO_FEATURES)


@lru_cache(maxsize=4)
def lexicon_of(text: str) -> Lexicon:
    """What `written` wrote. Raises `ValueError` for anything else."""
    numbers = {str(name): place for place, name in enumerate(CLASSES)}
    codes: list[str] = []
    hints: list[int] = []
    owners: dict[str, list[int]] = {}
    for line in text.splitlines():
        code, hint, *terms = line.split(" ")
        for term in terms:
            owners.setdefault(term, []).append(len(codes))
        codes.append(code)
        hints.append(numbers.get(hint, -1))
    hinted = tuple(code for code, hint in zip(codes, hints, strict=True) if hint >= 0)
    return Lexicon(tuple(owners), tuple(map(tuple, owners.values())), tuple(codes), tuple(hints), hinted)


class Features(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Readings to a sparse matrix (texts × columns), float64: words, then terms, then every hinted facet for each of `ZONES`.

    lexicon:     as `written` gives it.
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
        self.__dict__.pop("_tables", None)
        return self

    def transform(self, readings: Sequence[Reading]) -> sparse.csr_matrix:
        """One row a reading; `classify` takes its reasons from the same rows."""
        words, idf, terms, facets = self.tables()
        data: list[float] = []
        columns: list[int] = []
        pointers = [0]
        for reading in readings:
            row = self._word_part(reading, words, idf)
            self._lexicon_part(reading, terms, facets, row)
            # Sorted, so that sums over a row are always taken in the same order.
            for place in sorted(row):
                columns.append(place)
                data.append(row[place])
            pointers.append(len(columns))
        width = len(words) + len(terms) + len(facets)
        return sparse.csr_matrix(
            (np.array(data, dtype=np.float64), np.array(columns, dtype=np.int32), np.array(pointers, dtype=np.int32)),
            shape=(len(readings), width),
        )

    def _word_part(self, reading: Reading, words: Mapping[str, int], idf: Sequence[float]) -> dict[int, float]:
        counts: dict[int, int] = {}
        for text in (reading.title, reading.said):
            for word in text.words:
                place = words.get(word)
                if place is not None:
                    counts[place] = counts.get(place, 0) + 1
        row: dict[int, float] = {}
        squares = 0.0
        for place, count in counts.items():
            value = (1.0 + (_LOG[count] if count < 1000 else math.log(count))) * idf[place] if count > 1 else idf[place]
            row[place] = value
            squares += value * value
        if squares:
            scale = self.word_weight / math.sqrt(squares)
            for place in row:
                row[place] *= scale
        return row

    def _lexicon_part(
        self, reading: Reading, terms: Mapping[str, int], facets: Mapping[tuple[str, str], int], row: dict[int, float]
    ) -> None:
        title: dict[int, int] = {}
        said: dict[int, int] = {}
        signs: dict[int, int] = {}
        for hit in reading.title_hits:
            place = terms.get(hit.term)
            if place is not None:
                title[place] = title.get(place, 0) + 1
            for code in hit.facets:
                if (sign := facets.get(("title", code))) is not None:
                    signs[sign] = signs.get(sign, 0) + 1
        for hit, demand in zip(reading.hits, reading.demand, strict=True):
            place = terms.get(hit.term)
            if place is not None:
                said[place] = said.get(place, 0) + 1
            for code in hit.facets:
                if (sign := facets.get(("body", code))) is not None:
                    signs[sign] = signs.get(sign, 0) + 1
                    if demand:
                        asked = facets[("demand", code)]
                        signs[asked] = signs.get(asked, 0) + 1
        values = {place: math.log1p(count) for place, count in said.items()}
        for place, count in title.items():
            values[place] = values.get(place, 0.0) + math.log1p(count)
        held = math.sqrt(max(_LEAST_TERMS, math.fsum(min(_MOST, value) for value in values.values())))
        for place, value in values.items():
            row[place] = min(_MOST, value) / held
        if signs:
            zone = len(facets) // len(ZONES)
            first = min(facets.values())
            weighed = {place: _ZONE_WEIGHTS[(place - first) // zone] * math.log1p(count) for place, count in signs.items()}
            held = math.sqrt(max(1.0, math.fsum(weighed.values())))
            for place, value in weighed.items():
                row[place] = value / held

    def tables(self) -> _Tables:
        """Column of each word, the words' rarity, column of each term, and column of each (zone, facet)."""
        made: _Tables | None = getattr(self, "_tables", None)
        if made is None:
            names = self.names_.split("\n") if self.names_ else []
            lexicon = lexicon_of(self.lexicon)
            first = len(names)
            terms = {term: first + place for place, term in enumerate(lexicon.terms)}
            first += len(terms)
            zones = ((zone, code) for zone in ZONES for code in lexicon.hinted)
            facets = {key: first + place for place, key in enumerate(zones)}
            made = self._tables = ({name: place for place, name in enumerate(names)}, self.idf_.tolist(), terms, facets)
        return made

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Names of all columns; terms are called `{term}`, facets `[zone:code]`."""
        words, _, terms, facets = self.tables()
        names = [*words, *(f"{{{term}}}" for term in terms), *(f"[{zone}:{code}]" for zone, code in facets)]
        return np.array(names, dtype=object)

    def __getstate__(self) -> dict[str, Any]:
        # The tables are made again from the names; dictionaries of thousands of entries would make the file slow to load.
        return {key: value for key, value in vars(self).items() if not key.startswith("_")}
