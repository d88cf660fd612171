"""A first look ends when it is asked to, even where a library swallowed the interruption."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from gateway import config
from gateway.up import Up


def test_an_interruption_that_was_swallowed_is_noticed_at_the_next_look(tmp_path: Path) -> None:
    both = Up(config.load({"JIESU_HOME": str(tmp_path)}))
    with pytest.raises(KeyboardInterrupt):
        both.end(signal.SIGHUP, None)
    # Whoever caught it did not tell.
    with pytest.raises(KeyboardInterrupt):
        both.wait()
