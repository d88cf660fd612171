"""The least that can receive events: answers 200 and remembers when, for each complaint. A program for `end_to_end.py` and `handoff.py`.

`python -m benchmarks.receiver [MILLISECONDS]`: so long each event's answer takes; at once where nothing is said.

It verifies no signature and stores nothing, so that the sender's side is what is measured. `GET /arrivals` gives, and forgets, one line a
complaint: number, `time.monotonic` when its first 200 was written (all processes of a machine share that clock), and the body.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
import time
from collections.abc import Callable
from typing import cast

import uvloop

_NUMBER = re.compile(rb'"number":"([^"]+)"')
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Connection(asyncio.Protocol):
    """One connection, kept open for request after request. `answer` is given the way out, and head and body of each."""

    def __init__(self, answer: Callable[[asyncio.Transport, bytes, bytes], None]) -> None:
        self._answer = answer
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the way out."""
        # uvloop's transports are not of asyncio's class.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answers each request once all of it is there."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0 and self._transport is not None and not self._transport.is_closing():
            head = self._buffer[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            body, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
            self._answer(self._transport, head, body)


class Receiver:
    """Answers everything with 200, and remembers when it came."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._arrived: dict[bytes, tuple[float, bytes]] = {}

    def answer(self, transport: asyncio.Transport, head: bytes, body: bytes) -> None:
        """200, and what arrived to whoever asks for it."""
        if head.startswith(b"GET /arrivals"):
            told = [[number.decode(), at, event.decode()] for number, (at, event) in self._arrived.items()]
            self._arrived.clear()
            text = json.dumps(told).encode()
            transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(text) + text)
        elif head.startswith(b"GET /count"):
            text = str(len(self._arrived)).encode()
            transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(text) + text)
        else:
            if self._seconds:
                asyncio.get_running_loop().call_later(self._seconds, _tell, transport)
            else:
                transport.write(_OK)
            number = _NUMBER.search(body)
            if number:
                self._arrived.setdefault(number[1], (time.monotonic(), body))


def _tell(transport: asyncio.Transport) -> None:
    if not transport.is_closing():
        transport.write(_OK)


async def main() -> None:
    """Receives until SIGTERM; prints its address as one line of JSON."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    receiver = Receiver(float(sys.argv[1]) / 1000 if len(sys.argv) > 1 else 0.0)
    server = await loop.create_server(lambda: Connection(receiver.answer), "127.0.0.1", 0, backlog=200)
    port = server.sockets[0].getsockname()[1]
    print(json.dumps({"url": f"http://127.0.0.1:{port}"}), flush=True)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    uvloop.run(main())
