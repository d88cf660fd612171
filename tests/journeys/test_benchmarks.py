"""`make bench` works: every measurement can be taken and says what it is of. No figure is judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import postfix

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_every_measurement_can_be_taken(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "smtp", "classify", "learning", "journey", "start", "--quick", "--json", str(file)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=115)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(file.read_text("utf-8"))
    assert {row["group"] for row in told["rows"]} >= {"SMTP", "classify", "journey"}
    assert all(row["what"] and row["unit"] and row["value"] >= 0 for row in told["rows"])
    assert told["quick"] is True


@pytest.mark.slow
def test_the_door_is_measured_beside_postfix_and_loses_nothing(tmp_path: Path) -> None:
    refusal = postfix.why_not()
    if refusal is not None:
        pytest.skip(f"no Postfix can be run here: {refusal}")
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "doors", "--quick", "--json", str(file)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=115)
    assert ended.returncode == 0, ended.stderr
    rows = {row["what"]: row["value"] for row in json.loads(file.read_text("utf-8"))["rows"]}
    assert [value for what, value in rows.items() if "not in the store" in what] == [0, 0, 0]
    assert rows["Postfix, into its queue; kept connections"] > 0
