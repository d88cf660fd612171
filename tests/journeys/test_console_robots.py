"""Robots as people and programs see them: the page, the API and the commands; who may look, who may test, and no key anywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from console_house import Visitor, complain, person
from fakes import eventually
from robot_house import robot
from robot_makers import KEY, SECRET, Maker
from running import RunningGateway

from models.staff import Role, Scope


def ask(gateway: RunningGateway, method: str, path: str, token: str) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    data = b"{}" if method == "POST" else None
    try:
        with urllib.request.urlopen(urllib.request.Request(gateway.web + path, data, headers, method=method), timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


class House:
    """A gateway with a robot that works and one whose key is wrong."""

    def __init__(self, gateway: RunningGateway, maker: Maker, toml: str) -> None:
        self.gateway, self.maker, self.toml = gateway, maker, toml
        self.operator = person(gateway, "赵云", Role.OPERATOR)
        self.lead = person(gateway, "诸葛亮", Role.LEAD)
        self.agent = person(gateway, "王静", Role.AGENT)
        self.number = complain(gateway, "产品质量 卫生间漏水，十分危险，我叫林树，电话13800001111")
        eventually(lambda: maker.shown and gateway.app.alarms.robots.failing() == ["wrong"])


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("robots")
    with Maker("dingtalk", SECRET) as maker:
        toml = robot("leads", "dingtalk", maker.url, secret=SECRET, quiet="03:00-03:01", departments=["lead_group"])
        toml += robot("wrong", "dingtalk", maker.url.replace(KEY, "removed-long-ago-0000"), secret=SECRET, notices=["risk"])
        (home / "jiesu.toml").write_text(toml, "utf-8")
        with RunningGateway(home, drop_enabled="false") as gateway:
            yield House(gateway, maker, toml)


def test_a_risk_by_mail_reaches_the_group_within_seconds(house: House) -> None:
    text = house.maker.texts[0]
    assert house.number in text
    assert "人身安全" in text
    assert "林树" not in text
    assert "13800001111" not in text


def test_the_page_shows_how_each_does_and_what_was_told(house: House) -> None:
    page = house.lead.get("/console/robots")
    assert page.status == 200
    kinds = ("leads", "钉钉机器人", "正常", "wrong", "发不出", "access_token 不存在", "300001")
    for told in (*kinds, "即将到期、超期、风险、群诉", "每分钟最多 15 条", "安静时段", house.number, "人身安全"):
        assert told in page.text, told
    for key in (KEY, SECRET, "removed-long-ago-0000"):
        assert key not in page.text
    # Whoever leads sees on every page that people are not told.
    assert "机器人 wrong 发不出提醒" in house.lead.get("/console").text
    english = house.lead.get("/console/robots?lang=en").text
    assert "Notices and robots" in english
    assert "there is no such access_token" in english
    assert house.agent.get("/console/robots").status == 403


def test_an_operator_has_a_robot_send_a_test(house: House) -> None:
    def press(visitor: Visitor, name: str) -> Any:
        return visitor.post(f"/console/robots/{name}/test", {"csrf": visitor.csrf()})

    before = len(house.maker.shown)

    def sent() -> bool:
        assert press(house.operator, "leads").status == 303
        return len(house.maker.shown) > before

    eventually(sent)
    assert "测试：机器人 leads 可以发出提醒" in house.maker.texts[-1]
    # At once again: the limit holds for tests, too.
    press(house.operator, "leads")
    assert "频率限制" in house.operator.get("/console/robots").text
    assert press(house.lead, "leads").status == 403
    assert press(house.operator, "nobody").status == 404
    assert "发一条测试" in house.operator.get("/console/robots").text
    assert "发一条测试" not in house.lead.get("/console/robots").text


def test_programs_see_the_same(house: House) -> None:
    token = house.gateway.app.staffing.add_token("desk", [Scope.ROBOTS_READ, Scope.ROBOTS_WRITE])
    status, told = ask(house.gateway, "GET", "/api/v1/robots", token)
    assert status == 200
    by_name = {one["name"]: one for one in told["robots"]}
    assert by_name["leads"]["failing"] is False
    assert by_name["wrong"]["last_error"]["maker_code"] == 300001
    assert KEY not in json.dumps(told)
    status, told = ask(house.gateway, "GET", "/api/v1/notices?limit=5", token)
    (one,) = [one for one in told["notices"] if one["kind"] == "risk"]
    assert (one["number"], one["facts"]["risk"]) == (house.number, ["safety"])
    assert one["told"]["leads"]
    assert one["told"]["wrong"] is None
    assert ask(house.gateway, "GET", "/api/v1/notices?limit=x", token)[0] == 422

    def failed() -> Any:
        status, told = ask(house.gateway, "POST", "/api/v1/robots/wrong/test", token)
        return told if status == 502 else None

    assert eventually(failed)["code"] == "refused"  # type: ignore[index]


def test_the_commands_say_the_same_and_show_no_key(house: House) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        home = house.gateway.app.settings.home
        environment = {**os.environ, "JIESU_HOME": str(home), "COLUMNS": "200", "JIESU_DROP_ENABLED": "false"}
        return subprocess.run(
            [str(Path(sys.executable).with_name("jiesu")), *words], env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    listed = run("robots", "list")
    assert listed.returncode == 0, listed.stderr
    assert "dingtalk" in listed.stdout
    rows = [json.loads(line) for line in run("robots", "list", "--json").stdout.splitlines()]
    assert [row["name"] for row in rows] == ["leads", "wrong"]

    def tested(name: str, told: str) -> bool:
        done = run("robots", "test", name)
        return told in done.stdout + done.stderr

    eventually(lambda: tested("leads", "已发出"))
    eventually(lambda: tested("wrong", "access_token 不存在"))
    checked = run("check-config")
    assert "robot leads: dingtalk" in checked.stdout
    assert run("robots", "test", "nobody").returncode == 1
    for done in (listed, checked):
        assert KEY not in done.stdout + done.stderr
        assert SECRET not in done.stdout + done.stderr
