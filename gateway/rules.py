"""Routing: which rule decides who must act. Rules only decide; the plan says what follows (预案 4.2, 4.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.plan import Handling, Plan
from models.assignment import Assignment, Priority
from models.verdict import ComplaintClass, Decision, Risk, Verdict


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the rules may look at."""

    verdict: Verdict
    said_nothing: bool
    machine: bool
    mailing_list: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A named rule: when it applies, whose handling of the plan it picks, and a sentence for people."""

    code: str
    applies: Callable[[Facts], bool]
    handling: Callable[[Plan, Facts], Handling]
    zh: str


def _review(plan: Plan, _facts: Facts) -> Handling:
    return plan.review


def _of_class(plan: Plan, facts: Facts) -> Handling:
    return plan.classes[facts.verdict.primary]


def _of_quality(plan: Plan, _facts: Facts) -> Handling:
    return plan.classes[ComplaintClass.PRODUCT_QUALITY]


# The first rule that applies decides.
RULES: tuple[Rule, ...] = (
    # Staff has said what it is: straight to the responsible department, whatever the model thinks.
    Rule("by_person", lambda f: f.verdict.decision is Decision.PERSON, _of_class, "客服已判定类别，转责任部门"),
    # A failed recognition, an empty mail: somebody has to ring or write back (预案 4.1).
    Rule("nothing_said", lambda f: f.said_nothing, _review, "没有可读的内容，请客服回电或回信询问"),
    # Through a list both people and newsletters come.
    Rule("mailing_list", lambda f: f.mailing_list, _review, "经邮件列表发来，由客服确认是否投诉"),
    # A machine's mail is kept and shown, but no department is made to act on it before a person has looked.
    Rule("machine_mail", lambda f: f.machine, _review, "自动发出的邮件，由客服确认是否投诉"),
    # Danger to life that may come from the building does not wait for a class: the project manager goes at once.
    Rule(
        "danger_first",
        lambda f: (
            Risk.SAFETY in f.verdict.risk
            and f.verdict.decision is Decision.REVIEW
            and ComplaintClass.PRODUCT_QUALITY in f.verdict.candidates
        ),
        _of_quality,
        "涉及人身安全，先由工程部门到场，类别待客服确认",
    ),
    # The model is not sure: a person chooses between the two likeliest classes (预案 4.2).
    Rule("unsure", lambda f: f.verdict.decision is Decision.REVIEW, _review, "分类把握不足，由客服在两个可能的类别中判定"),
    # The model is sure: straight to the responsible department (预案 4.3).
    Rule("by_class", lambda _f: True, _of_class, "按类别转责任部门"),
)

_RANK = {Priority.NORMAL: 0, Priority.HIGH: 1, Priority.URGENT: 2}


def urgency(priority: Priority) -> int:
    """0 for normal, 1 for high, 2 for urgent."""
    return _RANK[priority]


def assign(facts: Facts, plan: Plan, received_at: datetime) -> Assignment:
    """The assignment that rules and plan make of a verdict. Due times count from `received_at`."""
    rule = next(rule for rule in RULES if rule.applies(facts))
    handling = rule.handling(plan, facts)
    risks = [plan.risks[risk] for risk in facts.verdict.risk]
    priority = max((risk.priority for risk in risks), key=_RANK.__getitem__, default=Priority.NORMAL)
    reply_hours = min([handling.reply_hours, *(risk.reply_hours for risk in risks)])
    told = dict.fromkeys([*handling.escalate_to, *(code for risk in risks for code in risk.escalate_to)])
    told.pop(handling.department, None)
    return Assignment(
        department=handling.department,
        department_name=plan.departments[handling.department].name,
        steps=handling.steps,
        priority=priority,
        reply_due=received_at + timedelta(hours=reply_hours),
        resolve_due=received_at + timedelta(hours=handling.resolve_hours),
        escalate_to=tuple(told),
        rule=rule.code,
        reason=rule.zh,
        plan_version=plan.version,
    )
