"""A process that takes mail in for the gateway that started it (`gateway.acceptors`), and ends when that one is gone."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import replace

import uvloop

from connectors.smtp import SmtpDoor
from connectors.smtp_connection import Connection
from gateway import acceptor_wire as wire
from gateway.acceptor_wire import Frame
from gateway.clock import SystemClock
from gateway.config import Settings
from models.submission import Receipt, Submission

# The gateway has counted who is connected before it passed him on.
_NO_LIMIT = 1_000_000_000


class _Door(SmtpDoor):
    """The door, which says when somebody has gone."""

    gone: Callable[[str], None]

    def went(self, connection: Connection) -> None:
        known = connection in self._connections
        super().went(connection)
        if known:
            self.gone(connection.address or "")


class _Gateway:
    """The gateway, as this process knows it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._numbers = itertools.count(1)
        self._offered: dict[int, Callable[[Receipt | Exception], None]] = {}
        self._asked: dict[int, asyncio.Future[bool | None]] = {}

    def offer(self, submission: Submission, told: Callable[[Receipt | Exception], None]) -> None:
        """Hands a mail over; `told` when it is committed there."""
        about = next(self._numbers)
        self._offered[about] = told
        wire.send(self._writer, wire.mail(about, submission))

    async def log_in(self, address: str, name: str, password: str) -> bool | None:
        """Asks whether the password is right."""
        about = next(self._numbers)
        self._asked[about] = asyncio.get_running_loop().create_future()
        wire.send(self._writer, Frame(wire.LOG_IN, about, [address, name, password]))
        try:
            return await self._asked[about]
        finally:
            del self._asked[about]

    def gone(self, address: str) -> None:
        """Says that a connection has ended."""
        wire.send(self._writer, Frame(wire.GONE, 0, address))

    def ready(self) -> None:
        """Says that connections can be passed."""
        wire.send(self._writer, Frame(wire.READY, 0, None))

    async def settings(self) -> Settings:
        """The first that it says."""
        frame = await wire.receive(self._reader)
        if frame is None:
            raise SystemExit(0)
        return Settings.model_validate_json(frame.head)

    async def listen(self) -> float | None:
        """Passes its answers on until it says that it is time, and how long there is; None when it is gone."""
        while (frame := await wire.receive(self._reader)) is not None:
            if frame.kind == wire.STOP:
                return float(frame.head)
            if frame.kind == wire.TAKEN:
                told = self._offered.pop(frame.about, None)
                if told is not None:
                    told(wire.receipt(frame))
            elif frame.kind == wire.LOGGED_IN and frame.about in self._asked and not self._asked[frame.about].done():
                self._asked[frame.about].set_result(frame.head)
        return None


async def main(frames: int, connections: int) -> None:
    """Serves until the gateway says that it is time, or is gone."""
    # Ctrl-C reaches all processes of a terminal; when to end is the gateway's to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    loop = asyncio.get_running_loop()
    gateway = _Gateway(*await asyncio.open_connection(sock=socket.socket(fileno=frames)))
    settings = await gateway.settings()
    # Only here, because it knows the whole house.
    from gateway.mail_door import smtp_options

    options = replace(smtp_options(settings), max_connections=_NO_LIMIT, max_connections_per_address=_NO_LIMIT)
    door = _Door(gateway.offer, SystemClock().now, options, gateway.log_in if settings.smtp.users else None)
    door.gone = gateway.gone
    passed = socket.socket(fileno=connections)
    passed.setblocking(False)
    admitting: set[asyncio.Task[None]] = set()

    async def admit(caller: socket.socket, address: str) -> None:
        if not await door.admit(caller, address):
            gateway.gone(address)

    def take() -> None:
        while True:
            try:
                said, handles, _, _ = socket.recv_fds(passed, 128, 1)
            except OSError:
                return
            if not handles:
                return
            caller = socket.socket(fileno=handles[0])
            caller.setblocking(False)
            task = loop.create_task(admit(caller, said.decode()))
            admitting.add(task)
            task.add_done_callback(admitting.discard)

    loop.add_reader(passed.fileno(), take)
    gateway.ready()
    grace = await gateway.listen()
    if grace is None:
        # Nobody can commit any more, so that nobody can be answered.
        os._exit(1)
    loop.remove_reader(passed.fileno())
    answers = loop.create_task(gateway.listen())
    await door.close(grace)
    answers.cancel()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
