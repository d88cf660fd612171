"""Holds the import law of docs/architecture.md: who may know whom, and where each library lives."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("models", "classifiers", "connectors", "gateway")
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for folder in OURS
    for path in sorted((ROOT / folder).rglob("*.py"))
}
STEPS = ("gateway.intake", "gateway.triage", "gateway.check_sender", "gateway.deliver", "gateway.answer", "gateway.notify")
# What steps and the records they make may know of the house.
STEP_FRIENDS = (
    "gateway.store",
    "gateway.rules",
    "gateway.plan",
    "gateway.flow",
    "gateway.ticket",
    "gateway.metrics",
    "gateway.oplog",
    "gateway.call_records",
    "gateway.call_joining",
    "gateway.reopening",
    "gateway.correspondence",
    "gateway.announcing",
    "gateway.circuit",
)

# Each library has one home; elsewhere it is not imported.
HOMES: dict[str, tuple[str, ...]] = {
    "aiosmtplib": ("gateway.mailer",),
    "imapclient": ("connectors.imap",),
    "aiosmtpd": ("connectors.smtp", "connectors.smtp_connection"),
    "dns": ("connectors.dns_lookup",),
    "dkim": ("connectors.mail_authenticity",),
    "watchfiles": ("connectors.phone_drop",),
    "obstore": ("connectors.bucket",),
    "chardet": ("connectors",),
    "jieba": ("classifiers.segmenters",),
    "rjieba": ("classifiers.segmenters",),
    "pypinyin": ("classifiers.comparison",),
    "sklearn": ("classifiers",),
    "skops": ("classifiers.stored",),
    "ahocorasick_rs": ("classifiers.facets",),
    "aiohttp": ("gateway.http_client",),
    "aio_pika": ("gateway.rabbitmq",),
    "aiormq": ("gateway.rabbitmq",),
    "structlog": ("gateway.oplog",),
    "argon2": ("gateway.staffing", "gateway.relays"),
    "prometheus_client": ("gateway.metrics",),
    "pydantic": (
        "gateway.config",
        "gateway.sections",
        "gateway.sections_chat",
        "gateway.sections_handoff",
        "gateway.sections_mail",
        "gateway.sections_mailbox",
        "gateway.sections_phone",
        "gateway.sections_robots",
    ),
    "openpyxl": ("gateway.spreadsheets",),
    "alembic": ("gateway.store.migrations",),
    "sqlalchemy": (
        "models.tables",
        "models.columns",
        "gateway.store",
        "gateway.announcing",
        "gateway.statuses",
        *STEPS,
        "gateway.flow",
        "gateway.worker",
        "gateway.acceptance",
        "gateway.answering",
        "gateway.joining",
        "gateway.bounces",
        "gateway.call_records",
        "gateway.noticing",
        "gateway.notice_watch",
        "gateway.erasing",
    ),
    "typer": (
        "gateway.cli",
        "gateway.questions",
        "gateway.staff",
        "gateway.people",
        "gateway.learning",
        "gateway.examples_cli",
        "gateway.first_look_cli",
        "gateway.calls",
        "gateway.templates_cli",
        "gateway.mailboxes_cli",
        "gateway.handoff_cli",
        "gateway.robots_cli",
        "gateway.erasing_cli",
    ),
    "rich": (
        "gateway.cli",
        "gateway.staff",
        "gateway.people",
        "gateway.terminal",
        "gateway.learning",
        "gateway.examples_cli",
        "gateway.first_look_cli",
        "gateway.calls",
        "gateway.templates_cli",
        "gateway.mailboxes_cli",
        "gateway.handoff_cli",
        "gateway.robots_cli",
        "gateway.erasing_cli",
    ),
    "uvicorn": ("gateway.serve", "gateway.devtracker"),
    "uvloop": ("gateway.serve", "gateway.acceptor"),
    "fastapi": ("gateway.web",),
    "starlette": ("gateway.web", "gateway.devtracker", "gateway.devtracker_tickets", "connectors.web_chat"),
    "jinja2": ("gateway.web", "gateway.devtracker"),
    "websockets": ("gateway.samples",),
    "anyio": (
        "connectors.smtp",
        "connectors.phone_drop",
        "connectors.bucket",
        "connectors.chat_hall",
        "gateway.web",
        "gateway.serve",
        "gateway.devtracker",
        "gateway.relays",
    ),
}


def imports_of(module: str) -> Iterator[str]:
    """Everything that a module imports, also inside functions; `from a import b` counts as a.b where that is a module of ours."""
    for node in ast.walk(ast.parse(MODULES[module].read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{module}: relative imports hide who knows whom"
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                yield whole if whole in MODULES else node.module


def within(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(place + ".") for place in places)


def top(module: str) -> str:
    return module.partition(".")[0]


def foreign(module: str) -> set[str]:
    return {top(name) for name in imports_of(module)} - set(sys.stdlib_module_names) - set(OURS)


def ours(module: str) -> set[str]:
    return {name for name in imports_of(module) if top(name) in OURS}


@pytest.mark.parametrize("module", [m for m in MODULES if within(m, ("models",))])
def test_models_know_only_the_standard_library(module: str) -> None:
    assert {top(name) for name in ours(module)} <= {"models"}
    assert foreign(module) <= ({"sqlalchemy"} if within(module, ("models.tables", "models.columns")) else set())


@pytest.mark.parametrize("module", [m for m in MODULES if within(m, ("classifiers",))])
def test_classifiers_know_texts_only(module: str) -> None:
    assert {top(name) for name in ours(module)} <= {"models", "classifiers"}
    assert not {name for name in ours(module) if within(name, ("models.tables",))}
    assert foreign(module) <= {"jieba", "rjieba", "pypinyin", "sklearn", "numpy", "scipy", "skops", "ahocorasick_rs"}


@pytest.mark.parametrize("module", [m for m in MODULES if within(m, ("connectors",))])
def test_connectors_know_neither_the_house_nor_their_siblings(module: str) -> None:
    doors = {"connectors.smtp", "connectors.mailbox", "connectors.web_chat", "connectors.phone_drop", "connectors.bucket"}
    assert {top(name) for name in ours(module)} <= {"models", "connectors"}
    assert not {name for name in ours(module) if within(name, ("models.tables",))}
    assert not {name for name in ours(module) if within(name, tuple(doors - {module}))}


@pytest.mark.parametrize("module", [m for m in MODULES if within(m, ("gateway.store",))])
def test_the_store_knows_only_records(module: str) -> None:
    assert all(within(name, ("models", "gateway.store")) for name in ours(module))
    assert foreign(module) <= {"sqlalchemy", "alembic"}


@pytest.mark.parametrize("module", STEPS)
def test_steps_never_know_one_another(module: str) -> None:
    assert all(within(name, ("models", "classifiers.base", *STEP_FRIENDS)) for name in ours(module))


@pytest.mark.parametrize("module", list(MODULES))
def test_only_web_serve_and_command_line_know_the_wiring(module: str) -> None:
    commands = (
        "gateway.cli",
        "gateway.questions",
        "gateway.staff",
        "gateway.people",
        "gateway.learning",
        "gateway.examples_cli",
        "gateway.first_look_cli",
        "gateway.calls",
        "gateway.templates_cli",
        "gateway.mailboxes_cli",
        "gateway.handoff_cli",
        "gateway.robots_cli",
        "gateway.erasing_cli",
        "gateway.operating",
    )
    if not within(module, ("gateway.bootstrap", "gateway.web", "gateway.serve", *commands)):
        assert not {name for name in ours(module) if within(name, ("gateway.bootstrap", "gateway.web", "gateway.serve", "gateway.cli"))}
    if module == "gateway.bootstrap":
        assert not {name for name in ours(module) if within(name, ("gateway.web", "gateway.serve", "gateway.cli"))}


@pytest.mark.parametrize("module", list(MODULES))
def test_each_library_is_at_home_in_one_place(module: str) -> None:
    for library in foreign(module):
        if library in HOMES:
            assert within(module, HOMES[library]), f"{library} is at home in {HOMES[library]}, not in {module}"


@pytest.mark.parametrize("module", list(MODULES))
def test_the_environment_and_the_clock_have_one_home(module: str) -> None:
    text = MODULES[module].read_text("utf-8")
    if module not in ("gateway.config", "gateway.up", "gateway.cli"):
        assert "os.environ" not in text
        assert "getenv" not in text
    if module not in ("gateway.clock", "gateway.devtracker"):
        assert "datetime.now" not in text
        assert "utcnow" not in text


@pytest.mark.parametrize("module", list(MODULES))
def test_no_room_grows_past_its_walls(module: str) -> None:
    lines = len(MODULES[module].read_text("utf-8").splitlines())
    assert lines <= 420, f"{module} has {lines} lines: is it still one room?"
    assert not module.rpartition(".")[2].endswith(("utils", "helpers", "manager"))


@pytest.mark.parametrize("module", list(MODULES))
def test_every_module_says_what_it_is_for(module: str) -> None:
    text = MODULES[module].read_text("utf-8")
    if text.strip() and not within(module, ("gateway.store.migrations.versions",)):
        said = ast.get_docstring(ast.parse(text))
        assert said
        assert len(said) > 20


def test_no_pickle_is_ever_loaded() -> None:
    for module in MODULES:
        assert not {"pickle", "joblib", "marshal", "shelve", "dill"} & {top(name) for name in imports_of(module)}


def test_every_package_is_named_for_the_installation() -> None:
    named = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    there = {module for module, path in MODULES.items() if path.name == "__init__.py"}
    assert there == named


def test_tests_are_no_package() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []
