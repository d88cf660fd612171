"""What axe-core finds wrong with a page or a frame, by WCAG 2.2 AA."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

from playwright.sync_api import Frame, Page

_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@cache
def _axe() -> str:
    return resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")


def violations(page: Page | Frame, **options: Any) -> list[str]:
    """One line for each rule that is broken, with the places; empty where none is."""
    page.evaluate(_axe())
    found = page.evaluate("(options) => axe.run(document, options)", {"runOnly": {"type": "tag", "values": _TAGS}, **options})
    return [f"{one['id']}: {one['help']}: {[node['html'][:120] for node in one['nodes']]}" for one in found["violations"]]
