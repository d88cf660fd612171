"""The door for mail: an SMTP server on aiosmtpd that says 250 only after commit.

Our own faults are answered 4xx, so that the sender keeps the mail and tries again; never 5xx (RFC 5321 4.2.1).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ipaddress
import socket
import ssl
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from aiosmtpd.smtp import MISSING, SMTP, Envelope, Session

from connectors.base import LogIn, Now, Offer
from connectors.mail_identity import mail_key
from connectors.smtp_connection import UNREAD_SECONDS, Connection
from connectors.smtp_recipients import Recipients, is_mailbox
from models.errors import JiesuError
from models.submission import Channel, Receipt, Submission

# Wrong passwords on one connection, after which it ends.
_MOST_WRONG_PASSWORDS = 3


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
    recipients: Recipients = field(default_factory=Recipients)
    auth_required: bool = False


@dataclass(slots=True)
class Callers:
    """Who is connected, by address. `can_log_in`: who is none of the relays may connect all the same, and must log in."""

    options: SmtpOptions
    can_log_in: bool = False
    by_address: Counter[str] = field(default_factory=Counter)

    def refusal(self, address: str) -> str | None:
        """Why a new connection cannot be had now; None when it can."""
        if not self.can_log_in and not self.may_send_as_he_is(address):
            return "421 4.7.1 Only the configured relays may connect"
        if self.by_address[address] >= self.options.max_connections_per_address:
            return "421 4.7.0 Too many connections from your address, try again later"
        if self.by_address.total() >= self.options.max_connections:
            return "421 4.3.2 Too many connections, try again later"
        return None

    def came(self, address: str) -> None:
        """One more."""
        self.by_address[address] += 1

    def went(self, address: str) -> None:
        """One less."""
        self.by_address[address] -= 1
        if self.by_address[address] <= 0:
            del self.by_address[address]

    def may_send_as_he_is(self, address: str) -> bool:
        """Whether no relays are named, or this is one."""
        if not self.options.trusted_relays:
            return True
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(ip in ipaddress.ip_network(relay, strict=False) for relay in self.options.trusted_relays)


class SmtpDoor:
    """The server. What is `offer`ed is answered when it is told to be committed; `log_in` is None where nobody has a password."""

    def __init__(self, offer: Offer, now: Now, options: SmtpOptions, log_in: LogIn | None = None) -> None:
        self._offer, self._now, self._options, self._log_in = offer, now, options, log_in
        self.max_bytes, self.idle_seconds, self.data_seconds = options.max_bytes, options.idle_seconds, options.data_seconds
        self.tls = options.tls
        self._callers = Callers(options, can_log_in=log_in is not None)
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._one_gone = asyncio.Event()
        self._pattern: Connection | None = None
        # Commits under way; kept so that a client that hangs up cannot take its commit with it.
        self.commits: set[asyncio.Future[Receipt]] = set()
        # What was told of them from other threads and is not passed on yet; and whether the loop knows.
        self._told: deque[tuple[asyncio.Future[Receipt], Receipt | Exception]] = deque()
        self._loop_knows = False

    async def open(self) -> tuple[str, int]:
        """Begins to listen. Returns host and port. Raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, self._options.host, self._options.port, backlog=200)
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    async def admit(self, caller: socket.socket, address: str) -> bool:
        """Takes over a connection that another process accepted. False when it has ended meanwhile."""

        def connection() -> Connection:
            made = self._connection()
            made.accepted_from = address
            return made

        try:
            await asyncio.get_running_loop().connect_accepted_socket(connection, caller)
        except OSError:
            caller.close()
            return False
        return True

    async def close(self, grace_seconds: float = 10) -> None:
        """Stops listening, finishes the commits in hand, whose senders still get their 250, and tells the rest to come back."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.leave()
        if self.commits:
            await asyncio.wait(set(self.commits), timeout=grace_seconds)
        for connection in list(self._connections):
            # Whoever is still owed an answer gets none, and sends the mail again.
            connection.leave(grace_seconds=UNREAD_SECONDS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3 * UNREAD_SECONDS):
                while self._connections:
                    self._one_gone.clear()
                    await self._one_gone.wait()

    def _connection(self) -> Connection:
        loop = asyncio.get_running_loop()
        if self._pattern is None:
            self._pattern = Connection(self, loop)
        return Connection(self, loop, self._pattern)

    # What a connection asks.

    def came(self, connection: Connection, address: str) -> str | None:
        """Lets somebody in, or says why not."""
        refusal = self._callers.refusal(address)
        if refusal is None:
            self._callers.came(address)
            self._connections.add(connection)
        return refusal

    def went(self, connection: Connection) -> None:
        """Somebody has gone."""
        if connection in self._connections:
            self._connections.discard(connection)
            self._callers.went(connection.address or "")
            self._one_gone.set()

    def may_send(self, connection: Connection) -> bool:
        """Whether he has logged in, or need not."""
        if self._log_in is None or connection.session.authenticated:
            return True
        return not self._options.auth_required and self._callers.may_send_as_he_is(connection.address or "")

    # The hooks below are aiosmtpd's; their names are its own.

    async def handle_EHLO(self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, answer: list[str]) -> list[str]:
        """Offers AUTH only where somebody has a password: a client that is asked for one would send a real one."""
        session.host_name = hostname
        kept = [line for line in answer if self._log_in is not None or not line.startswith("250-AUTH")]
        # The library takes commands as they come, and says so nowhere (RFC 2920).
        return [*kept[:-1], "250-PIPELINING", kept[-1]]

    async def handle_AUTH(self, connection: Connection, session: Session, _envelope: Envelope, args: list[str]) -> str | None:
        """PLAIN and LOGIN, after STARTTLS (RFC 4954); the library's own would hold up everybody while a password is tried."""
        if self._log_in is None:
            return "502 5.5.1 AUTH is not offered"
        said = [*args[1:]]
        wanted = {"PLAIN": ("",), "LOGIN": ("Username:", "Password:")}[args[0]]
        parts: list[bytes] = []
        for place, question in enumerate(wanted):
            if place < len(said):
                try:
                    parts.append(base64.b64decode(said[place], validate=True))
                except ValueError:
                    return "501 5.5.2 Can't decode base64"
            else:
                part = await connection.challenge_auth(question)
                if part is MISSING:
                    # The library has answered.
                    return None
                parts.append(part)
        if args[0] == "PLAIN":
            parts = parts[0].split(b"\0")[1:]
        try:
            name, password = (part.decode() for part in parts)
        except ValueError:
            return "501 5.5.2 Malformed credentials"
        right = await self._log_in(connection.address or "", name, password)
        if right is None:
            return "454 4.7.0 Too many wrong passwords, try again later"
        if right:
            session.authenticated = True
            return "235 2.7.0 Authentication successful"
        connection.wrong_passwords += 1
        if connection.wrong_passwords >= _MOST_WRONG_PASSWORDS:
            connection.hang_up("421 4.7.0 Too many wrong passwords")
            return None
        return "535 5.7.8 Authentication credentials invalid"

    async def handle_RCPT(self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        """Refuses unknown recipients, and the one after the last allowed for now: he is sent the mail again (RFC 5321 4.5.3.1.10)."""
        if not is_mailbox(address):
            return "553 5.1.3 Error: malformed address"
        if len(envelope.rcpt_tos) >= self._options.max_recipients:
            return "452 4.5.3 Too many recipients"
        if not self._options.recipients.takes(_clean(address)):
            return "550 5.1.1 No such recipient here"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, connection: Connection, session: Session, envelope: Envelope) -> str:
        """Answers 250 once the mail is committed. A client that hangs up after the dot does not stop the commit."""
        connection.owes_answer = True
        committed: asyncio.Future[Receipt] = connection.loop.create_future()
        self.commits.add(committed)
        committed.add_done_callback(self._settled)
        try:
            self._offer(self._submission(session, envelope), lambda answer: self._tell(committed, answer))
        except Exception as error:
            committed.set_exception(error)
        try:
            receipt = await asyncio.shield(committed)
        except JiesuError:
            return "451 4.3.0 Cannot be taken in now, try again later"
        return f"250 2.0.0 OK {receipt.number}"

    async def handle_exception(self, _error: Exception) -> str:
        """Our fault: try again. The library's own answer would be 500, which bounces the mail, with the error's text."""
        return "451 4.3.0 Temporary fault, try again later"

    def _settled(self, committed: asyncio.Future[Receipt]) -> None:
        self.commits.discard(committed)
        # Looked at here, because who waited for it may have gone.
        committed.exception()

    def _tell(self, committed: asyncio.Future[Receipt], answer: Receipt | Exception) -> None:
        """Called from other threads. A whole group of commits wakes the loop once."""
        self._told.append((committed, answer))
        if not self._loop_knows:
            self._loop_knows = True
            # A loop that has ended has nobody to answer any more.
            with contextlib.suppress(RuntimeError):
                committed.get_loop().call_soon_threadsafe(self._pass_on)

    def _pass_on(self) -> None:
        # First this, so that whoever tells something from here on wakes the loop again.
        self._loop_knows = False
        while self._told:
            committed, answer = self._told.popleft()
            if isinstance(answer, Exception):
                committed.set_exception(answer)
            else:
                committed.set_result(answer)

    def _submission(self, session: Session, envelope: Envelope) -> Submission:
        raw = cast(bytes, envelope.content)
        mail_from = _clean(envelope.mail_from or "")
        recipients = [_clean(address) for address in envelope.rcpt_tos]
        now = self._now()
        return Submission(
            channel=Channel.EMAIL,
            raw=raw,
            media_type="message/rfc822",
            # A sender that lost our 250 sends the mail again (threats: row 4), and a copy may lie in a mailbox that we look into.
            source_key=mail_key(raw, mail_from, now),
            received_at=now,
            envelope={
                "door": "smtp",
                "mail_from": "" if mail_from == "<>" else mail_from,
                "rcpt_tos": recipients,
                "peer": str(session.peer[0]) if session.peer else "",
                "helo": _clean(str(session.host_name or "")),
                "tls": session.ssl is not None,
                **({"logged_in": True} if session.authenticated else {}),
                **self._options.recipients.stands_for(recipients),
            },
        )


def _clean(text: str) -> str:
    """Addresses arrive with surrogates where they were no UTF-8 (SMTPUTF8)."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
