"""A tracker that loses answers and refuses events, four nodes that hand over to it: each complaint is there once, its events in order."""

from __future__ import annotations

from pathlib import Path

from benchmarks import lossy


def test_each_exactly_once_and_in_order(tmp_path: Path) -> None:
    found = lossy.run(tmp_path, 100, seed=7)
    assert (found["wrong"], found["left"], found["parked"]) == ([], 0, 0)
    # It was hard indeed: more was sent than there is, and some of it twice.
    assert found["sends"] > found["events"]
    assert found["repeats known by their id"] > 0
