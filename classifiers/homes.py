"""Which estate (楼盘), as the customer wrote it (预案 4.1)."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from classifiers.facets import HOME, parse_facets, word_finder

_HAN = "\u3400-\u9fff"
# What a name is cut off by: function words, verbs and nouns that stand around names and never in them. First the single characters,
# which leave few and short pieces; then words, within those.
_RUN = re.compile(
    r"[^\u0000-\u33ff\u4dc0-\u4dff\ua000-\uffff的了在是我你您他她它们这那就没也说问去把被让跟与及或但因吗呢吧啊呀么什怎请谢此其每只从再还又已买住签"
    r"交看办卖付收打找退给俺咱哪啥叫个位套期栋幢座层单户块份吨钱做搞凭喺於係嘅]{2,}"
)
_CUTS = re.findall(
    r"[^ ]+",
    "东门 西门 南门 北门 正门 样板 业主 售楼 营销 销售 项目 物业 楼盘 地库 地下 会所 开发 客服 管家 置业 保安 "
    "认购 认筹 财务 工程部 服务 管理处 别墅 洋房 登记 摇号 房子 车库 广告 规划 滑梯 电梯 外墙 大堂 全体 业委会 "
    "消防 地面 停车 居民 合同 公司 集团 地产 有限 尊敬 关于 反映 投诉 领导 负责人 当时 今年 前年 昨天 今天 "
    "昨晚 购 订 搬到 搬进 搬来 里面 外面 旁边 附近 门口 楼上 楼下 隔壁 家里 屋里 街道 电话 先生 女士 小姐 "
    "精装 毛坯 中庭 安置 商铺 底商 联排 双拼 叠拼 工地 降价 案场 房修 维修 售后 开放 经济适用房 招标 首批 产权 "
    "面积 接待 前台 热线 按揭 高新区 经开区 新区 自来水 年底 能不 今早 下午 上午 早上 晚上 负一 负二 负三 "
    "幼儿园 有一 有人 万 元 号 小区",
)
# Of these, what must stand before or behind them, or must not.
_CUT_BESIDE: Mapping[str, re.Pattern[str]] = {
    "万": re.compile("(?<=[一二三四五六七八九十百千几两])万"),
    "元": re.compile("(?<!公)元"),
    "号": re.compile("(?<![壹一])号"),
    "小区": re.compile("小区(?=[里内外大门北南东西])"),
}
_CUT_ALONE = len(_CUTS) - len(_CUT_BESIDE)
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
_RIGHT_ANY = re.compile(f"{_RIGHT_SURE.pattern}|{_RIGHT.pattern}")
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
_LAST = _WEAK_LAST | frozenset("一二三四五六七八九十年")
_QUOTED = re.compile(rf"[“《【\"](?=([{_HAN}a-z ·\d]{{2,10}})[”》】\"])")
_QUOTED_LEFT = re.compile(r"(?:买在|买了?|买的是|住在?|贵司的?|贵公司的?|你们的?|项目|楼盘|小区|去|小区是)\Z")
_QUOTED_RIGHT = re.compile(
    rf"(?<![{_HAN}a-z][{_HAN}])[“《【\"][{_HAN}a-z ·\d]{{2,10}}[”》】\"]"
    rf"(?={_NUMBERED}?的?(?:项目|小区|楼盘|业主|售楼|开盘|案场|样板|房子|[一二三]期))"
)


@dataclass(frozen=True, slots=True)
class _Naming:
    """Characters that estates are named with, their strong and weak endings, the cities that stand before them, and `_CUTS`."""

    chars: frozenset[str]
    strong: Callable[[str], list[tuple[int, int, int]]]
    weak: tuple[str, ...]
    cities: frozenset[str]
    city_heads: frozenset[str]
    cuts: Callable[[str], list[tuple[int, int, int]]]


@cache
def _naming() -> _Naming:
    path = HOME / "estates.txt"
    parts = {facet.code: facet.terms for facet in parse_facets(path.read_text(encoding="utf-8").splitlines(), path.name)}

    return _Naming(
        frozenset(parts["chars"]),
        word_finder(parts["strong"], longest=True),
        parts["weak"],
        frozenset(parts["cities"]),
        frozenset(city[:2] for city in parts["cities"]),
        word_finder(_CUTS, longest=False),
    )


# A county or district with its word, before a name.
_DISTRICT = re.compile(rf"(?:[{_HAN}]{{2,3}}[市县](?=[{_HAN}]{{3}}))?(?:[{_HAN}]{{1,2}}(?!小)[{_HAN}]区(?=[{_HAN}]{{3}}))?")


def _after_places(piece: str, frequency: Callable[[str], int]) -> int:
    """How many characters of a piece are the city and the district before an estate's name."""
    naming = _naming()
    done = 0
    if piece[:2] in naming.city_heads:
        done = next((size for size in (4, 3, 2) if piece[:size] in naming.cities), 0)
    if done and piece[done : done + 1] == "市":
        done += 1
    if ("区" in piece or "县" in piece or "市" in piece) and (match := _DISTRICT.match(piece, done)):
        done = match.end()
    # 余杭 and the like without their word: a place's name is no common word, and is not made for its sound.
    if (
        done
        and len(rest := piece[done:]) >= 5
        and not set(rest[:2]) <= naming.chars
        and 0 < frequency(rest[:2]) < 2000
        and not frequency(rest)
    ):
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
    if "“" in text or "《" in text or '"' in text or "【" in text:
        for quoted in _QUOTED.finditer(text):
            start = quoted.start()
            if _QUOTED_LEFT.search(text, max(0, start - 4), start) or _QUOTED_RIGHT.match(text, start):
                if not _NEVER.search(quoted[1]) and frequency(quoted[1]) < _COMMON:
                    return quoted.span(1)
                break
    naming = _naming()
    strong = naming.strong(text)
    lasts = [last for _, _, last in strong]
    best: tuple[float, int, int] = (_LEAST, 0, 0)
    for piece in _RUN.finditer(_cut(text)):
        start, end = piece.span()
        within = ended = False
        if strong and (place := bisect_right(lasts, start)) < len(lasts) and strong[place][1] < end:
            within = True
            place = bisect_left(lasts, start + 3, place)
            ended = place < len(lasts) and lasts[place] <= end
        if ended or _worth(text, start, end):
            found = _candidate(text, start, end, frequency, within)
            if found is not None and found[0] > best[0]:
                best = found
    return best[1:] if best[2] else None


def _cut(text: str) -> str:
    """A text with \x02 characters, which never are part of a name, in the place of `_CUTS`."""
    parts: list[str] = []
    done = 0
    for number, start, end in _naming().cuts(text):
        if number < _CUT_ALONE or _CUT_BESIDE[_CUTS[number]].match(text, start):
            parts += text[done:start], "\x02" * (end - start)
            done = end
    parts.append(text[done:])
    return "".join(parts)


def is_city(word: str) -> bool:
    """Whether a word is a city's name, or begins with one."""
    cities = _naming().cities
    return word[:2] in cities or word[:3] in cities


# With what the patterns for the left and the right side end and begin: most pieces have neither and need not be weighed.
_OWN_PAIRS = frozenset(
    left + right
    for left, right in pairwise(
        "买了 买的 的是 买在 购了 订了 住在 住进 住入 搬进 入住 家在 子在 们在 都在 家是 贵司 司的 公司 看了 看中 看上 区叫 区是 "
        "区: 目叫 目是 目: 盘叫 盘是 盘: 源: 售的 发的 购的 们的 的你"
    )
)
_BESIDE = frozenset(
    '\x01"0123456789号的 ,。”》】(（'
    "一二三四五六七八九十准老新业小售营销项楼样开案认交购降叠联精房拆安商公住居户地签泳客物管洋租车东南西北正会保负高工外中别维自合买购看上里"
)
_OF_ME = re.compile(r"..(?:.{1,4})的[,。\n !?;]")
_OF_ME_PAIRS = ("我是", "家住")


def _worth(text: str, start: int, end: int) -> bool:
    """Whether a piece has a weak ending of estates or stands beside something that may say that it is one."""
    last = text[end - 1]
    if last in _LAST and (last not in _WEAK_LAST or end - start > 2):
        return True
    left = text[start - 2 : start] if start > 1 else ""
    if not left or left in _OWN_PAIRS:
        return True
    right = text[end : end + 1]
    if right not in _BESIDE:
        return not right
    return _RIGHT_ANY.match(text, end) is not None or (left in _OF_ME_PAIRS and _OF_ME.match(text, start - 2, end + 2) is not None)


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
_GLUED = {
    tail: heads
    for tails, heads in (("您你", "好"), ("看", "上中完到过"), ("0123456789", "万元年月日号"), ("购买", "得下"))
    for tail in tails
}


# Before these a number belongs to them, not to the name.
_COUNTED = frozenset("期层楼室年百栋幢座套户号")
# What the patterns for the left side end with, or a line end.
_LEFT_OWN_LAST = frozenset("\n:上中了们住叫司在是的进")
_LEFT_SURE_LAST = frozenset("\n下个为买了于从们住做到去叫在家得报映是的目看置订诉购达")
_LEFT_LAST = frozenset('\n !"(,:;“。《【以到及在收是由盘至致')


def _weigh_left(left: str) -> float:
    """How surely what stands before a piece says that it is a name."""
    last = left[-1]
    if last in _LEFT_OWN_LAST and _LEFT_OWN.search(left):
        return 3.0
    if last in _LEFT_SURE_LAST and _LEFT_SURE.search(left):
        return 2.0
    return 1.0 if last in _LEFT_LAST and _LEFT.search(left) else 0.0


def _candidate(text: str, start: int, end: int, frequency: Callable[[str], int], strong: bool) -> tuple[float, int, int] | None:
    """How surely a piece is an estate's name, and where the name stands; `None` where it is none.

    strong: whether a strong ending may stand in it.
    """
    naming = _naming()
    piece, begin = text[start:end], start
    if start and piece[0] in _GLUED.get(text[start - 1], ()):
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
    elif text[end : end + 1] in _COUNTED and len(bare) >= 2:
        piece, end = bare, start + len(bare)
    # A strong ending within the piece is where the name ends, whatever follows it.
    numbered = piece[-1:] in ("号", "院")
    endings = [place for _, _, place in naming.strong(piece) if place >= 3] if strong else None
    if endings and endings[-1] <= 9:
        end = start + endings[-1]
        if text[end : end + 1] in ("湾", "府", "里", "城") and end - start >= 4:
            end += 1
        piece = text[start:end]
        if piece.endswith("小区") and (len(piece) >= 6 or (len(piece) >= 5 and piece[:-2].endswith(naming.weak))):
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
    if not endings and len(piece) >= 3 and piece.endswith(naming.weak):
        weight += 1.0
        ended = True
    share = sum(map(naming.chars.__contains__, piece)) / len(piece)
    weight += 4.0 * share
    weight += 0.5 * (3 <= len(piece) <= 5) - 1.0 * (len(piece) > 6) - 1.0 * (len(piece) == 2)
    left, right = text[max(0, begin - 8) : begin], text[end : end + 2]
    before = _weigh_left(left) if left else 2.0
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
