"""Volcengine (火山引擎, 豆包) recording file recognition: the standard version and the big-model version 3.

Source: Volcengine 录音文件识别标准版 (6561/120559) and 大模型录音文件识别 (6561/1354868). Times are milliseconds. `result` is a list in the
one and an object in the other; the first also answers with a `resp` object. The speaker and the channel stand in `additions` of an
utterance, as strings.
"""

from __future__ import annotations

from typing import Any

from connectors.transcripts.base import (
    RECOGNITION_FAILED,
    Call,
    Piece,
    Transcript,
    build,
    mapping,
    not_finished,
    rows,
    string,
)
from connectors.transcripts.units import MILLISECONDS, name, seconds

# 1000 success; 2000 at work, 2001 queued; 1013 silence.
_SUCCESS, _UNFINISHED, _SILENCE = 1000, (2000, 2001), 1013


def _results(doc: Any) -> list[dict[str, Any]]:
    """The results, wherever this version puts them."""
    fields = mapping(doc)
    if "resp" in fields:
        return [mapping(fields["resp"])]
    result = fields.get("result")
    return rows(result) if isinstance(result, list) else [mapping(result)]


def recognise(doc: Any) -> bool:
    """Whether this is an answer with utterances, or with the fields that go round them."""
    fields = mapping(doc)
    if "resp" in fields:
        return bool({"code", "utterances"} & mapping(fields["resp"]).keys())
    if any(isinstance(result.get("utterances"), list) for result in _results(doc)):
        return True
    return "result" in fields and bool({"audio_info", "reqid"} & fields.keys())


def read(doc: Any) -> Transcript:
    """The utterances in order of time. Raises `Unreadable` (`not_finished`) for a task queued or at work."""
    fields = mapping(doc)
    response = mapping(fields.get("resp"))
    code = response.get("code", fields.get("code"))
    code = int(code) if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) < 9 else code
    if code in _UNFINISHED:
        raise not_finished("火山引擎录音文件识别 (Volcengine)", str(code))
    call = Call(
        id=name(response.get("id") or fields.get("reqid")),
        duration=seconds(mapping(fields.get("audio_info")).get("duration"), MILLISECONDS),
    )
    pieces: list[Piece] = []
    whole: list[str] = []
    for result in _results(doc):
        pieces += [_utterance(utterance) for utterance in rows(result.get("utterances"))]
        whole.append(string(result.get("text")))
    failed = bool(response) and code not in (_SUCCESS, _SILENCE, None) and not pieces
    text = "\n".join(whole) if not any(piece.channel for piece in pieces) else ""
    return build("volcengine", pieces, call, whole=text, defects=[RECOGNITION_FAILED] if failed else [])


def _utterance(fields: dict[str, Any]) -> Piece:
    """One utterance."""
    more = mapping(fields.get("additions"))
    speaker = more.get("speaker", more.get("speaker_id", fields.get("speaker", fields.get("speaker_id"))))
    return Piece(
        string(fields.get("text")),
        seconds(fields.get("start_time"), MILLISECONDS),
        seconds(fields.get("end_time"), MILLISECONDS),
        speaker=name(mapping(speaker).get("id") if isinstance(speaker, dict) else speaker),
        channel=name(more.get("channel_id", fields.get("channel_id"))),
    )
