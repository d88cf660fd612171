"""Every connector's parser keeps the contract of `connectors.checks`, on hostile bytes, on real and on damaged ones."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from factories import MORNING
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import mime, transcripts, web_chat
from connectors.checks import Parse, check_parse, check_parser
from models.complaint import Attachment, Parsed, Speaker, Turn
from models.errors import Unreadable
from models.submission import Channel, Submission

TESTS = Path(__file__).parents[1]
MAILS = [path.read_bytes() for path in sorted((TESTS / "mail").glob("*.eml"))]
CALLS = [path.read_bytes() for path in sorted((TESTS / "transcripts").iterdir()) if "expected" not in path.name and path.is_file()]
LINES = [json.dumps({"id": "c1", "text": "我家漏水"}).encode(), b'{"id": "c2", "text": ""}', b'{"text": "x"}']

# The same examples every time: a test that fails must fail for everybody.
bounded = settings(max_examples=120, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


@dataclass(frozen=True)
class Door:
    """A parser, with the bytes that it was made for."""

    channel: Channel
    parse: Parse
    real: list[bytes]

    def submission(self, raw: bytes) -> Submission:
        return Submission(
            self.channel, raw, "application/octet-stream", "key", MORNING, "talk", {"mail_from": "a@b.example", "file_name": "x"}
        )


DOORS = [
    Door(Channel.EMAIL, mime.parse, MAILS),
    Door(Channel.CHAT, web_chat.parse, LINES),
    Door(Channel.PHONE, transcripts.parse, CALLS),
]
every_door = pytest.mark.parametrize("door", DOORS, ids=lambda door: door.channel.value)

texts = st.text(max_size=30) | st.sampled_from(["", "客户：", "\ud800", "\x00", "2026-11-23T09:00:00Z", "00:00:01,000 --> 00:00:02,000"])
KEYS = [
    "id",
    "text",
    "type",
    "segments",
    "results",
    "utterances",
    "Sentences",
    "start",
    "end",
    "speaker",
    "words",
    "data",
    "content",
    "role",
]
keys = st.sampled_from(KEYS)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys | texts, inner, max_size=5),
    max_leaves=20,
)
NAMES = ["From", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Content-Type", "Content-Transfer-Encoding"]
NAMES += ["Content-Disposition", "Auto-Submitted", "MIME-Version", "Return-Path", "X-Loop"]
names = st.sampled_from(NAMES)
values = st.binary(max_size=60) | st.sampled_from(
    [
        b"multipart/mixed; boundary=a",
        b"multipart/alternative; boundary=\"a\"; boundary*=utf-8''%61",
        b"text/html; charset=gb2312",
        b"text/plain; charset=\xff",
        b"message/rfc822",
        b"base64",
        b"quoted-printable",
        b"x-uuencode",
        b"=?gb2312?b?xOO6ww=?= =?utf-8?q?=E6=BC?=",
        b"attachment; filename*0*=utf-8''%ff; filename=\"../x\"",
        b'<a@b>, "c" <d@e, f: g@h;',
        b"Mon, 99 Nov 99999 25:61:61 +9999",
    ]
)


@st.composite
def mails(draw: st.DrawFn) -> bytes:
    """Bytes that have the look of a mail."""
    heads = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in draw(st.lists(st.tuples(names, values), max_size=8)))
    bodies = st.lists(
        st.binary(max_size=80) | st.sampled_from([b"--a\r\n", b"--a--\r\n", b"\r\n", "> 原文".encode(), b"<p>x<br>"]), max_size=8
    )
    return heads + b"\r\n" + b"\r\n".join(draw(bodies))


@st.composite
def damaged(draw: st.DrawFn, real: list[bytes]) -> bytes:
    """Real bytes with something cut out, put in or said twice."""
    raw = draw(st.sampled_from(real))
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(raw)))
        end = min(len(raw), begin + draw(st.integers(0, 200)))
        between = draw(
            st.binary(max_size=20) | st.just(raw[begin:end] * 2) | st.sampled_from([b"\r\n", b'"', b"[", b"}", b"\x00", b"\xff", b"--"])
        )
        raw = raw[:begin] + between + raw[end:]
    return raw


@every_door
def test_hostile_bytes(door: Door) -> None:
    check_parser(door.parse, door.submission)


@every_door
def test_real_bytes(door: Door) -> None:
    check_parser(door.parse, door.submission, door.real)


@every_door
def test_others_real_bytes(door: Door) -> None:
    check_parser(door.parse, door.submission, [raw for other in DOORS if other is not door for raw in other.real])


@every_door
@bounded
@given(data=st.data())
def test_any_bytes(door: Door, data: st.DataObject) -> None:
    check_parse(door.parse, door.submission(data.draw(st.binary(max_size=400))))


@every_door
@bounded
@given(data=st.data())
def test_damaged_bytes(door: Door, data: st.DataObject) -> None:
    check_parse(door.parse, door.submission(data.draw(damaged(door.real))))


@every_door
@bounded
@given(value=json_values)
def test_any_json(door: Door, value: object) -> None:
    check_parse(door.parse, door.submission(json.dumps(value).encode()))


@every_door
@bounded
@given(raw=mails())
def test_anything_like_a_mail(door: Door, raw: bytes) -> None:
    check_parse(door.parse, door.submission(raw))


def gives(**fields: Any) -> Parse:
    return lambda _: Parsed(**({"title": "", "said": "", "text": ""} | fields))


def raises(error: Exception) -> Parse:
    def parse(_: Submission) -> Parsed:
        raise error

    return parse


COUNTED = iter(range(100))


@pytest.mark.parametrize(
    ("parse", "sentence"),
    [
        (raises(ZeroDivisionError()), "raised ZeroDivisionError"),
        (raises(Unreadable("Bad Code", "不行", "no")), "must be a word"),
        (raises(Unreadable("bad", "no", "no")), "in Chinese"),
        (raises(Unreadable("bad", "不行", " ")), "in English"),
        (lambda _: None, "must give a Parsed"),
        (lambda _: Parsed(str(next(COUNTED)), "", ""), "alike both times"),
        (gives(said=b"x"), "said must be a string"),
        (gives(title="a\nb"), "one line"),
        (gives(machine=None), "machine"),
        (gives(defects=("a b",)), "codes"),
        (gives(turns=(Turn(Speaker.CUSTOMER, "x", start=float("nan")),)), "times that are numbers"),
        (gives(attachments=(Attachment("x", -1, "text/plain"),)), "size"),
        (gives(details={"at": MORNING}), "JSON values"),
        (gives(details={"x": float("inf")}), "JSON values"),
        (gives(details={7: "x"}), "strings for keys"),
    ],
)
def test_a_parser_that_breaks_the_contract_is_told_how(parse: Parse, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_parse(parse, DOORS[0].submission(b""))
