"""What may come of a complaint (预案 二): safety, legal steps, reputation, a customer lost. From the words, minus what is negated."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import cache

from classifiers.facets import HOME, FacetIndex, Hit, parse_facets
from models.verdict import Risk

_CLAUSE_END = re.compile(r"[。!?;,\n…:]")
_SENTENCE_END = re.compile(r"[。!?;\n…]")

# What may stand between a negation and the word that it negates.
_BETWEEN = (
    r"(?:有|想|要|打算|准备|会|是|说|再|去|过|敢|愿意|考虑|需要|必要|到|什么|任何|人|真的|真|要求|同意|来|用|跟|和|"
    r"你们|找|请|走|上|闹到|在)"
)
_NEGATED = re.compile(rf"(?:没有|没|并未|未曾|从未|未|并非|不是|不|别|无意|无需|不用|不必|免得|省得|避免|以免|无){_BETWEEN}{{0,3}}$")
# Somebody else's refusal is no negation: whoever is not given his money back does want to leave.
_REFUSED = re.compile(r"(?:不|没|没有|拒绝|拒不)(?:给|让|肯|予|同意|能|许|准|愿意?)(?:我们?)?$")
# A thing taken back or long over.
_OVER = re.compile(r"^(?:就?不用了|撤回|已?撤销|的事(?:就)?算了|是不可能的)")
# Turning to an authority: what stands before it, and what behind it.
_TO = re.compile(
    r"(?:找|向|告到|打给|打到|反映到|投诉到|投诉至|捅到|报给|报到|报|抄送|抄报|递到|寄给|寄到|寄|送到|交给|申请|请|让|叫|等)"
    r"[^,]{0,6}$"
)
_THERE = re.compile(
    r"^[^,]{0,6}(?:投诉|反映|举报|告|信访|见|报告|汇报|递|提交|介入|查处|查一查|核查|受理|立案|督办|热线|的?电话|登记|求助|"
    r"复议|上门来查|那边也?说)"
)
# Whoever wants his deposit or down payment back wants to leave the deal; whoever wants a difference back does not.
_PAID = r"(?:定金|订金|认筹金?|诚意金|意向金|认购金|排号费|首付款?|房款|全款|筹金)"
_REFUND = re.compile(
    rf"(?<![不抵])退(?!差|税|一半|补)[^,。!?;\n]{{0,6}}{_PAID}|{_PAID}[^,。!?;\n]{{0,12}}(?<![不抵])(?:退(?!差|税|税)|还我)|{_PAID}[^。!?;\n]{{0,10}}不(?:给|肯|予|让)?退"
)
_PAIRS = (frozenset({"danger", "endangered"}), frozenset({"high", "falls"}))
_WINDOW = 12
_NEAR = 12


@cache
def _index() -> FacetIndex:
    path = HOME / "risk.txt"
    return FacetIndex(parse_facets(path.read_text(encoding="utf-8").splitlines(), path.name))


def risks(text: str, complaint: bool = True) -> tuple[Risk, ...]:
    """The risks that a normalised text shows, in the order of `Risk`; each at most once.

    complaint: whether the text is a complaint at all. Who only asks how to sue, or is at odds with somebody else, is no legal risk, no
    publicity and no lost customer to the seller; danger to life is reported whatever the text is.
    """
    hits = _index().find(text)
    clauses = [0, *(match.end() for match in _CLAUSE_END.finditer(text))]
    found: set[Risk] = set()
    for hit in hits:
        for code in hit.facets:
            if code in _DIRECT and _DIRECT[code] not in found and not _negated(text, hit, clauses, code):
                found.add(_DIRECT[code])
    if Risk.LEGAL not in found and _turned_to(hits, clauses, text):
        found.add(Risk.LEGAL)
    if Risk.SAFETY not in found and _in_harms_way(hits, text):
        found.add(Risk.SAFETY)
    if Risk.CHURN not in found and _REFUND.search(text):
        found.add(Risk.CHURN)
    if not complaint:
        found &= {Risk.SAFETY}
    return tuple(risk for risk in Risk if risk in found)


_DIRECT = {risk.value: risk for risk in Risk}


def _negated(text: str, hit: Hit, clauses: Sequence[int], code: str) -> bool:
    start = clauses[bisect_right(clauses, hit.start) - 1]
    before = text[max(start, hit.start - _WINDOW) : hit.start]
    if hit.term[0].isdigit() and (text[hit.start - 1 : hit.start].isdigit() or text[hit.end : hit.end + 1].isdigit()):
        # Part of a longer number.
        return True
    if code == "churn" and _REFUSED.search(before):
        return False
    if code == "churn" and hit.term[0] in "不再谁别劝":
        return False
    return bool(_NEGATED.search(before)) or bool(_OVER.match(text[hit.end : hit.end + 8]))


def _turned_to(hits: Sequence[Hit], clauses: Sequence[int], text: str) -> bool:
    """Whether the words about an authority say that somebody turns to it or has done so."""
    for hit in hits:
        if "authority" in hit.facets:
            start = clauses[bisect_right(clauses, hit.start) - 1]
            before = text[max(start, hit.start - _NEAR) : hit.start]
            stop = _CLAUSE_END.search(text, hit.end)
            after = text[hit.end : min(stop.start() if stop else len(text), hit.end + _NEAR)]
            if (_TO.search(before) or _THERE.search(after)) and not _NEGATED.search(before):
                return True
    return False


def _in_harms_way(hits: Sequence[Hit], text: str) -> bool:
    """Whether something that can strike and somebody who can be struck, or what hangs and its coming down, stand in one sentence."""
    stops = [match.start() for match in _SENTENCE_END.finditer(text)]
    struck: dict[int, set[str]] = {}
    for hit in hits:
        struck.setdefault(bisect_right(stops, hit.start), set()).update(hit.facets)
    return any(pair <= codes for codes in struck.values() for pair in _PAIRS)
