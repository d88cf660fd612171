"""Holds what the pages promise against what the program does."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway import config, rules, settings_help
from gateway.oplog import VERBS
from models.delivery import EventType

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted(DOCS.glob("*.md"))]
SOURCES = [path for folder in ("models", "classifiers", "connectors", "gateway") for path in sorted((ROOT / folder).rglob("*.py"))]


def read(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def test_every_setting_is_documented_with_its_default() -> None:
    page = read("configuration.md")
    for key in settings_help.every_key():
        assert key.zh, key
        assert key.en, key
        assert f"`{key.variable}`" in page
    assert settings_help.reference() in page, "run: make docs"


def test_the_page_of_settings_is_what_make_docs_writes() -> None:
    program = "import sys; sys.path.insert(0, 'docs'); import write_configuration as w; sys.stdout.write(w.page())"
    page = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    assert page == read("configuration.md"), "run: make docs"


def test_every_verb_of_the_log_is_documented() -> None:
    page = read("operations.md")
    for verb, meaning in VERBS.items():
        assert f"| `{verb}` | {meaning} |" in page


def test_every_verb_is_used_and_no_other() -> None:
    used: set[str] = set()
    for path in SOURCES:
        text = path.read_text("utf-8")
        used |= set(re.findall(r'(?:log\.write|tell)\(\s*"([A-Z]\w+)"', text)) | set(
            re.findall(r'\(\s*"([A-Z][a-zA-Z]+)",\s*(?:\{|told)', text)
        )
        used |= set(re.findall(r'"(Duplicate|Received)"', text)) | set(re.findall(r'_log\.error\("(\w+)"', text))
    assert set(VERBS) <= used, set(VERBS) - used


def test_every_event_type_and_every_key_of_a_ticket_is_documented() -> None:
    page = read("events.md")
    for kind in EventType:
        assert f"`{kind.value}`" in page
    ticket = ast.parse((ROOT / "gateway/ticket.py").read_text("utf-8"))
    functions = {node.name: node for node in ast.walk(ticket) if isinstance(node, ast.FunctionDef)}
    for name in ("ticket_json", "assignment_json"):
        returned = next(node for node in ast.walk(functions[name]) if isinstance(node, ast.Return))
        assert isinstance(returned.value, ast.Dict)
        for key in returned.value.keys:
            if isinstance(key, ast.Constant):
                assert f"`{key.value}`" in page, key.value


def test_every_metric_and_rule_has_a_sentence() -> None:
    assert len({rule.code for rule in rules.RULES}) == len(rules.RULES)
    assert all(rule.zh for rule in rules.RULES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text("utf-8")):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), target


def test_both_readmes_name_the_same_commands_and_pages() -> None:
    english, chinese = (path.read_text("utf-8") for path in PAGES[:2])

    def facts(text: str) -> set[str]:
        return (
            set(re.findall(r"docs/[\w-]+\.md", text))
            | set(re.findall(r"(?:make|[`/]jiesu) [a-z-]+", text))
            | set(re.findall(r"JIESU_\w+", text))
        )

    assert facts(english) == facts(chinese)


def test_every_command_of_the_readme_exists() -> None:
    from gateway.cli import cli

    known = {command.name or command.callback.__name__.replace("_", "-") for command in cli.registered_commands}
    known |= {group.name for group in cli.registered_groups}
    for page in PAGES:
        for command in re.findall(r"`?(?:\.venv/bin/)?jiesu ([a-z][a-z-]+)", page.read_text("utf-8")):
            # In prose the word after the name is no command; in code and after the folder it is.
            if f"`jiesu {command}" in page.read_text("utf-8") or f"bin/jiesu {command}" in page.read_text("utf-8"):
                assert command in known, f"{page.name}: jiesu {command}"


def test_every_make_target_of_the_pages_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.M))
    assert {"run", "test", "help", "bench"} <= targets
    for page in PAGES:
        for target in re.findall(r"`make ([a-z-]+)", page.read_text("utf-8")):
            assert target in targets, f"{page.name}: make {target}"


def test_references_to_the_plan_and_to_standards_have_a_form_that_can_be_searched() -> None:
    for path in SOURCES:
        for reference in re.findall(r"预案 ?([^ ，。）)“”：:;；、.]+(?:\.\d+)?)", path.read_text("utf-8")):
            if reference[0] in "一二三四五六七八" and len(reference) == 1:
                continue
            if reference[0].isdigit():
                assert re.match(r"4\.[1-5]", reference), f"{path.name}: 预案 {reference}"
        for reference in re.findall(r"RFC ?(\d+)", path.read_text("utf-8")):
            assert 500 < int(reference) < 10_000, f"{path.name}: RFC {reference}"


def test_no_page_names_a_machine() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False).stdout.decode().split("\0")
    # The words are put together here, so that this file does not find itself.
    hosts = re.compile(r"https?://[a-z.]*(?:py" + r"pi|python" + r"hosted|npm" + r"js|deb" + r"ian)\.(?:org|net)")
    for name in filter(None, listed):
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".txt", ".sh", ".html", ".js", ".css"} and path.exists():
            assert not hosts.search(path.read_text("utf-8", "replace")), name


def test_defaults_bind_to_this_machine_only(tmp_path: Path) -> None:
    settings = config.load({"JIESU_HOME": str(tmp_path)})
    assert settings.web.host == settings.smtp.host == "127.0.0.1"


def test_every_error_of_the_chat_is_documented() -> None:
    from connectors.chat_hall import ERRORS

    page = read("chat.md")
    for code in ERRORS:
        assert f"`{code}`" in page
