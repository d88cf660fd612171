"""The chat page in a real browser: nothing typed is lost or sent twice, nothing from outside is executed, everybody can use it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from accessibility import violations
from chat_house import House
from contrast import CONTRASTS
from playwright.sync_api import BrowserContext, Page, expect

pytestmark = pytest.mark.browser

# Waits are for a slow machine; nothing here waits when it need not.
expect.set_options(timeout=15_000)
NewContext = Callable[..., BrowserContext]
NUMBER = re.compile(r"^TS-\d{8}-\d{4}$")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(2000)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    running = House(tmp_path)
    running.start()
    yield running
    if running.running:
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
    expect(opened.locator("#connection")).to_have_text(re.compile("已连接|Connected|连接已中断"))
    return opened


def write(page: Page, said: str) -> None:
    page.locator("#text").fill(said)
    page.locator("#text").press("Enter")


def ticked(page: Page, count: int) -> None:
    expect(page.locator(".mine.received")).to_have_count(count)
    expect(page.locator(".mine")).to_have_count(count)


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def is_asked(page: Page, question: str) -> None:
    # Where it was passed on to may be told at any moment, so that the question need not be the last line.
    expect(page.locator(".ours", has_text=question)).to_have_count(1)


def test_two_minutes_from_the_first_line_to_the_department(page: Page, house: House) -> None:
    expect(page.locator("#greeting")).to_contain_text("我是自动受理程序（机器）")
    write(page, "产品质量问题，主卧漏水三个月没人管")
    ticked(page, 1)
    expect(page.locator(".mine .state")).to_have_text("✓ 已收到")
    expect(page.locator("#number")).to_have_text(NUMBER)
    expect(page.locator("#log")).to_contain_text(f"已收到，编号 {house.numbers()[0]}。")
    # Consent first, then one question at a time; the text box is free all the while.
    expect(page.locator("#replies button")).to_have_text(["同意", "不同意"])
    page.get_by_role("button", name="同意", exact=True).click()
    for question, answer in [("怎么称呼您", "周小山"), ("手机号或邮箱", "13800001111"), ("哪个楼盘", "湖畔新苑")]:
        is_asked(page, question)
        expect(page.locator("#text")).to_be_enabled()
        write(page, answer)
    is_asked(page, "几栋几单元几室")
    page.get_by_role("button", name="跳过").click()
    expect(page.locator("#log")).to_contain_text("已转交项目工程部，将在")
    expect(page.locator("#steps li")).to_have_text(["已收到", "已转交项目工程部", "处理中", "已答复"])
    expect(page.locator("[aria-current=step]")).to_have_text("处理中")
    page.get_by_role("button", name="不对，是价格问题").click()
    is_asked(page, "您认为是“价格问题”。客服专员会重新核对")
    assert house.said()[:2] == ["产品质量问题，主卧漏水三个月没人管", "同意"]
    assert len(house.numbers()) == 1


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
    page.get_by_role("button", name="发送", exact=True).click()
    assert house.said() == ["第一行\n第二行"]


def test_a_reload_resumes_the_conversation_with_its_question(page: Page, house: House) -> None:
    # Where it was passed on to may be told at any moment after the question.
    for said in ("产品质量，漏水三个月", "同意"):
        write(page, said)
        expect(page.locator("#replies button").first).to_be_visible()
    expect(page.locator("#log")).to_contain_text("怎么称呼您")
    words = page.locator("#log .text").all_text_contents()
    page.locator("#text").fill("还没写完")
    page.reload()
    ticked(page, 2)
    expect(page.locator("#log")).to_contain_text("怎么称呼您")
    assert page.locator("#log .text").all_text_contents()[: len(words)] == words
    expect(page.locator("#replies button")).to_have_text(["跳过"])
    expect(page.locator("#number")).to_have_text(house.numbers()[0])
    expect(page.locator("#text")).to_have_value("还没写完")
    write(page, "周小山")
    expect(page.locator("#log")).to_contain_text("手机号或邮箱")
    assert len(house.numbers()) == 1


def test_what_is_typed_while_the_server_is_away_arrives_exactly_once(page: Page, house: House, context: BrowserContext) -> None:
    write(page, "甲")
    ticked(page, 1)
    house.stop()
    expect(page.locator("#connection")).to_contain_text("连接已中断")
    write(page, "乙")
    write(page, "丙")
    expect(page.locator(".mine .state")).to_have_text(["✓ 已收到", "等待发送", "等待发送"])
    # Also over a reload of what the browser has kept: a page that is opened while nobody answers.
    house.start()
    ticked(page, 3)
    expect(page.locator("#connection")).to_have_text("已连接")
    assert house.said() == ["甲", "乙", "丙"]
    assert house.offered == 3


def test_what_is_typed_without_a_network_is_sent_when_it_is_back(page: Page, house: House, context: BrowserContext) -> None:
    write(page, "甲")
    ticked(page, 1)
    page.evaluate("() => { drop(); }")
    context.set_offline(True)
    write(page, "乙")
    expect(page.locator(".mine .state").last).to_have_text("等待发送")
    context.set_offline(False)
    page.evaluate("() => { dispatchEvent(new Event('online')); }")
    ticked(page, 2)
    assert house.said() == ["甲", "乙"]


def test_a_line_whose_acknowledgement_was_lost_is_sent_again_and_kept_once(page: Page, house: House) -> None:
    house.lose = 1
    write(page, "甲")
    expect(page.locator("#wrong")).to_have_text("暂时没能收下，页面会自动重发")
    ticked(page, 1)
    expect(page.locator("#wrong")).to_be_empty()
    assert house.offered == 2
    assert house.said() == ["甲"]


def test_a_line_that_is_too_long_stays_with_its_writer(new_context: NewContext, tmp_path: Path) -> None:
    house = House(tmp_path, {"chat_max_line_chars": 10})
    house.start()
    try:
        page = visit(new_context(), house.url)
        write(page, "长" * 4001)
        expect(page.locator("#wrong")).to_contain_text("4001 个字")
        expect(page.locator(".mine")).to_have_count(0)
        page.evaluate("() => write('长'.repeat(11))")
        expect(page.locator(".mine .state")).to_have_text("未发送")
        expect(page.locator("#wrong")).to_have_text("这一条太长了，请分几条发送")
        write(page, "短")
        expect(page.locator(".mine.received")).to_have_count(1)
        assert house.said() == ["短"]
    finally:
        house.stop()


BAD = [
    "<script>window.hit = 1; fetch('/hit')</script>",
    "<img src=/hit onerror='window.hit=1'><svg onload='window.hit=1'>",
    "<style>@import '/hit'</style><a href='javascript:window.hit=1'>x</a>",
    "{{ 7 * 7 }} ${7*7} \u202eabc\u0000\u2028</textarea><iframe src=/hit>",
]


def test_text_from_outside_is_shown_as_text_in_every_place(page: Page, house: House) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for n, bad in enumerate(BAD, 1):
        write(page, bad)
        ticked(page, n)
    page.locator("#file").set_input_files({"name": BAD[1] + ".png", "mimeType": "text/html", "buffer": PNG})
    ticked(page, len(BAD) + 1)
    number = house.numbers()[0]
    house.gateway.app.worker.drain()
    # What an agent writes, and what he is called, are from outside too.
    house.gateway.app.talks.write(number, BAD[0], BAD[2], "k")
    expect(page.locator(".person .text")).to_have_text(BAD[2])
    expect(page.locator(".person .by")).to_have_text(f"客服专员 {BAD[0]}")
    page.reload()
    ticked(page, len(BAD) + 1)
    expect(page.locator(".person .text")).to_have_text(BAD[2])
    assert page.locator(".mine .text").first.text_content() == BAD[0]
    assert page.evaluate("window.hit") is None
    assert page.locator("#log img, #log svg, #log script, #log style, #log a, #log iframe").count() == 0
    known = {"/chat", "/static/chat.css", "/static/chat.js", "/static/chat_words.js", "/static/icon.svg", "/chat/uploads"}
    assert {url.removeprefix(house.url.removesuffix("/chat")).partition("?")[0] for url in asked} <= known


def test_english_by_a_link_and_it_is_remembered(page: Page, house: House) -> None:
    write(page, "价格问题，从上周起")
    expect(page.locator("#log")).to_contain_text("为办理这件投诉")
    page.get_by_role("link", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("#log")).to_contain_text("To handle this we need your name")
    expect(page.locator("#replies button")).to_have_text(["I agree", "I do not agree"])
    expect(page.locator(".mine .state")).to_have_text("✓ Received")
    page.get_by_role("button", name="I agree").click()
    is_asked(page, "What is your name?")
    page.goto(house.url)
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.get_by_role("link", name="中文").click()
    expect(page.locator("#log")).to_contain_text("怎么称呼您")


def test_another_matter_has_its_own_number_and_both_can_be_added_to(page: Page, house: House) -> None:
    write(page, "产品质量，漏水三个月")
    expect(page.locator("#replies button")).to_have_count(2)
    page.get_by_role("button", name="另一件事").click()
    expect(page.locator("#complaints button")).to_have_count(2)
    write(page, "服务态度差，昨天骂人")
    expect(page.locator("#complaints button").last).to_have_text(NUMBER)
    first, second = house.numbers()
    expect(page.locator("#complaints button")).to_have_text([first, second])
    expect(page.locator("#number")).to_have_text(second)
    page.get_by_role("button", name=first).click()
    expect(page.locator("#number")).to_have_text(first)
    write(page, "漏水更厉害了")
    ticked(page, 3)
    assert house.gateway.numbers() == [first, second, first]
    # The same by words alone.
    expect(page.locator("#replies button").first).to_be_visible()
    write(page, "另一件事：车位被占")
    expect(page.locator("#complaints button")).to_have_count(3)
    page.reload()
    expect(page.locator("#complaints button")).to_have_text(house.numbers())
    assert len(house.numbers()) == 3


def test_a_second_tab_shows_the_same_and_both_go_on(page: Page, house: House, context: BrowserContext) -> None:
    write(page, "产品质量，漏水三个月")
    ticked(page, 1)
    second = visit(context, house.url)
    ticked(second, 1)
    write(second, "同意")
    ticked(second, 2)
    # What was written there is seen here, and the question with it.
    ticked(page, 2)
    is_asked(page, "怎么称呼您")
    expect(page.locator("#replies button")).to_have_text(["跳过"])
    write(page, "周小山")
    is_asked(second, "手机号或邮箱")
    assert len(house.numbers()) == 1


def test_it_can_be_cleared_from_a_shared_machine(page: Page, house: House) -> None:
    write(page, "漏水")
    ticked(page, 1)
    page.get_by_role("button", name="清除").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(house.numbers()[0])
    dialog.get_by_role("button", name="返回").click()
    ticked(page, 1)
    page.get_by_role("button", name="清除").click()
    page.get_by_role("dialog").get_by_role("button", name="清除").click()
    expect(page.locator(".mine")).to_have_count(0)
    expect(page.locator("#standing")).to_be_hidden()
    write(page, "多收了钱")
    ticked(page, 1)
    assert len(house.numbers()) == 2


def test_a_person_takes_over_writes_and_hands_back(page: Page, house: House) -> None:
    write(page, "产品质量，漏水三个月")
    ticked(page, 1)
    # The machine has answered: the talk is known to staff.
    expect(page.locator("#replies button").first).to_be_visible()
    house.gateway.app.worker.drain()
    number, desk = house.numbers()[0], house.gateway.app.talks
    desk.write(number, "周敏", "您好，师傅明天上午到。", "k1")
    expect(page.locator(".person .text")).to_have_text("您好，师傅明天上午到。")
    expect(page.locator("#connection")).to_have_text("客服专员 周敏 正在与您对话")
    before = page.locator(".ours").count()
    write(page, "好的，谢谢")
    ticked(page, 2)
    assert page.locator(".ours").count() == before
    desk.take(number, "")
    expect(page.locator("#log")).to_contain_text("客服专员已离开")
    expect(page.locator("#connection")).to_have_text("已连接")
    page.reload()
    expect(page.locator(".person .text")).to_have_text("您好，师傅明天上午到。")


@pytest.mark.parametrize(
    ("name", "raw", "told"),
    [("漏水.png", PNG, None), ("page.png", b"<html><script>1</script>", "只能发送图片"), ("big.png", PNG + bytes(1 << 20), "超过 1 MB")],
    ids=["picture", "page", "large"],
)
def test_files_by_their_content_and_size(new_context: NewContext, tmp_path: Path, name: str, raw: bytes, told: str | None) -> None:
    house = House(tmp_path, {"chat_max_upload_bytes": 1 << 20})
    house.start()
    try:
        page = visit(new_context(), house.url)
        write(page, "产品质量，漏水三个月")
        ticked(page, 1)
        page.locator("#file").set_input_files({"name": name, "mimeType": "image/png", "buffer": raw})
        if told:
            expect(page.locator("#wrong")).to_contain_text(told)
            assert len(house.taken()) == 1
            return
        ticked(page, 2)
        expect(page.locator("#log")).to_contain_text("文件“漏水.png”已收到。")
        file = house.taken()[1]
        assert (file.raw, file.media_type, file.envelope["filename"]) == (raw, "image/png", name)
        assert len(house.numbers()) == 1
        page.reload()
        expect(page.locator(".mine.received .text").last).to_have_text("📎 漏水.png")
    finally:
        house.stop()


def test_emoji_and_the_number_by_keyboard(page: Page, context: BrowserContext, house: House) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#text").fill("漏水")
    page.locator("#smile").press("Enter")
    expect(page.locator("#emoji button").first).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#smile")).to_be_focused()
    page.locator("#smile").press("Enter")
    page.get_by_role("button", name="💧").press("Enter")
    expect(page.locator("#text")).to_have_value(re.compile("💧"))
    page.locator("#text").press("Enter")
    ticked(page, 1)
    page.get_by_role("button", name="复制").press("Enter")
    expect(page.locator("#copy")).to_have_text("已复制")
    assert page.evaluate("navigator.clipboard.readText()") == house.numbers()[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(320, 568), (320, 256), (390, 844), (1280, 800)])
def test_every_size_and_light(new_context: NewContext, shared: House, scheme: str, width: int, height: int) -> None:
    page = visit(new_context(viewport={"width": width, "height": height}, color_scheme=scheme), shared.url)
    write(page, "产品质量，我家主卧漏水，三个月没人管。" * 6)
    expect(page.locator("#replies button")).to_have_count(2)
    page.get_by_role("button", name="不同意").click()
    expect(page.locator("#log")).to_contain_text("已转交")
    write(page, "https://www.example.com/" + "a" * 120)
    ticked(page, 3)
    assert overflow(page) <= 0
    for name in ("#text", "#form button[type=submit]", "#another", "#copy", "#language", "#smile", "#attach", "#forget"):
        page.locator(name).scroll_into_view_if_needed()
        box = page.locator(name).bounding_box()
        assert box
        # WCAG 2.2, 2.5.8: what is pressed is 24 pixels wide and high.
        assert min(box["width"], box["height"]) >= 24
    for pair in page.evaluate(CONTRASTS):
        assert pair["ratio"] >= 4.5, pair
    assert violations(page) == []


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    running = House(tmp_path_factory.mktemp("shared"))
    running.start()
    yield running
    running.stop()


def test_it_can_be_used_by_keyboard_and_screen_reader(page: Page, house: House) -> None:
    write(page, "产品质量，漏水三个月")
    expect(page.locator("#replies button")).to_have_count(2)
    expect(page.get_by_role("log", name="对话内容")).to_be_visible()
    expect(page.get_by_role("textbox", name="您遇到的问题")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("已连接")
    page.reload()
    expect(page.locator("#replies button")).to_have_count(2)
    page.keyboard.press("Tab")
    reached: list[str] = []
    for _ in range(11):
        reached.append(
            str(page.evaluate("document.activeElement.id || document.activeElement.type + ':' + document.activeElement.textContent"))
        )
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.keyboard.press("Tab")
    assert reached == [
        "language",
        "forget",
        "copy",
        "log",
        "button:同意",
        "button:不同意",
        "text",
        "smile",
        "attach",
        "another",
        "submit:发送",
    ]


def test_without_scripts_it_says_what_to_do_instead(new_context: NewContext, house: House) -> None:
    page = new_context(java_script_enabled=False).new_page()
    page.goto(house.url)
    # Chromium's switch for tests stops scripts but does not show what is for those without them.
    assert "本页需要 JavaScript" in page.content()
    expect(page.locator("#form")).to_be_hidden()
