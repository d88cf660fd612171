"""A short run of the fuzzed sessions; the long one is `make fuzz`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_nothing_is_lost_slow_or_broken_in_fuzzed_sessions() -> None:
    command = [sys.executable, "tests/fuzz/smtp_sessions.py", "--sessions", "250", "--seed", "1000"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=115)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "lost 0, over 5 s 0, crashes 0" in ended.stdout
