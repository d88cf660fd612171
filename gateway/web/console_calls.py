"""A call as the console lays it out: what is known of it, and its turns as a conversation of two sides."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from classifiers.agent_conduct import conduct_of
from connectors.call_data import http_link
from gateway.call_records import call_back_of
from gateway.store.complaints import MessageRow
from gateway.web.console_view import plain

# Below this the roles are marked as doubtful.
DOUBTFUL = 0.75
# More turns than anybody reads on one page; the original has them all.
_MOST_TURNS = 2000


def call_of(message: MessageRow) -> dict[str, Any] | None:
    """What the page shows of a message that was a call; None for any other."""
    details: Mapping[str, Any] = message.parsed.get("details", {})
    call = details.get("call")
    if not isinstance(call, dict):
        return None
    roles: Mapping[str, Any] = details.get("roles") or {}
    turns = message.parsed.get("turns", [])
    cues = {one.turn: one.cue for one in conduct_of(turns)}
    link = http_link(call.get("recording"))
    sure = float(roles.get("certainty") or 0)
    decided_by = str(roles.get("decided_by", "nothing"))
    return {
        "facts": [(name, plain(call[name])) for name in ("caller", "agent", "centre", "id") if call.get(name)],
        "started_at": _instant(call.get("started_at")),
        "duration": _clock(call.get("duration")),
        "recording": link,
        "host": plain(urlsplit(link).hostname) if link else "",
        "decided_by": decided_by if decided_by in ("label", "words", "alone", "nothing") else "nothing",
        "sure": sure,
        "doubtful": bool(turns) and decided_by != "label" and sure < DOUBTFUL,
        "turns": [
            {
                "role": turn["role"] if turn.get("role") in ("customer", "agent") else "unknown",
                "speaker": plain(turn.get("speaker") or ""),
                "at": _clock(turn.get("start")),
                "text": plain(turn.get("text", "")),
                "cue": plain(cues[place]) if place in cues else "",
            }
            for place, turn in enumerate(turns[:_MOST_TURNS])
        ],
        "back": call_back_of(message.said, message.parsed.get("defects", ())),
        "joined": message.parsed.get("joined"),
    }


def _clock(seconds: object) -> str:
    """Seconds as minutes and seconds; empty for none."""
    if not isinstance(seconds, int | float):
        return ""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def _instant(spelt: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(spelt) if isinstance(spelt, str) else None
    except ValueError:
        return None
    return found if found and found.tzinfo else None
