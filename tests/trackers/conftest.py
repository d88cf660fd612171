"""The real trackers, one of each for all tests of a run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import tracker_rigs
from tracker_rigs import INSTALL, REDMINE_HOME, RT_SERVER, Rig


@pytest.fixture(scope="session")
def redmine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A real Redmine 5."""
    if not (REDMINE_HOME / "config.ru").exists():
        pytest.skip(f"no Redmine that can be run here; {INSTALL}")
    rig = tracker_rigs.redmine(tmp_path_factory.mktemp("redmine"))
    yield rig
    rig.stop()


@pytest.fixture(scope="session")
def request_tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A real Request Tracker 5."""
    if not RT_SERVER.exists():
        pytest.skip(f"no Request Tracker that can be run here; {INSTALL}")
    rig = tracker_rigs.request_tracker(tmp_path_factory.mktemp("rt"))
    yield rig
    rig.stop()
