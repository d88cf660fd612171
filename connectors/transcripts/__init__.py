"""Transcripts of calls: whatever a recogniser or a call centre drops, read by its content into who said what when.

Each format has a file with a pair `recognise`, `read`; `formats.py` is the table of them; `roles.py` says who is the customer.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from connectors.transcripts.base import NO_SPEECH, NOT_TRANSCRIBED, Call, Transcript, has_words
from connectors.transcripts.decoding import decoded, document
from connectors.transcripts.formats import FORMATS
from connectors.transcripts.roles import settle
from connectors.transcripts.spoken_text import named_turns, one_turn
from models.complaint import Customer, Parsed, Speaker, Turn
from models.errors import Unreadable
from models.submission import Submission

__all__ = ["FORMATS", "Call", "Transcript", "as_json", "parse", "read_transcript", "split_turns"]

_NAMES = {Speaker.CUSTOMER: "客户", Speaker.AGENT: "客服", Speaker.UNKNOWN: "未知"}


def read_transcript(raw: bytes) -> Transcript:
    """The transcript in these bytes, its format found by the content, the role of every turn settled where it can be told.

    raw: the whole file, at most 25 MB; UTF-8, UTF-16 with a byte-order mark, or GB 18030.

    A recognition that failed or heard nothing is a transcript without turns and with a defect, because a customer did call. Raises
    `Unreadable` and nothing else: `too_large`, `not_text`, `broken_json`, `too_deep`, `unknown_format`, `not_finished` (the
    recogniser is still at work), `not_downloaded` (a task's answer in place of its file), `broken_table`, `several_calls`.
    """
    text, defects = decoded(raw)
    doc = document(text)
    format = next((row for row in FORMATS if row.recognise(doc)), None)
    if format is None:
        raise _unknown(doc)
    transcript = format.read(doc)
    settled = settle(transcript.turns, transcript.leanings)
    return replace(
        transcript,
        turns=settled.turns,
        defects=(*defects, *transcript.defects),
        decided_by=settled.decided_by,
        certainty=settled.certainty,
    )


def _unknown(doc: Any) -> Unreadable:
    """JSON that no row of the table recognises, with the keys it has, for whoever must find out what it is."""
    keys = "、".join(str(key)[:30] for key in list(doc)[:6]) if isinstance(doc, dict) else "[…]"
    known = ", ".join(format.name for format in FORMATS)
    return Unreadable(
        "unknown_format",
        f"这份 JSON（顶层字段：{keys or '无'}）不是已知的转写格式；已按以下格式查找：{known}。",
        f"This JSON (top-level keys: {keys or 'none'}) is in no known transcript format; looked for: {known}.",
    )


def customer_text(turns: Sequence[Turn]) -> str:
    """What the customer said, a line a turn: his turns, and those of unknown role rather than lose his words."""
    return "\n".join(turn.text for turn in turns if turn.role is not Speaker.AGENT and has_words(turn.text))


def as_json(transcript: Transcript) -> dict[str, Any]:
    """The transcript as `jiesu inspect transcript` prints it: JSON values only, times in seconds, the instant as ISO 8601 in UTC."""
    call = transcript.call
    return {
        "format": transcript.format,
        "turns": [
            {"role": turn.role.value, "speaker": turn.speaker, "start": turn.start, "end": turn.end, "text": turn.text}
            for turn in transcript.turns
        ],
        "customer_text": customer_text(transcript.turns),
        "call": {
            "id": call.id,
            "started_at": call.started_at.isoformat() if call.started_at else None,
            "duration": call.duration,
            "phones": list(call.phones),
        },
        "defects": list(transcript.defects),
    }


def parse(submission: Submission) -> Parsed:
    """What a dropped transcript says: the customer's words, the whole conversation laid out by speaker, and the call's data.

    Where nobody spoke or the recognition failed, `said` is empty and a defect says so: a complaint to be called back, no error.
    Raises `Unreadable` as `read_transcript` does.
    """
    given = _given(submission)
    if submission.envelope.get("no_transcript"):
        # A recording was announced, and nobody has written down what was said.
        transcript = Transcript("none", (), defects=(NOT_TRANSCRIBED,))
    else:
        transcript = read_transcript(_form_as_json(submission) or submission.raw)
    said = customer_text(transcript.turns)
    defects = transcript.defects
    if not said and not defects:
        defects = (NO_SPEECH,)
    return Parsed(
        title="",
        said=said,
        text="\n".join(f"{_NAMES[turn.role]}：{turn.text}" for turn in transcript.turns),
        turns=transcript.turns,
        hints=Customer(phone=given.get("caller") or transcript.caller),
        defects=defects,
        details={
            "format": transcript.format,
            "call": as_json(transcript)["call"] | given | {"unique": bool(given.get("id")) or _is_unique(transcript)},
            "roles": {"decided_by": transcript.decided_by, "certainty": transcript.certainty},
        },
    )


# Formats whose number is the call's own; other recognisers number tasks, and some begin anew every day.
_CALLS_OWN_ID = frozenset({"vcon", "csv", "turns_json", "text"})
_LONG_ID = 20


def _is_unique(transcript: Transcript) -> bool:
    """Whether the call's number in the file can be no other call's."""
    mine = transcript.call.id
    return mine is not None and (transcript.format in _CALLS_OWN_ID or (len(mine) >= _LONG_ID and transcript.format != "funasr"))


def _given(submission: Submission) -> dict[str, str]:
    """What the door was told of the call (`connectors.call_data`); it is better than what the transcript says."""
    kept = submission.envelope.get("call")
    return {str(key): value for key, value in kept.items() if isinstance(value, str)} if isinstance(kept, dict) else {}


def _form_as_json(submission: Submission) -> bytes | None:
    """The fields of a form, as some services call back, as a JSON object; None for what is no form."""
    if not submission.media_type.lower().startswith("application/x-www-form-urlencoded"):
        return None
    try:
        fields = parse_qsl(submission.raw.decode("utf-8", "replace"), max_num_fields=100, strict_parsing=True)
    except ValueError:
        return None
    return json.dumps(dict(fields)).encode() if fields else None


def split_turns(text: str) -> tuple[Turn, ...]:
    """The turns of a plain text that names its speakers (`客服：`, `业主:`, `A：`/`B：`, `说话人1`, `[00:01] 客服:` …), roles settled.

    text: any text; one without speakers is one turn of the customer's, an empty one none.
    """
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    turns = named_turns(plain)
    return settle(turns).turns if turns else one_turn(plain)
