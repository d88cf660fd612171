"""A complaint read once: its words and the lexicon's hits in title and body, from which every feature and every reason is made."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from classifiers.base import Query
from classifiers.facets import FacetIndex, Hit, load_facets
from classifiers.segmenters import Segmenter, shipped_segmenter
from classifiers.text import Words, normalise, segment

# Where a sentence ends, in normalised text; the lines of a chat end like sentences.
_STOP = re.compile(r"[。!?;\n…]")


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of one query.

    title, said: the segmented texts.
    title_hits, hits: terms of the lexicon found in them, in order of place.
    demand:      for each of `hits`, whether its sentence asks for something (holds a term of the facet `demand`).
    """

    title: Words
    said: Words
    title_hits: tuple[Hit, ...]
    hits: tuple[Hit, ...]
    demand: tuple[bool, ...]


class Reader:
    """Reads queries with one segmenter and one lexicon; training and serving must use the same."""

    def __init__(self, segmenter: Segmenter, facets: FacetIndex) -> None:
        self._segmenter = segmenter
        self.facets = facets
        self._nothing = segment(normalise(""), segmenter)

    def read(self, query: Query) -> Reading:
        """Everything the features need of one query; never raises."""
        said = segment(normalise(query.said), self._segmenter)
        title = segment(normalise(query.title), self._segmenter) if query.title else self._nothing
        hits = self._hits(said)
        return Reading(title, said, tuple(self._hits(title)), tuple(hits), self._in_demand(said.clean.text, hits))

    def read_all(self, queries: Sequence[Query]) -> list[Reading]:
        """`read` for each, in order."""
        return [self.read(query) for query in queries]

    def _hits(self, words: Words) -> list[Hit]:
        hits = self.facets.find(words.clean.text)
        found = len(hits)
        single = self.facets.single
        if single and not single.keys().isdisjoint(words.words):
            for word, start, end in zip(words.words, words.starts, words.ends, strict=True):
                if word in single:
                    hits.append(Hit(word, start, end, single[word]))
        if len(hits) > found:
            hits.sort(key=lambda hit: (hit.start, -hit.end))
            # A single character inside a longer term is already counted with it.
            kept: list[Hit] = []
            for hit in hits:
                if not kept or hit.start >= kept[-1].end:
                    kept.append(hit)
            return kept
        return hits

    def _in_demand(self, text: str, hits: Sequence[Hit]) -> tuple[bool, ...]:
        asking = [hit.start for hit in hits if "demand" in hit.facets]
        if not asking:
            return (False,) * len(hits)
        stops = [match.start() for match in _STOP.finditer(text)]
        sentences = {bisect_right(stops, start) for start in asking}
        return tuple([bisect_right(stops, hit.start) in sentences for hit in hits])


def shipped_reader(extra: Path | None = None) -> Reader:
    """The reader with jieba and the shipped lexicon, to whose facets the terms of the staff file `extra` are added (`load_facets`).

    The staff's terms are not added to jieba: a trained model knows the words as they were cut when it was trained.
    """
    return Reader(shipped_segmenter(), load_facets(extra))
