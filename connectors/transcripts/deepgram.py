"""Deepgram pre-recorded audio: utterances, paragraphs, diarized words, and several channels.

Source: Deepgram API reference, Listen; the example call of draft-ietf-vcon-vcon-core. Times are seconds.
"""

from __future__ import annotations

from typing import Any

from connectors.transcripts.base import Call, Piece, Transcript, build, joined_words, mapping, rows, string
from connectors.transcripts.units import name, seconds


def recognise(doc: Any) -> bool:
    """Whether this has results in channels, with alternatives in each."""
    channels = mapping(mapping(doc).get("results")).get("channels")
    return isinstance(channels, list) and all("alternatives" in channel for channel in rows(channels))


def read(doc: Any) -> Transcript:
    """The utterances where there are any, else the sentences of the paragraphs, else the words by speaker, else the transcript."""
    fields = mapping(doc)
    results = mapping(fields.get("results"))
    metadata = mapping(fields.get("metadata"))
    call = Call(id=name(metadata.get("request_id")), duration=seconds(metadata.get("duration")))
    channels = rows(results.get("channels"))
    several = len(channels) > 1
    pieces = [
        Piece(
            string(utterance.get("transcript")),
            seconds(utterance.get("start")),
            seconds(utterance.get("end")),
            speaker=name(utterance.get("speaker")),
            channel=_channel(utterance.get("channel")) if several else None,
        )
        for utterance in rows(results.get("utterances"))
    ]
    whole = ""
    if not pieces:
        for number, channel in enumerate(channels):
            best = (rows(channel.get("alternatives")) or [{}])[0]
            whole = string(best.get("transcript"))
            pieces += _alternative(best, str(number) if several else None)
    return build("deepgram", pieces, call, whole="" if several else whole)


def _channel(value: object) -> str | None:
    """The number of an utterance's channel, which is a number or a pair of number and count."""
    return name(value[0]) if isinstance(value, list) and value else name(value)


def _alternative(fields: dict[str, Any], channel: str | None) -> list[Piece]:
    """The pieces of one channel."""
    paragraphs = rows(mapping(fields.get("paragraphs")).get("paragraphs"))
    pieces = [
        Piece(
            string(sentence.get("text")),
            seconds(sentence.get("start")),
            seconds(sentence.get("end")),
            speaker=name(paragraph.get("speaker")),
            channel=channel,
        )
        for paragraph in paragraphs
        for sentence in rows(paragraph.get("sentences"))
    ]
    words = rows(fields.get("words"))
    if not pieces and any("speaker" in word for word in words):
        pieces = _by_speaker(words, channel)
    if pieces:
        return pieces
    end = seconds(words[-1].get("end")) if words else None
    start = seconds(words[0].get("start")) if words else None
    return [Piece(string(fields.get("transcript")), start, end, speaker=channel, channel=channel)]


def _by_speaker(words: list[dict[str, Any]], channel: str | None) -> list[Piece]:
    """The words of one speaker in a row as one piece each."""
    pieces: list[Piece] = []
    row: list[dict[str, Any]] = []
    for word in [*words, None]:
        if row and (word is None or word.get("speaker") != row[-1].get("speaker")):
            text = joined_words(string(each.get("punctuated_word")) or string(each.get("word")) for each in row)
            start, end = seconds(row[0].get("start")), seconds(row[-1].get("end"))
            pieces.append(Piece(text, start, end, speaker=name(row[0].get("speaker")), channel=channel))
            row = []
        if word is not None:
            row.append(word)
    return pieces
