"""The door for mail: an SMTP server on aiosmtpd that says 250 only after commit.

Our own faults are answered 4xx, so that the sender keeps the mail and tries again; never 5xx (RFC 5321 4.2.1).
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import ssl
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import anyio.to_thread
from aiosmtpd.smtp import SMTP, Envelope, Session

from connectors.base import Accept, Now
from connectors.mail_identity import mail_key
from models.errors import JiesuError
from models.submission import Channel, Submission

# The library writes addresses and commands into its log: personal data, and nothing an operator needs.
logging.getLogger("mail.log").addHandler(logging.NullHandler())
logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)

# Real mail has lines far above the 1,000 bytes of RFC 5321 4.5.3.1.6; a refusal would bounce it.
_LONGEST_LINE = 2 * 1024 * 1024
# Real mail also has addresses longer than the 512 bytes of a command in RFC 5321 4.5.3.1.4.
_LONGEST_COMMAND = 1024
# After so many errors the other side is no mail server (threats: 20 errors).
_MOST_ERRORS = 20
# A sender whose mail is too large is heard out, so that it reads the 552; but not for more than so many times the limit.
_HEARD_OUT = 4
_SHUTTING_DOWN = "421 4.3.2 Shutting down, try again later"
_TOO_MANY_ERRORS = "421 4.7.0 Too many errors"
# How long an answer may wait for a client that does not read, once the connection is to end.
_UNREAD_SECONDS = 2


@dataclass(frozen=True, slots=True)
class SmtpOptions:
    """How the door for mail is set; the meaning of each is in docs/configuration.md, `[smtp]`."""

    host: str = "127.0.0.1"
    port: int = 2525
    max_bytes: int = 26_214_400
    max_recipients: int = 100
    max_connections: int = 50
    max_connections_per_address: int = 10
    idle_seconds: float = 300
    data_seconds: float = 600
    tls: ssl.SSLContext | None = None
    trusted_relays: Sequence[str] = ()


@dataclass(slots=True)
class _Callers:
    """Who is connected, by address."""

    options: SmtpOptions
    by_address: Counter[str] = field(default_factory=Counter)

    def refusal(self, address: str) -> str | None:
        """Why a new connection cannot be had now; None when it can."""
        if self.options.trusted_relays and not self._trusted(address):
            return "421 4.7.1 Only the configured relays may connect"
        if self.by_address[address] >= self.options.max_connections_per_address:
            return "421 4.7.0 Too many connections from your address, try again later"
        if self.by_address.total() >= self.options.max_connections:
            return "421 4.3.2 Too many connections, try again later"
        return None

    def _trusted(self, address: str) -> bool:
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(ip in ipaddress.ip_network(relay, strict=False) for relay in self.options.trusted_relays)


class SmtpDoor:
    """The server. `accept` is called in a thread, for it waits for the disk."""

    def __init__(self, accept: Accept, now: Now, options: SmtpOptions) -> None:
        self._accept, self._now, self._options = accept, now, options
        self._callers = _Callers(options)
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._one_gone = asyncio.Event()
        # Commits under way; kept so that a client that hangs up cannot take its commit with it.
        self.commits: set[asyncio.Task[str]] = set()

    async def open(self) -> tuple[str, int]:
        """Begins to listen. Returns host and port. Raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self, loop), self._options.host, self._options.port, backlog=200)
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    async def close(self, grace_seconds: float = 10) -> None:
        """Stops listening, finishes the commits in hand, whose senders still get their 250, and tells the rest to come back."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._connections):
            connection.leave()
        if self.commits:
            await asyncio.wait(set(self.commits), timeout=grace_seconds)
        for connection in list(self._connections):
            # Whoever is still owed an answer gets none, and sends the mail again.
            connection.leave(grace_seconds=_UNREAD_SECONDS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3 * _UNREAD_SECONDS):
                while self._connections:
                    self._one_gone.clear()
                    await self._one_gone.wait()

    # The hooks below are aiosmtpd's; their names are its own.

    async def handle_EHLO(self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, answer: list[str]) -> list[str]:
        """Offers no AUTH: nobody has a password here, and a client that is asked for one would send a real one."""
        session.host_name = hostname
        return [line for line in answer if not line.startswith("250-AUTH")]

    async def handle_RCPT(self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        """Refuses the recipient after the last allowed one, for now: the sender sends it the mail again (RFC 5321 4.5.3.1.10)."""
        if len(envelope.rcpt_tos) >= self._options.max_recipients:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, connection: _Connection, session: Session, envelope: Envelope) -> str:
        """Answers 250 once the mail is committed. A client that hangs up after the dot does not stop the commit."""
        connection.owes_answer = True
        task = asyncio.get_running_loop().create_task(self._commit(session, envelope))
        self.commits.add(task)
        task.add_done_callback(self.commits.discard)
        return await asyncio.shield(task)

    async def handle_exception(self, _error: Exception) -> str:
        """Our fault: try again. The library's own answer would be 500, which bounces the mail, with the error's text."""
        return "451 4.3.0 Temporary fault, try again later"

    async def _commit(self, session: Session, envelope: Envelope) -> str:
        raw = envelope.content
        if not isinstance(raw, bytes):
            raw = (raw or "").encode("utf-8", "surrogateescape")
        mail_from = _clean(envelope.mail_from or "")
        submission = Submission(
            channel=Channel.EMAIL,
            raw=raw,
            media_type="message/rfc822",
            # A sender that lost our 250 sends the mail again (threats: row 4), and a copy may lie in a mailbox that we look into.
            source_key=mail_key(raw, mail_from),
            received_at=self._now(),
            envelope={
                "door": "smtp",
                "mail_from": "" if mail_from == "<>" else mail_from,
                "rcpt_tos": [_clean(address) for address in envelope.rcpt_tos],
                "peer": str(session.peer[0]) if session.peer else "",
                "helo": _clean(str(session.host_name or "")),
                "tls": session.ssl is not None,
            },
        )
        try:
            receipt = await anyio.to_thread.run_sync(self._accept, submission)
        except JiesuError:
            return "451 4.3.0 Cannot be taken in now, try again later"
        return f"250 2.0.0 OK {receipt.number}"


def _clean(text: str) -> str:
    """Addresses arrive with surrogates where they were no UTF-8 (SMTPUTF8)."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class _Connection(SMTP):
    """One connection, with the limits that the library does not have."""

    line_length_limit = _LONGEST_LINE
    command_size_limit = _LONGEST_COMMAND

    def __init__(self, door: SmtpDoor, loop: asyncio.AbstractEventLoop) -> None:
        options = door._options
        super().__init__(
            door,
            data_size_limit=options.max_bytes,
            enable_SMTPUTF8=True,
            hostname="jiesu",
            ident="ESMTP",
            timeout=options.idle_seconds,
            tls_context=options.tls,
            loop=loop,
        )
        # The library shares these among all connections, and each EHLO of one raises them for all.
        self.command_size_limits = defaultdict(lambda: _LONGEST_COMMAND)
        self._door = door
        self._caller: str | None = None
        self._refused = False
        self._leaving = False
        # Whether a mail is being committed whose sender has not been answered yet.
        self.owes_answer = False
        self._errors = 0
        # How many more bytes of the mail that is being sent are listened to; None outside DATA.
        self._patience: int | None = None

    def connection_made(self, transport: Any) -> None:
        if self._caller is None:
            peer = transport.get_extra_info("peername")
            address = str(peer[0]) if peer else ""
            refusal = self._door._callers.refusal(address)
            if refusal is not None:
                self._refused = True
                transport.write(refusal.encode() + b"\r\n")
                transport.close()
                return
            self._caller = address
            self._door._callers.by_address[address] += 1
            self._door._connections.add(self)
        super().connection_made(transport)
        # A client that goes while it is answered is no fault of ours, and nothing for the log.
        if self._handler_coroutine is not None:
            self._handler_coroutine.add_done_callback(lambda task: task.cancelled() or task.exception())

    def connection_lost(self, error: Exception | None) -> None:
        if self._refused:
            return
        if self in self._door._connections:
            self._door._connections.discard(self)
            self._door._callers.by_address[self._caller or ""] -= 1
            if not self._door._callers.by_address[self._caller or ""]:
                del self._door._callers.by_address[self._caller or ""]
            self._door._one_gone.set()
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        if self._patience is not None:
            self._patience -= len(data)
            if self._patience < 0:
                # The library keeps an endless line in memory, however long it is.
                self.hang_up("552 5.3.4 Message too large")
                return
        super().data_received(data)

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
        self.loop.call_later(_UNREAD_SECONDS, transport.abort)

    def leave(self, grace_seconds: float | None = None) -> None:
        """Closes; where an answer to a commit is owed, after that, or when the grace is over."""
        self._leaving = True
        if not self.owes_answer:
            self.hang_up(_SHUTTING_DOWN)
        elif grace_seconds is not None:
            self.loop.call_later(grace_seconds, self.hang_up, _SHUTTING_DOWN)

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
        # The library's parser fails in several ways on what is no address; the sender is told that instead of 451.
        try:
            return super()._getaddr(arg)
        except (LookupError, AttributeError, ValueError, UnboundLocalError, RecursionError):
            return None, None

    async def smtp_DATA(self, arg: str) -> None:
        # One mail has one deadline, however slowly its bytes drip (threats: row 4).
        self._reset_timeout(self._door._options.data_seconds)
        self._patience = _HEARD_OUT * self._door._options.max_bytes + _LONGEST_LINE
        try:
            await super().smtp_DATA(arg)
        finally:
            self._patience = None
            self.owes_answer = False
        if self._leaving:
            self.hang_up(_SHUTTING_DOWN)
        elif self.transport is not None:
            self._reset_timeout()

    async def push(self, status: Any) -> None:
        text = status.decode("ascii", "replace") if isinstance(status, bytes) else str(status)
        if text.startswith("502 5.5.1 Too many"):
            # The library's own limit: it closes after this.
            text = status = _TOO_MANY_ERRORS
        await super().push(status)
        if text.startswith("5"):
            self._errors += 1
            if self._errors >= _MOST_ERRORS:
                self.hang_up(_TOO_MANY_ERRORS)
