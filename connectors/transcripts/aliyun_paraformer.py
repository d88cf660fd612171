"""Aliyun Model Studio (DashScope) file transcription: Paraformer, SenseVoice, Fun-ASR; the file behind `transcription_url`.

Source: Aliyun Model Studio, Paraformer 录音文件识别. Times are milliseconds; `speaker_id` only with diarization, which is mono only.
The task's own answer holds no words but the address of that file, which jiesu never fetches.
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
from models.errors import Unreadable

_WHO = "阿里云百炼录音文件识别 (Aliyun DashScope)"


def recognise(doc: Any) -> bool:
    """Whether this is the file of transcripts per channel, or the answer of the task that made it."""
    fields = mapping(doc)
    if "task_status" in mapping(fields.get("output")):
        return True
    transcripts = rows(fields.get("transcripts"))
    about = {"file_url", "properties"} & fields.keys()
    return isinstance(fields.get("transcripts"), list) and bool(
        about or any("sentences" in each or "channel_id" in each for each in transcripts)
    )


def read(doc: Any) -> Transcript:
    """The sentences of all channels in order of time.

    Raises `Unreadable`: `not_finished` for a task at work, `not_downloaded` for a finished task's answer without its file.
    """
    fields = mapping(doc)
    output = mapping(fields.get("output"))
    if output:
        return _task(output)
    properties = mapping(fields.get("properties"))
    call = Call(duration=seconds(properties.get("original_duration_in_milliseconds"), MILLISECONDS))
    pieces: list[Piece] = []
    for transcript in rows(fields.get("transcripts")):
        channel = name(transcript.get("channel_id"))
        sentences = [
            Piece(
                string(sentence.get("text")),
                seconds(sentence.get("begin_time"), MILLISECONDS),
                seconds(sentence.get("end_time"), MILLISECONDS),
                speaker=name(sentence.get("speaker_id")),
                channel=channel,
            )
            for sentence in rows(transcript.get("sentences"))
        ]
        pieces += sentences or [Piece(string(transcript.get("text")), channel=channel)]
    return build("aliyun_paraformer", pieces, call)


def _task(output: dict[str, Any]) -> Transcript:
    """What the answer of a task means: still at work, failed, or done with the words elsewhere."""
    state = string(output.get("task_status"))
    if state in ("PENDING", "RUNNING", "SUSPENDED"):
        raise not_finished(_WHO, state)
    if state == "SUCCEEDED":
        raise Unreadable(
            "not_downloaded",
            f"这是{_WHO}的任务应答，只含下载地址；请投递 transcription_url 所指的 JSON 文件。",
            f"This is the task answer of {_WHO}, which only names an address: drop the JSON file behind transcription_url.",
        )
    return build("aliyun_paraformer", [], Call(id=name(output.get("task_id"))), defects=[RECOGNITION_FAILED])
