"""SubRip (SRT): numbered cues with their times, the speaker before a colon.

Source: the format as SubRip and every recogniser that exports subtitles write it. Times are `hh:mm:ss,mmm`, in the wild also with a dot.
"""

from __future__ import annotations

import re
from typing import Any

from connectors.transcripts.base import Transcript, build
from connectors.transcripts.webvtt import cues

_CUE = re.compile(r"^\s*\d{1,3}:\d{2}(?::\d{2})?[.,]\d{1,3}\s*-->\s*\d{1,3}:\d{2}", re.MULTILINE)


def recognise(doc: Any) -> bool:
    """Whether a line of times with its arrow stands at the beginning of the text."""
    return isinstance(doc, str) and _CUE.search(doc[:2000]) is not None


def read(doc: Any) -> Transcript:
    """The cues in order of time."""
    return build("srt", cues(doc))
