"""IETF vCon: a call with its parties, its recordings' transcripts and its written messages, of any version of the draft.

Source: draft-ietf-vcon-vcon-core, draft-ietf-vcon-cc-extension, draft-howe-vcon-wtf-extension. Instants are ISO 8601, durations
seconds. A body is a text, a JSON text, base64url of either, or (against the draft, but seen) an object. A recording's transcript
stands in `analysis`, in older files in `attachments`, as WTF, as another recogniser's own JSON, or as plain text.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from types import ModuleType
from typing import Any

from connectors.transcripts import aliyun_isi, aws, deepgram, funasr, google, huawei, spoken_text, tencent, whisper, wtf
from connectors.transcripts.base import NOT_TRANSCRIBED, Call, Piece, Transcript, build, mapping, rows, string
from connectors.transcripts.labels import role_of
from connectors.transcripts.units import added, instant, name, phone, seconds
from models.complaint import Speaker
from models.errors import Unreadable

# Whose JSON a transcript's body may be, tried in this order.
_BODIES: Sequence[ModuleType] = (wtf, deepgram, aws, google, huawei, tencent, aliyun_isi, whisper, funasr)
# Other analyses, such as a summary or a sentiment, are not what was said.
_TRANSCRIPTS = ("wtf_transcription", "transcript", "transcription")


def recognise(doc: Any) -> bool:
    """Whether this is a vCon: its version, or its uuid with its parties, and something that was said or analysed."""
    fields = mapping(doc)
    content = {"dialog", "analysis", "parties"} & fields.keys()
    return ("vcon" in fields and bool(content)) or ("uuid" in fields and isinstance(fields.get("parties"), list))


def read(doc: Any) -> Transcript:
    """The transcripts of the recordings and the written messages, in order of time.

    A recording that nobody transcribed gives `not_transcribed`.
    """
    fields = mapping(doc)
    parties = rows(fields.get("parties"))
    dialogs = rows(fields.get("dialog"))
    starts = [moment for dialog in dialogs if (moment := instant(dialog.get("start")))]
    begin = min(starts, default=None)
    roles = _roles(parties, dialogs)
    pieces: list[Piece] = []
    leanings: dict[str, Speaker] = {}
    for number, body in sorted(_bodies(fields).items()):
        dialog = dialogs[number] if number < len(dialogs) else {}
        offset = _offset(begin, dialog)
        for piece in body:
            role = piece.role
            place, stated = _party_of(piece.speaker, dialog, parties)
            if place is not None and role_of(piece.role) is None and place in roles:
                # The number of a voice and the place of a party agree often enough to be a hint, and no more.
                if stated:
                    role = roles[place]
                elif piece.speaker:
                    leanings[piece.speaker] = roles[place]
            shifted = (added(piece.start, offset), added(piece.end, offset))
            pieces.append(replace(piece, start=shifted[0], end=shifted[1], role=role))
    pieces += _messages(dialogs, parties, roles, begin)
    # A message lasts no time.
    ends = [added(_offset(begin, dialog), seconds(dialog.get("duration")) or None) for dialog in dialogs]
    numbers = [phone(party.get("tel")) for party in parties]
    callers = [number for place, number in enumerate(numbers) if number and roles.get(place) is Speaker.CUSTOMER]
    duration = max((end for end in ends if end is not None), default=None)
    call = Call(name(fields.get("uuid")), begin, duration, tuple(number for number in numbers if number))
    recorded = any(dialog.get("type") in ("recording", "video") for dialog in dialogs)
    defects = [NOT_TRANSCRIBED] if recorded and not any(piece.text.strip() for piece in pieces) and not _bodies(fields) else []
    caller = callers[0] if len(callers) == 1 else None
    return build("vcon", pieces, call, defects=defects, leanings=leanings, caller=caller)


def _roles(parties: list[dict[str, Any]], dialogs: list[dict[str, Any]]) -> dict[int, Speaker]:
    """The role of each party's place: as it is called; else the other of two; else the one who called is the customer."""
    known = {
        place: role for place, party in enumerate(parties) if (role := role_of(name(party.get("role"))) or role_of(name(party.get("name"))))
    }
    if len(parties) != 2 or len(known) == 2:
        return known
    if len(known) == 1:
        place, role = next(iter(known.items()))
        return {place: role, 1 - place: Speaker.AGENT if role is Speaker.CUSTOMER else Speaker.CUSTOMER}
    callers = [_originator(dialog) for dialog in dialogs]
    first = next((caller for caller in callers if caller is not None), None)
    return {} if first is None or first > 1 else {first: Speaker.CUSTOMER, 1 - first: Speaker.AGENT}


def _places(dialog: dict[str, Any]) -> list[int]:
    """The places of a dialog's parties, also of those that share a channel and so stand in a list of their own."""
    parties = dialog.get("parties")
    listed = parties if isinstance(parties, list) else [parties]
    flat = [place for entry in listed for place in (entry if isinstance(entry, list) else [entry])]
    return [place for place in flat if isinstance(place, int) and not isinstance(place, bool) and place >= 0]


def _originator(dialog: dict[str, Any]) -> int | None:
    """The place of the party who called or wrote: as stated, else the first."""
    stated = dialog.get("originator")
    if isinstance(stated, int) and not isinstance(stated, bool) and stated >= 0:
        return stated
    return next(iter(_places(dialog)), None)


def _party_of(speaker: str | None, dialog: dict[str, Any], parties: list[dict[str, Any]]) -> tuple[int | None, bool]:
    """The place of the party that a transcript's speaker is, and whether that is stated: by his name, or alone on the line."""
    for place, party in enumerate(parties):
        if speaker and speaker in (name(party.get("name")), name(party.get("tel"))):
            return place, True
    places = _places(dialog)
    if len(places) == 1:
        return places[0], True
    if speaker and speaker.isascii() and speaker.isdigit() and int(speaker) < len(places):
        return places[int(speaker)], False
    return None, False


def _offset(begin: datetime | None, dialog: dict[str, Any]) -> float:
    """Seconds from the beginning of the call to that of the dialog."""
    start = instant(dialog.get("start"))
    return round((start - begin).total_seconds(), 3) if start and begin else 0.0


def _content(part: dict[str, Any]) -> object:
    """What a body holds: a JSON value or a text; None where it has none or lies elsewhere."""
    body = part.get("body")
    if not isinstance(body, str):
        return body
    if part.get("encoding") in ("base64url", "base64"):
        try:
            body = base64.urlsafe_b64decode(body.replace("+", "-").replace("/", "_") + "=" * (-len(body) % 4)).decode()
        except (ValueError, binascii.Error):
            return None
    if body.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            return body
    return body


def _bodies(fields: dict[str, Any]) -> dict[int, tuple[Piece, ...]]:
    """The pieces of each dialog's transcript, by the dialog's place; of several transcripts of one dialog the longest."""
    found: dict[int, tuple[Piece, ...]] = {}
    for part in [*rows(fields.get("analysis")), *rows(fields.get("attachments"))]:
        kind = string(part.get("type")) or string(part.get("purpose"))
        if kind not in _TRANSCRIPTS:
            continue
        dialog = part.get("dialog", 0)
        place = dialog[0] if isinstance(dialog, list) and dialog else dialog
        place = place if isinstance(place, int) and not isinstance(place, bool) and place >= 0 else 0
        pieces = _read_body(_content(part))
        if sum(len(piece.text) for piece in pieces) > sum(len(piece.text) for piece in found.get(place, ())):
            found[place] = pieces
        found.setdefault(place, pieces)
    return found


def _read_body(content: object) -> tuple[Piece, ...]:
    """The pieces of a transcript's body, whatever recogniser wrote it; nothing for what none of them knows."""
    if isinstance(content, str):
        turns = spoken_text.read(content).turns
    else:
        reader = next((reader for reader in _BODIES if reader.recognise(content)), None)
        try:
            turns = reader.read(content).turns if reader else ()
        except Unreadable:
            turns = ()
    return tuple(
        Piece(turn.text, turn.start, turn.end, speaker=turn.speaker, role=None if turn.role is Speaker.UNKNOWN else turn.role)
        for turn in turns
    )


def _messages(
    dialogs: list[dict[str, Any]], parties: list[dict[str, Any]], roles: dict[int, Speaker], begin: datetime | None
) -> list[Piece]:
    """The written messages: who wrote each is stated, so the role of his party is his."""
    pieces = []
    for dialog in dialogs:
        content = _content(dialog) if dialog.get("type") == "text" else None
        if not isinstance(content, str):
            continue
        place = _originator(dialog)
        party = parties[place] if place is not None and place < len(parties) else {}
        role = roles.get(place) if place is not None else None
        start = _offset(begin, dialog) if instant(dialog.get("start")) else None
        end = added(start, seconds(dialog.get("duration")))
        speaker = name(party.get("name")) or name(place)
        pieces.append(Piece(content, start, end, speaker=speaker, role=role))
    return pieces
