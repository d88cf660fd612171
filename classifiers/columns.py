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

from classifiers.facets import Facet, Hit
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
        self._rarity = rarity
        self._weight = weight
        self._zone_of = {column: _ZONE_WEIGHTS[ZONES.index(zone)] for (zone, _), column in self.facets.items()}
        self._signs = {code: tuple(self.facets[zone, code] for zone in ZONES) for code in lexicon.hinted}

    def fill(self, readings: Sequence[Reading]) -> Rows:
        """One row a reading. A reading's row does not depend on the others."""
        values: list[float] = []
        columns: list[int] = []
        starts = [0]
        for reading in readings:
            row = self._word_part(reading)
            self._lexicon_part(reading, row)
            # Sorted, so that sums over a row are always taken in the same order.
            order = sorted(row)
            columns += order
            values += [row[place] for place in order]
            starts.append(len(columns))
        return Rows(np.array(values, dtype=np.float64), np.array(columns, dtype=np.int32), np.array(starts, dtype=np.int32))

    def _word_part(self, reading: Reading) -> dict[int, float]:
        counts = Counter(map(self.words.get, chain(reading.title.words, reading.said.words), repeat(-1)))
        del counts[-1]
        rarity = self._rarity
        row: dict[int, float] = {}
        squares = 0.0
        for place, count in counts.items():
            value = rarity[place]
            if count > 1:
                value *= 1.0 + (_LOG[count] if count < 1000 else math.log(count))
            row[place] = value
            squares += value * value
        if squares:
            scale = self._weight / math.sqrt(squares)
            for place in row:
                row[place] *= scale
        return row

    def _lexicon_part(self, reading: Reading, row: dict[int, float]) -> None:
        signs: dict[int, int] = {}
        values: dict[int, float] = {}
        for place, count in self._counted(reading.hits).items():
            values[place] = math.log1p(count)
        if reading.title_hits:
            for place, count in self._counted(reading.title_hits).items():
                values[place] = values.get(place, 0.0) + math.log1p(count)
            for hit in reading.title_hits:
                for code in hit.facets:
                    if (columns := self._signs.get(code)) is not None:
                        signs[columns[0]] = signs.get(columns[0], 0) + 1
        known = self._signs.get
        for hit, demand in zip(reading.hits, reading.demand, strict=True):
            for code in hit.facets:
                if (columns := known(code)) is not None:
                    _, asked, body = columns
                    signs[body] = signs.get(body, 0) + 1
                    if demand:
                        signs[asked] = signs.get(asked, 0) + 1
        held = math.sqrt(max(_LEAST_TERMS, math.fsum(min(_MOST, value) for value in values.values())))
        for place, value in values.items():
            row[place] = min(_MOST, value) / held
        if signs:
            weighed = {place: self._zone_of[place] * math.log1p(count) for place, count in signs.items()}
            held = math.sqrt(max(1.0, math.fsum(weighed.values())))
            for place, value in weighed.items():
                row[place] = value / held

    def _counted(self, hits: Sequence[Hit]) -> dict[int, int]:
        found: dict[int, int] = {}
        known = self.terms.get
        for hit in hits:
            if (place := known(hit.term)) is not None:
                found[place] = found.get(place, 0) + 1
        return found
