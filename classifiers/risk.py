"""What may come of a complaint (预案 二): safety, legal steps, reputation, a customer lost. From words and what stands near them.

A word of `lexicon/risk.txt` either says a risk by itself, or is a sign that needs company: a lift is none, a lift and `往下一沉` behind it
is. Both are dropped where the writer denies it, asks about it, tells of somebody else's or says that it is over.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from classifiers.facets import HOME, FacetIndex, Hit, parse_facets
from models.verdict import Risk

_SENTENCE_END = re.compile(r"[。!?;\n…]")

# What may stand between a negation and the word that it negates.
_BETWEEN = (
    r"(?:有|想|要|打算|准备|会|是|说|再|去|过|敢|愿意|考虑|需要|必要|到|什么|任何|人|真的|真|要求|同意|来|用|跟|和|拿|主张|选择|提|谈|闹|至于|"
    r"你们|找|请|走|上|闹到|在|把|那个|意思|发)"
)
_NEGATED = re.compile(
    rf"(?:没有|没|并未|未曾|从未|未|并非|不是|(?<!要)不|(?<!特)别|无意|无需|不用|不必|不想|免得|省得|避免|以免|无){_BETWEEN}{{0,4}}$"
)
# Somebody else's refusal is no negation: whoever is not given his money back does want to leave.
_REFUSED = re.compile(r"(?:不|没|没有|拒绝|拒不)(?:给|让|肯|予|同意|能|许|准|愿意?)(?:我们?)?$")
# A thing taken back, long over or put aside.
_OVER = re.compile(
    r"^(?:就?不用了|撤回|已?撤销|的事(?:就)?算了|是不可能的)|"
    r"^[^。!?;\n]{0,12}(?:翻篇|气话|算了|没那意思|没那个意思|没关系|我不提|已经过去|撤诉了|就不必)"
)
# Asked about, or told of others or of a time that is past; somebody else's who is `我们` again behind it is not somebody else's.
_ASKED = re.compile(r"(?:想问|问一下|问下|想咨询|咨询一下|咨询下|请问|想了解|请教)[^。!?]{0,24}$")
_MEANS = re.compile(r"^[^。!?;\n]{0,8}(?:什么意思|要什么材料|怎么办理|的?流程|是哪个|能不能(?:提供|打折))")
_OTHERS = re.compile(
    r"(?:隔壁小区|别的小区|其他小区|人家小区|别的楼盘|以前|早几年|当年|本来|原本|原先|差点就|说[他她]们?|告诉我[他她])"
    r"(?![^。!?;\n]*(?:我|咱))[^。!?;\n]{0,12}$"
)
# What the seller says, or what a stranger says, stands in quotation marks behind a verb of saying.
_QUOTED = re.compile(r"(?:说|道|讲|回|问|叫|喊|答|写着|写的|复|句|:|,)[^“”\"「」]{0,3}[“\"「][^“”\"「」\n]{0,40}$")
# The writer says it himself.
_MYSELF = re.compile(r"我[^“”\"「」。,]{0,4}(?:说|讲|回|问|写)[^“”\"「」]{0,3}[“\"「][^“”\"「」]*$")

# Danger that was only felt or feared, or is gone, or somebody else's.
_NO_DANGER = re.compile(r"(?:以为|好像|就像|跟|像|比|新闻里?|电视里?|预防|防止|杜绝|演练|讲座|宣传|险种|虚惊)[^。!?;\n,]{0,4}$")
_ALL_WELL = re.compile(r"^[^。!?;\n]{0,10}(?:处理得|及时|正常|虚惊|点赞|合格|案例|演练|知识|讲座|宣传|已经修好|的?小说)")
# A lawyer or a court that is only mentioned; and what the seller or a stranger did with it.
_MENTION_BEFORE = re.compile(
    r"(?:是|做|当|学|你们?|您|不服|他们?|她|前夫|前妻|给我|被|因为|过世的|电视剧里?|听说)(?:个|名|就|再|去|尽管|可以|发了?|的|让我)?$|"
    r"(?:你们?|贵司|银行)[^。!?;\n,我]{0,3}发[来了的]?[^。!?;\n,]{0,2}$|"
    r"(?:你们?|贵司|银行|他们)说?要$|合同[^。!?;\n]{0,6}写[^。!?;\n]{0,8}$"
)
_MENTION_AFTER = re.compile(
    r"^(?:朋友|事务所|费用|的?调解书|文书|查封|拍卖|来查封|判给|看登记|一查|来查|的人也写|公告|做|判下|用了|费|楼|专业|出身|同学|条款|解释|规定)"
)
# Turning to an authority. Before it: what says so by itself; what says so only with a step; behind it: what is done there.
_SURE = re.compile(
    r"(?:找|向|告到|打给|打到|反映到|反映给|投诉到|投诉至|捅到|报给|报到|抄送|抄报|递到|寄给|寄到|送到|交给|提交|转给)[^,。!?;\n]{0,5}$"
)
_TO = re.compile(r"(?:报|寄|请|请求|恳请|让|叫|等|由|致|去|到|给|上|往|跟|问)[^,。!?;\n]{0,8}$")
_THERE = re.compile(
    r"^[^,。!?;\n]{0,8}(?:投诉|反映|举报|告|信访|见|报告|汇报|递|提交|介入|查|核查|受理|立案|督办|热线|的?电话|登记|求助|复议|上门来查|那边也?说|"
    r"同志|来人|派人|出面|主持|已收|收了?材料|给个?说法|管一管|管管|评评|监督|责令|答复|取样|鉴定|走)"
)
_STEP = re.compile(
    r"投诉|反映|举报|告|信访|见|报告|汇报|递|提交|介入|查|受理|督办|登记|求助|复议|同志|来人|派|出面|主持|材料|评评|监督|责令|取样|申请|反应|检测|封存|停用|谈|"
    r"处理|电话|来问|问你们|看看|看一|抄|找|报|等|寄|检验|起诉|诉|问问|问一问|走一趟|跑一趟|转给|程序|督促|核实|认定|约谈|责成|整改|纠正|组织"
)
# Somewhere to go for a paper or an answer is no step against anybody; a demand for measures is one all the same.
_ERRAND = re.compile(
    r"落户|办证|网站|查不到|盖章|文件|开会|公告|说这个|过户|登记费|认的证明|买房|上学|报名|档案|的同志很|公示牌|陪着|问过的|上说|批准|合格意见"
)
_FORCED = re.compile(r"投诉|举报|反映|责令|责成|信访|查处|监督|介入|约谈|立案|对一对")
# Letters to an authority: `致 某市住建局:`, `质监站的同志`.
_ADDRESSED = re.compile(r"^[^\n。!?,]{0,24}(?::|的?同志|的?领导|负责人)")


@dataclass(frozen=True, slots=True)
class _Sign:
    """A sign of `risk` where its company stands within `before` and `after` characters of its word, and what speaks against it does not.

    whole: whether the end of a sentence does not end the company (for things told over several sentences).
    """

    risk: Risk
    before: int
    after: int
    whole: bool = False


_SIGNS: Mapping[str, _Sign] = {
    "lift": _Sign(Risk.SAFETY, 6, 30),
    "wire": _Sign(Risk.SAFETY, 12, 24),
    "escape": _Sign(Risk.SAFETY, 8, 20),
    "corridor": _Sign(Risk.SAFETY, 14, 22),
    "gas": _Sign(Risk.SAFETY, 8, 16),
    "water": _Sign(Risk.SAFETY, 20, 40),
    "outer": _Sign(Risk.SAFETY, 10, 20),
    "door": _Sign(Risk.SAFETY, 10, 18),
    "ambulance": _Sign(Risk.SAFETY, 12, 24),
    "structure": _Sign(Risk.SAFETY, 14, 26),
    "ground": _Sign(Risk.SAFETY, 12, 20),
    "high": _Sign(Risk.SAFETY, 12, 20),
    "person": _Sign(Risk.SAFETY, 14, 20),
    "near": _Sign(Risk.SAFETY, 20, 24),
    "air": _Sign(Risk.SAFETY, 60, 90, whole=True),
    "staff": _Sign(Risk.SAFETY, 14, 22),
    "record": _Sign(Risk.REPUTATION, 6, 22),
    "net": _Sign(Risk.REPUTATION, 14, 18),
    "press": _Sign(Risk.REPUTATION, 10, 12),
    "site": _Sign(Risk.REPUTATION, 12, 14),
    "banner": _Sign(Risk.REPUTATION, 12, 12),
    "place": _Sign(Risk.REPUTATION, 22, 24),
    "crowd": _Sign(Risk.REPUTATION, 18, 22),
    "mine": _Sign(Risk.CHURN, 14, 16),
    "quit": _Sign(Risk.CHURN, 12, 16),
    "undo": _Sign(Risk.CHURN, 14, 16),
    "back": _Sign(Risk.CHURN, 44, 22, whole=True),
    "leave": _Sign(Risk.CHURN, 16, 20),
    "sell": _Sign(Risk.CHURN, 16, 14),
    "tell": _Sign(Risk.CHURN, 12, 22),
}
_DIRECT: Mapping[str, Risk] = {risk.value: risk for risk in Risk}
_WINDOW = 12
_NEAR = 14
_BACK = 48
_CLOSE = 18
# Beyond so many words found only the first and the last are looked at, so that a text made of nothing else takes no longer.
_MOST_FIRST, _MOST_LAST = 700, 300


@dataclass(frozen=True, slots=True)
class _Lexicon:
    """The words to find, and for each sign what must stand near it (`None`: nothing need) and what must not (`None`: anything may)."""

    index: FacetIndex
    company: Mapping[str, re.Pattern[str] | None]
    against: Mapping[str, re.Pattern[str] | None]


@cache
def _lexicon() -> _Lexicon:
    path = HOME / "risk.txt"
    facets = parse_facets(path.read_text(encoding="utf-8").splitlines(), path.name)
    words = {facet.code: re.compile("|".join(facet.terms)) for facet in facets if facet.code.endswith(("_with", "_without"))}
    return _Lexicon(
        FacetIndex(tuple(facet for facet in facets if facet.code not in words)),
        {code: words.get(f"{code}_with") for code in _SIGNS},
        {code: words.get(f"{code}_without") for code in _SIGNS},
    )


def risks(text: str, complaint: bool = True) -> tuple[Risk, ...]:
    """The risks that a normalised text shows, in the order of `Risk`; each at most once.

    complaint: whether the text is a complaint at all. Who only asks how to sue, or is at odds with somebody else, is no legal risk, no
    publicity and no lost customer to the seller; danger to life is reported whatever the text is.
    """
    lexicon = _lexicon()
    hits = lexicon.index.find(text)
    if not hits:
        return ()
    if len(hits) > _MOST_FIRST + _MOST_LAST:
        hits = hits[:_MOST_FIRST] + hits[-_MOST_LAST:]
    stops = [match.start() for match in _SENTENCE_END.finditer(text)]
    found: set[Risk] = set()
    for hit in hits:
        for code in hit.facets:
            risk = _RISK_OF.get(code)
            if risk is None or risk in found or not (complaint or risk is Risk.SAFETY):
                continue
            place = bisect_left(stops, hit.start)
            start = stops[place - 1] + 1 if place else 0
            stop = stops[place] if place < len(stops) else len(text)
            sign = _SIGNS.get(code)
            if sign is not None:
                shown = _in_company(text, hit, start, stop, sign, lexicon.company[code], lexicon.against[code])
            elif code == "authority":
                shown = _turned_to(text, hit, start, stop)
            else:
                shown = not _dropped(text, hit, start, risk)
            if shown:
                found.add(risk)
    return tuple(risk for risk in Risk if risk in found)


_RISK_OF: Mapping[str, Risk] = {**_DIRECT, "authority": Risk.LEGAL, **{code: sign.risk for code, sign in _SIGNS.items()}}


def _in_company(
    text: str, hit: Hit, start: int, stop: int, sign: _Sign, company: re.Pattern[str] | None, against: re.Pattern[str] | None
) -> bool:
    """Whether the sign's company stands near it, in its sentence or beyond."""
    first, last = hit.start - sign.before, hit.end + sign.after
    if company is not None and not company.search(text, max(first, 0 if sign.whole else start), last if sign.whole else min(last, stop)):
        return False
    if against is not None:
        # What speaks against it does so only close by: far off it belongs to something else.
        first, last = (hit.start - _CLOSE, hit.end + _CLOSE) if sign.whole else (first, last)
        if against.search(text, max(first, start), min(last, stop)):
            return False
    return not _dropped(text, hit, start, sign.risk)


def _dropped(text: str, hit: Hit, start: int, risk: Risk) -> bool:
    """Whether what the word says is denied, asked about, somebody else's, over, or only mentioned. `start`: where its sentence begins."""
    before = text[max(start, hit.start - _BACK) : hit.start]
    after = text[hit.end : hit.end + 24]
    if hit.term[0].isdigit() and (text[hit.start - 1 : hit.start].isdigit() or after[:1].isdigit()):
        # Part of a longer number.
        return True
    near = before[-_WINDOW:]
    if risk is Risk.SAFETY:
        return bool(_NEGATED.search(near) or _NO_DANGER.search(near) or _OTHERS.search(before) or _ALL_WELL.search(after))
    own = risk is Risk.CHURN and (hit.term[0] in "不再谁别劝绝永" or _REFUSED.search(near))
    if not own and _NEGATED.search(near):
        return True
    if _OVER.search(after) or _OTHERS.search(before) or _ASKED.search(before) or _MEANS.search(after):
        return True
    if risk is Risk.LEGAL and (_MENTION_BEFORE.search(near) or _MENTION_AFTER.search(after)):
        return True
    return bool(_QUOTED.search(before)) and not _MYSELF.search(before)


def _turned_to(text: str, hit: Hit, start: int, stop: int) -> bool:
    """Whether the words about an authority say that somebody turns to it or has done so, or that the letter is addressed to it."""
    before = text[max(start, hit.start - _NEAR) : hit.start]
    after = text[hit.end : min(stop, hit.end + 20)]
    if hit.start < 90 and _ADDRESSED.search(after):
        return True
    step = before + after
    if not (_SURE.search(before) or _THERE.search(after) or (_TO.search(before) and _STEP.search(step))):
        return False
    if _ERRAND.search(step) and not _FORCED.search(step):
        return False
    return not _dropped(text, hit, start, Risk.LEGAL)
