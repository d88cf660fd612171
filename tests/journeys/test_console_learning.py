"""The models and examples pages: what a lead sees of the next model, promoting it, going back, retraining, and settling labels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from console_house import Visitor, complain, person
from running import RunningGateway

from gateway.gate import GateRules, Paper, judge
from gateway.store import retrainings, trained
from models.staff import Role
from models.verdict import ComplaintClass

OLD, GOOD, BAD = "a" * 64, "b" * 64, "c" * 64


def card(accuracy: float) -> dict[str, Any]:
    confusion = [[20 if row == column else 1 for column in range(5)] for row in range(5)]
    figures = {
        "accuracy": accuracy,
        "macro_f1": accuracy,
        "top_two": 0.98,
        "secondary_f1": 0.5,
        "auto_share": 0.4,
        "auto_error": 0.01,
        "texts": 120,
        "confusion": confusion,
        "per_class": {name.value: {"recall": accuracy} for name in ComplaintClass},
    }
    return {"version": "", "corpus": {"texts": 2960}, "figures": {"all": figures}, "own": {"texts": {"correction": 7}}}


def papers(better: int, worse: int) -> list[Paper]:
    """Forty texts on which the candidate mends some and spoils others."""
    price, other = ComplaintClass.PRICE, ComplaintClass.OTHER
    changed = [Paper(f"<b>{n}</b>", "chat", price, other, price) for n in range(better)]
    changed += [Paper(f"TS-20261124-{n:04d}", "email", price, price, other) for n in range(worse)]
    return changed + [Paper(f"same {n}", "email", price, price, price) for n in range(40 - better - worse)]


@pytest.fixture
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path_factory.mktemp("learning"), drop_enabled="false") as running:
        app, now = running.app, running.app.clock.now()
        passed = judge(GateRules(), {"golden": papers(8, 1)}) | {"against": OLD}
        rejected = judge(GateRules(), {"golden": papers(1, 9)}) | {"against": OLD}
        with app.store.write() as conn:
            trained.crown(app.store, conn, OLD, card(0.88), b"old", now)
            trained.add(conn, BAD, card(0.80), b"bad", now + timedelta(seconds=1), state="rejected", gate=rejected)
            trained.add(conn, GOOD, card(0.91), b"good", now + timedelta(seconds=2), state="candidate", gate=passed)
        yield running


@pytest.fixture
def lead(gateway: RunningGateway) -> Visitor:
    return person(gateway, "诸葛亮", Role.LEAD)


def states(gateway: RunningGateway) -> dict[str, str]:
    return {one["version"][0]: one["state"] for one in gateway.app.learning.models()}


def test_the_candidate_stands_beside_what_answers_now(lead: Visitor) -> None:
    page = lead.get("/console/models").text
    for words in (
        "使用中",
        "候选",
        "未通过",
        "与 aaaaaaaaaaaa 比较",
        "91.0%",
        "88.0%",
        "▲ +3.0",
        "40 条中有 9 条答案不同，改对 8 条，改错 1 条",
    ):
        assert words in page
    assert "&lt;b&gt;0&lt;/b&gt;" in page
    assert '<a href="/console/complaints/TS-20261124-0000">' in page
    assert page.count("混淆表：黄金集，") == 2
    assert "自动分派凭什么" in page
    assert "2,960" in page
    english = lead.get("/console/models?lang=en").text
    for words in (
        "Figures side by side",
        "Confusion: golden set, candidate",
        "9 of 40 answers differ, 8 mended, 1 spoilt",
        "Let it answer",
    ):
        assert words in english


def test_promoting_and_going_back(gateway: RunningGateway, lead: Visitor) -> None:
    csrf = lead.csrf()
    done = lead.post("/console/models/promote", {"csrf": csrf, "version": GOOD})
    assert done.status == 303
    assert "bbbbbbbbbbbb 已启用" in lead.get(done.headers["location"]).text
    assert states(gateway) == {"a": "retired", "b": "champion", "c": "rejected"}
    again = lead.post("/console/models/promote", {"csrf": csrf, "version": GOOD})
    assert again.status == 409
    assert "已在使用" in again.text
    back = lead.post("/console/models/rollback", {"csrf": csrf})
    assert back.status == 303
    assert states(gateway)["a"] == "champion"
    nothing = lead.post("/console/models/rollback", {"csrf": csrf})
    assert nothing.status == 409
    assert "无法退回" in nothing.text


def test_what_the_gate_rejected_wants_a_reason(gateway: RunningGateway, lead: Visitor) -> None:
    page = lead.get(f"/console/models?version={BAD}").text
    assert 'name="anyway" required' in page
    assert '<li class="bad">' in page
    csrf = lead.csrf()
    refused = lead.post("/console/models/promote", {"csrf": csrf, "version": BAD})
    assert refused.status == 409
    assert states(gateway)["a"] == "champion"
    assert lead.post("/console/models/promote", {"csrf": csrf, "version": BAD, "anyway": "<i>领导要求</i>"}).status == 303
    assert "诸葛亮 不顾把关结论启用：&lt;i&gt;领导要求&lt;/i&gt;" in lead.get(f"/console/models?version={BAD}").text
    for version in ("", "nothing", "\x00"):
        assert lead.post("/console/models/promote", {"csrf": csrf, "version": version}).status in (404, 409)
    assert lead.get("/console/models?version=nothing").status == 200


def test_retraining_is_asked_for_once_and_its_progress_is_told(gateway: RunningGateway, lead: Visitor) -> None:
    csrf = lead.csrf()
    # This gateway's own watch must not begin it.
    with gateway.app.store.write() as conn:
        found, _ = retrainings.ask(gateway.app.store, conn, "诸葛亮", gateway.app.clock.now())
        retrainings.claim(conn, "a test", gateway.app.clock.now(), timedelta(hours=1))
        retrainings.beat(conn, found.id, "a test", "fit", 0.42, gateway.app.clock.now() + timedelta(hours=1))
    second = lead.post("/console/models/retrain", {"csrf": csrf})
    assert "已有一次重新训练在进行" in lead.get(second.headers["location"]).text
    part = lead.get("/console/models/retraining", X_Jiesu="1").text
    for words in ('data-open="1"', "训练", "42%", 'value="0.42"', "诸葛亮"):
        assert words in part
    with gateway.app.store.write() as conn:
        outcome = {"zh": "候选模型通过把关", "en": "the candidate passed", "passed": True}
        retrainings.finish(conn, found.id, "a test", gateway.app.clock.now(), version=GOOD, outcome=outcome, failed=False)
    part = lead.get("/console/models/retraining", X_Jiesu="1").text
    assert 'data-open="0"' in part
    assert "上一次：候选模型通过把关" in part
    assert "Last time: the candidate passed" in lead.get("/console/models/retraining?lang=en").text


def test_suspicious_labels_are_settled(gateway: RunningGateway, lead: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = [complain(gateway, f"<script>x</script>你好，样本 {place}") for place in range(3)]
    for number in numbers:
        lead.decide(number, "price")
    from gateway.store import examples

    with gateway.app.store.read() as conn:
        rows = {one.number: one for one in examples.usable(conn)}
    from gateway.examples import example_json

    found = [example_json(rows[number]) | {"likely": "contract", "probability": 0.9, "stated": 0.05} for number in numbers]
    monkeypatch.setattr(gateway.app.examples, "suspicious", lambda limit: found[:limit])
    page = lead.get("/console/examples/suspicious").text
    assert page.count('class="example"') == 3
    assert "<script>x" not in page
    csrf = lead.csrf()
    for number, action, primary, looked_at in zip(
        numbers, ("keep", "relabel:contract", "ignore"), ("price", "contract", "price"), ("kept", "kept", "ignored"), strict=True
    ):
        done = lead.post(f"/console/examples/{rows[number].id}", {"csrf": csrf, "action": action})
        assert done.status == 303
        with gateway.app.store.read() as conn:
            now = examples.load(conn, rows[number].id)
        assert now
        assert (now.primary.value, now.looked_at) == (primary, looked_at)
    overview = lead.get("/console/examples").text
    assert re.search(r"<b>2</b>\s*已确认", overview)
    assert re.search(r"<b>1</b>\s*已忽略", overview)
    for action in ("", "burn", "relabel", "keep:price", "relabel:x"):
        assert lead.post(f"/console/examples/{rows[numbers[0]].id}", {"csrf": csrf, "action": action}).status == 422
    for number in ("0", "x", "9" * 30):
        assert lead.post(f"/console/examples/{number}", {"csrf": csrf, "action": "keep"}).status == 404


def test_drift_is_warned_of_on_top(gateway: RunningGateway, lead: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "来信可能偏离" not in lead.get("/console/models").text
    one = {"kind": "classes", "state": "warning", "figure": 0.3, "zh": "类别分布变了（PSI 0.30）", "en": "the classes have moved"}
    told = {"trained_model": OLD, "days": 7, "reference_days": 28, "figures": [one], "warnings": [one]}
    monkeypatch.setattr(gateway.app.drift, "report", lambda: told)
    for path in ("/console/models", "/console/examples"):
        page = lead.get(path).text
        assert "来信可能偏离了模型所学" in page
        assert "类别分布变了（PSI 0.30）" in page
