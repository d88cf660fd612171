"""`kill -9` at every point between acceptance and delivery: nothing acknowledged is lost, nothing is handed over under two ids."""

from __future__ import annotations

import json
import os
import random
import signal
import smtplib
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

import pytest
from fakes import eventually
from trackers import RunningTracker

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent


@pytest.mark.slow
def test_a_kill_at_every_point_of_the_journey(tmp_path: Path) -> None:
    with RunningTracker() as tracker:
        program = subprocess.run(
            [sys.executable, str(TESTS / "crash_points.py"), str(tmp_path), tracker.events_url, tracker.secret],
            capture_output=True,
            text=True,
            timeout=110,
            env=os.environ | {"PYTHONPATH": f"{ROOT}:{TESTS}"},
        )
        assert program.returncode == 0, program.stderr
        tickets = {ticket["number"]: ticket for ticket in tracker.tickets()}
        events = tracker.events()
    points = [json.loads(line) for line in program.stdout.splitlines()]
    assert len(points) > 25
    assert [p["ended"] for p in points] == [-signal.SIGKILL] * (len(points) - 1) + [0]
    assert all(p["again"] == 0 for p in points)
    # Homes number alike, so each event is told apart by the name of its point, which stands in the matter.
    by_point: dict[str, list[dict]] = defaultdict(list)
    for event in events:
        by_point[event["payload"]["data"]["matter"].split()[-1]].append(event)
    for p in points:
        name = f"p{p['point']}"
        told = {row["what"]: row["number"] for row in p["told"]}
        assert set(told) == {"mail", "chat1", "chat2"}, p
        # What had been acknowledged before the kill keeps its number after it.
        assert all(told[row["what"]] == row["number"] for row in p["first"]), p
        assert told["chat1"] == told["chat2"] != told["mail"], p
        arrived = {event["payload"]["data"]["number"] for event in by_point[name]}
        assert arrived == {told["mail"], told["chat1"]}, p
        # One event, one id: the tracker keeps each id once, so a second id for the same event would show here.
        ids = [event["payload"]["data"]["event_id"] for event in by_point[name]]
        assert len(ids) == len(set(ids)), p
        said = "\n".join(event["payload"]["data"]["matter"] for event in by_point[name])
        assert f"合同问题 {name}" in said
        assert f"还有话说 {name}" in said
    assert tickets


class Killable:
    """`jiesu serve` in a process of its own, which can be killed and started again on the same home and ports."""

    def __init__(self, home: Path, tracker: RunningTracker) -> None:
        self.home = home
        self.environment = os.environ | {
            "JIESU_HOME": str(home),
            "JIESU_SMTP_PORT": "0",
            "JIESU_WEB_PORT": "0",
            "JIESU_DROP_SETTLE_SECONDS": "0.2",
            "JIESU_CHAT_ENABLED": "false",
            "JIESU_TRACKER_URL": tracker.events_url,
            "JIESU_TRACKER_SECRET": tracker.secret,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        (self.home / "serve.json").unlink(missing_ok=True)
        with (self.home / "test.log").open("ab") as log:
            command = [sys.executable, "-m", "gateway.cli", "serve"]
            self.process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)
        self.doors()

    def doors(self) -> dict:
        def look() -> dict | None:
            assert self.process is not None
            assert self.process.poll() is None, (self.home / "test.log").read_text()
            path = self.home / "serve.json"
            return json.loads(path.read_text()) if path.exists() else None

        found = eventually(look, 40)
        assert isinstance(found, dict)
        return found

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)


@pytest.mark.slow
def test_the_whole_process_killed_again_and_again_under_load(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    acknowledged: dict[str, str] = {}
    doors: dict = {}
    stop = threading.Event()
    dice = random.Random(20261123)

    def send_mails(client: int) -> None:
        n = 0
        while not stop.is_set() and n < 120:
            key = f"mail-{client}-{n}"
            raw = f"From: c{client}@mail.example\r\nSubject: {key}\r\n\r\n墙面开裂 {key}\r\n".encode()
            try:
                with smtplib.SMTP(*doors["smtp"], timeout=5) as smtp:
                    smtp.ehlo()
                    smtp.mail(f"c{client}@mail.example")
                    smtp.rcpt("tousu@jiesu.example")
                    code, answer = smtp.data(raw)
                    if code == 250:
                        acknowledged[key] = answer.decode().split()[-1]
                        n += 1
            except (OSError, smtplib.SMTPException):
                # No 250: the very same mail is sent again, as every mail server does.
                time.sleep(0.05)

    with RunningTracker() as tracker:
        gateway = Killable(home, tracker)
        gateway.start()
        doors.update(gateway.doors())
        threads = [threading.Thread(target=send_mails, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        dropped = []
        try:
            for round_ in range(4):
                for n in range(5):
                    name = f"call-{round_}-{n}.txt"
                    unfinished = home / "drop" / f"{name}.part"
                    unfinished.write_text(f"客户：你好，我家电梯老是坏 {name}\n", "utf-8")
                    unfinished.rename(home / "drop" / name)
                    dropped.append(name)
                time.sleep(dice.uniform(0.3, 1.5))
                gateway.kill()
                gateway.start()
                doors.update(gateway.doors())
            stop.set()
            for thread in threads:
                thread.join(30)
            wanted = set(acknowledged.values())
            assert len(acknowledged) > 30
            eventually(
                lambda: wanted <= {t["number"] for t in tracker.tickets()} and len(tracker.tickets()) >= len(wanted) + len(dropped), 60
            )
        finally:
            stop.set()
            gateway.stop()
        tickets = tracker.tickets()
        events = tracker.events()
    numbers_of: dict[str, set[str]] = defaultdict(set)
    for ticket in tickets:
        numbers_of[ticket["ticket"]["matter"].split()[-1]].add(ticket["number"])
    # Each mail and each call is one complaint under one number, and an acknowledged one under the number that was told.
    assert all(len(numbers) == 1 for numbers in numbers_of.values())
    assert all(numbers_of[key] == {number} for key, number in acknowledged.items())
    assert set(dropped) <= set(numbers_of)
    ids = [event["payload"]["data"]["event_id"] for event in events]
    assert len(ids) == len(set(ids)) == len({event["webhook_id"] for event in events})
    assert not [path for path in (home / "drop").iterdir() if path.is_file()]
