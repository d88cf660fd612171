"""One connection of the door for mail: aiosmtpd's, with the limits that it does not have and without its dearest detours.

What the library works out anew for each connection is worked out once for a door, ordinary addresses are read without its parser, and a
mail is read by the piece (`connectors.smtp_data`). Tests hold each of these against the library's own.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections.abc import Sequence
from typing import Any, Protocol, cast

from aiosmtpd.smtp import SMTP, Envelope, Session

from connectors.smtp_data import MailReader

# The library writes addresses and commands into its log: personal data, and nothing an operator needs.
logging.getLogger("mail.log").addHandler(logging.NullHandler())
logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)

# Real mail has addresses longer than the 512 bytes of a command in RFC 5321 4.5.3.1.4.
_LONGEST_COMMAND = 1024
# The library stops reading from a client whose unread commands are twice as long as this.
_MOST_AHEAD = 256 * 1024
# After so many errors the other side is no mail server (threats: 20 errors).
_MOST_ERRORS = 20
# A sender whose mail is too large is heard out, so that it reads the 552; but not for more than so many times the limit and so many bytes.
_HEARD_OUT, _HEARD_OUT_BYTES = 4, 2 * 1024 * 1024
SHUTTING_DOWN = "421 4.3.2 Shutting down, try again later"
_TOO_MANY_ERRORS = "421 4.7.0 Too many errors"
# How long an answer may wait for a client that does not read, once the connection is to end.
UNREAD_SECONDS = 2

# An ordinary address in angle brackets, with parameters behind it or none; all others go to the library's parser.
_LOCAL = r"[A-Za-z0-9_+=-]+(?:\.[A-Za-z0-9_+=-]+)*"
_DOMAIN = r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*"
_ORDINARY = re.compile(rf"<({_LOCAL}@{_DOMAIN})>(?: +([A-Za-z0-9=]+(?: [A-Za-z0-9=]+)*))?", re.ASCII)


class Door(Protocol):
    """What a connection knows of the door that it belongs to, besides the library's hooks."""

    max_bytes: int
    idle_seconds: float
    data_seconds: float
    tls: ssl.SSLContext | None

    def came(self, connection: Connection, address: str) -> str | None:
        """Somebody is there. Returns why he cannot be let in, None when he can."""
        ...

    def went(self, connection: Connection) -> None:
        """He has gone."""
        ...

    def may_send(self, connection: Connection) -> bool:
        """Whether he may hand in mail as he is, without logging in (or after he has)."""
        ...


class _OneForAll(dict[str, int]):
    """The longest command, whichever it is; the library raises the limits at each EHLO, and for all connections."""

    def __missing__(self, command: str) -> int:
        return _LONGEST_COMMAND

    def __setitem__(self, command: str, length: int) -> None:
        pass


class Connection(SMTP):
    """One connection."""

    line_length_limit = _MOST_AHEAD
    command_size_limit = _LONGEST_COMMAND
    session: Session
    envelope: Envelope

    def __init__(self, door: Door, loop: asyncio.AbstractEventLoop, pattern: Connection | None = None) -> None:
        if pattern is None:
            super().__init__(
                door,
                data_size_limit=door.max_bytes,
                enable_SMTPUTF8=True,
                hostname="jiesu",
                ident="ESMTP",
                timeout=door.idle_seconds,
                tls_context=door.tls,
                loop=loop,
            )
        else:
            # The library looks through all attributes of itself and of its handler for each connection; they are the same each time.
            self.__dict__.update(pattern.__dict__)
            reader = asyncio.StreamReader(limit=self.line_length_limit, loop=loop)
            asyncio.StreamReaderProtocol.__init__(self, reader, client_connected_cb=self._cb_client_connected, loop=loop)
            self._smtp_methods = {command: getattr(self, f"smtp_{command}") for command in pattern._smtp_methods}
        self.command_size_limits = _OneForAll()
        self._door = door
        self.address: str | None = None
        # From where, where somebody else accepted the connection; the socket may not know any more.
        self.accepted_from = ""
        self._refused = False
        self._leaving = False
        # Whether a mail is being committed whose sender has not been answered yet.
        self.owes_answer = False
        self._errors = 0
        self.wrong_passwords = 0
        # The mail that is being read, whom its end is told, and how many more bytes of it are listened to; None outside DATA.
        self._mail: MailReader | None = None
        self._mail_read: asyncio.Future[None] | None = None
        self._patience = 0

    def connection_made(self, transport: Any) -> None:
        if self.address is None:
            peer = transport.get_extra_info("peername")
            address = self.accepted_from or (str(peer[0]) if peer else "")
            refusal = self._door.came(self, address)
            if refusal is not None:
                self._refused = True
                transport.write(refusal.encode() + b"\r\n")
                transport.close()
                return
            self.address = address
        super().connection_made(transport)
        # A client that goes while it is answered is no fault of ours, and nothing for the log.
        if self._handler_coroutine is not None:
            self._handler_coroutine.add_done_callback(lambda task: task.cancelled() or task.exception())

    def connection_lost(self, error: Exception | None) -> None:
        if self._refused:
            return
        self._door.went(self)
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        if self._mail is None:
            super().data_received(data)
        else:
            self._read_mail(data)

    def _read_mail(self, piece: bytes) -> None:
        assert self._mail is not None  # noqa: S101 - only called while a mail is read
        self._patience -= len(piece)
        rest = self._mail.feed(piece)
        if rest is not None:
            self._mail = None
            if self._mail_read is not None and not self._mail_read.done():
                self._mail_read.set_result(None)
            if rest:
                super().data_received(rest)
        elif self._patience < 0:
            self.hang_up("552 5.3.4 Message too large")

    def eof_received(self) -> bool | None:
        return None if self._refused else super().eof_received()

    def hang_up(self, farewell: str) -> None:
        """Says why, and closes; without mercy when the client does not take what is said."""
        # No isinstance: uvloop's transports are none of asyncio's classes.
        transport = cast("asyncio.Transport | None", self.transport)
        if transport is None:
            # In the middle of STARTTLS nothing can be said.
            if self._original_transport is not None:
                cast(asyncio.Transport, self._original_transport).abort()
            return
        if not transport.is_closing():
            transport.write(farewell.encode() + b"\r\n")
            transport.close()
        self.loop.call_later(UNREAD_SECONDS, transport.abort)

    def leave(self, grace_seconds: float | None = None) -> None:
        """Closes; where an answer to a commit is owed, after that, or when the grace is over."""
        self._leaving = True
        if not self.owes_answer:
            self.hang_up(SHUTTING_DOWN)
        elif grace_seconds is not None:
            self.loop.call_later(grace_seconds, self.hang_up, SHUTTING_DOWN)

    def _timeout_cb(self) -> None:
        # The library closes without a word.
        self.hang_up("421 4.4.2 Timeout, try again later")

    def _getparams(self, params: Sequence[str]) -> dict[str, str | bool] | None:
        # The library fails on digits that are not 0 to 9, and lets a parameter that stands twice pass.
        names = [param.partition("=")[0] for param in params]
        if len(set(names)) < len(names) or not all(param.isascii() for param in params):
            return None
        return super()._getparams(params)

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        ordinary = _ORDINARY.fullmatch(arg)
        if ordinary is not None:
            return ordinary[1], ordinary[2] or ""
        # The library's parser fails in several ways on what is no address; the sender is told that instead of 451.
        try:
            return super()._getaddr(arg)
        except (LookupError, AttributeError, ValueError, UnboundLocalError, RecursionError):
            return None, None

    async def check_auth_needed(self, caller_method: str) -> bool:
        if self._door.may_send(self):
            return False
        await self.push("530 5.7.0 Authentication required")
        return True

    async def smtp_DATA(self, arg: str) -> None:
        if await self.check_helo_needed() or await self.check_auth_needed("DATA"):
            return
        if not self.envelope.rcpt_tos:
            await self.push("503 Error: need RCPT command")
            return
        if arg:
            await self.push("501 Syntax: DATA")
            return
        # One mail has one deadline, however slowly its bytes drip (threats: row 4).
        self._reset_timeout(self._door.data_seconds)
        try:
            await self._take_mail()
        finally:
            self._mail = self._mail_read = None
            self.owes_answer = False
        if self._leaving:
            self.hang_up(SHUTTING_DOWN)
        elif self.transport is not None:
            self._reset_timeout()

    async def _take_mail(self) -> None:
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        mail = self._mail = MailReader(self._door.max_bytes)
        self._mail_read = self.loop.create_future()
        self._patience = _HEARD_OUT * self._door.max_bytes + _HEARD_OUT_BYTES
        # What a client that does not wait has sent behind DATA lies with the library already.
        ahead = len(self._reader._buffer)  # type: ignore[attr-defined]
        if ahead:
            self._read_mail(await self._reader.read(ahead))
        # A client that hangs up cancels this, as the library does with all that it runs for a connection.
        await self._mail_read
        if mail.too_large:
            self.envelope = self._create_envelope()
            await self.push("552 Error: Too much mail data")
            return
        self.envelope.content = self.envelope.original_content = mail.mail()
        status = await self._call_handler_hook("DATA")
        self.envelope = self._create_envelope()
        await self.push(status)

    async def push(self, status: str | bytes) -> None:
        answer = status.encode() if isinstance(status, str) else status
        if answer.startswith(b"502 5.5.1 Too many"):
            # The library's own limit: it closes after this.
            answer = _TOO_MANY_ERRORS.encode()
        self._writer.write(answer + b"\r\n")
        await self._writer.drain()
        if answer.startswith(b"5"):
            self._errors += 1
            if self._errors >= _MOST_ERRORS:
                self.hang_up(_TOO_MANY_ERRORS)
