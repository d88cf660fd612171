"""WebVTT: cues with their times, the speaker in a voice tag `<v 客服>` or before a colon.

Source: W3C WebVTT. Times are `[hh:]mm:ss.mmm`. NOTE, STYLE and REGION blocks are not spoken.
"""

from __future__ import annotations

import html
import re
from typing import Any

from connectors.transcripts.base import MOST_TURNS, Piece, Transcript, build
from connectors.transcripts.spoken_text import collapsed, heading
from connectors.transcripts.units import name, seconds

_TIMES = re.compile(r"\s*([\d:.,]{4,20})\s*-->\s*([\d:.,]{4,20})(?:\s.*)?")
_VOICE = re.compile(r"<v(?:\.[^\s>]{0,40})?\s{1,2}([^>]{1,60})>")
_TAG = re.compile(r"</?[a-zA-Z0-9:.][^<>]{0,100}>")


def recognise(doc: Any) -> bool:
    """Whether the text begins with WEBVTT."""
    return isinstance(doc, str) and re.match(r"\s*WEBVTT(?:\s|$)", doc) is not None


def read(doc: Any) -> Transcript:
    """The cues; a cue of several voices is a piece for each."""
    return build("webvtt", cues(doc))


def cues(text: str) -> list[Piece]:
    """The pieces of all blocks that have a line of times; what has none was not spoken."""
    pieces: list[Piece] = []
    for block in re.split(r"\n[ \t]*\n", collapsed(text)):
        lines = block.strip("\n").split("\n")
        place = next((number for number, line in enumerate(lines[:2]) if _TIMES.fullmatch(line)), None)
        if place is None or not (times := _TIMES.fullmatch(lines[place])):
            continue
        start, end = seconds(times[1]), seconds(times[2])
        if len(pieces) > MOST_TURNS:
            break
        pieces += [Piece(said, start, end, speaker=speaker) for speaker, said in _voices(lines[place + 1 :])]
    return pieces


def _voices(lines: list[str]) -> list[tuple[str | None, str]]:
    """Who says what in one cue."""
    said: list[tuple[str | None, str]] = []
    for line in lines:
        parts = _VOICE.split(line)
        # The parts are text, name, text, name, text: what stands before the first name goes on with the voice before.
        first = html.unescape(_TAG.sub("", parts[0])).strip().removeprefix("- ")
        if first and (named := heading(first)):
            said.append(named)
        elif first and said:
            said[-1] = (said[-1][0], f"{said[-1][1]} {first}")
        elif first:
            said.append((None, first))
        for voice, text in zip(parts[1::2], parts[2::2], strict=True):
            said.append((name(html.unescape(voice)), html.unescape(_TAG.sub("", text)).strip()))
    return said
