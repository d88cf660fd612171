"""A gateway killed with -9 while mail, chat and calls come in: the small form of `python -m benchmarks.kills`."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import kills


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_and_nothing_is_there_twice(tmp_path: Path) -> None:
    found = kills.run(tmp_path, 2, 60)
    assert (found["wrong"], found["unexplained"], found["kills"]) == ([], 0, 2)
    assert found["complaints acknowledged"] > 10
    assert found["calls dropped"] > 3
