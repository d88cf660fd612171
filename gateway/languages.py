"""Which language a customer writes: Chinese, traditional Chinese or English; told by what he says of the matter, not by his card below."""

from __future__ import annotations

import re

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002ebef"
_CHINESE = re.compile(f"[{_HAN}]")
_WORD = re.compile(r"[A-Za-z]{2,}")
# So much of a text is looked at.
_CHARS = 4000

# A home is named in English letters too, and a greeting says nothing of the matter.
_HOME = re.compile(
    rf"[{_HAN}]{{1,8}}?(?:花[园園]|小[区區]|家[园園]|公[馆館寓]|广场|廣場|大厦|大廈|[苑府湾灣城庭居邸园園里阁閣轩軒墅郡])(?=[^{_HAN}]|$)|"
    r"[\d一二三四五六七八九十]+(?:期|栋|棟|幢|座|号楼|號樓|楼|樓|单元|單元|室|号|號)"
)
_GREETING = re.compile("尊敬的|[您你]好|客服|先生|女士|小姐|领导|領導|经理|經理|谢谢|謝謝|此致|敬礼|敬禮")
# What stands on a name card.
_CARD = re.compile(
    "公司|集团|集團|[经經]理|[总總][监監裁]|主任|地址|电话|電話|手机|手機|传真|傳真|邮[箱编]|郵[箱編]|[网網]址|[路街道].{0,6}[号號]|[省市].{1,6}[区區]"
)
# Words that sentences are made of, and cards are not.
_PROSE = re.compile(
    r"\b(?:i|we|you|he|she|it|they|my|our|your|is|are|was|were|be|been|has|have|had|do|does|did|not|no|the|this|that|to|for|with|please|when|"
    r"nobody|can|will|would|broken|leaks?|refund)\b",
    re.IGNORECASE,
)
# A line that begins with so many Chinese characters is Chinese, whatever follows.
_BEGINS_CHINESE = re.compile(rf"\W*[{_HAN}]{{4}}")
# A name at the end of a letter.
_NAME_CHARS = 4


def language_of(text: str) -> str:
    """`zh`, `zh-hant` or `en`. Whoever says anything of the matter in Chinese is answered in Chinese; what has no letters at all, too.

    An English letter that names a Chinese estate, or is signed in Chinese, is English.
    """
    text = text[:_CHARS]
    chinese, words = _CHINESE.findall(text), len(_WORD.findall(text))
    if words > len(chinese) and not _says_chinese(text.splitlines()):
        return "en"
    # One or two such characters also stand in simplified letters: rare names.
    traditional = sum(map(_is_traditional, chinese))
    return "zh-hant" if traditional > 2 and traditional * 15 >= len(chinese) else "zh"


def _says_chinese(lines: list[str]) -> bool:
    """Whether a line says something in Chinese that is neither home nor greeting; behind English sentences neither card nor name."""
    after_prose = False
    for line in lines:
        said = _GREETING.sub("", _HOME.sub("", line))
        han, words = len(_CHINESE.findall(said)), len(_WORD.findall(said))
        if han >= 2 and (han >= words or _BEGINS_CHINESE.match(said)):
            if not after_prose or (han > _NAME_CHARS and not _CARD.search(line)):
                return True
        elif words and _PROSE.search(line):
            after_prose = True
    return False


def _is_traditional(character: str) -> bool:
    """Whether a character is of Taiwan's and Hong Kong's standard and not of the mainland's first."""
    return not character.encode("gb2312", "ignore") and bool(character.encode("big5", "ignore"))
