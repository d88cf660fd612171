"""The drop folder of a real gateway that is killed in the middle: nothing lost, nothing doubled (`benchmarks.drop_kills`, smaller)."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import drop_kills


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_gateway_killed_three_times_takes_every_file_once(tmp_path: Path) -> None:
    found = drop_kills.run(tmp_path / "home", 300, kills=3, patience_seconds=100)
    assert (found.taken, found.lost, found.doubled, found.left, found.complaints) == (300, 0, 0, 0, 300), found
