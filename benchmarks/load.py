"""The load generator for SMTP, a program of its own: many clients in one uvloop, on plain streams of bytes, without a library's cost.

Like nearly all mail clients it waits for each answer before the next command. It prints one line of JSON: how many mails were
acknowledged in how many seconds, the processor time that took here, and for each acknowledged mail its number and when its 250 came
(`time.monotonic`, which all processes of a machine share).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from typing import cast

import uvloop

from benchmarks.mails import Mails

# How long an answer may take; a burst on a busy machine is slow, a dead server is silent for ever.
_ANSWER_SECONDS = 30


class Conversation(asyncio.Protocol):
    """One connection: ask, wait for the answer, check its code."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the way out."""
        # uvloop's transports are not of asyncio's class.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Hands on an answer once its last line is whole: that has a blank behind the code (RFC 5321 4.2.1)."""
        self._buffer += data
        if not self._buffer.endswith(b"\r\n"):
            return
        last = self._buffer[self._buffer.rfind(b"\r\n", 0, -2) + 1 :].lstrip()
        if last[3:4] == b" " and self._answer is not None and not self._answer.done():
            self._answer.set_result(last)
            self._buffer = b""

    def connection_lost(self, error: Exception | None) -> None:
        """Whoever still waits is told."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionError("the server hung up"))

    async def greeting(self) -> None:
        """The server's first word."""
        await self.ask(b"", b"220")

    async def ask(self, said: bytes, code: bytes) -> bytes:
        """Says something and returns the answer, which must begin with `code`."""
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        self._answer = loop.create_future()
        if said:
            self._transport.write(said)
        elif self._buffer:
            waiting, self._buffer = self._buffer, b""
            self.data_received(waiting)
        async with asyncio.timeout(_ANSWER_SECONDS):
            answer = await self._answer
        if not answer.startswith(code):
            raise ConnectionError(f"answered {answer[:60]!r} where {code!r} was due")
        return answer

    async def send(self, mail: bytes) -> bytes:
        """One mail; returns the answer to its last dot."""
        await self.ask(b"MAIL FROM:<lin@bench.example>\r\n", b"250")
        await self.ask(b"RCPT TO:<tousu@jiesu.example>\r\n", b"250")
        await self.ask(b"DATA\r\n", b"354")
        return await self.ask(mail + b".\r\n", b"250")

    async def quit(self) -> None:
        """Takes leave."""
        await self.ask(b"QUIT\r\n", b"221")
        self.close()

    def close(self) -> None:
        """Hangs up."""
        if self._transport is not None:
            self._transport.close()


async def connected(host: str, port: int) -> Conversation:
    """A connection that has been greeted."""
    _, conversation = await asyncio.get_running_loop().create_connection(Conversation, host, port)
    await conversation.greeting()
    await conversation.ask(b"EHLO client.bench.example\r\n", b"250")
    return conversation


class Load:
    """What is sent where, and what came of it."""

    def __init__(self, host: str, port: int, mails: Mails, *, kept: bool) -> None:
        self._host, self._port, self._mails, self._kept = host, port, mails, kept
        self.accepted: list[tuple[str, float]] = []

    async def client(self, more: Callable[[], bool]) -> None:
        """Sends mails while there are more, on one connection or on a new one for each."""
        conversation: Conversation | None = None
        while more():
            if conversation is None:
                conversation = await connected(self._host, self._port)
            self._count(await conversation.send(self._mails.next()))
            if not self._kept:
                await conversation.quit()
                conversation = None
        if conversation is not None:
            await conversation.quit()

    async def calm(self, per_second: float, count: int) -> None:
        """Sends `count` mails at a steady rate on one connection, whether the last was slow or not."""
        conversation = await connected(self._host, self._port)
        begun = time.monotonic()
        for place in range(count):
            await asyncio.sleep(max(0.0, begun + place / per_second - time.monotonic()))
            self._count(await conversation.send(self._mails.next()))
        await conversation.quit()

    def _count(self, answer: bytes) -> None:
        now = time.monotonic()
        self.accepted.append((answer.decode().split()[-1], now))


async def run(asked: argparse.Namespace) -> dict[str, object]:
    """Sends what was asked for."""
    load = Load(asked.host, asked.port, Mails(f"{time.monotonic_ns()}"), kept=not asked.new)
    cpu = time.process_time()
    begun = time.monotonic()
    if asked.per_second:
        await load.calm(asked.per_second, asked.mails)
    else:
        left = iter(range(asked.mails)) if asked.mails else None

        def more() -> bool:
            return next(left, None) is not None if left else time.monotonic() < begun + asked.seconds

        await asyncio.gather(*(load.client(more) for _ in range(asked.clients)))
    ended = load.accepted[-1][1] if load.accepted else time.monotonic()
    return {
        "mails": len(load.accepted),
        "begun": begun,
        "seconds": ended - begun,
        "cpu_seconds": time.process_time() - cpu,
        "accepted": load.accepted,
    }


def main() -> None:
    """The program."""
    asking = argparse.ArgumentParser(prog="benchmarks.load", description=__doc__)
    asking.add_argument("host")
    asking.add_argument("port", type=int)
    asking.add_argument("--clients", type=int, default=20)
    asking.add_argument("--seconds", type=float, default=1.0, help="send for so long, unless --mails says how many")
    asking.add_argument("--mails", type=int, default=0)
    asking.add_argument("--per-second", type=float, default=0.0, help="send --mails mails at this rate on one connection")
    asking.add_argument("--new", action="store_true", help="a new connection for each mail")
    print(json.dumps(uvloop.run(run(asking.parse_args()))), flush=True)


if __name__ == "__main__":
    main()
