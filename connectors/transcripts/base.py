"""A transcript, whatever format it came in, and how a format's reader makes one from the pieces it found."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from connectors.transcripts.labels import leaning_of, role_of
from connectors.transcripts.units import cleaned, name
from models.complaint import Speaker, Turn
from models.errors import Unreadable

# A day of talk has fewer; a file with more is kept whole, and its first turns are read.
MOST_TURNS = 20_000

# The closed list of what was wrong with a file and was put up with.
NO_SPEECH = "no_speech"
RECOGNITION_FAILED = "recognition_failed"
NOT_TRANSCRIBED = "not_transcribed"
BAD_BYTES = "bad_bytes"
DOUBLED_CHANNEL = "doubled_channel"
SEGMENTS_INCOMPLETE = "segments_incomplete"
TOO_MANY_TURNS = "too_many_turns"


@dataclass(frozen=True, slots=True)
class Call:
    """What the file says of the call.

    id:         the vendor's task or recording number, a vCon's uuid, or the number in a text's heading.
    started_at: aware, UTC; only where the file says when the call (not the recognition) began.
    duration:   seconds.
    phones:     the numbers of those who took part, in the file's order.
    """

    id: str | None = None
    started_at: datetime | None = None
    duration: float | None = None
    phones: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Transcript:
    """Who said what when.

    format:     name of the row of `formats.FORMATS` that read it.
    defects:    codes from the closed list above.
    leanings:   for a speaker's name, the role that the file makes likely without stating it.
    caller:     the customer's telephone number, where the file says whose number is whose.
    decided_by: what settled the roles: `label`, `words`, `alone`, `nothing`.
    certainty:  0 to 1, how sure the roles are; 1 where every turn's role is stated.
    """

    format: str
    turns: tuple[Turn, ...]
    call: Call = Call()
    defects: tuple[str, ...] = ()
    leanings: Mapping[str, Speaker] = field(default_factory=dict)
    caller: str | None = None
    decided_by: str = "nothing"
    certainty: float = 0.0


@dataclass(frozen=True, slots=True)
class Piece:
    """One utterance as a format gives it. `start`, `end` are seconds; `role` is the vendor's own word for who speaks."""

    text: str
    start: float | None = None
    end: float | None = None
    speaker: str | None = None
    channel: str | None = None
    role: str | None = None


def build(
    format: str,
    pieces: Iterable[Piece],
    call: Call = Call(),
    *,
    whole: str = "",
    defects: Sequence[str] = (),
    leanings: Mapping[str, Speaker] | None = None,
    caller: str | None = None,
) -> Transcript:
    """The transcript of these pieces: cleaned, in the order of time, channels merged, stated roles filled in.

    whole:   the text of the whole call where the format gives it too; what the pieces lack of it is added.
    defects: what the reader put up with; `no_speech` is added where nothing was said.
    """
    kept = [_clean(piece) for piece in islice(pieces, 2 * MOST_TURNS)]
    kept = [piece for piece in kept if piece.text]
    found = list(defects)
    if len(kept) > MOST_TURNS:
        kept = kept[:MOST_TURNS]
        found.append(TOO_MANY_TURNS)
    kept = in_time_order(kept)
    channels = {piece.channel for piece in kept if piece.channel is not None}
    if len(channels) == 2 and _doubled(kept):
        channels = {min(channel for channel in channels if channel is not None)}
        kept = [piece for piece in kept if piece.channel in channels]
        found.append(DOUBLED_CHANNEL)
    if whole:
        completed = _completed(kept, cleaned(whole))
        if len(completed) > len(kept) and kept:
            found.append(SEGMENTS_INCOMPLETE)
        kept = completed
    turns = tuple(_turn(piece, several_channels=len(channels) > 1) for piece in kept)
    if not turns and not found:
        found.append(NO_SPEECH)
    likely = {turn.speaker: role for turn in turns if turn.speaker and (role := leaning_of(turn.speaker))}
    return Transcript(format, turns, call, tuple(found), {**likely, **(leanings or {})}, caller)


def _clean(piece: Piece) -> Piece:
    """The piece with its text fit to be stored and shown."""
    end = piece.end if piece.start is None or piece.end is None or piece.end >= piece.start else None
    return Piece(cleaned(piece.text).strip(), piece.start, end, piece.speaker, piece.channel, piece.role)


def _turn(piece: Piece, *, several_channels: bool) -> Turn:
    """The turn of one piece. Where there are several channels each is one party's telephone; a single one says nothing."""
    speaker = piece.channel if several_channels and piece.channel is not None else piece.speaker
    role = role_of(piece.role) or role_of(speaker)
    return Turn(role or Speaker.UNKNOWN, piece.text, speaker or name(piece.role), piece.start, piece.end)


def in_time_order(pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces by their beginning; one without a time stays behind the piece it followed."""
    latest = 0.0
    keyed: list[tuple[float, int, Piece]] = []
    for position, piece in enumerate(pieces):
        latest = piece.start if piece.start is not None else latest
        keyed.append((latest, position, piece))
    return [piece for _, _, piece in sorted(keyed, key=lambda entry: entry[:2])]


def _doubled(pieces: Sequence[Piece]) -> bool:
    """Whether both channels carry the same words, as when a mono recording was stored as stereo."""
    by_channel: dict[str | None, list[str]] = {}
    for piece in pieces:
        by_channel.setdefault(piece.channel, []).append(piece.text)
    one, other = (by_channel[channel] for channel in by_channel if channel is not None)
    return len(one) > 1 and one == other


def _completed(pieces: Sequence[Piece], whole: str) -> list[Piece]:
    """The pieces, with what the whole text has and they lack put in between; unchanged where the two do not fit."""
    if not pieces:
        return [Piece(whole.strip())] if has_words(whole) else []
    result: list[Piece] = []
    at = 0
    for piece in pieces:
        here = whole.find(piece.text, at)
        if here < 0:
            return list(pieces)
        _add_rest(result, whole[at:here])
        result.append(piece)
        at = here + len(piece.text)
    _add_rest(result, whole[at:])
    return result


_WORD = re.compile(r"\w")
_SENTENCE = re.compile(r"[^。！？!?\n]+[。！？!?]*")


def has_words(text: str) -> bool:
    """Whether the text has any letter, character or digit at all."""
    return _WORD.search(text) is not None


def _add_rest(result: list[Piece], text: str) -> None:
    """Adds what was said here, a piece for each sentence, because nobody knows where the speaker changed."""
    result += [Piece(sentence) for sentence in sentences(text)]


def sentences(text: str) -> list[str]:
    """The sentences of a text, where it ends them; what has no words is left out."""
    return [sentence.strip() for sentence in _SENTENCE.findall(text) if has_words(sentence)]


def joined_words(words: Iterable[str]) -> str:
    """Recognised words as one text: a space between Latin words, none between Chinese ones."""
    result: list[str] = []
    for word in words:
        if result and word and result[-1][-1:].isascii() and word[0].isascii() and word[0].isalnum():
            result.append(" ")
        if word:
            result.append(word)
    return "".join(result)


def mapping(value: object) -> dict[str, Any]:
    """The value if it is a JSON object, else an empty one: what a vendor leaves out or sets to null reads alike."""
    return value if isinstance(value, dict) else {}


def rows(value: object) -> list[dict[str, Any]]:
    """The objects in a JSON list; nothing where it is no list."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def string(value: object) -> str:
    """The value if it is a text, else an empty one."""
    return value if isinstance(value, str) else ""


def not_finished(who: str, state: str) -> Unreadable:
    """The answer of a recogniser that is still at work: no transcript yet, so the file came too early.

    who: the vendor's name; state: what the file says of the task.
    """
    return Unreadable(
        "not_finished",
        f"{who}的识别任务尚未完成（状态 {state}），这不是转写结果；请在任务完成后重新投递。",
        f"The recognition task of {who} is not finished (state {state}); this is no transcript: drop it again when it is done.",
    )
