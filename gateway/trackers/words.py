"""What stands in tickets: for people, in Chinese, with a mark of ours in the last line by which a second copy is known."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from gateway.trackers.base import Case
from models.delivery import EventType

# Only a line of its own at the very end is ours: a customer's words, or a reply that quotes us, never end a text of ours.
_MARK = re.compile(r"(?:\A|\n)\[jiesu ([\w .:-]{1,400}) r(\d{1,6})\]\s*\Z")
_PRIORITIES = {"normal": "普通", "high": "高", "urgent": "紧急"}
_RISKS = {"safety": "人身安全", "legal": "法律纠纷", "reputation": "声誉", "churn": "退房流失"}
_FIELDS = {"name": "姓名", "phone": "电话", "email": "邮箱", "estate": "楼盘", "unit": "房号"}
_MISSING = {**_FIELDS, "contact": "联系方式"}
_OUTCOMES = {"resolved": "已解决", "rejected": "不予支持"}
_BY = {"customer": "顾客", "staff": "员工", "tracker": "本系统", "plan": "预案"}
_MOST_SUBJECT = 120


def mark(told: str, round_: int) -> str:
    """The last line of what we write."""
    return f"[jiesu {told} r{round_}]"


def own(text: str) -> tuple[str, int] | None:
    """What a mark in the last line says, and of which round; None where somebody else wrote the text."""
    found = _MARK.search(text.replace("\r\n", "\n"))
    return (found[1], int(found[2])) if found else None


def marks(texts: Sequence[str]) -> set[str]:
    """Everything that marks in these texts name."""
    return {word for text in texts if (found := own(text)) for word in found[0].split(" ")}


def key_line(case: Case) -> str:
    """The line of a ticket by which it is known as ours where it has no field for the key: numbers alone may be another installation's."""
    return f"jiesu-key {case.key}"


def link(case: Case) -> str:
    """Where people see the whole complaint: on the console, and not by the API's address, which wants a token."""
    return str(case.data.get("links", {}).get("self", "")).replace("/api/v1/complaints/", "/console/complaints/")


def whole(case: Case, text: str) -> str:
    """What a ticket is made with: `text`, where the rest of it is, our key and mark."""
    return f"{text}\n\n{link(case)}\n\n{key_line(case)}\n{mark(case.webhook_id, case.round)}"


def block(text: str, markup: str) -> str:
    """Text as a block that is shown as it is, by a markup: nothing in it becomes a picture, a link, a heading or a macro.

    markup: textile, markdown, jira, or plain for systems that show what is written.
    """
    if markup == "textile":
        # What would end the block is told apart by a mark that nobody sees.
        return "<pre>\n" + re.sub(r"<(/?\s*pre)", "<\u200b\\1", text, flags=re.IGNORECASE) + "\n</pre>"
    if markup == "markdown":
        fence = "`" * max([3, *(len(found) + 1 for found in re.findall("`{3,}", text))])
        return f"{fence}\n{text}\n{fence}"
    if markup == "jira":
        return "{noformat}\n" + re.sub(r"\{(noformat)", "{\u200b\\1", text, flags=re.IGNORECASE) + "\n{noformat}"
    return text


def subject(case: Case) -> str:
    """The number, by which people speak of it, and one line."""
    return f"[{case.number}] {_line(case.data.get('summary', ''))}"[:_MOST_SUBJECT]


def description(case: Case) -> str:
    """The whole ticket as text, without mark and link."""
    data = case.data
    lines = [f"投诉编号：{case.number}（第 {case.round} 次处理）", *_sorting(case)]
    customer = "，".join(f"{_FIELDS[key]} {_line(value)}" for key, value in data.get("customer", {}).items() if key in _FIELDS)
    lines.append(f"顾客：{customer or '未知'}")
    if data.get("missing"):
        lines.append("缺少：" + "、".join(_MISSING.get(key, key) for key in data["missing"]))
    if data.get("call_back"):
        lines.append(f"须回电：{_line(data['call_back'])}")
    if data.get("title"):
        lines.append(f"标题：{_line(data['title'])}")
    lines += ["内容：", str(data.get("matter", "")) + _cut(data.get("matter_truncated"))]
    if data.get("attachments"):
        lines.append("附件：" + "、".join(_line(one.get("filename", "")) for one in data["attachments"]))
    if data.get("steps"):
        lines += ["处理步骤：", *(f"{place}. {step}" for place, step in enumerate(data["steps"], 1))]
    return "\n".join(lines)


def note(case: Case, *, moved_away: bool) -> str:
    """What an event adds to a ticket that is there. `moved_away`: it no longer concerns this endpoint."""
    data, kind = case.data, case.type
    if kind is EventType.CLOSED:
        outcome = str(data.get("outcome", ""))
        return f"接诉已办结：{_OUTCOMES.get(outcome, outcome)}（由{_BY.get(data.get('closed_by', ''), '')}办结）。"
    if kind is EventType.CUSTOMER_RATED:
        satisfied = "满意" if data.get("satisfied") else "不满意"
        return _joined(f"顾客评价：{data.get('rating')} 分（5 分为最满意），{satisfied}。", data.get("comment"))
    if kind is EventType.ERASED:
        why = "顾客要求删除" if data.get("reason") == "person_asked" else "保存期已满"
        return f"顾客信息已在接诉中删除（{why}）。请一并删除本工单中的顾客信息和附件。"
    if kind is EventType.REOPENED:
        by = _BY.get(data.get("reopened_by", ""), "")
        head = f"重新处理：第 {case.round} 次（由{by}重开）。"
        return "\n".join([_joined(head, data.get("opinion") or data.get("new_message")), *_sorting(case)])
    if moved_away:
        return _joined("此投诉已改派，不再归本处处理。", None) + "\n" + "\n".join(_sorting(case))
    added = str(data.get("new_message", "")) + _cut(data.get("new_message_truncated"))
    if kind is EventType.REROUTED:
        return "\n".join(["分派有变：", *_sorting(case), *([f"顾客补充：\n{added}"] if added.strip() else [])])
    return f"顾客补充：\n{added}" if added.strip() else "顾客有补充，没有文字；请看附件。"


def files_note(taken: Sequence[str], refused: Mapping[str, str]) -> str:
    """The note that comes with files: those that are here, and those that are not, each with the reason."""
    lines = []
    if taken:
        lines.append("顾客的附件：" + "、".join(map(_line, taken)))
    lines += [f"未能上传 {_line(name)}：{why}。请从接诉下载。" for name, why in refused.items()]
    return "\n".join(lines)


def _sorting(case: Case) -> list[str]:
    """What was decided about it."""
    data = case.data
    department = data.get("department", {})
    lines = [
        f"类别：{data.get('class_name', '')}",
        f"责任部门：{_line(department.get('name', ''))}",
        f"优先级：{_PRIORITIES.get(data.get('priority', ''), data.get('priority', ''))}",
        f"最迟答复：{_local(data.get('reply_due'), case)}，最迟解决：{_local(data.get('resolve_due'), case)}",
    ]
    if data.get("risk"):
        lines.append("风险：" + "、".join(_RISKS.get(name, name) for name in data["risk"]))
    if data.get("escalate_to"):
        lines.append("须知会：" + "、".join(map(_line, data["escalate_to"])))
    return lines


def _local(spelt: Any, case: Case) -> str:
    try:
        return datetime.fromisoformat(str(spelt)).astimezone(case.zone).strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return ""


def _joined(head: str, words: Any) -> str:
    return f"{head}\n{words}" if isinstance(words, str) and words.strip() else head


def _line(text: Any) -> str:
    return " ".join(str(text).split())


def _cut(truncated: Any) -> str:
    return "……（已截短，全文见链接）" if truncated else ""
