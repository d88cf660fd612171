"""The console's pages of the hand-off: who may see them, what they show, and what their buttons do."""

from __future__ import annotations

from pathlib import Path

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
    for nonsense in ("?number=%00", "?before=x", "?state=lost&type=what", "?number=" + "9" * 200):
        assert lead.get(f"/console/deliveries{nonsense}").status == 200


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
