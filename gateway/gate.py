"""The gate: whether a candidate may answer instead of the champion. A pure function of what both say of labelled texts.

Both are asked about the same texts, which neither was trained on: the golden set, and the newest corrections. A candidate passes where it
is not worse: over all texts by a paired test and by a margin, and in each class by the floors of the plan (`[gate]`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.verdict import ComplaintClass

# So many changed texts of each set are kept with the verdict.
_MOST_CHANGED = 100


@dataclass(frozen=True, slots=True)
class GateRules:
    """What the plan asks of a candidate.

    significance: a candidate is worse where the exact one-sided sign test over texts that only one of the two has right falls below this.
    margin:       nor may its share of right answers be lower by more than this, significant or not.
    most_drop:    how much lower the share found of a class, or right of a channel, may be.
    least_texts:  a set of fewer texts decides nothing.
    floors:       the share of each class that must be found; where the champion finds less, no less than the champion.
    """

    significance: float = 0.05
    margin: float = 0.01
    most_drop: float = 0.10
    least_texts: int = 30
    floors: Mapping[ComplaintClass, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Paper:
    """One text of a set: what it is, and what both say of it. `key` names it for people."""

    key: str
    channel: str
    label: ComplaintClass
    champion: ComplaintClass
    candidate: ComplaintClass


# The names of the sets, for people.
SETS: Mapping[str, tuple[str, str]] = {"golden": ("黄金集", "golden set"), "newest": ("最新判定", "newest corrections")}


def judge(rules: GateRules, sets: Mapping[str, Sequence[Paper]]) -> dict[str, Any]:
    """The verdict as JSON values.

    `passed`; `reasons`: each with `code`, `ok`, `zh`, `en`; `sets`: for each the figures of both, `better`, `worse` and `p`, the confusion
    of both and the texts that changed; `rules` that were asked.
    """
    reasons: list[dict[str, Any]] = []
    told: dict[str, Any] = {}
    for name, papers in sets.items():
        zh, en = SETS.get(name, (name, name))
        told[name] = _told(papers)
        if len(papers) < rules.least_texts:
            # Too few new corrections are no fault of the candidate; without a golden set nothing may pass.
            ok = name != "golden"
            need = rules.least_texts
            said = f"{zh}只有 {len(papers)} 条（至少 {need} 条），不作判断", f"{en}: {len(papers)} texts (at least {need}) decide nothing"
            reasons.append(_reason(f"{name}_too_few", ok, *said))
            continue
        reasons.append(_overall(rules, name, papers))
        reasons += _classes(rules, name, papers)
        reasons += _channels(rules, name, papers)
    # What speaks against it first.
    reasons.sort(key=lambda reason: bool(reason["ok"]))
    return {
        "passed": all(reason["ok"] for reason in reasons),
        "reasons": reasons,
        "sets": told,
        "rules": {
            "significance": rules.significance,
            "margin": rules.margin,
            "most_drop": rules.most_drop,
            "least_texts": rules.least_texts,
            "floors": {name.value: floor for name, floor in rules.floors.items()},
        },
    }


def chance(better: int, worse: int) -> float:
    """How likely at least so many of the texts that differ are worse where both are equally good (exact sign test, one-sided)."""
    total = better + worse
    return float(sum(math.comb(total, many) for many in range(worse, total + 1)) / 2**total)


def _overall(rules: GateRules, name: str, papers: Sequence[Paper]) -> dict[str, Any]:
    zh, en = SETS.get(name, (name, name))
    was, now = _right(papers, "champion"), _right(papers, "candidate")
    better, worse = _differing(papers)
    p = chance(better, worse)
    drop = (was - now) / len(papers)
    ok = drop <= rules.margin + 1e-9 and not (worse > better and p < rules.significance)
    zh_said = "不差于现用模型" if ok else "差于现用模型"
    figures = f"{was / len(papers):.1%} → {now / len(papers):.1%}"
    return _reason(
        f"{name}_overall",
        ok,
        f"{zh} {len(papers)} 条：正确率 {figures}，改对 {better} 条、改错 {worse} 条（p={p:.3f}）：{zh_said}",
        f"{en}, {len(papers)} texts: right {figures}, {better} mended, {worse} spoilt (p={p:.3f}): {'not worse' if ok else 'worse'}",
    )


def _classes(rules: GateRules, name: str, papers: Sequence[Paper]) -> list[dict[str, Any]]:
    zh, en = SETS.get(name, (name, name))
    reasons = []
    for klass in ComplaintClass:
        own = [paper for paper in papers if paper.label is klass]
        if not own:
            continue
        was, now = _right(own, "champion") / len(own), _right(own, "candidate") / len(own)
        better, worse = _differing(own)
        floor = rules.floors.get(klass, 0.0)
        low = now < floor and worse > better
        # Among few texts one more or less is chance.
        fell = was - now > rules.most_drop + 1e-9 and worse - better >= 3
        if low or fell:
            zh_why = f"低于下限 {floor:.0%}" if low else f"下降超过 {rules.most_drop:.0%}"
            en_why = f"below the floor of {floor:.0%}" if low else f"fell by more than {rules.most_drop:.0%}"
            said = (
                f"{zh}中“{klass.zh}”（{len(own)} 条）识别率 {was:.1%} → {now:.1%}，{zh_why}",
                f"{en}, {klass.value.replace('_', ' ')} ({len(own)} texts): found {was:.1%} → {now:.1%}, {en_why}",
            )
            reasons.append(_reason(f"{name}_class_{klass.value}", False, *said))
    if not reasons:
        reasons.append(_reason(f"{name}_classes", True, f"{zh}：各类识别率均未越过下限", f"{en}: no class is below its floor"))
    return reasons


def _channels(rules: GateRules, name: str, papers: Sequence[Paper]) -> list[dict[str, Any]]:
    """What one channel teaches must not spoil the others, whatever all together say."""
    zh, en = SETS.get(name, (name, name))
    reasons = []
    for channel in sorted({paper.channel for paper in papers}):
        own = [paper for paper in papers if paper.channel == channel]
        was, now = _right(own, "champion") / len(own), _right(own, "candidate") / len(own)
        better, worse = _differing(own)
        if was - now > rules.most_drop + 1e-9 and worse - better >= 3:
            said = (
                f"{zh}中渠道 {channel}（{len(own)} 条）正确率 {was:.1%} → {now:.1%}，下降超过 {rules.most_drop:.0%}",
                f"{en}, channel {channel} ({len(own)} texts): right {was:.1%} → {now:.1%}, fell by more than {rules.most_drop:.0%}",
            )
            reasons.append(_reason(f"{name}_channel_{channel}", False, *said))
    return reasons


def _told(papers: Sequence[Paper]) -> dict[str, Any]:
    better, worse = _differing(papers)
    changed = [paper for paper in papers if paper.champion is not paper.candidate]
    # What became worse first: that is what a person wants to see.
    changed.sort(key=lambda paper: (paper.candidate is paper.label, paper.champion is not paper.label, paper.key))
    return {
        "texts": len(papers),
        "better": better,
        "worse": worse,
        "p": round(chance(better, worse), 4),
        "champion": _figures(papers, "champion"),
        "candidate": _figures(papers, "candidate"),
        "changed_count": len(changed),
        "changed": [
            {"key": one.key, "channel": one.channel, "label": one.label.value, "was": one.champion.value, "is": one.candidate.value}
            for one in changed[:_MOST_CHANGED]
        ],
    }


def _figures(papers: Sequence[Paper], who: str) -> dict[str, Any]:
    order = list(ComplaintClass)
    confusion = [[0] * len(order) for _ in order]
    for paper in papers:
        confusion[order.index(paper.label)][order.index(getattr(paper, who))] += 1
    channels: dict[str, Any] = {}
    for channel in sorted({paper.channel for paper in papers}):
        own = [paper for paper in papers if paper.channel == channel]
        channels[channel] = {"texts": len(own), "accuracy": round(_right(own, who) / len(own), 4)}
    return {
        "accuracy": round(_right(papers, who) / len(papers), 4) if papers else None,
        "found": {
            klass.value: round(confusion[row][row] / sum(confusion[row]), 4) for row, klass in enumerate(order) if sum(confusion[row])
        },
        "channels": channels,
        "confusion": confusion,
    }


def _right(papers: Sequence[Paper], who: str) -> int:
    return sum(getattr(paper, who) is paper.label for paper in papers)


def _differing(papers: Sequence[Paper]) -> tuple[int, int]:
    """How many texts the candidate alone has right, and how many the champion alone."""
    better = sum(paper.candidate is paper.label is not paper.champion for paper in papers)
    worse = sum(paper.champion is paper.label is not paper.candidate for paper in papers)
    return better, worse


def _reason(code: str, ok: bool, zh: str, en: str) -> dict[str, Any]:
    return {"code": code, "ok": ok, "zh": zh, "en": en}
