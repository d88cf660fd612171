"""What people read in a notice: number, class, department, estate, priority and times; never a name, a phone, a unit or a text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gateway.plan import Department
from models.notice import Notice, NoticeKind, TellOutcome, Term
from models.verdict import ComplaintClass

# What stands first where not all can be told in full.
_ORDER = (
    NoticeKind.RISK,
    NoticeKind.GROUP,
    NoticeKind.OVERDUE,
    NoticeKind.UNEXPLAINED,
    NoticeKind.ENDPOINT_DISABLED,
    NoticeKind.ENDPOINT_FAILING,
    NoticeKind.PARKED,
    NoticeKind.MAILBOX_FAILING,
    NoticeKind.DUE_SOON,
    NoticeKind.ENDPOINT_BACK,
    NoticeKind.MAILBOX_BACK,
)
KINDS: Mapping[NoticeKind, tuple[str, str]] = {
    NoticeKind.DUE_SOON: ("即将到期", "due soon"),
    NoticeKind.OVERDUE: ("超期", "overdue"),
    NoticeKind.RISK: ("风险", "risk"),
    NoticeKind.GROUP: ("群诉", "group complaint"),
    NoticeKind.ENDPOINT_FAILING: ("接收方故障", "endpoint fails"),
    NoticeKind.ENDPOINT_DISABLED: ("接收方停用", "endpoint off"),
    NoticeKind.ENDPOINT_BACK: ("接收方恢复", "endpoint back"),
    NoticeKind.PARKED: ("任务搁置", "work put aside"),
    NoticeKind.UNEXPLAINED: ("对账不符", "unexplained"),
    NoticeKind.MAILBOX_FAILING: ("邮箱故障", "mailbox fails"),
    NoticeKind.MAILBOX_BACK: ("邮箱恢复", "mailbox back"),
}
_CLASSES: Mapping[str, str] = {
    ComplaintClass.PRODUCT_QUALITY: "product quality",
    ComplaintClass.SERVICE_ATTITUDE: "service attitude",
    ComplaintClass.CONTRACT: "contract",
    ComplaintClass.PRICE: "price",
    ComplaintClass.OTHER: "other",
}
_PRIORITIES = {"normal": ("普通", "normal"), "high": ("优先", "high"), "urgent": ("紧急", "urgent")}
_RISKS = {
    "safety": ("人身安全", "safety"),
    "legal": ("法律纠纷", "legal steps"),
    "reputation": ("舆情口碑", "reputation"),
    "churn": ("客户流失", "a customer lost"),
}
_TERMS = {Term.REPLY: ("答复", "reply"), Term.RESOLVE: ("办结", "settlement")}
_STEPS = {
    "intake": ("读取来件", "reading"),
    "triage": ("分类派单", "sorting"),
    "check_sender": ("核验发件人", "checking senders"),
    "deliver": ("投递", "delivery"),
    "answer": ("答复顾客", "answering"),
}
# Controls, and what turns the direction of text or cannot be seen; and what may be somebody's phone or number.
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]+")
_DIGITS = re.compile(r"\d{5,}")
_NAME_CHARS = 30


@dataclass(frozen=True, slots=True)
class Item:
    """One notice in words: title, lines of label and value, and where more is to be seen."""

    title: str
    facts: tuple[tuple[str, str], ...]
    link: str
    link_words: str


@dataclass(frozen=True, slots=True)
class Message:
    """What one message says. `heading` is empty where it tells one thing; `rest` where all is told in full."""

    preview: str
    heading: str
    items: tuple[Item, ...]
    rest: str = ""
    rest_link: str = ""
    rest_words: str = ""


def by_importance(notices: Sequence[Notice]) -> list[Notice]:
    """What is urgent first, then by kind, then the oldest."""
    return sorted(notices, key=lambda one: (not one.urgent, _ORDER.index(one.kind), one.id))


class NoticeWords:
    """Makes words of notices. `address`: of the web server as seen from outside."""

    def __init__(self, departments: Mapping[str, Department], zone: ZoneInfo, address: str) -> None:
        self._departments, self._zone, self._address = departments, zone, address

    def compose(
        self, notices: Sequence[Notice], language: str, now: datetime, most: int, fits: Callable[[Message], bool]
    ) -> Message:  # fmt: skip
        """One message of all: the most important in full, at most `most` and as many as fit, the others counted by kind."""
        ordered = by_importance(notices)
        shown = min(len(ordered), most)
        message = self._message(ordered, shown, language, now)
        while shown > 1 and not fits(message):
            shown -= 1
            message = self._message(ordered, shown, language, now)
        return message

    def _message(self, ordered: Sequence[Notice], shown: int, language: str, now: datetime) -> Message:
        zh = language == "zh"
        items = tuple(self.item(one, language, now) for one in ordered[:shown])
        if len(ordered) == 1:
            only = items[0]
            # The word that robots with a keyword are set up for stands in every message, whatever its language.
            title = f"【接诉】{only.title}"
            return Message(title, "", (Item(title, only.facts, only.link, only.link_words),))
        heading = f"【接诉】{len(ordered)} 条提醒" if zh else f"【接诉】{len(ordered)} notices"
        left = ordered[shown:]
        if not left:
            return Message(f"{heading}：{items[0].title}", heading, items)
        counted = Counter(one.kind for one in left)
        kinds = ("、" if zh else ", ").join(f"{KINDS[kind][not zh]} {counted[kind]}" for kind in _ORDER if counted[kind])
        rest = f"另有 {len(left)} 条：{kinds}。" if zh else f"And {len(left)} more: {kinds}."
        words = "在控制台查看全部" if zh else "see all in the console"
        return Message(f"{heading}：{items[0].title}", heading, items, rest, f"{self._address}/console/robots", words)

    def test(self, robot: str, language: str, words: str) -> Message:
        """A message that is about nothing."""
        zh = language == "zh"
        title = f"【接诉】测试：机器人 {robot} 可以发出提醒" if zh else f"【接诉】test: robot {robot} can tell people"
        item = Item(title, (("", words),), f"{self._address}/console/robots", "在控制台打开" if zh else "open in the console")
        return Message(title, "", (item,))

    # ---- One notice ------------------------------------------------------------------------------------------------------------------

    def item(self, notice: Notice, language: str, now: datetime) -> Item:
        """One notice in words."""
        zh = language == "zh"
        made: Mapping[NoticeKind, Callable[[Notice, bool, datetime], tuple[str, list[tuple[str, str]]]]] = {
            NoticeKind.DUE_SOON: self._due,
            NoticeKind.OVERDUE: self._due,
            NoticeKind.RISK: self._risk,
            NoticeKind.GROUP: self._group,
            NoticeKind.ENDPOINT_FAILING: self._endpoint,
            NoticeKind.ENDPOINT_DISABLED: self._endpoint,
            NoticeKind.ENDPOINT_BACK: self._endpoint,
            NoticeKind.PARKED: self._parked,
            NoticeKind.UNEXPLAINED: self._unexplained,
            NoticeKind.MAILBOX_FAILING: self._mailbox,
            NoticeKind.MAILBOX_BACK: self._mailbox,
        }
        title, facts = made[notice.kind](notice, zh, now)
        return Item(title, tuple(facts), self._address + self._path(notice), "在控制台打开" if zh else "open in the console")

    @staticmethod
    def _path(notice: Notice) -> str:
        if notice.number:
            return f"/console/complaints/{notice.number}"
        if notice.kind in (NoticeKind.MAILBOX_FAILING, NoticeKind.MAILBOX_BACK):
            return "/console/mailboxes"
        return {NoticeKind.PARKED: "/console/parked", NoticeKind.UNEXPLAINED: "/console/reconcile", NoticeKind.GROUP: "/console"}.get(
            notice.kind, "/console/endpoints"
        )

    def _due(self, notice: Notice, zh: bool, now: datetime) -> tuple[str, list[tuple[str, str]]]:
        facts, due = notice.facts, datetime.fromisoformat(notice.facts["due"])
        term = _TERMS[Term(facts["term"])][not zh]
        if notice.kind is NoticeKind.OVERDUE:
            span = self._span(max(now - due, timedelta(0)), zh)
            title = f"{notice.number} 未按期{term}，已超 {span}" if zh else f"{notice.number}: {term} overdue by {span}"
        elif now < due:
            span = self._span(due - now, zh)
            title = f"{notice.number} 还有 {span} 到{term}期限" if zh else f"{notice.number}: {term} due in {span}"
        else:
            # It waited until the term had ended.
            title = f"{notice.number} 已到{term}期限" if zh else f"{notice.number}: {term} was due"
        end = ("答复期限：", "办结期限：")[facts["term"] == Term.RESOLVE] if zh else f"{term} due: "
        return title, [*self._about(notice, zh), (end, self._time(due))]

    def _risk(self, notice: Notice, zh: bool, now: datetime) -> tuple[str, list[tuple[str, str]]]:
        risks = ("、" if zh else ", ").join(_RISKS.get(one, (one, one))[not zh] for one in notice.risks)
        title = f"{notice.number} 发现风险：{risks}" if zh else f"{notice.number}: risk found: {risks}"
        due = self._time(datetime.fromisoformat(notice.facts["reply_due"]))
        return title, [*self._about(notice, zh), ("答复期限：" if zh else "reply due: ", due)]

    def _group(self, notice: Notice, zh: bool, now: datetime) -> tuple[str, list[tuple[str, str]]]:
        facts, klass = notice.facts, self._class(notice, zh)
        estate, hours = self.name(notice.estate or ""), facts["hours"]
        title = (
            f"{estate} 出现群诉：{hours:g} 小时内 {facts['homes']} 户投诉{klass}"
            if zh
            else f"{estate}: {facts['homes']} homes complained of {klass} within {hours:g} hours"
        )
        numbers = ("、" if zh else ", ").join(facts["numbers"])
        return title, [
            ("责任部门：" if zh else "department: ", self._names(notice.departments[:1], zh)),
            ("投诉件数：" if zh else "complaints: ", str(facts["count"])),
            ("编号：" if zh else "numbers: ", numbers + (" …" if facts["count"] > len(facts["numbers"]) else "")),
        ]

    def _endpoint(self, notice: Notice, zh: bool, now: datetime) -> tuple[str, list[tuple[str, str]]]:
        facts, name = notice.facts, self.name(notice.subject)
        waiting = [("积压：" if zh else "waiting: ", str(facts["waiting"]))] if "waiting" in facts else []
        if notice.kind is NoticeKind.ENDPOINT_BACK:
            return (f"接收方 {name} 已恢复" if zh else f"endpoint {name} is well again"), waiting
        if notice.kind is NoticeKind.ENDPOINT_DISABLED:
            if facts.get("gone"):
                title = f"接收方 {name} 答复 410，已停用" if zh else f"endpoint {name} answered 410 and is switched off"
            else:
                title = f"接收方 {name} 已被人停用" if zh else f"a person switched endpoint {name} off"
            return title, [*waiting, ("处理：" if zh else "to do: ", "核实后在控制台启用" if zh else "switch it on once that is settled")]
        title = f"接收方 {name} 一直失败" if zh else f"endpoint {name} fails again and again"
        if no := facts.get("refused"):
            title = f"接收方 {name} 拒收 {no} 件投诉的事件" if zh else f"endpoint {name} refuses events of {no} complaints"
        since = self._time(datetime.fromisoformat(facts["since"]))
        code = f"{facts['code']} {facts.get('status') or ''}".strip()
        return title, [("开始：" if zh else "since: ", since), ("最近结果：" if zh else "last outcome: ", code), *waiting]

    def _parked(self, notice: Notice, zh: bool, now: datetime) -> tuple[str, list[tuple[str, str]]]:
        facts = notice.facts
        step = _STEPS.get(facts["step"], (facts["step"], facts["step"]))[not zh]
        title = f"{facts['count']} 个任务搁置：{step}" if zh else f"{facts['count']} jobs are put aside: {step}"
        rows = [("原因代码：" if zh else "reason: ", str(facts["code"]))]
        if facts.get("where"):
            rows.append(("接收方：" if zh else "endpoint: ", self.name(facts["where"])))
        return title, [*rows, ("处理：" if zh else "to do: ", "排除原因后放回" if zh else "mend the cause and put them back")]

    def _unexplained(self, notice: Notice, zh: bool, now: datetime) -> tuple[str, list[tuple[str, str]]]:
        facts = notice.facts
        title = f"对账发现 {facts['count']} 件去向不明" if zh else f"reconciliation: {facts['count']} cannot be accounted for"
        numbers = ("、" if zh else ", ").join(facts["numbers"])
        return title, [("编号：" if zh else "numbers: ", numbers)] if numbers else []

    def _mailbox(self, notice: Notice, zh: bool, now: datetime) -> tuple[str, list[tuple[str, str]]]:
        facts, name = notice.facts, self.name(notice.subject)
        if notice.kind is NoticeKind.MAILBOX_BACK:
            return (f"邮箱 {name} 已恢复收取" if zh else f"mailbox {name} can be looked into again"), []
        title = f"邮箱 {name} 收不到邮件" if zh else f"no mail can be had from mailbox {name}"
        rows = [("连续失败：" if zh else "failures in a row: ", str(facts["failures"]))]
        if facts.get("since"):
            rows.insert(0, ("开始：" if zh else "since: ", self._time(datetime.fromisoformat(facts["since"]))))
        return title, [*rows, ("原因代码：" if zh else "reason: ", str(facts.get("code") or "—"))]

    # ---- Parts -----------------------------------------------------------------------------------------------------------------------

    def _about(self, notice: Notice, zh: bool) -> list[tuple[str, str]]:
        rows = [("类别：" if zh else "class: ", self._class(notice, zh))]
        if notice.departments:
            rows.append(("责任部门：" if zh else "department: ", self._names(notice.departments[:1], zh)))
        if len(notice.departments) > 1:
            rows.append(("知会：" if zh else "also to know: ", self._names(notice.departments[1:], zh)))
        if notice.estate:
            rows.append(("楼盘：" if zh else "estate: ", self.name(notice.estate)))
        priority = str(notice.facts.get("priority") or "normal")
        rows.append(("优先级：" if zh else "priority: ", _PRIORITIES.get(priority, (priority, priority))[not zh]))
        return rows

    def _class(self, notice: Notice, zh: bool) -> str:
        if notice.klass is None:
            return "—"
        return ComplaintClass(notice.klass).zh if zh else _CLASSES[notice.klass]

    def _names(self, codes: Sequence[str], zh: bool) -> str:
        names = (self._departments.get(code) for code in codes)
        return ("、" if zh else ", ").join(
            code if one is None else one.name if zh else one.name_en for code, one in zip(codes, names, strict=True)
        )

    def _time(self, at: datetime) -> str:
        return at.astimezone(self._zone).strftime("%m-%d %H:%M")

    @staticmethod
    def name(text: str) -> str:
        """A name from outside as it may be shown: short, nothing hidden in it, and no long number, which may be somebody's."""
        text = " ".join(_HIDDEN.sub(" ", _DIGITS.sub("…", text)).split())
        return text if len(text) <= _NAME_CHARS else text[: _NAME_CHARS - 1] + "…"

    @staticmethod
    def _span(span: timedelta, zh: bool) -> str:
        minutes = max(1, round(span.total_seconds() / 60))
        if minutes < 120:
            return f"{minutes} 分钟" if zh else f"{minutes} minutes"
        hours = round(minutes / 60)
        if hours < 72:
            return f"{hours} 小时" if zh else f"{hours} hours"
        return f"{round(hours / 24)} 天" if zh else f"{round(hours / 24)} days"


def outcome_json(outcome: TellOutcome) -> dict[str, object]:
    """How a robot took a message, as JSON values."""
    return {
        "code": outcome.code.value,
        "status": outcome.status,
        "maker_code": outcome.maker_code,
        "zh": outcome.zh,
        "en": outcome.en,
        "said": outcome.said,
    }


def notice_json(notice: Notice, link: str) -> dict[str, Any]:
    """A notice for programs: webhooks and the API."""
    return {
        "id": f"ntc_{notice.id}",
        "kind": notice.kind.value,
        "at": notice.at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "subject": notice.subject,
        "number": notice.number or None,
        "departments": list(notice.departments),
        "class": notice.klass,
        "estate": NoticeWords.name(notice.estate) if notice.estate else None,
        "urgent": notice.urgent,
        "facts": dict(notice.facts),
        "link": link,
    }
