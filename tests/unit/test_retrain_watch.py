"""When a retraining is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gateway.retrain_watch import BY_COUNT, NIGHTLY, due
from gateway.sections import Learning
from gateway.store.retrainings import Retraining

ZONE = ZoneInfo("Asia/Shanghai")
# Three in the morning in Shanghai.
NIGHT = datetime(2026, 11, 23, 19, 10, tzinfo=UTC)


def last(at: datetime) -> Retraining:
    return Retraining(1, "done", at, "甲", "done", 1.0, None, None, at, None, None)


@pytest.mark.parametrize(
    ("settings", "fresh", "before", "now", "by"),
    [
        (Learning(), 199, None, NIGHT, None),
        (Learning(), 200, None, NIGHT, BY_COUNT),
        (Learning(retrain_after=0), 5000, None, NIGHT, None),
        (Learning(nightly_hour=3), 1, None, NIGHT, NIGHTLY),
        (Learning(nightly_hour=3), 0, None, NIGHT, None),
        (Learning(nightly_hour=3), 1, NIGHT - timedelta(minutes=5), NIGHT, None),
        (Learning(nightly_hour=3), 1, NIGHT - timedelta(days=1), NIGHT, NIGHTLY),
        (Learning(nightly_hour=4), 1, None, NIGHT, None),
    ],
)
def test_by_count_and_nightly_once_an_hour(settings: Learning, fresh: int, before: datetime | None, now: datetime, by: str | None) -> None:
    assert due(settings, fresh, None if before is None else last(before), now, ZONE) == by
