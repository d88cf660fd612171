"""What cuts texts into words: jieba, the reference, and rjieba, which gives the same words many times faster. The only home of both.

rjieba is taken where it is installed. It knows the user dictionary by counts that jieba worked out once (`lexicon/words.txt`, written by
`python -m classifiers.segmenters`), so that jieba's own tables (0.5 s, 90 MB) need not be loaded at all.
"""

from __future__ import annotations

import importlib.util
import math
import re
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Protocol

from classifiers.facets import HOME, shipped_facets

# jieba is quadratic in the length of a run of characters that its dictionary does not know (80,000 take 27 s), so runs are cut.
LONGEST_RUN = 400

_LATIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_IN_RUN = r"\u4e00-\u9fd5a-z0-9+#&._%\-"
_LONG_RUN = re.compile(rf"[{_IN_RUN}]{{{LONGEST_RUN + 1}}}")
_PIECES = re.compile(rf"[{_IN_RUN}]{{1,{LONGEST_RUN}}}|[^{_IN_RUN}]+")

# What jieba looks up, and what it gives back character by character.
_KNOWABLE = re.compile(r"[\u4e00-\u9fd5a-zA-Z0-9+#&._%\-]")
_BLOCKS = re.compile(r"[\u4e00-\u9fd5a-zA-Z0-9+#&._%\-]+|[^\u4e00-\u9fd5a-zA-Z0-9+#&._%\-]+")


class Segmenter(Protocol):
    """What cuts a masked text into words. The words put together are the text again."""

    def cut(self, text: str) -> Iterable[str]:
        """The words of `text`, in order."""
        ...

    def frequency(self, word: str) -> int:
        """How often the dictionary counts `word`; 0 where it has none."""
        ...


class JiebaSegmenter:
    """jieba with the real-estate words added.

    hmm: whether runs of single characters are put together by jieba's hidden Markov model. On our corpus that made words that no second
    text holds, a third more time and no better figures, so it is off.

    The prefix dictionary is always built in memory (0.5 s): jieba's own cache is a marshal file in the shared temp folder, and whoever can
    write there could run code here.
    """

    def __init__(self, words: Iterable[str] = (), *, hmm: bool = False) -> None:
        with warnings.catch_warnings():
            # jieba 0.42.1 imports pkg_resources and has unescaped regular expressions; both warn and neither concerns us.
            warnings.simplefilter("ignore")
            import jieba
        jieba.setLogLevel(60)
        self._hmm = hmm
        self._jieba = jieba.Tokenizer()
        self._jieba.FREQ, self._jieba.total = self._jieba.gen_pfdict(self._jieba.get_dict_file())
        self._jieba.initialized = True
        for word in words:
            self._jieba.add_word(word)
        total = math.log(self._jieba.total)
        self._weights = {count: math.log(count) - total for count in {1, *self._jieba.FREQ.values()} if count}

    def cut(self, text: str) -> Iterator[str]:
        """The words of `text`, in order; runs of unknown characters are cut at `LONGEST_RUN`."""
        pieces = [text] if _LONG_RUN.search(text) is None else _PIECES.findall(text)
        if self._hmm:
            return (word for piece in pieces for word in self._jieba.cut(piece))
        return (word for piece in pieces for block in _BLOCKS.findall(piece) for word in self._block(block))

    def reference(self, text: str) -> Iterator[str]:
        """The words of `text` as jieba itself cuts it; only tests ask."""
        return iter(self._jieba.cut(text, HMM=self._hmm))

    def _block(self, block: str) -> Iterable[str]:
        """The words of a run of characters that the dictionary may hold; of anything else, each character.

        The likeliest path over the dictionary as jieba finds it without its hidden Markov model, by its very arithmetic (a test holds the
        two equal), but in one pass and with each logarithm taken once: less than half the time.
        """
        if len(block) == 1:
            return block
        if not _KNOWABLE.match(block):
            # A line end of two characters is one word to jieba.
            return _APART.findall(block)
        known, weights, length = self._jieba.FREQ.get, self._weights, len(block)
        best = [0.0] * (length + 1)
        ends = [0] * length
        for start in range(length - 1, -1, -1):
            top, stop, end = -math.inf, start + 1, start + 1
            count = known(block[start])
            while count is not None:
                # Of paths as likely jieba takes the longer word.
                if count and (score := weights[count] + best[end]) >= top:
                    top, stop = score, end
                end += 1
                if end > length:
                    break
                count = known(block[start:end])
            ends[start] = stop
            best[start] = top if top > -math.inf else weights[1] + best[start + 1]
        words: list[str] = []
        place = latin = 0
        while place < length:
            stop = ends[place]
            # Latin letters and digits that stand alone are put together.
            if stop == place + 1 and block[place] in _LATIN:
                latin += 1
            else:
                if latin:
                    words.append(block[place - latin : place])
                    latin = 0
                words.append(block[place:stop])
            place = stop
        if latin:
            words.append(block[place - latin :])
        return words

    def frequency(self, word: str) -> int:
        """How often jieba's dictionary counts `word`, or its parts standing together if that is more (±1); 0 where it has none."""
        return int(self._jieba.suggest_freq(word)) if self._jieba.FREQ.get(word) else 0

    def counts(self, words: Iterable[str]) -> tuple[dict[str, int], int]:
        """The count of each of `words`, and the sum of all counts of the dictionary."""
        return {word: int(self._jieba.FREQ[word]) for word in words}, int(self._jieba.total)

    def plain_counts(self, words: Iterable[str]) -> tuple[dict[str, int], int]:
        """As `counts`, of jieba's own dictionary without the words that were added."""
        plain, total = self._jieba.gen_pfdict(self._jieba.get_dict_file())
        return {word: int(plain.get(word) or 0) for word in words}, int(total)


_APART = re.compile(r"\r\n|.", re.DOTALL)

# Characters that rjieba takes for Han and jieba does not.
_ODD = r"\u3400-\u4dbf\u9fd6-\u9fff\uf900-\ufaff\U00010000-\U0010ffff"
_HAS_ODD = re.compile(rf"[{_ODD}]")
_ODD_APART = re.compile(rf"[{_ODD}]|[^{_ODD}]+")

# A word that stands in no text; its count makes up for what jieba's sum of counts is too high: adding a word that it has already, jieba
# adds the new count and does not take the old one away, and every word's likelihood hangs on the sum.
_FILLER = "\uf8ff\uf8fe\uf8ff"


class RjiebaSegmenter:
    """The words of `JiebaSegmenter` without its hidden Markov model, from rjieba (jieba in Rust, with the same dictionary).

    counts: the words added and how often each is taken to stand, as `JiebaSegmenter` counts them.
    filler: by how much jieba's sum of counts is higher than rjieba's would be.
    """

    def __init__(self, counts: Mapping[str, int], filler: int) -> None:
        import rjieba

        self._jieba = rjieba.Jieba()
        for word, count in counts.items():
            self._jieba.add_word(word, count, "n")
        self._jieba.add_word(_FILLER, filler, "n")

    def cut(self, text: str) -> Iterable[str]:
        """The words of `text`, in order; runs of unknown characters are cut at `LONGEST_RUN`."""
        if _HAS_ODD.search(text) is None and _LONG_RUN.search(text) is None:
            words: list[str] = self._jieba.cut(text, False)
            return words
        pieces = [text] if _LONG_RUN.search(text) is None else _PIECES.findall(text)
        return [word for piece in pieces for part in _ODD_APART.findall(piece) for word in self._jieba.cut(part, False)]

    def frequency(self, word: str) -> int:
        """As `JiebaSegmenter.frequency`."""
        return int(self._jieba.suggest_freq(word)) if self._jieba.has_word(word) else 0


_lock = threading.Lock()
_DICTIONARY = HOME / "words.txt"
_SUM = "# sum "


@cache
def _shipped_segmenter() -> Segmenter:
    if importlib.util.find_spec("rjieba") is None:
        return JiebaSegmenter(user_words())
    return RjiebaSegmenter(*read_dictionary(_DICTIONARY))


def shipped_segmenter() -> Segmenter:
    """The segmenter that training and serving share, loaded once: rjieba (0.2 s), or jieba (0.6 s) where rjieba is not installed."""
    with _lock:
        return _shipped_segmenter()


def word_frequency(word: str) -> int:
    """How often the shipped segmenter's dictionary counts `word`; 0 where it has none."""
    return shipped_segmenter().frequency(word)


def user_words() -> list[str]:
    """The real-estate user dictionary: the lexicon's terms of two and three characters, all Han; longer ones are mostly phrases."""
    return [term for term in shipped_facets().terms() if 2 <= len(term) <= 3 and _HAN.fullmatch(term)]


_HAN = re.compile(r"[\u4e00-\u9fd5]+")


def dictionary() -> str:
    """The user dictionary as a file: a word and its count a line, which is also jieba's own format, and the filler at its head."""
    words = user_words()
    reference = JiebaSegmenter(words)
    counts, total = reference.counts(words)
    plain, before = reference.plain_counts(words)
    filler = total - before - sum(counts[word] - plain[word] for word in words)
    return "".join((f"{_SUM}{filler}\n", *(f"{word} {count}\n" for word, count in counts.items())))


def read_dictionary(path: Path) -> tuple[dict[str, int], int]:
    """The counts and the filler that `dictionary` wrote. Raises `ValueError` for anything else."""
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    counts = {}
    for line in lines:
        word, _, count = line.partition(" ")
        counts[word] = int(count)
    return counts, int(head.removeprefix(_SUM))


if __name__ == "__main__":
    _DICTIONARY.write_text(dictionary(), encoding="utf-8")
    sys.stdout.write(f"{_DICTIONARY.name}: {len(user_words())}\n")
