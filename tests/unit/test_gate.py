"""The gate's verdict, case by case."""

from __future__ import annotations

import json

import pytest

from gateway import gate, plan
from gateway.gate import GateRules, Paper
from models.errors import BadSetting
from models.verdict import ComplaintClass

Q, S, C, P, _ = ComplaintClass


def papers(*rows: tuple[int, ComplaintClass, ComplaintClass, ComplaintClass], channel: str = "email") -> list[Paper]:
    """So many texts of a label that the champion and the candidate answer so."""
    return [
        Paper(f"{channel}{place}-{number}", channel, label, was, now)
        for place, (count, label, was, now) in enumerate(rows)
        for number in range(count)
    ]


def failing(verdict: dict) -> list[str]:
    return [reason["code"] for reason in verdict["reasons"] if not reason["ok"]]


GOOD = papers((40, Q, Q, Q), (40, C, C, C), (40, P, P, P))


@pytest.mark.parametrize(("better", "worse", "p"), [(0, 0, 1.0), (5, 0, 1.0), (0, 5, 1 / 32), (2, 3, 0.5), (1, 9, 11 / 1024)])
def test_the_sign_test_is_exact(better: int, worse: int, p: float) -> None:
    assert gate.chance(better, worse) == pytest.approx(p)


def test_an_equal_candidate_passes_and_a_better_one_too() -> None:
    assert gate.judge(GateRules(), {"golden": GOOD})["passed"]
    verdict = gate.judge(GateRules(), {"golden": GOOD + papers((10, S, C, S))})
    assert verdict["passed"]
    assert verdict["sets"]["golden"]["better"] == 10
    assert json.loads(json.dumps(verdict)) == verdict


def test_significantly_worse_is_rejected_however_many_texts_there_are() -> None:
    # Half a per cent worse, which is within the margin; but all that differ are worse.
    many = papers((1000, Q, Q, Q), (995, C, C, C), (8, P, P, C), (992, P, P, P))
    assert failing(gate.judge(GateRules(margin=0.05), {"golden": many})) == ["golden_overall"]


def test_worse_by_more_than_the_margin_is_rejected_even_where_it_may_be_chance() -> None:
    few = papers((100, Q, Q, Q), (6, C, C, P), (74, C, C, C), (3, P, C, P), (50, P, P, P))
    verdict = gate.judge(GateRules(), {"golden": few})
    assert failing(verdict) == ["golden_overall"]
    assert verdict["sets"]["golden"]["p"] > 0.05
    assert gate.judge(GateRules(margin=0.05), {"golden": few})["passed"]


def test_one_class_may_not_pay_for_the_others() -> None:
    traded = GOOD + papers((12, S, Q, S)) + papers((8, C, C, P))
    verdict = gate.judge(GateRules(), {"golden": traded})
    assert failing(verdict) == ["golden_class_contract"]
    assert "合同问题" in verdict["reasons"][0]["zh"]
    assert "contract" in verdict["reasons"][0]["en"]


def test_a_floor_of_the_plan_holds_where_the_champion_was_above_it() -> None:
    low = GOOD + papers((12, S, S, S), (2, S, S, C), (6, S, C, C), (20, P, C, P))
    rules = GateRules(most_drop=0.5, floors={S: 0.7})
    assert failing(gate.judge(rules, {"golden": low})) == ["golden_class_service_attitude"]
    assert gate.judge(GateRules(most_drop=0.5, floors={S: 0.5}), {"golden": low})["passed"]
    # What was low before and has not fallen is no reason.
    assert gate.judge(rules, {"golden": GOOD + papers((5, S, S, S), (20, S, C, C))})["passed"]


def test_one_channel_may_not_pay_for_the_others() -> None:
    traded = GOOD + papers((10, S, Q, S)) + papers((20, Q, Q, Q), (4, C, C, P), (4, P, P, C), channel="chat")
    assert "golden_channel_chat" in failing(gate.judge(GateRules(most_drop=0.2), {"golden": traded}))


def test_too_few_new_corrections_decide_nothing_but_nothing_passes_without_a_golden_set() -> None:
    assert gate.judge(GateRules(), {"golden": GOOD, "newest": papers((5, Q, Q, C))})["passed"]
    assert failing(gate.judge(GateRules(), {"golden": GOOD[:5]})) == ["golden_too_few"]


def test_the_newest_corrections_count_by_themselves() -> None:
    worse = papers((30, Q, Q, Q), (6, C, C, P))
    assert "newest_overall" in failing(gate.judge(GateRules(), {"golden": GOOD, "newest": worse}))


def test_changed_texts_are_shown_the_spoilt_ones_first() -> None:
    changed = gate.judge(GateRules(), {"golden": GOOD + papers((3, S, C, S), (1, S, S, C), (2, S, P, C))})["sets"]["golden"]
    assert changed["changed_count"] == 6
    assert (changed["changed"][0]["was"], changed["changed"][0]["is"]) == ("service_attitude", "contract")
    assert changed["candidate"]["confusion"][1][1] == 3


def test_the_plan_sets_the_rules_and_a_plan_from_before_has_the_usual_ones() -> None:
    shipped = plan.parse(plan.shipped_text())
    assert shipped.gate.floors[Q] == 0.8
    before = plan.shipped_text().partition("# 把关")[0]
    assert plan.parse(before).gate == GateRules(floors=dict.fromkeys(ComplaintClass, 0.0))


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("margin = 2", "plan.gate.margin"),
        ('margin = "viel"', "plan.gate.margin"),
        ("least_texts = 0", "plan.gate.least_texts"),
        ("least_texts = 2.5", "plan.gate.least_texts"),
        ("marge = 0.1", "plan.gate.marge"),
        ("[gate.floors]\nprice = -1", "plan.gate.floors.price"),
        ("[gate.floors]\npreis = 0.5", "plan.gate.floors.preis"),
    ],
)
def test_a_wrong_rule_is_named_with_its_key(line: str, key: str) -> None:
    before = plan.shipped_text().partition("# 把关")[0]
    with pytest.raises(BadSetting) as caught:
        plan.parse(f"{before}\n[gate]\n{line}\n")
    assert key in str(caught.value)
    assert caught.value.zh
    assert caught.value.en
