"""How acceptance lets the sorting wait while a burst comes in, and tells those who offered."""

from __future__ import annotations

import io
import threading
import time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from factories import FakeClock, mail, submission

from gateway.acceptance import Acceptance
from gateway.metrics import Metrics
from gateway.oplog import OperatorLog
from gateway.store import migrations
from gateway.store.engine import Store
from models.errors import TryLater
from models.submission import Receipt


@pytest.fixture
def acceptance(tmp_path: Path):
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    migrations.upgrade(store)
    made = Acceptance(store, FakeClock(), ZoneInfo("Asia/Shanghai"), OperatorLog(stream=io.StringIO()), Metrics())
    yield made
    made.close()
    store.close()


def offer_all(acceptance: Acceptance, count: int, start: int = 0) -> list[Receipt | Exception]:
    told: list[Receipt | Exception] = []
    done = threading.Event()

    def tell(answer: Receipt | Exception) -> None:
        told.append(answer)
        if len(told) == count:
            done.set()

    for n in range(start, start + count):
        acceptance.offer(submission(mail(subject=f"{n}"), key=f"k{n}"), tell)
    assert done.wait(20)
    return told


def test_everything_that_is_offered_is_told_once_and_committed_together(acceptance: Acceptance) -> None:
    told = offer_all(acceptance, 50)
    assert len({receipt.number for receipt in told if isinstance(receipt, Receipt)}) == 50
    again = offer_all(acceptance, 50)
    assert all(isinstance(receipt, Receipt) and receipt.duplicate for receipt in again)


def test_one_who_fails_when_he_is_told_takes_nobody_with_him(acceptance: Acceptance) -> None:
    def fail(_: Receipt | Exception) -> None:
        raise ZeroDivisionError

    acceptance.offer(submission(mail(), key="bad"), fail)
    assert len(offer_all(acceptance, 5)) == 5


def test_sorting_waits_during_a_burst_and_not_after_it(acceptance: Acceptance, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = threading.Event()
    begun = time.monotonic()
    acceptance.give_way(quiet)
    assert time.monotonic() - begun < 0.1
    offer_all(acceptance, 100)
    acceptance.give_way(quiet)
    assert time.monotonic() - begun > 0.15
    # A burst that does not end is not waited for longer than the limit.
    monkeypatch.setattr("gateway.acceptance._BURST_SECONDS", 60.0)
    monkeypatch.setattr("gateway.acceptance._LONGEST_WAY_SECONDS", 0.0)
    acceptance._burst_since = time.monotonic() - 1
    begun = time.monotonic()
    acceptance.give_way(quiet)
    assert time.monotonic() - begun < 0.1


def test_nothing_can_be_offered_after_the_end(acceptance: Acceptance) -> None:
    acceptance.close()
    with pytest.raises(TryLater):
        acceptance.offer(submission(mail()), lambda _: None)
