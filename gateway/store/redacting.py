"""What is left of a verdict and of an event once whose complaint it was is erased: what is listed here, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# Figures and closed lists; the reasons are words out of the text.
_OF_A_VERDICT = (
    "primary",
    "probabilities",
    "secondary",
    "decision",
    "decision_code",
    "candidates",
    "risk",
    "trained_model",
    "said",
    "stated",
    "alone",
    "nothing_to_go_by",
    "audited",
)

# Of an event's data: who is told what about which complaint, and what was decided.
_OF_AN_EVENT = (
    "schema",
    "event_id",
    "number",
    "idempotency_key",
    "round",
    "channel",
    "links",
    "supersedes",
    "received_at",
    "messages",
    "missing",
    "class",
    "class_name",
    "confidence",
    "probabilities",
    "secondary",
    "decision",
    "candidates",
    "risk",
    "trained_model",
    "department",
    "steps",
    "priority",
    "reply_due",
    "resolve_due",
    "escalate_to",
    "rule",
    "rule_reason",
    "plan_version",
    "machine",
    "reopened_by",
    "rating",
    "satisfied",
    "outcome",
    "closed_by",
    "reason",
)
# What its schema wants there, empty.
_EMPTY: Mapping[str, Any] = {
    "title": "",
    "summary": "",
    "matter": "",
    "matter_truncated": False,
    "new_message": "",
    "new_message_truncated": False,
    "attachments": [],
    "customer": {},
    "reasons": [],
    "call_back": None,
}


def verdict(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a verdict without the words that it rests on."""
    return {key: body[key] for key in _OF_A_VERDICT if key in body} | {"reasons": []}


def notice(body: Mapping[str, Any]) -> dict[str, Any]:
    """A notice for people, which holds no personal data, without what says whose home it was.

    One about a complaint loses its estate; one about a group, which is of many homes, the numbers that would lead from the estate to each.
    """
    facts = body.get("facts", {})
    if "homes" in facts:
        return {**body, "facts": {**facts, "numbers": []}}
    return {**body, "estate": None}


def payload(text: str) -> str:
    """The payload of an event, still valid by its schema, without anything about the person or in his words."""
    whole = json.loads(text)
    data = whole.get("data", {})
    left = {key: data[key] if key in _OF_AN_EVENT else _EMPTY[key] for key in data if key in _OF_AN_EVENT or key in _EMPTY}
    kept = {"type": whole.get("type"), "timestamp": whole.get("timestamp"), "data": left}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))
