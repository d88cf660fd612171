"""An assignment: which department must act, in which steps, how soon, by which rule and under which version of the plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Priority(StrEnum):
    """How urgent a complaint is."""

    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who must do what by when (预案 4.2, 4.3).

    rule:         code of the routing rule that decided, from the closed list in `gateway/rules.py`.
    reply_due:    when the customer must have heard from the department; aware, UTC.
    resolve_due:  when the matter should be settled; aware, UTC.
    plan_version: the version of the plan file under which this was decided (预案 八).
    """

    department: str
    department_name: str
    steps: tuple[str, ...]
    priority: Priority
    reply_due: datetime
    resolve_due: datetime
    escalate_to: tuple[str, ...]
    rule: str
    reason: str
    plan_version: str
