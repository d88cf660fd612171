"""A gateway on a clock that stands still, whose robots speak to makers in this process."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from factories import FakeClock
from fakes import FakeChampion, FakeClassifier
from handoff_house import House

from classifiers.base import Query
from gateway import bootstrap
from gateway.oplog import OperatorLog
from models.complaint import Customer
from models.notice import Notice
from models.verdict import Risk, Verdict

MAIL = {
    "JIESU_MAIL_ENABLED": "true",
    "JIESU_MAIL_HOST": "localhost",
    "JIESU_MAIL_FROM_ADDRESS": "tousu@jiesu.example",
    "JIESU_MAIL_COMPANY": "晨光地产",
}


class Reading(FakeClassifier):
    """Also finds the estate in `楼盘=…`, the unit in `房号=…`, and the risks in `风险=a,b`."""

    def _one(self, query: Query) -> Verdict:
        found = super()._one(query)
        estate, unit = (re.search(rf"{key}=(\S+)", query.said) for key in ("楼盘", "房号"))
        risks = re.findall(r"风险=([a-z,]+)", query.said)
        customer = Customer("林树", "13800001111", None, estate[1] if estate else None, unit[1] if unit else None)
        risk = tuple(Risk(one) for group in risks for one in group.split(",")) or found.risk
        return replace(found, customer=customer, risk=risk)


class RobotHouse(House):
    """`robots`: TOML. `house.look()` lets the watch look once and the worker work; `house.minute()` a minute later."""

    def __init__(self, home: Path, robots: str, clock: FakeClock, **environment: str) -> None:
        self._shared = clock
        super().__init__(home, robots, JIESU_WEB_PUBLIC_URL="https://jiesu.example", **environment)

    def build(self) -> None:
        self.clock = self._shared
        log = OperatorLog(stream=self.stream)
        mailer = self.mailer if self.settings.mail.enabled else None
        champion = FakeChampion(Reading())
        self.app = bootstrap.build(self.settings, clock=self.clock, log=log, sender=self.sender, champion=champion, mailer=mailer)

    def look(self) -> None:
        self.app.alarms.watch.look()
        self.app.worker.drain()

    def minute(self) -> None:
        self.clock.move(seconds=60)
        self.look()

    def notices(self, kind: str = "") -> list[Notice]:
        newest = reversed(self.app.alarms.robots.newest(500))
        return [notice for notice, _ in newest if not kind or notice.kind == kind]

    def state(self, name: str) -> Any:
        return next(one for one in self.app.alarms.robots.states() if one.robot.name == name)


def robot(name: str, kind: str, url: str = "", **more: Any) -> str:
    """The TOML of a robot."""
    lines = [f'name = "{name}"', f'kind = "{kind}"', *([f'url = "{url}"'] if url else []), 'allow_private_hosts = ["127.0.0.1"]']
    return "\n".join(["[[robot]]", *lines, *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in more.items())]) + "\n"
