"""Which unit (房号) within an estate, as the customer wrote it (预案 4.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator

_CN = "零〇一二三四五六七八九十百幺两"

# A building: 3栋, 12#, A座, 十四号楼, T2, 西区3号楼. A unit within it: 2单元. A room: 1801, 一八零一, 幺五零三, 601室.
_NUMBER = rf"(?:[a-z]{{0,2}}-?\d{{1,3}}[a-z]?|[{_CN}]{{1,4}}|[a-z]\d?)"
_PHASE = r"(?:(?:[东南西北中]|[a-z])区|[一二三四五\d]期)?"
_TOWER = r"(?:t\d{1,2}|(?:tower|block|building)\s?[a-z\d]{1,2})"
_BUILDING = rf"(?:{_PHASE}(?:{_NUMBER}(?:号楼|栋楼?|幢|座|#楼?|楼栋|号院)|[甲乙丙丁东西南北]座|{_TOWER}))"
_STAIR = rf"(?:[\d{_CN}甲乙丙丁东西中]{{1,3}}(?:单元|门洞|门|梯))"
_DIGITS_ROOM = r"(?:(?:[1-9]\d?)(?:0[1-9]|[1-4]\d)[a-z]?)"
_TAIL = r"(?:室|号(?!房)|房(?![间子屋价]))?"
_LEVEL = rf"(?:\d{{1,2}}|[{_CN}负]{{1,3}})(?:层|楼)"
# Said room numbers: 幺五零三, 七零一, 二十四零三, 一千六百零二; with a nought or a phone's one they are nothing else.
_SPOKEN_ROOM = (
    rf"(?:[一二三四五六七八九十百千两幺]{{1,4}}[零〇幺][一二三四五六七八九十幺]|"
    rf"[一二三四五六七八九两幺][一二三四五六七八九零〇幺]?[一二三四零〇幺][一二三四五六七八九零〇幺])(?![{_CN}])"
)
_FLAT = rf"(?:{_DIGITS_ROOM}|0\d{{2,3}}|[a-z]-?{_DIGITS_ROOM}|\d{{1,2}}[a-h]|{_SPOKEN_ROOM}|[{_CN}]{{3,7}}(?![户层米])){_TAIL}"
# A level alone is a home only as 九楼 or 九楼西户; 三十三层 says how high the house is.
_FLOOR = rf"(?:\d{{1,2}}|[{_CN}负]{{1,3}})楼(?:[东西南北中][户边]?)?"
_NO_ROOM = r"(?![\d.]|[平万千元块个年天多户份条套次%层])"
_ROOM = rf"(?:(?:顶楼|{_LEVEL})?(?:\d{{1,2}}-)?{_FLAT}|{_FLOOR}|{_LEVEL}[a-z\d]{{0,2}}-?\d{{2,3}}){_NO_ROOM}"
_ON_LEVEL = rf"(?:[a-z\d]{{0,2}}-?\d{{2,3}}(?!\d)|{_SPOKEN_ROOM}|[零〇一二三四][一二三四五六七八九]?[房室号]|[a-h](?![a-z]))"
_HOUSE = rf"(?:[a-z]?\d{{1,3}}[a-z]?(?:号楼|栋|幢|座|#楼?|号院)|[{_CN}]{{1,3}}(?:号楼|号院|(?<!一)[栋幢])|[a-z]座)"
_GAP = r"[ \-,、/]?"

# With each form how surely it is a home, and characters of which the text must hold one.
_HOUSES = "栋幢座#楼院tb"
_HOUSE_CHARS = frozenset(_HOUSES)
_PHASED = r"东南西北中a-z一二三四五\d"
_NUMBERS = rf"\d{_CN}"
_STAIRS = _NUMBERS + "甲乙丙丁东西中"
_BUILT = _STAIRS + r"a-z南北\-"


def _beginning(first: str, pattern: str) -> re.Pattern[str]:
    """Finds where `pattern` stands, as group 1, of which the characters `first` are all that it begins with.

    A pattern that begins with a set of characters is searched for many times faster than one that looks behind or has a choice.
    """
    return re.compile(rf"[{first}](?<=(?=({pattern})).)")


_UNITS: tuple[tuple[int, frozenset[str], re.Pattern[str]], ...] = tuple(
    (weight, frozenset(needs), _beginning(first, pattern))
    for weight, needs, first, pattern in (
        (6, _HOUSES, _BUILT, rf"(?<![\da-z]){_BUILDING}(?:的 ?)?{_GAP}(?:{_STAIR}{_GAP})?{_ROOM}"),
        (6, "-", _PHASED, rf"(?<![\d\-.a-z]){_PHASE}(?:[a-z]{{1,2}}-?)?\d{{1,3}}-\d{{1,2}}-{_DIGITS_ROOM}(?![\d\-])"),
        (
            5,
            "-",
            _PHASED + "甲乙丙",
            rf"(?<![\d\-.a-z~]){_PHASE}[甲乙丙]?(?:[a-z]{{1,2}}-?)?\d{{1,3}}[a-z]?-(?:{_DIGITS_ROOM}|0\d{{3}})(?![\d\-.平万元米%年])",
        ),
        (5, "f", _PHASED, rf"(?<![\da-z]){_PHASE}\d{{1,2}}f-?[a-z]?\d{{2,3}}(?![\d\-])"),
        (5, "", _PHASED, rf"(?<![\da-z]){_PHASE}[a-z]\d?-?(?:{_DIGITS_ROOM}|0\d{{3}})(?:室|号|房)?(?![\d\-.平万元米%])"),
        (5, "单门梯", _STAIRS, rf"(?<![\d{_CN}]){_STAIR}{_GAP}{_ROOM}"),
        (5, "号", r"甲乙丙\d", rf"(?<![\d\-.])[甲乙丙]?\d{{1,3}}号{_GAP}{_DIGITS_ROOM}(?:室|号|房)?(?!\d)"),
        (5, "楼层", _PHASED + _CN + "顶负", rf"(?<![\d.]){_PHASE}(?:顶楼{_FLAT}|{_LEVEL}{_ON_LEVEL})"),
        (5, "排", _NUMBERS, rf"(?:\d{{1,3}}|[{_CN}]{{1,3}})排(?:\d{{1,3}}|[{_CN}]{{1,3}})[号栋幢]"),
        (4, _HOUSES, _BUILT, rf"(?<![\da-z]){_BUILDING}{_GAP}{_STAIR}(?![\d{_CN}])"),
        (4, "室房", "1-9", rf"(?<![\d.\-]){_DIGITS_ROOM}(?:室|房(?![间子屋价型]))"),
        (
            4,
            "号",
            r"联双叠独别\d",
            r"(?:(?:联排|双拼|叠拼|独栋|别墅区?)\d{1,3}号|(?<=[墅院庄园苑府邸])\d{1,3}号(?![楼院线门])|\d{1,3}号别墅)",
        ),
        (4, "铺", _NUMBERS + "a-z", rf"(?<![\d第])[a-z]?(?:\d{{1,3}}|[{_CN}]{{1,4}})号铺"),
        (3, _HOUSES, _PHASED + _CN, rf"(?<![\da-z第]){_PHASE}{_HOUSE}"),
        (2, "号", r"\d", r"(?<![\d.\-月])\d{1,3}号(?=[,别院的 \n]|$)"),
        (2, "", "1-9百千" + _CN, rf"(?<![\d.\-{_CN}])(?:{_DIGITS_ROOM}(?![\d.\-平万元米%年块户人届]|栋)|{_SPOKEN_ROOM}(?=[的,。!? \n]|$))"),
        (2, "单", _NUMBERS, rf"(?<![\d{_CN}])(?:\d{{1,2}}|[{_CN}]{{1,2}})单元(?=的)"),
    )
)
# Where a home may stand: digits, or a number before the word for a part of a house. All else is not looked at.
_ANCHOR = re.compile(
    rf"[{_CN}a-z\d甲乙丙丁东西南北负 顶](?:"
    rf"(?<=\d)(?:\d+|[\-a-z号])|(?<!顶)(?:[栋幢座楼层#排]|号[楼院铺]|单元|门洞)|(?<=[{_CN}])[零〇幺一二三四][{_CN}]|"
    rf"(?<=t)ower ?|(?<=b)lock ?|(?<=顶)楼)"
)
_HOUSE_ANCHOR = re.compile(r"[栋幢座#]|号[楼院]|t\d|tower|block|building")
# Only these say that a weak form (a building alone, four digits alone) is where the customer lives.
_MINE = re.compile(r"(?:我家?|我们家?|俺家?|本人|住|住在|住的|家在|业主|房号|门牌号?|地址)[是在的:系]{0,2}[^,。!?;\n\d]{0,4}$")
_LIVES = re.compile(r"(?:(?:我|家|俺)?(?:住在?|住的|房号[是:]?|门牌号?[是:]?|家在)|(?:^|[\n,。!?; ])(?:我家?|我是))$")
_ELSEWHERE = re.compile(r"(?:楼上|楼下|隔壁|对门|对面|邻居|别人家?|他家|她家|人家|隔壁栋|前面|后面|旁边)[的是]?[^,。!?;\n]{0,4}$")
_PARKING = re.compile(r"(?:车位|车库|停车|储藏[室间]|编号|合同|工单|收据|单号|工号|尾号|no)[号码是为:第 a-z.\-]{0,6}$")
_PARKING_AFTER = re.compile(r"^[\-a-z\d]{0,4}(?:的?(?:机械)?车位|车库|号车位)")
_RESIDENT_AFTER = re.compile(r"^(?:的(?:[,。!? \n]|$|业主|住户)|业主)")
# A building after which a place is told is a place, not a home.
_PLACE_AFTER = re.compile(
    r"^(?:门口|门前|底下|楼下|旁边|前面|后面|右边|左边|侧面|[东南西北]侧|四周|所有|全体|整[栋幢]|那[部个边]|大堂|[东南西北]?山墙|跑|阳台|屋面|顶楼|楼长|[到至])"
)


def _windows(anchors: re.Pattern[str], text: str) -> list[tuple[int, int]]:
    """What of a text stands near one of the anchors, as ranges that do not touch."""
    windows: list[tuple[int, int]] = []
    for anchor in anchors.finditer(text):
        start, end = max(0, anchor.start() - 12), anchor.end() + 26
        if windows and start <= windows[-1][1]:
            windows[-1] = (windows[-1][0], end)
        else:
            windows.append((start, end))
    return windows


def find_unit(text: str) -> tuple[int, int] | None:
    """Where in a normalised text the customer's unit stands, the fullest form first, or `None`."""
    windows = _windows(_ANCHOR, text)
    if not windows:
        return None
    near = set().union(*(text[start:end] for start, end in windows))
    houses = _windows(_HOUSE_ANCHOR, text)
    best: tuple[float, int, int] | None = None
    for weight, needs, pattern in _UNITS:
        if best is not None and weight + 2 <= best[0]:
            break
        if needs and needs.isdisjoint(near):
            continue
        found = [span for window in (houses if needs == _HOUSE_CHARS else windows) for span in _spans(pattern, text, *window)]
        only = weight == 3 and len({text[start:end] for start, end in found}) == 1
        for start, end in found:
            score = _weigh_unit(text, weight, start, end, only)
            if score is not None and (best is None or score > best[0]):
                best = (score, start, end)
    return None if best is None else (best[1], best[2])


def _spans(pattern: re.Pattern[str], text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where the group of a `_beginning` pattern stands within a window, not overlapping."""
    for match in pattern.finditer(text, start, end):
        if match.start() >= start:
            yield match.span(1)
            start = match.end(1)


def _weigh_unit(text: str, weight: int, start: int, end: int, only: bool) -> float | None:
    """How surely a found form is the customer's own home; `None` where it is none.

    only: whether no other such form stands in the text.
    """
    before, after = text[max(0, start - 16) : start], text[end : end + 8]
    if _PARKING.search(before) or _PARKING_AFTER.match(after):
        return None
    mine = bool(_MINE.search(before))
    score = float(weight)
    if _ELSEWHERE.search(before):
        score -= 2.5
    elif mine:
        score += 1.5
    # A building alone is where he lives if it is the only one; a floor or a bare number only if he says so.
    alone = start == 0 or text[start - 1] == "\n"
    resident = bool(_RESIDENT_AFTER.match(after))
    if weight == 3 and (_PLACE_AFTER.match(after) or not (mine or alone or resident or only)):
        return None
    said_so = _LIVES.search(before) or (mine and resident) or (alone and after[:1] in ("", "\n", ",", " "))
    if weight == 2 and not said_so:
        return None
    return score + 0.5 * (alone or resident)
