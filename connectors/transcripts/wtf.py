"""The World Transcription Format: the body of a vCon's `wtf_transcription`, and the same body by itself.

Source: draft-howe-vcon-wtf-extension. Times are seconds. A segment's `speaker` is a number or a name, whose label may stand in
`speakers`.
"""

from __future__ import annotations

from typing import Any

from connectors.transcripts.base import Call, Piece, Transcript, build, mapping, rows, string
from connectors.transcripts.units import name, seconds


def recognise(doc: Any) -> bool:
    """Whether this has the `transcript` object and the list of `segments` that the draft requires."""
    fields = mapping(doc)
    return isinstance(fields.get("transcript"), dict) and isinstance(fields.get("segments"), list)


def read(doc: Any) -> Transcript:
    """The segments in order of time, under the speaker's label where there is one."""
    fields = mapping(doc)
    transcript = mapping(fields.get("transcript"))
    labels = {key: _label(value) for key, value in mapping(fields.get("speakers")).items()}
    pieces = []
    for segment in rows(fields.get("segments")):
        speaker = name(segment.get("speaker"))
        pieces.append(
            Piece(
                string(segment.get("text")),
                seconds(segment.get("start")),
                seconds(segment.get("end")),
                speaker=labels.get(speaker or "") or speaker,
                channel=name(segment.get("channel")),
            )
        )
    several = any(piece.channel for piece in pieces)
    whole = "" if several else string(transcript.get("text"))
    return build("wtf", pieces, Call(duration=seconds(transcript.get("duration"))), whole=whole)


def _label(value: object) -> str | None:
    """The label of one entry of `speakers`."""
    return name(value) if isinstance(value, str) else name(mapping(value).get("label") or mapping(value).get("name"))
