"""The plan file: departments, handling steps, due times and escalation, per class and risk (预案 三, 4.3).

A company edits it; it is checked whole at the start, and every assignment records the version under which it was made (预案 八).
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from gateway.gate import GateRules
from models.assignment import Priority
from models.errors import BadSetting
from models.status import StatusCode
from models.verdict import ComplaintClass, Risk


@dataclass(frozen=True, slots=True)
class Department:
    """A department that can be given complaints."""

    code: str
    name: str
    name_en: str
    head: str


@dataclass(frozen=True, slots=True)
class Handling:
    """Who handles a kind of complaint, in which steps; hours count from the receipt."""

    department: str
    steps: tuple[str, ...]
    reply_hours: float
    resolve_hours: float
    escalate_to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RiskHandling:
    """What a risk changes: at least this priority, a reply within these hours, and who else must know."""

    priority: Priority
    reply_hours: float
    escalate_to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan in force. `sha256` and `body` are of the file's text."""

    version: str
    departments: Mapping[str, Department]
    classes: Mapping[ComplaintClass, Handling]
    review: Handling
    risks: Mapping[Risk, RiskHandling]
    estates: tuple[str, ...]
    gate: GateRules
    # With these statuses a complaint is closed at once; with all others it waits for the customer's word (预案 4.4).
    closes_at_once: frozenset[StatusCode]
    sha256: str
    body: str


def shipped_text() -> str:
    """The plan that ships."""
    return resources.files("gateway").joinpath("plan.toml").read_text("utf-8")


def load(path: Path | None) -> Plan:
    """The plan of this file, or the shipped one. Raises `BadSetting`, which names the key and the remedy."""
    if path is None:
        return parse(shipped_text())
    try:
        return parse(path.read_text("utf-8"))
    except FileNotFoundError:
        raise BadSetting("plan.file", f"找不到预案文件 {path}", f"there is no plan file {path}") from None
    except UnicodeDecodeError:
        raise BadSetting("plan.file", f"{path} 不是 UTF-8 文本，请另存为 UTF-8", f"{path} is not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise BadSetting("plan.file", f"读不了 {path}（{error.strerror}）", f"{path} cannot be read ({error.strerror})") from None


def parse(text: str) -> Plan:
    """The plan that a text spells, checked whole."""
    try:
        tree = _Node("plan", tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise BadSetting("plan.file", f"不是有效的 TOML（{error}）", f"is not valid TOML ({error})") from None
    tree.only("version", "estates", "departments", "classes", "review", "risks", "gate", "closing")
    version = tree.text("version")
    if len(version) > 64:
        raise tree.wrong("version", f"“{version}” 太长，最多 64 字", f"'{version}' is too long; 64 characters at most")
    departments = {}
    for code in tree.node("departments").value:
        node = tree.node("departments").node(code)
        if len(code) > 64:
            raise tree.wrong("departments", f"部门代码 “{code}” 太长，最多 64 字", f"the code '{code}' is too long; 64 characters at most")
        node.only("name", "name_en", "head")
        departments[code] = Department(code, node.text("name"), node.text("name_en", code), node.text("head", ""))
    classes = tree.node("classes")
    classes.only(*ComplaintClass)
    risks = tree.node("risks")
    risks.only(*Risk)
    return Plan(
        version=version,
        departments=departments,
        classes={klass: _handling(classes.node(klass.value), departments) for klass in ComplaintClass},
        review=_handling(tree.node("review"), departments),
        risks={risk: _risk(risks.node(risk.value), departments) for risk in Risk},
        estates=tree.texts("estates", default=()),
        # Plans written before there was a gate do not have it.
        gate=_gate(tree.node("gate") if "gate" in tree.value else _Node("plan.gate", {})),
        closes_at_once=_closing(tree.node("closing")) if "closing" in tree.value else frozenset(),
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        body=text,
    )


def _handling(node: _Node, departments: Mapping[str, Department]) -> Handling:
    node.only("department", "steps", "reply_hours", "resolve_hours", "escalate_to")
    reply, resolve = node.hours("reply_hours"), node.hours("resolve_hours")
    if resolve < reply:
        raise node.wrong(
            "resolve_hours", f"“{resolve:g}” 小于 reply_hours（{reply:g}）", f"'{resolve:g}' is less than reply_hours ({reply:g})"
        )
    steps = node.texts("steps")
    if not steps:
        raise node.wrong("steps", "至少写一步", "name at least one step")
    return Handling(node.department("department", departments), steps, reply, resolve, node.departments("escalate_to", departments))


def _risk(node: _Node, departments: Mapping[str, Department]) -> RiskHandling:
    node.only("priority", "reply_hours", "escalate_to")
    priority = node.text("priority")
    if priority not in list(Priority):
        allowed = ", ".join(Priority)
        raise node.wrong("priority", f"“{priority}” 不行，应为 {allowed} 之一", f"'{priority}' will not do: must be one of {allowed}")
    return RiskHandling(Priority(priority), node.hours("reply_hours"), node.departments("escalate_to", departments))


def _closing(node: _Node) -> frozenset[StatusCode]:
    node.only("at_once")
    for name in node.texts("at_once"):
        if name not in (StatusCode.RESOLVED, StatusCode.REJECTED):
            raise node.wrong("at_once", f"“{name}” 不行，应为 resolved 或 rejected", f"'{name}' will not do: must be resolved or rejected")
    return frozenset(map(StatusCode, node.texts("at_once")))


def _gate(node: _Node) -> GateRules:
    node.only("significance", "margin", "most_drop", "least_texts", "floors")
    usual = GateRules()
    least = node.share("least_texts", usual.least_texts, most=10_000)
    if least != int(least) or least < 1:
        raise node.wrong(
            "least_texts", f"“{least:g}” 不行，应为 1–10000 的整数", f"'{least:g}' will not do: a whole number from 1 to 10000"
        )
    floors = node.node("floors") if "floors" in node.value else _Node(f"{node.key}.floors", {})
    floors.only(*ComplaintClass)
    return GateRules(
        significance=node.share("significance", usual.significance),
        margin=node.share("margin", usual.margin),
        most_drop=node.share("most_drop", usual.most_drop),
        least_texts=int(least),
        floors={klass: floors.share(klass.value, 0.0) for klass in ComplaintClass},
    )


@dataclass(frozen=True, slots=True)
class _Node:
    """A table of the plan file that knows its own key, so that every error can name it."""

    key: str
    value: Mapping[str, Any]

    def wrong(self, name: str, zh: str, en: str) -> BadSetting:
        return BadSetting(f"{self.key}.{name}", zh, en, code="bad_plan")

    def only(self, *names: str) -> None:
        for name in self.value:
            if name not in names:
                allowed = ", ".join(names)
                raise self.wrong(name, f"预案中没有这一项；这里可以写：{allowed}", f"there is no such key; here you may write: {allowed}")

    def node(self, name: str) -> _Node:
        value = self.value.get(name)
        if value is None:
            raise self.wrong(name, f"缺少这一节，请补写 [{self._path(name)}]", f"is missing; add a section [{self._path(name)}]")
        if not isinstance(value, dict):
            raise self.wrong(name, f"应为一节，写作 [{self._path(name)}]", f"must be a section, written [{self._path(name)}]")
        return _Node(f"{self.key}.{name}", value)

    def _path(self, name: str) -> str:
        return f"{self.key}.{name}".removeprefix("plan.")

    def text(self, name: str, default: str | None = None) -> str:
        value = self.value.get(name, default)
        if value is None:
            raise self.wrong(name, f'缺少这一项，请补写 {name} = "…"', f'is missing; add {name} = "…"')
        if not isinstance(value, str) or (default is None and not value.strip()):
            raise self.wrong(
                name, f"“{value}” 不行，应为非空文字，请加引号", f"'{value}' will not do: must be text that is not empty, in quotes"
            )
        return value

    def texts(self, name: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        value = self.value.get(name, default)
        if value is None:
            raise self.wrong(name, f'缺少这一项，请补写 {name} = ["…"]', f'is missing; add {name} = ["…"]')
        if not isinstance(value, (list, tuple)) or not all(isinstance(entry, str) and entry.strip() for entry in value):
            raise self.wrong(name, f'“{value}” 不行，应为文字列表，例如 ["甲", "乙"]', f"'{value}' will not do: must be a list of texts")
        return tuple(value)

    def hours(self, name: str) -> float:
        value = self.value.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 24 * 366:
            raise self.wrong(
                name, f"“{value}” 不行，应为 0 以上、8784 以下的小时数", f"'{value}' will not do: must be hours above 0 and up to 8784"
            )
        return float(value)

    def share(self, name: str, usual: float, most: float = 1) -> float:
        value = self.value.get(name, usual)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
            raise self.wrong(
                name, f"“{value}” 不行，应为 0 到 {most:g} 之间的数", f"'{value}' will not do: must be a number from 0 to {most:g}"
            )
        return float(value)

    def department(self, name: str, departments: Mapping[str, Department]) -> str:
        return self._known(name, self.text(name), departments)

    def departments(self, name: str, departments: Mapping[str, Department]) -> tuple[str, ...]:
        return tuple(self._known(name, code, departments) for code in self.texts(name))

    def _known(self, name: str, code: str, departments: Mapping[str, Department]) -> str:
        if code not in departments:
            known = ", ".join(departments)
            raise self.wrong(
                name,
                f"没有部门 “{code}”；请在 [departments.{code}] 中添加，或改为 {known} 之一",
                f"there is no department '{code}'; add [departments.{code}] or use one of {known}",
            )
        return code
