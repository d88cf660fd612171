"""Aliyun ISI recording file recognition: the answer to a poll, and the callbacks of the 4.0 and the older 2.0 version.

Source: Aliyun Intelligent Speech Interaction, 录音文件识别 (document 90727). Times are milliseconds. The older callback writes its
keys in snake_case and puts the sentences straight into `result`.
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

# 21050001 RUNNING, 21050002 QUEUEING.
_UNFINISHED = {21050001, 21050002}
# 21050000 SUCCESS; 21050003 SUCCESS_WITH_NO_VALID_FRAGMENT.
_SUCCESS, _NO_SPEECH = 21050000, 21050003


def recognise(doc: Any) -> bool:
    """Whether this is a task's answer with its numeric status code of eight digits."""
    fields = mapping(doc)
    code = fields.get("StatusCode", fields.get("status_code"))
    asked = {"TaskId", "task_id", "StatusText", "status_text"} & fields.keys()
    return isinstance(code, int) and not isinstance(code, bool) and bool(asked)


def read(doc: Any) -> Transcript:
    """The sentences in order of time, one speaker per channel or per SpeakerId.

    Raises `Unreadable` (`not_finished`) while the task is queued or running. An error code gives `recognition_failed`.
    """
    fields = mapping(doc)
    code = fields.get("StatusCode", fields.get("status_code"))
    state = string(fields.get("StatusText", fields.get("status_text")))
    if code in _UNFINISHED or state in ("RUNNING", "QUEUEING"):
        raise not_finished("阿里云录音文件识别 (Aliyun ISI)", state or str(code))
    call = Call(
        id=name(fields.get("TaskId", fields.get("task_id"))),
        duration=seconds(fields.get("BizDuration", fields.get("biz_duration")), MILLISECONDS),
    )
    result = fields.get("Result", fields.get("result"))
    sentences = rows(result) or rows(mapping(result).get("Sentences"))
    defects = [RECOGNITION_FAILED] if code not in (_SUCCESS, _NO_SPEECH) and not sentences else []
    pieces = [_sentence(sentence) for sentence in sentences]
    return build("aliyun_isi", pieces, call, defects=defects)


def _sentence(fields: dict[str, Any]) -> Piece:
    """One sentence, in either spelling of the keys."""
    return Piece(
        string(fields.get("Text", fields.get("text"))),
        seconds(fields.get("BeginTime", fields.get("begin_time")), MILLISECONDS),
        seconds(fields.get("EndTime", fields.get("end_time")), MILLISECONDS),
        speaker=name(fields.get("SpeakerId", fields.get("speaker_id"))),
        channel=name(fields.get("ChannelId", fields.get("channel_id"))),
    )
