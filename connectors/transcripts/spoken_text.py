"""Plain text of a call, with the speakers' names before what they say or without: the call centre's own notes, or an export.

Source: the forms seen with call centres and with the exports of Chinese meeting recorders: `客服：…`, `[00:01] 客户: …`, `【坐席】…`,
`说话人1 00:05` on a line of its own, all turns on one line, and a heading with the caller's number before the first turn.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice, pairwise
from typing import Any

from connectors.transcripts.base import MOST_TURNS, Call, Piece, Transcript, build, has_words
from connectors.transcripts.labels import (
    AGENT_ENGLISH,
    AGENT_NAMES,
    CUSTOMER_ENGLISH,
    CUSTOMER_NAMES,
    GENERIC_NAME,
    role_of,
)
from connectors.transcripts.units import instant, name, phone, seconds
from connectors.transcripts.words import leaning
from models.complaint import Speaker, Turn

_ROLE = rf"(?:{AGENT_NAMES}|{CUSTOMER_NAMES}|(?i:{AGENT_ENGLISH}|{CUSTOMER_ENGLISH}))"
# 客服01, 客服(小李), 客服-小李, 工号1023, 王女士（业主）; but not 客服说, 客户电话, 业主诉求.
_KNOWN = (
    rf"(?:\d{{1,6}}|在线|人工|智能|售后|官方|值班|"
    rf"[\u4e00-\u9fff]{{1,3}}(?:先生|女士|小姐)?\s?[（(])?{_ROLE}(?:人员|专员|代表|方|端|侧)?"
    rf"(?:[ _#-]?(?!\d{{1,2}}:\d\d)[0-9A-Za-z]{{1,6}}|[（(][^（）()\n]{{1,12}}[）)]|"
    rf"[-—_ ]?小[\u4e00-\u9fff]|[\u4e00-\u9fff]{{0,2}}(?:先生|女士|小姐))?[）)]?"
)
_LABEL = rf"(?:{GENERIC_NAME}|{_KNOWN})"
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d{1,3})?"
_DATE = r"\d{4}[-/年.]\d{1,2}[-/月.]\d{1,2}日?[ T]?"
_TIME = (
    rf"[\[(（【<]?\s*(?:{_DATE})?(?P<{{0}}start>{_CLOCK}|\d{{1,6}}(?:\.\d{{1,3}})?s)"
    rf"(?:\s*(?:-->|--|[-—–~～至,])\s*(?P<{{0}}end>{_CLOCK}|\d{{1,6}}(?:\.\d{{1,3}})?s))?\s*[\])）】>]?"
)
_BEFORE = _TIME.replace("{0}", "before_").replace("{{", "{").replace("}}", "}")
_AFTER = _TIME.replace("{0}", "after_").replace("{{", "{").replace("}}", "}")

# `[00:01] 客服 00:01：您好`, every part but the name and the colon at will.
_TURN = re.compile(rf"\s*(?:{_BEFORE})?\s*(?P<name>{_LABEL})\s*(?:{_AFTER})?\s*[:：]\s*(?P<text>.*)", re.DOTALL)
# `【客服】您好`, `[坐席] 您好`, `客服<tab>您好`.
_BRACKETED = re.compile(rf"\s*(?:{_BEFORE})?\s*[\[【(（<](?P<name>{_LABEL})[\]】)）>]\s*(?:{_AFTER})?\s*[:：]?\s*(?P<text>.*)", re.DOTALL)
_TABBED = re.compile(rf"\s*(?:{_BEFORE}\s*\t\s*)?(?P<name>{_LABEL})\s*\t\s*(?:{_AFTER}\s*\t\s*)?(?P<text>.+)", re.DOTALL)
# `说话人1 00:05` or `00:05 说话人1` alone; what he says stands below.
_ALONE = re.compile(rf"\s*(?:{_BEFORE}\s+(?P<name>{_LABEL})|(?P<name2>{_LABEL}|[^\s:：，。]{{1,10}})\s+{_AFTER})\s*")
_TIMED = re.compile(rf"\s*(?=[\[(（【<\d]){_BEFORE}\s*(?P<text>.*)", re.DOTALL)
# Any short word before a colon, such as the name of a person; it needs more proof.
_ANY_NAME = re.compile(
    rf"\s*(?:{_BEFORE})?\s*(?P<name>[\u4e00-\u9fffA-Za-z][\u4e00-\u9fffA-Za-z0-9·. ]{{0,11}})\s*[:：]\s*(?P<text>.*)", re.DOTALL
)
# Several turns on one line.
_INLINE = re.compile(rf"(?:^|(?<=[\s。！？!?…；;”」]))(?=(?:{AGENT_NAMES}|{CUSTOMER_NAMES}|(?i:agent|customer|caller))\d{{0,4}}\s*[:：])")

# The heading of a note: what it says of the call.
# A clock at six hours or later is the time of day, for no call has lasted so long.
_MORNING, _DAY = 6 * 3600.0, 24 * 3600.0
_WALL_CLOCK = re.compile(rf"[^\d\n]{{0,14}}({_DATE})\s?({_CLOCK})")
_BLANKS = re.compile(r"[^\S\n]{3,}")
_HEADING = re.compile(r"\s*([\u4e00-\u9fffA-Za-z][\u4e00-\u9fffA-Za-z ]{1,11})\s*[:：]\s*(\S.{0,60}?)\s*")
_HEADING_KEYS = {
    "phone": re.compile(
        r"(?:来电|主叫|客户|业主|联系|呼入|用户)?(?:电话|号码|手机号?|主叫|电话号码|手机号码|联系方式)|(?i:caller(?: number)?|phone)"
    ),
    "id": re.compile(r"(?:通话|录音|会话|工单|来电)?(?:编号|流水号|流水|[Ii][Dd]|单号)|(?i:call id)"),
    "start": re.compile(r"(?:通话|来电|开始|录音|呼入|接听)(?:开始)?(?:时间|日期)|时间|日期|(?i:started?|date|time)"),
    "duration": re.compile(r"(?:通话|录音)?时长|(?i:duration)"),
    "other": re.compile(
        r"(?:客户|业主|用户|投诉)?(?:姓名|名称|楼盘|项目|房号|地址|类型|渠道|主题|标题)|"
        r"坐席工号|工号|被叫(?:号码)?|录音文件|文件名?|技能组"
    ),
}
# What a field of the heading must look like; what does not is somebody's words.
_FITS: Mapping[str, Callable[[str], object]] = {
    "phone": phone,
    "id": str.isascii,
    "start": instant,
    "duration": seconds,
    "other": str,
}


def recognise(doc: Any) -> bool:
    """Whether this is text at all: whatever no other format claims is what somebody said."""
    return isinstance(doc, str)


def heading(line: str) -> tuple[str | None, str] | None:
    """The speaker's name before a colon and what follows, where the name is one that speakers bear; else None."""
    match = _TURN.fullmatch(line)
    return (match["name"].strip(), match["text"].strip()) if match else None


def collapsed(text: str) -> str:
    """The text with long runs of blanks made short, so that no pattern here can be slow on them."""
    return _BLANKS.sub(lambda match: match[0][:2], text)


def _lines(text: str) -> list[str]:
    """The lines that have anything in them; what comes after very many stays together as the last."""
    lines = [line for line in collapsed(text).split("\n") if line.strip()]
    return [*lines[:MOST_TURNS], "\n".join(lines[MOST_TURNS:])] if len(lines) > MOST_TURNS else lines


def read(doc: Any) -> Transcript:
    """The turns of a text; without names and times a turn per line where the lines tell the speakers, else one turn."""
    call, lines = _call(_lines(str(doc)))
    pieces = _named(lines) or _timed(lines)
    if not pieces and _two_voices(lines):
        pieces = [Piece(line) for line in lines]
    if not pieces:
        pieces = [Piece("\n".join(line.strip() for line in lines))]
    if not call.started_at:
        call = replace(call, started_at=_first_instant(lines))
    caller = call.phones[0] if len(call.phones) == 1 else None
    return build("text", _from_the_beginning(pieces, lines), call, caller=caller)


def named_turns(text: str) -> tuple[Turn, ...]:
    """The turns of a text that names its speakers, roles filled in where the names state them; empty where it names none."""
    _, lines = _call(_lines(text))
    pieces = _named(lines)
    return build("text", _from_the_beginning(pieces, lines)).turns if pieces else ()


def _first_instant(lines: Sequence[str]) -> datetime | None:
    """The first date with its time of day that stands before a turn, where the lines carry such."""
    match = next((match for line in lines[:3] if (match := _WALL_CLOCK.match(line[:60]))), None)
    return instant(f"{match[1].rstrip('T ').replace('.', '-')} {match[2].zfill(8)}") if match else None


def _from_the_beginning(pieces: Sequence[Piece], lines: Sequence[str]) -> list[Piece]:
    """The pieces with their times counted from the first, where the lines carry the time of day instead."""
    starts = [piece.start for piece in pieces if piece.start is not None]
    if not starts or (min(starts) < _MORNING and _first_instant(lines) is None):
        return list(pieces)
    # A call may go on past midnight.
    counted = [
        (
            None if piece.start is None else round((piece.start - starts[0]) % _DAY, 3),
            None if piece.end is None else round((piece.end - starts[0]) % _DAY, 3),
        )
        for piece in pieces
    ]
    return [replace(piece, start=start, end=end) for piece, (start, end) in zip(pieces, counted, strict=True)]


def _call(lines: Sequence[str]) -> tuple[Call, list[str]]:
    """What the heading says of the call, and the lines below it."""
    found: dict[str, str] = {}
    phones: list[str] = []
    for place, line in enumerate(lines[:12]):
        match = _HEADING.fullmatch(line)
        key = next((key for key, pattern in _HEADING_KEYS.items() if match and pattern.fullmatch(match[1].strip())), None)
        if not match or key is None or not _FITS[key](match[2]):
            # A heading stands above the turns; the same fields in a letter without turns are its text.
            rest = list(lines[place:])
            if not found or not (_named(rest[:40]) or _timed(rest[:40])):
                return Call(), list(lines)
            break
        found[key] = match[2]
        if key == "phone" and (number := phone(match[2])):
            phones.append(number)
    else:
        return Call(), list(lines)
    duration = seconds(found.get("duration"))
    return Call(name(found.get("id")), instant(found.get("start")), duration, tuple(phones)), rest


def _two_voices(lines: Sequence[str]) -> bool:
    """Whether of at least three lines some are clearly an agent's and some clearly a customer's."""
    leans = [leaning(line) for line in lines] if 3 <= len(lines) <= 2000 else []
    return any(lean >= 3 for lean in leans) and any(lean <= -2 for lean in leans) and sum(abs(lean) >= 1.4 for lean in leans) >= 3


def _named(lines: Sequence[str]) -> list[Piece]:
    """A piece for every line that begins with a speaker, the lines below it added; nothing where the names are no speakers'."""
    lines = _unfolded(lines)
    extra = _names(lines)
    pieces: list[Piece] = []
    heads = 0
    for line in lines:
        piece = _piece(line, extra)
        if piece:
            heads += 1
            pieces.append(piece)
        elif pieces:
            pieces[-1] = replace(pieces[-1], text=f"{pieces[-1].text}\n{line.strip()}".strip())
        else:
            pieces.append(Piece(line))
    names = {piece.speaker for piece in pieces if piece.speaker}
    # A letter that lists who said what (物业：…, 销售：…) and has no customer in it is the customer's own.
    if len(names) > 1 and all(role_of(speaker) is Speaker.AGENT for speaker in names):
        return []
    # One name in the middle of a letter (业主：李某) is a signature.
    first = _piece(lines[0], extra) if lines else None
    return pieces if heads >= 2 or (first and role_of(first.speaker)) else []


def _piece(line: str, extra: frozenset[str]) -> Piece | None:
    """The piece that a line begins, or None."""
    line = line[:200_000]
    if len(line) <= 80 and (match := _ALONE.fullmatch(line)):
        return _timed_piece(match, match["name"] or match["name2"], "")
    for pattern in (_TURN, _BRACKETED, _TABBED):
        if match := pattern.fullmatch(line):
            return _timed_piece(match, match["name"], match["text"])
    if (match := _ANY_NAME.fullmatch(line)) and match["name"].strip() in extra:
        return _timed_piece(match, match["name"], match["text"])
    return None


def _timed_piece(match: re.Match[str], speaker: str, text: str) -> Piece:
    """The piece of a line with the times that stand before or after the name."""
    parts = match.groupdict()
    start = parts.get("before_start") or parts.get("after_start")
    end = parts.get("before_end") or parts.get("after_end")
    return Piece(text.strip(), seconds(start), seconds(end), speaker=speaker.strip()[:40])


def _names(lines: Sequence[str]) -> frozenset[str]:
    """Words before colons that are persons' names: at least two of them, each more than once, before most of the lines."""
    counted = Counter(match["name"].strip() for line in lines if (match := _ANY_NAME.fullmatch(line[:400])))
    names = frozenset(word for word, count in counted.items() if count >= 2)
    if len(names) < 2 or sum(counted[word] for word in names) < 0.7 * len(lines):
        return frozenset()
    return names


def _unfolded(lines: Sequence[str]) -> list[str]:
    """The lines; turns that all stand on one line are put on lines of their own."""
    if sum(_TURN.fullmatch(line[:400]) is not None for line in lines) > 1:
        return list(lines)
    result: list[str] = []
    for line in lines:
        places = [match.start() for match in islice(_INLINE.finditer(line), MOST_TURNS + 1)]
        if len(places) < 2:
            result.append(line)
            continue
        cuts = [0, *[place for place in places if place], len(line)]
        result += [line[begin:end] for begin, end in pairwise(cuts) if line[begin:end].strip()]
    return result


def _timed(lines: Sequence[str]) -> list[Piece]:
    """A piece for each line that begins with a time and names nobody; nothing where fewer than half of the lines do."""
    matches = [_TIMED.fullmatch(line[:200_000]) for line in lines]
    if sum(match is not None for match in matches) < max(2, len(lines) / 2):
        return []
    pieces: list[Piece] = []
    for line, match in zip(lines, matches, strict=True):
        if match:
            pieces.append(Piece(match["text"], seconds(match["before_start"]), seconds(match["before_end"])))
        elif pieces and not has_words(pieces[-1].text):
            pieces[-1] = replace(pieces[-1], text=line)
        else:
            pieces.append(Piece(line))
    return pieces


def one_turn(text: str) -> tuple[Turn, ...]:
    """The whole text as the customer's, or nothing where it has no words."""
    return (Turn(Speaker.CUSTOMER, text.strip()),) if has_words(text) else ()
