"""A gateway on a clock that stands still, with any endpoints, for tests of the hand-off."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import migrated
from answering_house import FakeMailer
from factories import FakeClock, mail, submission
from fakes import FakeChampion, FakeSender

from gateway import bootstrap, config
from gateway.oplog import OperatorLog
from models.delivery import Outcome, Outgoing


class Senders(FakeSender):
    """A fake for every endpoint, told apart by the address."""

    def __init__(self, **of: FakeSender) -> None:
        super().__init__()
        self.of = of

    def send(self, outgoing: list[Outgoing]) -> list[Outcome]:
        return [self._whose(one.url).send([one])[0] for one in outgoing]

    def reachable(self, url: str) -> bool:
        return self._whose(url).reachable(url)

    def _whose(self, url: str) -> FakeSender:
        return self.of.setdefault(url.rpartition("/")[2], FakeSender())


class House:
    """`endpoints`: TOML of the settings file. `sender.of["bi"]` is the fake behind http://x.example/bi."""

    def __init__(self, home: Path, endpoints: str = "", **environment: str) -> None:
        home.mkdir(exist_ok=True)
        (home / "jiesu.toml").write_text(endpoints, "utf-8")
        self.clock, self.stream, self.sender, self.mailer = FakeClock(), io.StringIO(), Senders(), FakeMailer()
        self.settings = config.load({"JIESU_HOME": str(home), "JIESU_TRACKER_URL": "http://x.example/tracker", **environment})
        self.build()

    def build(self) -> None:
        log = OperatorLog(stream=self.stream)
        # Only used where the environment lets mail leave.
        mailer = self.mailer if self.settings.mail.enabled else None
        self.app = bootstrap.build(
            migrated.prepare(self.settings), clock=self.clock, log=log, sender=self.sender, champion=FakeChampion(), mailer=mailer
        )

    def complain(self, subject: str = "价格问题", body: str = "价格问题", sender: str = "林树 <lin@mail.example>") -> str:
        number = self.app.accept(submission(mail(subject, body, sender), at=self.clock.now())).number
        self.app.worker.drain()
        return number

    def told(self, endpoint: str = "tracker") -> list[dict[str, Any]]:
        return [json.loads(sent.body) for sent in self.sender.of.get(endpoint, FakeSender()).accepted]

    def types(self, endpoint: str) -> list[str]:
        return [event["type"].removeprefix("complaint.") for event in self.told(endpoint)]

    def log(self, verb: str) -> list[dict[str, Any]]:
        return [line for line in map(json.loads, self.stream.getvalue().splitlines()) if line["verb"] == verb]
