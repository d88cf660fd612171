"""Why: the words that decided, with their parts of the score and the places where they stand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from classifiers.linear import ZONES, Features
from classifiers.reading import Reading
from classifiers.text import Words
from models.verdict import Reason

# How many reasons a verdict shows, and from how many columns they are put together.
SHOWN = 8
_LOOKED_AT = 30

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


def explain(reading: Reading, features: Features, names: Sequence[str], parts: Sequence[tuple[int, float]]) -> tuple[Reason, ...]:
    """The strongest reasons, at most `SHOWN`, strongest first.

    names: of the word columns, by column; the facet columns lie behind them.
    parts: (column, part of the score of the primary class) for each column that the text has.

    A facet's part is shared out evenly among the terms that made it count, and the parts of a term from all columns are added, so that a
    person sees one line a word and the lines still add up to the score.
    """
    strongest = sorted(parts, key=lambda part: (-abs(part[1]), part[0]))[:_LOOKED_AT]
    weights: defaultdict[str, float] = defaultdict(float)
    spans: defaultdict[str, set[tuple[int, int]]] = defaultdict(set)
    sharers: defaultdict[int, list[tuple[str, tuple[int, int] | None]]] | None = None
    for column, weight in strongest:
        if column < len(names):
            term, places = _word(names[column], reading.said)
            weights[term] += weight
            spans[term].update(places)
            continue
        if sharers is None:
            sharers = _sharers(reading, features)
        terms = sharers[column - len(names)]
        for term, place in terms:
            weights[term] += weight / len(terms)
            if place is not None:
                spans[term].add(place)
    ranked = sorted(weights.items(), key=lambda item: (-abs(item[1]), item[0]))
    return tuple(Reason(term, round(weight, 4), tuple(sorted(spans[term]))) for term, weight in ranked[:SHOWN] if abs(weight) >= _LEAST)


def _sharers(reading: Reading, features: Features) -> defaultdict[int, list[tuple[str, tuple[int, int] | None]]]:
    """For each facet column, counted from the first of them, the terms that count in it and where they stand in what was said."""
    found: defaultdict[int, list[tuple[str, tuple[int, int] | None]]] = defaultdict(list)
    for hit in reading.title_hits:
        for place in features.facet_places(hit, ZONES[0]):
            found[place].append((hit.term, None))
    for hit, demand in zip(reading.hits, reading.demand, strict=True):
        where = reading.said.clean.span(hit.start, hit.end)
        zones = ZONES[1:] if demand else ZONES[2:]
        for zone in zones:
            for place in features.facet_places(hit, zone):
                found[place].append((hit.term, where))
    return found


def _word(name: str, said: Words) -> tuple[str, list[tuple[int, int]]]:
    """How a word feature is shown to people, and where it stands in what was said."""
    wanted = name.lstrip("^").split(" ")
    term = "".join(_MASKED.get(word, word) for word in wanted)
    return term, list(_places(wanted, said))


def _places(wanted: Sequence[str], said: Words) -> Iterator[tuple[int, int]]:
    words = said.words
    place = -1
    while True:
        try:
            place = words.index(wanted[0], place + 1)
        except ValueError:
            return
        last = place
        if len(wanted) == 2:
            last = place + 1
            # A blank may stand between the two words of a pair.
            while last < len(words) and words[last] == " ":
                last += 1
            if last >= len(words) or words[last] != wanted[1]:
                continue
        yield said.clean.span(said.starts[place], said.ends[last])
