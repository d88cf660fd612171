"""The story of a complaint in one column: everything that happened, in the order in which it did (预案 4.5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway.correspondence import Ours, by_others
from gateway.desk import Story
from gateway.plan import Plan
from gateway.ticket import sender_json
from gateway.web.console_calls import call_of
from gateway.web.console_view import plain

# What happens at the same moment, in the order in which it follows from one another.
_ORDER = {"message": 0, "statement": 1, "correction": 1, "verdict": 2, "assignment": 3, "event": 4, "status": 5, "answer": 6, "parked": 7}


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened. `kind` says which part of the page shows it, `values` are its own."""

    at: datetime
    kind: str
    values: Mapping[str, Any] = field(default_factory=dict)


def timeline(story: Story, plan: Plan, ours: Ours) -> list[Entry]:
    """Everything that happened to a complaint, oldest first. `ours`: how we are reached."""
    others = {message.id for message in by_others(story.messages, ours)}
    entries = [
        Entry(
            message.received_at,
            "message",
            {
                "message": message,
                "original": story.originals.get(message.submission_id),
                "call": call_of(message),
                **sender_json(message, another=message.id in others),
            },
        )
        for message in story.messages
    ]
    for place, verdict in enumerate(story.verdicts):
        newest = place == len(story.verdicts) - 1
        body = verdict.body
        entries.append(Entry(verdict.at, "verdict", {"body": body, "said": body.get("said", body["primary"]), "newest": newest}))
    for assignment in story.assignments:
        department = assignment.body.get("department", {})
        known = plan.departments.get(department.get("code", ""))
        names = (department.get("name", ""), known.name_en if known else department.get("name", ""))
        entries.append(Entry(assignment.at, "assignment", {"body": assignment.body, "names": names}))
    entries += [Entry(event.at, "event", {"event": event}) for event in story.events]
    # In the order in which they were kept, also within one second.
    entries += [Entry(one.at, "correction", {"one": one, "undone": one.undoes}) for one in story.corrections]
    entries += [Entry(one.at, "answer", {"one": one, "tries": story.tries.get(one.id, ())}) for one in story.answers]
    entries += [Entry(at, "statement", {"was": was or "other", "klass": klass}) for at, was, klass in story.stated]
    entries += [Entry(one.received_at, "status", {"one": one}) for one in story.statuses]
    for job in story.parked:
        command = f"jiesu replay {job.id}"
        entries.append(Entry(job.created_at, "parked", {"reason": plain(job.reason), "kind": job.kind, "command": command}))
    return sorted(entries, key=lambda entry: (entry.at, _ORDER[entry.kind]))
