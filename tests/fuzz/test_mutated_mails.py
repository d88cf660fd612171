"""A short run of `mutated_mails.py`, and that it would notice: a reader that loses, crashes or dawdles is told."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from fuzz.mutated_mails import golden_mails, mutated, run

from connectors import mime
from models.complaint import Parsed
from models.submission import Submission


def test_nothing_is_lost_slow_or_a_crash(tmp_path: Path) -> None:
    outcome = run(400, int(time.time()) % 100_000, tmp_path, tmp_path)
    assert (outcome.lost, outcome.slow, outcome.crashed) == ([], [], []), sorted(path.name for path in tmp_path.glob("*.eml"))
    assert outcome.mails == 400


def test_a_reader_that_crashes_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = mime.parse

    def crashing(submission: Submission) -> Parsed:
        if submission.source_key == "7":
            raise ValueError
        return read(submission)

    monkeypatch.setattr(mime, "parse", crashing)
    outcome = run(20, 1, tmp_path)
    assert set(outcome.crashed) == {7}
    assert outcome.lost == [7]


def test_the_same_seed_gives_the_same_mails() -> None:
    import random

    golden = golden_mails()
    assert [mutated(random.Random(3), golden) for _ in range(2)] == [mutated(random.Random(3), golden)] * 2
