"""Who and what: name, phone, e-mail, estate and unit out of a text of any register (预案 4.1). Values are returned as written."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from classifiers.base import Query
from classifiers.homes import estate_names, find_estate, find_unit
from classifiers.names import HOME_TAKEN, SURE, TAKEN, find_name
from classifiers.text import Clean, normalise, word_frequency
from models.complaint import Customer

_EMAIL = re.compile(r"(?<![a-z0-9._%+\-])[a-z0-9][a-z0-9._%+\-]{0,63}@[a-z0-9\-]{1,63}(?:\.[a-z0-9\-]{1,63}){1,4}")

# Digits as people write and speak them; 幺 is one on the phone, 洞 nought, 拐 seven.
_SPOKEN = ("0零〇○洞", "1一幺妖壹", "2二两贰", "3三叁", "4四肆", "5五伍", "6六陆", "7七拐柒", "8八捌", "9九玖")
_DIGIT = {char: digit for digit, chars in enumerate(_SPOKEN) for char in chars}
_ANY = "".join(_DIGIT)
_SPACE = r"[ \-.。·,、_/\n]{0,2}"
# Eleven digits, 13… to 19…, single parting characters between them; and none of the run may belong to something longer.
_MOBILE = re.compile(rf"(?<![{_ANY}])(?:\+?86{_SPACE})?([1一幺妖](?:{_SPACE}[3-9三四五六七八九])(?:{_SPACE}[{_ANY}]){{9}})(?![{_ANY}])")
_LANDLINE = re.compile(r"(?<![\d\-])(?:\(?0\d{2,3}\)?[ \-]?)[2-9]\d{2,3}[ \-]?\d{4}(?![\d])")
_LOCAL = re.compile(r"(?:电话|座机|固话|拨打|打)[是为: ]{0,2}([2-9]\d{2,3}[ \-]?\d{4})(?!\d)")
# Whose phone it is: his own, or somebody else's.
_OTHERS = re.compile(r"(?:销售|顾问|物业|客服|中介|他的?|她的?|对方|你们的?|贵司|开发商|业务员|热线|显示|来电)[^,。!?;\n]{0,8}$")
_OWN = re.compile(r"(?:我的?|本人|联系|手机|回电|回我|打我|微信)[^,。!?;\n]{0,8}$")
_CORRECTED = re.compile(r"不对|错了|说错|打错|应该是|更正|改成|是这个|算了写")


class FieldFinder:
    """Finds the customer's fields; read-only after it is made.

    estates:   names of estates that are known, taken wherever they stand.
    frequency: how often jieba's dictionary counts a word; whoever is named like a common word must say that it is his name.
    """

    def __init__(self, estates: Collection[str] = (), frequency: Callable[[str], int] = word_frequency) -> None:
        self._estates = estate_names(sorted(estates))
        self._frequency = frequency

    def find(self, query: Query, said: Clean | None = None) -> Customer:
        """The fields of one query; what the customer said first, then the whole text. Only what was found is set; never raises.

        said: the normalised `query.said`, where the caller already has it.
        """
        said = said or normalise(query.said)
        customer = self._of(query.said, said)
        if query.title:
            customer = customer.or_else(self._home_of(query.title))
        if query.context and query.context != query.said and not (customer.estate and customer.unit and customer.phone):
            customer = customer.or_else(self._home_of(query.context))
        return customer

    def _of(self, source: str, clean: Clean) -> Customer:
        text = clean.text

        def written(span: tuple[int, int] | None) -> str | None:
            if span is None:
                return None
            start, end = clean.span(*span)
            return source[start:end].strip() or None

        email = _EMAIL.search(text)
        phone, where = find_phone(text)
        # The way back to the original is kept by writing one character for one.
        if email:
            text = _taken(text, email.span())
        for span in where:
            text = _taken(text, span)
        unit = find_unit(text)
        if unit:
            text = _taken(text, unit, HOME_TAKEN)
        # A name that is given as one is taken first, for some people are called like estates.
        name = find_name(text, self._frequency, SURE)
        if name:
            text = _taken(text, name)
        estate = find_estate(text, self._estates, self._frequency)
        if estate:
            text = _taken(text, estate, HOME_TAKEN)
        name = name or find_name(text, self._frequency)
        return Customer(
            name=written(name), phone=phone, email=written(email.span() if email else None), estate=written(estate), unit=written(unit)
        )

    def _home_of(self, source: str) -> Customer:
        """From what others wrote only the home and the ways to reach the customer are taken; the names there are mostly theirs."""
        found = self._of(source, normalise(source))
        return Customer(phone=found.phone, email=found.email, estate=found.estate, unit=found.unit)


def find_phone(text: str) -> tuple[str | None, list[tuple[int, int]]]:
    """The customer's phone as digits, and where any phones stand in a normalised text. A mobile is preferred to a land line."""
    best: tuple[float, str] | None = None
    spans: list[tuple[int, int]] = []
    last_end = 0
    for match in _MOBILE.finditer(text):
        spans.append(match.span())
        before = text[max(0, match.start() - 12) : match.start()]
        score = 1.0 + bool(_OWN.search(before)) - 1.5 * bool(_OTHERS.search(before))
        if best is not None and _CORRECTED.search(text[last_end : match.start()]):
            score = best[0] + 1
        if best is None or score > best[0]:
            best = (score, "".join(str(_DIGIT[char]) for char in match[1] if char in _DIGIT))
        last_end = match.end()
    for pattern, group in ((_LANDLINE, 0), (_LOCAL, 1)):
        for match in pattern.finditer(text):
            if any(start < match.end(group) and match.start(group) < end for start, end in spans):
                continue
            spans.append(match.span(group))
            if best is None:
                best = (0.0, "".join(char for char in match[group] if char.isdigit()))
    return (None if best is None else best[1]), spans


def _taken(text: str, span: tuple[int, int], sign: str = TAKEN) -> str:
    start, end = span
    return text[:start] + sign * (end - start) + text[end:]
