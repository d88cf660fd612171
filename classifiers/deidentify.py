"""Takes out of a text who wrote it and how to reach him, and leaves what it complains of (PIPL 51).

What is masked keeps its form: digits become a digit, letters an x, names asterisks. So the classifier, which masks such things itself
(`text.mask`), sees the same features before and after, and doing it twice changes nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

from classifiers.base import Query
from classifiers.fields import FieldFinder, find_phone
from classifiers.segmenters import word_frequency
from classifiers.text import LONGEST, Clean, normalise

# Stands, while one thing after another is looked for, where something was found already.
_TAKEN = "\x00"

# Stands for a name. No letter, so no feature, and nothing a name is found in again.
NOBODY = "**"
EMAIL = "x@example.com"

# A word this frequent in jieba's dictionary is more likely a word than a name.
_COMMON = 30

# So many names are taken out of one text: a list of neighbours who sign together.
_MOST_NAMES = 200

# Of what the classifier reads of an endless text (`text.LONGEST`), less the line break between the two parts.
_HEAD, _TAIL = 14_000 - 1, 6_000

# Control characters, and what XML has no room for.
_UNHEARD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

_EMAIL = re.compile(r"[a-z0-9][a-z0-9._%+\-]{0,63}@[a-z0-9\-]{1,63}(?:\.[a-z0-9\-]{1,63}){1,4}")
# 18 signs of an identity card (15 on old ones), and 16 to 19 digits of a bank card, also in groups.
_NUMBERS = re.compile(
    r"(?<![\da-z])(?:\d{6}[ \-]?(?:19|20)\d{2}[ \-]?\d{4}[ \-]?\d{3}[\dx]|\d{17}[\dx]|\d{15,19}|(?:\d{4}[ \-]){3,4}\d{1,7})(?![\da-z])"
)
_PLATE = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼]"
    r"(?P<id>[a-hj-np-z][ ·.\-]?(?=[a-z]{0,6}\d)[a-hj-np-z\d]{5,6})(?![a-z\d])"
)
# A name in WeChat or QQ is only known by what stands before it.
_ACCOUNT = re.compile(
    r"(?:微信|薇信|威信|v信|vx|wx|wechat|weixin|qq|扣扣|企鹅)(?:号码|账号|帐号|号|id)?\s{0,2}(?:[是为:=]|就是)?\s{0,2}"
    r"(?P<id>[a-z][a-z\d_\-]{4,29}|[1-9]\d{4,11})(?![a-z\d])"
)
# Anything else of so many signs that holds digits and letters, or digits alone, behind a word for a card or a certificate.
_CARD = re.compile(
    r"(?:身份证|护照|港澳通行证|通行证|军官证|驾驶证|银行卡|卡号|账号|帐号|账户|户头)(?:号码|号|为|是|[: ]){0,3}"
    r"(?P<id>(?=[a-z]{0,3}\d)[a-z\d]{6,25})(?![a-z\d])"
)
_HAN_DIGITS = frozenset("零〇○洞一幺妖壹二两贰三叁四肆五伍六陆七拐柒八捌九玖")
_HAN_ONES = frozenset("一幺妖壹")
_MOBILE_DIGITS = 11

_DOOR = re.compile("[0-9０-９]{3,}|[零〇○洞一幺妖壹二两贰三叁四肆五伍六陆七拐柒八捌九玖]{3,}")

# How somebody is addressed; that stays.
_ADDRESS = "先生|女士|小姐|太太|老师|师傅|大姐|大哥|大爷|大妈|大叔|大娘|大嫂|大伯|阿姨|老板|医生|记者|同学"
_ADDRESSED = re.compile(rf"(?P<who>.{{1,2}}?)(?P<as> ?(?:{_ADDRESS}))", re.S)


class Deidentifier:
    """Masks names, phones, e-mails, numbers of cards and certificates, plates and accounts. Read-only after it is made.

    finder: finds whose text it is; the same that the classifier uses.
    """

    def __init__(self, finder: FieldFinder | None = None) -> None:
        self._finder = finder or FieldFinder()

    def mask(self, title: str, text: str, *, context: str = "", names: Collection[str] = ()) -> tuple[str, str]:
        """Title and text without whose they are, at most `LONGEST` characters each; never raises.

        context: the whole conversation, in which the name may be said by somebody else.
        names:   what else is known of who wrote it, for instance from the envelope.
        """
        title, text = _read_part(_tidy(title)), _read_part(_tidy(text))
        found = {name for name in names if name}
        if context and context != text:
            said_by_others = self._finder.find(Query(said=text, title=title, context=context), guess=True).name
            found |= {said_by_others} if said_by_others else set()
        title, text = _numbers(title), _numbers(text)
        for name in sorted(found, key=lambda one: (-len(one), one)):
            title, text = _without_name(title, name), _without_name(text, name)
        for _ in range(_MOST_NAMES):
            customer = self._finder.find(Query(said=text, title=title), guess=True)
            name = customer.name or ""
            if customer.unit:
                title, text = (one.replace(customer.unit, _no_door(customer.unit)) for one in (title, text))
            # A common word that stands there again and again is no name, whatever the place looked like.
            if not name or (text.count(name) > 1 and word_frequency(name) >= _COMMON):
                break
            before = title, text
            title, text = _without_name(title, name), _without_name(text, name)
            if (title, text) == before:
                break
        return title, text


def _tidy(text: str) -> str:
    """One kind of line end, and nothing that a spreadsheet's file cannot hold; no word is lost by it."""
    return _UNHEARD.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def _read_part(text: str) -> str:
    """What the classifier reads of a text: nothing else is learned from, so nothing else is kept."""
    return text if len(text) <= LONGEST else f"{text[:_HEAD]}\n{text[-_TAIL:]}"


def _numbers(text: str) -> str:
    """Everything that is known by its form."""
    clean = normalise(text)
    spoken = clean.text
    changes: list[tuple[int, int, str]] = []
    taken = spoken

    def take(start: int, end: int, put: str) -> None:
        nonlocal taken
        changes.append((start, end, put))
        taken = taken[:start] + _TAKEN * (end - start) + taken[end:]

    for match in _EMAIL.finditer(taken):
        take(*match.span(), EMAIL)
    for pattern, mask in ((_NUMBERS, _ones), (_ACCOUNT, _ones), (_CARD, _ones), (_PLATE, _ones)):
        for match in pattern.finditer(taken):
            start, end = match.span("id" if "id" in pattern.groupindex else 0)
            # An account may be a phone, which the classifier knows as one.
            if pattern is _ACCOUNT and find_phone(taken[start:end])[1]:
                continue
            take(start, end, mask(_as_written(text, clean, start, end)))
    for start, end in sorted(find_phone(taken)[1]):
        take(start, end, _phone(_as_written(text, clean, start, end)))
    return _changed(text, clean, changes)


def _as_written(text: str, clean: Clean, start: int, end: int) -> str:
    first, last = clean.span(start, end)
    return text[first:last]


def _changed(text: str, clean: Clean, changes: list[tuple[int, int, str]]) -> str:
    parts: list[str] = []
    done = 0
    for start, end, put in sorted(changes):
        first, last = clean.span(start, end)
        if first < done:
            continue
        parts += [text[done:first], put]
        done = last
    return "".join([*parts, text[done:]])


def _plain(char: str) -> str:
    return unicodedata.normalize("NFKC", char)


def _ones(written: str) -> str:
    """Every digit a one and every letter an x; all else as it was."""
    parts = []
    for char in written:
        plain = _plain(char)
        if plain.isascii() and plain.isdigit():
            char = "1"
        elif plain.isascii() and plain.isalpha():
            char = "X" if plain.isupper() else "x"
        parts.append(char)
    return "".join(parts)


def _no_door(unit: str) -> str:
    """The home without the number of its door. The floor stays: what is wrong with a flat hangs on it."""
    return _DOOR.sub(lambda run: re.sub(r"[^\d]", "一", _ones(run[0])), unit)


def _phone(written: str) -> str:
    """Still a mobile where it was one and a land line where it was that, written or spoken, but nobody's."""
    chars = list(written)
    places = [place for place, char in enumerate(chars) if _plain(char).isdigit() or char in _HAN_DIGITS]
    first = places[-_MOBILE_DIGITS] if len(places) >= _MOBILE_DIGITS else -1
    mobile = first >= 0 and (_plain(chars[first]) == "1" or chars[first] in _HAN_ONES)
    # A number without the area's is one like any other to the classifier, and nought at its head would make it a phone.
    nought = "0" if mobile or _plain(chars[places[0]]) == "0" else "1"
    for place in places:
        if mobile and place < first:
            continue
        spoken = chars[place] in _HAN_DIGITS
        if mobile and place == first:
            chars[place] = "一" if spoken else "1"
        elif mobile and place == places[-_MOBILE_DIGITS + 1]:
            chars[place] = "三" if spoken else "3"
        else:
            chars[place] = "零" if spoken else nought
    return "".join(chars)


def _without_name(text: str, name: str) -> str:
    """The text without this name, wherever it stands."""
    name = name.strip()
    addressed = _ADDRESSED.fullmatch(name)
    who = addressed["who"] if addressed else name
    if not who or NOBODY in who:
        return text
    if who.isascii():
        return re.sub(rf"(?<![A-Za-z]){re.escape(who)}(?![A-Za-z])", NOBODY, text)
    if len(who) > 1 and not addressed:
        text = text.replace(who, NOBODY)
    # A surname alone is a word or part of one in most places.
    surname = re.escape(who if addressed or len(who) == 1 else who[0])
    return re.sub(rf"(?:(?<=姓){surname}|{surname}(?= ?(?:{_ADDRESS})))", NOBODY, text)
