"""Reviews as a desk of the company's own asks for them: over the API, and on the command line beside a running gateway."""

from __future__ import annotations

import http.client
import json
import smtplib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from factories import mail
from fakes import eventually
from running import RunningGateway
from serving import run

from gateway import config

SECONDS = 20


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path_factory.mktemp("reviews"), drop_enabled="false") as running:
        yield running


def ask(gateway: RunningGateway, method: str, path: str, body: Any = None, *, shown: str | None = "ours") -> tuple[int, Any]:
    host, _, port = gateway.web.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=SECONDS)
    headers = {"Content-Type": "application/json"}
    if shown:
        headers["Authorization"] = f"Bearer {gateway.app.api_token if shown == 'ours' else shown}"
    try:
        connection.request(method, path, body if isinstance(body, bytes | None) else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def sorted_mail(gateway: RunningGateway, body: str) -> str:
    with smtplib.SMTP(*gateway.smtp, timeout=SECONDS) as smtp:
        smtp.ehlo("here.example")
        smtp.mail("lin@mail.example")
        smtp.rcpt("tousu@jiesu.example")
        code, answer = smtp.data(mail("投诉", body))
    assert code == 250
    number = answer.decode().split()[-1]
    eventually(lambda: ask(gateway, "GET", f"/api/v1/complaints/{number}")[1].get("verdict"))
    return number


def test_the_queue_is_read_and_a_correction_goes_to_the_tracker(gateway: RunningGateway) -> None:
    number = sorted_mail(gateway, "你好，想问一下")
    status, queue = ask(gateway, "GET", "/api/v1/review")
    assert status == 200
    one = next(one for one in queue["complaints"] if one["number"] == number)
    assert one["candidates"] == ["other", "price"]
    status, done = ask(gateway, "POST", f"/api/v1/complaints/{number}/corrections", {"class": "price", "by": "王静", "note": "收费"})
    assert status == 201
    assert (done["class"], done["was"], done["by"], done["department"], done["source"]) == ("price", "other", "王静", "sales", "api")
    told = eventually(lambda: [sent for sent in gateway.sender.accepted if json.loads(sent.body)["data"]["event_id"] == done["event"]])
    assert json.loads(told[0].body)["type"] == "complaint.rerouted"
    whole = ask(gateway, "GET", f"/api/v1/complaints/{number}")[1]
    assert [one["class"] for one in whole["corrections"]] == ["price"]


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        ({"class": "质量", "by": "甲"}, 422, "class"),
        ({"by": "甲"}, 422, "class"),
        ({"class": "price"}, 422, "by"),
        ({"class": "price", "by": 3}, 422, "by"),
        ({"class": "price", "by": ""}, 422, "by"),
        ({"class": "price", "by": "甲", "note": ["x"]}, 422, "note"),
        ({"class": "price", "by": "甲", "clas": "x"}, 422, "clas"),
        (["price"], 400, "JSON"),
        (b"{", 400, "JSON"),
        (b"[" * 100_000, 400, "JSON"),
        (b"\xff\xfe", 400, "JSON"),
    ],
)
def test_a_correction_that_makes_no_sense_is_answered_by_what_is_wrong(gateway: RunningGateway, body: Any, status: int, named: str) -> None:
    number = sorted_mail(gateway, "这是合同问题")
    answered, told = ask(gateway, "POST", f"/api/v1/complaints/{number}/corrections", body)
    assert answered == status
    assert named in told["detail"]
    assert " / " in told["detail"]
    assert ask(gateway, "GET", f"/api/v1/complaints/{number}")[1]["corrections"] == []


def test_who_has_no_token_may_neither_read_nor_correct(gateway: RunningGateway) -> None:
    number = sorted_mail(gateway, "这是合同问题")
    for token in (None, "wrong"):
        assert ask(gateway, "GET", "/api/v1/review", shown=token)[0] == 401
        assert ask(gateway, "POST", f"/api/v1/complaints/{number}/corrections", {"class": "price", "by": "甲"}, shown=token)[0] == 401
    assert ask(gateway, "GET", f"/api/v1/complaints/{number}")[1]["corrections"] == []


@pytest.mark.parametrize("number", ["TS-20200101-0001", "%E6%8A%95%E8%AF%89", "%00"])
def test_a_complaint_that_is_not_there(gateway: RunningGateway, number: str) -> None:
    assert ask(gateway, "POST", f"/api/v1/complaints/{number}/corrections", {"class": "price", "by": "甲"})[0] == 404


@pytest.mark.parametrize("limit", ["0", "201", "abc", "-1", "９", "1e3", "9" * 5000])
def test_a_limit_that_makes_no_sense(gateway: RunningGateway, limit: str) -> None:
    status, told = ask(gateway, "GET", f"/api/v1/review?limit={'%EF%BC%99' if limit == '９' else limit}")
    assert status == 422
    assert "limit" in told["detail"]


def test_the_command_line_beside_a_running_gateway(gateway: RunningGateway) -> None:
    number = sorted_mail(gateway, "你好，想问一下别的")
    queue = json.loads(run(gateway.home, "review", "--json", "--limit", "200").stdout)
    assert number in {one["number"] for one in queue["complaints"]}
    assert number in run(gateway.home, "review", "--limit", "200").stdout
    done = run(gateway.home, "correct", number, "价格问题", "--by", "李雷")
    assert done.returncode == 0
    assert "价格问题" in done.stdout
    whole = ask(gateway, "GET", f"/api/v1/complaints/{number}")[1]
    assert [(one["by"], one["class"], one["source"]) for one in whole["corrections"]] == [("李雷", "price", "command_line")]
    eventually(lambda: [sent for sent in gateway.sender.accepted if json.loads(sent.body)["data"]["number"] == number][1:])


def test_mistakes_on_the_command_line(gateway: RunningGateway, tmp_path: Path) -> None:
    wrong_class = run(gateway.home, "correct", "TS-20261124-0001", "价钱")
    assert wrong_class.returncode == 2
    assert "价格问题 price" in wrong_class.stderr
    missing = run(gateway.home, "correct", "TS-20200101-0001", "price")
    assert missing.returncode == 1
    assert "TS-20200101-0001" in missing.stderr
    for command in ("review", "promise"):
        nothing = run(tmp_path / "no home", command)
        assert nothing.returncode == 1
        assert "jiesu serve" in nothing.stderr
        assert not (tmp_path / "no home").exists()


def test_what_routing_alone_rests_on(tmp_path: Path) -> None:
    with RunningGateway(tmp_path, drop_enabled="false", smtp_enabled="false"):
        told = run(tmp_path, "promise", JIESU_CLASSIFIER_TOLERATED_ERROR="0.02")
        assert told.returncode == 0
        assert "人工判定还不够多" in told.stdout
        assert "2.0%" in told.stdout
        whole = json.loads(run(tmp_path, "promise", "--json").stdout)
    assert (whole["tolerated"], whole["cautious"], whole["reviewed"]) == (0.05, True, 0)
    assert {row["basis"] for row in whole["thresholds"]} == {"shipped"}


@pytest.mark.parametrize("value", ["0", "0.6", "nan", "five"])
def test_a_tolerated_error_that_makes_no_sense(tmp_path: Path, value: str) -> None:
    done = run(tmp_path, "check-config", JIESU_CLASSIFIER_TOLERATED_ERROR=value)
    assert done.returncode == 2
    assert "classifier.tolerated_error" in done.stderr


def test_the_setting_reaches_the_gateway(tmp_path: Path) -> None:
    settings = config.load({"JIESU_HOME": str(tmp_path), "JIESU_CLASSIFIER_TOLERATED_ERROR": "0.01"})
    assert settings.classifier.tolerated_error == 0.01
