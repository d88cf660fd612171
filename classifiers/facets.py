"""The facet lexicon: which words are signs of what, found in one Aho-Corasick pass over a normalised text, which must hold no surrogate.

What generalises to texts of other hands is not the word but what it is a sign of (`docs/classifier.md`: the lexicon was worth 12 to 16
points). The data is `lexicon/facets.txt`, whose first lines say its format; a company's staff may add terms in a file of the same format.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ahocorasick_rs import AhoCorasick, MatchKind

HOME = Path(__file__).parent / "lexicon"


@dataclass(frozen=True, slots=True)
class Facet:
    """One facet: its code, the class it hints at (`-` for none; only for readers), its Chinese name and its terms in file order."""

    code: str
    hint: str
    zh: str
    terms: tuple[str, ...]


class Hit(NamedTuple):
    """One term found: half-open character range in the normalised text, and the codes of the facets it is a sign of."""

    term: str
    start: int
    end: int
    facets: tuple[str, ...]


def parse_facets(lines: Iterable[str], source: str) -> tuple[Facet, ...]:
    """The facets of a file's lines, in file order. Raises `ValueError` naming `source` and line."""
    facets: list[Facet] = []
    head: tuple[str, str, str] | None = None
    terms: dict[str, None] = {}

    def close() -> None:
        if head is not None:
            facets.append(Facet(head[0], head[1], head[2], tuple(terms)))

    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            close()
            code, closed, rest = line[1:].partition("]")
            parts = rest.split()
            if not closed or not code.isidentifier() or len(parts) != 2:
                raise ValueError(f"{source}:{number}: a facet's head must read `[code] class 中文`")
            if any(code == facet.code for facet in facets):
                raise ValueError(f"{source}:{number}: facet {code} stands twice")
            head, terms = (code, parts[0], parts[1]), {}
        elif head is None:
            raise ValueError(f"{source}:{number}: terms before the first facet")
        else:
            terms.update(dict.fromkeys(line.split()))
    close()
    return tuple(facets)


def add_terms(
    facets: tuple[Facet, ...], extra: Sequence[Facet], source: str, clean: Callable[[str], str] = str.lower
) -> tuple[tuple[Facet, ...], tuple[str, ...]]:
    """`facets` with the terms of `extra` behind their own, and what was left out and why, one sentence each.

    Codes, hints and names stay those of `facets`: a trained model has no weight for another facet, so its terms are left out.
    `clean` writes a term as normalised text has it; a term of which nothing is left, or that has a blank then, is left out too.
    """
    told: list[str] = []
    known = {facet.code: dict.fromkeys(facet.terms) for facet in facets}
    for facet in extra:
        terms = known.get(facet.code)
        if terms is None:
            told.append(f"{source}: [{facet.code}] is not a facet of the lexicon; its {len(facet.terms)} terms are ignored")
            continue
        for term in facet.terms:
            cleaned = clean(term)
            if not cleaned or any(char.isspace() for char in cleaned):
                told.append(f"{source}: [{facet.code}] {term!r} is no word once it is normalised; it is ignored")
            else:
                terms[cleaned] = None
    return tuple(Facet(facet.code, facet.hint, facet.zh, tuple(known[facet.code])) for facet in facets), tuple(told)


def word_finder(words: Sequence[str], *, longest: bool) -> Callable[[str], list[tuple[int, int, int]]]:
    """What finds words in a text that holds no surrogate: (number in `words`, start, end) of each, leftmost first, not overlapping.

    longest: whether of the words that begin at one place the longest is found; else the first of `words`, as by a regular expression.
    """
    return AhoCorasick(words, matchkind=MatchKind.LeftmostLongest if longest else MatchKind.LeftmostFirst).find_matches_as_indexes


class FacetIndex:
    """All terms of all facets in one automaton; read-only after it is built, so threads may share it.

    told: what of a staff file was left out and why; empty for the shipped lexicon.
    """

    def __init__(self, facets: tuple[Facet, ...], told: tuple[str, ...] = ()) -> None:
        self.facets = facets
        self.told = told
        self.codes = tuple(facet.code for facet in facets)
        owners: dict[str, list[str]] = {}
        for facet in facets:
            for term in facet.terms:
                owners.setdefault(term, []).append(facet.code)
        self._owners: Mapping[str, tuple[str, ...]] = {term: tuple(codes) for term, codes in owners.items()}
        # A single character means too many things inside other words, so it is looked up among the segmenter's words instead.
        self._single = {term: codes for term, codes in self._owners.items() if len(term) == 1}
        self._long = [(term, codes) for term, codes in self._owners.items() if len(term) > 1]
        self._finder = word_finder([term for term, _ in self._long], longest=True)

    def terms(self) -> Iterator[str]:
        """Every term once, in file order."""
        return iter(self._owners)

    def find(self, text: str) -> list[Hit]:
        """Terms of two characters and more, leftmost and longest first, not overlapping; so `不是投诉` hides the `投诉` in it."""
        known = self._long
        make = tuple.__new__
        # Making a named tuple by its own name takes twice the time.
        return [make(Hit, (term, start, end, codes)) for number, start, end in self._finder(text) for term, codes in (known[number],)]

    @property
    def single(self) -> Mapping[str, tuple[str, ...]]:
        """The facets of each term of one character."""
        return self._single


_lock = threading.Lock()


@cache
def _shipped() -> FacetIndex:
    path = HOME / "facets.txt"
    return FacetIndex(parse_facets(path.read_text(encoding="utf-8").splitlines(), path.name))


def shipped_facets() -> FacetIndex:
    """The shipped lexicon, read once."""
    with _lock:
        return _shipped()


def load_facets(extra: Path | None = None) -> FacetIndex:
    """The shipped lexicon, with the terms of the staff file `extra` added to its facets; a file that is not there adds nothing.

    What was left out is in `told`. Raises `ValueError` naming file and line where `extra` is malformed or is no UTF-8 text.
    """
    shipped = shipped_facets()
    if extra is None or not extra.exists():
        return shipped
    # `text` takes the user dictionary from here, so it can only be asked later.
    from classifiers.text import normalise

    try:
        # An editor on Windows puts a mark before the first line.
        lines = extra.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{extra.name}: must be UTF-8 text ({error})") from error
    return FacetIndex(*add_terms(shipped.facets, parse_facets(lines, extra.name), extra.name, lambda term: normalise(term).text))
