"""The mailer: hands letters to the company's mail server by SMTP submission (RFC 6409). The home of aiosmtplib; never raises.

Every letter has one deadline for all that is said about it, because a server that answers one byte now and then would hold a thread for
ever.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import aiosmtplib

from models.answer import Letter, MailCode, MailOutcome
from models.errors import BadSetting

# The library's log quotes addresses.
logging.getLogger("aiosmtplib").addHandler(logging.NullHandler())
logging.getLogger("aiosmtplib").propagate = False

_MOST_SAID = 300


@dataclass(frozen=True, slots=True)
class MailServer:
    """The submission server.

    tls: none, starttls or implicit. tls_ca: who signs its certificate, empty for whom the system trusts. password: read anew at each
    connection, so that one that was missing or is changed counts without a new start; may raise `BadSetting`.
    """

    host: str
    port: int
    tls: str
    tls_ca: str
    username: str
    password: Callable[[], str]
    hostname: str
    timeout_seconds: float

    def check(self) -> None:
        """Whether password and certificates can be used; asks nobody. Raises `BadSetting`."""
        trust(self.tls, self.tls_ca)
        if self.username:
            self.password()


class SmtpMailer:
    """Sends letters one after another over one connection, and a new one where that broke.

    A password or certificate that cannot be used stops nobody but the letters, which are tried again.
    """

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._tls: ssl.SSLContext | None = None

    def send(self, letters: Sequence[Letter]) -> list[MailOutcome]:
        """One outcome for each, in order."""
        return asyncio.run(self._send(letters)) if letters else []

    async def _send(self, letters: Sequence[Letter]) -> list[MailOutcome]:
        outcomes: list[MailOutcome] = []
        client: aiosmtplib.SMTP | None = None
        shut: MailOutcome | None = None
        try:
            for letter in letters:
                if shut is not None:
                    # Nobody waits the whole time for each letter of a batch at a server that lets nobody in.
                    outcomes.append(MailOutcome(shut.code, shut.status, 0.0, shut.said))
                    continue
                started = time.monotonic()
                connected = False
                try:
                    async with asyncio.timeout(self._server.timeout_seconds):
                        if client is None or not client.is_connected:
                            client = self._client()
                            await self._let_in(client)
                        connected = True
                        said = await self._hand_over(client, letter)
                    outcome = MailOutcome(MailCode.ACCEPTED, 250, time.monotonic() - started, said[:_MOST_SAID])
                except Exception as error:
                    code, status, said = _understood(error, connected)
                    outcome = MailOutcome(code, status, time.monotonic() - started, said[:_MOST_SAID])
                    if not connected:
                        shut = outcome
                    if client is not None and code not in (MailCode.REFUSED, MailCode.DEFERRED, MailCode.ADDRESS):
                        _hang_up(client, client.transport)
                        client = None
                    elif client is not None and not await self._clean(client):
                        client = None
                outcomes.append(outcome)
        finally:
            if client is not None:
                transport = client.transport
                with suppress(Exception):
                    await asyncio.wait_for(client.quit(), 2)
                _hang_up(client, transport)
            # What was closed lets go of its socket in the next round of the loop.
            await asyncio.sleep(0)
        return outcomes

    def _client(self) -> aiosmtplib.SMTP:
        server = self._server
        self._tls = self._tls or trust(server.tls, server.tls_ca)
        return aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            local_hostname=server.hostname,
            timeout=server.timeout_seconds,
            use_tls=server.tls == "implicit",
            # Said by ourselves, so that a server without it is refused and never spoken to in clear.
            start_tls=False,
            tls_context=self._tls,
        )

    async def _let_in(self, client: aiosmtplib.SMTP) -> None:
        server = self._server
        password = server.password() if server.username else ""
        await client.connect()
        if server.tls == "starttls":
            await client.starttls(server_hostname=server.host, tls_context=self._tls)
        await client.ehlo()
        if server.username:
            await client.login(server.username, password)

    async def _hand_over(self, client: aiosmtplib.SMTP, letter: Letter) -> str:
        options: list[str] = []
        encoding = "ascii"
        if not letter.rcpt_to.isascii():
            if not client.supports_extension("smtputf8"):
                raise _AddressError
            options, encoding = ["SMTPUTF8"], "utf-8"
        if client.supports_extension("size"):
            options.append(f"size={len(letter.raw)}")
        await client.mail(letter.mail_from, options=options, encoding=encoding)
        await client.rcpt(letter.rcpt_to, encoding=encoding)
        answer = await client.data(letter.raw)
        return str(answer.message)

    async def _clean(self, client: aiosmtplib.SMTP) -> bool:
        """Whether the next letter can be said on this connection."""
        try:
            await asyncio.wait_for(client.rset(), 5)
        except Exception:
            _hang_up(client, client.transport)
            return False
        return True


def _hang_up(client: aiosmtplib.SMTP, transport: asyncio.BaseTransport | None) -> None:
    """Closes a connection at once: TLS would wait for the other side's farewell, and the loop ends before that."""
    client.close()
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()


class _AddressError(Exception):
    """The server takes no such letters in an address."""


def trust(tls: str, tls_ca: str) -> ssl.SSLContext | None:
    """Whom to trust: certificates and host names are always checked. Raises `BadSetting`."""
    if tls == "none":
        return None
    try:
        return ssl.create_default_context(cafile=tls_ca or None)
    except (ssl.SSLError, OSError) as error:
        raise BadSetting(
            "mail.tls_ca",
            f"证书文件无法使用（{error}）；应为 PEM",
            f"the certificates cannot be used ({error}); the file must be PEM",
        ) from None


def _understood(error: BaseException, connected: bool) -> tuple[MailCode, int | None, str]:
    """What an error of the library means: code, SMTP status, the server's words."""
    match error:
        case BadSetting():
            return MailCode.NOT_LET_IN, None, str(error)
        case _AddressError():
            return MailCode.ADDRESS, None, "SMTPUTF8 is not offered (RFC 6531)"
        case aiosmtplib.SMTPNotSupported():
            # It offers no STARTTLS, or no login that we know.
            return MailCode.NOT_SECURE if "TLS" in error.message else MailCode.NOT_LET_IN, None, error.message
        case aiosmtplib.SMTPRecipientsRefused():
            return _understood(error.recipients[0], connected)
        case aiosmtplib.SMTPResponseException():
            later = 400 <= error.code < 500
            # Before the letter is begun, and at the sender's address, it is we who are refused.
            ours = not connected or isinstance(error, aiosmtplib.SMTPSenderRefused)
            if error.code == 421 or error.code < 0 or not 400 <= error.code < 600:
                return MailCode.DEFERRED if error.code == 421 else MailCode.LOST, error.code if error.code > 0 else None, error.message
            code = MailCode.DEFERRED if later else MailCode.NOT_LET_IN if ours else MailCode.REFUSED
            return code, error.code, error.message
        case aiosmtplib.SMTPException() if "STARTTLS" in error.message and not isinstance(error, aiosmtplib.SMTPServerDisconnected):
            return MailCode.NOT_SECURE, None, error.message
        case ssl.SSLError():
            return MailCode.NOT_SECURE, None, str(error.reason or "TLS")
        case TimeoutError():
            return MailCode.TIMEOUT, None, ""
    inner = error.__cause__ or error.__context__
    if isinstance(inner, ssl.SSLError):
        return MailCode.NOT_SECURE, None, str(inner.reason or "TLS")
    if (
        isinstance(error, aiosmtplib.SMTPConnectError | OSError)
        and not connected
        and not isinstance(error, aiosmtplib.SMTPServerDisconnected)
    ):
        return MailCode.AWAY, None, type(inner or error).__name__
    return MailCode.LOST, None, type(error).__name__
