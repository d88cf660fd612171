"""What trackers tell us: believed only when signed, kept always, obeyed only forwards, and told to the customer (threats: row 18)."""

from __future__ import annotations

import base64
import difflib
import hmac
import http.client
import itertools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from answering_house import MAIL
from console_house import complain
from factories import mail, submission
from fakes import eventually
from handoff_house import House
from hypothesis import given
from hypothesis import strategies as st
from running import RunningGateway
from sqlalchemy import Connection
from standardwebhooks.webhooks import Webhook

from gateway import event_schemas, home
from gateway.statuses import effect_of
from gateway.store import answers, complaints, events, statuses
from gateway.web.status_api import unknown_keys
from models.answer import Answer, AnswerKind, AnswerState, Way
from models.complaint import ALLOWED_MOVES, ComplaintState
from models.errors import Refused
from models.status import RANK, Effect, StatusCode, StatusReport
from models.submission import Channel

_ids = itertools.count(1)


def report(number: str, status: str, **more: Any) -> StatusReport:
    values: dict[str, Any] = {"endpoint": "tracker", "message_id": f"m{next(_ids)}", "said_at": datetime(2026, 11, 23, 0, 0, tzinfo=UTC)}
    return StatusReport(number=number, status=StatusCode(status), **(values | more))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def house(request: pytest.FixtureRequest, tmp_path: Path):
    url = {} if request.param == "sqlite" else {"JIESU_STORE_URL": request.getfixturevalue("postgres_url")}
    made = House(tmp_path / "home", '[[endpoint]]\nname = "bi"\nurl = "http://x.example/bi"\nclasses = ["contract"]\n', **url, **MAIL)
    yield made
    made.app.close()


def statuses_told(conn: Connection, number: str) -> list[Answer]:
    """What the customer was told of the handling, beside that his mail arrived."""
    return [one for one in answers.of_number(conn, number) if one.kind is AnswerKind.STATUS]


def state(house: House, number: str) -> ComplaintState:
    with house.app.store.read() as conn:
        return complaints.load(conn, [number])[number].state


def test_a_complaint_goes_its_way_and_the_customer_hears_of_it(house: House) -> None:
    number = house.complain()
    take = house.app.statuses.take
    assert take(report(number, "accepted")).effect is Effect.MOVED
    assert (
        take(report(number, "in_progress", customer_text="工程师周三上门\r\n请留人", by="赵工", internal_text="已派单")).effect
        is Effect.MOVED
    )
    assert take(report(number, "need_info", customer_text="请提供房号")).effect is Effect.MOVED
    assert take(report(number, "in_progress")).effect is Effect.MOVED
    assert take(report(number, "resolved", customer_text="已修好")).state is ComplaintState.RESOLVED
    assert state(house, number) is ComplaintState.RESOLVED
    with house.app.store.read() as conn:
        told = statuses_told(conn, number)
        assert [(one.way, one.to, one.state) for one in told] == [(Way.EMAIL, "lin@mail.example", AnswerState.WAITING)] * 3
        for one, words in zip(told, ("工程师周三上门\n请留人", "请提供房号", "已修好"), strict=True):
            assert words in one.body
            assert number in one.body
        assert all("已派单" not in one.body for one in told)
        assert [one.report.internal_text for one in statuses.of(conn, number)][1] == "已派单"
    # What the customer adds is told, and the handling stays where it was.
    assert [line["words"] for line in house.log("StatusTaken")] == [False, True, True, False, True]


@pytest.mark.parametrize(("channel", "way"), [(Channel.CHAT, Way.CHAT), (Channel.PHONE, Way.CALL)])
def test_words_for_the_customer_go_where_he_complained(house: House, channel: Channel, way: Way) -> None:
    raw = json.dumps({"id": "c1", "text": "价格问题"}) if channel is Channel.CHAT else "客户：价格问题"
    talk = "talk" if channel is Channel.CHAT else None
    sent = submission(raw.encode(), channel=channel, conversation=talk, at=house.clock.now())
    if channel is Channel.PHONE:
        sent = type(sent)(**{f: getattr(sent, f) for f in sent.__dataclass_fields__} | {"envelope": {"file": "a.txt"}})
    number = house.app.accept(sent).number
    house.clock.move(seconds=9)
    house.app.worker.drain()
    house.app.statuses.take(report(number, "accepted", customer_text="已受理"))
    with house.app.store.read() as conn:
        assert [(one.way, one.to) for one in statuses_told(conn, number)] == [(way, None)]


def test_a_message_that_comes_twice_does_nothing_the_second_time(house: House) -> None:
    number = house.complain()
    said = report(number, "in_progress", customer_text="在办")
    assert not house.app.statuses.take(said).duplicate
    again = house.app.statuses.take(report(number, "resolved", message_id=said.message_id, customer_text="别的话"))
    assert (again.duplicate, again.effect) == (True, None)
    assert state(house, number) is ComplaintState.IN_PROGRESS
    with house.app.store.read() as conn:
        assert len(statuses.of(conn, number)) == len(statuses_told(conn, number)) == 1


def test_what_comes_late_is_kept_and_changes_nothing(house: House) -> None:
    number, at = house.complain(), datetime(2026, 11, 23, 0, 30, tzinfo=UTC)
    take = house.app.statuses.take
    take(report(number, "resolved", said_at=at, sequence=5))
    late = [
        report(number, "accepted", said_at=at + timedelta(minutes=1)),
        report(number, "in_progress", said_at=at - timedelta(minutes=1), customer_text="旧话"),
        report(number, "in_progress", sequence=4, customer_text="旧话"),
        report(number, "rejected", said_at=at + timedelta(minutes=1), sequence=6),
        report(number, "resolved", sequence=5, customer_text="同一序号"),
    ]
    assert [take(one).effect for one in late] == [Effect.LATE] * 5
    assert state(house, number) is ComplaintState.RESOLVED
    with house.app.store.read() as conn:
        assert len(statuses.of(conn, number)) == 6
        assert statuses_told(conn, number) == []


def test_a_clock_that_is_ahead_silences_nobody(house: House) -> None:
    number = house.complain()
    house.app.statuses.take(report(number, "accepted", said_at=datetime(2999, 1, 1, tzinfo=UTC)))
    house.clock.move(minutes=1)
    assert house.app.statuses.take(report(number, "in_progress", said_at=house.clock.now())).effect is Effect.MOVED


def test_an_earlier_round_says_nothing_of_the_present_one(house: House) -> None:
    number = house.complain()
    house.app.statuses.take(report(number, "resolved"))
    with house.app.store.write() as conn:
        row = complaints.load(conn, [number])[number]
        complaints.move(conn, row, ComplaintState.ROUTED, round=2)
    assert house.app.statuses.take(report(number, "rejected", round=1)).effect is Effect.LATE
    assert state(house, number) is ComplaintState.ROUTED
    assert house.app.statuses.take(report(number, "in_progress", round=2)).effect is Effect.MOVED
    with pytest.raises(Refused, match="this is handling 2"):
        house.app.statuses.take(report(number, "resolved", round=3))


def test_who_was_never_told_of_a_complaint_cannot_speak_of_it(house: House) -> None:
    number = house.complain()
    with pytest.raises(Refused, match="was handed to you"):
        house.app.statuses.take(report(number, "resolved", endpoint="bi"))
    assert state(house, number) is ComplaintState.ROUTED


def test_the_plan_may_close_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    from gateway import plan

    text = plan.shipped_text().replace('version = "2026.11"', 'version = "2026.12"') + '\n[closing]\nat_once = ["rejected"]\n'
    (folder / "plan.toml").write_text(text, "utf-8")
    house = House(folder, JIESU_TRACKER_TYPES="complaint.closed,complaint.routed")
    first, second = house.complain(), house.complain()
    assert house.app.statuses.take(report(first, "resolved")).state is ComplaintState.RESOLVED
    assert house.app.statuses.take(report(second, "rejected")).state is ComplaintState.CLOSED
    house.app.worker.drain()
    closed = house.told()[-1]
    assert (closed["type"], closed["data"]["number"], closed["data"]["outcome"]) == ("complaint.closed", second, "rejected")
    with house.app.store.read() as conn:
        assert [e.type.value for e in events.of_number(conn, second)][-1] == "complaint.closed"
    house.app.close()


def test_what_the_customer_adds_leaves_the_handling_where_it_is(house: House) -> None:
    raw = json.dumps({"id": "c1", "text": "价格问题"}).encode()
    number = house.app.accept(submission(raw, channel=Channel.CHAT, conversation="t", at=house.clock.now())).number
    house.clock.move(seconds=9)
    house.app.worker.drain()
    house.app.statuses.take(report(number, "in_progress"))
    house.app.accept(
        submission(json.dumps({"id": "c2", "text": "快点"}).encode(), channel=Channel.CHAT, conversation="t", at=house.clock.now())
    )
    house.clock.move(seconds=9)
    house.app.worker.drain()
    assert house.types("tracker") == ["routed", "updated"]
    assert state(house, number) is ComplaintState.IN_PROGRESS


# Whatever order they come in, it never goes backwards.

_REPORTS = st.lists(
    st.tuples(st.sampled_from(list(StatusCode)), st.integers(0, 5), st.one_of(st.none(), st.integers(0, 5)), st.integers(1, 2)), max_size=12
)


@given(_REPORTS)
def test_no_order_of_reports_goes_backwards(reports: list[tuple[StatusCode, int, int | None, int]]) -> None:
    from dataclasses import replace

    from gateway.store.complaints import ComplaintRow
    from models.complaint import Customer
    from models.status import Status

    at = datetime(2026, 11, 23, tzinfo=UTC)
    row = ComplaintRow("n", Channel.CHAT, at, ComplaintState.ROUTED, 2, "", Customer(), None, None, None, None, 0, None)
    last: Status | None = None
    for code, minute, sequence, round_ in reports:
        one = report("n", code.value, said_at=at + timedelta(minutes=minute), sequence=sequence, round=round_)
        effect = effect_of(row, last, one)
        if effect is Effect.MOVED:
            assert one.status.state in ALLOWED_MOVES[row.state]
            assert RANK[one.status.state] >= RANK[row.state]
            assert round_ == 2
            row = replace(row, state=one.status.state)
        if effect is not Effect.LATE:
            last = Status(1, one, 2, at, effect)


# Over HTTP


@pytest.fixture
def gateway(tmp_path: Path):
    with RunningGateway(tmp_path, tracker_secret=SECRET) as running:
        yield running


SECRET = home.webhook_secret()


def post(gateway: RunningGateway, body: str | bytes, **changed: Any) -> tuple[int, dict[str, Any]]:
    secret, at = changed.pop("secret", SECRET), changed.pop("at", datetime.now(UTC))
    spelt = body if isinstance(body, str) else body.decode("latin-1")
    message_id = changed.pop("id", f"msg_{next(_ids)}")
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, at, spelt),
        "content-type": "application/json",
    }
    headers |= {name.replace("_", "-"): value for name, value in changed.items()}
    connection = http.client.HTTPConnection(gateway.web.removeprefix("http://"), timeout=20)
    try:
        connection.request(
            "POST", "/api/v1/status", body.encode() if isinstance(body, str) else body, {k: v for k, v in headers.items() if v is not None}
        )
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def spelt(number: str, status: str = "accepted", **more: Any) -> str:
    data = {"number": number, "status": status, **more}
    return json.dumps({"type": "complaint.status", "timestamp": "2026-11-23T01:00:00Z", "data": data}, ensure_ascii=False)


def test_a_signed_report_is_taken_and_the_same_again_is_200_and_nothing(gateway: RunningGateway) -> None:
    number = complain(gateway, "价格问题")
    body = spelt(number, "in_progress", customer_text="在办")
    assert post(gateway, body, id="m") == (200, {"duplicate": False, "effect": "moved", "state": "in_progress"})
    assert post(gateway, body, id="m") == (200, {"duplicate": True, "effect": None, "state": None})
    whole = gateway.app.records.whole(number)
    assert whole is not None
    assert whole["state"] == "in_progress"
    assert [(one["status"], one["effect"], one["customer_text"]) for one in whole["statuses"]] == [("in_progress", "moved", "在办")]


def test_keys_that_nobody_knows_are_passed_over_and_named(gateway: RunningGateway) -> None:
    number = complain(gateway, "价格问题")
    body = json.loads(spelt(number, "in_progress", text="工程师周三上门", costumer_text="在办", mood="好"))
    status, told = post(gateway, json.dumps(body | {"versoin": {"data": 1}, "x" * 100: 1}))
    assert (status, told["effect"]) == (200, "moved")
    said = dict(one.split("：", 1) for one in told["warnings"])
    assert list(said) == ["data.text", "data.costumer_text", "data.mood", "versoin", "x" * 40]
    assert "是否应为 customer_text、internal_text？" in said["data.text"]
    assert "is customer_text or internal_text meant?" in said["data.text"]
    assert "is customer_text meant?" in said["data.costumer_text"]
    assert "meant" not in said["data.mood"]
    # The words that were meant for the customer are not his, and nothing of them is lost where they are spelt as they should be.
    whole = gateway.app.records.whole(number)
    assert whole is not None
    assert [one["customer_text"] for one in whole["statuses"]] == [""]
    many = {f"key{n}": n for n in range(50)}
    assert len(post(gateway, spelt(number, "accepted", **many))[1]["warnings"]) == 10
    # What no JSON can hold is named all the same, and the report, which was obeyed, is answered each time.
    half = spelt(number, "accepted")[:-1] + ', "\\ud800x": 1}'
    for duplicate in (False, True):
        status, told = post(gateway, half, id="half")
        assert (status, told["duplicate"]) == (200, duplicate)
        assert told["warnings"][0].startswith("\\ud800x：没有这个键")
    assert post(gateway, spelt(number, "accepted")[:-2] + ', "customer_text": "\\udc00"}}')[0] == 422
    assert "warnings" not in post(gateway, spelt(number, "resolved", customer_text="好了", sequence=3, by="李", round=1))[1]


def test_a_body_full_of_unknown_keys_costs_no_more_than_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    guessed: list[str] = []
    meant = difflib.get_close_matches

    def counted(word: str, *rest: Any) -> list[str]:
        guessed.append(word)
        return meant(word, *rest)

    monkeypatch.setattr(difflib, "get_close_matches", counted)
    schema = event_schemas.made()[event_schemas.name_of(event_schemas.STATUS)]
    found = unknown_keys({"data": {f"cuternalxtex_t{n:05x}": 1 for n in range(40_000)}}, schema)
    assert len(found) == len(guessed) == 10


def test_what_is_not_truly_signed_is_401_and_changes_nothing(gateway: RunningGateway) -> None:
    number = complain(gateway, "价格问题")
    body, now = spelt(number), datetime.now(UTC)
    forged = "v1," + base64.b64encode(hmac.digest(b"guess", b"x", "sha256")).decode()
    refused = [
        post(gateway, body, secret=home.webhook_secret()),
        post(gateway, body, at=now - timedelta(minutes=6)),
        post(gateway, body, at=now + timedelta(minutes=6)),
        post(gateway, body, webhook_signature=None),
        post(gateway, body, webhook_signature="v1,"),
        post(gateway, body, webhook_signature="v1a,xyz nonsense"),
        post(gateway, body, webhook_signature=forged),
        post(gateway, body, webhook_id=None),
        post(gateway, body, webhook_id="other"),
        post(gateway, body, webhook_timestamp="soon"),
        post(gateway, body, webhook_timestamp="9" * 30),
        post(gateway, body, webhook_timestamp=str(int(now.timestamp()) + 100)),
    ]
    assert [status for status, _ in refused] == [401] * len(refused)
    whole = gateway.app.records.whole(number)
    assert whole is not None
    assert (whole["state"], whole["statuses"]) == ("routed", [])
    assert len(gateway.log("StatusRefused")) == len(refused)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("nonsense", 422),
        ("[" * 100_000, 422),
        ("[]", 422),
        ('{"type":"complaint.status"}', 422),
        (spelt("TS-20261123-0001", "lost"), 422),
        (spelt("TS-20261123-0001", customer_text="长" * 2001), 422),
        (spelt("TS-20261123-0001", sequence=True), 422),
        (spelt("TS-20261123-0001", round=0), 422),
        (spelt("TS-20261123-0001", customer_text=[]), 422),
        (spelt("TS-20261123-9999"), 404),
        (spelt("\u0000"), 404),
        ('{"type":"complaint.status","timestamp":"yesterday","data":{"number":"a","status":"accepted"}}', 422),
        ('{"type":"complaint.status","timestamp":"2026-11-23T01:00:00","data":{"number":"a","status":"accepted"}}', 422),
    ],
)
def test_a_report_that_cannot_be_understood_is_refused_and_may_come_again(gateway: RunningGateway, body: str, status: int) -> None:
    assert post(gateway, body, id="m")[0] == status
    number = complain(gateway, "价格问题")
    assert post(gateway, spelt(number), id="m")[1]["duplicate"] is False


def test_the_status_stands_in_the_story_of_the_console(gateway: RunningGateway) -> None:
    from console_house import person

    from models.staff import Role

    number = complain(gateway, "价格问题")
    post(gateway, spelt(number, "in_progress", customer_text="<b>周三</b>上门", internal_text="内部", by="赵工"))
    page = person(gateway, "王静", Role.AGENT).get(f"/console/complaints/{number}").text
    assert "&lt;b&gt;周三&lt;/b&gt;上门" in page
    assert "内部" in page
    assert "处理中" in page


def test_a_mail_is_told_once_more_when_it_is_taken_twice_at_once(gateway: RunningGateway) -> None:
    from concurrent.futures import ThreadPoolExecutor

    number = complain(gateway, "价格问题")
    body = spelt(number, "in_progress", customer_text="在办")
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: post(gateway, body, id="same"), range(8)))
    assert sorted(answer["duplicate"] for _, answer in found) == [False] + [True] * 7
    with gateway.app.store.read() as conn:
        assert len(statuses_told(conn, number)) == 1
    eventually(lambda: gateway.log("StatusTaken"))
    assert mail
