"""Who writes: the customer's name where he gives it, is asked for it, is addressed by it, or signs with it (预案 4.1)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from classifiers.cues import CALLED, CLOSING_CHARS, HOME_TAKEN, cues, signature, surnames
from classifiers.cues import TAKEN as TAKEN
from classifiers.homes import is_city
from classifiers.placed_names import FOREIGN, may_be_placed

# From here on a name is given as one, and is taken before an estate is looked for.
SURE = 5
# Up to here only its place makes a word a name.
_PLACED = 5

# Surnames that begin too many words, and characters that end them: such a name needs an outright cue.
_WORDY = (
    "都全管和时应相从成能通那哈元门信初平计单但干於向来展盖练经强家有修谢何如同还多任解付查支化终开权宿花米金房车居过费水万关保于常满钱"
)
_WORDY_END = "没有过好吧人家些么样好天年月日上下里中前后边起出完成费款钱房楼题时候回事子头面法理话行知道证书要急紧等"

# A name that is also a word this frequent (in jieba's dictionary) needs an outright cue.
_COMMON = 30
# Two characters that are so frequent a word do not begin a name of three.
_BEGINS_WORD = 400

# Latin words that stand where a name could.
_LATIN_WORDS = frozenset(
    re.findall(
        r"[a-z]+",
        "plz please thanks thx hi hello ok re fw fyi ps app loft vip wifi no yes sir dear regards tel email asap pos logo sample yours "
        "best thank you sincerely cheers mobile phone unit block tower owner iphone sent from my the this i we to office here now room so",
    )
)

# Who is spoken of here is staff or somebody else's family, not the one who writes.
_OTHERS = re.compile(
    r"(?:销售|顾问|管家|经理|主任|专员|保安|主管|工程师|队长|总监|客服|律师|司机|中介|置业|项目总|物业|前台|财务|对接人|经办人|负责人|工人|同事|邻居|朋友|"
    r"一个|一位|那个|那位|这个|这位|有个|有位|叫做|叫|找|被投诉人|老公|老婆|我爸|我妈|儿子|女儿|自称)[姓叫是:]{0,2}$"
)


# What somebody bought or lives in, where a unit follows: an estate, though it begins with a surname (买的云锦台三栋).
_HOME_OF = re.compile(r"(?:买[了的在]|购[买置][了的]|[订购]了|住[在进])$")

_CLOSING = re.compile(
    rf"{CLOSING_CHARS}|一[个位名户群]|工$|祝|此致|敬礼|附件|以[上下]|日期|星期|电话|地址|业主|客户|无语|晚安|再见|完毕|附|"
    r"[市区县省驿部组院府苑湾洲港]$|公司|集团|全体|居民|联名|名门|公园|人$"
)


class Named(NamedTuple):
    """Where a name stands, and whether somebody says that it is one; else only its place suggests it."""

    start: int
    end: int
    stated: bool

    @property
    def span(self) -> tuple[int, int]:
        """Beginning and end."""
        return self.start, self.end


def find_name(
    text: str,
    frequency: Callable[[str], int],
    least: int = 0,
    most: int = 9,
    capital: Callable[[int], bool] = lambda place: True,
    signed: bool = True,
    guess: bool = False,
) -> Named | None:
    """Where in a normalised text the customer's name stands, or `None`. Places that belong to other fields hold `TAKEN`.

    frequency: how often jieba's dictionary counts a word; 0 where it has none.
    least:     how sure it must be; from `SURE` on somebody says in so many words that it is a name, or signs with it.
    most:      cues surer than this are not tried again.
    capital:   whether the original has a capital letter at a place; a Latin name begins with one.
    signed:    whether to look for a signature too.
    guess:     whether any word will do that stands where a name could, for who hides names and does not call anybody by them.
    """
    best: tuple[int, int, int] | None = None
    for cue in cues():
        sureness, needs = cue.sureness, cue.needs
        if sureness > most:
            continue
        if sureness < least or (best is not None and sureness <= best[0]):
            break
        # Asking for one or two characters takes a fiftieth of the time of most patterns.
        if needs and needs[0] not in text and needs[-1] not in text and not any(need in text for need in needs[1:-1]):
            continue
        if cue.gate is not None and cue.gate.search(text) is None:
            continue
        for match in cue.matches(text):
            start, end = match.span("name") if "name" in match.re.groupindex else match.span(1)
            if sureness < 8 and _OTHERS.search(text, max(0, start - 8), start):
                continue
            if sureness >= 6:
                end = _cut_short(text, start, end, frequency)
            if text[end : end + 1] == HOME_TAKEN and _HOME_OF.search(text, max(0, start - 3), start):
                continue
            name = text[start:end]
            if name[0].isascii() and name[0].isalpha() and not (capital(start) and _latin_name(name)):
                continue
            if sureness <= _PLACED and not guess and not may_be_placed(name, frequency, strong=_phone_behind(text, end)):
                continue
            if cue.common or _rare(name, frequency):
                best = (sureness, start, end)
                break
    surname_only = best is not None and text[best[1] : best[2]] in surnames()[0]
    if best is not None and best[0] > 5 and not surname_only:
        return Named(best[1], best[2], stated=True)
    sign = _signed(text, frequency, capital, guess=guess) if signed else None
    # Who says that his surname is 瞿 and signs 瞿颖 has given both.
    if best is not None and surname_only and best[0] > 5 and (sign is None or text[sign[0]] != text[best[1]]):
        return Named(best[1], best[2], stated=True)
    if sign is not None:
        return sign
    return None if best is None else Named(best[1], best[2], stated=best[0] > _PLACED)


def _signed(text: str, frequency: Callable[[str], int], capital: Callable[[int], bool], *, guess: bool) -> Named | None:
    """A name that stands alone on one of the last three lines or the first, or at the very end."""
    alone, ending, word = signature()
    lines: list[tuple[int, str]] = []
    place = 0
    for line in text.split("\n"):
        if line.strip():
            lines.append((place, line))
        place += len(line) + 1
    if not lines:
        return None

    def may_be(start: int, name: str, *, stated: bool = False) -> bool:
        if name[0].isascii():
            return capital(start) and _latin_name(name)
        strong = _phone_behind(text, start + len(name))
        return _rare(name, frequency) and (stated or guess or may_be_placed(name, frequency, strong=strong))

    for start, line in lines[:-4:-1]:
        if len(line) > 60 and TAKEN not in line:
            continue
        match = alone.match(line)
        if match is None or len(line.replace(TAKEN, "").replace(HOME_TAKEN, "").strip()) > 14:
            continue
        # 投诉人：温竹青
        stated = line[: match.start(1)].rstrip().endswith(":")
        if may_be(start + match.start(1), match[1], stated=stated):
            return Named(start + match.start(1), start + match.end(1), stated)
    closing = _closing(text, lines, word, frequency, capital, guess=guess)
    if closing is not None:
        return Named(*closing, stated=False)
    start, line = lines[-1]
    match = ending.search(line[-24:])
    offset = start + max(0, len(line) - 24)
    others = match and _OTHERS.search(text, max(0, offset + match.start(1) - 8), offset + match.start(1))
    if match and not others and may_be(offset + match.start(1), match[1]):
        return Named(offset + match.start(1), offset + match.end(1), stated=False)
    start, line = lines[0]
    match = alone.match(line)
    if (
        match
        and len(lines) > 1
        and len(line.replace(TAKEN, "").strip(" ,。")) == len(match[1])
        and may_be(start + match.start(1), match[1])
    ):
        return Named(start + match.start(1), start + match.end(1), stated=False)
    return None


_SENTENCE_END = "。!?…”)~;.】》’"


def _closing(
    text: str,
    lines: list[tuple[int, str]],
    word: re.Pattern[str],
    frequency: Callable[[str], int],
    capital: Callable[[int], bool],
    *,
    guess: bool,
) -> tuple[int, int] | None:
    """A short piece after the last sentence, whatever word it is: in a text that ends its sentences, that is who signs."""
    for number in range(len(lines) - 1, max(-1, len(lines) - 4), -1):
        start, line = lines[number]
        line = line.rstrip()
        # The piece behind the last full stop of the line, or the whole line.
        cut = max(max(line.rfind(sign, 0, len(line) - 1) for sign in "。!?…”"), line.rfind(". ", 0, len(line) - 1)) + 1
        cut += len(line[cut:]) - len(line[cut:].lstrip())
        piece = line[cut:]
        match = word.match(piece) if len(piece) <= 40 else None
        if match is None:
            if len(line) > 16:
                return None
            continue
        name = match["name"]
        begin = start + cut + match.start("name")
        if name[0].isascii():
            if not (capital(begin) and _latin_name(name)):
                continue
        elif _no_signer(name, frequency):
            continue
        else:
            meant = guess or (match["dash"].strip() and _signs(name, frequency))
            if not (meant or may_be_placed(name, frequency, strong=_phone_behind(text, begin + len(name)))):
                continue
        before = line[:cut].rstrip() if cut else (lines[number - 1][1].rstrip() if number else "")
        dashed = bool(match["dash"].strip())
        surnamed = name[0] in surnames()[0]
        if not dashed and (
            not before or before[-1] not in _SENTENCE_END or (len(name) > 3 and not name.isascii() and cut and not surnamed)
        ):
            continue
        if cut and not dashed and not surnamed and frequency(name) >= 2000:
            continue
        return begin, begin + len(name)
    return None


def _phone_behind(text: str, end: int) -> bool:
    """Whether a telephone number or an address, of which the characters are taken, stands right behind a place, or on the next line."""
    return text[end : end + 3].lstrip(" \n,、:;(").startswith(TAKEN)


def _signs(name: str, frequency: Callable[[str], int]) -> bool:
    """Whether a word behind a dash signs a text, as people do under names that they gave themselves: ——夏至."""
    return name[0] in surnames()[0] and frequency(name) < _BEGINS_WORD


def closes(word: str) -> bool:
    """Whether a word that begins like a name goes on like words that answer or close."""
    return _CLOSING.search(word, 1) is not None or word[0] in "都好全"


def _no_signer(name: str, frequency: Callable[[str], int]) -> bool:
    """Whether a short piece at the end of a text is a closing word, a city, or too long for a name."""
    surnamed = name[0] in surnames()[0] or name[:2] in surnames()[1]
    if _CLOSING.search(name, 1 if surnamed and len(name) < 4 else 0) or is_city(name):
        return True
    return len(name) > 3 and "·" not in name and (bool(frequency(name)) or sum(char in FOREIGN for char in name) * 2 < len(name))


def _cut_short(text: str, start: int, end: int, frequency: Callable[[str], int]) -> int:
    """Where a name of three characters ends that runs on without a stop: 我叫郑凯上个月 is 郑凯, for 上个 is a word and 凯上 none."""
    if end - start == 3 and end < len(text) and "\u3400" <= text[end] <= "\u9fff" and text[start] >= "\u3400":
        runs_on = frequency(text[end - 1 : end + 1]) or frequency(text[end - 1 : end + 2])
        if runs_on and frequency(text[start + 1 : end]) < _COMMON and text[end - 1] in "上昨今前去现已后当家二一三四五六七八九十":
            return end - 1
    return end


def _latin_name(name: str) -> bool:
    return not any(part.strip(".") in _LATIN_WORDS for part in name.split())


def _rare(name: str, frequency: Callable[[str], int]) -> bool:
    """Whether a piece of text that is shaped like a name is not rather a common word or the beginning of a sentence."""
    if name[0].isascii():
        return _latin_name(name)
    if name[0] in "我你什您都全" or (len(name) == 2 and is_city(name)):
        return False
    # 丽丽: doubled, which few words are.
    if len(name) == 2 and name[0] == name[1]:
        return frequency(name) < _BEGINS_WORD and not _CLOSING.search(name)
    if len(name) > 1 and _TITLED.search(name):
        return name[0] not in "个两几各这那" and frequency(name) < 3000
    if name.startswith("谢谢") or frequency(name) >= _COMMON or name[-1] in _WORDY_END:
        return False
    if len(name) == 3 and frequency(name[:2]) >= _BEGINS_WORD:
        return False
    return name[0] not in _WORDY or frequency(name[1:]) < _COMMON


_TITLED = re.compile(rf"(?:{CALLED})$")
