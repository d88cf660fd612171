"""The development tracker over real HTTP: true signatures only, nothing lost, nothing shown to strangers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from trackers import BEARER, NUMBER, PAGE_TOKEN, SECRET, RunningTracker, ask, event, send, signed


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[RunningTracker]:
    with RunningTracker(tmp_path / "tracker") as running:
        yield running


def test_a_true_event_becomes_a_ticket(tracker: RunningTracker) -> None:
    assert send(tracker, event(summary="认购书没有返还定金")) == 200
    [ticket] = tracker.tickets()
    assert (ticket["number"], ticket["events"], ticket["webhook_ids"]) == (NUMBER, 1, ["evt_1"])
    assert ticket["ticket"]["summary"] == "认购书没有返还定金"
    assert tracker.ask(f"/tickets/{NUMBER}")["history"][0]["payload"]["type"] == "complaint.routed"
    assert ask(tracker, "GET", "/tickets/TS-0", headers=BEARER)[0] == 404


def test_the_event_that_came_last_tells_how_the_ticket_stands(tracker: RunningTracker) -> None:
    for n, klass in enumerate(["contract", "price", "service_attitude"], 1):
        assert send(tracker, event(**{"class": klass}), f"evt_{n}") == 200
    assert send(tracker, event("TS-20261123-0043"), "evt_other") == 200
    first, other = tracker.tickets()
    assert (first["ticket"]["class"], first["events"], other["events"]) == ("service_attitude", 3, 1)
    assert [(kept["order"], kept["webhook_id"]) for kept in tracker.events()] == [
        (1, "evt_1"),
        (2, "evt_2"),
        (3, "evt_3"),
        (4, "evt_other"),
    ]


def test_an_event_that_is_repeated_is_answered_200_and_does_nothing(tracker: RunningTracker) -> None:
    assert send(tracker, event(summary="first")) == 200
    assert send(tracker, event(summary="the same id, another body")) == 200
    assert [ticket["ticket"]["summary"] for ticket in tracker.tickets()] == ["first"]
    assert tracker.ask("/events")["repeats"] == 1


def test_many_at_once_are_all_kept_once_each(tracker: RunningTracker) -> None:
    # Every event is sent three times at the same moment.
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda n: send(tracker, event(f"TS-{n % 50}"), f"evt_{n % 50}"), range(150)))
    assert set(answers) == {200}
    assert len(tracker.tickets()) == 50
    assert sorted(kept["order"] for kept in tracker.events()) == list(range(1, 51))
    assert tracker.ask("/events")["repeats"] == 100


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"webhook-signature": "v1,AAAA"}, "bad_signature"),
        ({"webhook-signature": ""}, "bad_signature"),
        ({"webhook-signature": "v1"}, "bad_signature"),
        ({"webhook-signature": "v1,!!!not base64!!! ,,, v2,x"}, "bad_signature"),
        ({"webhook-signature": "v1,\xe9"}, "bad_signature"),
        ({"webhook-signature": "x" * 8000}, "bad_signature"),
        ({"webhook-timestamp": "yesterday"}, "bad_timestamp"),
        ({"webhook-timestamp": "-1"}, "bad_timestamp"),
        ({"webhook-timestamp": "9" * 400}, "bad_timestamp"),
        ({"webhook-timestamp": ""}, "bad_timestamp"),
        ({"webhook-timestamp": "0"}, "stale"),
        ({"webhook-id": "evt_2"}, "bad_signature"),
        ({"webhook-id": ""}, "bad_id"),
        ({"webhook-id": "\xe9"}, "bad_id"),
    ],
)
def test_a_false_or_malformed_signature_is_401(tracker: RunningTracker, change: dict[str, str], code: str) -> None:
    status, _, told = ask(tracker, "POST", "/events", event(), signed(event()) | change)
    assert (status, json.loads(told)["code"]) == (401, code)
    assert tracker.events() == []


def test_missing_headers_are_401(tracker: RunningTracker) -> None:
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        headers = signed(event())
        del headers[name]
        assert ask(tracker, "POST", "/events", event(), headers)[0] == 401


def test_five_minutes_off_are_tolerated_and_no_more(tracker: RunningTracker) -> None:
    now = datetime.now(UTC)
    for n, (seconds, status) in enumerate([(-290, 200), (290, 200), (-310, 401), (310, 401)]):
        headers = signed(event(), f"evt_{n}", at=now + timedelta(seconds=seconds))
        assert ask(tracker, "POST", "/events", event(), headers)[0] == status


def test_one_true_signature_among_several_is_enough(tracker: RunningTracker) -> None:
    other = "whsec_" + base64.b64encode(bytes(32)).decode()
    headers = signed(event())
    headers["webhook-signature"] = f"v1,AAAA v1a,xyz {signed(event(), secret=other)['webhook-signature']} {headers['webhook-signature']}"
    assert ask(tracker, "POST", "/events", event(), headers)[0] == 200


def test_a_changed_body_or_another_secret_is_401(tracker: RunningTracker) -> None:
    assert ask(tracker, "POST", "/events", event() + " ", signed(event()))[0] == 401
    other = "whsec_" + base64.b64encode(bytes(32)).decode()
    assert ask(tracker, "POST", "/events", event(), signed(event(), secret=other))[0] == 401


@pytest.mark.parametrize(
    "body",
    [
        *("{", "", "[]", "null", "[" * 100_000),
        *('{"type":"x","data":[]}', '{"data":{"idempotency_key":"k"}}', '{"type":"x","data":{}}'),
        *('{"type":"x","data":{"idempotency_key":7}}', '{"type":"x","data":{"idempotency_key":""}}'),
        *('{"type":"x","data":{"idempotency_key":"k","n":NaN}}', '{"type":"x","data":{"idempotency_key":"k","n":1e999}}'),
    ],
)
def test_a_true_signature_on_nonsense_is_400_with_the_reason(tracker: RunningTracker, body: str) -> None:
    status, _, told = ask(tracker, "POST", "/events", body, signed(body))
    assert status == 400
    assert json.loads(told)["detail"]
    assert tracker.events() == []


def test_bytes_that_are_no_utf8_are_400(tracker: RunningTracker) -> None:
    body, stamp = b'{"type":"\xff"}', str(int(time.time()))
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signature = "v1," + base64.b64encode(hmac.new(key, b"evt_1." + stamp.encode() + b"." + body, hashlib.sha256).digest()).decode()
    headers = {"webhook-id": "evt_1", "webhook-timestamp": stamp, "webhook-signature": signature}
    assert ask(tracker, "POST", "/events", body, headers)[0] == 400


def test_half_a_surrogate_pair_is_kept_and_shown(tracker: RunningTracker) -> None:
    body = event(summary="half").replace("half", "\\ud83d")
    assert ask(tracker, "POST", "/events", body, signed(body))[0] == 200
    assert tracker.tickets()[0]["ticket"]["summary"] == "\ud83d"
    assert ask(tracker, "GET", "/", headers=BEARER)[0] == 200


def test_a_body_above_one_megabyte_is_413(tracker: RunningTracker) -> None:
    body = event(matter="x" * 1_048_576)
    assert ask(tracker, "POST", "/events", body, signed(body))[0] == 413
    assert send(tracker, event()) == 200


@pytest.mark.parametrize("path", ["/", "/tickets", f"/tickets/{NUMBER}", "/events", "/fail"])
def test_who_has_no_page_token_sees_nothing(tracker: RunningTracker, path: str) -> None:
    assert send(tracker, event(customer={"name": "王建国"})) == 200
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer "}, {"Cookie": f"jiesu_tracker_{tracker.port}=x"}):
        status, answer, told = ask(tracker, "GET", path, headers=headers)
        assert (status, answer["www-authenticate"]) == (401, "Bearer")
        assert "王建国" not in told
    assert ask(tracker, "GET", path, headers=BEARER)[0] == 200
    assert ask(tracker, "POST", "/fail", '{"mode":"500"}', {"Content-Type": "application/json"})[0] == 401


def test_the_token_in_the_address_becomes_a_cookie(tracker: RunningTracker) -> None:
    assert ask(tracker, "GET", "/?token=wrong")[0] == 401
    status, headers, _ = ask(tracker, "GET", f"/?token={PAGE_TOKEN}")
    assert (status, headers["location"]) == (303, "/")
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert PAGE_TOKEN not in cookie
    assert ask(tracker, "GET", "/", headers={"Cookie": cookie.partition(";")[0]})[0] == 200


def test_every_answer_carries_the_security_headers(tracker: RunningTracker) -> None:
    for path in ("/", "/healthz", "/static/tracker.js", "/nothing"):
        headers = ask(tracker, "GET", path)[1]
        assert headers["content-security-policy"].startswith("default-src 'none';")
        assert (headers["x-content-type-options"], headers["referrer-policy"], headers["cache-control"]) == (
            "nosniff",
            "no-referrer",
            "no-store",
        )


def test_a_foreign_host_name_is_400(tracker: RunningTracker) -> None:
    for host in ("evil.example", f"evil.example:{tracker.port}", "127.0.0.1.evil.example", "[::2]", ""):
        assert ask(tracker, "GET", "/healthz", headers={"Host": host})[0] == 400
    for host in ("localhost", f"localhost:{tracker.port}", "[::1]:80", "127.0.0.1"):
        assert ask(tracker, "GET", "/healthz", headers={"Host": host})[0] == 200


def test_text_from_outside_is_text_on_the_page(tracker: RunningTracker) -> None:
    bad = "<script>alert(1)</script><img src=x onerror=alert(1)>'\""
    assert send(tracker, event(bad, summary=bad, customer={"name": bad}, department={"name": bad}, priority=bad, risk=[bad])) == 200
    html = ask(tracker, "GET", "/", headers=BEARER)[2]
    assert "<script>alert" not in html
    assert "<img" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_a_ticket_of_another_shape_does_not_break_the_page(tracker: RunningTracker) -> None:
    odd: dict[str, Any] = {"customer": "x", "risk": 3, "department": [], "class": {}, "summary": 5, "reply_due": "soon"}
    body = event(**odd).replace(f'"number": "{NUMBER}"', '"number": null')
    assert send(tracker, body) == 200
    assert tracker.tickets()[0]["number"] == NUMBER
    assert ask(tracker, "GET", "/", headers=BEARER)[0] == 200


def test_the_page_speaks_chinese_and_english(tracker: RunningTracker) -> None:
    due = {"reply_due": "2026-11-24T01:00:00.000Z", "department": {"code": "legal", "name": "法务部"}, "decision": "review"}
    assert send(tracker, event(**due, customer={"name": "王建国", "phone": "13800000000"})) == 200
    chinese = ask(tracker, "GET", "/", headers=BEARER)[2]
    assert 'lang="zh-CN"' in chinese
    for word in (NUMBER, "在线", "合同问题", "法务部", "待人工判定", "王建国", "13800000000", "11-24 09:00"):
        assert word in chinese
    english = ask(tracker, "GET", "/?lang=en", headers=BEARER)[2]
    assert '<html lang="en">' in english
    assert "Development tracker" in english


def test_a_page_that_did_not_change_is_not_sent_again(tracker: RunningTracker) -> None:
    tag = ask(tracker, "GET", "/", headers=BEARER)[1]["etag"]
    assert ask(tracker, "GET", "/", headers=BEARER | {"If-None-Match": tag})[0] == 304
    send(tracker, event())
    assert ask(tracker, "GET", "/", headers=BEARER | {"If-None-Match": tag})[0] == 200


def test_the_test_of_an_endpoint_is_taken_and_kept_nowhere(tracker: RunningTracker) -> None:
    assert send(tracker, '{"type": "endpoint.test", "timestamp": "2026-11-23T01:00:00Z", "data": {"endpoint": "tracker"}}') == 200
    assert tracker.events() == []


def test_an_event_without_a_ticket_does_not_hide_the_ticket(tracker: RunningTracker) -> None:
    send(tracker, event(department={"code": "legal", "name": "法务部"}), "evt_1")
    send(tracker, event(outcome="resolved"), "evt_2")
    (ticket,) = tracker.tickets()
    assert (ticket["events"], ticket["ticket"]["department"]["code"]) == (2, "legal")
