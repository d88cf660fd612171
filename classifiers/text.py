"""Normalise, mask, segment: what is done to a text before anything looks at its words. The only home of jieba.

Every step keeps the way back to the original characters, so that the words that decided can be marked where the customer wrote them.
"""

from __future__ import annotations

import math
import re
import threading
import unicodedata
import warnings
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from classifiers.facets import HOME, shipped_facets

# A text beyond this many characters is read by its head and its tail only: who writes more repeats himself or pastes logs, and the demand
# stands at one of the ends.
LONGEST = 20_000
_HEAD, _TAIL = 14_000, 6_000

# jieba is quadratic in the length of a run of characters that its dictionary does not know (80,000 take 27 s), so runs are cut.
LONGEST_RUN = 400

_LATIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")


@dataclass(frozen=True, slots=True)
class Clean:
    """A normalised text. `origin[i]` is the place in the original of `text[i]`; `None` where the two agree place by place."""

    text: str
    origin: array[int] | None = None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The half-open range of the original that belongs to the non-empty range `start`..`end` of the normalised text."""
        if self.origin is None:
            return start, end
        return self.origin[start], self.origin[end - 1] + 1


@dataclass(frozen=True, slots=True)
class Words:
    """A segmented text: words in order with their half-open ranges in `clean.text`. Masked things are words like `<money>`."""

    clean: Clean
    words: tuple[str, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]


class _Table(dict[int, str]):
    """For `str.translate`: what each character becomes. Filled as characters are met; `odd` are those that do not become one character."""

    def __init__(self, simplified: dict[str, str]) -> None:
        super().__init__()
        self.odd: set[str] = set()
        self._simplified = simplified

    def __missing__(self, code: int) -> str:
        char = chr(code)
        become = self._become(char)
        if len(become) != 1:
            self.odd.add(char)
        self[code] = become
        return become

    def _become(self, char: str) -> str:
        if char in "\n\r\u2028\u2029\x0b\x0c\x85":
            return "\n"
        kind = unicodedata.category(char)
        if kind == "Zs" or char == "\t":
            return " "
        # Control and format characters, surrogates, private ones and variation selectors carry no word, but may be used to split one.
        # The private ones are also what masked things are written as below, so none may come from outside.
        if kind in ("Cc", "Cf", "Cs", "Co") or "\ufe00" <= char <= "\ufe0f":
            return ""
        plain = unicodedata.normalize("NFKC", char).lower()
        return "".join(self._simplified.get(part, part) for part in plain)


@cache
def _table() -> _Table:
    simplified: dict[str, str] = {}
    for line in (HOME / "traditional.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            simplified.update(zip(line[::2], line[1::2], strict=True))
    return _Table(simplified)


def normalise(text: str) -> Clean:
    """NFKC character by character, small letters, simplified characters, no control or zero-width characters; at most `LONGEST` long."""
    offset = 0
    tail = ""
    if len(text) > LONGEST:
        offset = len(text) - _TAIL
        text, tail = text[:_HEAD], text[offset:]
    table = _table()
    clean = text.translate(table)
    if not tail and table.odd.isdisjoint(text):
        return Clean(clean)
    parts: list[str] = []
    origin = array("l")
    pieces = ((0, text),) if not tail else ((0, text), (_HEAD - 1, "\n"), (offset, tail))
    for start, piece in pieces:
        for place, char in enumerate(piece, start):
            become = table[ord(char)]
            parts.append(become)
            origin.extend([place] * len(become))
    return Clean("".join(parts), origin)


_CN_DIGITS = "零〇一二两三四五六七八九十百千万几"
# What is masked, first match first. Every repetition is bounded, so that no text makes the search slow.
_SUM = r"\d[\d,]{0,14}(?:\.\d{1,4})?\s?(?:多|余|来)?(?:亿|百万|十万|万|千|百|w|k)?(?:多|余|来)?\s?(?:元|块|rmb|人民币)钱?"
_SHORT_SUM = r"\d{1,6}(?:\.\d{1,4})?(?:多|余|来)?(?:万|千|w)(?![\da-z平方人家户米])"
_SPOKEN_SUM = rf"[{_CN_DIGITS}]{{1,9}}(?:多|来)?(?:元|块)钱?|[一二两三四五六七八九十百几]{{1,4}}(?:来|多)?[万千](?:多|来)?(?![人家户分平])"
_STAIR = r"(?:[\da-z一二三四五六七八九十]{1,3}(?:单元|门)[ \-]?)?"
_DAY = r"(?:19|20)\d\d年(?:\d{1,2}月(?:\d{1,2}[日号])?|底|初)?|(?:19|20)\d\d[\-/.]\d{1,2}[\-/.]\d{1,2}"
_MASKS: tuple[tuple[str, str], ...] = (
    ("url", r"(?:https?://|www\.)[a-z0-9\-._~:/?#@$&+=%]{3,500}"),
    ("email", r"[a-z0-9][a-z0-9._%+\-]{0,63}@[a-z0-9\-]{1,63}(?:\.[a-z0-9\-]{1,63}){1,4}"),
    ("id", r"(?<!\d)\d{17}[\dx](?![\da-z])"),
    ("phone", r"(?<!\d)(?:\+?86[ \-]?)?1[3-9]\d[ \-]?\d{4}[ \-]?\d{4}(?!\d)"),
    ("phone", r"(?<!\d)(?:0\d{2,3}[ \-]?\d{7,8}|[48]00[ \-]?\d{3}[ \-]?\d{4})(?!\d)"),
    ("unit", rf"\d{{1,3}}(?:栋|幢|座|号楼|号院|#)楼?[ \-]?{_STAIR}(?:\d{{1,2}}层)?(?:\d{{3,4}}[室号房户]?)?"),
    ("unit", r"(?<![\d\-])\d{1,3}-\d{1,2}-\d{3,4}(?![\d\-])|(?<![\d\-])\d{1,3}-\d{3,4}(?![\d\-])"),
    ("date", rf"{_DAY}|(?<!\d)\d{{1,2}}月(?:\d{{1,2}}[日号]|份|底|初)?"),
    ("time", r"(?<!\d)\d{1,2}:\d\d(?::\d\d)?(?!\d)|(?<!\d)\d{1,2}点(?:\d{1,2}分?|半)?"),
    ("rate", rf"\d{{1,6}}(?:\.\d{{1,6}})?%|百分之[{_CN_DIGITS}点]{{1,6}}"),
    ("discount", r"(?<!\d)\d{1,2}(?:\.\d{1,2})?折|[一二三四五六七八九][一二三四五六七八九]?折"),
    ("money", rf"[¥$]\s?\d[\d,]{{0,14}}(?:\.\d{{1,4}})?|{_SUM}|{_SHORT_SUM}"),
    ("money", _SPOKEN_SUM),
    ("number", r"(?<![a-z])\d{1,40}(?:\.\d{1,10})?"),
)
# Masked things are written as one private character each, which jieba gives back as a word of its own.
_PRIVATE = {kind: chr(0xE000 + number) for number, kind in enumerate(dict.fromkeys(kind for kind, _ in _MASKS))}
_SHOWN = {char: f"<{kind}>" for kind, char in _PRIVATE.items()}
_GROUPS = [kind for kind, _ in _MASKS]
_MASK = re.compile(r"(?=[\d¥$+a-z" + _CN_DIGITS + r"])(?:" + "|".join(f"({pattern})" for _, pattern in _MASKS) + ")")
_IN_RUN = r"\u4e00-\u9fd5a-z0-9+#&._%\-"
_LONG_RUN = re.compile(rf"[{_IN_RUN}]{{{LONGEST_RUN + 1}}}")
_PIECES = re.compile(rf"[{_IN_RUN}]{{1,{LONGEST_RUN}}}|[^{_IN_RUN}]+")


def mask(text: str) -> tuple[str, list[tuple[int, int, int]]]:
    """A normalised text with URLs, addresses, phones, dates, sums and the like each written as one private character.

    Also returns, for each masked thing in order, its place in the masked text and its half-open range in `text`.
    """
    parts: list[str] = []
    places: list[tuple[int, int, int]] = []
    done = 0
    length = 0
    for match in _MASK.finditer(text):
        start, end = match.span()
        parts.append(text[done:start])
        length += start - done
        places.append((length, start, end))
        parts.append(_PRIVATE[_GROUPS[(match.lastindex or 1) - 1]])
        length += 1
        done = end
    if not places:
        return text, places
    parts.append(text[done:])
    return "".join(parts), places


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
        """How often jieba's dictionary counts `word`; 0 where it has none."""
        return int(self._jieba.FREQ.get(word) or 0)


_APART = re.compile(r"\r\n|.", re.DOTALL)
_lock = threading.Lock()


@cache
def _shipped_segmenter() -> Segmenter:
    return JiebaSegmenter(user_words())


def user_words() -> list[str]:
    """The real-estate user dictionary: the lexicon's terms of two and three characters, all Han; longer ones are mostly phrases."""
    return [term for term in shipped_facets().terms() if 2 <= len(term) <= 3 and _HAN.fullmatch(term)]


_HAN = re.compile(r"[\u4e00-\u9fd5]+")


def shipped_segmenter() -> Segmenter:
    """The segmenter that training and serving share, loaded once (0.6 s)."""
    with _lock:
        return _shipped_segmenter()


def word_frequency(word: str) -> int:
    """How often the shipped segmenter's dictionary counts `word`; 0 where it has none."""
    return shipped_segmenter().frequency(word)


def segment(clean: Clean, segmenter: Segmenter) -> Words:
    """Mask, then cut into words. Blanks, punctuation and line breaks are words too: they part what does not belong together."""
    masked, places = mask(clean.text)
    words: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    waiting = iter(places)
    where, begin, finish = next(waiting, (-1, 0, 0))
    at = 0
    shift = 0
    for word in segmenter.cut(masked):
        if at == where:
            words.append(_SHOWN[word])
            starts.append(begin)
            ends.append(finish)
            shift = finish - at - 1
            at += 1
            where, begin, finish = next(waiting, (-1, 0, 0))
            continue
        words.append(word)
        starts.append(at + shift)
        at += len(word)
        ends.append(at + shift)
    return Words(clean, tuple(words), tuple(starts), tuple(ends))


def segment_all(texts: Sequence[str]) -> list[Words]:
    """Normalise and segment each text with the shipped segmenter."""
    segmenter = shipped_segmenter()
    return [segment(normalise(text), segmenter) for text in texts]
