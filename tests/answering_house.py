"""A gateway without doors that answers by a mail server in memory; for tests of what is decided, not of how it is said."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import migrated
from factories import FakeClock, submission
from fakes import FakeChampion, FakeSender
from mailboxes import Taken

from gateway import bootstrap, config
from gateway.oplog import OperatorLog
from gateway.store import answers
from models.answer import Answer, Letter, MailCode, MailOutcome
from models.submission import Channel, Receipt, Submission

MAIL = {
    "JIESU_MAIL_ENABLED": "true",
    "JIESU_MAIL_HOST": "mx.jiesu.example",
    "JIESU_MAIL_FROM_ADDRESS": "tousu@jiesu.example",
    "JIESU_MAIL_OTHER_ADDRESSES": "kefu@jiesu.example",
    "JIESU_MAIL_COMPANY": "晨光地产",
    "JIESU_MAIL_PHONE": "400-000-0000",
}


@dataclass
class FakeMailer:
    """A mail server that takes everything, but for what `outcomes` says of the next letters."""

    outcomes: list[MailOutcome] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)

    def send(self, letters: Sequence[Letter]) -> list[MailOutcome]:
        return [self._one(letter) for letter in letters]

    def _one(self, letter: Letter) -> MailOutcome:
        outcome = self.outcomes.pop(0) if self.outcomes else MailOutcome(MailCode.ACCEPTED, 250, 0.01, "OK")
        if outcome.code in (MailCode.ACCEPTED, MailCode.LOST):
            self.taken.append(Taken(letter.mail_from, [letter.rcpt_to], letter.raw))
        return outcome


class AnsweringHouse:
    """`house.mail(…)` takes a mail in and works until nothing is due."""

    def __init__(self, home: Path, champion: FakeChampion | None = None, **settings: str) -> None:
        self.clock, self.sender, self.mailer, self.stream = FakeClock(), FakeSender(), FakeMailer(), io.StringIO()
        loaded = config.load({"JIESU_HOME": str(home)} | MAIL | {f"JIESU_{key.upper()}": value for key, value in settings.items()})
        self.app = bootstrap.build(
            migrated.prepare(loaded),
            clock=self.clock,
            log=OperatorLog(stream=self.stream),
            sender=self.sender,
            champion=champion or FakeChampion(),
            mailer=self.mailer,
        )

    def mail(self, body: str = "合同问题：定金不退", subject: str = "定金纠纷", work: bool = True, **headers: str) -> Receipt:
        return self.take(message(body, subject, **headers), work=work)

    def take(self, raw: bytes, *, work: bool = True, envelope: dict[str, Any] | None = None) -> Receipt:
        made = submission(raw, at=self.clock.now())
        whole = {"door": "test", "mail_from": "lin@mail.example", "rcpt_tos": ["tousu@jiesu.example"]} | (envelope or {})
        receipt = self.app.accept(Submission(Channel.EMAIL, raw, made.media_type, made.source_key, made.received_at, None, whole))
        if work:
            self.work()
        return receipt

    def work(self) -> None:
        self.app.worker.drain()

    def answers(self, number: str) -> list[Answer]:
        with self.app.store.read() as conn:
            return answers.of_number(conn, number)

    def story(self, number: str) -> Any:
        return self.app.desk.story(number)

    def log(self, verb: str) -> list[dict[str, Any]]:
        return [line for line in map(json.loads, self.stream.getvalue().splitlines()) if line["verb"] == verb]

    def events(self, number: str) -> list[str]:
        return [event.type for event in self.story(number).events]


_ids = iter(range(1, 1_000_000))


def message(body: str = "合同问题：定金不退", subject: str = "定金纠纷", **headers: str) -> bytes:
    """A mail of 林树's; headers replace or add, `_` for `-`; an empty one is left out."""
    made = {
        "From": "林树 <lin@mail.example>",
        "To": "tousu@jiesu.example",
        "Subject": subject,
        "Message-ID": f"<c{next(_ids)}@mail.example>",
        "Date": "Mon, 23 Nov 2026 09:00:00 +0800",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {_spelt(value)}\r\n" for name, value in made.items() if value)
    coded = base64.encodebytes(body.encode()).decode().replace("\n", "\r\n")
    kind = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n"
    return f"{head}{kind}\r\n{coded}".encode()


def _spelt(value: str) -> str:
    """What is not ASCII as encoded words, as mail programs write it."""
    words = (f"=?utf-8?B?{base64.b64encode(run.group().encode()).decode()}?=" for run in _NOT_ASCII.finditer(value))
    return _NOT_ASCII.sub(lambda _: next(words), value)


# With the blanks in between, which count only within one word.
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+(?: [^\x00-\x7f]+)*")
