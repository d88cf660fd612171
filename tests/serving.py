"""The real programs in processes of their own, as an operator runs them."""

from __future__ import annotations

import json
import os
import smtplib
import subprocess
import sys
from pathlib import Path

from fakes import eventually
from trackers import RunningTracker

ROOT = Path(__file__).parents[1]
JIESU = [sys.executable, "-m", "gateway.cli"]


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JIESU_")}
    return kept | {"JIESU_HOME": str(home), "COLUMNS": "200", **more}


def run(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*JIESU, *arguments], cwd=ROOT, env=environment(home, **more), capture_output=True, text=True, timeout=100)


class Serving:
    """`jiesu serve` beside a real tracker."""

    def __init__(self, home: Path, tracker: RunningTracker, **more: str) -> None:
        self.home, self.tracker = home, tracker
        self.environment = {
            "JIESU_SMTP_PORT": "0",
            "JIESU_WEB_PORT": "0",
            "JIESU_TRACKER_URL": tracker.events_url,
            "JIESU_TRACKER_SECRET": tracker.secret,
            **more,
        }
        with (home / "log").open("wb") as log:
            self.process = subprocess.Popen([*JIESU, "serve"], cwd=ROOT, env=environment(home, **self.environment), stdout=log, stderr=log)
        self.doors = eventually(self._doors, 60)

    def _doors(self) -> dict | None:
        assert self.process.poll() is None, (self.home / "log").read_text("utf-8")
        path = self.home / "serve.json"
        return json.loads(path.read_text()) if path.exists() else None

    def mail(self, subject: str, body: str) -> str:
        with smtplib.SMTP(*self.doors["smtp"], timeout=20) as smtp:
            smtp.ehlo()
            smtp.mail("lin@mail.example")
            smtp.rcpt("tousu@jiesu.example")
            code, answer = smtp.data(f"From: lin@mail.example\r\nSubject: {subject}\r\n\r\n{body}\r\n".encode())
        assert code == 250
        return answer.decode().split()[-1]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run(self.home, *arguments, **self.environment)
