"""A whole gateway with its real doors in this process, on free ports of the loopback; only what lies across the process border is faked."""

from __future__ import annotations

import asyncio
import io
import json
import smtplib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import migrated
import uvloop
from fakes import FakeChampion, FakeSender
from sqlalchemy import select

from gateway import bootstrap, config
from gateway.acceptance import Acceptance
from gateway.bootstrap import App
from gateway.oplog import OperatorLog
from gateway.serve import Addresses, Server
from models.submission import Channel, Receipt, Submission
from models.tables import submissions

_UP_SECONDS, _DOWN_SECONDS = 30, 40


def _nothing(_: Submission) -> None:
    """Nobody watches."""


@dataclass
class Watched:
    """The real acceptance, with a place to fail or to wait at.

    before: called in a thread of its own before the commit; may raise or block. after: called when it is committed and nobody was told yet.
    """

    real: Acceptance
    before: Callable[[Submission], object] = _nothing
    after: Callable[[Submission], object] = _nothing

    def accept(self, submission: Submission) -> Receipt:
        self.before(submission)
        receipt = self.real.accept(submission)
        self.after(submission)
        return receipt

    def offer(self, submission: Submission, told: Callable[[Receipt | Exception], None]) -> None:
        def run() -> None:
            try:
                receipt = self.accept(submission)
            except Exception as error:
                told(error)
            else:
                told(receipt)

        if self.watched:
            threading.Thread(target=run, daemon=True).start()
        else:
            self.real.offer(submission, told)

    @property
    def watched(self) -> bool:
        """Whether anybody watches; else the offer goes straight to the real acceptance."""
        return self.before is not _nothing or self.after is not _nothing

    def close(self) -> None:
        self.real.close()


class RunningGateway:
    """`with RunningGateway(tmp_path, smtp_max_bytes=1000) as gateway:` serves until the end of the block.

    Settings are named as their environment variables, without JIESU_ and in small letters. wired: with the senders of the settings.
    """

    smtp: tuple[str, int]
    web: str
    drop: Path

    def __init__(self, home: Path, *, sender: Any = None, champion: Any = None, wired: bool = False, **settings: object) -> None:
        self.home = home
        free = {
            "JIESU_HOME": str(home),
            "JIESU_SMTP_PORT": "0",
            "JIESU_WEB_PORT": "0",
            "JIESU_DROP_SETTLE_SECONDS": "0.2",
            "JIESU_DROP_SIDECAR_WAIT_SECONDS": "0",
        }
        self.settings = config.load(free | {f"JIESU_{key.upper()}": str(value) for key, value in settings.items()})
        self.sender = None if wired else sender or FakeSender()
        self.champion = champion or FakeChampion()
        self._stream = io.StringIO()
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)
        self._up = threading.Event()
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: Server | None = None

    def __enter__(self) -> Self:
        log = OperatorLog(stream=self._stream)
        self.app: App = bootstrap.build(migrated.prepare(self.settings), log=log, sender=self.sender, champion=self.champion)
        # What the doors call, between them and the store.
        self.watched = Watched(self.app.acceptance)
        self.app.acceptance = self.watched  # type: ignore[assignment]
        self._thread.start()
        if not self._up.wait(_UP_SECONDS):
            raise TimeoutError("the gateway does not come up")
        if self._error is not None:
            self.app.close()
            raise self._error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.stop()
        finally:
            self.app.close()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Stops in good order; returns when it is down. A second call does nothing."""
        self.begin_to_stop()
        self._thread.join(_DOWN_SECONDS)
        if self._thread.is_alive():
            raise TimeoutError("the gateway does not stop")

    def begin_to_stop(self) -> None:
        """Says that it is time, and does not wait."""
        if self._thread.is_alive() and self._loop is not None and self._server is not None:
            self._loop.call_soon_threadsafe(self._server.stop)

    @property
    def door(self) -> Any:
        """The door for mail."""
        assert self._server is not None
        return self._server.smtp

    @property
    def running(self) -> bool:
        """Whether it is still up."""
        return self._thread.is_alive()

    def committed(self, channel: Channel | None = None) -> list[Submission]:
        """Everything that the store has, oldest first."""
        with self.app.store.read() as conn:
            rows = conn.execute(select(submissions).order_by(submissions.c.id)).all()
        kept = [
            Submission(
                Channel(row.channel), bytes(row.raw), row.media_type, row.source_key, row.received_at, row.conversation, row.envelope
            )
            for row in rows
        ]
        return [one for one in kept if channel in (None, one.channel)]

    def numbers(self) -> list[str]:
        """The number of every submission that the store has, oldest first."""
        with self.app.store.read() as conn:
            return list(conn.execute(select(submissions.c.number).order_by(submissions.c.id)).scalars())

    def log(self, verb: str | None = None) -> list[dict[str, Any]]:
        """The lines of the operator log, or those with this verb."""
        lines = [json.loads(line) for line in self._stream.getvalue().splitlines()]
        return [line for line in lines if verb in (None, line["verb"])]

    def _run(self) -> None:
        try:
            uvloop.run(self._serve())
        except BaseException as error:
            self._error = error
        finally:
            self._up.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = Server(self.app)
        await self._server.run(self._ready)

    def _ready(self, addresses: Addresses) -> None:
        if addresses.smtp is not None:
            self.smtp = addresses.smtp
        self.web = f"http://{addresses.web[0]}:{addresses.web[1]}"
        if addresses.drop is not None:
            self.drop = addresses.drop
        self._up.set()


def send(address: tuple[str, int], raw: bytes, mail_from: str = "lin@mail.example", to: str = "tousu@jiesu.example") -> str:
    """Sends a mail to a gateway; the number that it is given."""
    with smtplib.SMTP(*address, timeout=20) as smtp:
        smtp.ehlo("here.example")
        smtp.mail(mail_from)
        smtp.rcpt(to)
        code, said = smtp.data(raw)
    assert code == 250
    return said.decode().split()[-1]
