"""Erasing by the API, by the console and by the command, as people and programs do it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from console_house import complain, person
from fakes import eventually
from running import RunningGateway
from sqlalchemy import select

from models.staff import Role, Scope
from models.tables import answered_requests

WORDS = "价格问题 诸葛树人 13912345678"


@pytest.fixture
def gateway(tmp_path: Path):
    with RunningGateway(tmp_path / "home") as running:
        yield running


def ask(gateway: RunningGateway, path: str, body: Any, token: str, **headers: str) -> tuple[int, Any, Any]:
    sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **headers}
    request = urllib.request.Request(f"{gateway.web}{path}", json.dumps(body).encode(), sent)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer), answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error), error.headers


def left(gateway: RunningGateway, number: str) -> str:
    return json.dumps(gateway.app.records.whole(number), ensure_ascii=False)


def test_a_program_erases_with_its_own_scope_once_for_one_key(gateway: RunningGateway) -> None:
    number = complain(gateway, WORDS)
    token = gateway.app.staffing.add_token("dpo", [Scope.COMPLAINTS_ERASE])
    path = f"/api/v1/complaints/{number}/erase"
    told = {"reason": "person_asked", "by": "王芳"}
    assert ask(gateway, path, told | {"reason": "because"}, token)[0] == 422
    assert ask(gateway, path, {"reason": "retention"}, token)[0] == 422
    assert ask(gateway, "/api/v1/complaints/TS-20200101-0001/erase", told, token)[0] == 404
    status, seen, _ = ask(gateway, path, told | {"dry_run": True}, token)
    assert (status, seen["dry_run"], seen["numbers"]) == (200, True, [number])
    assert WORDS in left(gateway, number)
    status, done, _ = ask(gateway, path, told, token, **{"Idempotency-Key": "once"})
    assert (status, done["rows"], done["before"]) == (200, seen["rows"], False)
    assert "诸葛" not in left(gateway, number)
    again, same, headers = ask(gateway, path, told, token, **{"Idempotency-Key": "once"})
    assert (again, same, headers["idempotency-replayed"]) == (200, done, "true")
    body = {"class": "price", "by": "甲"}
    assert ask(gateway, f"/api/v1/complaints/{number}/corrections", body, gateway.app.api_token)[0] == 410


def test_what_a_program_is_told_of_an_erasure_names_no_file(gateway: RunningGateway) -> None:
    (gateway.drop / "13912345678.txt").write_text(f"客户：{WORDS}\n", "utf-8")
    eventually(lambda: gateway.log("Routed"))
    number = gateway.log("Routed")[0]["number"]
    path, told = f"/api/v1/complaints/{number}/erase", {"reason": "retention", "by": "王芳"}
    assert ask(gateway, path, told | {"dry_run": True}, gateway.app.api_token)[1]["outside"] == ["drop/done: 13912345678.txt"]
    assert ask(gateway, path, told, gateway.app.api_token, **{"Idempotency-Key": "k"})[1]["outside"] == ["drop/done"]
    with gateway.app.store.read() as conn:
        assert not any("139" in body for body in conn.execute(select(answered_requests.c.body)).scalars())


def test_a_lead_erases_in_the_console_after_typing_the_number(gateway: RunningGateway) -> None:
    number = complain(gateway, WORDS)
    page = f"/console/complaints/{number}"
    agent, lead = person(gateway, "小王", Role.AGENT), person(gateway, "王芳", Role.LEAD)
    at, lt = {"csrf": agent.csrf()}, {"csrf": lead.csrf()}
    assert "/erase" not in agent.get(page).text
    assert agent.post(f"{page}/erase", at | {"reason": "person_asked", "again": number}).status == 403
    assert "/erase" in lead.get(page).text
    for wrong in ({"reason": "person_asked", "again": "TS"}, {"reason": "", "again": number}):
        assert lead.post(f"{page}/erase", lt | wrong).status == 422
    assert WORDS in left(gateway, number)
    assert lead.post(f"{page}/erase", lt | {"reason": "person_asked", "again": number.lower()}).status == 303
    shown = lead.get(page).text
    assert "诸葛" not in shown
    assert "顾客信息已删除" in shown
    assert "/erase" not in shown
    assert (gateway.log("Erased")[0]["by"], gateway.log("Erased")[0]["number"]) == ("王芳", number)


@pytest.mark.slow
def test_the_command_shows_asks_and_erases(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with RunningGateway(home) as gateway:
        number = complain(gateway, WORDS)

        def run(*more: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "gateway.cli", "erase", number, *more]
            clean = {name: value for name, value in os.environ.items() if not name.startswith("JIESU_")}
            env = clean | {"JIESU_HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[2])}
            return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)

        asked = run()
        assert (asked.returncode, "--yes" in asked.stderr, "submissions 1" in asked.stderr) == (1, True, True)
        assert run("--reason", "because").returncode == 1
        assert json.loads(run("--dry-run", "--json").stdout)["numbers"] == [number]
        assert WORDS in left(gateway, number)
        done = run("--yes", "--by", "王芳", "--reason", "retention")
        assert done.returncode == 0, done.stderr
        assert number in done.stdout
        assert "诸葛" not in left(gateway, number)
