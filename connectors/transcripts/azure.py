"""Azure Speech: batch transcription, and fast transcription with its preview and its released names.

Source: Microsoft Learn, Get batch transcription results; Speech to text REST API, Transcriptions - Transcribe. A batch result writes
its times as ISO 8601 durations and as ticks of 100 ns, the fast one as milliseconds. `speaker` only with diarization; stereo gives
channels 0 and 1.
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
from connectors.transcripts.units import MILLISECONDS, TICKS, added, name, seconds


def recognise_batch(doc: Any) -> bool:
    """Whether this has a batch result's list of recognised phrases, or is the answer about a batch job."""
    fields = mapping(doc)
    job = "status" in fields and "transcriptions/" in string(fields.get("self"))
    return isinstance(fields.get("recognizedPhrases"), list) or job


def read_batch(doc: Any) -> Transcript:
    """The phrases that were recognised, best reading each, in order of time."""
    fields = mapping(doc)
    state = string(fields.get("status"))
    if "recognizedPhrases" not in fields:
        if state in ("NotStarted", "Running"):
            raise not_finished("Azure batch transcription", state)
        return build("azure_batch", [], defects=[RECOGNITION_FAILED])
    duration = seconds(fields.get("durationInTicks"), TICKS) or seconds(fields.get("duration"))
    pieces = []
    for phrase in rows(fields["recognizedPhrases"]):
        best = (rows(phrase.get("nBest")) or [{}])[0]
        start = _time(phrase, "offset")
        pieces.append(
            Piece(
                string(best.get("display")) or string(best.get("itn")) or string(best.get("lexical")),
                start,
                added(start, _time(phrase, "duration")),
                speaker=name(phrase.get("speaker")),
                channel=name(phrase.get("channel")),
            )
        )
    if not any(piece.text for piece in pieces):
        combined = rows(fields.get("combinedRecognizedPhrases"))
        pieces = [Piece(string(each.get("display")), channel=name(each.get("channel"))) for each in combined]
    return build("azure_batch", pieces, Call(duration=duration))


def _time(phrase: dict[str, Any], key: str) -> float | None:
    """Seconds, from the ticks or else from the ISO 8601 duration."""
    ticks = seconds(phrase.get(f"{key}InTicks"), TICKS)
    return ticks if ticks is not None else seconds(phrase.get(key), TICKS)


def recognise_fast(doc: Any) -> bool:
    """Whether this has fast transcription's phrases or its combined ones."""
    fields = mapping(doc)
    return isinstance(fields.get("phrases"), list) or isinstance(fields.get("combinedPhrases"), list)


def read_fast(doc: Any) -> Transcript:
    """The phrases in order of time."""
    fields = mapping(doc)
    pieces = []
    for phrase in rows(fields.get("phrases")):
        start = seconds(phrase.get("offsetMilliseconds", phrase.get("offset")), MILLISECONDS)
        length = seconds(phrase.get("durationMilliseconds", phrase.get("duration")), MILLISECONDS)
        pieces.append(
            Piece(
                string(phrase.get("text")),
                start,
                added(start, length),
                speaker=name(phrase.get("speaker")),
                channel=name(phrase.get("channel")),
            )
        )
    if not any(piece.text for piece in pieces):
        combined = rows(fields.get("combinedPhrases"))
        pieces = [Piece(string(each.get("text")), channel=name(each.get("channel"))) for each in combined]
    duration = seconds(fields.get("durationMilliseconds", fields.get("duration")), MILLISECONDS)
    return build("azure_fast", pieces, Call(duration=duration))
