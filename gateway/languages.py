"""Which language a customer writes: Chinese, traditional Chinese or English, told by his letters alone."""

from __future__ import annotations

import re

_CHINESE = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002ebef]")
_WORD = re.compile(r"[A-Za-z]{2,}")
# So much of a text is looked at.
_CHARS = 4000


def language_of(text: str) -> str:
    """`zh`, `zh-hant` or `en`. An English letter that names a Chinese estate is English; what has no letters at all is Chinese."""
    text = text[:_CHARS]
    chinese, words = _CHINESE.findall(text), len(_WORD.findall(text))
    if words > len(chinese):
        return "en"
    # One or two such characters also stand in simplified letters: rare names.
    traditional = sum(map(_is_traditional, chinese))
    return "zh-hant" if traditional > 2 and traditional * 15 >= len(chinese) else "zh"


def _is_traditional(character: str) -> bool:
    """Whether a character is of Taiwan's and Hong Kong's standard and not of the mainland's first."""
    return not character.encode("gb2312", "ignore") and bool(character.encode("big5", "ignore"))
