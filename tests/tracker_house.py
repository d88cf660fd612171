"""A gateway with its real senders before trackers, and what staff does at the trackers' own desks, for tests of adapters."""

from __future__ import annotations

import base64
import io
import itertools
import json
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import migrated
from answering_house import FakeMailer
from factories import FakeClock, submission
from fakes import FakeChampion
from sqlalchemy import delete, insert
from tracker_rigs import Rig

from gateway import bootstrap, config
from gateway.oplog import OperatorLog
from gateway.store import answers, complaints, events, statuses, trackers
from models.delivery import Outcome, Outgoing
from models.remote import RemoteTicket
from models.status import Status
from models.submission import Channel
from models.tables import day_numbers, tracker_tickets

_ids, _houses = itertools.count(1), itertools.count(1)
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 20
NAME = "tickets"


class TicketHouse:
    """`endpoint`: the lines of `[[endpoint]]` beside its name. `environment`: further settings."""

    def __init__(self, home: Path, endpoint: str, key: str = "key-for-tests", **environment: str) -> None:
        (home / "secrets").mkdir(parents=True, exist_ok=True)
        (home / "jiesu.toml").write_text(
            f'[[endpoint]]\nname = "{NAME}"\nallow_private_hosts = ["127.0.0.1"]\ntimeout_seconds = 60\n{endpoint}\n', "utf-8"
        )
        secret = home / f"secrets/endpoint-{NAME}.api-key"
        secret.write_text(key + "\n")
        secret.chmod(0o600)
        self.home, self.clock, self.stream = home, FakeClock(datetime.now(UTC)), io.StringIO()
        self.settings = config.load({"JIESU_HOME": str(home), "JIESU_TRACKER_URL": "", **environment})
        self.build()
        # Houses of a run share a tracker: each begins its day with a number of its own.
        with self.app.store.write() as conn:
            day = self.clock.at.astimezone(ZoneInfo(self.settings.general.timezone)).strftime("%Y%m%d")
            conn.execute(insert(day_numbers).values(day=day, last=1000 * next(_houses)))

    def build(self) -> None:
        log = OperatorLog(stream=self.stream)
        mailer = FakeMailer() if self.settings.mail.enabled else None
        settings = migrated.prepare(self.settings)
        self.app = bootstrap.build(settings, clock=self.clock, log=log, champion=FakeChampion(), mailer=mailer)

    @property
    def sender(self) -> Any:
        return self.app.endpoints.served[NAME].sender

    # ---- What customers do

    def complain(
        self, body: str = "价格问题", subject: str = "价格问题", files: dict[str, bytes] | None = None, *, work: bool = True
    ) -> str:
        message = EmailMessage(policy=SMTP)
        message["From"], message["To"], message["Subject"] = "林树 <lin@mail.example>", "tousu@jiesu.example", "价格问题"
        message["Message-ID"] = f"<t{next(_ids)}@mail.example>"
        message.set_content(body)
        for name, content in (files or {}).items():
            message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
        number = self.app.accept(submission(bytes(message), at=self.clock.now())).number
        if work:
            self.app.worker.drain()
        return number

    def chat(self, text: str, conversation: str) -> str:
        raw = json.dumps({"id": f"c{next(_ids)}", "text": text}).encode()
        number = self.app.accept(submission(raw, channel=Channel.CHAT, conversation=conversation, at=self.clock.now())).number
        self.clock.move(seconds=9)
        self.app.worker.drain()
        return number

    # ---- What came of it

    def ticket(self, number: str) -> RemoteTicket:
        with self.app.store.read() as conn:
            found = trackers.ticket(conn, NAME, number)
            said = [one.answer for one in events.attempts_of(conn, number)]
        assert found is not None, said
        return found

    def forget(self, number: str) -> None:
        """As if the answer to the creation had been lost."""
        with self.app.store.write() as conn:
            conn.execute(delete(tracker_tickets).where(tracker_tickets.c.number == number))

    def payload(self, number: str, kind: str) -> dict[str, Any]:
        """The payload of the newest event of this kind."""
        with self.app.store.read() as conn:
            found = [one.payload for one in events.of_number(conn, number) if one.type.value == f"complaint.{kind}"]
        return dict(json.loads(found[-1]))

    def send(self, payload: dict[str, Any], webhook_id: str) -> Outcome:
        """Sends a payload straight through the sender, as the step would."""
        body = json.dumps(payload, ensure_ascii=False).encode()
        (outcome,) = self.sender.send([Outgoing(webhook_id, self.sender.endpoint.url, "", body)])
        return outcome

    def statuses(self, number: str) -> list[Status]:
        with self.app.store.read() as conn:
            return statuses.of(conn, number)

    def told(self, number: str) -> list[str]:
        """What the customer was told of the handling."""
        with self.app.store.read() as conn:
            return [one.body for one in answers.of_number(conn, number) if one.kind.value == "status"]

    def state(self, number: str) -> str:
        with self.app.store.read() as conn:
            return complaints.load(conn, [number])[number].state.value

    def files(self, number: str) -> dict[str, str]:
        with self.app.store.read() as conn:
            return {id_: row.state.value for id_, row in trackers.files(conn, NAME, number).items()}

    def look(self) -> bool:
        self.clock.at = max(self.clock.at, datetime.now(UTC))
        return self.app.polls.look(NAME)

    def log(self, verb: str) -> list[dict[str, Any]]:
        return [line for line in map(json.loads, self.stream.getvalue().splitlines()) if line["verb"] == verb]


class RedmineDesk:
    """What staff sees and does in Redmine."""

    resolved, working, rejected = "已解决", "进行中", "已拒绝"

    def __init__(self, rig: Rig) -> None:
        self.rig = rig

    def endpoint(self, **more: str) -> str:
        values = {"kind": '"redmine"', "url": f'"{self.rig.url}"', "project": '"tousu"', **more}
        return "\n".join(f"{name} = {value}" for name, value in values.items())

    def whole(self, id_: str) -> dict[str, Any]:
        status, told = self.rig.ask("GET", f"/issues/{id_}.json?include=journals,attachments")
        assert status == 200
        return dict(told["issue"])

    def subject(self, id_: str) -> str:
        return str(self.whole(id_)["subject"])

    def text(self, id_: str) -> str:
        return str(self.whole(id_)["description"])

    def notes(self, id_: str) -> list[str]:
        return [one["notes"] for one in self.whole(id_)["journals"] if one["notes"]]

    def files(self, id_: str) -> dict[str, int]:
        return {one["filename"]: one["filesize"] for one in self.whole(id_)["attachments"]}

    def status(self, id_: str) -> str:
        return str(self.whole(id_)["status"]["name"])

    def priority(self, id_: str) -> str:
        return str(self.whole(id_)["priority"]["name"])

    def count(self, number: str) -> int:
        return len(self.rig.ask("GET", f"/issues.json?status_id=*&subject=~{number}")[1]["issues"])

    def set(self, id_: str, status: str = "", words: str = "", *, public: bool = True) -> None:
        issue: dict[str, Any] = {"notes": words, "private_notes": not public}
        if status:
            issue["status_id"] = self.rig.told["statuses"][status]
        assert self.rig.ask("PUT", f"/issues/{id_}.json", {"issue": issue})[0] == 204


class RtDesk:
    """What staff sees and does in Request Tracker."""

    resolved, working, rejected = "resolved", "open", "rejected"

    def __init__(self, rig: Rig) -> None:
        self.rig = rig

    def endpoint(self, **more: str) -> str:
        values = {"kind": '"rt"', "url": f'"{self.rig.url}"', "queue": '"tousu"', **more}
        return "\n".join(f"{name} = {value}" for name, value in values.items())

    def ask(self, method: str, path: str, body: object = None) -> Any:
        status, told = self.rig.ask(method, f"/REST/2.0{path}", body)
        assert status in (200, 201), (status, told)
        return told

    def _texts(self, id_: str, kind: str) -> list[str]:
        found = []
        for one in self.ask("GET", f"/ticket/{id_}/history?per_page=100&fields=Type")["items"]:
            if one["Type"] == kind:
                parts = self.ask("GET", f"/transaction/{one['id']}/attachments?fields=ContentType,Filename")["items"]
                texts = [part["id"] for part in parts if part["ContentType"] == "text/plain" and not part["Filename"]]
                content = self.ask("GET", f"/attachment/{texts[0]}")["Content"]
                found.append(base64.b64decode(content).decode())
        return found

    def subject(self, id_: str) -> str:
        return str(self.ask("GET", f"/ticket/{id_}")["Subject"])

    def text(self, id_: str) -> str:
        return self._texts(id_, "Create")[0]

    def notes(self, id_: str) -> list[str]:
        return self._texts(id_, "Comment")

    def files(self, id_: str) -> dict[str, int]:
        parts = self.ask("GET", f"/ticket/{id_}/attachments?per_page=100&fields=Filename")["items"]
        named = {one["Filename"]: one["id"] for one in parts if one["Filename"]}
        return {name: len(base64.b64decode(self.ask("GET", f"/attachment/{part}")["Content"])) for name, part in named.items()}

    def status(self, id_: str) -> str:
        return str(self.ask("GET", f"/ticket/{id_}")["Status"])

    def priority(self, id_: str) -> str:
        return str(self.ask("GET", f"/ticket/{id_}")["Priority"])

    def count(self, number: str) -> int:
        from urllib.parse import quote

        query = quote(f"Subject LIKE '[{number}]'")
        return int(self.ask("GET", f"/tickets?query={query}")["count"])

    def set(self, id_: str, status: str = "", words: str = "", *, public: bool = True) -> None:
        if words:
            body = {"Content": words, "ContentType": "text/plain", **({"Status": status} if status else {})}
            self.ask("POST", f"/ticket/{id_}/{'correspond' if public else 'comment'}", body)
        else:
            self.ask("PUT", f"/ticket/{id_}", {"Status": status})


def later(house: TicketHouse, seconds: float = 30) -> None:
    """Time goes by: what may still be followed by more is read as it is."""
    house.clock.at = max(house.clock.at, datetime.now(UTC)) + timedelta(seconds=seconds)
