"""The ticket and the event: what a tracking system is told about a complaint, as JSON (docs/events.md)."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from classifiers.agent_conduct import conduct_of
from gateway.call_records import call_back_of
from gateway.store.complaints import ComplaintRow, MessageRow
from gateway.store.unread import Unread
from models.answer import Answer
from models.assignment import Assignment
from models.complaint import ComplaintState, Customer
from models.correction import Correction
from models.status import Status
from models.verdict import ComplaintClass, Decision, Reason, Risk, Verdict

# Standard Webhooks 1.0.0 wants payloads under 20 kB: so much of the matter goes along, the rest is behind the link.
MATTER_CHARS, _PAYLOAD_BYTES = 4000, 19_000
# Enough of a name to know it by.
_NAME_CHARS = 80
_SUMMARY_CHARS = 60


@dataclass(frozen=True, slots=True)
class Triaged:
    """A complaint with all that was decided about it just now."""

    complaint: ComplaintRow
    messages: Sequence[MessageRow]
    customer: Customer
    verdict: Verdict
    assignment: Assignment
    link: str
    installation: str


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """A verdict as JSON, for the store and for `jiesu classify`."""
    return {
        "primary": verdict.primary.value,
        "probabilities": {klass.value: round(p, 4) for klass, p in verdict.probabilities.items()},
        "secondary": [klass.value for klass in verdict.secondary],
        "decision": verdict.decision.value,
        "decision_code": verdict.decision_code,
        "candidates": [klass.value for klass in verdict.candidates],
        "risk": [risk.value for risk in verdict.risk],
        "reasons": [{"term": r.term, "weight": round(r.weight, 4), "spans": [list(span) for span in r.spans]} for r in verdict.reasons],
        "trained_model": verdict.trained_model,
    }


def verdict_of(body: Mapping[str, Any], customer: Customer) -> Verdict:
    """The verdict that `verdict_json` wrote; who complains is kept elsewhere."""
    return Verdict(
        primary=ComplaintClass(body["primary"]),
        probabilities={ComplaintClass(name): chance for name, chance in body["probabilities"].items()},
        secondary=tuple(map(ComplaintClass, body["secondary"])),
        decision=Decision(body["decision"]),
        decision_code=body["decision_code"],
        candidates=(ComplaintClass(body["candidates"][0]), ComplaintClass(body["candidates"][1])),
        risk=tuple(map(Risk, body["risk"])),
        reasons=tuple(Reason(one["term"], one["weight"], tuple((start, end) for start, end in one["spans"])) for one in body["reasons"]),
        customer=customer,
        trained_model=body["trained_model"],
    )


def assignment_json(assignment: Assignment) -> dict[str, Any]:
    """An assignment as JSON, for the store and the ticket."""
    return {
        "department": {"code": assignment.department, "name": assignment.department_name},
        "steps": list(assignment.steps),
        "priority": assignment.priority.value,
        "reply_due": iso(assignment.reply_due),
        "resolve_due": iso(assignment.resolve_due),
        "escalate_to": list(assignment.escalate_to),
        "rule": assignment.rule,
        "rule_reason": assignment.reason,
        "plan_version": assignment.plan_version,
    }


def ticket_json(triaged: Triaged) -> dict[str, Any]:
    """The ticket: who complains about what, how it was sorted and why, and who must act by when (预案 4.1–4.3)."""
    complaint = triaged.complaint
    matter = "\n".join(message.said for message in triaged.messages if message.said)
    return {
        "received_at": iso(complaint.received_at),
        "title": complaint.title[:200],
        "summary": summary_of(complaint.title, matter, to_call_back(triaged.messages)),
        "matter": matter[:MATTER_CHARS],
        "matter_truncated": len(matter) > MATTER_CHARS,
        "messages": len(triaged.messages),
        "attachments": attachments_json(triaged.link, [a for message in triaged.messages for a in message.parsed.get("attachments", [])]),
        **call_json(triaged.messages),
        "customer": {key: value[:_NAME_CHARS] for key, value in triaged.customer.found().items()},
        "missing": list(triaged.customer.missing()),
        **verdict_event_json(triaged.verdict),
        **assignment_json(triaged.assignment),
    }


def verdict_event_json(verdict: Verdict) -> dict[str, Any]:
    """A verdict as endpoints are told of it."""
    decided = verdict_json(verdict)
    return {
        "class": decided["primary"],
        "class_name": verdict.primary.zh,
        "confidence": decided["probabilities"][decided["primary"]],
        **{key: decided[key] for key in ("probabilities", "secondary", "decision", "candidates", "risk", "trained_model")},
        "reasons": [{"term": reason["term"][:_NAME_CHARS], "weight": reason["weight"]} for reason in decided["reasons"]],
    }


def _attachment(link: str, kept: Mapping[str, Any]) -> dict[str, Any]:
    """A file with the address of its bytes, where it is offered alone. Files that were read before there were ids have neither."""
    return {**kept, "link": f"{link}/attachments/{kept['id']}"} if "id" in kept and "state" not in kept else dict(kept)


def to_call_back(messages: Sequence[MessageRow]) -> str | None:
    """Why the customer must be rung up, in Chinese; None where he has told us what he wants, in whichever call."""
    if any(message.said.strip() for message in messages):
        return None
    found = (call_back_of(message.said, message.parsed.get("defects", ())) for message in messages)
    return next((zh for why in found if why for zh in why[:1]), None)


def agent_conduct(messages: Sequence[MessageRow]) -> list[dict[str, Any]]:
    """What agents said that bears out a complaint about service, each with its turn; `message` counts from 1."""
    return [
        {"code": one.code, "name": one.zh, "cue": one.cue, "text": one.text, "message": place, "turn": one.turn + 1, "start": one.start}
        for place, message in enumerate(messages, 1)
        for one in conduct_of(message.parsed.get("turns", ()))
    ]


def call_json(messages: Sequence[MessageRow]) -> dict[str, Any]:
    """What a ticket says of the calls: nothing where there was none."""
    calls = [call for message in messages if isinstance(call := message.parsed.get("details", {}).get("call"), dict)]
    if not calls:
        return {}
    kept = ("id", "started_at", "duration", "caller", "agent", "recording", "centre")
    return {
        # The newest calls; a link is text to be shown, nobody has fetched it.
        "calls": [{key: call[key] for key in kept if call.get(key) is not None} for call in calls[-5:]],
        "call_back": to_call_back(messages),
        "agent_conduct": agent_conduct(messages)[:5],
    }


def new_message_json(new: Sequence[MessageRow]) -> dict[str, Any]:
    """What the customer has added."""
    said = "\n".join(message.said for message in new)
    return {"new_message": said[:MATTER_CHARS], "new_message_truncated": len(said) > MATTER_CHARS}


def attachments_json(link: str, attachments: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The first attachments, with names that are not too long; `link`: where the whole complaint is found."""
    return [
        _attachment(link, a) | {"filename": a["filename"][:_NAME_CHARS], "mime_type": a["mime_type"][:_NAME_CHARS]}
        for a in attachments[:20]
    ]


def fitted(payload: dict[str, Any]) -> str:
    """The JSON text of a payload, with the matter cut until it fits; what was cut says so."""
    data = payload["data"]
    spelt = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    for key in ("new_message", "opinion", "comment", "matter"):
        # How many bytes a character takes differs, and quotes and line ends take two.
        while len(spelt.encode("utf-8", "replace")) > _PAYLOAD_BYTES and data.get(key):
            data[key] = data[key][: len(data[key]) * 4 // 5]
            if f"{key}_truncated" in data:
                data[f"{key}_truncated"] = True
            spelt = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return spelt


def summary_of(title: str, matter: str, call_back: str | None = None) -> str:
    """One line for lists: the title where there is one, else the beginning of the matter."""
    line = " ".join((title or matter).split()) or (f"待回电：{call_back}" if call_back else "（没有可读的内容，请联系顾客询问）")
    return line if len(line) <= _SUMMARY_CHARS else line[: _SUMMARY_CHARS - 1] + "…"


def iso(at: datetime) -> str:
    """A time as JSON has it: ISO 8601 in UTC, to the millisecond."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def correction_json(correction: Correction) -> dict[str, Any]:
    """A correction for the API: who said so, when, and what the trained model had said."""
    return {
        "at": iso(correction.at),
        "by": correction.by,
        "source": correction.source.value,
        "was": correction.was.value,
        "class": correction.should_be.value,
        "trained_model": correction.trained_model,
        "note": correction.note,
    }


def answer_json(answer: Answer) -> dict[str, Any]:
    """An answer for the API: what the customer was told, on which way, and what became of it."""
    return {
        "id": answer.id,
        "kind": answer.kind.value,
        "way": answer.way.value,
        "to": answer.to,
        "language": answer.language,
        "subject": answer.subject,
        "body": answer.body,
        "by": answer.by,
        "at": iso(answer.at),
        "state": answer.state.value,
        "reason": answer.reason,
        "sent_at": iso(answer.sent_at) if answer.sent_at else None,
    }


def status_json(status: Status) -> dict[str, Any]:
    """What a tracking system said, for the API."""
    report = status.report
    return {
        "received_at": iso(status.received_at),
        "said_at": iso(report.said_at),
        "endpoint": report.endpoint,
        "status": report.status.value,
        "round": status.round,
        "sequence": report.sequence,
        "effect": status.effect.value,
        "by": report.by,
        "customer_text": report.customer_text,
        "internal_text": report.internal_text,
    }


def unread_json(found: Unread) -> dict[str, Any]:
    """A number of which nothing is read yet, shaped like a complaint that was received and not sorted, with `unread` beside it."""
    nothing: dict[str, Any] = {key: [] for key in ("corrections", "answers", "joined", "statuses", "tickets", "conversation")}
    return {
        "verdict": {},
        "assignment": {},
        "customer": {},
        **nothing,
        "number": found.number,
        "state": ComplaintState.RECEIVED.value,
        "unread": {
            "state": "parked" if found.parked else "waiting",
            "channel": found.channel.value,
            "received_at": iso(found.received_at),
            "parts": [
                {
                    "state": "parked" if part.parked else "waiting",
                    "received_at": iso(part.received_at),
                    "size": part.size,
                    "job": part.job,
                    "attempts": part.attempts,
                    "code": part.code or None,
                    "zh": part.zh,
                    "en": part.en,
                }
                for part in found.parts
            ],
        },
    }


def sender_json(message: MessageRow, *, another: bool) -> dict[str, Any]:
    """From whom a mail came, as its header says; nothing where it is no mail."""
    details = message.details
    if details.get("from_email") is None:
        return {}
    return {"sender": {"address": details["from_email"], "name": details.get("from_display_name") or "", "another": another}}


def details_json(
    complaint: ComplaintRow, messages: Sequence[MessageRow], ticket: Mapping[str, Any], link: str, others: Collection[int] = ()
) -> dict[str, Any]:
    """The whole complaint behind a ticket's link: every message in full. `others`: those of another sender than the customer."""
    return {
        **ticket,
        "number": complaint.number,
        "state": complaint.state.value,
        "customer": complaint.customer.found(),
        "conversation": [
            {
                "received_at": iso(message.received_at),
                "title": message.title,
                "said": message.said,
                "text": message.text,
                "machine": message.machine,
                **sender_json(message, another=message.id in others),
                "attachments": [_attachment(link, file) for file in message.parsed.get("attachments", [])],
                "turns": message.parsed.get("turns", []),
                **{key: message.parsed[key] for key in ("aside", "joined", "claims") if key in message.parsed},
                # What the address that was written to stands for, and whether the mail comes from the domain that it names.
                **{key: value for key in ("brand", "authenticity") if (value := message.parsed.get("details", {}).get(key))},
            }
            for message in messages
        ],
    }
