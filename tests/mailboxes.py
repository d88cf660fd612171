"""A real mail server for outgoing mail in this process: STARTTLS and AUTH, and it can be told to fail in each way that one can."""

from __future__ import annotations

import asyncio
import email.policy
import ssl
import subprocess
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult

USER, PASSWORD = "tousu@jiesu.example", "geheim-2026"


@cache
def certificate() -> tuple[Path, Path]:
    """A certificate for localhost and its key, signed by itself."""
    folder = Path(mkdtemp())
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command, *names, "-keyout", "key.pem", "-out", "cert.pem"], cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


@dataclass
class Taken:
    """A letter that the server took."""

    mail_from: str
    rcpt_tos: list[str]
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        """As the standard library reads it."""
        found = BytesParser(policy=email.policy.default).parsebytes(self.raw)
        assert isinstance(found, EmailMessage)
        return found


@dataclass
class MailServer:
    """`with MailServer() as server:` listens on `server.port` until the end of the block.

    answers: what the next commands are answered instead, by command: `{"RCPT": ["550 no such box"]}`; one each time.
    cut_after_dot, hang_at: drops the connection when a letter is whole (kept all the same), or is silent at a command.
    """

    tls: str = "starttls"
    auth: bool = True
    answers: dict[str, list[str]] = field(default_factory=dict)
    cut_after_dot: int = 0
    hang_at: str = ""
    offers_tls: bool = True
    taken: list[Taken] = field(default_factory=list)
    on_taken: Callable[[Taken], None] = lambda _: None
    connections: int = 0
    port: int = 0

    def __enter__(self) -> Self:
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._up.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def settings(self, **more: object) -> dict[str, object]:
        """The settings of a gateway that sends by this server, for `RunningGateway`."""
        base: dict[str, object] = {
            "mail_enabled": "true",
            "mail_host": "localhost",
            "mail_port": self.port,
            "mail_tls": self.tls,
            "mail_from_address": "tousu@jiesu.example",
            "mail_company": "晨光地产客户服务中心",
            "mail_phone": "400-000-0000",
            "mail_timeout_seconds": 5,
        }
        if self.tls != "none":
            base["mail_tls_ca"] = str(certificate()[0])
        if self.auth:
            base |= {"mail_username": USER, "mail_password": PASSWORD}
        return base | more

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certificate())
        sessions: list[_Session] = []

        def session() -> _Session:
            sessions.append(_Session(self, context))
            return sessions[-1]

        server = await self._loop.create_server(session, "127.0.0.1", 0, ssl=context if self.tls == "implicit" else None)
        self.port = server.sockets[0].getsockname()[1]
        self._up.set()
        await self._stop.wait()
        server.close()
        for one in sessions:
            if one.transport is not None:
                one.transport.abort()
        # What was aborted is closed in the next round of the loop.
        await asyncio.sleep(0.01)

    def authenticate(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (USER.encode(), PASSWORD.encode()))

    async def handle_DATA(self, session: Any, _session: Any, envelope: Any) -> str:
        one = Taken(envelope.mail_from, list(envelope.rcpt_tos), envelope.content)
        if answer := self.next_answer("DOT"):
            return answer
        self.taken.append(one)
        self.on_taken(one)
        if self.cut_after_dot:
            self.cut_after_dot -= 1
            session.transport.abort()
        return "250 OK"

    def next_answer(self, command: str) -> str | None:
        waiting = self.answers.get(command, [])
        return waiting.pop(0) if waiting else None


class _Session(SMTP):
    def __init__(self, server: MailServer, context: ssl.SSLContext) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            super().__init__(
                server,
                hostname="mx.jiesu.example",
                tls_context=context if server.tls == "starttls" and server.offers_tls else None,
                require_starttls=server.tls == "starttls" and server.offers_tls,
                auth_required=server.auth,
                auth_require_tls=server.tls == "starttls",
                authenticator=server.authenticate,
                enable_SMTPUTF8=True,
            )
        self._mail_server = server
        server.connections += 1

    async def _told(self, command: str) -> bool:
        """Whether a command was answered as the test wants it."""
        if self._mail_server.hang_at == command:
            await asyncio.sleep(30)
        answer = self._mail_server.next_answer(command)
        if answer is not None:
            await self.push(answer)
        return answer is not None

    async def smtp_EHLO(self, arg: str) -> None:
        if not await self._told("EHLO"):
            await super().smtp_EHLO(arg)

    async def smtp_AUTH(self, arg: str) -> None:
        if not await self._told("AUTH"):
            await super().smtp_AUTH(arg)

    async def smtp_MAIL(self, arg: str) -> None:
        if not await self._told("MAIL"):
            await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg: str) -> None:
        if not await self._told("RCPT"):
            await super().smtp_RCPT(arg)

    async def smtp_DATA(self, arg: str) -> None:
        if not await self._told("DATA"):
            await super().smtp_DATA(arg)
