"""The console in a real browser: a queue cleared by keys, by touch and without scripts; nothing from outside is executed."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from console_house import PASSWORD, complain
from contrast import CONTRASTS
from playwright.sync_api import BrowserContext, Page, expect
from running import RunningGateway

from models.staff import Role

pytestmark = pytest.mark.browser

expect.set_options(timeout=15_000)
NewContext = Callable[..., BrowserContext]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path_factory.mktemp("console"), drop_enabled="false") as running:
        for name, role in (("王静", Role.AGENT), ("诸葛亮", Role.LEAD)):
            assert running.app.staffing.set_password(running.app.staffing.add(name, role), PASSWORD)
        yield running


@pytest.fixture
def queue(gateway: RunningGateway) -> list[str]:
    """Three complaints that wait, and nothing else; in the order of the queue."""
    from sqlalchemy import update

    from models.tables import complaints

    with gateway.app.store.write() as conn:
        conn.execute(update(complaints).values(review_rank=None))
    return [complain(gateway, body) for body in ("你好，车位收费的事，危险", "你好，第二件", "你好，第三件")]


def signed_in(gateway: RunningGateway, context: BrowserContext, name: str = "王静", path: str = "/console") -> Page:
    token = gateway.app.staffing.sign_in(name, PASSWORD, "127.0.0.1")
    assert token
    context.add_cookies([{"name": "jiesu", "value": token.token, "url": gateway.web, "httpOnly": True, "sameSite": "Strict"}])
    page = context.new_page()
    page.goto(gateway.web + path)
    return page


@pytest.fixture
def page(new_context: NewContext, gateway: RunningGateway, queue: list[str]) -> Page:
    return signed_in(gateway, new_context())


def opened(page: Page, number: str) -> None:
    expect(page.locator("#item article")).to_have_attribute("data-number", number)
    expect(page.locator(".row[aria-current]")).to_have_attribute("data-number", number)


def decided(gateway: RunningGateway, number: str) -> list[str]:
    story = gateway.app.desk.story(number)
    assert story
    return [one.should_be.value for one in story.corrections]


def test_from_the_one_time_link_into_the_queue(new_context: NewContext, gateway: RunningGateway, queue: list[str]) -> None:
    link = gateway.app.staffing.add("李雷", Role.AGENT)
    page = new_context().new_page()
    page.goto(f"{gateway.web}/console/invitation/{link}")
    page.get_by_label("口令").fill(PASSWORD)
    page.get_by_label("再输一次").fill(PASSWORD)
    page.get_by_role("button", name="设置并登录").click()
    expect(page.locator("#left")).to_have_text("3 件待审")
    page.get_by_role("button", name="退出").click()
    expect(page.get_by_role("heading", name="登录")).to_be_visible()
    page.get_by_label("姓名").fill("李雷")
    page.get_by_label("口令").fill("not this one")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("姓名或口令不对。")
    expect(page.get_by_label("口令")).to_be_focused()
    page.get_by_label("口令").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#left")).to_have_text("3 件待审")


def test_a_queue_is_cleared_one_key_each(page: Page, gateway: RunningGateway, queue: list[str]) -> None:
    opened(page, queue[0])
    page.keyboard.press("1")
    opened(page, queue[1])
    expect(page.locator("#told")).to_have_text(f"{queue[0]} 已判为“产品质量”，转项目工程部。")
    expect(page.locator("#left")).to_have_text("2 件待审")
    expect(page.locator("#item")).to_be_focused()
    page.keyboard.press("4")
    opened(page, queue[2])
    page.keyboard.press("5")
    expect(page.locator("#empty")).to_be_visible()
    expect(page.locator("#left")).to_have_text("0 件待审")
    assert [decided(gateway, number) for number in queue] == [["product_quality"], ["price"], ["other"]]


def test_undo_brings_it_back(page: Page, gateway: RunningGateway, queue: list[str]) -> None:
    page.keyboard.press("3")
    opened(page, queue[1])
    page.keyboard.press("u")
    opened(page, queue[0])
    expect(page.locator("#left")).to_have_text("3 件待审")
    expect(page.locator("#told")).to_contain_text(f"已撤销 {queue[0]}")
    assert decided(gateway, queue[0]) == ["contract", "other"]
    expect(page.locator("#undo")).to_be_hidden()


def test_moving_skipping_opening_searching_and_help(page: Page, gateway: RunningGateway, queue: list[str]) -> None:
    page.keyboard.press("j")
    opened(page, queue[1])
    assert f"open={queue[1]}" in page.url
    page.keyboard.press("s")
    opened(page, queue[2])
    page.keyboard.press("j")
    page.keyboard.press("k")
    opened(page, queue[1])
    page.reload()
    opened(page, queue[1])
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="键盘快捷键")).to_be_visible()
    page.keyboard.press("1")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("12345")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/console/complaints/{queue[1]}")
    assert [decided(gateway, number) for number in queue] == [[], [], []]


def test_a_note_is_kept_and_its_letters_are_no_keys(page: Page, gateway: RunningGateway, queue: list[str]) -> None:
    page.keyboard.press("n")
    page.keyboard.type("1234 juskn/?")
    page.keyboard.press("Escape")
    opened(page, queue[0])
    page.keyboard.press("2")
    opened(page, queue[1])
    story = gateway.app.desk.story(queue[0])
    assert story
    assert [(one.should_be.value, one.note) for one in story.corrections] == [("service_attitude", "1234 juskn/?")]


def test_a_key_with_a_modifier_or_in_an_input_method_decides_nothing(page: Page, gateway: RunningGateway, queue: list[str]) -> None:
    page.keyboard.press("Control+1")
    page.keyboard.press("Alt+2")
    page.evaluate("document.body.dispatchEvent(new KeyboardEvent('keydown', {key: '3', isComposing: true, bubbles: true}))")
    page.evaluate("document.body.dispatchEvent(new KeyboardEvent('keydown', {key: '3', repeat: true, bubbles: true}))")
    page.keyboard.press("j")
    opened(page, queue[1])
    assert decided(gateway, queue[0]) == []


def test_what_somebody_else_decided_meanwhile_is_told_first(page: Page, gateway: RunningGateway, queue: list[str]) -> None:
    from models.correction import Source
    from models.verdict import ComplaintClass

    gateway.app.correcting.correct(queue[0], ComplaintClass.PRICE, by="诸葛亮", source=Source.API)
    page.keyboard.press("3")
    expect(page.locator("#wrong")).to_contain_text("诸葛亮 刚刚把这件投诉判为“价格问题”")
    opened(page, queue[0])
    expect(page.locator("#item")).to_contain_text("已有 1 次人工判定")
    page.keyboard.press("3")
    opened(page, queue[1])
    assert decided(gateway, queue[0]) == ["price", "contract"]


def test_a_server_that_cannot_be_reached_loses_no_decision(page: Page, gateway: RunningGateway, queue: list[str]) -> None:
    page.route("**/corrections", lambda route: route.abort())
    opened(page, queue[0])
    page.keyboard.press("3")
    expect(page.locator("#wrong")).to_contain_text("这一步没有保存")
    opened(page, queue[0])
    page.unroute("**/corrections")
    page.keyboard.press("3")
    opened(page, queue[1])
    assert decided(gateway, queue[0]) == ["contract"]


def test_a_session_that_ended_leads_to_the_sign_in(page: Page, gateway: RunningGateway, queue: list[str]) -> None:
    page.context.clear_cookies()
    page.keyboard.press("3")
    expect(page.get_by_role("heading", name="登录")).to_be_visible()
    assert decided(gateway, queue[0]) == []


def test_without_scripts_it_is_pages_and_forms(new_context: NewContext, gateway: RunningGateway, queue: list[str]) -> None:
    page = signed_in(gateway, new_context(java_script_enabled=False))
    page.get_by_role("button", name="价格问题").click()
    expect(page.get_by_role("status")).to_contain_text(f"{queue[0]} 已判为“价格问题”")
    expect(page.locator(".row")).to_have_count(2)
    page.get_by_role("button", name=f"撤销 {queue[0]}").click()
    expect(page.locator(".row")).to_have_count(3)
    page.locator(".row").nth(1).click()
    opened(page, queue[1])
    page.get_by_role("link", name="完整经过").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(queue[1])
    page.get_by_role("button", name="合同问题").click()
    expect(page.locator(".timeline")).to_contain_text("王静 判为“合同问题”")
    page.get_by_role("button", name=f"撤销 {queue[1]}").click()
    expect(page.locator(".timeline")).to_contain_text("王静 撤销，恢复为“其他”")


def test_on_a_phone_first_the_list_then_the_item(new_context: NewContext, gateway: RunningGateway, queue: list[str]) -> None:
    page = signed_in(gateway, new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True))
    expect(page.locator("#item")).to_be_hidden()
    page.locator(".row").first.tap()
    expect(page.locator("#item")).to_be_visible()
    expect(page.locator("#list")).to_be_hidden()
    for choice in page.locator(".choice").all():
        box = choice.bounding_box()
        assert box
        assert min(box["width"], box["height"]) >= 44
        # Under the thumb, without scrolling.
        assert box["y"] + box["height"] <= 740
    page.locator(".choice").nth(1).tap()
    opened(page, queue[1])
    expect(page.locator("#item")).to_be_visible()
    page.get_by_role("link", name="返回列表").tap()
    expect(page.locator("#list")).to_be_visible()
    assert decided(gateway, queue[0]) == ["service_attitude"]


HOSTILE = (
    "<script>window.hit=1;fetch('/hit')</script>",
    "<img src=/hit onerror='window.hit=1'><svg onload='window.hit=1'><iframe src=/hit>",
    "</div></section><style>@import '/hit'</style><a href='javascript:window.hit=1'>漏水</a>",
    "\u202e\u2066{{ 97 * 103 }} ${97*103} '\"` &lt;script&gt; \u2028 漏水",
)


@pytest.mark.parametrize("bad", HOSTILE)
def test_text_from_outside_is_shown_as_text(new_context: NewContext, gateway: RunningGateway, queue: list[str], bad: str) -> None:
    from models.correction import Source
    from models.verdict import ComplaintClass

    number = complain(gateway, f"你好 {bad} 危险", subject=bad.replace("\u2028", ""), sender='"</b><script>x" <x@mail.example>')
    gateway.app.correcting.correct(queue[0], ComplaintClass.PRICE, by=bad[:80].replace("\u2028", "") or "x", source=Source.API, note=bad)
    page = signed_in(gateway, new_context())
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    # The script puts it in, the server puts it in, and the whole story has it.
    page.locator(f".row[data-number='{number}']").click()
    opened(page, number)
    expect(page.locator("#item .said").first).to_contain_text("你好")
    for path in (f"/console?open={number}", f"/console/complaints/{number}", f"/console/complaints/{queue[0]}"):
        page.goto(gateway.web + path)
        assert page.evaluate("window.hit") is None
        assert page.locator("main img, main iframe, main style, main script, main a[href^='javascript']").count() == 0
        assert page.locator("main svg:not(.bar)").count() == 0
    assert not [url for url in asked if url.endswith("/hit")]
    assert "9991" not in page.locator("main").inner_text()


def test_a_text_of_twenty_thousand_characters_stays_in_its_box(page: Page, gateway: RunningGateway, queue: list[str]) -> None:
    number = complain(gateway, "危险" + "长" * 20_000)
    page.goto(f"{gateway.web}/console?open={number}")
    opened(page, number)
    assert overflow(page) <= 0
    expect(page.locator(".choice").first).to_be_in_viewport()
    page.goto(f"{gateway.web}/console/complaints/{number}")
    assert overflow(page) <= 0


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("width", [320, 1280])
def test_every_page_in_every_size_light_and_language(
    new_context: NewContext, gateway: RunningGateway, queue: list[str], scheme: str, lang: str, width: int
) -> None:
    context = new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = signed_in(gateway, context, "诸葛亮", f"/console?lang={lang}")
    pages = ["/console", f"/console?open={queue[0]}", f"/console/complaints/{queue[0]}", "/console/models", "/console/examples"]
    for path in [*pages, "/console/nothing", "/console/sign-in"]:
        page.goto(gateway.web + path)
        expect(page.locator("html")).to_have_attribute("lang", "zh-CN" if lang == "zh" else "en")
        # What slides in has come to rest.
        page.evaluate("Promise.all(document.getAnimations().map((one) => one.finished))")
        assert overflow(page) <= 0, path
        for pair in page.evaluate(CONTRASTS):
            assert pair["ratio"] >= 4.5, (path, pair)
        for control in page.evaluate(SMALL):
            assert min(control["width"], control["height"]) >= 24, (path, control)
        assert page.evaluate(UNNAMED) == [], path


# Everything that can be pressed and is no link within a text (WCAG 2.2, 2.5.8).
SMALL = """() => [...document.querySelectorAll("button, select, input:not([type=hidden]):not(.hidden), summary, .row, nav a")]
  .filter((node) => node.getClientRects().length)
  .map((node) => ({ text: node.textContent.trim().slice(0, 30), width: node.offsetWidth, height: node.offsetHeight }))"""
# Controls and regions without a name, headings that skip a level upwards, and ids that stand twice.
UNNAMED = """() => {
  const found = [];
  for (const node of document.querySelectorAll("button, a[href], select, input:not([type=hidden]), textarea, [role=group]")) {
    if (!node.getClientRects().length) continue;
    const named = node.getAttribute("aria-label") || node.getAttribute("aria-labelledby") || node.textContent.trim() || node.labels?.length;
    if (!named) found.push(node.outerHTML.slice(0, 120));
  }
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  found.push(...ids.filter((id, place) => ids.indexOf(id) !== place));
  if (document.querySelectorAll("h1").length !== 1) found.push("not one h1");
  if (!document.querySelector("main")) found.push("no main");
  return found;
}"""


def test_a_screen_reader_finds_its_way(page: Page, queue: list[str]) -> None:
    for role, name in (
        ("navigation", "主导航"),
        ("search", "筛选与搜索"),
        ("region", "待审队列"),
        ("region", "投诉内容"),
        ("group", "判定类别"),
    ):
        expect(page.get_by_role(role, name=name)).to_be_visible()  # type: ignore[arg-type]
    expect(page.locator("#left")).to_have_attribute("aria-live", "polite")
    expect(page.get_by_role("button", name="3 合同问题")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="跳到正文")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_the_whole_story_prints(page: Page, gateway: RunningGateway, queue: list[str]) -> None:
    page.goto(f"{gateway.web}/console/complaints/{queue[0]}")
    page.emulate_media(media="print")
    for gone in ("nav", ".who", ".correct"):
        expect(page.locator(gone).first).to_be_hidden()
    expect(page.locator(".timeline")).to_be_visible()


def test_an_original_is_downloaded_and_not_shown(page: Page, gateway: RunningGateway, queue: list[str]) -> None:
    page.goto(f"{gateway.web}/console/complaints/{queue[0]}")
    with page.expect_download() as download:
        page.get_by_role("link", name="原件").click()
    assert download.value.suggested_filename.startswith(queue[0])
    assert download.value.suggested_filename.endswith(".eml")


def test_progress_of_a_retraining_renews_itself(new_context: NewContext, gateway: RunningGateway, monkeypatch: Any) -> None:
    state: dict[str, Any] = {
        "id": 1,
        "state": "running",
        "asked_at": "2026-11-24T00:00:00Z",
        "by": "甲",
        "doing": "fit",
        "doing_zh": "训练",
        "doing_en": "fitting",
        "done": 0.1,
        "finished_at": None,
        "version": None,
        "outcome": None,
    }
    ended = state | {"finished_at": "2026-11-24T00:01:00Z", "outcome": {"zh": "候选模型通过把关", "en": "passed"}, "state": "done"}
    now: dict[str, Any] = {"current": state, "history": [state]}
    monkeypatch.setattr(gateway.app.learning, "current", lambda: now["current"])
    monkeypatch.setattr(gateway.app.learning, "history", lambda limit=20: now["history"])
    page = signed_in(gateway, new_context(), "诸葛亮", "/console/models")
    expect(page.locator("progress")).to_have_attribute("value", "0.1")
    state["done"] = 0.6
    expect(page.locator("progress")).to_have_attribute("value", "0.6")
    now |= {"current": None, "history": [ended]}
    expect(page.get_by_text("上一次：候选模型通过把关")).to_be_visible()
    expect(page.get_by_role("button", name="开始重新训练")).to_be_visible()


def test_no_page_asks_for_anything_of_others(page: Page, gateway: RunningGateway) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for path in ("/console", "/console/sign-in"):
        page.goto(gateway.web + path)
    assert all(url.startswith(gateway.web) for url in asked)
    connection = http.client.HTTPConnection(gateway.web.removeprefix("http://"))
    for name in ("console.css", "console.js"):
        connection.request("GET", f"/static/{name}")
        assert b"http" not in connection.getresponse().read().replace(b"http-equiv", b"")
    connection.close()
