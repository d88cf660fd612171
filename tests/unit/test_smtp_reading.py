"""What is quicker here than in the library gives the very same: mails, addresses, and connections."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.smtp import SmtpDoor, SmtpOptions
from connectors.smtp_connection import Connection
from connectors.smtp_data import MailReader

PIECES = st.lists(
    st.sampled_from([b"\r\n", b".", b"\r", b"\n", b"\r\n.\r\n", b"\n.\n", b"\r.\r", b"\r\n.\r", b"..", b"a", b"\x00", b"\xff"])
)
LIMIT = 12


class Library(SMTP):
    """The library's reading, without a network: what it answers, and what it leaves unread."""

    async def push(self, status: Any) -> None:
        self.answers.append(status)

    async def read(self, sent: bytes) -> tuple[bytes | None, bytes, list[str]]:
        self.answers: list[str] = []
        self.session = SimpleNamespace(host_name="x", authenticated=True)  # type: ignore[assignment]
        self.envelope = Envelope()
        self.envelope.rcpt_tos = ["a@x.example"]
        kept = self.envelope
        self.transport = SimpleNamespace()  # type: ignore[assignment]
        self._writer = SimpleNamespace(close=lambda: None)  # type: ignore[assignment]
        self._reader = asyncio.StreamReader(limit=2**16)
        self._reader.feed_data(sent)
        await self.smtp_DATA("")
        return kept.original_content, bytes(self._reader._buffer), self.answers


class Silent:
    async def handle_DATA(self, *_: object) -> str:
        return "250 OK"


def by_library(sent: bytes, limit: int) -> tuple[bytes | None, bytes]:
    async def run() -> tuple[bytes | None, bytes]:
        smtp = Library(Silent(), data_size_limit=limit, hostname="x", loop=asyncio.get_running_loop())
        content, rest, answers = await smtp.read(sent)
        assert answers[-1].startswith("552" if content is None else "250")
        return content, rest

    return asyncio.run(run())


@given(PIECES, PIECES, st.lists(st.integers(1, 7), max_size=30), st.sampled_from([LIMIT, 10_000]))
# A mail just below the limit whose end comes in two pieces.
@example([b"\r\n", b"\r\n", b"\r\n", b"\n.\n"], [], [6, 7], LIMIT)
@settings(max_examples=250, deadline=None)
def test_a_mail_ends_and_reads_as_the_library_has_it(said: list[bytes], after: list[bytes], cuts: list[int], limit: int) -> None:
    sent = b"".join(said) + b"\r\n.\r\n" + b"".join(after)
    reader, rest, at = MailReader(limit), None, 0
    lengths = iter([*cuts, len(sent)])
    while rest is None:
        length = next(lengths)
        rest = reader.feed(sent[at : at + length])
        at += length
    ours = None if reader.too_large else reader.mail()
    assert (ours, rest + sent[at:]) == by_library(sent, limit)


@given(st.binary(max_size=200), st.integers(0, 200))
def test_what_is_stuffed_is_unstuffed(mail: bytes, cut: int) -> None:
    lines = (mail.replace(b"\r\n", b"").replace(b"\r", b"\r\n") + b"\r\n").split(b"\r\n")[:-1]
    whole = b"".join(line + b"\r\n" for line in lines)
    stuffed = b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines) + b".\r\n"
    reader = MailReader(10_000)
    rest = reader.feed(stuffed[:cut])
    if rest is None:
        rest = reader.feed(stuffed[cut:])
        assert rest == b""
    assert reader.mail() == whole


def test_a_mail_beyond_the_limit_takes_no_memory() -> None:
    reader = MailReader(1000)
    for _ in range(2000):
        assert reader.feed(b"x" * 1000) is None
        assert len(reader._data) < 2100
    assert reader.feed(b"\r\n.\r") is None
    assert reader.feed(b"\nNOOP\r\n") == b"NOOP\r\n"
    assert reader.too_large


def connection() -> Connection:
    door = SmtpDoor(lambda *_: None, lambda: None, SmtpOptions())  # type: ignore[arg-type, return-value]
    loop = asyncio.get_event_loop_policy().new_event_loop()
    try:
        return Connection(door, loop)
    finally:
        loop.close()


@given(
    st.one_of(
        st.text(alphabet="<>@.ab+-=_ \t\"()[]:1", max_size=30),
        st.from_regex(r"\A<[a-z.+_=-]{1,8}@[a-z.-]{1,8}>( [A-Za-z0-9=]{1,6})*\Z"),
    )
)  # fmt: skip
@settings(max_examples=400, deadline=None)
def test_an_ordinary_address_reads_as_the_library_has_it(arg: str) -> None:
    ours = CONNECTION._getaddr(arg)
    try:
        library = SMTP._getaddr(CONNECTION, arg)
    except (LookupError, AttributeError, ValueError, UnboundLocalError, RecursionError):
        library = (None, None)
    assert (ours[0], (ours[1] or "").split()) == (library[0], (library[1] or "").split())


CONNECTION = connection()


def test_a_connection_made_after_a_pattern_is_as_one_made_by_the_library() -> None:
    async def run() -> tuple[Connection, Connection]:
        door = SmtpDoor(lambda *_: None, lambda: None, SmtpOptions())  # type: ignore[arg-type, return-value]
        loop = asyncio.get_running_loop()
        pattern = Connection(door, loop)
        return pattern, Connection(door, loop, pattern)

    pattern, made = asyncio.run(run())
    assert set(vars(pattern)) == set(vars(made))
    # Nothing that belongs to one connection is shared.
    assert all(method.__self__ is made for method in made._smtp_methods.values())
    for name in ("_reader", "_stream_reader_wr", "_closed", "_over_ssl"):
        if hasattr(pattern, name) and getattr(pattern, name) is not None and name in ("_closed",):
            assert getattr(pattern, name) is not getattr(made, name)
    shared = {
        name for name, value in vars(made).items() if isinstance(value, list | dict | set | bytearray) and value is vars(pattern)[name]
    }
    assert shared <= {"_auth_methods", "_handle_hooks"}


@pytest.mark.parametrize("sent", [b".\r\n", b"..\r\n.\r\n", b"\r\n.\r\n", b".x\r\n.\r\n"])
def test_the_shortest_mails(sent: bytes) -> None:
    reader = MailReader(100)
    assert reader.feed(sent) == b""
    assert (reader.mail(), b"") == by_library(sent, 100)
