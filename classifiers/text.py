"""Normalise, mask, segment: what is done to a text before anything looks at its words.

Every step keeps the way back to the original characters, so that the words that decided can be marked where the customer wrote them.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise

from classifiers.facets import HOME
from classifiers.segmenters import Segmenter, shipped_segmenter

# A text beyond this many characters is read by its head and its tail only: who writes more repeats himself or pastes logs, and the demand
# stands at one of the ends.
LONGEST = 20_000
_HEAD, _TAIL = 14_000, 6_000


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
    """For `str.translate`: what each character becomes. Filled as characters are met; those that do not become one character are `_ODD` in
    it, and in `odd` what they become."""

    def __init__(self, simplified: dict[str, str]) -> None:
        super().__init__()
        self.odd: dict[str, str] = {}
        self._simplified = simplified

    def __missing__(self, code: int) -> str:
        char = chr(code)
        become = self._become(char)
        if len(become) != 1:
            self.odd[char] = become
            become = _ODD
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
def _simplified() -> dict[str, str]:
    simplified: dict[str, str] = {}
    for line in (HOME / "traditional.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            simplified.update(zip(line[::2], line[1::2], strict=True))
    return simplified


@cache
def _table() -> _Table:
    return _Table(_simplified())


# Stands for any character that does not become exactly one: no private character is ever in a normalised text.
_ODD = "\ue000"
# Wide signs that nearly every text holds; replacing them takes a tenth of the time of translating each character.
_WIDE = {sign: chr(ord(sign) - 0xFEE0) for sign in "，！？：；（）"}


@cache
def _changing() -> re.Pattern[str]:
    """Finds a character that may become another; those it passes over stay as they are."""
    changed = sorted(ord(char) for char in _simplified() if "\u4e00" <= char <= "\u9fff")
    bounds = [0x4DFF, *changed, 0xA000]
    runs = (f"{chr(left + 1)}-{chr(right - 1)}" for left, right in pairwise(bounds) if right - left > 1)
    return re.compile("[^\n -@\\[-~。、“”《》【】—·" + "".join(runs) + "]")


def normalise(text: str) -> Clean:
    """NFKC character by character, small letters, simplified characters, no control or zero-width characters; at most `LONGEST` long."""
    if len(text) <= LONGEST:
        plain = text
        for wide, narrow in _WIDE.items():
            plain = plain.replace(wide, narrow)
        if _changing().search(plain) is None:
            return Clean(plain)
        plain = text.translate(_table())
        if _ODD not in plain:
            return Clean(plain)
        pieces: tuple[tuple[int, str], ...] = ((0, text),)
    else:
        offset = len(text) - _TAIL
        pieces = ((0, text[:_HEAD]), (_HEAD - 1, "\n"), (offset, text[offset:]))
    table = _table()
    parts: list[str] = []
    origin = array("l")
    for start, piece in pieces:
        for place, char in enumerate(piece, start):
            become = table[ord(char)]
            if become is _ODD:
                become = table.odd[char]
            parts.append(become)
            origin.extend([place] * len(become))
    return Clean("".join(parts), origin)


_CN_DIGITS = "零〇一二两三四五六七八九十百千万几"
# What is masked, first match first. Every repetition is bounded, so that no text makes the search slow.
_SUM = r"\d[\d,]{0,14}(?:\.\d{1,4})?\s?(?:多|余|来)?(?:亿|百万|十万|万|千|百|w|k)?(?:多|余|来)?\s?(?:元|块|rmb|人民币)钱?"
_SHORT_SUM = r"\d{1,6}(?:\.\d{1,4})?(?:多|余|来)?(?:万|千|w)(?![\da-z平方人家户米])"
_SPOKEN_SUM = rf"[{_CN_DIGITS}]{{1,9}}(?:多|来)?(?:元|块)钱?|[一二两三四五六七八九十百几]{{1,4}}(?:来|多)?[万千](?:多|来)?(?![人家户分平])"
_SPOKEN_DISCOUNT = "[一二三四五六七八九][一二三四五六七八九]?折"
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
    ("discount", r"(?<!\d)\d{1,2}(?:\.\d{1,2})?折|" + _SPOKEN_DISCOUNT),
    ("money", rf"[¥$]\s?\d[\d,]{{0,14}}(?:\.\d{{1,4}})?|{_SUM}|{_SHORT_SUM}"),
    ("money", _SPOKEN_SUM),
    ("number", r"(?<![a-z])\d{1,40}(?:\.\d{1,10})?"),
)
# Masked things are written as one private character each, which jieba gives back as a word of its own.
_PRIVATE = {kind: chr(0xE000 + number) for number, kind in enumerate(dict.fromkeys(kind for kind, _ in _MASKS))}
_SHOWN = {char: f"<{kind}>" for kind, char in _PRIVATE.items()}
_GROUPS = [_PRIVATE[kind] for kind, _ in _MASKS]
_MASK = re.compile("|".join(f"({pattern})" for _, pattern in _MASKS))
# Where something masked may begin: patterns that begin with a set of characters are searched for many times faster. Digits are taken by
# the run, Chinese ones only where they are masked with what is behind them. Letters begin nothing but an address.
_BEGINS = re.compile(
    rf"[\d¥$+{_CN_DIGITS}](?:(?<=\d)\d*|(?<=[¥$+])|(?=[{_CN_DIGITS}多来元块折分])(?<=(?=百分之|{_SPOKEN_DISCOUNT}|{_SPOKEN_SUM}).))"
)
_BEGINS_TOO = re.compile(rf"[\d¥$+a-z{_CN_DIGITS}]")


def mask(text: str) -> tuple[str, list[tuple[int, int, int]]]:
    """A normalised text with URLs, addresses, phones, dates, sums and the like each written as one private character.

    Also returns, for each masked thing in order, its place in the masked text and its half-open range in `text`.
    """
    parts: list[str] = []
    places: list[tuple[int, int, int]] = []
    done = 0
    length = 0
    begins = _BEGINS_TOO if "@" in text or "//" in text or "www." in text else _BEGINS
    for begin in begins.finditer(text):
        start, stop = begin.span()
        if start < done:
            start = done
        while start < stop:
            match = _MASK.match(text, start)
            if match is None:
                start += 1
                continue
            parts.append(text[done:start])
            length += start - done
            start, done = match.span()
            places.append((length, start, done))
            parts.append(_GROUPS[(match.lastindex or 1) - 1])
            length += 1
            start = done
    if not places:
        return text, places
    parts.append(text[done:])
    return "".join(parts), places


def segment(clean: Clean, segmenter: Segmenter) -> Words:
    """Mask, then cut into words. Blanks, punctuation and line breaks are words too: they part what does not belong together."""
    masked, places = mask(clean.text)
    words = list(segmenter.cut(masked))
    sizes = list(map(len, words))
    place = -1
    for where, begin, finish in places:
        # What is masked is a word of its own.
        place = words.index(masked[where], place + 1)
        words[place] = _SHOWN[masked[where]]
        sizes[place] = finish - begin
    # The words follow each other without a gap.
    bounds = (0, *accumulate(sizes))
    return Words(clean, tuple(words), bounds[:-1], bounds[1:])


def segment_all(texts: Sequence[str]) -> list[Words]:
    """Normalise and segment each text with the shipped segmenter."""
    segmenter = shipped_segmenter()
    return [segment(normalise(text), segmenter) for text in texts]
