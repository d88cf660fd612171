"""The page of mailboxes in a real browser: what fails is seen, an operator acts by a click, and nothing from a mail is executed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from accessibility import violations
from console_house import PASSWORD
from contrast import CONTRASTS
from dovecot import PASSWORD as CODE
from fakes import eventually
from imap_house import letter, settings
from imap_server import ImapServer
from playwright.sync_api import BrowserContext, Page, expect
from running import RunningGateway

from models.staff import Role

pytestmark = pytest.mark.browser

expect.set_options(timeout=15_000)
NewContext = Callable[..., BrowserContext]


@pytest.fixture(scope="module")
def server() -> Iterator[ImapServer]:
    with ImapServer(password=CODE) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, server: ImapServer) -> Iterator[RunningGateway]:
    table = {"host": "127.0.0.1", "port": server.port, "tls": "none", "user": "tousu", "backfill": "all", "max_bytes": 8000}
    tables = (
        {"name": "good", "password": CODE, "idle": False, "poll_seconds": 3600},
        {"name": "bad", "password": "<script>alert(1)</script>"},
    )
    home = settings(tmp_path_factory.mktemp("mailboxes"), *[one | table for one in tables])
    with RunningGateway(home, drop_enabled="false") as running:
        assert running.app.staffing.set_password(running.app.staffing.add("赵云", Role.OPERATOR), PASSWORD)
        server.arrive(letter("墙" * 4000))
        eventually(lambda: any(one.name == "bad" and one.failures for one in running.app.mailboxes.health()))
        running.app.mailboxes.look("good", "test")
        eventually(lambda: running.app.mailboxes.counts().get("good", {}).get("aside"))
        yield running


def opened(gateway: RunningGateway, context: BrowserContext) -> Page:
    token = gateway.app.staffing.sign_in("赵云", PASSWORD, "127.0.0.1")
    assert token
    context.add_cookies([{"name": "jiesu", "value": token.token, "url": gateway.web, "httpOnly": True, "sameSite": "Strict"}])
    page = context.new_page()
    page.goto(f"{gateway.web}/console/mailboxes")
    return page


def test_an_operator_has_a_mailbox_looked_into_at_once(gateway: RunningGateway, server: ImapServer, new_context: NewContext) -> None:
    page = opened(gateway, new_context())
    good, bad = (page.get_by_role("region", name=re.compile(f"^{name}")) for name in ("good", "bad"))
    expect(good).to_contain_text("正常")
    expect(good).not_to_contain_text("bad")
    expect(bad).to_contain_text("授权码")
    # It would be looked into in an hour; a person wants it now.
    server.arrive(letter("现在就要"))
    good.get_by_role("button", name="现在就看").click()
    eventually(lambda: any(b"\xe7\x8e\xb0\xe5\x9c\xa8\xe5\xb0\xb1\xe8\xa6\x81" in one.raw for one in gateway.committed()))
    page.reload()
    expect(good).to_contain_text("新受理 1 封，重复 0 封，搁置 1 封")


def test_a_phone_shows_it_whole_in_both_lights(gateway: RunningGateway, new_context: NewContext, tmp_path: Path) -> None:
    for scheme in ("light", "dark"):
        page = opened(gateway, new_context(viewport={"width": 360, "height": 740}, color_scheme=scheme))
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert [pair for pair in page.evaluate(CONTRASTS) if pair["ratio"] < 4.5] == []
        assert violations(page) == []
        page.screenshot(path=tmp_path / f"mailboxes-{scheme}.png", full_page=True)


def test_english_is_complete(gateway: RunningGateway, new_context: NewContext) -> None:
    page = opened(gateway, new_context(locale="en-GB"))
    expect(page.get_by_role("region", name=re.compile("^good"))).to_contain_text(re.compile("last", re.I))
    shown = page.locator("main").inner_text()
    # The providers' own word for the password that is wanted stays beside the English one.
    assert not re.search("[\u4e00-\u9fff]", shown.replace("授权码", "")), shown
