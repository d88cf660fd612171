"""The chat on somebody else's page: one tag, whatever styles, scripts and policies the page has, on a phone and at a desk."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from accessibility import violations
from chat_house import House, Site
from fakes import eventually
from playwright.sync_api import Browser, BrowserContext, FrameLocator, Page, expect

import gateway
from connectors.chat_identity import signed
from gateway.store import answers
from models.answer import AnswerState

pytestmark = pytest.mark.browser

expect.set_options(timeout=15_000)
NewContext = Callable[..., BrowserContext]
STATIC = Path(gateway.__path__[0]) / "web"
SECRET = "a secret of the site and the gateway, 256 bits"

HOSTILE = """<style>* { all: unset !important } body * { display: none !important; animation: none !important }
iframe, button, jiesu-chat { visibility: hidden !important; width: 1px !important; transform: scale(0) !important }</style>
<script>
Array.prototype.map = Array.prototype.forEach = Array.prototype.push = () => { throw new Error("broken"); };
Array.prototype[Symbol.iterator] = undefined; String.prototype.includes = undefined; Object.keys = undefined;
JSON.parse = JSON.stringify = undefined; window.Promise = undefined; window.fetch = undefined; window.WebSocket = undefined;
Object.prototype.polluted = "yes"; window.$ = window.store = window.WORDS = window.token = "the page's own";
setInterval(() => {
  const own = (one) => one === "the page's own";
  const same = own(window.$) && own(window.store) && own(window.WORDS) && own(window.token) && document.styleSheets.length === 1;
  document.title = same && document.querySelectorAll("jiesu-chat").length === 1 ? "untouched" : "touched";
}, 50);
</script>"""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, site: Site) -> Iterator[House]:
    running = House(
        tmp_path_factory.mktemp("widget"),
        {"chat_allowed_origins": f'["{site.origin}"]', "chat_identity_secret": SECRET, "chat_max_new_per_hour_of_address": 1000},
    )
    running.start()
    yield running
    running.stop()


def origin(house: House) -> str:
    return house.url.removesuffix("/chat")


def page_of(house: House, head: str = "", **data: str) -> str:
    attributes = " ".join(f'data-{name}="{value}"' for name, value in data.items())
    tag = f'<script src="{origin(house)}/widget.js" {attributes}></script>'
    top = f"<!doctype html><html lang='zh'><head><meta charset='utf-8'><title>楼盘</title>{head}</head>"
    return f"{top}<body><main><h1>云栖府</h1></main>{tag}</body></html>"


def visit(site: Site, context: BrowserContext, body: str, headers: dict[str, str] | None = None) -> Page:
    site.pages["/"] = (body, headers or {})
    page = context.new_page()
    page.goto(site.origin + "/")
    return page


def opened(page: Page) -> FrameLocator:
    page.locator("jiesu-chat button").click()
    frame = page.frame_locator("jiesu-chat iframe")
    expect(frame.locator("#connection")).to_have_text(re.compile("已连接|Connected"))
    return frame


def write(frame: FrameLocator, said: str) -> None:
    frame.locator("#text").fill(said)
    frame.locator("#text").press("Enter")


def box(page: Page, selector: str) -> dict[str, Any]:
    found = page.locator(selector).bounding_box()
    assert found
    return dict(found)


def test_it_is_small() -> None:
    names = ("static/widget.js", "static/chat.js", "static/chat_words.js", "static/chat.css", "templates/chat.html")
    assert sum(len(gzip.compress((STATIC / name).read_bytes(), 9)) for name in names) < 30_000


def test_one_tag_on_a_foreign_page_is_enough(site: Site, house: House, new_context: NewContext) -> None:
    page = visit(site, new_context(), page_of(house))
    # Nothing of the chat is loaded before it is wanted.
    assert page.locator("jiesu-chat iframe").count() == 0
    frame = opened(page)
    assert (box(page, "jiesu-chat .panel")["width"], box(page, "jiesu-chat .panel")["height"]) == (360, 560)
    expect(frame.locator("#text")).to_be_focused()
    write(frame, "产品质量问题，漏水三个月")
    expect(frame.locator("#number")).to_have_text(re.compile(r"^TS-\d{8}-\d{4}$"))
    expect(frame.locator("#replies button")).to_have_text(["同意", "不同意"])
    # Escape closes it and gives the page its focus back; a reload finds it as it was.
    frame.locator("#text").press("Escape")
    expect(page.locator("jiesu-chat .panel")).to_be_hidden()
    assert page.evaluate("document.activeElement.tagName") == "JIESU-CHAT"
    number = house.numbers()[-1]
    page.reload()
    frame = opened(page)
    expect(frame.locator("#number")).to_have_text(number)
    expect(frame.locator("#replies button")).to_have_text(["同意", "不同意"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_hostile_page_breaks_nothing_and_is_not_broken(site: Site, house: House, new_context: NewContext, scheme: str) -> None:
    page = visit(site, new_context(color_scheme=scheme), page_of(house, HOSTILE, color="#ffee00"))
    frame = opened(page)
    button = box(page, "jiesu-chat button")
    assert (button["width"], button["height"]) == (56, 56)
    assert box(page, "jiesu-chat .panel")["width"] == 360
    write(frame, "价格问题，从上周起")
    expect(frame.locator(".mine.received")).to_have_count(1)
    expect(frame.locator("#log")).to_contain_text("已收到，编号")
    # The page is what it was: nothing of ours in its own names, no rule of ours in its styles. It says so itself, as no tool can in it.
    expect(page).to_have_title("untouched")


@pytest.mark.parametrize("data", [{}, {"color": "#ffee00"}, {"color": "#102030"}, {"lang": "en", "color": "#888888"}], ids=str)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_whatever_the_colour(
    site: Site, house: House, new_context: NewContext, scheme: str, data: dict[str, str]
) -> None:
    page = visit(site, new_context(color_scheme=scheme), page_of(house, **data))
    assert violations(page) == []
    frame = opened(page)
    write(frame, "价格问题，从上周起")
    expect(frame.locator("#replies button")).to_have_count(2)
    inside = page.frames[1]
    assert violations(inside) == []
    ratio = inside.evaluate(
        """() => { const paint = getComputedStyle(document.querySelector("button.main"));
                   const parts = (said) => said.match(/[\\d.]+/g).slice(0, 3).map(Number);
                   return contrast(parts(paint.color), parts(paint.backgroundColor)); }"""
    )
    assert ratio >= 4.5


def test_on_a_phone_it_is_the_whole_screen_and_can_be_closed(site: Site, house: House, new_context: NewContext) -> None:
    viewport = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    context = new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = visit(site, context, page_of(house, viewport))
    frame = opened(page)
    panel = box(page, "jiesu-chat .panel")
    assert (panel["x"], panel["y"], panel["width"], panel["height"]) == (0, 0, 390, 844)
    expect(page.locator("jiesu-chat button")).to_be_hidden()
    write(frame, "产品质量问题，漏水三个月")
    expect(frame.locator("#replies button")).to_have_count(2)
    frame.get_by_role("button", name="关闭对话").click()
    expect(page.locator("jiesu-chat .panel")).to_be_hidden()
    expect(page.locator("jiesu-chat button")).to_be_visible()


def test_what_it_needs_of_a_strict_policy_is_two_words(site: Site, house: House, new_context: NewContext) -> None:
    policy = f"default-src 'none'; script-src {origin(house)}; frame-src {origin(house)}; require-trusted-types-for 'script'"
    page = visit(site, new_context(), page_of(house), {"Content-Security-Policy": policy})
    frame = opened(page)
    assert box(page, "jiesu-chat .panel")["height"] == 560
    write(frame, "价格问题")
    expect(frame.locator(".mine.received")).to_have_count(1)


def test_a_site_that_is_not_named_may_not_show_it(house: House, browser: Browser) -> None:
    other = Site()
    # Not by `new_context`, which takes a broken policy for a fault.
    context = browser.new_context(locale="zh-CN")
    try:
        page = context.new_page()
        other.pages["/"] = (page_of(house), {})
        page.goto(other.origin + "/")
        with page.expect_response(lambda answer: "/chat" in answer.url) as answered:
            page.locator("jiesu-chat button").click()
        assert "frame-ancestors 'self' " in answered.value.headers["content-security-policy"]
        assert other.origin not in answered.value.headers["content-security-policy"]
        expect(page.frame_locator("jiesu-chat iframe").locator("#text")).to_have_count(0)
    finally:
        context.close()
        other.close()


def test_answers_are_counted_while_it_is_closed_and_told_as_shown_when_it_is_opened(
    site: Site, house: House, new_context: NewContext
) -> None:
    page = visit(site, new_context(), page_of(house))
    frame = opened(page)
    write(frame, "产品质量问题，漏水三个月")
    expect(frame.locator("#log")).to_contain_text("已转交")
    number = house.numbers()[-1]
    page.locator("jiesu-chat button").click()
    expect(page.locator("jiesu-chat .panel")).to_be_hidden()
    house.gateway.app.talks.write(number, "周敏", "师傅明天上午到。", f"k{number}")
    expect(page.locator("jiesu-chat .badge")).to_have_text(re.compile("[12]"))
    expect(page.locator("jiesu-chat button")).to_have_attribute("aria-label", re.compile("条未读"))

    def state() -> AnswerState:
        with house.gateway.app.store.read() as conn:
            return answers.of_number(conn, number)[0].state

    assert state() is AnswerState.WAITING
    # Also after a reload, without anybody opening it.
    page.reload()
    page.locator("jiesu-chat button").click()
    frame = page.frame_locator("jiesu-chat iframe")
    expect(frame.locator(".person .text")).to_have_text("师傅明天上午到。")
    expect(page.locator("jiesu-chat .badge")).to_be_hidden()
    eventually(lambda: state() is AnswerState.SENT)


def test_whom_the_site_knows_is_not_asked_and_nobody_else_sees_his_talk(site: Site, house: House, new_context: NewContext) -> None:
    def identity(user: str, secret: str = SECRET, exp: int = 4_000_000_000) -> str:
        return signed(secret, {"id": user, "name": "周小山", "phone": "13800001111", "exp": exp})

    context = new_context()
    page = visit(site, context, page_of(house, identity=identity("u1"), estate="湖畔新苑", title="物业投诉"))
    expect(page.locator("jiesu-chat button")).to_have_attribute("aria-label", "物业投诉")
    frame = opened(page)
    expect(frame.locator("h1")).to_have_text("物业投诉")
    write(frame, "产品质量问题，漏水三个月")
    frame.get_by_role("button", name="同意", exact=True).click()
    # Where it was passed on to may be told after the question.
    expect(frame.locator("#log")).to_contain_text("几栋几单元几室")
    # Somebody else signs in on the same machine.
    page = visit(site, context, page_of(house, identity=identity("u2")))
    frame = opened(page)
    expect(frame.locator(".mine")).to_have_count(0)
    # He comes back.
    page = visit(site, context, page_of(house, identity=identity("u1")))
    expect(opened(page).locator(".mine")).to_have_count(2)
    # A wrong signature is told, and is nobody.
    for told, sentence in [(identity("u1", "another secret"), "身份签名不对"), (identity("u1", exp=1), "身份已过期")]:
        page = visit(site, context, page_of(house, identity=told))
        frame = opened(page)
        expect(frame.locator("#wrong")).to_contain_text(sentence)
        expect(frame.locator(".mine")).to_have_count(0)


def test_it_is_used_by_keyboard_alone(site: Site, house: House, new_context: NewContext) -> None:
    page = visit(site, new_context(), page_of(house))
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('jiesu-chat').shadowRoot.activeElement.tagName") == "BUTTON"
    page.keyboard.press("Enter")
    frame = page.frame_locator("jiesu-chat iframe")
    expect(frame.locator("#text")).to_be_focused()
    expect(frame.locator("#connection")).to_have_text("已连接")
    page.keyboard.type("价格问题，从上周起")
    page.keyboard.press("Enter")
    expect(frame.locator("#replies button")).to_have_count(2)
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(frame.locator(".mine.received")).to_have_count(2)
    expect(frame.locator(".mine .text").last).to_have_text("不同意")
    expect(frame.locator("#text")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("jiesu-chat .panel")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(frame.locator("#text")).to_be_focused()
