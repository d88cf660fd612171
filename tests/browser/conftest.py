"""The system's Chromium, for every test of a page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]


# Not for the whole session: while Playwright runs, no other test could run an event loop in this thread.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser; JIESU_TEST_CHROMIUM names another than the one on the PATH."""
    found = os.environ.get("JIESU_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not found:
        pytest.skip("there is no Chromium here; install it with: apt-get install -y chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def new_context(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Makes a fresh profile. The test fails when any page in it had a script error or broke the content security policy."""
    opened: list[BrowserContext] = []
    troubles: list[str] = []

    def make(**options: Any) -> BrowserContext:
        context = browser.new_context(**({"locale": "zh-CN", "viewport": {"width": 1000, "height": 720}} | options))
        context.set_default_timeout(15_000)
        context.on("weberror", lambda wrong: troubles.append(str(wrong.error)))
        context.on("console", lambda told: troubles.append(told.text) if "Content Security Policy" in told.text else None)
        opened.append(context)
        return context

    yield make
    for context in opened:
        context.close()
    assert troubles == []
