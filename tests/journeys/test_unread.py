"""A number that somebody was told leads somewhere at once: before anything is read of it, and when it cannot be read."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from console_house import SECONDS, Visitor, complain, person
from fakes import eventually
from running import RunningGateway, send

from gateway.store import jobs
from models.staff import Role, Scope

_ROOT = Path(__file__).parents[2]
_HEAD = b"From: lin@mail.example\r\nSubject: deep\r\n"
DEEP = _HEAD + b"".join(b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(1000))


class House:
    """A gateway with one mail that cannot be read."""

    def __init__(self, gateway: RunningGateway) -> None:
        self.gateway = gateway
        self.operator = person(gateway, "赵云", Role.OPERATOR)
        self.lead = person(gateway, "诸葛亮", Role.LEAD)
        self.agent = person(gateway, "王静", Role.AGENT)
        self.calm = self.lead.get("/console").text
        self.token = gateway.app.staffing.add_token("desk", [Scope.COMPLAINTS_READ, Scope.REVIEW_WRITE, Scope.ANSWERS_WRITE])
        self.number = send(gateway.smtp, DEEP)
        self.job: Any = eventually(gateway.app.quarantine.parked)[0]

    def call(self, path: str, body: dict[str, str] | None = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(f"{self.gateway.web}/api/v1/complaints/{path}", data, {"Authorization": f"Bearer {self.token}"})
        try:
            with urllib.request.urlopen(asked, timeout=SECONDS) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        environ = {"JIESU_HOME": str(self.gateway.home), "PATH": "/usr/bin:/bin", "COLUMNS": "200"}
        program = "import sys; from gateway.cli import main; main()"
        return subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, env=environ, cwd=_ROOT, timeout=60)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with RunningGateway(tmp_path_factory.mktemp("unread"), drop_enabled="false") as gateway:
        yield House(gateway)


def test_the_page_of_what_cannot_be_read_says_so_to_each_as_much_as_he_may_see(house: House) -> None:
    where = f"/console/complaints/{house.number}"
    raw, replay = f"/console/mailboxes/raw/{house.job.id}", "/console/parked/replay"
    seen = {name: getattr(house, name).get(where) for name in ("agent", "lead", "operator")}
    for page in seen.values():
        assert page.status == 200
        for words in (house.number, "已收到，内容无法读取", "经邮件收到", "mail_too_deep", "层"):
            assert words in page.text, words
    assert [(raw in page.text, replay in page.text) for page in seen.values()] == [(False, False), (True, False), (True, True)]
    english = house.agent.get(where + "?lang=en").text
    del house.agent.cookies["jiesu-lang"]
    assert "cannot be read" in english
    assert "nested deeper than 20" in english
    assert Visitor(house.gateway).get(where).status == 303
    assert house.agent.get("/console/complaints/TS-20261123-9999").status == 404


def test_the_search_finds_it_and_leads_are_told_that_something_is_parked(house: House) -> None:
    for query in (house.number, house.number.lower()):
        found = house.agent.get(f"/console?q={query}").text
        assert f'href="/console/complaints/{house.number}"' in found
        assert "没有符合条件的投诉" not in found
    assert "没有符合条件的投诉" in house.agent.get("/console?q=TS-20261123-9999").text
    told = house.lead.get("/console").text
    assert "有 1 件搁置" in told
    assert 'href="/console/parked"' in told
    assert "件搁置" not in house.calm
    assert "件搁置" not in house.agent.get("/console").text
    assert f'href="/console/complaints/{house.number}"' in house.lead.get("/console/parked").text


def test_programs_are_told_that_it_was_received(house: House) -> None:
    status, told = house.call(house.number)
    assert (status, told["number"], told["state"], told["conversation"], told["verdict"]) == (200, house.number, "received", [], {})
    unread = told["unread"]
    assert (unread["state"], unread["channel"], unread["received_at"]) == ("parked", "email", unread["parts"][0]["received_at"])
    (part,) = unread["parts"]
    assert (part["job"], part["code"], part["size"]) == (house.job.id, "mail_too_deep", len(DEEP))
    assert part["zh"]
    assert part["en"]
    # What is read has all the same keys, and is not said to be unread.
    read = house.call(complain(house.gateway, "厨房漏水"))[1]
    assert set(told) - set(read) == {"unread"}
    assert set(read) - set(told) == set()
    assert house.call("TS-20261123-9999")[0] == 404
    # Nothing can be done to it yet, which is another thing than that there is none.
    assert house.call(f"{house.number}/corrections", {"class": "price", "by": "甲"})[0] == 409
    assert house.call(f"{house.number}/answers", {"text": "您好", "by": "甲"})[0] == 409
    assert house.agent.decide(house.number, "price").status == 409


def test_the_command_shows_it(house: House) -> None:
    shown = house.run("show", house.number)
    assert shown.returncode == 0, shown.stderr
    for words in (house.number, "无法读取", "cannot be read", "mail_too_deep", f"jiesu replay {house.job.id}"):
        assert words in shown.stdout, words
    assert json.loads(house.run("show", house.number, "--json").stdout) == house.call(house.number)[1]
    read = complain(house.gateway, "厨房漏水，没人修")
    assert "投诉" in house.run("show", read).stdout
    none = house.run("show", "TS-20261123-9999")
    assert none.returncode == 1
    assert "没有编号为" in none.stderr
    refused = house.run("correct", house.number, "price")
    assert refused.returncode == 1
    assert "已收到" in refused.stderr


def test_what_is_not_read_yet_is_told_as_received(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    intake: Any = house.gateway.app.worker._steps["intake"]

    def broken(_: object) -> None:
        raise RuntimeError("not today")

    # A fault of ours is tried again after a second, five seconds, and so on: until then it waits.
    parsers = dict(intake._parsers)
    monkeypatch.setattr(intake, "_parsers", dict.fromkeys(parsers, broken))
    number = send(house.gateway.smtp, b"From: lin@mail.example\r\nSubject: leak\r\n\r\nthe kitchen leaks, nobody comes\r\n")
    page = house.agent.get(f"/console/complaints/{number}")
    assert page.status == 200
    assert "已收到，还没有读完" in page.text
    assert number in house.agent.get(f"/console?q={number}").text
    status, told = house.call(number)
    assert (status, told["unread"]["state"]) == (200, "waiting")
    assert "还没有读完" in house.run("show", number).stdout
    monkeypatch.setattr(intake, "_parsers", parsers)
    app = house.gateway.app
    with app.store.write() as conn:
        jobs.hasten(conn, "intake", "", app.clock.now())
    app.worker.wake_all()
    eventually(lambda: house.gateway.app.desk.story(number))
    assert "unread" not in house.call(number)[1]


def test_erased_before_it_was_read_it_is_known_no_more(house: House) -> None:
    number = send(house.gateway.smtp, DEEP.replace(b"deep", b"erase me"))
    eventually(lambda: number in [one.number for one in house.gateway.app.quarantine.parked()])
    assert house.call(number)[0] == 200
    assert house.run("erase", number, "--reason", "person_asked", "--yes").returncode == 0
    assert house.call(number)[0] == 404
    assert house.agent.get(f"/console/complaints/{number}").status == 404
