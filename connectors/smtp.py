"""The door for mail: an SMTP server on aiosmtpd that says 250 only after commit.

Our own faults are answered 4xx, so that the sender keeps the mail and tries again; never 5xx (RFC 5321 4.2.1).
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import logging
import ssl
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio.to_thread
from aiosmtpd.smtp import SMTP, Envelope, Session

from connectors.base import Accept, Now
from models.errors import JiesuError
from models.submission import Channel, Submission

# The library writes addresses and commands into its log: personal data, and nothing an operator needs.
logging.getLogger("mail.log").addHandler(logging.NullHandler())
logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)

# Real mail has lines far above the 1,000 bytes of RFC 5321 4.5.3.1.6; a refusal would bounce it.
_LONGEST_LINE = 2 * 1024 * 1024
# After so many errors the other side is no mail server (threats: 20 errors).
_MOST_ERRORS = 20


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
        # Commits under way; kept so that a client that hangs up cannot take its commit with it.
        self.commits: set[asyncio.Task[str]] = set()

    async def open(self) -> tuple[str, int]:
        """Begins to listen. Returns host and port. Raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self, loop), self._options.host, self._options.port, backlog=200)
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    async def close(self, grace_seconds: float = 10) -> None:
        """Stops listening, finishes the commits in hand and tells the rest to come back."""
        if self._server is None:
            return
        self._server.close()
        if self.commits:
            await asyncio.wait(set(self.commits), timeout=grace_seconds)
        # Let the answers to those commits leave before the connections end.
        await asyncio.sleep(0)
        for connection in list(self._connections):
            connection.hang_up("421 4.3.2 Shutting down, try again later")

    # The hooks below are aiosmtpd's; their names are its own.

    async def handle_RCPT(self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        """Refuses the recipient after the last allowed one, for now: the sender sends it the mail again (RFC 5321 4.5.3.1.10)."""
        if len(envelope.rcpt_tos) >= self._options.max_recipients:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:
        """Answers 250 once the mail is committed. A client that hangs up after the dot does not stop the commit."""
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
        submission = Submission(
            channel=Channel.EMAIL,
            raw=raw,
            media_type="message/rfc822",
            # The very same bytes are the very same mail: a sender that lost our 250 sends it again (threats: row 4).
            source_key="sha256:" + hashlib.sha256(raw).hexdigest(),
            received_at=self._now(),
            envelope={
                "door": "smtp",
                "mail_from": _clean(envelope.mail_from or ""),
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
        self._door = door
        self._caller: str | None = None
        self._refused = False
        self._errors = 0

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

    def connection_lost(self, error: Exception | None) -> None:
        if self._refused:
            return
        if self._caller is not None and self in self._door._connections:
            self._door._connections.discard(self)
            self._door._callers.by_address[self._caller] -= 1
            if not self._door._callers.by_address[self._caller]:
                del self._door._callers.by_address[self._caller]
        super().connection_lost(error)

    def hang_up(self, farewell: str) -> None:
        """Says why, and closes."""
        transport = self.transport
        if isinstance(transport, asyncio.WriteTransport) and not transport.is_closing():
            transport.write(farewell.encode() + b"\r\n")
            transport.close()

    def _timeout_cb(self) -> None:
        # The library closes without a word.
        self.hang_up("421 4.4.2 Timeout, try again later")

    async def smtp_DATA(self, arg: str) -> None:
        # One mail has one deadline, however slowly its bytes drip (threats: row 4).
        self._reset_timeout(self._door._options.data_seconds)
        await super().smtp_DATA(arg)
        if self.transport is not None:
            self._reset_timeout()

    async def push(self, status: Any) -> None:
        text = status.decode("ascii", "replace") if isinstance(status, bytes) else str(status)
        await super().push(status)
        if text.startswith("5"):
            self._errors += 1
            if self._errors >= _MOST_ERRORS:
                self.hang_up("421 4.7.0 Too many errors")
