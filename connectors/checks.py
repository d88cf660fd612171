"""What every connector's `parse` must satisfy, as one call; a new way in is done when `check_parser` says nothing."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable

from models.complaint import Attachment, Parsed, Speaker, Turn
from models.errors import Unreadable
from models.submission import Submission

Parse = Callable[[Submission], Parsed]

_CODE = re.compile(r"[a-z][a-z0-9_]*")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")

# Bytes that no parser was made for.
HOSTILE: tuple[bytes, ...] = (
    b"",
    b"\x00",
    b"\r\n\r\n",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    bytes(range(256)) * 10,
    "我家漏水".encode("utf-16"),
    "我家漏水".encode("gb18030") + b"\x81",
    b"null",
    b"[]",
    b"{}",
    b'{"id": "a", "text": "\\ud800\\u0000"}',
    b'{"id": ' + b"9" * 10_000 + b"}",
    b'{"text": NaN, "id": Infinity, "segments": [{"start": 1e999, "end": -1e999, "text": null}]}',
    b'{"segments": [{"start": "x", "end": {}, "text": ["y"]}], "results": 7, "text": {}}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"Subject: =?utf-8?b?\xff?= =?x-unknown?q?=ff?= =?utf-8?b?5rw=?=\r\nMessage-ID: <<>@@>\r\nDate: 99 Foo 0\r\n\r\n\x00",
    b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"--a\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n" * 1000,
    b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"--a\r\n\r\nx\r\n" * 20_000,
    b"From: " + b"a" * 200_000 + b"\r\nTo: " + b"<a@b>," * 20_000 + b"\r\n\r\n" + "渗".encode() * 100_000,
    b"1\n00:00:01,000 --> 99:99:99,999\n" * 5000,
    "客户：".encode() * 20_000,
)


def check_parser(parse: Parse, submission_of: Callable[[bytes], Submission], raws: Iterable[bytes] = HOSTILE) -> None:
    """Raises `AssertionError` with a sentence for the first bytes whose parsing does not satisfy `check_parse`."""
    for raw in raws:
        check_parse(parse, submission_of(raw))


def check_parse(parse: Parse, submission: Submission) -> None:
    """Raises `AssertionError` with a sentence when `parse` does not do with this submission what every parser must.

    Either a `Parsed` of plain strings, whose turns, attachments and details can be written as JSON, or `Unreadable` with a code and a
    sentence in each language, and nothing else; the same both times, with the submission left as it was.
    """
    first, second = _outcome(parse, submission), _outcome(parse, submission)
    _require(first == second, "the same submission must be read alike both times", submission)
    if isinstance(first, Parsed):
        _check_parsed(first, submission)


def _outcome(parse: Parse, submission: Submission) -> Parsed | tuple[str, str, str]:
    before = (submission.raw, dict(submission.envelope))
    try:
        parsed = parse(submission)
    except Unreadable as error:
        _require(_CODE.fullmatch(error.code) is not None, f"the code of Unreadable must be a word, not {error.code!r}", submission)
        _require(_CHINESE.search(error.zh) is not None, "Unreadable must say why in Chinese", submission)
        _require(bool(error.en.strip()), "Unreadable must say why in English", submission)
        return error.code, error.zh, error.en
    except Exception as error:
        raise AssertionError(f"parse raised {type(error).__name__}, not Unreadable; {_shown(submission)}") from error
    _require(isinstance(parsed, Parsed), "parse must give a Parsed", submission)
    _require(before == (submission.raw, dict(submission.envelope)), "parse must leave the submission as it is", submission)
    return parsed


def _check_parsed(parsed: Parsed, submission: Submission) -> None:
    for name in ("title", "said", "text"):
        _require(isinstance(getattr(parsed, name), str), f"{name} must be a string", submission)
    _require("\n" not in parsed.title and "\r" not in parsed.title, "title must be one line", submission)
    _require(isinstance(parsed.machine, bool), "machine must be True or False", submission)
    _require(all(_CODE.fullmatch(code) for code in parsed.defects), "defects must be codes", submission)
    _require(all(isinstance(value, str) for value in parsed.hints.found().values()), "hints must be strings", submission)
    _require(all(_is_turn(turn) for turn in parsed.turns), "a turn must have a role, a text, and times that are numbers", submission)
    _require(all(_is_attachment(one) for one in parsed.attachments), "an attachment must have a name, a size and a type", submission)
    try:
        written = json.dumps(dict(parsed.details), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise AssertionError(f"details must be JSON values: {error}; {_shown(submission)}") from None
    _require(json.loads(written).keys() == parsed.details.keys(), "details must have strings for keys", submission)


def _is_turn(turn: Turn) -> bool:
    times = [time for time in (turn.start, turn.end) if time is not None]
    strings = isinstance(turn.text, str) and (turn.speaker is None or isinstance(turn.speaker, str))
    return strings and isinstance(turn.role, Speaker) and all(isinstance(time, int | float) and math.isfinite(time) for time in times)


def _is_attachment(one: Attachment) -> bool:
    return isinstance(one.filename, str) and isinstance(one.mime_type, str) and isinstance(one.size, int) and one.size >= 0


def _require(holds: bool, sentence: str, submission: Submission) -> None:
    if not holds:
        raise AssertionError(f"{sentence}; {_shown(submission)}")


def _shown(submission: Submission) -> str:
    return f"{len(submission.raw)} bytes, beginning {submission.raw[:200]!r}"
