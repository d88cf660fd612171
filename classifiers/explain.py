"""Why: the words that decided, with their parts of the score and the places where they stand."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence, Set
from itertools import compress, count, starmap

from classifiers.columns import ZONES, Columns
from classifiers.reading import Reading
from models.verdict import Reason

# How many words a verdict shows; all others together are one line more.
SHOWN = 8
REST = "〔其余〕"

# A word whose part is smaller than this decided nothing.
_LEAST = 0.01

_MASKED = {
    "<url>": "〔网址〕",
    "<email>": "〔邮箱〕",
    "<id>": "〔证件号〕",
    "<phone>": "〔电话〕",
    "<unit>": "〔房号〕",
    "<date>": "〔日期〕",
    "<time>": "〔时间〕",
    "<rate>": "〔比例〕",
    "<discount>": "〔折扣〕",
    "<money>": "〔金额〕",
    "<number>": "〔数字〕",
}


class Explainer:
    """Says what each of `columns` stands for; read-only after it is made."""

    def __init__(self, columns: Columns) -> None:
        self._names = [*columns.words, *columns.terms]
        self._words = len(columns.words)
        # One column for each name: a word may be a term too.
        self._column_of = {**columns.terms, **columns.words}
        self._same = {column: columns.words[term] for term, column in columns.terms.items() if term in columns.words}
        # The columns of a facet in title, demand and body.
        self._facets = {code: tuple(columns.facets[zone, code] for zone in ZONES) for _, code in columns.facets}

    def explain(self, reading: Reading, columns: Sequence[int], parts: Sequence[float], score: float) -> tuple[Reason, ...]:
        """The strongest reasons, at most `SHOWN`, and the rest of the score as one more; strongest first.

        columns, parts: each column that the text has, in rising order, and its part of the score of the primary class.
        score:          of the primary class, above the mean of all; the weights add up to it, but for rounding.

        A facet's part is shared out evenly among the terms that made it count, and the parts of a term from all columns are added, so
        that a person sees one line a word.
        """
        words = bisect_left(columns, self._words)
        terms = bisect_left(columns, len(self._names), words)
        # By column, for most names are never shown; by name only where the model knows no such term.
        weights: dict[int | str, float] = dict(zip(columns[:terms], parts, strict=False))
        for column in columns[words:terms]:
            if (word := self._same.get(column)) is not None:
                weights[word] = weights.get(word, 0.0) + weights.pop(column)
        if terms < len(columns):
            self._share(reading, columns[terms:], parts[terms:], weights)
        ranked = self._strongest(weights)
        places = _places({word for word, _ in ranked}, reading)
        reasons = [Reason(_MASKED.get(word, word), weight, places[word]) for word, weight in ranked]
        rest = round(score - sum([weight for _, weight in ranked]), 4)
        if ranked and rest:
            reasons.append(Reason(REST, rest))
            reasons.sort(key=lambda reason: -abs(reason.weight))
        return tuple(reasons)

    def _share(self, reading: Reading, columns: Sequence[int], parts: Sequence[float], weights: dict[int | str, float]) -> None:
        """Adds to the weights of terms their shares of the facets in which they count."""
        terms_of: dict[int, list[str]] = {column: [] for column in columns}
        places = self._facets.get
        for term, _, _, codes in reading.title_hits:
            for code in codes:
                if (zones := places(code)) is not None:
                    terms_of[zones[0]].append(term)
        for (term, _, _, codes), demand in zip(reading.hits, reading.demand, strict=True):
            for code in codes:
                if (zones := places(code)) is not None:
                    terms_of[zones[2]].append(term)
                    if demand:
                        terms_of[zones[1]].append(term)
        column_of = self._column_of.get
        for terms, weight in zip(terms_of.values(), parts, strict=True):
            weight /= len(terms)
            for term in terms:
                key = column_of(term, term)
                weights[key] = weights.get(key, 0.0) + weight

    def _strongest(self, weights: Mapping[int | str, float]) -> list[tuple[str, float]]:
        """The words that decided most, at most `SHOWN`, with their weights as shown."""
        sizes = sorted(map(abs, weights.values()), reverse=True)
        # Only what is no smaller than the last one shown is put in order.
        least = max(_LEAST, sizes[SHOWN - 1]) if len(sizes) > SHOWN else _LEAST
        names = self._names
        strong = [
            (-abs(weight), key if isinstance(key, str) else names[key], weight)
            for key, weight in weights.items()
            if not -least < weight < least
        ]
        strong.sort()
        return [(word, round(weight, 4)) for _, word, weight in strong[:SHOWN]]


def _places(wanted: Set[str], reading: Reading) -> dict[str, tuple[tuple[int, int], ...]]:
    """Where each of some words and terms stands in what was said."""
    clean, words = reading.said.clean, reading.said
    found: dict[str, set[tuple[int, int]]] = {word: set() for word in wanted}
    for place in compress(count(), map(wanted.__contains__, words.words)):
        found[words.words[place]].add((words.starts[place], words.ends[place]))
    for term, start, end, _ in reading.hits:
        if term in wanted:
            found[term].add((start, end))
    if clean.origin is not None:
        return {word: tuple(sorted(set(starmap(clean.span, spans)))) for word, spans in found.items()}
    return {word: tuple(sorted(spans)) for word, spans in found.items()}
