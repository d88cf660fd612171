"""Amazon Transcribe: batch jobs with speaker or channel labels, and Call Analytics.

Source: Amazon Transcribe developer guide, Example diarization output (batch), Example channel identification output (batch), Call
Analytics output. Times are seconds as strings, in Call Analytics milliseconds; punctuation has none. `audio_segments`, where the job
has them, are sentences put together already; otherwise the words of one speaker in a row make a turn.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from connectors.transcripts.base import (
    RECOGNITION_FAILED,
    Call,
    Piece,
    Transcript,
    build,
    joined_words,
    mapping,
    not_finished,
    rows,
    string,
)
from connectors.transcripts.units import MILLISECONDS, name, seconds

# A silence this long, in seconds, within one speaker's words begins a new turn.
_PAUSE = 1.5


def recognise(doc: Any) -> bool:
    """Whether this is a job's result with its transcripts and items, a Call Analytics result, or the answer about a job."""
    fields = mapping(doc)
    results = mapping(fields.get("results"))
    if "TranscriptionJobStatus" in mapping(fields.get("TranscriptionJob")):
        return True
    if any({"ParticipantRole", "Content"} <= turn.keys() for turn in rows(fields.get("Transcript"))[:1]):
        return True
    if isinstance(results.get("items"), list) or isinstance(results.get("transcripts"), list):
        return True
    return "jobName" in fields and "status" in fields


def read(doc: Any) -> Transcript:
    """The turns in order of time. Raises `Unreadable` (`not_finished`) for a job queued or at work."""
    fields = mapping(doc)
    job = mapping(fields.get("TranscriptionJob"))
    state = string(fields.get("status")) or string(job.get("TranscriptionJobStatus"))
    call = Call(id=name(fields.get("jobName") or fields.get("JobName") or job.get("TranscriptionJobName")))
    if state in ("QUEUED", "IN_PROGRESS"):
        raise not_finished("Amazon Transcribe", state)
    if "Transcript" in fields:
        return build("aws_transcribe", [_analytics(turn) for turn in rows(fields["Transcript"])], call)
    results = mapping(fields.get("results"))
    pieces = _segments(results) or _turns(results)
    if not pieces:
        pieces = [Piece(string(each.get("transcript"))) for each in rows(results.get("transcripts"))]
    return build("aws_transcribe", pieces, call, defects=[RECOGNITION_FAILED] if state == "FAILED" and not pieces else [])


def _analytics(fields: dict[str, Any]) -> Piece:
    """One turn of Call Analytics."""
    return Piece(
        string(fields.get("Content")),
        seconds(fields.get("BeginOffsetMillis"), MILLISECONDS),
        seconds(fields.get("EndOffsetMillis"), MILLISECONDS),
        speaker=name(fields.get("ParticipantRole")),
        role=name(fields.get("ParticipantRole")),
    )


def _segments(results: dict[str, Any]) -> list[Piece]:
    """The sentences of a job that has them."""
    return [
        Piece(
            string(segment.get("transcript")),
            seconds(segment.get("start_time")),
            seconds(segment.get("end_time")),
            speaker=name(segment.get("speaker_label")),
            channel=name(segment.get("channel_label")),
        )
        for segment in rows(results.get("audio_segments"))
        if string(segment.get("transcript")).strip()
    ]


def _turns(results: dict[str, Any]) -> list[Piece]:
    """The turns put together from the words: of each channel by itself, or of the whole call by speaker."""
    channels = rows(mapping(results.get("channel_labels")).get("channels"))
    if channels:
        return [
            piece for channel in channels for piece in _grouped(rows(channel.get("items")), {}, channel=name(channel.get("channel_label")))
        ]
    # Older jobs name the speaker only in the list of segments, by the time at which a word begins.
    speakers = {
        string(item.get("start_time")): name(item.get("speaker_label", segment.get("speaker_label")))
        for segment in rows(mapping(results.get("speaker_labels")).get("segments"))
        for item in rows(segment.get("items"))
    }
    return _grouped(rows(results.get("items")), speakers, channel=None)


def _grouped(items: Iterable[dict[str, Any]], speakers: dict[str, str | None], *, channel: str | None) -> list[Piece]:
    """The words of one speaker in a row as one piece; punctuation goes with the word before it."""
    pieces: list[Piece] = []
    words: list[str] = []
    start = end = None
    current: str | None = None
    for item in items:
        alternatives = rows(item.get("alternatives"))
        content = string(alternatives[0].get("content")) if alternatives else ""
        begins = seconds(item.get("start_time"))
        if item.get("type") == "punctuation" or begins is None:
            words.append(content)
            continue
        # A channel is one party's line, also where the other said nothing.
        speaker = name(item.get("speaker_label")) or speakers.get(string(item.get("start_time"))) or channel
        paused = end is not None and begins - end > _PAUSE
        if words and start is not None and (speaker != current or paused):
            pieces.append(Piece(joined_words(words), start, end, speaker=current, channel=channel))
            words, start = [], None
        words.append(content)
        start = begins if start is None else start
        current, end = speaker, seconds(item.get("end_time"))
    if words:
        pieces.append(Piece(joined_words(words), start, end, speaker=current, channel=channel))
    return pieces
