"""Transcripts dropped while the gateway is killed again and again: how many are lost, how many doubled, and how long it takes.

`python -m benchmarks.drop_kills 10000` runs it for real: a process of its own, `kill -9` three times in the middle, a look into the store
at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_MATTERS = ("卫生间漏水", "销售态度恶劣", "合同里的面积不对", "降价要补差价", "电梯总是坏", "墙面开裂", "退定金没人理", "物业费多收")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. `seconds`: from the first file to the last one taken; lost and doubled are to be 0."""

    files: int
    kills: int
    seconds: float
    taken: int
    lost: int
    doubled: int
    left: int
    complaints: int


def transcript(n: int) -> str:
    """A call unlike any other."""
    return f"客服：您好，请讲。\n客户：我是第{n}位来电的业主，{_MATTERS[n % len(_MATTERS)]}，已经说了{n % 9 + 1}次。\n"


class _Gateway:
    """`jiesu serve` on one home, in a process of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        kept = {name: value for name, value in os.environ.items() if not name.startswith("JIESU_")}
        self._environment = kept | {
            "JIESU_HOME": str(home),
            "JIESU_SMTP_ENABLED": "false",
            "JIESU_CHAT_ENABLED": "false",
            "JIESU_WEB_PORT": "0",
            "JIESU_TRACKER_URL": "",
            "JIESU_DROP_SETTLE_SECONDS": "0.1",
            "JIESU_DROP_SIDECAR_WAIT_SECONDS": "0",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.home / "serve.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gateway.cli", "serve"], cwd=_ROOT, env=self._environment, stdout=log, stderr=log
            )

    def check(self) -> None:
        assert self._process is not None
        assert self._process.poll() is None, (self.home / "serve.log").read_text("utf-8")[-2000:]

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(20)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(90)


def _moved(drop: Path) -> int:
    return sum(len(files) for folder, _, files in os.walk(drop / "done"))


def _until(what: Callable[[], bool], gateway: _Gateway, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not what():
        gateway.check()
        if time.monotonic() > end:
            raise TimeoutError((gateway.home / "serve.log").read_text("utf-8")[-2000:])
        time.sleep(0.05)


def run(home: Path, files: int, kills: int = 3, patience_seconds: float = 900) -> Outcome:
    """Drops so many files at once, kills the gateway so often in the middle of them, and counts what the store has at the end."""
    drop = home / "drop"
    drop.mkdir(parents=True)
    for n in range(files):
        unfinished = drop / f"{n}.part"
        unfinished.write_text(transcript(n), "utf-8")
        unfinished.rename(drop / f"call-{n:06}.txt")
    gateway = _Gateway(home)
    began = time.monotonic()
    try:
        gateway.start()
        for place in range(1, kills + 1):
            enough = files * place // (kills + 1)
            _until(lambda enough=enough: _moved(drop) >= enough, gateway, patience_seconds)  # type: ignore[misc]
            gateway.kill()
            gateway.start()
        _until(lambda: _moved(drop) >= files, gateway, patience_seconds)
        took = time.monotonic() - began
        # The rest is sorting; each must become a complaint of its own.
        _until(lambda: _count(home, "SELECT count(*) FROM jobs WHERE kind = 'intake'") == 0, gateway, patience_seconds)
    finally:
        gateway.stop()
    with sqlite3.connect(home / "jiesu.db") as store:
        raws = [bytes(row[0]).decode() for row in store.execute("SELECT raw FROM submissions")]
    wanted = {transcript(n) for n in range(files)}
    left = sum(1 for path in drop.iterdir() if path.is_file())
    return Outcome(
        files,
        kills,
        round(took, 1),
        len(raws),
        len(wanted - set(raws)),
        len(raws) - len(set(raws)),
        left,
        _count(home, "SELECT count(*) FROM complaints"),
    )


def _count(home: Path, query: str) -> int:
    with sqlite3.connect(f"file:{home / 'jiesu.db'}?mode=ro", uri=True, timeout=20) as store:
        return int(store.execute(query).fetchone()[0])


def main() -> None:
    """Runs it and prints the outcome as JSON."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("files", type=int, nargs="?", default=10_000)
    asked.add_argument("--kills", type=int, default=3)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asdict(run(Path(folder) / "home", given.files, given.kills))))


if __name__ == "__main__":
    main()
