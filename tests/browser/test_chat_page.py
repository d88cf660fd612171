"""The chat page in a real browser: nothing typed is lost or sent twice, nothing from outside is executed, everybody can use it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from chat_house import House
from contrast import CONTRASTS
from playwright.sync_api import BrowserContext, Page, expect

from connectors.base import Standing
from connectors.web_chat import ChatOptions

pytestmark = pytest.mark.browser

# Waits are for a slow machine; nothing here waits when it need not.
expect.set_options(timeout=15_000)
NewContext = Callable[..., BrowserContext]
NUMBER = re.compile(r"^TS-20261123-\d{4}$")


@pytest.fixture
def house() -> Iterator[House]:
    running = House()
    running.start()
    yield running
    running.stop()


@pytest.fixture
def context(new_context: NewContext) -> BrowserContext:
    return new_context()


@pytest.fixture
def page(context: BrowserContext, house: House) -> Page:
    return visit(context, house.url)


def visit(context: BrowserContext, url: str) -> Page:
    opened = context.new_page()
    opened.goto(url)
    return opened


def write(page: Page, said: str) -> None:
    page.locator("#text").fill(said)
    page.locator("#text").press("Enter")


def routed(department: str = "项目工程部", *, hours: float = 24, review: bool = False) -> Callable[[str], Standing | None]:
    due = datetime.now(UTC) + timedelta(hours=hours)
    return lambda number: Standing(number, "routed", "product_quality", "产品质量", department, "Project engineering", due, review)


def ticked(page: Page, count: int) -> None:
    expect(page.locator(".mine.received")).to_have_count(count)
    expect(page.locator(".mine")).to_have_count(count)


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def test_a_line_is_ticked_numbered_and_its_way_is_told(page: Page, house: House) -> None:
    expect(page.locator("#log")).to_contain_text("我是自动受理程序")
    expect(page.locator("#connection")).to_have_text("已连接")
    write(page, "我家主卧漏水，三个月没人管")
    ticked(page, 1)
    expect(page.locator(".mine .state")).to_have_text("✓ 已收到")
    expect(page.locator("#number")).to_have_text(NUMBER)
    expect(page.locator("#told")).to_contain_text("已收到，编号 TS-20261123-0042。")
    house.standing_of = routed()
    expect(page.locator("#told")).to_have_text("已转交项目工程部，将在 24 小时内与您联系。")
    expect(page.locator("#steps li")).to_have_text(["已收到", "已转交项目工程部", "与您联系"])
    expect(page.locator("[aria-current=step]")).to_have_text("与您联系")
    assert house.said() == ["我家主卧漏水，三个月没人管"]


@pytest.mark.parametrize(
    ("hours", "review", "sentence"),
    [
        (2, False, "已转交项目工程部，将在 2 小时内与您联系。"),
        (24.1, False, "已转交项目工程部，将在 24 小时内与您联系。"),
        (-1, False, "已转交项目工程部，会尽快与您联系。"),
        (24, True, "客服专员正在确认类别，将在 24 小时内与您联系。"),
    ],
)
def test_the_sentence_is_polite_and_exact(page: Page, house: House, hours: float, review: bool, sentence: str) -> None:
    house.standing_of = routed(hours=hours, review=review)
    write(page, "电梯坏了")
    expect(page.locator("#told")).to_have_text(sentence)


def test_enter_sends_shift_enter_does_not_and_an_input_method_is_left_alone(page: Page, house: House) -> None:
    box = page.locator("#text")
    box.fill("第一行")
    box.press("Shift+Enter")
    box.press_sequentially("第二行")
    page.evaluate(
        """() => document.getElementById("text").dispatchEvent(
             new KeyboardEvent("keydown", {key: "Enter", isComposing: true, bubbles: true, cancelable: true}))"""
    )
    expect(page.locator(".mine")).to_have_count(0)
    box.press("Enter")
    ticked(page, 1)
    box.fill("  \n ")
    box.press("Enter")
    page.get_by_role("button", name="发送").click()
    assert house.said() == ["第一行\n第二行"]


def test_a_reload_resumes_the_conversation(page: Page, house: House) -> None:
    house.standing_of = routed()
    for said in ("甲", "乙", "丙"):
        write(page, said)
    ticked(page, 3)
    page.locator("#text").fill("还没写完")
    page.reload()
    ticked(page, 3)
    expect(page.locator(".mine .text")).to_have_text(["甲", "乙", "丙"])
    expect(page.locator("#number")).to_have_text("TS-20261123-0042")
    expect(page.locator("#told")).to_have_count(1)
    expect(page.locator("#text")).to_have_value("还没写完")
    write(page, "丁")
    ticked(page, 4)
    assert house.said() == ["甲", "乙", "丙", "丁"]
    assert len(house.numbers) == 1


def test_what_is_typed_while_the_server_is_away_arrives_exactly_once(page: Page, house: House) -> None:
    write(page, "甲")
    ticked(page, 1)
    house.stop()
    expect(page.locator("#connection")).to_contain_text("连接已中断")
    write(page, "乙")
    write(page, "丙")
    expect(page.locator(".mine .state")).to_have_text(["✓ 已收到", "等待发送", "等待发送"])
    house.start()
    ticked(page, 3)
    expect(page.locator("#connection")).to_have_text("已连接")
    assert house.said() == ["甲", "乙", "丙"]
    assert house.offered == 3


def test_what_is_typed_before_a_reload_without_a_server_arrives_after_it(page: Page, house: House, context: BrowserContext) -> None:
    expect(page.locator("#connection")).to_have_text("已连接")
    house.stop()
    write(page, "甲")
    expect(page.locator(".mine .state")).to_have_text("等待发送")
    page.close()
    house.start()
    ticked(visit(context, house.url), 1)
    assert house.said() == ["甲"]


def test_a_line_whose_acknowledgement_was_lost_is_sent_again_and_kept_once(page: Page, house: House) -> None:
    house.lose = 1
    write(page, "甲")
    expect(page.locator("#wrong")).to_have_text("暂时没能收下，页面会自动重发")
    ticked(page, 1)
    expect(page.locator("#wrong")).to_be_empty()
    assert house.offered == 2
    assert house.said() == ["甲"]


def test_a_line_that_arrived_before_the_break_is_not_sent_again(page: Page, house: House) -> None:
    house.lose = 1
    write(page, "甲")
    expect(page.locator("#wrong")).not_to_be_empty()
    house.stop()
    house.start()
    ticked(page, 1)
    assert house.offered == 1


def test_a_line_that_is_too_long_stays_with_its_writer(new_context: NewContext) -> None:
    house = House(options=ChatOptions(max_line_chars=10))
    house.start()
    try:
        page = visit(new_context(), house.url)
        write(page, "长" * 4001)
        expect(page.locator("#wrong")).to_contain_text("4001 个字")
        expect(page.locator(".mine")).to_have_count(0)
        write(page, "长" * 11)
        expect(page.locator(".mine .state")).to_have_text("未发送")
        expect(page.locator("#wrong")).to_have_text("这一条太长了，请分几条发送")
        expect(page.locator("#text")).to_have_value("长" * 11)
        write(page, "短")
        expect(page.locator(".mine.received")).to_have_count(1)
        assert house.said() == ["短"]
    finally:
        house.stop()


@pytest.mark.parametrize(
    "bad",
    [
        "<script>window.hit = 1; fetch('/hit')</script>",
        "<img src=/hit onerror='window.hit=1'><svg onload='window.hit=1'>",
        "<style>@import '/hit'</style><a href='javascript:window.hit=1'>x</a>",
        "{{ 7 * 7 }} ${7*7} \u202eabc\u0000\u2028</textarea><iframe src=/hit>",
    ],
)
def test_text_from_outside_is_shown_as_text(page: Page, house: House, bad: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    house.standing_of = routed(department=bad)
    write(page, bad)
    ticked(page, 1)
    expect(page.locator("#told")).to_contain_text("已转交<" if bad.startswith("<") else "已转交{")
    page.reload()
    ticked(page, 1)
    assert page.locator(".mine .text").text_content() == house.said()[0]
    assert page.evaluate("window.hit") is None
    assert page.locator("#log img, #log svg, #log script, #log style, #log a, #log iframe").count() == 0
    assert {url.removeprefix(house.url.removesuffix("/chat")) for url in asked} <= {
        *("/chat", "/static/chat.css", "/static/chat.js", "/static/icon.svg")
    }


def test_english_by_a_link_and_it_is_remembered(page: Page, house: House) -> None:
    house.standing_of = routed()
    write(page, "甲")
    ticked(page, 1)
    page.get_by_role("link", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("#told")).to_have_text("Passed to: Project engineering. They will contact you within 24 hours.")
    expect(page.locator(".mine .state")).to_have_text("✓ Received")
    page.goto(house.url)
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.get_by_role("link", name="中文").click()
    expect(page.locator("#told")).to_have_text("已转交项目工程部，将在 24 小时内与您联系。")
    page.goto(house.url)
    expect(page.locator("h1")).to_have_text("在线投诉")


def test_a_new_complaint_begins_only_after_a_question(page: Page, house: House) -> None:
    write(page, "漏水")
    ticked(page, 1)
    page.get_by_role("button", name="新的投诉").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("TS-20261123-0042")
    dialog.get_by_role("button", name="返回").click()
    ticked(page, 1)
    page.get_by_role("button", name="新的投诉").click()
    page.keyboard.press("Escape")
    ticked(page, 1)
    page.get_by_role("button", name="新的投诉").click()
    dialog.get_by_role("button", name="新的投诉").click()
    expect(page.locator(".mine")).to_have_count(0)
    expect(page.locator("#standing")).to_be_hidden()
    expect(page.locator("#text")).to_be_focused()
    write(page, "多收了钱")
    ticked(page, 1)
    expect(page.locator("#number")).to_have_text("TS-20261123-0043")
    assert sorted(house.numbers.values()) == ["TS-20261123-0042", "TS-20261123-0043"]


def test_a_second_tab_joins_the_conversation_and_follows_it(page: Page, house: House, context: BrowserContext) -> None:
    write(page, "漏水")
    ticked(page, 1)
    second = visit(context, house.url)
    ticked(second, 1)
    write(second, "三个月了")
    ticked(second, 2)
    assert len(house.numbers) == 1
    page.get_by_role("button", name="新的投诉").click()
    page.get_by_role("dialog").get_by_role("button", name="新的投诉").click()
    expect(second.locator(".mine")).to_have_count(0)
    write(second, "多收了钱")
    ticked(second, 1)
    assert len(house.numbers) == 2


def test_the_number_can_be_copied(page: Page, context: BrowserContext, house: House) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    write(page, "甲")
    page.get_by_role("button", name="复制").click()
    expect(page.locator("#copy")).to_have_text("已复制")
    assert page.evaluate("navigator.clipboard.readText()") == "TS-20261123-0042"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(320, 568), (320, 256), (390, 844), (1280, 800)])
def test_every_size_and_light(new_context: NewContext, house: House, scheme: str, width: int, height: int) -> None:
    house.standing_of = routed()
    page = visit(new_context(viewport={"width": width, "height": height}, color_scheme=scheme), house.url)
    write(page, "我家主卧漏水，三个月没人管。" * 6)
    write(page, "https://www.example.com/" + "a" * 120)
    ticked(page, 2)
    expect(page.locator("#told")).to_contain_text("已转交")
    assert overflow(page) <= 0
    for name in ("#text", "#form button[type=submit]", "#another", "#copy", "#language"):
        page.locator(name).scroll_into_view_if_needed()
        box = page.locator(name).bounding_box()
        assert box
        # WCAG 2.2, 2.5.8: what is pressed is 24 pixels wide and high.
        assert min(box["width"], box["height"]) >= 24
    for pair in page.evaluate(CONTRASTS):
        assert pair["ratio"] >= 4.5, pair


def test_it_can_be_used_by_keyboard_and_screen_reader(page: Page, house: House) -> None:
    house.standing_of = routed()
    write(page, "甲")
    expect(page.locator("#told")).to_contain_text("已转交")
    expect(page.get_by_role("log", name="对话内容")).to_be_visible()
    expect(page.get_by_role("textbox", name="您遇到的问题")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("已连接")
    page.reload()
    expect(page.locator("#told")).to_be_visible()
    page.keyboard.press("Tab")
    reached: list[str] = []
    for _ in range(6):
        reached.append(str(page.evaluate("document.activeElement.id || document.activeElement.type")))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.keyboard.press("Tab")
    assert reached == ["language", "copy", "log", "text", "another", "submit"]


def test_without_scripts_it_says_what_to_do_instead(new_context: NewContext, house: House) -> None:
    page = visit(new_context(java_script_enabled=False), house.url)
    # Chromium's switch for tests stops scripts but does not show what is for those without them.
    assert "本页需要 JavaScript" in page.content()
    expect(page.locator("#form")).to_be_hidden()
