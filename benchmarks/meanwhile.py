"""Whether chats are answered while the classifier learns: how long a tick takes, before a retraining with many examples and during it.

A real gateway on SQLite with everything in it; the examples are imported by its command, the retraining is asked for by its API, and the
chats go on until it is done.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import websockets

from benchmarks.learning import varied
from benchmarks.measuring import BenchmarkError, Report, percentile
from benchmarks.programs import gateway

_GROUP = "meanwhile"
_MANY, _FEW = 50_000, 2_000
# As many chats as one address may have open, each at the pace that a visitor is allowed.
_CHATS, _EVERY_SECONDS = 20, 2.1
_QUIET_SECONDS, _QUIET_SECONDS_QUICK = 30.0, 8.0
_LONGEST_SECONDS = 400.0
_LINE = "卫生间漏水三个月没有人来修，物业和施工单位互相推诿。"


def measure(report: Report, folder: Path, *, quick: bool) -> None:
    """Adds the rows of this measurement. Takes three minutes, quick half a minute. Raises `BenchmarkError` where the retraining fails."""
    count = _FEW if quick else _MANY
    # All chats come from one address here, which has a pace of its own.
    with gateway(folder, "learning", settings={"JIESU_CHAT_MAX_LINES_PER_MINUTE_OF_ADDRESS": "100000"}) as opened:
        house = opened.opened()
        home = folder / "learning"
        _import(home, folder / "examples.jsonl", count)
        quiet = _QUIET_SECONDS_QUICK if quick else _QUIET_SECONDS
        before, during, seconds = asyncio.run(_both(house.web, (home / "secrets" / "api.token").read_text().strip(), quiet))
    chats = f"{_CHATS} chats, {len(before)} lines before and {len(during)} during"
    report.single(_GROUP, f"retraining with {count} examples beside a gateway at work", seconds, "s", "nice 10: answering comes first")
    for name, times in (("before", before), ("during", during)):
        report.single(_GROUP, f"chat line to its tick {name}, p50", statistics.median(times), "ms", chats)
        report.single(
            _GROUP, f"chat line to its tick {name}, p99", percentile(times, 0.99), "ms", "the commit, and what else wants the store"
        )


def _import(home: Path, path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8") as out:
        for own in varied(count):
            row = {"text": own.query.said, "title": own.query.title, "primary": str(own.primary), "channel": own.query.channel}
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
    command = [sys.executable, "-m", "gateway.cli", "examples", "import", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env={"JIESU_HOME": str(home), "PATH": ""}, cwd=Path(__file__).parents[1])
    if done.returncode:
        raise BenchmarkError(f"the import failed: {(done.stderr or done.stdout).strip()[-300:]}")


async def _both(web: str, token: str, quiet: float) -> tuple[list[float], list[float], float]:
    """Milliseconds to each tick before and during a retraining, and how many seconds that took."""
    times: list[tuple[float, float]] = []
    stop = asyncio.Event()
    chats = [asyncio.create_task(_chat(web, number, times, stop)) for number in range(_CHATS)]
    await asyncio.sleep(quiet)
    asked = time.monotonic()
    await asyncio.to_thread(_call, f"{web}/api/v1/retrainings", token, {"by": "bench"})
    while (state := (await asyncio.to_thread(_newest, web, token))["state"]) in ("waiting", "running"):
        if time.monotonic() - asked > _LONGEST_SECONDS:
            raise BenchmarkError("the retraining does not end")
        await asyncio.sleep(0.5)
    ended = time.monotonic()
    stop.set()
    await asyncio.gather(*chats)
    if state != "done":
        raise BenchmarkError(f"the retraining is {state}")
    return [took for at, took in times if at < asked], [took for at, took in times if at >= asked], ended - asked


async def _chat(web: str, number: int, times: list[tuple[float, float]], stop: asyncio.Event) -> None:
    async with websockets.connect(f"ws{web.removeprefix('http')}/ws/chat", max_size=None) as connection:
        await connection.send(json.dumps({"type": "hello"}))
        await connection.recv()
        line = 0
        # Not all at once.
        await asyncio.sleep(number * _EVERY_SECONDS / _CHATS)
        while not stop.is_set():
            line += 1
            begun = time.monotonic()
            await connection.send(json.dumps({"type": "message", "id": f"m{line}", "text": f"{_LINE}{line}"}))
            async with asyncio.timeout(30):
                while not _ticks(await connection.recv()):
                    pass
            times.append((begun, (time.monotonic() - begun) * 1000))
            await asyncio.sleep(max(0.0, begun + _EVERY_SECONDS - time.monotonic()))


def _ticks(text: str | bytes) -> bool:
    told = json.loads(text)
    if told["type"] == "error":
        raise BenchmarkError(f"a chat was refused: {told['code']}")
    return bool(told["type"] == "ack")


def _call(url: str, token: str, body: object) -> None:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers), timeout=30):
        pass


def _newest(web: str, token: str) -> dict[str, Any]:
    request = urllib.request.Request(f"{web}/api/v1/retrainings", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        listed = json.loads(answer.read())
    newest: dict[str, Any] = listed["retrainings"][0]
    return newest
