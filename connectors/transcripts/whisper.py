"""Whisper and what follows it: whisper's own JSON, faster-whisper, whisperX, whisper.cpp, OpenAI's verbose_json and diarized_json.

Source: OpenAI API reference, Create transcription (TranscriptionVerbose, TranscriptionDiarized). Times are seconds; whisper.cpp alone
writes milliseconds under `offsets`. There is no speaker except with diarization (`A`, `B`, or a known name; whisperX `SPEAKER_00`).
"""

from __future__ import annotations

from typing import Any

from connectors.transcripts.base import Call, Piece, Transcript, build, mapping, rows, string
from connectors.transcripts.units import MILLISECONDS, name, seconds

_TEXT_ONLY = {"text", "usage", "logprobs", "language", "task", "duration", "x_groq"}


def recognise(doc: Any) -> bool:
    """Whether this is a text with segments in seconds, a list of such segments, whisper.cpp's, or OpenAI's bare text."""
    if isinstance(doc, list):
        return _are_segments(doc)
    fields = mapping(doc)
    if _are_segments(fields.get("segments")):
        return True
    if any("offsets" in row and "text" in row for row in rows(fields.get("transcription"))[:1]):
        return True
    no_segments = fields.get("segments") in (None, [])
    return isinstance(fields.get("text"), str) and no_segments and fields.keys() <= _TEXT_ONLY | {"segments", "words"}


def _are_segments(value: object) -> bool:
    """Whether this is a list of texts with their beginning in seconds."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(row, dict)
            and isinstance(row.get("text"), str)
            and isinstance(row.get("start"), int | float)
            # FunASR's sentences, which count in milliseconds.
            and "spk" not in row
            for row in value
        )
    )


def read(doc: Any) -> Transcript:
    """The segments in order of time; the text alone as one turn where there are none."""
    fields = mapping(doc)
    if "transcription" in fields and "segments" not in fields:
        return build("whisper", [_whisper_cpp(row) for row in rows(fields["transcription"])])
    segments = rows(doc) or rows(fields.get("segments"))
    diarized = any("speaker" in segment for segment in segments)
    pieces = [
        Piece(
            string(segment.get("text")),
            seconds(segment.get("start")),
            seconds(segment.get("end")),
            speaker=name(segment.get("speaker")),
        )
        for segment in segments
    ]
    # Whisper's whole text is its segments put together; with speakers it may be laid out otherwise.
    whole = string(fields.get("text")) if not diarized or not pieces else ""
    return build("whisper", pieces, Call(duration=seconds(fields.get("duration"))), whole=whole)


def _whisper_cpp(fields: dict[str, Any]) -> Piece:
    """One segment of whisper.cpp."""
    offsets = mapping(fields.get("offsets"))
    return Piece(
        string(fields.get("text")),
        seconds(offsets.get("from"), MILLISECONDS),
        seconds(offsets.get("to"), MILLISECONDS),
        speaker=name(fields.get("speaker")),
    )
