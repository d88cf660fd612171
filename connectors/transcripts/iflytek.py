"""iFlytek lfasr (语音转写): version 2 with its JSON inside JSON inside JSON, and the older version 1.

Source: iFlytek open platform, 语音转写 API. `content.orderResult` is a JSON text; in it `lattice[].json_1best` is a JSON text again,
where `lattice2[].json_1best` (the words before smoothing) is an object. Times `bg`, `ed` are strings of milliseconds; `rl` is the
number of the speaker, 0 without separation; `label.rl_track` says on which track, L or R, each of them was. In version 1 `data` is a
JSON text of a list.
"""

from __future__ import annotations

import json
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

_WHO = "讯飞语音转写 (iFlytek lfasr)"
_DONE, _FAILED = 4, -1


def recognise(doc: Any) -> bool:
    """Whether this is an order's answer (version 2), its `orderResult` alone, or an answer of version 1."""
    fields = mapping(doc)
    if {"orderInfo", "orderResult"} & mapping(fields.get("content")).keys():
        return True
    if isinstance(fields.get("lattice"), list) or isinstance(fields.get("lattice2"), list):
        return True
    return "ok" in fields and "err_no" in fields and "data" in fields


def read(doc: Any) -> Transcript:
    """The sentences in order of time.

    Raises `Unreadable` (`not_finished`) for an order at work. `orderInfo.status` -1, or `ok` other than 0, is `recognition_failed`.
    """
    fields = mapping(doc)
    if "err_no" in fields:
        return _version_1(fields)
    content = mapping(fields.get("content"))
    order = mapping(content.get("orderInfo"))
    call = Call(
        id=name(order.get("orderId")),
        duration=seconds(order.get("realDuration") or order.get("originalDuration"), MILLISECONDS),
    )
    result = mapping(_loaded(content.get("orderResult"))) if content else fields
    lattice = rows(result.get("lattice")) or rows(result.get("lattice2"))
    status = order.get("status")
    if not lattice and status not in (None, _DONE, _FAILED) and not order.get("failType"):
        raise not_finished(_WHO, str(status)[:20])
    if not lattice and (status == _FAILED or order.get("failType")):
        return build("iflytek_lfasr", [], call, defects=[RECOGNITION_FAILED])
    return build("iflytek_lfasr", _pieces(lattice, _tracks(result)), call)


def _version_1(fields: dict[str, Any]) -> Transcript:
    """The older answer: `data` is a JSON text of a list of sentences, every value of them a string."""
    if fields.get("ok") not in (0, "0"):
        return build("iflytek_lfasr_v1", [], defects=[RECOGNITION_FAILED])
    pieces = [
        Piece(
            string(sentence.get("onebest")),
            seconds(sentence.get("bg"), MILLISECONDS),
            seconds(sentence.get("ed"), MILLISECONDS),
            speaker=_role_number(sentence.get("speaker")),
        )
        for sentence in rows(_loaded(fields.get("data")))
    ]
    return build("iflytek_lfasr_v1", pieces)


def _loaded(value: object) -> object:
    """What a JSON text within JSON holds; what is an object or list already stays as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _tracks(result: dict[str, Any]) -> dict[str, str]:
    """The track, L or R, of each speaker's number."""
    pairs = ((_role_number(row.get("rl")), name(row.get("track"))) for row in rows(mapping(result.get("label")).get("rl_track")))
    return {number: track for number, track in pairs if number and track}


def _pieces(lattice: list[dict[str, Any]], tracks: dict[str, str]) -> list[Piece]:
    """The sentences of a lattice. Where several speakers share a track, the number tells them apart and the track does not."""
    separate = len(set(tracks.values())) == len(tracks) > 1
    pieces: list[Piece] = []
    for entry in lattice:
        sentence = mapping(mapping(_loaded(entry.get("json_1best"))).get("st"))
        words = [
            string(choice.get("w"))
            for part in rows(sentence.get("rt"))
            for word in rows(part.get("ws"))
            for choice in rows(word.get("cw"))[:1]
        ]
        speaker = _role_number(sentence.get("rl"))
        pieces.append(
            Piece(
                joined_words(words),
                seconds(sentence.get("bg", entry.get("begin")), MILLISECONDS),
                seconds(sentence.get("ed", entry.get("end")), MILLISECONDS),
                speaker=speaker,
                channel=tracks.get(speaker or "") if separate else None,
            )
        )
    return pieces


def _role_number(value: object) -> str | None:
    """The number of a speaker; 0 means that speakers were not separated."""
    number = name(value)
    return None if number == "0" else number
