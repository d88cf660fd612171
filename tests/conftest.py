"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import dovecot
import migrated
import postgres
import pytest
import rabbitmq

from gateway.store import migrations
from gateway.store.engine import Store

_databases = itertools.count(1)
# The real trackers take a while to start: `make test-trackers`.
collect_ignore = [] if os.environ.get("REAL_TRACKERS") else ["trackers"]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Where everything is installed, a skipped test is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if os.environ.get("NOTHING_MAY_BE_SKIPPED") and skipped:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.write_line(f"{len(skipped)} tests were skipped, and NOTHING_MAY_BE_SKIPPED is set", red=True)


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    """The command line changes it for the whole process, and the programs of the next test could not read what they are given."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a real PostgreSQL server, without a database name."""
    binaries = postgres.find()
    if binaries is None:
        pytest.skip(f"no PostgreSQL that can be run here; install one with: {postgres.HOW_TO_INSTALL}")
    with postgres.running(binaries) as url:
        yield url


@pytest.fixture(scope="session")
def mail_server() -> Iterator[dovecot.Dovecot]:
    """A real Dovecot; whoever logs in has a mailbox of his own there."""
    program = dovecot.find()
    if program is None:
        pytest.skip(f"no Dovecot 2.3 that can be run here; install one with: {dovecot.HOW_TO_INSTALL}")
    with dovecot.running(program) as server:
        yield server


@pytest.fixture(scope="session")
def message_broker() -> Iterator[rabbitmq.RabbitMq]:
    """A real RabbitMQ."""
    programs = rabbitmq.find()
    if programs is None:
        pytest.skip(f"no RabbitMQ that can be run here; install one with: {rabbitmq.HOW_TO_INSTALL}")
    with rabbitmq.running(programs) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """The URL of a fresh, empty database."""
    import psycopg

    name = f"t{next(_databases)}"
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}")
    return f"{postgres_server}/{name}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """A migrated store, of each kind in turn."""
    migrated.put(store_url)
    opened = Store(store_url)
    migrations.upgrade(opened)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _every_event_holds_to_its_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test makes the gateway emit is judged before it is kept."""
    from event_schemas_check import judge

    from gateway import announcing

    real = announcing.Announcer.announce

    def announce(self, conn, event):
        judge(event.payload)
        real(self, conn, event)

    monkeypatch.setattr(announcing.Announcer, "announce", announce)
