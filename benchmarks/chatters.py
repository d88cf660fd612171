"""Chats that are held all at once, as a program of its own: opens them, writes at a steady rate, and tells how long each tick took."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time

import uvloop
from websockets.asyncio.client import ClientConnection, connect

# What a customer writes, one after the other: the matter, then answers to what he is asked.
_LINES = ("产品质量问题，主卧漏水三个月没人管", "同意", "周小山", "13800001111", "湖畔新苑", "3栋1201", "对", "今天又漏了")
_OPENED_AT_ONCE = 50
# So many lines come before those that are measured, 50 a second.
_WARMING = 100


class Chatter:
    """One visitor with his page open."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.sent = 0
        self._waiting: dict[str, float] = {}
        self.acks: list[float] = []
        self.refused = 0
        self.said = 0
        self._hearing = asyncio.create_task(self._hear())

    async def _hear(self) -> None:
        async for message in self._socket:
            event = json.loads(message)
            if event["type"] == "ack":
                self.acks.append(time.perf_counter() - self._waiting.pop(event["id"]))
            elif event["type"] == "error":
                self.refused += 1
                self._waiting.pop(event.get("id", ""), None)
            elif event["type"] == "say":
                self.said += 1

    async def write(self) -> None:
        """Sends his next line."""
        client_id = f"c{self.sent}"
        text = _LINES[self.sent % len(_LINES)]
        self.sent += 1
        self._waiting[client_id] = time.perf_counter()
        await self._socket.send(json.dumps({"type": "message", "id": client_id, "text": text}))

    async def close(self) -> int:
        """Hangs up; how many lines were not ticked."""
        self._hearing.cancel()
        await self._socket.close()
        return len(self._waiting)


async def _opened(url: str) -> Chatter:
    socket = await connect(url, compression=None, ping_interval=None, max_queue=64)
    await socket.send('{"type": "hello"}')
    while json.loads(await socket.recv())["type"] != "welcome":
        pass
    return Chatter(socket)


async def hold(url: str, chats: int, per_second: float, seconds: float) -> dict[str, object]:
    """Opens the chats, writes in one after the other at this rate, and closes them."""
    begun = time.perf_counter()
    chatters: list[Chatter] = []
    while len(chatters) < chats:
        some = min(_OPENED_AT_ONCE, chats - len(chatters))
        chatters += await asyncio.gather(*(_opened(url) for _ in range(some)))
    opening = time.perf_counter() - begun
    print(json.dumps({"open": len(chatters), "seconds": opening}), flush=True)
    # What is loaded and compiled at its first use is no part of the figures, as in the other measurements.
    for n in range(min(_WARMING, chats)):
        await chatters[n].write()
        await asyncio.sleep(1 / 50)
    await asyncio.sleep(1)
    for one in chatters:
        one.acks.clear()
        one.said = 0
    start, total = time.perf_counter(), int(per_second * seconds)
    late = 0.0
    for n in range(total):
        due = start + n / per_second
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        late = max(late, time.perf_counter() - due)
        await chatters[n % chats].write()
    taken = time.perf_counter() - start
    deadline = time.perf_counter() + 20
    while sum(len(one.acks) + one.refused for one in chatters) < total and time.perf_counter() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    # What the machine says may come a little after the tick.
    await asyncio.sleep(1)
    lost = sum(await asyncio.gather(*(one.close() for one in chatters)))
    return {
        "sent": total,
        "seconds": taken,
        "acks": [ack for one in chatters for ack in one.acks],
        "refused": sum(one.refused for one in chatters),
        "said": sum(one.said for one in chatters),
        "lost": lost,
        "late": late,
    }


def main() -> int:
    """Prints one line once all are open, and one with everything at the end."""
    asking = argparse.ArgumentParser(prog="python -m benchmarks.chatters", description=__doc__)
    asking.add_argument("url")
    asking.add_argument("--chats", type=int, default=1000)
    asking.add_argument("--per-second", type=float, default=200)
    asking.add_argument("--seconds", type=float, default=10)
    asked = asking.parse_args()
    print(json.dumps(uvloop.run(hold(asked.url, asked.chats, asked.per_second, asked.seconds))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
