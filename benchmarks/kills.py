"""`python -m benchmarks.kills [--kills 200] [--complaints 5000]`: a gateway killed with -9 again and again while all doors are used.

Clients do what real ones do: a mail without its 250, a chat line without its tick, is sent again as it was. Afterwards nothing that was
acknowledged may be missing at the tracker, nothing may be there under two numbers or two keys, and reconciliation must explain everything.
About 4 s a kill: half of that is the gateway's start.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import smtplib
import subprocess
import sys
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from benchmarks.measuring import BenchmarkError
from benchmarks.programs import free_port, temporary_folder
from gateway import devtracker, home

_ROOT = Path(__file__).parents[1]
_UP_SECONDS = 120.0
# The kill comes so long after the doors are open: while the classifier is still being loaded, or in the midst of sorting and handing over.
_LONGEST_LIFE_SECONDS = 4.0
# After the last kill the clients send what is left, and all of it is sorted: nothing is given up while it still gets on.
_STANDSTILL_SECONDS = 60.0
# Clients of each door.
_MAILERS, _CHATTERS = 3, 2


class _Killable:
    """`jiesu serve` on the same home and ports, started anew after each kill."""

    def __init__(self, folder: Path, tracker_url: str, secret: str) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self.smtp, self.web = free_port(), free_port()
        clean = {name: value for name, value in os.environ.items() if not name.startswith("JIESU_")}
        self._environment = clean | {
            "JIESU_HOME": str(self.home),
            "JIESU_SMTP_PORT": str(self.smtp),
            "JIESU_WEB_PORT": str(self.web),
            "JIESU_DROP_SETTLE_SECONDS": "0.2",
            "JIESU_CHAT_QUIET_SECONDS": "0.5",
            # All clients have one address.
            "JIESU_CHAT_MAX_LINES_PER_MINUTE": "100000",
            "JIESU_CHAT_MAX_LINES_PER_MINUTE_OF_ADDRESS": "100000",
            "JIESU_CHAT_MAX_NEW_PER_HOUR_OF_ADDRESS": "100000",
            "JIESU_TRACKER_URL": tracker_url,
            "JIESU_TRACKER_SECRET": secret,
        }
        self._log = folder / "gateway.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when its doors are open."""
        told = self.home / "serve.json"
        told.unlink(missing_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gateway.cli", "serve"], cwd=_ROOT, env=self._environment, stdout=log, stderr=log
            )
        deadline = time.monotonic() + _UP_SECONDS
        while not told.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise BenchmarkError("the gateway did not come up: " + self._log.read_text("utf-8", "replace")[-500:])
            time.sleep(0.02)

    def end(self, sign: int) -> None:
        """Kills it, or asks it to end."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(sign)
            self._process.wait(60)

    def reconcile(self) -> dict[str, Any]:
        """What `jiesu report reconcile --json` says."""
        command = [sys.executable, "-m", "gateway.cli", "report", "reconcile", "--json"]
        done = subprocess.run(command, cwd=_ROOT, env=self._environment, capture_output=True, text=True, timeout=120)
        told: dict[str, Any] = json.loads(done.stdout)
        return told


class _Load:
    """What the clients of all doors send, and what they were told."""

    def __init__(self, gateway: _Killable) -> None:
        self._gateway, self.begun = gateway, 0
        # So many may be begun by now: the load is spread over all kills.
        self.allowed = 0
        self._lock = threading.Lock()
        self.stop = threading.Event()
        # By what was sent: the number that was told.
        self.told: dict[str, str] = {}
        self.dropped: list[str] = []

    def next(self, door: str) -> str | None:
        """The name of the next complaint, as soon as one more may be sent; None when it is over."""
        while not self.stop.is_set():
            with self._lock:
                if self.begun < self.allowed:
                    self.begun += 1
                    return f"{door}-{self.begun}"
            time.sleep(0.02)
        return None

    def mails(self) -> None:
        """Mail after mail; one that was not acknowledged is sent again as it was."""
        while name := self.next("mail"):
            raw = f"From: c@mail.example\r\nSubject: {name}\r\n\r\n墙面开裂 {name}\r\n".encode()
            self._until_told(name, lambda raw=raw: self._mail(raw))  # type: ignore[misc]

    def chats(self) -> None:
        """Chat after chat of two lines; a line without its tick is sent again in the same conversation under the same id."""
        while name := self.next("chat"):
            held: dict[str, str] = {}
            for place in range(2):
                line = f"合同问题 {place} {name}"
                self._until_told(name, lambda line=line, place=place, held=held: self._chat(line, f"{place}", held))  # type: ignore[misc]

    def calls(self) -> None:
        """Transcripts moved in whole, as a call centre's platform does; nobody acknowledges them but `done/`."""
        while name := self.next("call"):
            unfinished = self._gateway.home / "drop" / f"{name}.part"
            try:
                unfinished.write_text(f"客户：你好，我家电梯老是坏 {name}\n", "utf-8")
                unfinished.rename(unfinished.with_name(f"{name}.txt"))
            except OSError:
                continue
            self.dropped.append(name)
            # The other doors are to have their share.
            time.sleep(0.5)

    def _until_told(self, name: str, send: Callable[[], str]) -> None:
        while not self.stop.is_set():
            try:
                number = send()
            except (OSError, smtplib.SMTPException, WebSocketException, TimeoutError, ValueError):
                time.sleep(0.05)
                continue
            if self.told.setdefault(name, number) != number:
                raise BenchmarkError(f"{name} was told two numbers: {self.told[name]} and {number}")
            return

    def _mail(self, raw: bytes) -> str:
        with closing(smtplib.SMTP("127.0.0.1", self._gateway.smtp, timeout=10)) as client:
            client.ehlo("here.example")
            client.mail("c@mail.example")
            client.rcpt("tousu@jiesu.example")
            code, answer = client.data(raw)
        if code != 250:
            raise ValueError
        return answer.decode().split()[-1]

    def _chat(self, line: str, client_id: str, held: dict[str, str]) -> str:
        with connect(f"ws://127.0.0.1:{self._gateway.web}/ws/chat", open_timeout=10, proxy=None) as chat:
            chat.send(json.dumps({"type": "hello", **held}))
            welcome = json.loads(chat.recv(timeout=10))
            held["token"] = welcome["token"]
            chat.send(json.dumps({"type": "message", "id": client_id, "text": line}))
            while True:
                answer = json.loads(chat.recv(timeout=10))
                if answer.get("type") == "ack":
                    return str(answer["number"])
                if answer.get("type") == "error":
                    raise ValueError


def run(folder: Path, kills: int, complaints: int, seed: int = 1) -> dict[str, Any]:
    """Kills, and returns what came of it; `wrong` must be empty."""
    dice, secret = random.Random(seed), home.webhook_secret()
    tracker, port = _tracker(folder / "tracker", secret)
    url = f"http://127.0.0.1:{port}"
    gateway = _Killable(folder, f"{url}/events", secret)
    load = _Load(gateway)
    begun = time.monotonic()
    killed = 0
    try:
        gateway.start()
        doors = [load.mails] * _MAILERS + [load.chats] * _CHATTERS + [load.calls]
        threads = [threading.Thread(target=door, daemon=True) for door in doors]
        for thread in threads:
            thread.start()
        while killed < kills:
            load.allowed = complaints * (killed + 1) // kills
            time.sleep(dice.uniform(0.0, _LONGEST_LIFE_SECONDS))
            gateway.end(signal.SIGKILL)
            gateway.start()
            killed += 1
        _until_it_stands_still(lambda: complaints - load.begun, 0.05)
        load.stop.set()
        for thread in threads:
            thread.join(60)
        _until_it_stands_still(lambda: len(_wrong(url, load)), 3)
        wrong = _wrong(url, load)
        gateway.end(signal.SIGTERM)
        unexplained = gateway.reconcile()["unexplained"]
        tickets = len(_ask(url, "/tickets")["tickets"])
    finally:
        load.stop.set()
        gateway.end(signal.SIGKILL)
        tracker.should_exit = True
    return {
        "kills": killed,
        "complaints acknowledged": len(load.told),
        "calls dropped": len(load.dropped),
        "tickets at the tracker": tickets,
        "seconds": round(time.monotonic() - begun),
        "unexplained": unexplained,
        "wrong": wrong[:20],
    }


def _until_it_stands_still(left: Callable[[], int], every: float) -> None:
    """Looks every so many seconds until nothing is left, or for long no less than before."""
    least, ends = sys.maxsize, time.monotonic() + _STANDSTILL_SECONDS
    while (now := left()) and time.monotonic() < ends:
        if now < least:
            least, ends = now, time.monotonic() + _STANDSTILL_SECONDS
        time.sleep(every)


def _wrong(url: str, load: _Load) -> list[str]:
    numbers: dict[str, set[str]] = defaultdict(set)
    keys: dict[str, set[str]] = defaultdict(set)
    ids: dict[str, int] = defaultdict(int)
    for kept in _ask(url, "/events")["events"]:
        data = kept["payload"]["data"]
        numbers[data["matter"].split()[-1]].add(data["number"])
        keys[data["number"]].add(data["idempotency_key"])
        ids[data["event_id"]] += 1
    found = [f"{name}: acknowledged {told}, at the tracker {numbers[name]}" for name, told in load.told.items() if numbers[name] != {told}]
    found += [f"{name}: dropped, at the tracker {numbers[name]}" for name in load.dropped if len(numbers[name]) != 1]
    found += [f"{number}: keys {both}" for number, both in keys.items() if len(both) > 1]
    return found + [f"{event}: {count} times" for event, count in ids.items() if count > 1]


def _ask(url: str, path: str) -> Any:
    request = urllib.request.Request(url + path, headers={"Authorization": "Bearer token"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def _tracker(folder: Path, secret: str) -> tuple[devtracker.Server, int]:
    up, held = threading.Event(), [0]

    def told(_host: str, port: int) -> None:
        held[0] = port
        up.set()

    server = devtracker.Server("127.0.0.1", 0, secret, folder, "token", told)
    threading.Thread(target=server.run, daemon=True).start()
    if not up.wait(20):
        raise BenchmarkError("the tracker did not come up")
    return server, held[0]


def main() -> int:
    """Runs it and prints what came of it. 0 when nothing was wrong."""
    asking = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__)
    asking.add_argument("--kills", type=int, default=200)
    asking.add_argument("--complaints", type=int, default=5000)
    asking.add_argument("--seed", type=int, default=1)
    asked = asking.parse_args()
    with temporary_folder() as folder:
        found = run(folder, asked.kills, asked.complaints, asked.seed)
    print(json.dumps(found, ensure_ascii=False, indent=1))
    return 1 if found["wrong"] or found["unexplained"] else 0


if __name__ == "__main__":
    sys.exit(main())
