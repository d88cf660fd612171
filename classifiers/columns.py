"""The columns of the model: words, the lexicon's terms, and facets by zone; readings in, sparse rows out.

Nothing here needs scikit-learn, which the running gateway does without (`features.Features` is the estimator around it). Bit-for-bit
reproducible on purpose: counting in order, logarithms by `math`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, repeat

import numpy as np
from numpy.typing import NDArray

from classifiers.facets import Facet
from classifiers.reading import Reading
from classifiers.scores import CLASSES

# The three places where a facet may show, each a column of its own, and how much more a word says there than in the body.
ZONES = ("title", "demand", "body")
_ZONE_WEIGHTS = (3.0, 2.0, 1.0)

# Facets that do not vote: angry letters go to authorities whatever they complain of, so these words must not speak for `other`
# (`docs/classifier.md`). They stay in the lexicon for the segmenter and for people.
NO_FEATURES = frozenset({"gov", "authority"})

# A term counts no more than this however often it stands, and a text is taken to hold at least so much.
_MOST = 2.0
_LEAST_TERMS = 5.0

# How much more a word says that stands so often; beyond the table it is worked out when it is met.
_GAIN = np.array([0.0, *(1.0 + math.log(count) for count in range(1, 1000))])
_log1p = lru_cache(maxsize=1 << 10)(math.log1p)


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


@dataclass(frozen=True, slots=True)
class Rows:
    """Sparse rows, one a text: row `i` holds `values[starts[i]:starts[i + 1]]` in the `columns` of the same range, in rising order."""

    values: NDArray[np.float64]
    columns: NDArray[np.int32]
    starts: NDArray[np.int32]


class Columns:
    """Knows which column stands for what, and fills rows; read-only after it is made.

    names:   the words that are columns, in order; `rarity` the inverse document frequency of each.
    lexicon: as `lexicon_of` gives it.
    weight:  length of the words' part of a row.

    `words`, `terms` and `facets` give the column of each word, each term and each (zone, code).
    """

    def __init__(self, names: Sequence[str], rarity: Sequence[float], lexicon: Lexicon, weight: float) -> None:
        self.words = {name: place for place, name in enumerate(names)}
        first = len(names)
        self.terms = {term: first + place for place, term in enumerate(lexicon.terms)}
        first += len(lexicon.terms)
        zones = ((zone, code) for zone in ZONES for code in lexicon.hinted)
        self.facets = {key: first + place for place, key in enumerate(zones)}
        self.width = first + len(self.facets)
        self._rarity = np.array(rarity, dtype=np.float64)
        self._weight = weight
        self._zone_of = {column: _ZONE_WEIGHTS[ZONES.index(zone)] for (zone, _), column in self.facets.items()}
        self._signs = {code: tuple(self.facets[zone, code] for zone in ZONES) for code in lexicon.hinted}

    def fill(self, readings: Sequence[Reading]) -> Rows:
        """One row a reading. A reading's row does not depend on the others."""
        # Of all words and of all signs of all texts: column, and how often it counts or its value; and how many each text has.
        words: list[int] = []
        counts: list[int] = []
        columns: list[int] = []
        values: list[float] = []
        sizes: list[tuple[int, int]] = []
        known = self.words.get
        for reading in readings:
            found = Counter(map(known, chain(reading.title.words, reading.said.words), repeat(-1)))
            del found[-1]
            signs = self._lexicon_part(reading)
            words += found
            counts += found.values()
            columns += signs
            values += signs.values()
            sizes.append((len(found), len(signs)))
        many = np.array(sizes, dtype=np.int64).reshape(-1, 2)
        each = np.arange(len(many))
        row = np.concatenate([np.repeat(each, many[:, 0]), np.repeat(each, many[:, 1])])
        column = np.array(words + columns, dtype=np.int64)
        value = np.concatenate([self._word_values(column[: len(words)], counts, row[: len(words)], len(many)), values])
        # Sorted, so that sums over a row are always taken in the same order.
        order = np.argsort(row * self.width + column)
        starts = np.zeros(len(many) + 1, dtype=np.int32)
        np.cumsum(many.sum(axis=1), out=starts[1:])
        return Rows(value[order], column[order].astype(np.int32), starts)

    def _word_values(self, columns: NDArray[np.int64], counts: list[int], row: NDArray[np.int64], rows: int) -> NDArray[np.float64]:
        """What each word's `count` in text `row` is worth. Takes each text's sum in the order of its words, alone or among others."""
        most = max(counts, default=1)
        gains = _GAIN if most < len(_GAIN) else np.array([0.0, *(1.0 + math.log(count) for count in range(1, most + 1))])
        values: NDArray[np.float64] = self._rarity[columns] * gains[counts]
        squares = np.bincount(row, values * values, rows)
        # A text without a word has nothing to scale.
        squares[squares == 0.0] = 1.0
        values *= (self._weight / np.sqrt(squares))[row]
        return values

    def _lexicon_part(self, reading: Reading) -> dict[int, float]:
        """The columns and values of the lexicon's terms and facets in one text."""
        values: dict[int, float] = {}
        signs: dict[int, int] = {}
        known = self.terms.get
        columns_of = self._signs.get
        found: dict[int, int] = {}
        for (term, _, _, codes), demand in zip(reading.hits, reading.demand, strict=True):
            if (place := known(term)) is not None:
                found[place] = found.get(place, 0) + 1
            for code in codes:
                if (columns := columns_of(code)) is not None:
                    _, asked, body = columns
                    signs[body] = signs.get(body, 0) + 1
                    if demand:
                        signs[asked] = signs.get(asked, 0) + 1
        for place, count in found.items():
            values[place] = _log1p(count)
        if reading.title_hits:
            found = {}
            for term, _, _, codes in reading.title_hits:
                if (place := known(term)) is not None:
                    found[place] = found.get(place, 0) + 1
                for code in codes:
                    if (columns := columns_of(code)) is not None:
                        signs[columns[0]] = signs.get(columns[0], 0) + 1
            for place, count in found.items():
                values[place] = values.get(place, 0.0) + _log1p(count)
        if values:
            for place, value in values.items():
                if value > _MOST:
                    values[place] = _MOST
            held = math.sqrt(max(_LEAST_TERMS, math.fsum(values.values())))
            for place, value in values.items():
                values[place] = value / held
        if signs:
            zone_of = self._zone_of
            weighed = {place: zone_of[place] * _log1p(count) for place, count in signs.items()}
            held = math.sqrt(max(1.0, math.fsum(weighed.values())))
            for place, value in weighed.items():
                values[place] = value / held
        return values
