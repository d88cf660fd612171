"""The chat without a socket: files sent in it, its plain HTTP for mini-programs, and the agent's pane in the console."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from chat_client import Chat
from console_house import Visitor, person
from fakes import eventually
from running import RunningGateway

from gateway.store import answers
from models.answer import AnswerState
from models.staff import Role, Scope
from models.submission import Channel

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    settings = {
        "chat_max_upload_bytes": 200_000,
        "web_max_body_bytes": 100_000,
        "chat_max_uploads": 3,
        "chat_quiet_seconds": 0.2,
        "chat_longest_wait_seconds": 1,
    }
    with RunningGateway(tmp_path_factory.mktemp("http"), drop_enabled="false", smtp_enabled="false", **settings) as running:
        yield running


def ask(gateway: RunningGateway, method: str, path: str, body: Any = None, *, token: str = "", **headers: str) -> tuple[int, Any]:
    host, _, port = gateway.web.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    sent = {"Authorization": f"Bearer {token}"} if token else {}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    raw = body if isinstance(body, bytes) or body is None else json.dumps(body)
    try:
        connection.request(method, path, raw, sent)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null")
    finally:
        connection.close()


# ---- Files


@contextmanager
def talking(gateway: RunningGateway) -> Iterator[tuple[Chat, str, str]]:
    with Chat(gateway) as chat:
        token = chat.hello()["token"]
        yield chat, token, chat.line("c1", "产品质量，漏水三个月")["number"]


def test_a_file_is_kept_under_the_complaint_once_and_told(gateway: RunningGateway) -> None:
    with talking(gateway) as (chat, token, number):
        for _ in range(2):
            status, told = ask(gateway, "POST", "/chat/uploads?id=f1&name=..%2F%E6%BC%8F%E6%B0%B4.html", PNG, token=token)
            assert (status, told["number"]) == (200, number)
        line = chat.until("line")
        assert (line["text"], line["file"], line["number"]) == ("_漏水.html", True, number)
        kept = [one for one in gateway.committed() if one.envelope.get("filename") == "_漏水.html"]
        assert [(one.raw, one.media_type) for one in kept] == [(PNG, "image/png")]
        with Chat(gateway) as back:
            assert [(one["id"], one.get("file")) for one in back.hello(token)["lines"]] == [("c1", None), ("f1", True)]


@pytest.mark.parametrize(
    ("query", "raw", "token", "status", "code"),
    [
        ("id=f&name=x", PNG, None, 403, "no_talk"),
        ("id=f&name=x", PNG, "A" * 43, 403, "no_talk"),
        ("id=&name=x", PNG, "its own", 422, "bad_id"),
        ("id=f&topic=UP&name=x", PNG, "its own", 422, "bad_topic"),
        ("id=f&name=x", b"", "its own", 422, "empty"),
        ("id=f&name=x.png", b"<svg onload=alert(1)>", "its own", 415, "file_type"),
        ("id=f&name=x.png", b"MZ" + bytes(100), "its own", 415, "file_type"),
        ("id=f&name=x.png", PNG + bytes(200_000), "its own", 413, None),
    ],
)
def test_a_file_that_will_not_do(gateway: RunningGateway, query: str, raw: bytes, token: str | None, status: int, code: str | None) -> None:
    before = len(gateway.committed())
    with Chat(gateway) as chat:
        own = chat.hello()["token"]
        got, told = ask(gateway, "POST", f"/chat/uploads?{query}", raw, token=own if token == "its own" else token or "")
        assert (got, told.get("code")) == (status, code)
    assert len(gateway.committed()) == before


def test_a_larger_body_is_for_files_alone_and_files_are_counted(gateway: RunningGateway) -> None:
    with talking(gateway) as (_, token, _number):
        big = PNG + bytes(150_000)
        assert ask(gateway, "POST", "/chat/uploads?id=f1&name=a.png", big, token=token)[0] == 200
        assert ask(gateway, "POST", "/api/v1/complaints", big, token=gateway.app.api_token)[0] == 413
        for n in (2, 3):
            assert ask(gateway, "POST", f"/chat/uploads?id=f{n}&name=a.png", PNG, token=token)[0] == 200
        assert ask(gateway, "POST", "/chat/uploads?id=f4&name=a.png", PNG, token=token)[1]["code"] == "too_many_files"
        # What is there already may come again.
        assert ask(gateway, "POST", "/chat/uploads?id=f3&name=a.png", PNG, token=token)[0] == 200


def test_a_foreign_site_may_not_send_files(gateway: RunningGateway) -> None:
    with talking(gateway) as (_, token, _number):
        assert ask(gateway, "POST", "/chat/uploads?id=f1&name=a.png", PNG, token=token, Origin="https://evil.example")[0] == 403


# ---- For mini-programs


def complaint(gateway: RunningGateway, text: str = "产品质量，漏水三个月", **more: Any) -> dict[str, Any]:
    status, told = ask(gateway, "POST", "/api/v1/complaints", {"text": text} | more, token=gateway.app.api_token)
    assert status == 201, told
    return told


def test_a_complaint_from_its_first_line_to_where_it_stands(gateway: RunningGateway) -> None:
    told = complaint(gateway, name="周小山", phone="13800001111")
    number, token = told["number"], told["token"]
    assert told["question"]["asks"] == "consent"
    path = f"/api/v1/complaints/{number}"
    for text, asks in [("同意", "estate"), ("湖畔新苑", "unit"), ("3栋1201", None)]:
        status, said = ask(gateway, "POST", f"{path}/messages", {"text": text}, token=token)
        assert (status, said["number"]) == (201, number)
        assert (said["question"] or {}).get("asks") == asks

    def standing() -> Any:
        status, found = ask(gateway, "GET", f"{path}/status", token=token)
        assert status == 200
        return found if found["class"] else None

    found: Any = eventually(standing)
    assert (found["number"], found["class_zh"], found["step"], found["question"]["asks"]) == (number, "产品质量", 1, "class")
    assert [one["text"] for one in found["conversation"] if one["kind"] == "line"] == [
        "产品质量，漏水三个月",
        "同意",
        "湖畔新苑",
        "3栋1201",
    ]
    # Only what a customer may see: nothing of reasons, probabilities, or risk.
    assert not re.search("probabilit|reason|risk|candidates|trained", json.dumps(found))
    _, whole = ask(gateway, "GET", path, token=gateway.app.api_token)
    assert whole["customer"] == {"name": "周小山", "phone": "13800001111", "estate": "湖畔新苑", "unit": "3栋1201"}
    # The same conversation goes on over the socket.
    with Chat(gateway) as chat:
        assert len(chat.hello(token)["lines"]) == 4


def test_what_is_asked_twice_is_one_complaint_with_one_token(gateway: RunningGateway) -> None:
    body, key = {"text": "价格问题"}, {"Idempotency_Key": "order 7"}
    first = ask(gateway, "POST", "/api/v1/complaints", body, token=gateway.app.api_token, **key)
    again = ask(gateway, "POST", "/api/v1/complaints", body, token=gateway.app.api_token, **key)
    assert (first[0], again[0]) == (201, 201)
    assert (first[1]["number"], first[1]["token"]) == (again[1]["number"], again[1]["token"])
    assert (first[1]["duplicate"], again[1]["duplicate"]) == (False, True)
    other = ask(gateway, "POST", "/api/v1/complaints", {"text": "别的"}, token=gateway.app.api_token, **key)
    assert other[0] == 422
    # Another program's key is another.
    mine = gateway.app.staffing.add_token("mini-program", [Scope.COMPLAINTS_WRITE])
    assert ask(gateway, "POST", "/api/v1/complaints", body, token=mine, **key)[1]["number"] != first[1]["number"]
    path = f"/api/v1/complaints/{first[1]['number']}/messages"
    for _ in range(2):
        assert ask(gateway, "POST", path, {"text": "补充", "id": "m1"}, token=first[1]["token"])[0] == 201
    assert ask(gateway, "POST", path, {"text": "改了", "id": "m1"}, token=first[1]["token"])[0] == 422
    assert gateway.numbers().count(first[1]["number"]) == 2


def test_a_token_opens_its_own_complaint_and_nothing_else(gateway: RunningGateway) -> None:
    mine, other = complaint(gateway), complaint(gateway)
    reading = gateway.app.staffing.add_token("reads only", [Scope.COMPLAINTS_READ])
    for path, method, body in [("status", "GET", None), ("messages", "POST", {"text": "x"})]:
        where = f"/api/v1/complaints/{mine['number']}/{path}"
        assert ask(gateway, method, where, body)[0] == 401
        assert ask(gateway, method, where, body, token="short")[0] == 401
        assert ask(gateway, method, where, body, token=other["token"])[0] == 404
        assert ask(gateway, method, where, body, token="A" * 43)[0] == 404
        assert ask(gateway, method, where.replace(mine["number"], "TS-20261123-9999"), body, token=mine["token"])[0] == 404
        assert ask(gateway, method, where.replace(mine["number"], "%00"), body, token=mine["token"])[0] == 404
        assert ask(gateway, method, where, body, token=gateway.app.api_token)[0] in (200, 201)
    assert ask(gateway, "POST", f"/api/v1/complaints/{mine['number']}/messages", {"text": "x"}, token=reading)[0] == 403
    assert ask(gateway, "POST", "/api/v1/complaints", {"text": "x"}, token=reading)[0] == 403
    assert ask(gateway, "POST", "/api/v1/complaints", {"text": "x"}, token=mine["token"])[0] == 401
    # A customer's token opens neither the whole complaint nor anything else of the API.
    assert ask(gateway, "GET", f"/api/v1/complaints/{mine['number']}", token=mine["token"])[0] == 401
    assert ask(gateway, "GET", "/api/v1/review", token=mine["token"])[0] == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        {},
        {"text": ""},
        {"text": " \n"},
        {"text": 7},
        {"text": "x" * 4001},
        {"text": "x", "name": "x" * 81},
        {"text": "x", "class": "price"},
        {"text": "x", "language": "fr"},
    ],
    ids=lambda body: str(body)[:24],
)
def test_what_makes_no_sense_is_said_and_nothing_is_kept(gateway: RunningGateway, body: Any) -> None:
    before = len(gateway.committed())
    status, told = ask(gateway, "POST", "/api/v1/complaints", body, token=gateway.app.api_token)
    assert status in (400, 422)
    assert re.search(r"[\u4e00-\u9fff].* / ", told["detail"])
    assert len(gateway.committed()) == before


def test_the_document_tells_of_it_in_both_languages(gateway: RunningGateway) -> None:
    status, document = ask(gateway, "GET", "/api/v1/openapi.json", token=gateway.app.api_token)
    assert status == 200
    for path, verb in [("", "post"), ("/{number}/messages", "post"), ("/{number}/status", "get")]:
        assert re.search(r"[\u4e00-\u9fff].*。 [A-Z]", document["paths"][f"/api/v1/complaints{path}"][verb]["summary"])


def test_who_has_agreed_elsewhere_is_not_asked_again(gateway: RunningGateway) -> None:
    told = complaint(gateway, consent="app-3")
    assert told["question"]["asks"] == "name"
    pane = gateway.app.talks.pane(told["number"])
    assert pane is not None
    assert pane.consent_version == "app-3"


# ---- The agent's pane


@pytest.fixture(scope="module")
def agent(gateway: RunningGateway) -> Visitor:
    return person(gateway, "周敏", Role.AGENT)


def test_an_agent_sees_takes_over_writes_and_hands_back(gateway: RunningGateway, agent: Visitor) -> None:
    with talking(gateway) as (chat, _, number):
        path = f"/console/complaints/{number}/chat"
        eventually(lambda: gateway.app.desk.story(number))
        assert f'href="{path}"' in agent.get(f"/console/complaints/{number}").text
        shown = agent.get(path)
        assert shown.status == 200
        assert "产品质量，漏水三个月" in shown.text
        assert "顾客在线" in shown.text
        assert "自动受理程序在应答" in shown.text
        csrf = agent.csrf(path)
        assert agent.post(f"{path}/take", {"csrf": csrf}).status == 303
        assert chat.until("agent")["name"] == "周敏"
        chat.say({"type": "typing"})
        eventually(lambda: "顾客正在输入" in agent.get(f"{path}/lines").text)
        assert agent.post(f"{path}/typing", {"csrf": csrf}).status == 200
        assert chat.until("typing") == {"type": "typing"}
        for _ in range(2):
            assert agent.post(f"{path}/answers", {"csrf": csrf, "text": "<b>师傅明天到</b>", "key": "k1"}).status == 303
        answer = chat.until("answer")
        assert (answer["text"], answer["by"]) == ("<b>师傅明天到</b>", "周敏")
        assert "&lt;b&gt;师傅明天到&lt;/b&gt;" in agent.get(f"{path}/lines").text
        chat.say({"type": "seen", "through": int(answer["id"][1:])})

        def state() -> AnswerState:
            with gateway.app.store.read() as conn:
                (kept,) = answers.of_number(conn, number)
            return kept.state

        eventually(lambda: state() is AnswerState.SENT)
        assert agent.post(f"{path}/hand-back", {"csrf": csrf}).status == 303
        assert chat.until("agent")["name"] == ""
        # Script and page alike say what is wrong.
        assert agent.post(f"{path}/answers", {"csrf": csrf, "text": " ", "key": "k2"}).status == 422


@pytest.mark.parametrize("verb", ["take", "hand-back", "answers", "typing"])
def test_nobody_else_speaks_for_the_house(gateway: RunningGateway, agent: Visitor, verb: str) -> None:
    number = complaint(gateway)["number"]
    path = f"/console/complaints/{number}/chat"
    fields = {"text": "x", "key": "k"}
    assert agent.post(f"{path}/{verb}", fields | {"csrf": "wrong"}).status == 403
    stranger = Visitor(gateway)
    assert stranger.post(f"{path}/{verb}", fields).headers["location"] == "/console/sign-in"
    assert stranger.get(path).status == 303
    assert agent.post(f"/console/complaints/TS-1/chat/{verb}", fields | {"csrf": agent.csrf()}).status == 404
    assert [one for one in gateway.committed(Channel.CHAT) if one.raw == b"k"] == []
    assert gateway.app.talks.pane(number).now.agent == ""  # type: ignore[union-attr]


def test_what_the_customer_says_of_the_class_stands_in_the_story(gateway: RunningGateway, agent: Visitor) -> None:
    with talking(gateway) as (chat, _, number):
        chat.line("c2", "不同意")
        chat.until("status")
        chat.line("c3", "不对，是价格问题")

        def told() -> bool:
            return "类别应为“价格问题”，不是“产品质量”" in agent.get(f"/console/complaints/{number}").text

        eventually(told)
        assert number in agent.get("/console").text
