"""Huawei Cloud SIS recording file recognition (录音文件识别).

Source: Huawei Cloud SIS API reference, sis_03_0093. Times are milliseconds; `analysis_info.role` is AGENT or USER for stereo calls and
`speaker1`, `speaker2` otherwise.
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

_STATES = {"WAITING", "PROCESSING", "FINISHED", "ERROR"}


def recognise(doc: Any) -> bool:
    """Whether this is a job's answer: one of the four states, and segments or the job's times."""
    fields = mapping(doc)
    own = {"segments", "create_time", "job_id", "audio_duration"} & fields.keys()
    return string(fields.get("status")) in _STATES and bool(own)


def read(doc: Any) -> Transcript:
    """The segments in order of time. Raises `Unreadable` (`not_finished`) for a job waiting or at work."""
    fields = mapping(doc)
    state = string(fields.get("status"))
    if state in ("WAITING", "PROCESSING"):
        raise not_finished("华为云录音文件识别 (Huawei SIS)", state)
    call = Call(id=name(fields.get("job_id")), duration=seconds(fields.get("audio_duration"), MILLISECONDS))
    pieces = []
    for segment in rows(fields.get("segments")):
        result = mapping(segment.get("result"))
        role = name(mapping(result.get("analysis_info")).get("role"))
        pieces.append(
            Piece(
                string(result.get("text")),
                seconds(segment.get("start_time"), MILLISECONDS),
                seconds(segment.get("end_time"), MILLISECONDS),
                speaker=role,
                role=role,
            )
        )
    return build("huawei_sis", pieces, call, defects=[RECOGNITION_FAILED] if state == "ERROR" and not pieces else [])
