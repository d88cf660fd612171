"""Which home: the estate (楼盘) and the unit (房号), as the customer wrote them (预案 4.1)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from operator import itemgetter

from classifiers.facets import HOME, parse_facets

_HAN = "\u3400-\u9fff"
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
_UNITS: tuple[tuple[int, str, re.Pattern[str]], ...] = tuple(
    (weight, needs, re.compile(pattern))
    for weight, needs, pattern in (
        (6, _HOUSES, rf"(?<![\da-z]){_BUILDING}(?:的 ?)?{_GAP}(?:{_STAIR}{_GAP})?{_ROOM}"),
        (6, "-", rf"(?<![\d\-.a-z]){_PHASE}(?:[a-z]{{1,2}}-?)?\d{{1,3}}-\d{{1,2}}-{_DIGITS_ROOM}(?![\d\-])"),
        (5, "-", rf"(?<![\d\-.a-z~]){_PHASE}[甲乙丙]?(?:[a-z]{{1,2}}-?)?\d{{1,3}}[a-z]?-(?:{_DIGITS_ROOM}|0\d{{3}})(?![\d\-.平万元米%年])"),
        (5, "f", rf"(?<![\da-z]){_PHASE}\d{{1,2}}f-?[a-z]?\d{{2,3}}(?![\d\-])"),
        (5, "", rf"(?<![\da-z]){_PHASE}[a-z]\d?-?(?:{_DIGITS_ROOM}|0\d{{3}})(?:室|号|房)?(?![\d\-.平万元米%])"),
        (5, "单门梯", rf"(?<![\d{_CN}]){_STAIR}{_GAP}{_ROOM}"),
        (5, "号", rf"(?<![\d\-.])[甲乙丙]?\d{{1,3}}号{_GAP}{_DIGITS_ROOM}(?:室|号|房)?(?!\d)"),
        (5, "楼层", rf"(?<![\d.]){_PHASE}(?:顶楼{_FLAT}|{_LEVEL}{_ON_LEVEL})"),
        (5, "排", rf"(?:\d{{1,3}}|[{_CN}]{{1,3}})排(?:\d{{1,3}}|[{_CN}]{{1,3}})[号栋幢]"),
        (4, _HOUSES, rf"(?<![\da-z]){_BUILDING}{_GAP}{_STAIR}(?![\d{_CN}])"),
        (4, "室房", rf"(?<![\d.\-]){_DIGITS_ROOM}(?:室|房(?![间子屋价型]))"),
        (4, "号", r"(?:(?:联排|双拼|叠拼|独栋|别墅区?)\d{1,3}号|(?<=[墅院庄园苑府邸])\d{1,3}号(?![楼院线门])|\d{1,3}号别墅)"),
        (4, "铺", rf"(?<![\d第])[a-z]?(?:\d{{1,3}}|[{_CN}]{{1,4}})号铺"),
        (3, _HOUSES, rf"(?<![\da-z第]){_PHASE}{_HOUSE}"),
        (2, "号", r"(?<![\d.\-月])\d{1,3}号(?=[,别院的 \n]|$)"),
        (2, "", rf"(?<![\d.\-{_CN}])(?:{_DIGITS_ROOM}(?![\d.\-平万元米%年块户人届]|栋)|{_SPOKEN_ROOM}(?=[的,。!? \n]|$))"),
        (2, "单", rf"(?<![\d{_CN}])(?:\d{{1,2}}|[{_CN}]{{1,2}})单元(?=的)"),
    )
)
# Where a home may stand: digits, or a number before the word for a part of a house. All else is not looked at.
_ANCHOR = re.compile(
    rf"\d{{2,}}|\d[\-a-z号]|[{_CN}a-z\d甲乙丙丁东西南北负 ](?:[栋幢座楼层#排]|号[楼院铺]|单元|门洞)|"
    rf"[{_CN}][零〇幺一二三四][{_CN}]|(?:tower|block) ?|顶楼"
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
    houses = _windows(_HOUSE_ANCHOR, text)
    best: tuple[float, int, int] | None = None
    for weight, needs, pattern in _UNITS:
        if best is not None and weight + 2 <= best[0]:
            break
        if needs and not any(char in text for char in needs):
            continue
        found = [match.span() for window in (houses if needs is _HOUSES else windows) for match in pattern.finditer(text, *window)]
        only = weight == 3 and len({text[start:end] for start, end in found}) == 1
        for start, end in found:
            score = _weigh_unit(text, weight, start, end, only)
            if score is not None and (best is None or score > best[0]):
                best = (score, start, end)
    return None if best is None else (best[1], best[2])


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


# What a name is cut off by: function words, verbs and nouns that stand around names and never in them. First the single characters,
# which leave few and short pieces; then words, within those.
_RUN = re.compile(
    r"[^\u0000-\u33ff\u4dc0-\u4dff\ua000-\uffff的了在是我你您他她它们这那就没也说问去把被让跟与及或但因吗呢吧啊呀么什怎请谢此其每只从再还又已买住签"
    r"交看办卖付收打找退给俺咱哪啥叫个位套期栋幢座层单户块份吨钱做搞凭喺於係嘅]{2,}"
)
_CUT = re.compile(
    r"月份|东门|西门|南门|北门|正门|样板|业主|售楼|营销|销售|项目|物业|楼盘|地库|地下|会所|开发|客服|管家|置业|保安|认购|认筹|财务|工程部|"
    r"服务|管理处|别墅|洋房|登记|摇号|房子|车位|车库|广告|规划|滑梯|电梯|外墙|大堂|全体|业委会|消防|地面|停车|租户|住户|居民|客户|合同|公司|"
    r"集团|地产|有限|尊敬|关于|反映|投诉|领导|负责人|自从|当时|去年|今年|前年|上个月|昨天|今天|昨晚|位于|购|订|入住|搬到|搬进|搬来|里面|外面|"
    r"旁边|附近|门口|楼上|楼下|隔壁|家里|屋里|街道|电话|先生|女士|小姐|精装|毛坯|中庭|安置|商铺|底商|联排|双拼|叠拼|高层|工地|降价|案场|房修|"
    r"维修|售后|开放|经济适用房|招标|首批|顶层|产权|首付|面积|接待|前台|热线|按揭|高新区|经开区|开发区|新区|自来水|年底|能不|现在|已经|今早|下午|上午|早上|晚上|负一|负二|负三|幼儿园|有一|"
    r"有个|有人|万(?<=[一二三四五六七八九十百千几两]万)|元(?<!公元)|号(?<![壹一]号)|小区(?=[里的内外大门北南东西])"
)
# What stands before a name that somebody lives in, bought, or looks at; and what may stand there.
_LEFT_OWN = re.compile(
    r"(?:买[了的](?:是)?(?:你们的?|贵司的?)?|买在|[购订]了|认购了|住[在进]|搬进|入住|(?:我家|家|房子|我们[家都]?)在|我家是|贵司的?|贵公司的?|"
    r"看[了中上]|小区[叫是:]|项目[叫是:]|楼盘[叫是:]|房源:|售的|开发的|认购的)$"
)
_LEFT_SURE = re.compile(
    r"(?:我们?[是在]|我家|你们(?:的|那个)?|买[下到]?|购[买置得]?|[购订]|认购|签[了的]|住|搬到|位于|我[们家]|看|项目|叫做?|名为|去|收到|从|关于|反映|投诉|举报|来看|到达|[东南西北]的)$"
)
_LEFT = re.compile(r"(?:[在是致盘到及至由以收:]|[\"“《【(,。!;\n ]|^)$")
_NUMBERED = r"(?:[一二三四五六七八九十\d]{1,2}(?:期|号楼|栋|幢|座|#))"
_RIGHT_SURE = re.compile(
    rf"[”》】\" ]?(?:的?,?\x01|{_NUMBERED}|"
    rf"的?(?:[一二两三]期)?的?(?:[准老新]?业主|小区|售楼|营销|销售|项目|楼盘|样板|开盘|案场|开放|认[购筹]|交[房付]|"
    r"购房人|降价|叠拼|联排|精装|房子|拆迁|安置|商铺|公寓|住户|居民|户主|地下车库|地库|签约|泳池|地址|开发|置业|楼书|工程|客户)|的?一套)"
)
_RIGHT = re.compile(
    r"[”》】\" ]?(?:的?(?:物业|客服|管家|洋房|租户|车位|地下|[东南西北正]门|会所|保安|负[一二三]|高层|工地|外墙|中庭|别墅|房修|售后|维修|"
    r"自来水|合同|老板)|买|购|看房|[上里]?住|,(?:合同|买|业主)|,\x01|[ ,]{1,2}[\x00\x01]|[,。!]?$|[(（])"
)
_EDGE = re.compile(r"[,。!?;\n ]|$")
_EDGE_OF = re.compile(r"的(?:[,。!?;\n ]|$)|[,\n]")
_PREFIX = re.compile(
    r"^(?:[进致喂求入咗到于系为对]|踏[进入]|举报|人系|其|上写|挂着|带到|名下|通知|地点|(?:城|市|[东南西北])[东南西北区郊]的?|家(?=..)|老(?=...)|原(?=...)|我市|本市|县城|市区|来)(?=..)"
)
_NEVER = re.compile(
    r"^(?:小|该|本|此|整个|全|各|新|老|旧|别的|我们|你们|同|隔壁|贵|大型|[这那]个)?(?:小区|花园|广场|公寓|国际|大厦|家园|天地|书院|新城|"
    r"新村|山庄|院子|首府|中心)$|城市$|全城|同城|进城|县城|省城|医院|学院|法院|住院|出院|影院|国务院|政府|"
    r"(?:[手心群夜厅箱袋柜屋楼村院梯同账网坛系间地县市区店厂校车槽]|[院柜袜箱子].?|系统|公约|手机|外地|.[子统约机])里$|圈里|阳台|平台|窗台|灶台|前台|后台|电台|柜台|台面|台风|程序|次序|顺序|秩序|校园|"
    r"^.{0,3}(?<!翠)公园$|幼儿园|^.{0,2}乐园$|园林|法庭|家庭|中庭|环境|定居|邻居|居住|来源|资源|电源|水源|盖章|公章|规章|印章|语音|中华|精华|繁华|"
    r"人家小区|^人家$|^(?:商业|商务|康养|酒店式|loft|商住|人才|长租|青年|住宅|单身|复式|品牌)公寓$|^[专私大前后]属?花园$|某|关系|^贵[司公]|自己|作为|^中[央心](?:花园|水景)$|"
    r"^[一二三四五六七八九十两几半]+[个天月年位句间袋盆公次条平斤桌]|^(?:赠送|附近|门口|旁边|周边|对面|河对岸|原来|之前|后来|时候|上次|下次)|^其他$|^[东西南北]院$|"
    r"^[大小]?(?:学校|地铁|银行|房产|电商|渠道|中介)|^临时|^实际|本人$|家小?区|^(?:广西|江西|四川|河南|河北|湖南|湖北|广东|福建|安徽|浙江|江苏|山东|山西|"
    r"陕西|甘肃|青海|云南|贵州|辽宁|吉林|黑龙江|海南|台湾|新疆|西藏|内蒙古?|宁夏)|^..?[县镇乡村省]$|[县乡省]$|自治区$|区委$|[妈爸爷奶]$|"
    r"写字楼|屋顶花园|公租房|工业园|[进由要按对约]$|^(?:要[按不用]|因|对|想|能|下周|第[一二三四五六七八九十]|水漫|时变|宅|书至|沿)"
)
# What weak endings end with.
_WEAK_LAST = frozenset("湾苑府城轩阁墅郡邸园居里庭岸台屿筑院湖山境汇序著源章华语象光天海洲都")
_QUOTED = re.compile(
    rf"(?<![{_HAN}a-z][{_HAN}])[“《【\"]([{_HAN}a-z ·\d]{{2,10}})[”》】\"]"
    rf"(?={_NUMBERED}?的?(?:项目|小区|楼盘|业主|售楼|开盘|案场|样板|房子|[一二三]期))|"
    rf"(?:买在|买了?|买的是|住在?|贵司的?|贵公司的?|你们的?|项目|楼盘|小区|去|小区是)[“《【\"]([{_HAN}a-z ·\d]{{2,10}})[”》】\"]"
)


@dataclass(frozen=True, slots=True)
class _Naming:
    """Characters that estates are named with, their strong and weak endings, and the cities that stand before them."""

    chars: frozenset[str]
    strong: re.Pattern[str]
    weak: re.Pattern[str]
    cities: frozenset[str]


@cache
def _naming() -> _Naming:
    path = HOME / "estates.txt"
    parts = {facet.code: facet.terms for facet in parse_facets(path.read_text(encoding="utf-8").splitlines(), path.name)}

    def any_of(code: str) -> str:
        return "|".join(sorted(parts[code], key=lambda term: (-len(term), term)))

    strong, weak = re.compile(any_of("strong")), re.compile(f"(?:{any_of('weak')})$")
    return _Naming(frozenset(parts["chars"]), strong, weak, frozenset(parts["cities"]))


# A county or district with its word, before a name.
_DISTRICT = re.compile(rf"(?:[{_HAN}]{{2,3}}[市县](?=[{_HAN}]{{3}}))?(?:[{_HAN}]{{1,2}}(?!小)[{_HAN}]区(?=[{_HAN}]{{3}}))?")


def _after_places(piece: str, frequency: Callable[[str], int]) -> int:
    """How many characters of a piece are the city and the district before an estate's name."""
    naming = _naming()
    done = next((size for size in (4, 3, 2) if piece[:size] in naming.cities), 0)
    if done and piece[done : done + 1] == "市":
        done += 1
    if ("区" in piece or "县" in piece or "市" in piece) and (match := _DISTRICT.match(piece, done)):
        done = match.end()
    # 余杭 and the like without their word: a place's name is no common word, and is not made for its sound.
    rest = piece[done:]
    if done and len(rest) >= 5 and not set(rest[:2]) <= naming.chars and 0 < frequency(rest[:2]) < 2000 and not frequency(rest):
        done += 2
    return done if len(piece) - done >= 2 else 0


# How much a piece must weigh to be taken for a name.
_LEAST = 5.5


def find_estate(text: str, known: re.Pattern[str] | None, frequency: Callable[[str], int]) -> tuple[int, int] | None:
    """Where in a normalised text the estate's name stands, or `None`. A unit that was found is written as \x01 characters.

    A known name wins; then a name in quotes. Else the text is cut at words that never are part of a name,
    and each piece is weighed: by its characters, its ending, what stands left and right of it, how often it is named, and whether the
    dictionary has it as an ordinary word.
    """
    if known is not None and (match := known.search(text)):
        return match.span()
    if ("“" in text or "《" in text or '"' in text or "【" in text) and (quoted := _QUOTED.search(text)):
        group = 1 if quoted[1] else 2
        if not _NEVER.search(quoted[group]) and frequency(quoted[group]) < _COMMON:
            return quoted.span(group)
    ends = [match.end() for match in _naming().strong.finditer(text)]
    pieces: list[tuple[int, int]] = []
    for run in _RUN.finditer(text):
        start, stop = run.span()
        for cut in _CUT.finditer(text, start, stop):
            pieces.append((start, cut.start()))
            start = cut.end()
        pieces.append((start, stop))
    best: tuple[float, int, int] = (_LEAST, 0, 0)
    for start, end in pieces:
        if end - start > 1 and _worth(text, start, end, ends):
            best = max(best, _candidate(text, start, end, frequency) or best, key=itemgetter(0))
    return best[1:] if best[2] else None


def is_city(word: str) -> bool:
    """Whether a word is a city's name, or begins with one."""
    cities = _naming().cities
    return word[:2] in cities or word[:3] in cities


# With what the patterns for the left and the right side end and begin: most pieces have neither and need not be weighed.
_OWN_PAIRS = (
    "买了 买的 的是 买在 购了 订了 住在 住进 住入 搬进 入住 家在 子在 们在 都在 家是 贵司 司的 公司 看了 看中 看上 区叫 区是 "
    "区: 目叫 目是 目: 盘叫 盘是 盘: 源: 售的 发的 购的 们的 的你"
)
_BESIDE = frozenset(
    '\x01"0123456789号的 ,。”》】(（'
    "一二三四五六七八九十准老新业小售营销项楼样开案认交购降叠联精房拆安商公住居户地签泳客物管洋租车东南西北正会保负高工外中别维自合买购看上里"
)
_OF_ME = re.compile(r"(?:我是|家住)..{0,3}的[,。\n !?;]")


def _worth(text: str, start: int, end: int, ends: list[int]) -> bool:
    """Whether a piece has an ending of estates or stands beside something that may say that it is one.

    ends: where strong endings end in the text.
    """
    size = end - start
    if size > 2 and (text[end - 1] in _WEAK_LAST or any(start + 3 <= place <= end for place in ends)):
        return True
    if not start or text[end - 1] in "一二三四五六七八九十年" or text[start - 2 : start] in _OWN_PAIRS:
        return True
    right = text[end : end + 1]
    if right not in _BESIDE:
        return not right
    return (
        _RIGHT_SURE.match(text, end) is not None
        or _RIGHT.match(text, end) is not None
        or _OF_ME.match(text, start - 2, end + 2) is not None
    )


# Who somebody is, or what he does, is no place where he lives.
_PERSON = re.compile(r"(?:人|老师|上班|读书|工人|会计|[大小二三]?[姐哥]|阿姨|师傅|[东西]院|一下|左右|系)$|^(?:一名|[卖送捡开修教租跑])")


def _is_phrase(piece: str, share: float, frequency: Callable[[str], int]) -> bool:
    """Whether a piece is put together from common words like 公布全部, not a name made for its sound."""
    if _PERSON.search(piece):
        return True
    if len(piece) < 3:
        return False
    first, last = frequency(piece[:2]), frequency(piece[-2:])
    if len(piece) > 4 and share < 0.6 and (first >= 20 or frequency(piece[2:4]) >= 300):
        return True
    return share < 0.75 and (first >= 1000 or last >= 2000 or (first >= 200 and last >= 200 and len(piece) == 4))


# A word that the dictionary counts more often than this is no estate's name, whatever stands around it.
_COMMON = 500


# What the character before a piece leaves at its beginning: 您|好, 看|上, 2023|年, 购|得.
_GLUED = (("您你", "好"), ("看", "上中完到过"), ("0123456789", "万元年月日号"), ("购买", "得下"))


def _candidate(text: str, start: int, end: int, frequency: Callable[[str], int]) -> tuple[float, int, int] | None:
    naming = _naming()
    piece, begin = text[start:end], start
    if start and any(piece[0] in heads and text[start - 1] in tails for tails, heads in _GLUED):
        start += 1
    elif prefix := _PREFIX.match(piece):
        start += prefix.end()
    placed = _after_places(text[start:end], frequency)
    start += placed
    piece = text[start:end]
    weight = 1.0 if placed else 0.0
    if len(piece) > 2 and piece[-1] in "年月" and piece[-2] in "一二三四五六七八九十半几两":
        piece = piece[:-1].rstrip("一二三四五六七八九十半几两")
        end = start + len(piece)
    bare = piece.rstrip("一二三四五六七八九十百几两")
    if (
        text[end : end + 1] == "号"
        and piece[-1] in "一二三四五六七八九十"
        and 2 <= len(bare) <= 5
        and text[end + 1 : end + 2] not in ("楼", "栋")
    ):
        end += 1 + (text[end + 1 : end + 2] == "院")
        piece = text[start:end]
        weight += 1.5
    elif text[end : end + 1] in tuple("期层楼室年百栋幢座套户号") and len(bare) >= 2:
        piece, end = bare, start + len(bare)
    # A strong ending within the piece is where the name ends, whatever follows it.
    numbered = piece[-1:] in ("号", "院")
    endings = [match.end() for match in naming.strong.finditer(piece) if match.end() >= 3]
    if endings and endings[-1] <= 9:
        end = start + endings[-1]
        if text[end : end + 1] in ("湾", "府", "里", "城") and end - start >= 4:
            end += 1
        piece = text[start:end]
        if piece.endswith("小区") and (len(piece) >= 6 or (len(piece) >= 5 and naming.weak.search(piece[:-2]))):
            end -= 2
            piece = piece[:-2]
        if piece.endswith("公寓") and len(piece) >= 6:
            end -= 2
            piece = piece[:-2]
        weight += 2.5
    elif piece and ((piece[-1] in "都来家" and piece[-2:] not in ("人家", "世家")) or piece[0] in "都不全很太"):
        return None
    if not 2 <= len(piece) <= 9 or piece in naming.cities:
        return None
    count = frequency(piece)
    if count > _COMMON:
        return None
    ended = bool(endings) or numbered
    if not endings and len(piece) >= 3 and naming.weak.search(piece):
        weight += 1.0
        ended = True
    share = sum(char in naming.chars for char in piece) / len(piece)
    weight += 4.0 * share
    weight += 0.5 * (3 <= len(piece) <= 5) - 1.0 * (len(piece) > 6) - 1.0 * (len(piece) == 2)
    left, right = text[max(0, begin - 8) : begin], text[end : end + 2]
    before = (
        2.0 if begin == 0 else 3.0 if _LEFT_OWN.search(left) else 2.0 if _LEFT_SURE.search(left) else 1.0 if _LEFT.search(left) else 0.0
    )
    behind = 2.5 if _RIGHT_SURE.match(text, end) else 1.0 if _RIGHT.match(text, end) else 0.0
    # 在…买, 我是…的, 我家在…, with nothing else between.
    framed = (before == 3.0 and (behind or _EDGE.match(text, end))) or (left[-1:] == "在" and right[:1] in ("买", "购", "订", "认"))
    framed = framed or (
        before == 2.0 and len(piece) <= 4 and not count and left[-2:] in ("我是", "家住") and bool(_EDGE_OF.match(text, end))
    )
    if framed and placed and len(piece) == 2 and behind < 2.5:
        return None
    sure = (before == 3.0 and (behind == 2.5 or right[:1] == "买")) or right[:1] == "\x01"
    if not ended and not sure and _is_phrase(piece, share, frequency):
        return None
    if framed:
        behind += 1.5
    around = before + behind
    # Without an ending that says so, something beside the piece must say that it is a name.
    if not ended and (
        around < 2.0 or (behind == 0.0 and not (before == 3.0 and len(piece) <= 5 and begin) and not (begin == 0 and share >= 0.75))
    ):
        return None
    if (begin == 0 and not ended and behind < 2.5 and share < 0.5) or _NEVER.search(piece):
        return None
    if around >= 3.5 and (not count or behind >= 2.5):
        weight += 0.5
    elif count:
        weight -= 3.0 if count > 20 else 1.0
    weight += 0.0 if count > 20 else 1.0
    if not ended and around < 3.5:
        weight -= 0.5
    return weight + around + 0.5 * min(2, text.count(piece) - 1), start, end
