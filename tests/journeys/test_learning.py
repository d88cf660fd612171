"""The learning loop in real processes: commands, a gateway that begins what waits, a killed retraining, promotion without a restart."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes import eventually

from classifiers import corpus
from gateway import bootstrap, config
from gateway.store import examples, retrainings
from gateway.store.engine import Store
from gateway.store.examples import ExampleRow

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture
def environment(tmp_path: Path, store_url: str) -> dict[str, str]:
    given = {"JIESU_HOME": str(tmp_path / "home"), "JIESU_STORE_URL": store_url, "JIESU_TRACKER_URL": "", "PYTHONPATH": str(ROOT)}
    return {**os.environ, **given, "JIESU_SMTP_PORT": "0", "JIESU_WEB_PORT": "0"}


def jiesu(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "gateway.cli", *arguments], env=environment, capture_output=True, text=True, timeout=110
    )


# What processes do to one another does not depend on the database, whose leases are tested in contract/test_learning_loop.py.
on_sqlite = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


@pytest.fixture
def taught(environment: dict[str, str]) -> Iterator[Store]:
    """A store with examples to learn from."""
    store = bootstrap.open_store(config.load(environment))
    now = datetime.now(UTC)
    rows = [
        ExampleRow(
            0,
            examples.CORRECTION,
            f"TS-{n}",
            f"TS-{n}",
            "console",
            one.query.channel,
            one.query.title,
            one.query.said,
            one.primary,
            (),
            "王静",
            now + timedelta(seconds=n),
            False,
            None,
        )
        for n, one in enumerate(corpus.shipped_corpus()[::20])
    ]
    with store.write() as conn:
        examples.put_all(store, conn, rows)
    yield store
    store.close()


@pytest.fixture
def gateway(environment: dict[str, str], taught: Store, tmp_path: Path) -> Iterator[Path]:
    """A running gateway; its log."""
    told = tmp_path / "gateway.log"
    with told.open("wb") as log:
        program = subprocess.Popen([sys.executable, "-m", "gateway.cli", "serve"], env=environment, stdout=log, stderr=log)
    try:
        eventually(lambda: '"Started"' in told.read_text("utf-8"), seconds=40)
        yield told
    finally:
        program.send_signal(signal.SIGTERM)
        program.wait(30)


def newest(store: Store) -> retrainings.Retraining:
    with store.read() as conn:
        return retrainings.last(conn)[0]


def test_the_commands_from_asking_to_going_back(environment: dict[str, str], taught: Store) -> None:
    nothing = jiesu(environment, "trained", "rollback")
    assert nothing.returncode == 1
    assert "无法退回" in nothing.stderr
    assert "nothing to go back to" in nothing.stderr
    done = jiesu(environment, "retrain", "--wait", "--by", "王静")
    assert done.returncode == 0, done.stderr
    assert "把关" in done.stdout
    assert "the gate" in done.stdout
    listed: dict[str, Any] = json.loads(jiesu(environment, "trained", "list", "--json").stdout)
    assert listed["retraining"] is None
    states = {one["state"]: one["version"] for one in listed["models"]}
    made = states.get("candidate") or states["rejected"]
    shown = jiesu(environment, "trained", "show", made)
    assert "黄金集" in shown.stdout
    assert "golden set" in shown.stdout
    assert json.loads(jiesu(environment, "trained", "show", made, "--json").stdout)["gate"]["against"] == states["champion"]
    promoted = jiesu(environment, "trained", "promote", made, "--anyway", "演练")
    assert promoted.returncode == 0, promoted.stderr
    back = jiesu(environment, "trained", "rollback")
    assert back.returncode == 0, back.stderr
    assert states["champion"] in back.stdout
    unknown = jiesu(environment, "trained", "promote", "nobody")
    assert unknown.returncode == 1
    assert "没有版本为 nobody 的训练模型" in unknown.stderr


def test_a_running_gateway_begins_what_waits_and_goes_on_answering(environment: dict[str, str], taught: Store, gateway: Path) -> None:
    asked = jiesu(environment, "retrain", "--by", "王静")
    assert asked.returncode == 0, asked.stderr
    eventually(lambda: newest(taught).state == "done", seconds=80)
    assert newest(taught).version
    assert '"Fault"' not in gateway.read_text("utf-8")


@on_sqlite
def test_a_killed_retraining_is_told_at_once_and_another_can_be_asked_for(
    environment: dict[str, str], taught: Store, gateway: Path
) -> None:
    jiesu(environment, "retrain", "--by", "王静")
    eventually(lambda: newest(taught).state == "running", seconds=40)
    name = newest(taught).leased_by
    (pid,) = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and name and name.encode() in _command(entry)]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: newest(taught).state == "failed", seconds=15)
    assert (newest(taught).outcome or {})["code"] == "runner_died"
    models = json.loads(jiesu(environment, "trained", "list", "--json").stdout)["models"]
    assert [one["state"] for one in models] == ["champion"]
    assert jiesu(environment, "retrain").returncode == 0


@on_sqlite
def test_a_gateway_that_ends_takes_its_retraining_along(environment: dict[str, str], taught: Store, tmp_path: Path) -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", "serve"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        eventually(lambda: (Path(environment["JIESU_HOME"]) / "log").parent.exists(), seconds=30)
        with taught.write() as conn:
            retrainings.ask(taught, conn, "王静", datetime.now(UTC))
        eventually(lambda: newest(taught).state == "running", seconds=60)
        program.send_signal(signal.SIGTERM)
        assert program.wait(40) == 0
    finally:
        program.kill()
        program.wait()
    time.sleep(0.2)
    assert (newest(taught).state, (newest(taught).outcome or {}).get("code")) == ("failed", "stopped")


def _command(entry: Path) -> bytes:
    try:
        return (entry / "cmdline").read_bytes()
    except OSError:
        return b""
