"""Tencent Cloud ASR, recording file recognition: the answer of DescribeTaskStatus, and the callback's fields.

Source: Tencent Cloud 语音识别, 录音文件识别结果查询 (1118/66924, 66926). Times are milliseconds in `ResultDetail`, which may be null, as
may every field in it; then the lines of `Result` are read: `[m:s.mmm,m:s.mmm]  text`, with the speaker's number as a third part where
speakers were separated.
"""

from __future__ import annotations

import json
import re
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

_WAITING, _DOING, _FAILED = 0, 1, 3
_LINE = re.compile(r"\[\s*([\d:.]{1,20})\s*,\s*([\d:.]{1,20})\s*(?:,\s*([^\]\s]{1,20})\s*)?\]\s*(.*)")


def recognise(doc: Any) -> bool:
    """Whether this is the answer about a task, with or without its `Response` wrapper, or an error in that wrapper."""
    response = mapping(mapping(doc).get("Response"))
    data = mapping(response.get("Data") or mapping(doc).get("Data"))
    if _is_callback(doc):
        return True
    if "Error" in response and "Code" in mapping(response["Error"]):
        return True
    return "TaskId" in data and bool({"Result", "ResultDetail", "Status", "StatusStr"} & data.keys())


def read(doc: Any) -> Transcript:
    """The sentences in order of time. Raises `Unreadable` (`not_finished`) for a task waiting or at work."""
    if _is_callback(doc):
        return _read_callback(mapping(doc))
    response = mapping(mapping(doc).get("Response"))
    data = mapping(response.get("Data") or mapping(doc).get("Data"))
    status = data.get("Status")
    if status in (_WAITING, _DOING) and not isinstance(status, bool):
        raise not_finished("腾讯云录音文件识别 (Tencent ASR)", string(data.get("StatusStr")) or str(status))
    call = Call(id=name(str(data["TaskId"])) if "TaskId" in data else None, duration=seconds(data.get("AudioDuration")))
    failed = status == _FAILED or "Error" in response
    pieces = [_sentence(sentence) for sentence in rows(data.get("ResultDetail"))]
    if not any(piece.text for piece in pieces):
        pieces = _lines(string(data.get("Result")))
    return build("tencent_asr", pieces, call, defects=[RECOGNITION_FAILED] if failed and not pieces else [])


def _is_callback(doc: Any) -> bool:
    """Whether these are the fields of the form that is posted to a callback address: `code`, `requestId`, `appid`, `text` …"""
    fields = mapping(doc)
    return {"code", "requestId"} <= fields.keys() and bool({"appid", "resultDetail", "audioTime"} & fields.keys())


def _read_callback(fields: dict[str, Any]) -> Transcript:
    """The callback's sentences: its detail, a JSON text, where there is one, else the lines of `text`."""
    call = Call(id=name(str(fields["requestId"])), duration=seconds(fields.get("audioTime")))
    detail = fields.get("resultDetail")
    if isinstance(detail, str):
        try:
            detail = json.loads(detail)
        except (ValueError, RecursionError):
            detail = None
    pieces = [_sentence(sentence) for sentence in rows(detail)]
    if not any(piece.text for piece in pieces):
        pieces = _lines(string(fields.get("text")))
    failed = str(fields["code"]) not in ("0", "0.0")
    return build("tencent_asr", pieces, call, defects=[RECOGNITION_FAILED] if failed and not pieces else [])


def _sentence(fields: dict[str, Any]) -> Piece:
    """One sentence of the detail; which of its texts is filled depends on the engine."""
    text = string(fields.get("FinalSentence")) or string(fields.get("WrittenText")) or string(fields.get("SliceSentence"))
    return Piece(
        text,
        seconds(fields.get("StartMs"), MILLISECONDS),
        seconds(fields.get("EndMs"), MILLISECONDS),
        speaker=name(fields.get("SpeakerId")),
    )


def _lines(result: str) -> list[Piece]:
    """The sentences of the plain result; a line without its bracket belongs to no time."""
    pieces = []
    for line in result.splitlines():
        match = _LINE.fullmatch(line.strip())
        if match:
            pieces.append(Piece(match[4], seconds(match[1]), seconds(match[2]), speaker=name(match[3])))
        else:
            pieces.append(Piece(line))
    return pieces
