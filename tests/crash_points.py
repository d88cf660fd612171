"""Dies at every point of a complaint's journey in turn: a program of its own, forked for each point. See journeys/test_crash.py.

Usage: crash_points.py FOLDER TRACKER_URL SECRET. Prints one JSON line for each point: what had been acknowledged, and what was said again.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import sys
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from factories import MORNING, FakeClock, submission
from fakes import FakeChampion

from gateway import bootstrap, config
from gateway.bootstrap import App
from gateway.clock import SystemClock
from gateway.oplog import OperatorLog
from gateway.store.engine import Store
from gateway.tracker import WebhookSender
from models.submission import Channel

# How many points this process has passed, and at which it is to die.
_passed = 0
_die_at = -1


def point() -> None:
    """One point of the journey; the process is killed at the chosen one, as by a power cut."""
    global _passed
    if _passed == _die_at:
        os.kill(os.getpid(), signal.SIGKILL)
    _passed += 1


_write = Store.write


@contextmanager
def _dying_write(self: Store):
    point()
    with _write(self) as conn:
        yield conn
        # Everything is said, nothing committed.
        point()
    # Committed, but nobody knows yet.
    point()


class DyingSender(WebhookSender):
    def send(self, outgoing):
        if not outgoing:
            return []
        point()
        outcomes = super().send(outgoing)
        # The tracker has it, and we do not know.
        point()
        return outcomes


def build(home: Path, url: str, secret: str, at_minute: int) -> App:
    environment = {"JIESU_HOME": str(home), "JIESU_TRACKER_URL": url, "JIESU_TRACKER_SECRET": secret}
    settings = config.load(environment)
    clock = FakeClock(MORNING + timedelta(minutes=at_minute))
    sender = DyingSender(SystemClock(), allow_private_hosts=["127.0.0.1"], timeout_seconds=10, concurrency=4)
    return bootstrap.build(settings, clock=clock, log=OperatorLog(stream=io.StringIO()), sender=sender, champion=FakeChampion())


def offers(name: str):
    """A mail and a chat of two lines."""
    mail = f"From: a@mail.example\r\nSubject: {name}\r\nMessage-ID: <{name}@mail.example>\r\n\r\n合同问题 {name}\r\n".encode()
    yield "mail", submission(mail, key=f"mail-{name}")
    for n, line in enumerate(("价格问题", "还有话说"), 1):
        raw = json.dumps({"id": f"c{n}", "text": f"{line} {name}"}).encode()
        yield f"chat{n}", submission(raw, channel=Channel.CHAT, key=f"{name}:c{n}", conversation=name)


def live(home: Path, url: str, secret: str, name: str, minute: int, told: Path) -> None:
    """Starts, offers what is not yet acknowledged, as every sender does, and works until nothing is left to do."""
    app = build(home, url, secret, minute)
    acknowledged = {json.loads(line)["what"] for line in told.read_text().splitlines()} if told.exists() else set()
    for what, offered in offers(name):
        if what not in acknowledged:
            receipt = app.accept(offered)
            with told.open("a") as file:
                file.write(json.dumps({"what": what, "number": receipt.number}) + "\n")
    for _ in range(4):
        app.worker.drain()
        app.clock.move(seconds=20)
    os._exit(0)


def forked(work) -> int:
    """The exit status of `work` in a forked process; negative when it was killed."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(3)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main(folder: Path, url: str, secret: str) -> None:
    global _die_at
    template = folder / "template"
    forked(lambda: (build(template_home(template), url, secret, 0), os._exit(0)))
    Store.write = _dying_write
    for n in range(1000):
        home, told = folder / f"home-{n}", folder / f"told-{n}"
        shutil.copytree(template, home)
        _die_at = n
        ended = forked(lambda home=home, told=told, n=n: live(home, url, secret, f"p{n}", 10, told))
        first = [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []
        _die_at = -1
        again = 0 if ended == 0 else forked(lambda home=home, told=told, n=n: live(home, url, secret, f"p{n}", 20, told))
        finally_told = [json.loads(line) for line in told.read_text().splitlines()]
        print(
            json.dumps(
                {"point": n, "killed": ended == -signal.SIGKILL, "ended": ended, "again": again, "first": first, "told": finally_told}
            )
        )
        if ended == 0:
            return


def template_home(template: Path) -> Path:
    template.mkdir(parents=True)
    return template


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
