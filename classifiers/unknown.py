"""Which frequent words of given texts neither corpus nor lexicon knows: what to compose texts about, or to add to a term file.

python -m classifiers.unknown              words of the shipped corpus that the lexicon does not know
python -m classifiers.unknown FILE.jsonl   words of other texts (keys `text`, and `title` and `register` if there are any)
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from classifiers import corpus
from classifiers.facets import FacetIndex, load_facets
from classifiers.segmenters import JiebaSegmenter, Segmenter, user_words
from classifiers.text import Clean, normalise, segment

# How many words jieba's dictionary counted; only the order of the report hangs on it.
_COUNTED = 6.0e7

# Characters shown on each side of a word's first place.
_AROUND = 10


@dataclass(frozen=True, slots=True)
class Unknown:
    """One word: in how many texts it stands, how remarkable that is against common Chinese (the report's order), and a place."""

    word: str
    texts: int
    score: float
    example: str


def unknown_words(
    texts: Iterable[str],
    facets: FacetIndex,
    *,
    known: Collection[str] = (),
    least: int = 3,
    segmenter: Segmenter | None = None,
) -> list[Unknown]:
    """Words of two characters and more that stand in at least `least` of `texts`, most remarkable first, then by word.

    Words of `known` are left out, those of the lexicon, and every place that lies within one of its terms.
    """
    segmenter = segmenter or _segmenter()
    seen: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for text in texts:
        clean = normalise(text)
        mine = _words(clean, facets, segmenter)
        seen.update(mine.keys())
        for word, (start, end) in mine.items():
            if word not in examples:
                examples[word] = " ".join(clean.text[max(0, start - _AROUND) : end + _AROUND].split())
    total = sum(seen.values())
    found = []
    for word, count in seen.items():
        if count >= least and word not in known:
            common = (segmenter.frequency(word) + 1) / _COUNTED
            found.append(Unknown(word, count, count * math.log1p(count / total / common), examples[word]))
    return sorted(found, key=lambda one: (-one.score, one.word))


def corpus_words(least: int = 3) -> frozenset[str]:
    """The words of the shipped corpus that stand in at least `least` texts, which is what a trained model has weights for."""
    seen: Counter[str] = Counter()
    segmenter = _segmenter()
    for text in _corpus_texts():
        seen.update(set(segment(normalise(text), segmenter).words))
    return frozenset(word for word, texts in seen.items() if texts >= least)


def read_texts(path: Path) -> list[str]:
    """Title and text of each line of a JSON Lines file; of a transcript what the customer says.

    Raises `ValueError` naming file and line.
    """
    texts = []
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name}: must be UTF-8 text ({error})") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path.name}:{number}"
        try:
            record = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{where}: not JSON: {error}") from error
        text, title = (record.get("text"), record.get("title") or "") if isinstance(record, dict) else (None, "")
        if not isinstance(text, str) or not isinstance(title, str):
            raise ValueError(f"{where}: must be an object with a `text`, and a `title` that is a text")
        said = corpus.customer_turns(text) if record.get("register") == "phone" else text
        texts.append(f"{title}\n{said}")
    return texts


def table(words: Sequence[Unknown]) -> str:
    """The report as plain text: word, number of texts, a place."""
    if not words:
        return "没有常见的生词。"
    width = max(len(one.word) for one in words)
    return "\n".join(f"{one.word.ljust(width, '　')} {one.texts:5d}  …{one.example}…" for one in words)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the return value is the exit code."""
    parser = argparse.ArgumentParser(prog="python -m classifiers.unknown", description="列出词典和语料都不认识的常见词。")
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE.jsonl", help="要看的文本；不给则看自带语料")
    parser.add_argument("--terms", type=Path, metavar="terms.txt", help="员工补充的词典")
    parser.add_argument("--least", type=int, default=3, help="至少出现在几篇文本里（默认 3）")
    parser.add_argument("--top", type=int, default=100, help="最多列几个（默认 100）")
    options = parser.parse_args(arguments)
    try:
        facets = load_facets(options.terms)
        texts = read_texts(options.file) if options.file else _corpus_texts()
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    for sentence in facets.told:
        print(sentence, file=sys.stderr)
    known = corpus_words() if options.file else frozenset[str]()
    print(table(unknown_words(texts, facets, known=known, least=options.least)[: max(0, options.top)]))
    return 0


def _words(clean: Clean, facets: FacetIndex, segmenter: Segmenter) -> dict[str, tuple[int, int]]:
    """The unknown words of one text, each with its first place."""
    words = segment(clean, segmenter)
    inside = bytearray(len(clean.text))
    for hit in facets.find(clean.text):
        inside[hit.start : hit.end] = b"\1" * (hit.end - hit.start)
    found: dict[str, tuple[int, int]] = {}
    for word, start, end in zip(words.words, words.starts, words.ends, strict=True):
        if len(word) > 1 and word.isalpha() and word not in found and not all(inside[start:end]):
            found[word] = (start, end)
    return found


def _corpus_texts() -> list[str]:
    return [f"{example.query.title}\n{example.query.said}" for example in corpus.shipped_corpus()]


@cache
def _segmenter() -> Segmenter:
    # Only with its hidden Markov model does jieba put together words that its dictionary lacks, and those are what is looked for.
    return JiebaSegmenter(user_words(), hmm=True)


if __name__ == "__main__":
    raise SystemExit(main())
