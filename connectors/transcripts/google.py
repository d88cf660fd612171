"""Google Cloud Speech-to-Text: v1, v1p1beta1 with speaker tags, v2, and a long-running operation's answer around any of them.

Source: Google Cloud, SpeechRecognitionResult (v1, v2), Separate different speakers. Times are texts such as `4.100s`; v1 calls the end
of a result `resultEndTime`, v2 `resultEndOffset`. Channels count from 1. With diarization the words carry the speaker; in v1 the last
result repeats all words of the call with their speakers.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from connectors.transcripts.units import name, seconds

# The words must make up this part of a transcript before they are put in its place.
_MOST = 0.6


def recognise(doc: Any) -> bool:
    """Whether this is a list of results with alternatives, or an operation (done or not) that holds or will hold one."""
    fields = mapping(doc)
    return bool(_results(fields)) or _is_operation(fields)


def _is_operation(fields: dict[str, Any]) -> bool:
    """Whether this is a long-running operation of the speech service."""
    parts = (mapping(fields.get("metadata")), mapping(fields.get("response")))
    own = any("progressPercent" in part or "speech" in string(part.get("@type")) for part in parts)
    return "name" in fields and (own or isinstance(fields.get("done"), bool))


def _results(fields: dict[str, Any]) -> list[dict[str, Any]]:
    """The results, also those of a v2 batch, which stand under each file's address."""
    results = fields.get("results")
    if isinstance(results, dict):
        files = [mapping(each) for each in results.values()]
        inner = [mapping(file.get("transcript") or mapping(file.get("inlineResult")).get("transcript")) for file in files]
        results = [result for each in inner for result in rows(each.get("results"))]
    return [result for result in rows(results) if isinstance(result.get("alternatives"), list)]


def read(doc: Any) -> Transcript:
    """The results in order of time, split by speaker where the words name him.

    Raises `Unreadable` (`not_finished`) for an operation that is not done.
    """
    fields = mapping(doc)
    call = Call(id=name(fields.get("requestId") or fields.get("name")))
    if "name" in fields and "results" not in fields:
        if "error" in fields:
            return build("google_stt", [], call, defects=[RECOGNITION_FAILED])
        if fields.get("done") is not True:
            raise not_finished("Google Speech-to-Text", "done: false")
        fields = mapping(fields.get("response"))
        call = Call(id=call.id or name(fields.get("requestId")))
    pieces: list[Piece] = []
    results = _results(fields)
    repeated = _repeated(results)
    for result in results if repeated is None else [repeated]:
        pieces += _pieces(result)
    return build("google_stt", pieces, call)


def _best(result: dict[str, Any]) -> dict[str, Any]:
    """The likeliest alternative."""
    return (rows(result["alternatives"]) or [{}])[0]


def _words(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The words of the likeliest alternative."""
    return rows(_best(result).get("words"))


def _speaker(word: dict[str, Any]) -> str | None:
    """The speaker of a word; 0 means none."""
    speaker = name(word.get("speakerTag") or word.get("speakerLabel"))
    return None if speaker == "0" else speaker


def _repeated(results: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The last result, where it holds the words of all others over again and only there with their speakers."""
    if len(results) < 2 or not all(_speaker(word) for word in _words(results[-1])):
        return None
    others = sum(len(_words(result)) for result in results[:-1])
    tagged = any(_speaker(word) for result in results[:-1] for word in _words(result))
    return results[-1] if others and not tagged and len(_words(results[-1])) >= others else None


def _pieces(result: dict[str, Any]) -> list[Piece]:
    """One result as a piece, or as one piece per speaker in a row where its words make up its text."""
    words = _words(result)
    transcript = string(_best(result).get("transcript"))
    channel = name(result.get("channelTag"))
    speakers = {_speaker(word) for word in words} - {None}
    spoken = sum(len(string(word.get("word"))) for word in words)
    if speakers and spoken >= _MOST * len(transcript.replace(" ", "")):
        return _by_speaker(words, channel)
    start = _start(words[0]) if words else None
    end = seconds(result.get("resultEndTime", result.get("resultEndOffset")))
    speaker = min(speakers, key=str) if len(speakers) == 1 else None
    return [Piece(transcript, start, end, speaker=speaker, channel=channel)]


def _start(word: dict[str, Any]) -> float | None:
    """When a word begins; v1 leaves out a time of zero seconds in some clients."""
    return seconds(word.get("startTime", word.get("startOffset", "0s")))


def _by_speaker(words: Sequence[dict[str, Any]], channel: str | None) -> list[Piece]:
    """The words of one speaker in a row as one piece each."""
    pieces: list[Piece] = []
    row: list[dict[str, Any]] = []
    for word in [*words, None]:
        if row and (word is None or _speaker(word) != _speaker(row[-1])):
            text = joined_words(string(each.get("word")).split("|")[0] for each in row)
            end = seconds(row[-1].get("endTime", row[-1].get("endOffset")))
            pieces.append(Piece(text, _start(row[0]), end, speaker=_speaker(row[0]), channel=channel))
            row = []
        if word is not None:
            row.append(word)
    return pieces
