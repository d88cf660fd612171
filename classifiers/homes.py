"""Which home: the estate (楼盘) and the unit (房号), as the customer wrote them (预案 4.1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache

from classifiers.facets import HOME, parse_facets

_HAN = "\u3400-\u9fff"
_CN = "零〇一二三四五六七八九十百幺两"

# A building: 3栋, 12#, A座, 十四号楼, T2, 西区3号楼. A unit within it: 2单元. A room: 1801, 一八零一, 幺五零三, 601室.
_NUMBER = rf"(?:[a-z]{{0,2}}-?\d{{1,3}}[a-z]?|[{_CN}]{{1,4}}|[a-z]\d?)"
_PHASE = r"(?:(?:[东南西北中]|[a-z])区|[一二三四五\d]期)?"
_BUILDING = rf"(?:{_PHASE}(?:{_NUMBER}(?:号楼|栋楼?|幢|座|#楼?|楼栋|号院)|[甲乙丙丁东西南北]座|t\d{{1,2}}))"
_STAIR = rf"(?:[\d{_CN}甲乙丙丁东西中]{{1,3}}(?:单元|门洞|门|梯))"
_DIGITS_ROOM = r"(?:(?:[1-9]\d?)(?:0[1-9]|[1-4]\d)[a-z]?)"
_TAIL = r"(?:室|号(?!房)|房(?![间子屋价]))?"
_LEVEL = rf"(?:\d{{1,2}}|[{_CN}负]{{1,3}})(?:层|楼)"
_FLAT = rf"(?:{_DIGITS_ROOM}|\d{{1,2}}[a-h]|[{_CN}]{{3,7}}(?!户)){_TAIL}"
_ROOM = rf"(?:(?:顶楼|{_LEVEL})?(?:\d{{1,2}}-)?{_FLAT}|{_LEVEL})(?![\d.]|[平万千元块个年天多户份条套次%])"
_GAP = r"[ \-,、/]?"

_UNITS: tuple[tuple[int, re.Pattern[str]], ...] = (
    (6, re.compile(rf"(?<![\da-z]){_BUILDING}{_GAP}(?:{_STAIR}{_GAP})?{_ROOM}")),
    (6, re.compile(rf"(?<![\d\-.a-z]){_PHASE}(?:[a-z]{{1,2}}-?)?\d{{1,3}}-\d{{1,2}}-{_DIGITS_ROOM}(?![\d\-])")),
    (5, re.compile(rf"(?<![\d\-.a-z~]){_PHASE}(?:[a-z]{{1,2}}-?)?\d{{1,3}}-{_DIGITS_ROOM}(?![\d\-.平万元米%年])")),
    (5, re.compile(rf"(?<![\da-z]){_PHASE}[a-z]\d?-?{_DIGITS_ROOM}(?:室|号|房)?(?![\d\-.平万元米%])")),
    (5, re.compile(rf"(?<![\d{_CN}]){_STAIR}{_GAP}{_ROOM}")),
    (5, re.compile(rf"(?<![\d\-.])[甲乙丙]?\d{{1,3}}号{_GAP}{_DIGITS_ROOM}(?:室|号|房)?(?!\d)")),
    (5, re.compile(rf"(?<![\d.]){_PHASE}{_LEVEL}[a-z\d]{{0,2}}-?\d{{2,3}}(?!\d)")),
    (4, re.compile(rf"(?<![\da-z]){_BUILDING}{_GAP}{_STAIR}(?![\d{_CN}])")),
    (4, re.compile(rf"(?<![\d.\-]){_DIGITS_ROOM}(?:室|房(?![间子屋价型]))")),
    (3, re.compile(rf"(?<![\da-z第]){_PHASE}(?:[a-z]?\d{{1,3}}[a-z]?(?:号楼|栋|幢|座|#楼?|号院)|[{_CN}]{{1,3}}号楼|[a-z]座)")),
    (2, re.compile(r"(?<![\d.\-月])(?:联排|双拼|叠拼|独栋)?\d{1,3}号(?=[,别院的 \n]|$)")),
    (2, re.compile(rf"(?<![\d.\-])(?:{_DIGITS_ROOM}(?![\d.\-平万元米%年块户人]|栋)|\d{{1,2}}楼|[{_CN}]{{1,3}}楼)")),
)
# Without one of these there is no unit, which most lines of a chat show at once.
_ANY_UNIT = re.compile(rf"\d|[{_CN}甲乙丙丁a-z东南西北][号栋幢座单门楼层]")
# Only these say that a weak form (a building alone, four digits alone) is where the customer lives.
_MINE = re.compile(r"(?:我家?|我们家?|俺家?|本人|住|住在|住的|家在|业主|房号|门牌号?|地址)[是在的:系]{0,2}[^,。!?;\n\d]{0,4}$")
_LIVES = re.compile(r"(?:我|家|俺)?(?:住在?|住的|房号[是:]?|门牌号?[是:]?|家在)$")
_ELSEWHERE = re.compile(r"(?:楼上|楼下|隔壁|对门|对面|邻居|别人家?|他家|她家|人家|隔壁栋|前面|后面|旁边)[的是]?[^,。!?;\n]{0,4}$")
_PARKING = re.compile(r"(?:车位|车库|停车|储藏[室间]|铺|编号|合同|工单|收据|单号|工号|no)[号码是为:第 a-z.\-]{0,6}$")
_PARKING_AFTER = re.compile(r"^[\-a-z\d]{0,4}(?:的?(?:机械)?车位|车库|号车位)")


def find_unit(text: str) -> tuple[int, int] | None:
    """Where in a normalised text the customer's unit stands, the fullest form first, or `None`."""
    if _ANY_UNIT.search(text) is None:
        return None
    best: tuple[float, int, int] | None = None
    for weight, pattern in _UNITS:
        if best is not None and weight + 2 <= best[0]:
            break
        for match in pattern.finditer(text):
            start, end = match.span()
            before, after = text[max(0, start - 16) : start], text[end : end + 8]
            if _PARKING.search(before) or _PARKING_AFTER.match(after):
                continue
            score = float(weight)
            mine = bool(_MINE.search(before))
            if _ELSEWHERE.search(before):
                score -= 2.5
            elif mine:
                score += 1.5
            # A building alone is where he lives if it is the only one; a floor or a bare number only if he says so.
            alone = start == 0 or text[start - 1] == "\n"
            if weight == 3 and not (mine or alone or len(set(pattern.findall(text))) == 1):
                continue
            if weight == 2 and not (_LIVES.search(before) or (alone and after[:1] in ("", "\n", ",", " "))):
                continue
            score += 0.5 * alone
            if best is None or score > best[0]:
                best = (score, start, end)
    return None if best is None else (best[1], best[2])


# What a name is cut off by: function words, verbs and nouns that stand around names and never in them.
_CUT = re.compile(
    r"[^\u3400-\u9fff·]+|"
    r"[的了在是我你您他她它们这那有就没也能说问去把被让跟与及或但因吗呢吧啊呀么什怎请谢此其每只从再还又已买住签交看办卖付收打找退给俺咱哪啥让叫个位套期栋幢座层单户块年日份吨钱做搞凭]|"
    r"(?<![壹一])号|(?<!公)元|万(?!科|和|柳|象|达|豪|景|嘉|福|润|泰|晟|隆|城|国|里|里|通)|"
    r"月份|东门|西门|南门|北门|正门|样板间?|业主|售楼[处部]?|售楼中心|营销中心|销售中心|销售|项目|物业|楼盘|地库|地下|会所|"
    r"开发商|客服|管家|置业顾问|置业|保安|"
    r"认购|认筹|财务|工程部|服务中心|管理处|别墅|洋房|登记|摇号|房子|车位|车库|广告|规划|滑梯|电梯|外墙|大堂|全体|业委会|"
    r"消防|地面|停车|租户|住户|居民|客户|合同|"
    r"公司|集团|地产|开发|有限|尊敬|关于|反映|投诉|你好|销售员|领导|负责人|自从|当时|去年|今年|前年|上个月|昨天|今天|昨晚|"
    r"位于|购置|购得|购|订|看中|入住|搬到|搬进|搬来|"
    r"里面|外面|旁边|附近|门口|楼上|楼下|隔壁|家里|屋里|小区里|小区的|高新区|经开区|开发区|新区|街道|电话|先生|女士|小姐"
)
_LEFT = re.compile(
    r"(?:买[了的下到]?|购[买置得]?了?|认购了?|住[在进到]?|搬[进到来]|入住|位于|[在是致盘叫订定]|看[了中上]|我们?|俺们?|咱们?|"
    r"小区|项目|名为|[“《【\"]|[:,。!?;\n ]|^)$"
)
_RIGHT = re.compile(
    r"^[”》】\" ]?(?:\x01|[一二三四五六七八九十\d]{1,2}(?:期|号楼|栋|幢|座|#)|[的]?(?:业主|小区|售楼|营销中心|销售|项目|物业|楼盘|样板|"
    r"开发商|客服|管家|精装|房子|洋房|公寓|租户|住户|居民|一套|车位|地下车|[东西南北]门|会所|认购|保安|置业))"
)
_NEVER = re.compile(
    r"^(?:小|该|本|此|整个|全|各|新|老|旧|别的|我们|你们|同|隔壁|贵)?(?:小区|花园|广场|公寓|国际|大厦|家园|天地|书院|新城|"
    r"新村|山庄)$|城市|全城|同城|进城|县城|省城|商城|医院|学院|法院|住院|出院|影院|国务院|政府|"
    r"[手心群夜厅箱夜袋柜屋楼城村院梯同账网]里|圈里|阳台|平台|窗台|灶台|前台|后台|电台|柜台|台面|程序|次序|顺序|秩序|校园|"
    r"公园|幼儿园|乐园|园林|法庭|家庭|中庭|环境|定居|邻居|居住|来源|资源|电源|水源|盖章|公章|规章|印章|语音|中华|精华|繁华|"
    r"人家$|^(?:商业|康养|酒店式|loft|商住|人才|长租|青年|住宅|单身)公寓$|^[专私大前后]属?花园$"
)


@cache
def _naming() -> tuple[frozenset[str], re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """Characters of estate names, their strong and weak endings, and the cities that stand before them."""
    path = HOME / "estates.txt"
    parts = {facet.code: facet.terms for facet in parse_facets(path.read_text(encoding="utf-8").splitlines(), path.name)}

    def any_of(code: str) -> str:
        return "|".join(sorted(parts[code], key=lambda term: (-len(term), term)))

    district = rf"(?:[{_HAN}]{{1,2}}(?!小)[{_HAN}]区(?=[{_HAN}]{{3}}))?"
    cities = rf"^(?:(?:{any_of('cities')})市?)?(?:[{_HAN}]{{2,3}}[市县](?=[{_HAN}]{{3}}))?{district}"
    strong, weak = re.compile(f"(?:{any_of('strong')})"), re.compile(f"(?:{any_of('weak')})$")
    return frozenset(parts["chars"]), strong, weak, re.compile(cities)


def estate_names(known: Sequence[str]) -> re.Pattern[str] | None:
    """A pattern of the company's own estates, longest first, or `None` where none are known."""
    names = sorted({name.strip().lower() for name in known if name.strip()}, key=lambda name: (-len(name), name))
    return re.compile("|".join(map(re.escape, names))) if names else None


def find_estate(text: str, known: re.Pattern[str] | None, frequency: Callable[[str], int]) -> tuple[int, int] | None:
    """Where in a normalised text the estate's name stands, or `None`. A unit that was found is written as \x01 characters.

    A known name wins. Else the text is cut at words that never are part of a name, and each piece is weighed: by its characters, its
    ending, what stands left and right of it, how often it is named, and whether the dictionary has it as an ordinary word.
    """
    if known is not None and (match := known.search(text)):
        return match.span()
    best: tuple[float, int, int] | None = None
    place = 0
    cuts = [match.span() for match in _CUT.finditer(text)]
    for left, right in [*cuts, (len(text), len(text))]:
        start, end = place, left
        place = right
        if end - start < 2:
            continue
        candidate = _candidate(text, start, end, frequency)
        if candidate is not None and (best is None or candidate[0] > best[0]):
            best = candidate
    return None if best is None or best[0] < _LEAST else (best[1], best[2])


# How much a piece must weigh to be taken for a name.
_LEAST = 5.5
# What stands around a piece, and how often it is named, weigh no more than this together.
_AT_MOST_AROUND = 3.5


def _candidate(text: str, start: int, end: int, frequency: Callable[[str], int]) -> tuple[float, int, int] | None:
    chars, strong, weak, cities = _naming()
    piece = text[start:end]
    place = cities.match(piece)
    if place and end - start - place.end() >= 2:
        start += place.end()
        piece = text[start:end]
    weight = 1.0 if place and place.end() else 0.0
    bare = piece.rstrip("一二三四五六七八九十")
    if text[end : end + 1] in ("期", "层", "楼", "室", "年", "百") and len(bare) >= 2:
        piece, end = bare, start + len(bare)
    # A strong ending within the piece is where the name ends, whatever follows it.
    endings = [match.end() for match in strong.finditer(piece) if match.end() >= 3]
    if endings and endings[-1] <= 9:
        end = start + endings[-1]
        piece = text[start:end]
        weight += 2.5
    elif piece[-1] in "都来家" or piece[0] in "都不全很太":
        return None
    if not 2 <= len(piece) <= 9 or _NEVER.search(piece):
        return None
    if not endings and weak.search(piece) and len(piece) >= 3:
        weight += 1.0
    weight += 4.0 * sum(char in chars for char in piece) / len(piece)
    weight += 0.5 * (3 <= len(piece) <= 5) - 1.0 * (len(piece) > 6) - 1.5 * (len(piece) == 2)
    weight += 1.0 if frequency(piece) == 0 else -2.0
    if weight + _AT_MOST_AROUND < _LEAST:
        return None
    if _LEFT.search(text[max(0, start - 4) : start]):
        weight += 1.0
    if _RIGHT.match(text[end : end + 6]):
        weight += 1.5
    return weight + 0.5 * min(2, text.count(piece) - 1), start, end
