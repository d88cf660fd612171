"""FunASR: what AutoModel returns (with or without speakers), what its HTTP service answers, and SenseVoice's tagged texts.

Source: modelscope/FunASR, issues 1339 and 1349. Times are milliseconds. The output is a list; `sentence_info` is there only with a
punctuation or speaker model, its text is under `text` or `sentence`, its speaker `spk` counts from 0. SenseVoice puts tags such as
`<|zh|><|ANGRY|>` before the words.
"""

from __future__ import annotations

import re
from typing import Any

from connectors.transcripts.base import Call, Piece, Transcript, build, mapping, rows, string
from connectors.transcripts.units import MILLISECONDS, name, seconds

_TAG = re.compile(r"<\|[^|<>]{0,40}\|>")


def recognise(doc: Any) -> bool:
    """Whether this is a list of results with a text each, one result with its sentences, or those sentences alone."""
    if isinstance(doc, list):
        return bool(doc) and all(
            isinstance(entry, dict)
            and isinstance(entry.get("text"), str)
            and ("spk" in entry or not {"start", "speaker", "role"} & entry.keys())
            for entry in doc
        )
    fields = mapping(doc)
    if not isinstance(fields.get("text", ""), str):
        return False
    if isinstance(fields.get("sentence_info"), list):
        return True
    sentences = fields.get("sentences")
    if isinstance(sentences, list) and "text" in fields:
        return all("text" in sentence or "sentence" in sentence for sentence in rows(sentences))
    # The HTTP service without a speaker model answers with the text alone; SenseVoice's tags betray it too.
    return "text" in fields and ("key" in fields or "code" in fields or bool(_TAG.search(fields["text"][:200])))


def read(doc: Any) -> Transcript:
    """The sentences in order of time, their tags taken off; the whole text as one turn where there are no sentences."""
    results = rows(doc) if isinstance(doc, list) else [mapping(doc)]
    pieces: list[Piece] = []
    for result in results:
        sentences = rows(result.get("sentence_info")) or rows(result.get("sentences"))
        read_here = [_sentence(sentence) for sentence in sentences]
        pieces += read_here if any(piece.text for piece in read_here) else [_sentence(result)]
    call = Call(id=name(results[0].get("key")) if len(results) == 1 else None)
    whole = _untagged(results[0].get("text")) if len(results) == 1 else ""
    return build("funasr", pieces, call, whole=whole)


def _sentence(fields: dict[str, Any]) -> Piece:
    """One sentence."""
    return Piece(
        _untagged(fields.get("text")) or _untagged(fields.get("sentence")),
        seconds(fields.get("start"), MILLISECONDS),
        seconds(fields.get("end"), MILLISECONDS),
        speaker=name(fields.get("spk", fields.get("speaker"))),
    )


def _untagged(value: object) -> str:
    """The text without SenseVoice's tags."""
    return _TAG.sub("", string(value)).strip()
