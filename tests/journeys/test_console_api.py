"""The API of a company's own desk: tokens with scopes, the same answer to what is asked twice, the document, the learning loop."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from console_house import complain
from running import RunningGateway

from gateway.web import api
from gateway.web.learning_api import Searching
from models.errors import TryLater
from models.staff import Scope
from models.verdict import ComplaintClass


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path_factory.mktemp("api"), drop_enabled="false") as running:
        yield running


def ask(gateway: RunningGateway, method: str, path: str, body: Any = None, *, token: str | None = None, key: str | None = None) -> Any:
    host, _, port = gateway.web.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    headers = {"Authorization": f"Bearer {gateway.app.api_token if token is None else token}", "Content-Type": "application/json"}
    if key is not None:
        headers["Idempotency-Key"] = key
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        told = answer.read()
        return answer.status, json.loads(told), answer.headers
    finally:
        connection.close()


# Every call with the scope that it wants; `{n}` is a complaint that waits.
CALLS: tuple[tuple[str, str, Any, Scope], ...] = (
    ("GET", "/api/v1/complaints/{n}", None, Scope.COMPLAINTS_READ),
    ("GET", "/api/v1/complaints/{n}/attachments/none", None, Scope.COMPLAINTS_READ),
    ("GET", "/api/v1/complaints/{n}/status", None, Scope.COMPLAINTS_READ),
    ("POST", "/api/v1/complaints", {"text": "x"}, Scope.COMPLAINTS_WRITE),
    ("POST", "/api/v1/complaints/{n}/messages", {"text": "x"}, Scope.COMPLAINTS_WRITE),
    ("POST", "/api/v1/complaints/{n}/erase", {"reason": "retention", "by": "甲", "dry_run": True}, Scope.COMPLAINTS_ERASE),
    ("POST", "/api/v1/transcripts", {}, Scope.TRANSCRIPTS_WRITE),
    ("GET", "/api/v1/review", None, Scope.REVIEW_READ),
    ("POST", "/api/v1/complaints/{n}/corrections", {"class": "price", "by": "甲"}, Scope.REVIEW_WRITE),
    ("GET", "/api/v1/models", None, Scope.MODELS_READ),
    ("GET", "/api/v1/models/none", None, Scope.MODELS_READ),
    ("GET", "/api/v1/retrainings", None, Scope.MODELS_READ),
    ("GET", "/api/v1/retrainings/99", None, Scope.MODELS_READ),
    ("GET", "/api/v1/promise", None, Scope.MODELS_READ),
    ("GET", "/api/v1/drift", None, Scope.MODELS_READ),
    ("POST", "/api/v1/models/none/promotion", {"by": "甲"}, Scope.MODELS_WRITE),
    ("POST", "/api/v1/models/rollback", {"by": "甲"}, Scope.MODELS_WRITE),
    ("POST", "/api/v1/retrainings", {"by": ""}, Scope.MODELS_WRITE),
    ("GET", "/api/v1/examples/counts", None, Scope.EXAMPLES_READ),
    ("GET", "/api/v1/examples/agreement", None, Scope.EXAMPLES_READ),
    ("GET", "/api/v1/examples/disagreements", None, Scope.EXAMPLES_READ),
    ("GET", "/api/v1/examples/suspicious", None, Scope.EXAMPLES_READ),
    ("POST", "/api/v1/complaints/{n}/answers", {"text": "您好", "by": "甲"}, Scope.ANSWERS_WRITE),
    ("GET", "/api/v1/calls", None, Scope.COMPLAINTS_READ),
    ("POST", "/api/v1/calls/99/done", {"by": "甲"}, Scope.ANSWERS_WRITE),
    ("GET", "/api/v1/events", None, Scope.EVENTS_READ),
    ("GET", "/api/v1/events/position/nightly", None, Scope.EVENTS_READ),
    ("PUT", "/api/v1/events/position/nightly", {"cursor": ""}, Scope.EVENTS_READ),
    ("POST", "/api/v1/examples/99", {"action": "keep", "by": "甲"}, Scope.EXAMPLES_WRITE),
    ("GET", "/api/v1/mailboxes", None, Scope.MAILBOXES_READ),
    ("GET", "/api/v1/parked", None, Scope.PARKED_READ),
    ("POST", "/api/v1/parked/99/replay", {}, Scope.PARKED_WRITE),
    ("GET", "/api/v1/robots", None, Scope.ROBOTS_READ),
    ("GET", "/api/v1/notices", None, Scope.ROBOTS_READ),
    ("POST", "/api/v1/robots/none/test", {}, Scope.ROBOTS_WRITE),
)


# What is open to all, and what wants a signature instead.
WITHOUT_TOKEN = {
    ("GET", "/api/v1/schemas/"),
    ("GET", "/api/v1/schemas/{}"),
    ("GET", "/api/v1/asyncapi.json"),
    ("POST", "/api/v1/status"),
}


@pytest.mark.parametrize(("method", "path", "body", "scope"), CALLS)
def test_each_call_wants_its_scope_and_no_other(gateway: RunningGateway, method: str, path: str, body: Any, scope: Scope) -> None:
    number = complain(gateway, "你好，想问一下")
    path = path.format(n=number)
    others = gateway.app.staffing.add_token(f"others {method} {path}"[:80], [one for one in Scope if one is not scope])
    status, told, _ = ask(gateway, method, path, body, token=others)
    assert status == 403
    assert scope in told["detail"]
    own = gateway.app.staffing.add_token(f"own {method} {path}"[:80], [scope])
    assert ask(gateway, method, path, body, token=own)[0] not in (401, 403)
    gateway.app.staffing.disable_token(f"own {method} {path}"[:80])
    for token in (own, "", "jiesu_guessed", "x" * 5000):
        status, _, headers = ask(gateway, method, path, body, token=token)
        assert (status, headers["www-authenticate"]) == (401, "Bearer")


def test_the_calls_above_are_all_there_are_and_the_document_names_them(gateway: RunningGateway) -> None:
    any_token = gateway.app.staffing.add_token("reader", [Scope.REVIEW_READ])
    status, document, _ = ask(gateway, "GET", "/api/v1/openapi.json", token=any_token)
    assert status == 200
    assert ask(gateway, "GET", "/api/v1/openapi.json", token="")[0] == 401

    def shape(path: str) -> str:
        return path.replace("{n}", "{}").replace("/none", "/{}").replace("/99", "/{}").replace("/nightly", "/{}")

    def named(path: str) -> str:
        for name in ("{number}", "{version}", "{attachment}", "{call}", "{job_id}", "{name}"):
            path = path.replace(name, "{}")
        return path

    there = {(method.upper(), named(path)) for path, methods in document["paths"].items() for method in methods}
    assert there == {(method, shape(path)) for method, path, _, _ in CALLS} | WITHOUT_TOKEN
    for methods in document["paths"].values():
        for method, told in methods.items():
            # In Chinese and in English.
            assert "。 " in told["summary"]
            if method == "post":
                assert "requestBody" in told
            if method == "post" and told.get("security") != []:
                assert "Idempotency-Key" in {one["name"] for one in told["parameters"]}
    open_to_all = {
        (method.upper(), named(path))
        for path, methods in document["paths"].items()
        for method, told in methods.items()
        if told.get("security") == []
    }
    assert open_to_all == WITHOUT_TOKEN
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_what_is_asked_twice_with_one_key_is_done_once(gateway: RunningGateway) -> None:
    number = complain(gateway, "你好，想问一下")
    path, body = f"/api/v1/complaints/{number}/corrections", {"class": "price", "by": "甲"}
    first = ask(gateway, "POST", path, body, key="a-1")
    again = ask(gateway, "POST", path, body, key="a-1")
    assert (first[0], first[1]) == (again[0], again[1]) == (201, first[1])
    assert again[2]["idempotency-replayed"] == "true"
    other = ask(gateway, "POST", path, {**body, "class": "contract"}, key="a-1")
    assert other[0] == 422
    assert "Idempotency-Key" in other[1]["detail"]
    elsewhere = ask(gateway, "POST", "/api/v1/retrainings", body, key="a-1")
    assert elsewhere[0] == 422
    # Another program's key is another key.
    stranger = gateway.app.staffing.add_token("stranger", [Scope.REVIEW_WRITE])
    assert "idempotency-replayed" not in ask(gateway, "POST", path, body, key="a-1", token=stranger)[2]
    story = gateway.app.desk.story(number)
    assert story
    assert len(story.corrections) == 2
    assert ask(gateway, "POST", path, body, key="a-1", token="")[0] == 401


@pytest.mark.parametrize("key", ["", "x" * 129, "a\tb"])
def test_a_key_that_will_not_do(gateway: RunningGateway, key: str) -> None:
    number = complain(gateway, "你好，想问一下")
    assert ask(gateway, "POST", f"/api/v1/complaints/{number}/corrections", {"class": "price", "by": "甲"}, key=key)[0] == 422


def test_what_failed_may_be_asked_again_with_its_key(gateway: RunningGateway) -> None:
    number = complain(gateway, "你好，想问一下")
    path = f"/api/v1/complaints/{number}/corrections"
    assert ask(gateway, "POST", path, {"class": "price"}, key="b-1")[0] == 422
    assert ask(gateway, "POST", path, {"class": "price", "by": "甲"}, key="b-1")[0] == 201


def test_two_at_once_with_one_key_are_one(gateway: RunningGateway) -> None:
    number = complain(gateway, "你好，想问一下")
    path, body = f"/api/v1/complaints/{number}/corrections", {"class": "price", "by": "甲"}
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(ask(gateway, "POST", path, body, key="c-1")[0])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) <= {201, 409}
    assert 201 in answers
    story = gateway.app.desk.story(number)
    assert story
    assert len(story.corrections) == 1


def test_a_claim_that_a_dead_process_left_is_taken_over_and_old_answers_are_forgotten(gateway: RunningGateway) -> None:
    number = complain(gateway, "你好，想问一下")
    path, body = f"/api/v1/complaints/{number}/corrections", {"class": "price", "by": "甲"}
    from sqlalchemy import func, select, update

    from models.tables import answered_requests as kept

    assert ask(gateway, "POST", path, body, key="d-1")[0] == 201

    def make(status: int, age: timedelta) -> None:
        with gateway.app.store.write() as conn:
            conn.execute(update(kept).where(kept.c.key.endswith(":d-1")).values(status=status, at=gateway.app.clock.now() - age))

    make(0, timedelta(seconds=5))
    status, _, headers = ask(gateway, "POST", path, body, key="d-1")
    assert (status, headers["retry-after"]) == (409, "2")
    make(0, timedelta(minutes=3))
    assert ask(gateway, "POST", path, body, key="d-1")[0] == 201
    make(201, api.KEPT + timedelta(minutes=1))
    assert "idempotency-replayed" not in ask(gateway, "POST", path, body, key="d-1")[2]
    with gateway.app.store.read() as conn:
        assert conn.execute(select(func.count()).where(kept.c.key.endswith(":d-1"))).scalar_one() == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "named"),
    [
        ("GET", "/api/v1/models/none", None, 404, "none"),
        ("GET", "/api/v1/models/%00", None, 404, "?"),
        ("POST", "/api/v1/models/none/promotion", {"by": "甲"}, 404, "none"),
        ("POST", "/api/v1/models/none/promotion", {}, 422, "by"),
        ("POST", "/api/v1/models/none/promotion", {"by": "甲", "force": True}, 422, "force"),
        ("POST", "/api/v1/models/rollback", {"by": "甲"}, 409, "退回"),
        ("POST", "/api/v1/retrainings", {"by": ""}, 422, "by"),
        ("POST", "/api/v1/retrainings", {"by": ["甲"]}, 422, "by"),
        ("GET", "/api/v1/retrainings/x", None, 404, "编号"),
        ("GET", "/api/v1/examples/suspicious?limit=0", None, 422, "limit"),
        ("POST", "/api/v1/examples/99", {"action": "keep", "by": "甲"}, 404, "99"),
        ("POST", "/api/v1/examples/x", {"action": "keep", "by": "甲"}, 404, "编号"),
        ("POST", "/api/v1/examples/99", {"action": "burn", "by": "甲"}, 422, "action"),
        ("POST", "/api/v1/examples/99", {"action": "relabel", "by": "甲"}, 422, "primary"),
        ("POST", "/api/v1/examples/99", {"action": "relabel", "primary": "x", "by": "甲"}, 422, "primary"),
        ("POST", "/api/v1/examples/99", [], 400, "JSON"),
    ],
)
def test_what_makes_no_sense_is_answered_by_what_is_wrong(
    gateway: RunningGateway, method: str, path: str, body: Any, status: int, named: str
) -> None:
    answered, told, _ = ask(gateway, method, path, body)
    assert (answered, named in told["detail"], " / " in told["detail"]) == (status, True, True)


def test_an_example_is_settled_over_the_api(gateway: RunningGateway) -> None:
    number = complain(gateway, "你好，想问一下别的")
    ask(gateway, "POST", f"/api/v1/complaints/{number}/corrections", {"class": "price", "by": "甲"})
    from gateway.store import examples

    with gateway.app.store.read() as conn:
        example = next(one for one in examples.usable(conn) if one.number == number)
    status, told, _ = ask(gateway, "POST", f"/api/v1/examples/{example.id}", {"action": "relabel", "primary": "contract", "by": "乙"})
    assert (status, told["primary"], told["by"], told["looked_at"]) == (200, "contract", "乙", "kept")
    assert ask(gateway, "GET", "/api/v1/examples/counts")[1]["kept"] == 1
    assert ask(gateway, "GET", "/api/v1/promise")[1]["tolerated"] == 0.05


def test_a_search_that_takes_long_is_waited_for_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.web import learning_api

    monkeypatch.setattr(learning_api, "_PATIENCE", 0.05)
    go, searches = threading.Event(), []

    def search() -> list[dict[str, Any]]:
        searches.append(1)
        assert go.wait(20)
        if len(searches) == 2:
            raise TryLater("search_failed", "没能查完", "did not end")
        return [{"id": 1}]

    searching = Searching(search)
    assert searching.found() is None
    assert searching.found() is None
    go.set()
    monkeypatch.setattr(learning_api, "_PATIENCE", 20)
    assert searching.found() == [{"id": 1}]
    with pytest.raises(TryLater):
        searching.found()
    assert searching.found() == [{"id": 1}]
    assert len(searches) == 3


def test_every_class_can_be_told(gateway: RunningGateway) -> None:
    _, document, _ = ask(gateway, "GET", "/api/v1/openapi.json")
    body = document["paths"]["/api/v1/complaints/{number}/corrections"]["post"]["requestBody"]
    assert body["content"]["application/json"]["schema"]["properties"]["class"]["enum"] == list(ComplaintClass)
