"""Why: the words that decided, with their parts of the score and the places where they stand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence, Set

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
        self._facets = columns.facets

    def explain(self, reading: Reading, parts: Sequence[tuple[int, float]], score: float) -> tuple[Reason, ...]:
        """The strongest reasons, at most `SHOWN`, and the rest of the score as one more; strongest first.

        parts: (column, part of the score of the primary class) for each column that the text has.
        score: of the primary class, above the mean of all; the weights add up to it, but for rounding.

        A facet's part is shared out evenly among the terms that made it count, and the parts of a term from all columns are added, so
        that a person sees one line a word.
        """
        weights: dict[str, float] = {}
        sharers: defaultdict[int, list[str]] | None = None
        names = self._names
        known = len(names)
        for column, weight in parts:
            if not weight:
                continue
            if column < known:
                name = names[column]
                weights[name] = weights.get(name, 0.0) + weight
            else:
                if sharers is None:
                    sharers = self._sharers(reading)
                terms = sharers[column]
                weight /= len(terms)
                for term in terms:
                    weights[term] = weights.get(term, 0.0) + weight
        strong = [item for item in weights.items() if not -_LEAST < item[1] < _LEAST]
        strong.sort(key=lambda item: (-abs(item[1]), item[0]))
        ranked = [(word, round(weight, 4)) for word, weight in strong[:SHOWN]]
        places = _places({word for word, _ in ranked}, reading)
        reasons = [Reason(_MASKED.get(word, word), weight, places[word]) for word, weight in ranked]
        rest = round(score - sum(weight for _, weight in ranked), 4)
        if ranked and rest:
            reasons.append(Reason(REST, rest))
            reasons.sort(key=lambda reason: -abs(reason.weight))
        return tuple(reasons)

    def _sharers(self, reading: Reading) -> defaultdict[int, list[str]]:
        """For each facet column the terms that count in it."""
        found: defaultdict[int, list[str]] = defaultdict(list)
        places = self._facets
        for hit in reading.title_hits:
            for code in hit.facets:
                if (column := places.get((ZONES[0], code))) is not None:
                    found[column].append(hit.term)
        for hit, demand in zip(reading.hits, reading.demand, strict=True):
            for code in hit.facets:
                if (column := places.get((ZONES[2], code))) is not None:
                    found[column].append(hit.term)
                    if demand:
                        found[places[ZONES[1], code]].append(hit.term)
        return found


def _places(wanted: Set[str], reading: Reading) -> dict[str, tuple[tuple[int, int], ...]]:
    """Where each of some words and terms stands in what was said."""
    clean, words = reading.said.clean, reading.said
    found: dict[str, set[tuple[int, int]]] = {word: set() for word in wanted}
    for word, start, end in zip(words.words, words.starts, words.ends, strict=True):
        if word in wanted:
            found[word].add(clean.span(start, end))
    for hit in reading.hits:
        if hit.term in wanted:
            found[hit.term].add(clean.span(hit.start, hit.end))
    return {word: tuple(sorted(spans)) for word, spans in found.items()}
