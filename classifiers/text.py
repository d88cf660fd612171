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
