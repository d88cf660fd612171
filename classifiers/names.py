"""Who writes: the customer's name where he gives it, is asked for it, or signs with it (预案 4.1)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from classifiers.facets import HOME

# What other fields occupy is written as this character before names are looked for, so that places stay and nothing is read twice.
TAKEN = "\x00"
# The same for unit and estate.
HOME_TAKEN = "\x01"

_HAN = "\u3400-\u9fff"

# From here on a name is given as one.
SURE = 8

# Forms of address that follow a surname or a nickname.
_CALLED = "先生|女士|小姐|太太|老师|师傅|大姐|大哥|大爷|大妈|大叔|大娘|大嫂|阿姨|奶奶|爷爷|婆婆|老板|医生|仔|姐|哥|叔|婶|嫂|姨|伯"

# Characters that stand in names next to never, but often behind one.
_BEHIND = "的了是在不我你他她它们这那就都也会能说问来去到给把被跟和与及或但因为吗呢吧啊呀么什请您之此再又还已住买号栋层室，"

# Surnames that begin too many words, and characters that end them: such a name needs an outright cue.
_WORDY = "都全管和时应相从成能通那哈元门信初平计单但干於向来展盖练经强家有修谢何如同还多任解付查支化终开权宿花米金房车居过费水万关保"
_WORDY_END = "没有过好吧人家些么样好天年月日上下里中前后边起出完成费款钱房楼题时候回事子头面法理话行知道证书"

# A name that is also a word this frequent (in jieba's dictionary) needs an outright cue.
_COMMON = 30


# Latin words that stand where a name could.
_LATIN_WORDS = frozenset(
    (
        "plz",
        "please",
        "thanks",
        "thx",
        "hi",
        "hello",
        "ok",
        "re",
        "fw",
        "fyi",
        "ps",
        "app",
        "loft",
        "vip",
        "wifi",
        "no",
        "yes",
        "sir",
        "dear",
        "regards",
        "tel",
        "email",
        "asap",
        "pos",
        "logo",
        "sample",
    )
)


@cache
def _surnames() -> tuple[str, str]:
    """All surnames of one character as one string, and those of two parted by `|`."""
    lines = [line for line in (HOME / "surnames.txt").read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    single = "".join(line for line in lines if " " not in line)
    return single, "|".join(word for line in lines if " " in line for word in line.split())


@cache
def _cues() -> tuple[tuple[int, bool, re.Pattern[str]], ...]:
    """How names are given, surest first: (sureness, whether the name may be a common word, pattern whose first group is the name)."""
    single, double = _surnames()
    last = rf"[{_HAN}](?<![{_BEHIND}])"
    full = rf"(?:(?:{double}){last}(?:{last})?|[{single}]{last}(?:{last})?)"
    called = rf"(?:(?:{double}|[{_HAN}])(?:{_CALLED})|[小老阿大][{single}](?:{_CALLED})?|[{_HAN}]{{1,2}}(?:妈妈|爸爸|妈|爸)(?!妈|爸))"
    latin = r"[a-z][a-z]{1,14}\.?(?:\s[a-z][a-z]{0,14}\.?)?"
    over = rf"(?![{_HAN}])"
    phone = r"[ ,、:;(]{0,3}(?:联系)?(?:电话|手机号?|tel|微信)?[ :是]{0,3}"
    asked = r"(?:姓名|联系人|投诉人|反映人|申请人|来信人|写信人|署名|购房人|买受人|业主姓名|客户姓名|落款)\s?(?:是|[:])\s?"
    here = r"(?:我是|我就是|我系|俺是|咱是|这边是|本人是?)"
    role = r"(?:业主|购房人|买受人|购房者|市民|村民|居民|职工|租户|客户)"
    return (
        (9, True, re.compile(rf"(?:我叫|俺叫|我的名字是|我名字叫|我的名字叫|本人叫|名叫|{asked})({full})")),
        (9, True, re.compile(rf"(?:我叫|俺叫|name is|i am|this is|{asked})\s?({latin})(?![a-z])")),
        (SURE, True, re.compile(rf"(?:叫我|称呼我|喊我)(?:做|作|声)?({called}|{full}|{latin})(?=[^{_HAN}a-z]|就|好|吧|得|可以|$)")),
        (SURE, True, re.compile(rf"(?:我叫|俺叫)([{_HAN}]{{2,3}}?)(?=[^{_HAN}]|住|是|在|家|$)")),
        (SURE, False, re.compile(rf"{role}(?:是|为|叫)?({full})(?=[^{_HAN}]|$|于|因|在|电话|手机)")),
        (7, False, re.compile(rf"{here}({full}|{called})(?=[^{_HAN}]|的|住|家住|就|因|于|在|电话|手机|$)")),
        (6, True, re.compile(rf"(?<![百同老贵])(?:姓|免贵姓?)\s?({double}|[{single}])(?=[^{_HAN}]|的|$|住|是|在|今年|我)")),
        (6, False, re.compile(rf"(?:^|[^{_HAN}a-z])({full}|{called}|{latin}){phone}{TAKEN}{{7}}")),
        (5, False, re.compile(rf"{TAKEN}{{5}}[ ,、:;(\n]{{0,2}}({full}|{called}){over}")),
        (5, False, re.compile(rf"[{TAKEN}{HOME_TAKEN}]的?[ ,、:;(\n]{{0,2}}({full}|{called}|{latin}){over}(?![a-z])")),
        (5, False, re.compile(rf"(?:^|\n)[ ]*({full}|{called}|{latin})[ ,、:;(\n]{{1,2}}(?=[{TAKEN}{HOME_TAKEN}])")),
        (4, False, re.compile(rf"(?:^|[ \n。!?,])({full}|{called})(?=[ \n。!?,]|$)")),
    )


@cache
def _signature() -> tuple[re.Pattern[str], re.Pattern[str]]:
    single, double = _surnames()
    full = rf"(?:(?:{double})[{_HAN}]{{1,2}}|[{single}][{_HAN}]{{1,2}})"
    called = rf"(?:(?:{double}|[{_HAN}])(?:{_CALLED})|[小老阿大][{single}]|[{_HAN}]{{1,3}}(?:妈妈|爸爸|妈|爸))"
    latin = r"[a-z][a-z]{1,14}\.?(?:\s[a-z][a-z]{0,14}\.?)?"
    before, behind = r"[\s\-—~(]*(?:投诉人|业主|此致|敬礼|落款)?[:\s]*", r"(?:敬上|上|呈|谨上|亲笔|泣书|叩上)?"
    alone = re.compile(rf"^{before}({full}|{called}|{latin}){behind}(?=[^{_HAN}a-z]|$)")
    ending = re.compile(rf"(?:^|[\s,。!?;、…)—]|[{TAKEN}])({full}|{called})[\s。.!~{TAKEN}]*$")
    return alone, ending


def find_name(text: str, frequency: Callable[[str], int], least: int = 0) -> tuple[int, int] | None:
    """Where in a normalised text the customer's name stands, or `None`. Places that belong to other fields hold `TAKEN`.

    least: how sure it must be; from `SURE` on somebody says in so many words that it is a name.

    frequency: how often jieba's dictionary counts a word; 0 where it has none.
    """
    best: tuple[int, int, int] | None = None
    for sureness, common, pattern in _cues():
        if sureness < least or (best is not None and sureness <= best[0]):
            break
        for match in pattern.finditer(text):
            start, end = match.span(1)
            if common or _rare(text[start:end], frequency):
                best = (sureness, start, end)
                break
    if best is not None and best[0] > 5:
        return best[1], best[2]
    if least >= SURE:
        return None
    signed = _signed(text, frequency)
    if signed is not None:
        return signed
    return None if best is None else (best[1], best[2])


def _signed(text: str, frequency: Callable[[str], int]) -> tuple[int, int] | None:
    """A name that stands alone on one of the last three lines or the first, or at the very end."""
    alone, ending = _signature()
    lines: list[tuple[int, str]] = []
    place = 0
    for line in text.split("\n"):
        if line.strip():
            lines.append((place, line))
        place += len(line) + 1
    if not lines:
        return None
    for start, line in lines[:-4:-1]:
        match = alone.match(line)
        if match and len(line.replace(TAKEN, "").strip()) <= 14 and _rare(match[1], frequency):
            return start + match.start(1), start + match.end(1)
    start, line = lines[-1]
    match = ending.search(line[-24:])
    if match and _rare(match[1], frequency):
        offset = start + max(0, len(line) - 24)
        return offset + match.start(1), offset + match.end(1)
    start, line = lines[0]
    match = alone.match(line)
    if match and len(lines) > 1 and len(line.replace(TAKEN, "").strip(" ,。")) == len(match[1]) and _rare(match[1], frequency):
        return start + match.start(1), start + match.end(1)
    return None


def _rare(name: str, frequency: Callable[[str], int]) -> bool:
    """Whether a piece of text that is shaped like a name is not rather a common word or the beginning of a sentence."""
    if any(name.endswith(called) for called in _CALLED.split("|")) and len(name) > 1:
        return True
    if name.isascii():
        return name not in _LATIN_WORDS
    return frequency(name) < _COMMON and name[-1] not in _WORDY_END and (name[0] not in _WORDY or frequency(name[1:]) < _COMMON)
