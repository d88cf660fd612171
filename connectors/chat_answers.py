"""What a line of a chat is, given the question it follows: an answer to it, a refusal to answer, a wish, or more of the matter (预案 4.1).

Pure and without memory, so that the parser and the dialogue read a line alike, today and when it is replayed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Ask(StrEnum):
    """What the machine asks for, one at a time."""

    MATTER = "matter"
    CONSENT = "consent"
    NAME = "name"
    CONTACT = "contact"
    ESTATE = "estate"
    UNIT = "unit"
    SINCE = "since"
    CLASS = "class"


class Kind(StrEnum):
    """What a line is."""

    # Of the complaint itself, or more about it.
    MATTER = "matter"
    # It answers the question; `value` is what was answered.
    ANSWER = "answer"
    # He does not want to say.
    SKIP = "skip"
    # He has another complaint; `value` is its matter, where he wrote it in the same line.
    ANOTHER = "another"
    # The class is not what he was told; `value` is the class that he names, empty where he names none.
    OBJECTION = "objection"


@dataclass(frozen=True, slots=True)
class Reading:
    """A line as it was understood."""

    kind: Kind
    value: str = ""


# The classes as a customer may be offered them, and as he may write them: code → (Chinese, English).
CLASSES: Mapping[str, tuple[str, str]] = {
    "product_quality": ("产品质量", "product quality"),
    "service_attitude": ("服务态度", "service attitude"),
    "contract": ("合同问题", "contract"),
    "price": ("价格问题", "price"),
}

_ENDING = " \t\r\n\u3000。.！!，,~～、；;"
_SKIP = frozenset(
    [
        "跳过",
        "略过",
        "不说",
        "不想说",
        "不愿意说",
        "不方便",
        "不方便说",
        "不提供",
        "先不说",
        "不告诉你",
        "保密",
        "没有",
        "无",
        "skip",
        "no",
        "none",
        "pass",
    ]
)
_YES = frozenset(
    {
        *("同意", "我同意", "好", "好的", "可以", "行", "是", "是的", "对", "对的", "没错", "正确", "嗯"),
        *("ok", "okay", "yes", "y", "agree", "i agree", "right", "that is right", "correct"),
    }
)
_NO = frozenset(["不同意", "我不同意", "不", "不行", "不可以", "拒绝", "no", "n", "decline", "disagree", "i do not agree", "i don't agree"])
_WRONG = frozenset(["不对", "不是", "错了", "不正确", "wrong", "incorrect", "not right", "that is wrong"])
_ANOTHER = re.compile(
    r"^(?:另一件事|另外一件事|还有一件事|还有另一件事|新的投诉|another matter|another complaint|new complaint)"
    r"(?:[ \t]*[:：,，。—-]+\s*(?P<rest>.*))?$",
    re.IGNORECASE | re.DOTALL,
)
# A class as it may be named: the offered words and what is short for them.
_CLASS_OF = {words: code for code, both in CLASSES.items() for words in both} | {
    "质量": "product_quality",
    "服务": "service_attitude",
    "态度": "service_attitude",
    "合同": "contract",
    "价格": "price",
    "quality": "product_quality",
    "service": "service_attitude",
}
_CLASS_NAMES = "|".join(sorted(_CLASS_OF, key=len, reverse=True))
_OBJECTION = re.compile(
    r"^(?P<no>(?:不对|不是|不是这个|错了|wrong|no)[，,、:： ]*)?(?:应该|应当)?(?:是|属于|it is|it's|it should be)?\s*"
    rf"(?P<klass>{_CLASS_NAMES})(?:问题)?$"
)
_NAME_LEAD = re.compile(r"^(?:我叫|我是|我的名字[叫是]|姓名[:： ]?|名字[叫是:： ]?|免贵姓|本人|my name is |i am |i'm )", re.IGNORECASE)
_SENTENCE = re.compile(r"[。！？!?；;\n，,]")
_NAME = re.compile(r"^[\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323afA-Za-z·. '\-]{1,40}$")
_EMAIL = re.compile(r"[A-Za-z0-9._%+\-]{1,64}@[A-Za-z0-9\-]{1,63}(?:\.[A-Za-z0-9\-]{1,63}){1,4}")
_PHONE = re.compile(r"(?<!\d)\+?\d(?:[ \-]?\d){6,14}(?!\d)")
_HOME = re.compile(r"[0-9０-９一二三四五六七八九十百]|[栋幢座室号]")
_NUMBERED = "[0-9０-９一二两三四五六七八九十几半数]"
_TIME = re.compile(
    rf"{_NUMBERED}+\s*(?:多)?(?:个)?(?:小时|天|日|周|星期|礼拜|月|年)|[今昨前当][天晚日年]|刚[才刚]|上上?(?:个)?(?:周|星期|礼拜|月)|去年"
    r"|从[^。！？\n]{1,16}(?:开始|起)"
    r"|自[^。！？\n]{1,12}(?:以来|起)|一直|交房(?:后|以来|那天|时)|入住(?:后|以来)"
    r"|\b(?:yesterday|today|since|ago|last (?:week|month|year|night)|this (?:week|month|morning))\b"
    r"|\b(?:for \w+ (?:hours?|days?|weeks?|months?|years?))\b",
    re.IGNORECASE,
)


def read(asked: str, text: str) -> Reading:
    """What a line is, after the question `asked` (empty where none stands open)."""
    plain = text.strip(_ENDING)
    lower = plain.lower()
    another = _ANOTHER.match(plain)
    if another:
        return Reading(Kind.ANOTHER, (another["rest"] or "").strip())
    objection = _OBJECTION.match(lower)
    if objection and objection["no"]:
        return Reading(Kind.OBJECTION, _CLASS_OF[objection["klass"]])
    if asked in ("", Ask.MATTER):
        return Reading(Kind.MATTER, text)
    if asked == Ask.CONSENT:
        if lower in _YES:
            return Reading(Kind.ANSWER, "yes")
        return Reading(Kind.SKIP) if lower in _NO or lower in _SKIP else Reading(Kind.MATTER, text)
    if asked == Ask.CLASS:
        return _of_class(lower, text)
    if lower in _SKIP or lower in _NO:
        return Reading(Kind.SKIP)
    value = _VALUES[asked](plain) if asked in _VALUES else None
    return Reading(Kind.ANSWER, value) if value else Reading(Kind.MATTER, text)


def _of_class(lower: str, text: str) -> Reading:
    if lower in _YES:
        return Reading(Kind.ANSWER, "yes")
    if lower in _WRONG or lower in _NO:
        return Reading(Kind.OBJECTION)
    # Whatever says more than the class is more of the matter, and no sorting of his.
    named = _OBJECTION.match(lower)
    return Reading(Kind.OBJECTION, _CLASS_OF[named["klass"]]) if named else Reading(Kind.MATTER, text)


def _name(plain: str) -> str | None:
    value = _NAME_LEAD.sub("", plain).strip()
    return value if len(value) <= 24 and _NAME.match(value) else None


def _contact(plain: str) -> str | None:
    email = _EMAIL.search(plain)
    if email:
        return email[0]
    phone = _PHONE.search(plain)
    return "".join(char for char in phone[0] if char.isdigit() or char == "+") if phone else None


def _estate(plain: str) -> str | None:
    return plain if len(plain) <= 30 and not _SENTENCE.search(plain) else None


def _unit(plain: str) -> str | None:
    return plain if len(plain) <= 30 and _HOME.search(plain) and not _SENTENCE.search(plain) else None


def _since(plain: str) -> str | None:
    return plain if len(plain) <= 60 and "\n" not in plain and plain else None


_VALUES: dict[str, Callable[[str], str | None]] = {
    Ask.NAME: _name,
    Ask.CONTACT: _contact,
    Ask.ESTATE: _estate,
    Ask.UNIT: _unit,
    Ask.SINCE: _since,
}


def names_a_time(text: str) -> bool:
    """Whether a text says since when, so that it need not be asked."""
    return _TIME.search(text[:4000]) is not None
