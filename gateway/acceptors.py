"""Processes that take mail in beside the gateway: each speaks SMTP with its share of the connections and hands the mails to the gateway.

The gateway alone listens, counts connections and passes each to the process that has the fewest; it alone commits, so that SQLite keeps its
one writer; and a process answers 250 only once it was told of the commit. Whoever is killed loses the conversations that he held, whose
senders come again, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field

from connectors.base import LogIn, Offer
from connectors.smtp import Callers, SmtpOptions
from gateway import acceptor_wire as wire
from gateway.acceptor_wire import Frame
from gateway.oplog import OperatorLog
from models.errors import TryLater
from models.submission import Receipt

_UP_SECONDS = 30
# One that ended is started again; so long after the last one that lived shorter than that.
_AGAIN_SECONDS = 1.0
# So many connections are accepted before the loop does something else.
_AT_ONCE = 64
# There are no more handles or no more memory.
_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


@dataclass(eq=False)
class _Acceptor:
    """One process, as the gateway knows it."""

    process: subprocess.Popen[bytes]
    connections: socket.socket
    writer: asyncio.StreamWriter
    since: float
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    # Who is connected to it, by address.
    callers: Counter[str] = field(default_factory=Counter)


class Acceptors:
    """The door for mail with several processes. `settings` are the gateway's, as JSON."""

    def __init__(self, offer: Offer, options: SmtpOptions, log_in: LogIn | None, count: int, settings: str, log: OperatorLog) -> None:
        self._offer, self._options, self._log_in, self._count = offer, options, log_in, count
        self._settings, self._log = settings, log
        self._callers = Callers(options, can_log_in=log_in is not None)
        self._listening: socket.socket | None = None
        self._acceptors: list[_Acceptor] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        # What was told from other threads and is not passed on yet; and whether the loop knows.
        self._told: deque[tuple[_Acceptor, Frame]] = deque()
        self._loop_knows = False

    @property
    def pids(self) -> list[int]:
        """The ids of the processes that take mail in now."""
        return [one.process.pid for one in self._acceptors if one.ready.is_set()]

    async def open(self) -> tuple[str, int]:
        """Begins to listen, once all processes are ready. Returns host and port. Raises OSError when the port is taken."""
        family = socket.AF_INET6 if ":" in self._options.host else socket.AF_INET
        self._listening = socket.create_server((self._options.host, self._options.port), family=family, backlog=200)
        self._listening.setblocking(False)
        for _ in range(self._count):
            await self._start()
        try:
            async with asyncio.timeout(_UP_SECONDS):
                for one in list(self._acceptors):
                    await one.ready.wait()
        except TimeoutError:
            raise TryLater("acceptors_silent", "收信进程没有就绪", "the processes that take mail in do not come up") from None
        self._listen()
        host, port = self._listening.getsockname()[:2]
        return host, port

    async def close(self, grace_seconds: float = 10) -> None:
        """Stops listening; each process finishes the mails in hand, whose senders still get their 250, and ends."""
        self._closing = True
        if self._listening is not None:
            asyncio.get_running_loop().remove_reader(self._listening.fileno())
            self._listening.close()
        for one in self._acceptors:
            wire.send(one.writer, Frame(wire.STOP, 0, grace_seconds))
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=2 * grace_seconds)
        for one in list(self._acceptors):
            one.process.kill()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=grace_seconds)

    async def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        connections, passed = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        connections.setblocking(False)
        # Nothing here waits for it.
        process = subprocess.Popen(  # noqa: S603, ASYNC220 - our own program
            [sys.executable, "-m", "gateway.acceptor", str(theirs.fileno()), str(passed.fileno())],
            pass_fds=(theirs.fileno(), passed.fileno()),
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        passed.close()
        reader, writer = await asyncio.open_connection(sock=ours)
        one = _Acceptor(process, connections, writer, time.monotonic())
        self._acceptors.append(one)
        wire.send(writer, Frame(wire.SETTINGS, 0, self._settings))
        task = asyncio.get_running_loop().create_task(self._attend(one, reader))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _listen(self) -> None:
        if self._listening is not None and not self._closing:
            asyncio.get_running_loop().add_reader(self._listening.fileno(), self._accept)

    def _accept(self) -> None:
        """Takes what waits, and passes each connection on, or says why not."""
        assert self._listening is not None  # noqa: S101 - `open` came first
        for _ in range(_AT_ONCE):
            try:
                caller, peer = self._listening.accept()
            except OSError as error:
                if error.errno in _NO_ROOM:
                    # It stays ready all the while; looking again and again would keep everything else from running.
                    loop = asyncio.get_running_loop()
                    loop.remove_reader(self._listening.fileno())
                    loop.call_later(_AGAIN_SECONDS, self._listen)
                return
            with caller:
                address = str(peer[0])
                fewest = min((one for one in self._acceptors if one.ready.is_set()), key=lambda one: one.callers.total(), default=None)
                refusal = self._callers.refusal(address) or ("421 4.3.2 Not ready, try again later" if fewest is None else None)
                if refusal is None and fewest is not None:
                    try:
                        socket.send_fds(fewest.connections, [address.encode()], [caller.fileno()])
                    except OSError:
                        refusal = "421 4.3.2 Too busy, try again later"
                    else:
                        self._callers.came(address)
                        fewest.callers[address] += 1
                if refusal is not None:
                    caller.setblocking(False)
                    with contextlib.suppress(OSError):
                        caller.send(refusal.encode() + b"\r\n")

    async def _attend(self, one: _Acceptor, reader: asyncio.StreamReader) -> None:
        """Does what a process asks for until it ends; then starts another."""
        while (frame := await wire.receive(reader)) is not None:
            if frame.kind == wire.MAIL:
                self._take(one, frame)
            elif frame.kind == wire.GONE:
                self._went(one, frame.head)
            elif frame.kind == wire.LOG_IN:
                asking = asyncio.get_running_loop().create_task(self._ask(one, frame))
                self._tasks.add(asking)
                asking.add_done_callback(self._tasks.discard)
            elif frame.kind == wire.READY:
                one.ready.set()
        self._acceptors.remove(one)
        for address in list(one.callers.elements()):
            self._callers.went(address)
        one.connections.close()
        one.writer.close()
        if one.process.poll() is None:
            # Its socket is gone, so that it is of no use, whatever it still does.
            one.process.kill()
        code = await asyncio.to_thread(one.process.wait)
        if self._closing:
            return
        self._log.write("AcceptorEnded", code=code)
        if time.monotonic() - one.since < _AGAIN_SECONDS:
            await asyncio.sleep(_AGAIN_SECONDS)
        if not self._closing:
            await self._start()

    def _went(self, one: _Acceptor, address: str) -> None:
        one.callers[address] -= 1
        if one.callers[address] <= 0:
            del one.callers[address]
        self._callers.went(address)

    def _take(self, one: _Acceptor, frame: Frame) -> None:
        loop = asyncio.get_running_loop()

        def tell(answer: Receipt | Exception) -> None:
            self._told.append((one, wire.taken(frame.about, answer)))
            if not self._loop_knows:
                self._loop_knows = True
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(self._pass_on)

        try:
            self._offer(wire.submission(frame), tell)
        except Exception as error:
            tell(error)

    def _pass_on(self) -> None:
        self._loop_knows = False
        while self._told:
            one, frame = self._told.popleft()
            if not one.writer.is_closing():
                wire.send(one.writer, frame)

    async def _ask(self, one: _Acceptor, frame: Frame) -> None:
        address, name, password = frame.head
        right = await self._log_in(address, name, password) if self._log_in is not None else False
        wire.send(one.writer, Frame(wire.LOGGED_IN, frame.about, right))
