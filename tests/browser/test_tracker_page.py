"""The page of the development tracker in a real browser: it renews itself, keeps what is open open, and executes nothing from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from trackers import NUMBER, PAGE_TOKEN, RunningTracker, event, send

pytestmark = pytest.mark.browser


@pytest.fixture
def tracker() -> Iterator[RunningTracker]:
    with RunningTracker() as running:
        yield running


@pytest.fixture
def page(new_context: Callable[..., BrowserContext], tracker: RunningTracker) -> Page:
    opened = new_context().new_page()
    opened.goto(f"{tracker.url}/?token={PAGE_TOKEN}")
    assert PAGE_TOKEN not in opened.url
    return opened


def test_tickets_appear_and_change_while_one_is_open(page: Page, tracker: RunningTracker) -> None:
    expect(page.locator("main")).to_contain_text("还没有工单")
    send(tracker, event(summary="漏水"), "evt_1")
    row = page.locator(f"tr[data-number='{NUMBER}']")
    expect(row).to_contain_text("漏水")
    row.locator("summary").click()
    send(tracker, event(summary="漏水，又漏了"), "evt_2")
    expect(row).to_contain_text("漏水，又漏了")
    expect(row.locator("td").last).to_have_text("2")
    expect(row.locator("pre")).to_be_visible()
    expect(row.locator("pre")).to_contain_text('"idempotency_key"')


def test_it_is_told_to_fail_on_the_page(page: Page, tracker: RunningTracker) -> None:
    page.get_by_label("改为").select_option("500")
    page.get_by_label("次数").fill("2")
    page.get_by_role("button", name="执行").click()
    expect(page.locator("#failing")).to_have_text("正在按要求失败：500，还有 2 次")
    assert send(tracker, event()) == 500
    expect(page.locator("#failing")).to_have_text("正在按要求失败：500，还有 1 次")


def test_text_from_outside_executes_nothing_and_asks_for_nothing(page: Page, tracker: RunningTracker) -> None:
    bad = "<script>window.hit=1</script><img src=/hit onerror='window.hit=1'><style>@import '/hit'</style>\"'>"
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    odd: dict[str, Any] = {"summary": bad, "customer": {"name": bad}, "class_name": bad, "risk": [bad], "priority": bad, "channel": bad}
    send(tracker, event(bad, **odd))
    expect(page.locator("td.summary")).to_contain_text(bad)
    page.reload()
    expect(page.locator("td.summary")).to_contain_text(bad)
    assert page.evaluate("window.hit") is None
    assert page.locator("main img, main script, main style").count() == 0
    assert not [url for url in asked if "hit" in url]


def test_it_says_when_the_tracker_is_away(page: Page, tracker: RunningTracker) -> None:
    tracker.stop()
    expect(page.locator("#state")).to_contain_text("没有应答")
    tracker.start()
    expect(page.locator("#state")).to_be_empty()
