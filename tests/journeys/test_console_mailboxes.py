"""Mailboxes and what is parked, as people and programs see them: who may look, who may act, and nothing from outside shown as a page."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from console_house import Visitor, person
from dovecot import PASSWORD
from fakes import eventually
from imap_house import letter, settings
from imap_server import ImapServer
from running import RunningGateway

from connectors import mailbox
from models.complaint import Parsed
from models.staff import Role, Scope

# What no parser takes within its limits: parked whole.
DEEP = b"From: lin@mail.example\r\nSubject: <script>alert(1)</script>\r\n" + b"".join(
    b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(60)
)


class House:
    """A gateway with two mailboxes, one of which cannot be had."""

    def __init__(self, gateway: RunningGateway, server: ImapServer) -> None:
        self.gateway, self.server = gateway, server
        self.operator = person(gateway, "赵云", Role.OPERATOR)
        self.lead = person(gateway, "诸葛亮", Role.LEAD)
        self.agent = person(gateway, "王静", Role.AGENT)
        self.too_large = server.arrive(letter("墙" * 3000))
        self.parked = server.arrive(DEEP)
        eventually(lambda: gateway.app.quarantine.parked())
        eventually(lambda: gateway.app.mailboxes.warnings()[0] == ["bad"])

    def job(self) -> Any:
        found: Any = eventually(self.gateway.app.quarantine.parked)
        return found[0]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    tmp_path = tmp_path_factory.mktemp("mailboxes")
    with pytest.MonkeyPatch.context() as patch, ImapServer(password=PASSWORD) as server:
        patch.setattr(mailbox, "BACKOFF", {"": mailbox._seconds(0.2)})
        both = {
            "host": "127.0.0.1",
            "port": server.port,
            "tls": "none",
            "user": "tousu",
            "backfill": "all",
            "poll_seconds": 1,
            "max_bytes": 8000,
        }
        home = settings(tmp_path, {"name": "good", "password": PASSWORD, **both}, {"name": "bad", "password": "<b>wrong</b>", **both})
        with RunningGateway(home) as gateway:
            yield House(gateway, server)


def test_a_lead_sees_and_an_operator_acts(house: House) -> None:
    assert house.agent.get("/console/mailboxes").status == 403
    assert Visitor(house.gateway).get("/console/mailboxes").status == 303
    seen = house.lead.get("/console/mailboxes")
    assert seen.status == 200
    for words in ("一直失败", "正常", "授权码", "too_large", "mail_too_deep", house.job().number, "邮箱 good"):
        assert words in seen.text, words
    assert "现在就看" not in seen.text
    assert "从原文重读" not in seen.text
    acting = house.operator.get("/console/mailboxes").text
    assert "现在就看" in acting
    assert "从原文重读" in acting
    english = house.operator.get("/console/mailboxes?lang=en").text
    assert "Look now" in english
    assert "failing" in english
    del house.operator.cookies["jiesu-lang"]
    csrf = house.lead.csrf()
    for path in ("look", "try-again", "replay"):
        assert house.lead.post(f"/console/mailboxes/{path}", {"csrf": csrf, "name": "good"}).status == 403
        assert house.operator.post(f"/console/mailboxes/{path}", {"csrf": "another", "name": "good"}).status == 403


def test_leads_are_warned_on_every_page_and_agents_are_not(house: House) -> None:
    assert "邮箱 bad 收不到邮件" in house.lead.get("/console").text
    assert "邮箱 bad 收不到邮件" in house.operator.get("/console/models").text
    assert "收不到邮件" not in house.agent.get("/console").text


def test_look_now_and_try_again(house: House) -> None:
    csrf = house.operator.csrf("/console/mailboxes")
    answer = house.operator.post("/console/mailboxes/look", {"csrf": csrf, "name": "good"})
    assert answer.status == 303
    assert "已要求查看 good" in house.operator.get("/console/mailboxes").text
    assert house.operator.post("/console/mailboxes/look", {"csrf": csrf, "name": "none"}).status == 404
    house.server.wrong.refuse_uids = frozenset({house.server.uid_next})
    refused = house.server.arrive(letter("at last"))
    entries = eventually(lambda: {entry.uid: entry for _, entry in house.gateway.app.mailboxes.not_taken() if entry.uid == refused})
    assert isinstance(entries, dict)
    house.server.wrong.refuse_uids = frozenset()
    # Not in a minute, but now.
    house.operator.post("/console/mailboxes/try-again", {"csrf": csrf, "id": str(entries[refused].id)})
    eventually(lambda: any(b"at last" in one.raw for one in house.gateway.committed()))
    assert {line["by"].split()[0] for line in house.gateway.log("LookAsked")} == {"staff"}
    eventually(lambda: [entry.uid for _, entry in house.gateway.app.mailboxes.not_taken()] == [house.too_large])
    house.operator.post("/console/mailboxes/try-again", {"csrf": csrf})
    assert "已安排再试" in house.operator.get("/console/mailboxes").text
    house.operator.post("/console/mailboxes/try-again", {"csrf": csrf, "id": "99999"})
    assert "没有可以再试的邮件" in house.operator.get("/console/mailboxes").text


def test_what_servers_and_customers_say_is_text(house: House) -> None:
    with house.gateway.app.store.write() as conn:
        from gateway.store import mailboxes

        mailboxes.failed(conn, "bad", house.gateway.app.clock.now(), "bye", "<img src=x onerror=alert(1)>\u202e", "<script>1</script>")
    page = house.lead.get("/console/mailboxes").text
    assert "<img src=x" not in page
    assert "\u202e" not in page


def test_programs_see_the_same(house: House) -> None:
    def call(method: str, path: str, scope: Scope) -> Any:
        token = house.gateway.app.staffing.add_token(f"{method} {path}"[:80], [scope])
        asked = urllib.request.Request(house.gateway.web + path, method=method, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return json.load(answer)

    eventually(lambda: {one.name: one.code for one in house.gateway.app.mailboxes.health()}["bad"] == "login_refused")
    told = call("GET", "/api/v1/mailboxes", Scope.MAILBOXES_READ)
    assert [(one["name"], one["up"]) for one in told["mailboxes"]] == [("bad", False), ("good", True)]
    assert told["mailboxes"][0]["code"] == "login_refused"
    assert told["mailboxes"][1]["mails"]["aside"] == 1
    assert [(one["mailbox"], one["code"]) for one in told["not_taken"]] == [("good", "too_large")]
    house.job()
    (parked,) = call("GET", "/api/v1/parked", Scope.PARKED_READ)["parked"]
    assert (parked["code"], parked["channel"], parked["size"], parked["came_by"]) == ("mail_too_deep", "email", len(DEEP), "good")
    assert call("POST", f"/api/v1/parked/{parked['id']}/replay", Scope.PARKED_WRITE) == {"replayed": parked["id"]}
    with pytest.raises(urllib.error.HTTPError) as refused:
        call("POST", "/api/v1/parked/99999/replay", Scope.PARKED_WRITE)
    assert refused.value.code == 404
    refused.value.close()


def test_the_commands_say_how_mailboxes_do_and_what_is_wrong(house: House) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        environ = {"JIESU_HOME": str(house.gateway.home), "PATH": "/usr/bin:/bin", "COLUMNS": "200"}
        program = "import sys; from gateway.cli import main; main()"
        return subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, env=environ, cwd=_ROOT, timeout=60)

    rows = {row["name"]: row for row in map(json.loads, run("mailboxes", "--json").stdout.splitlines())}
    assert rows["good"]["up"] is True
    assert rows["good"]["mails"]["aside"] == 1
    assert (rows["bad"]["up"], rows["bad"]["code"]) == (False, "login_refused")
    # At the operator's own time, as the console has it.
    at = datetime.fromisoformat(rows["good"]["succeeded_at"]).astimezone(ZoneInfo("Asia/Shanghai"))
    shown = run("mailboxes").stdout
    assert f"{at:%Y-%m-%d %H:}" in shown
    assert "CST" in shown
    assert "UTC" not in shown
    fine = run("mailboxes", "check", "good")
    assert fine.returncode == 0, fine.stderr
    assert "IDLE" in fine.stdout
    bad = run("mailboxes", "check", "bad")
    assert bad.returncode == 1
    assert "授权码" in bad.stderr


def test_what_is_parked_is_downloaded_as_it_came_and_read_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    job = house.job()
    got = house.lead.get(f"/console/mailboxes/raw/{job.id}")
    assert got.bytes == DEEP
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["content-disposition"] == f'attachment; filename="{job.number}-{job.submission_id}.eml"'
    assert got.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in got.headers["content-security-policy"]
    assert house.agent.get(f"/console/mailboxes/raw/{job.id}").status == 403
    assert house.lead.get("/console/mailboxes/raw/99999").status == 404
    assert house.lead.get("/console/mailboxes/raw/x").status == 404
    # Read again without a newer program it is parked again.
    csrf = house.operator.csrf("/console/mailboxes")
    before = len(house.gateway.log("Parked"))
    house.operator.post("/console/mailboxes/replay", {"csrf": csrf, "job": str(job.id)})
    assert "已放回 1 件" in house.operator.get("/console/mailboxes").text
    eventually(lambda: len(house.gateway.log("Parked")) > before and house.gateway.app.quarantine.parked())
    # A newer program can read it.
    steps: Any = house.gateway.app.worker._steps["intake"]
    monkeypatch.setattr(steps, "_parsers", {one: lambda _: Parsed(title="t", said="墙面渗水", text="墙面渗水") for one in steps._parsers})
    house.operator.post("/console/mailboxes/replay", {"csrf": csrf})
    eventually(lambda: house.gateway.app.desk.story(job.number))
    assert house.gateway.app.quarantine.parked() == []
    assert "没有搁置的投诉" in house.operator.get("/console/mailboxes").text


_ROOT = Path(__file__).parents[2]
