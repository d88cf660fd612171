"""The console's pages of the hand-off: who may see them, what they show, and what their buttons do."""

from __future__ import annotations

import html
import json
import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

import pytest
from console_house import complain, person
from fakes import FakeSender, eventually
from handoff_house import Senders
from running import RunningGateway

from models.delivery import Outcome, OutcomeCode
from models.staff import Role

PAGES = ("endpoints", "deliveries", "parked", "reconcile")
BI = '[[endpoint]]\nname = "bi"\nurl = "http://x.example/bi"\n'
BAD = Outcome(OutcomeCode.CLIENT_ERROR, 422, 0.1, "<script>alert(1)</script> 不认识")


@pytest.fixture
def gateway(tmp_path: Path):
    (tmp_path / "jiesu.toml").write_text(BI)
    sender = Senders(bi=FakeSender(fail_times=10**6, failure=BAD))
    with RunningGateway(tmp_path, sender=sender, tracker_url="http://x.example/tracker") as running:
        yield running


def test_only_a_lead_sees_and_changes_the_hand_off(gateway: RunningGateway) -> None:
    agent, lead = person(gateway, "小王", Role.AGENT), person(gateway, "王静", Role.LEAD)
    for page in PAGES:
        assert agent.get(f"/console/{page}").status == 403
        assert lead.get(f"/console/{page}").status == 200
        assert "Hand-off" in lead.get(f"/console/{page}?lang=en").text
    for path in ("endpoints/bi/disable", "endpoints/bi/test", "deliveries/again", "parked/replay"):
        assert agent.post(f"/console/{path}", {"csrf": agent.csrf()}).status == 403
        assert lead.post(f"/console/{path}", {"csrf": "guess"}).status == 403
    assert gateway.app.redelivery.troubles() == []


def test_an_endpoint_is_tested_switched_off_and_on(gateway: RunningGateway) -> None:
    lead = person(gateway, "王静", Role.LEAD)
    csrf = {"csrf": lead.csrf("/console/endpoints")}
    assert lead.post("/console/endpoints/bi/test", csrf).status == 303
    assert "bi：被拒绝 422" in lead.get("/console/endpoints").text
    lead.post("/console/endpoints/bi/disable", csrf)
    page = lead.get("/console/endpoints").text
    assert "已停用" in page
    assert "接收方需要处理：bi" in page
    lead.post("/console/endpoints/bi/enable", csrf)
    assert "接收方需要处理" not in lead.get("/console").text
    assert [(line["verb"], line["by"]) for line in gateway.log() if line["verb"].startswith("Endpoint")] == [
        ("EndpointTested", "王静"),
        ("EndpointDisabled", "王静"),
        ("EndpointEnabled", "王静"),
    ]
    assert lead.post("/console/endpoints/nobody/test", csrf).status == 404
    assert lead.post("/console/endpoints/bi/explode", csrf).status == 404


def test_a_delivery_is_found_with_its_answer_as_text_and_sent_again(gateway: RunningGateway) -> None:
    lead = person(gateway, "王静", Role.LEAD)
    number = complain(gateway, "价格问题")
    eventually(lambda: gateway.sender.of["bi"].sent)
    eventually(lambda: "422" in lead.get("/console/deliveries?state=failed").text)
    page = lead.get(f"/console/deliveries?number={number.lower()}&endpoint=bi").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; 不认识" in page
    assert "<script>alert" not in page
    gateway.sender.of["bi"].fail_times = 0
    csrf = lead.csrf("/console/deliveries")
    assert lead.post("/console/deliveries/again", {"csrf": csrf, "state": "failed"}).status == 303
    eventually(lambda: gateway.sender.of["bi"].accepted)
    # One that was delivered goes out once more, under the id that it had.
    eventually(lambda: "已送达" in lead.get("/console/deliveries?endpoint=bi").text)
    lead.post("/console/deliveries/again", {"csrf": csrf, "delivery": "1"})
    eventually(lambda: len(gateway.sender.of["tracker"].accepted) == 2)
    assert len({sent.webhook_id for sent in gateway.sender.of["tracker"].accepted}) == 1
    # Everything that was ever sent is not to be had by one click.
    assert lead.post("/console/deliveries/again", {"csrf": csrf, "endpoint": "bi"}).status == 422
    assert lead.get("/console/deliveries?before=x").status == 200
    # A filter that cannot be read is never left out: more would be shown, and sent, than was asked for.
    for name, value in (
        ("number", "中文"),
        ("number", "\0"),
        ("number", "9" * 200),
        ("number", "TS-1"),
        ("type", "what"),
        ("state", "lost"),
        ("endpoint", "接收方"),
        ("delivery", "x"),
        ("delivery", "１"),
    ):
        if name != "delivery":
            assert lead.get(f"/console/deliveries?{urlencode({name: value})}").status == 422
        assert lead.post("/console/deliveries/again", {"csrf": csrf, "state": "delivered", "from": "2026-11-01", name: value}).status == 422
    assert lead.post("/console/deliveries/again", {"csrf": csrf, "delivery": "0"}).status == 422
    # A number that was typed full-width is that number.
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in number)
    assert number in lead.get(f"/console/deliveries?{urlencode({'number': wide})}").text
    eventually(lambda: gateway.app.redelivery.states()[0].waiting.waiting == 0)
    assert len(gateway.sender.of["tracker"].accepted) == 2


def test_deliveries_are_found_and_sent_again_by_day_and_by_number(gateway: RunningGateway) -> None:
    lead = person(gateway, "王静", Role.LEAD)
    numbers = [complain(gateway, f"价格问题 {n}") for n in range(3)]
    eventually(lambda: len(gateway.sender.of["tracker"].accepted) == 3)
    today = gateway.app.clock.now().astimezone(ZoneInfo(gateway.settings.general.timezone)).date()
    yesterday, tomorrow = today - timedelta(days=1), today + timedelta(days=1)

    def found(query: str) -> set[str]:
        page = lead.get(f"/console/deliveries?endpoint=tracker&{query}")
        assert page.status == 200
        return set(re.findall(r'/console/complaints/([^"]+)"', page.text))

    assert found(f"from={today}&to={today}") == set(numbers)
    assert found(f"to={yesterday}") == set()
    assert found(f"from={tomorrow}") == set()
    assert found(f"first={numbers[1].lower()}") == set(numbers[1:])
    assert found(f"first={numbers[0]}&last={numbers[1]}&from={today}") == set(numbers[:2])
    # The filters go with the button, so that what is shown is what is sent.
    page = lead.get(f"/console/deliveries?endpoint=tracker&first={numbers[0]}&last={numbers[1]}&from={today}").text
    for name, value in (("first", numbers[0]), ("last", numbers[1]), ("from", str(today))):
        assert f'<input type="hidden" name="{name}" value="{value}">' in page
    csrf = {"csrf": lead.csrf("/console/deliveries"), "endpoint": "tracker"}
    assert lead.post("/console/deliveries/again", csrf | {"first": numbers[0], "last": numbers[1], "from": str(today)}).status == 303
    eventually(lambda: len(gateway.sender.of["tracker"].accepted) == 5)
    again = {json.loads(sent.body)["data"]["number"] for sent in gateway.sender.of["tracker"].accepted[3:]}
    assert again == set(numbers[:2])
    # What is not understood is refused, and never becomes a wider range.
    for nonsense, words in (
        (f"from={tomorrow}&to={today}", "起始日期晚于截止日期"),
        ("from=yesterday", "日期应写作"),
        ("to=%E6%98%A8%E5%A4%A9", "日期应写作"),
        ("from=2026-11-23T10:00%2B09:00", "日期应写作"),
        ("from=2026-W01-1", "日期应写作"),
        ("from=20261123", "日期应写作"),
        (f"first={numbers[1]}&last={numbers[0]}", "起始编号晚于截止编号"),
        ("first=%00", "编号应写作"),
        ("last=TS-1", "编号应写作"),
    ):
        page = lead.get(f"/console/deliveries?endpoint=tracker&{nonsense}")
        assert (page.status, words in page.text) == (422, True)
        fields = dict(parse_qsl(nonsense))
        assert lead.post("/console/deliveries/again", csrf | {"state": "delivered"} | fields).status == 422
    assert "the first number comes after" in lead.get(f"/console/deliveries?lang=en&first={numbers[1]}&last={numbers[0]}").text
    eventually(lambda: gateway.app.redelivery.states()[0].waiting.waiting == 0)
    assert len(gateway.sender.of["tracker"].accepted) == 5


def test_a_new_secret_is_made_by_an_operator_and_shown_once(gateway: RunningGateway) -> None:
    lead, operator = person(gateway, "王静", Role.LEAD), person(gateway, "李强", Role.OPERATOR)
    keyring = gateway.app.endpoints.get("bi").keyring
    former = keyring.secrets().new
    path = "/console/endpoints/bi/rotate"
    assert path not in lead.get("/console/endpoints").text
    page = operator.get("/console/endpoints").text
    assert path in page
    assert 'data-confirm="更换 bi 的签名密钥' in page
    form = {"csrf": operator.csrf("/console/endpoints"), "hours": "72", "until": "", "sure": "bi"}
    for who, wrong, status in (
        (lead, {"csrf": lead.csrf("/console/endpoints")}, 403),
        (operator, {"csrf": "guess"}, 403),
        (operator, {"sure": ""}, 422),
        (operator, {"sure": "tracker"}, 422),
        (operator, {"hours": "0"}, 422),
        (operator, {"hours": "9999999"}, 422),
    ):
        assert who.post(path, form | wrong).status == status
    assert keyring.secrets().both() == (former,)
    shown = operator.post(path, form)
    new = keyring.secrets().new
    assert keyring.secrets().both() == (new, former)
    assert (shown.status, shown.text.count(new), former in shown.text) == (200, 1, False)
    assert shown.headers["cache-control"] == "no-store"
    # Nowhere else, and no second time: not by loading the answer anew, nor by asking for its address.
    again = operator.post(path, form)
    assert (again.status, new in again.text) == (409, False)
    assert keyring.secrets().both() == (new, former)
    assert (operator.get(path).status, operator.get(path).headers["location"]) == (303, "/console/endpoints")
    for page in ("endpoints", "deliveries"):
        assert new not in operator.get(f"/console/{page}").text
    assert "旧密钥到" in operator.get("/console/endpoints").text
    (line,) = gateway.log("SecretRotated")
    assert (line["endpoint"], line["by"]) == ("bi", "李强")
    assert new not in json.dumps(gateway.log())
    # Not even from the fresh page, while the former one still signs: receivers that have not changed over would be cut off.
    until = re.search(r'name="until" value="([^"]+)"', operator.get("/console/endpoints").text)
    assert until
    again = operator.post(path, form | {"until": html.unescape(until[1])})
    assert (again.status, "--end-former" in again.text) == (422, True)
    assert keyring.secrets().both() == (new, former)
    assert operator.post("/console/endpoints/nobody/rotate", form).status == 404


def test_what_is_parked_is_shown_with_its_reason_and_put_back(gateway: RunningGateway) -> None:
    lead, operator = person(gateway, "王静", Role.LEAD), person(gateway, "李强", Role.OPERATOR)
    (gateway.drop / "a.part").write_bytes(b'{"unknown": 1}')
    (gateway.drop / "a.part").rename(gateway.drop / "a.json")
    eventually(lambda: "unknown_format" in lead.get("/console/parked").text)
    assert lead.post("/console/parked/replay", {"csrf": lead.csrf("/console/endpoints"), "job": "all"}).status == 403
    assert "/console/parked/replay" not in lead.get("/console/parked").text
    csrf = operator.csrf("/console/parked")
    assert operator.post("/console/parked/replay", {"csrf": csrf, "job": "x"}).status == 422
    assert operator.post("/console/parked/replay", {"csrf": csrf, "job": "all"}).status == 303
    eventually(lambda: gateway.log("Replayed"))
    # The operator log holds no names.
    assert gateway.log("Replayed")[0]["by"].startswith("staff ")


def test_the_report_is_a_page(gateway: RunningGateway) -> None:
    lead = person(gateway, "王静", Role.LEAD)
    complain(gateway, "价格问题")
    page = lead.get("/console/reconcile").text
    assert '<p class="better"><b>0</b> 无法解释</p>' in page
    assert lead.get("/console/reconcile?from=2026-11-01&to=2026-11-30").status == 200
    for nonsense in ("yesterday", "0001-01-01", "9999-12-31"):
        assert lead.get(f"/console/reconcile?from=2026-01-01&to={nonsense}").status == 422
    reversed_ = "/console/reconcile?from=2026-11-30&to=2026-11-01"
    assert lead.get(reversed_).status == 422
    assert "起始日期晚于截止日期" in lead.get(reversed_).text
    assert "the first day comes after the last one" in lead.get(f"{reversed_}&lang=en").text
    assert lead.get("/console/reconcile?from=2026-11-30&to=2026-11-30").status == 200
