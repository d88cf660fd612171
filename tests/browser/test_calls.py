"""A call in the console, in a real browser: two sides, a link that is only a link, and nothing from outside executed or fetched."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from accessibility import violations
from console_house import PASSWORD
from contrast import CONTRASTS
from fakes import eventually
from playwright.sync_api import BrowserContext, Page, expect
from running import RunningGateway

from models.staff import Role

pytestmark = pytest.mark.browser

NewContext = Callable[..., BrowserContext]
HOSTILE = "<img src=http://127.0.0.1:9/x onerror=alert(1)><script>alert(2)</script>\u202e"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path_factory.mktemp("calls"), drop_enabled="false", smtp_enabled="false") as running:
        assert running.app.staffing.set_password(running.app.staffing.add("王静", Role.AGENT), PASSWORD)
        yield running


def send(gateway: RunningGateway, doc: Any, **call: str) -> str:
    host, _, port = gateway.web.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    headers = {"Authorization": f"Bearer {gateway.app.api_token}"}
    connection.request("POST", f"/api/v1/transcripts?{urlencode(call)}", json.dumps(doc).encode(), headers)
    number = json.loads(connection.getresponse().read())["number"]
    connection.close()
    eventually(lambda: (story := gateway.app.desk.story(number)) and story.verdicts)
    return str(number)


def dialogue(*turns: tuple[str | None, str]) -> list[dict[str, Any]]:
    return [
        {"text": text, "start": 4.0 * n, "end": 4.0 * n + 3, **({"speaker": who} if who else {})} for n, (who, text) in enumerate(turns)
    ]


def signed_in(gateway: RunningGateway, context: BrowserContext, path: str) -> Page:
    token = gateway.app.staffing.sign_in("王静", PASSWORD, "127.0.0.1")
    assert token
    context.add_cookies([{"name": "jiesu", "value": token.token, "url": gateway.web, "httpOnly": True, "sameSite": "Strict"}])
    page = context.new_page()
    page.goto(gateway.web + path)
    return page


CALL = dialogue(
    ("A", "您好，栖霞里客服中心，请问有什么可以帮您？"),
    ("B", "我家主卧窗户漏风，报修两个月了没人来，这是产品质量问题。"),
    ("A", "又怎么了，催什么催，排着队呢。"),
    ("B", "你什么态度！"),
)


@pytest.mark.parametrize(
    ("look", "options"),
    [
        ("desktop", {}),
        ("dark", {"color_scheme": "dark"}),
        ("phone", {"viewport": {"width": 390, "height": 800}, "is_mobile": True, "has_touch": True}),
    ],
)
def test_a_call_is_laid_out_as_a_conversation(
    new_context: NewContext, gateway: RunningGateway, look: str, options: dict[str, Any], tmp_path: Path
) -> None:
    known = {"caller": "13933330001", "agent": "坐席 07", "call_id": "x-1", "started_at": "2026-11-20T09:30:00+08:00"}
    number = send(gateway, CALL, recording="https://rec.example/a?b=1&c=2", **known)
    page = signed_in(gateway, new_context(**options), f"/console/complaints/{number}")
    turns = page.locator(".turn")
    expect(turns).to_have_count(4)
    expect(page.locator(".turn.t-agent")).to_have_count(2)
    expect(turns.nth(1)).to_contain_text("顾客")
    expect(turns.nth(1)).to_contain_text("0:04")
    expect(turns.nth(2)).to_contain_text("客服用语")
    link = page.get_by_role("link", name="打开录音链接（rec.example）")
    assert link.get_attribute("href") == "https://rec.example/a?b=1&c=2"
    assert "noreferrer" in str(link.get_attribute("rel"))
    for fact in ("13933330001", "坐席 07", "x-1"):
        expect(page.locator(".call-facts")).to_contain_text(fact)
    # The two sides stand apart.
    left, right = page.locator(".turn.t-customer").first.bounding_box(), page.locator(".turn.t-agent").first.bounding_box()
    assert left
    assert right
    assert left["x"] < right["x"] + right["width"] - left["width"] or left["x"] < right["x"]
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert [pair for pair in page.evaluate(CONTRASTS) if pair["ratio"] < 4.5] == []
    if os.environ.get("JIESU_TEST_PICTURES"):
        page.screenshot(path=str(Path(os.environ["JIESU_TEST_PICTURES"]) / f"call-{look}.png"), full_page=True)


def test_nothing_of_a_call_is_executed_or_fetched(new_context: NewContext, gateway: RunningGateway) -> None:
    doc = dialogue((HOSTILE, "我家漏水" + HOSTILE), (None, "javascript:alert(3)"), (HOSTILE + "2", "url(http://127.0.0.1:9/y)"))
    number = send(gateway, doc, caller="13933330002", agent=HOSTILE, call_id=HOSTILE, recording="javascript:alert(4)", centre=HOSTILE)
    context = new_context()
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    context.on("dialog", lambda told: asked.append(f"dialog {told.message}"))
    for path in (f"/console/complaints/{number}", f"/console?show=all&open={number}"):
        page = signed_in(gateway, context, path)
        expect(page.locator("article").first).to_contain_text("我家漏水")
    assert [url for url in asked if not url.startswith(gateway.web)] == []
    assert context.pages[0].locator("article img, article script").count() == 0
    assert context.pages[0].locator("a[href^='javascript']").count() == 0


def test_doubtful_roles_are_marked_and_a_call_without_words_is_to_be_called_back(new_context: NewContext, gateway: RunningGateway) -> None:
    doubtful = send(gateway, dialogue(("0", "嗯那个窗户"), ("1", "哦哦窗户")), caller="13933330003")
    page = signed_in(gateway, new_context(), f"/console/complaints/{doubtful}")
    expect(page.locator(".talk.doubtful .turn")).to_have_count(2)
    silent = send(gateway, {"text": "", "segments": [], "language": "zh"}, caller="13933330004")
    page.goto(f"{gateway.web}/console?open={silent}")
    expect(page.locator("#item .call-back")).to_have_text("待回电")
    expect(page.locator(f".row[data-number='{silent}']")).to_contain_text("待回电")
    page.goto(f"{gateway.web}/console/complaints/{silent}")
    expect(page.locator("p.call-back")).to_contain_text("通话中没有听到顾客说话")


def test_who_must_be_rung_up_is_rung_up_by_a_click(gateway: RunningGateway, new_context: NewContext, tmp_path: Path) -> None:
    number = send(gateway, dialogue(("customer", "你好，我要投诉，合同里的定金不退。")), caller="13800000001", call_id="ring-1")
    said = f"定金下周退。{HOSTILE}"
    gateway.app.replies.write(number, said, by="王静", key="ring-1-answer-key")
    page = signed_in(gateway, new_context(viewport={"width": 360, "height": 740}), f"/console/complaints/{number}")
    # The complaint leads to its place on the list.
    page.get_by_role("link", name="在待回电名单上").click()
    card = page.get_by_role("region", name=number)
    expect(card).to_contain_text("定金下周退。<img src=")
    expect(card.get_by_role("link", name="13800000001")).to_have_attribute("href", "tel:13800000001")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert [pair for pair in page.evaluate(CONTRASTS) if pair["ratio"] < 4.5] == []
    assert violations(page) == []
    page.screenshot(path=tmp_path / "to-ring.png", full_page=True)
    card.get_by_label("备注").fill("顾客同意")
    card.get_by_role("button", name="已致电").click()
    expect(page.get_by_role("status").filter(has_text=number)).to_have_text(f"{number} 已记为致电告知。")
    expect(page.get_by_role("region", name=number)).to_have_count(0)
    page.goto(f"{gateway.web}/console/complaints/{number}")
    expect(page.locator("main")).to_contain_text("顾客同意")
    # Somebody else was quicker: a clear answer, nothing done twice.
    assert [call for call in gateway.app.replies.calls() if call.answer.number == number] == []
