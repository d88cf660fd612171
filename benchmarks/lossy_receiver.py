"""A tracker that is hard to hand over to: loses one answer in ten, refuses one event in ten. A program for `lossy.py`.

It keeps what it took: one ticket for one key, and every event in the order in which it first came. `GET /taken` tells.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import signal
import sys

from benchmarks.receiver import Connection

_ID = re.compile(rb"\r\nwebhook-id: *(\S+)", re.IGNORECASE)
# How often an answer is lost after the event was taken, and how often an event is refused.
_LOST, _REFUSED = 0.1, 0.1


class Tracker:
    """What it has taken. `tickets`: by key the events that came, in order; `sends`: how often anything was sent."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.seen: set[bytes] = set()
        self.tickets: dict[str, list[int]] = {}
        self.sends = 0
        self.repeats = 0

    def take(self, webhook_id: bytes, body: bytes) -> None:
        """Takes an event once, however often it comes."""
        if webhook_id in self.seen:
            self.repeats += 1
            return
        self.seen.add(webhook_id)
        data = json.loads(body)["data"]
        self.tickets.setdefault(data["idempotency_key"], []).append(data["order"])

    def answer(self, transport: asyncio.Transport, head: bytes, body: bytes) -> None:
        """Takes the event and says so, or does not."""
        if head.startswith(b"GET /taken"):
            told = json.dumps({"tickets": self.tickets, "sends": self.sends, "repeats": self.repeats}).encode()
            transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(told) + told)
            return
        self.sends += 1
        chance = self.dice.random()
        if chance < _REFUSED:
            status = b"429 Too Many Requests" if chance < _REFUSED / 2 else b"500 Internal Server Error"
            transport.write(b"HTTP/1.1 %s\r\ncontent-length: 0\r\n\r\n" % status)
            return
        webhook_id = _ID.search(head)
        assert webhook_id is not None
        self.take(webhook_id[1], body)
        if chance > 1 - _LOST:
            transport.abort()
        else:
            transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")


async def main() -> None:
    """Receives until SIGTERM; prints its address as one line of JSON."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    tracker = Tracker(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    server = await loop.create_server(lambda: Connection(tracker.answer), "127.0.0.1", 0, backlog=200)
    print(json.dumps({"url": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"}), flush=True)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
