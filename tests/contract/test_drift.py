"""Drift on both databases: weeks that are alike say nothing, and each kind of change warns with its figure."""

from __future__ import annotations

import io
import json
from datetime import datetime, timedelta

import pytest
from factories import MORNING, FakeClock
from fakes import FakeChampion, FakeClassifier
from sqlalchemy import insert

from classifiers import trained_model
from gateway import drift
from gateway.drift import Drift, stability
from gateway.metrics import Metrics
from gateway.oplog import VERBS, OperatorLog
from gateway.store import corrections, drifting
from gateway.store.engine import Store
from models.correction import Correction, Source
from models.tables import complaints, messages, submissions, verdicts
from models.verdict import ComplaintClass, Decision

QUALITY, PRICE = ComplaintClass.PRODUCT_QUALITY, ComplaintClass.PRICE
NOW = MORNING + timedelta(days=100)
LATELY, BEFORE = NOW - timedelta(days=3), NOW - timedelta(days=20)


def filled(
    store: Store, at: datetime, classes: list[ComplaintClass], *, sure: float = 0.8, model: str = "fake-1", said: str = "漏水"
) -> list[str]:
    """So many complaints with a verdict each."""
    numbers = []
    with store.write() as conn:
        for klass in classes:
            sub = conn.execute(
                insert(submissions)
                .values(
                    channel="email",
                    source_key=f"{at}{len(numbers)}{model}{said}{sure}",
                    number="x",
                    media_type="text/plain",
                    raw=b"",
                    envelope={},
                    received_at=at,
                )
                .returning(submissions.c.id)
            ).scalar_one()
            number = f"TS-{sub:06}"
            conn.execute(
                insert(complaints).values(
                    number=number, channel="email", received_at=at, state="routed", round=1, title="投诉", klass=klass.value
                )
            )
            conn.execute(
                insert(messages).values(
                    number=number, submission_id=sub, received_at=at, title="投诉", said=said, text=said, machine=False, parsed={}
                )
            )
            conn.execute(
                insert(verdicts).values(
                    number=number,
                    at=at,
                    klass=klass.value,
                    decision=Decision.AUTO.value,
                    trained_model=model,
                    body={"stated": [sure, 1 - sure, 0, 0, 0], "probabilities": {}},
                )
            )
            numbers.append(number)
    return numbers


def reviewed(store: Store, numbers: list[str], at: datetime, wrong: int, *, weight: float = 1.0) -> None:
    with store.write() as conn:
        for place, number in enumerate(numbers):
            should_be = PRICE if place < wrong else QUALITY
            correction = Correction(number, at, "王静", Source.API, QUALITY, should_be, "fake-1", "email", (0.2,) * 5, False, weight, "")
            corrections.add(conn, correction)


def measured(store: Store, clock: FakeClock | None = None, stream: io.StringIO | None = None) -> Drift:
    return Drift(store, clock or FakeClock(NOW), FakeChampion(), OperatorLog(stream=stream or io.StringIO()))


def states(report: dict) -> dict[str, str]:
    return {one["kind"]: one["state"] for one in report["figures"]}


def test_nothing_is_said_of_an_empty_store_or_of_few(store: Store) -> None:
    report = measured(store).report()
    assert set(states(report).values()) == {"too_few"}
    filled(store, LATELY, [PRICE] * 99)
    filled(store, BEFORE, [QUALITY] * 300)
    report = measured(store).report()
    assert states(report)["classes"] == "too_few"
    assert report["warnings"] == []
    assert "99" in report["figures"][0]["zh"]


def test_weeks_that_are_alike_are_steady(store: Store) -> None:
    reviewed(store, filled(store, BEFORE, [QUALITY, PRICE] * 150), BEFORE, 30)
    reviewed(store, filled(store, LATELY, [QUALITY, PRICE] * 60), LATELY, 12)
    report = measured(store).report()
    assert states(report) == {"classes": "steady", "confidence": "steady", "corrected": "steady"}
    assert report["warnings"] == []
    assert (report["days"], report["reference_days"], report["trained_model"]) == (7, 28, "fake-1")


def test_each_kind_of_change_warns_with_its_figure(store: Store) -> None:
    reviewed(store, filled(store, BEFORE, [QUALITY, PRICE, PRICE] * 100, sure=0.9), BEFORE, 15)
    reviewed(store, filled(store, LATELY, [QUALITY, QUALITY, PRICE] * 50, sure=0.7), LATELY, 30)
    report = measured(store).report()
    by_kind = {one["kind"]: one for one in report["warnings"]}
    assert set(by_kind) == {"classes", "confidence", "corrected"}
    assert by_kind["classes"]["figure"] > drift.WARNED_PSI
    assert by_kind["classes"]["lately"]["product_quality"] == pytest.approx(2 / 3, abs=0.001)
    assert "33% → 67%" in by_kind["classes"]["en"]
    assert (by_kind["confidence"]["before"], by_kind["confidence"]["lately"]) == (0.9, 0.7)
    assert (by_kind["corrected"]["before"], by_kind["corrected"]["lately"]) == (0.05, 0.2)
    assert all(one["zh"] and one["en"] for one in report["figures"])


def test_a_smaller_shift_is_only_noticed(store: Store) -> None:
    filled(store, BEFORE, [QUALITY] * 150 + [PRICE] * 150)
    filled(store, LATELY, [QUALITY] * 140 + [PRICE] * 60)
    report = measured(store).report()
    assert states(report)["classes"] == "noticed"
    assert report["warnings"] == []


def test_what_another_model_said_what_is_older_and_what_somebody_happened_upon_do_not_count(store: Store) -> None:
    filled(store, NOW - timedelta(days=60), [QUALITY] * 300)
    filled(store, BEFORE, [PRICE] * 250, model="other")
    reviewed(store, filled(store, BEFORE, [QUALITY] * 250), BEFORE, 200, weight=0.0)
    reviewed(store, filled(store, LATELY, [QUALITY] * 120), LATELY, 0)
    report = measured(store).report()
    figures = {one["kind"]: one for one in report["figures"]}
    assert (figures["classes"]["of_lately"], figures["classes"]["of_before"], figures["classes"]["state"]) == (120, 250, "steady")
    assert (figures["corrected"]["of_before"], figures["corrected"]["state"]) == (0, "too_few")


def test_words_that_the_model_does_not_know(store: Store) -> None:
    filled(store, BEFORE, [QUALITY] * 220, said="卫生间漏水没人维修")
    filled(store, LATELY, [QUALITY] * 120, said="玄铁罗盘鎏金紫檀，卫生间漏水")
    classifier = trained_model.load_shipped()

    class Shipped:
        def classifier(self) -> trained_model.LinearClassifier:
            return classifier

    report = Drift(store, FakeClock(NOW), Shipped(), OperatorLog(stream=io.StringIO())).report()
    words = next(one for one in report["figures"] if one["kind"] == "words")
    assert words["state"] == "warning"
    assert words["lately"] > words["before"] + drift.WARNED_WORDS
    assert (words["of_lately"], words["of_before"]) == (120, 220)


def test_the_log_is_told_once_a_day_and_the_gauge_says_how_far(store: Store) -> None:
    filled(store, BEFORE, [PRICE] * 300)
    filled(store, LATELY, [QUALITY] * 150)
    clock, stream = FakeClock(NOW), io.StringIO()
    looking = measured(store, clock, stream)
    metrics = Metrics()
    metrics.watch_drift(looking.gauges)
    assert b'jiesu_drift{kind="classes"}' not in metrics.text()
    for hours in (0, 1, 22.9, 0.2):
        clock.move(hours=hours)
        looking.look()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["kind"] for line in lines if line["verb"] == "Drift"] == ["classes", "classes"]
    assert lines[0]["figure"] > 1
    assert "Drift" in VERBS
    assert b'jiesu_drift{kind="classes"}' in metrics.text()


def test_looking_begins_and_ends(store: Store) -> None:
    looking = measured(store)
    looking.start()
    looking.stop()
    assert looking._thread is not None
    assert not looking._thread.is_alive()


def test_a_report_is_kept_for_a_while_and_made_anew_for_another_model(store: Store) -> None:
    clock, champion = FakeClock(NOW), FakeChampion(FakeClassifier())
    looking = Drift(store, clock, champion, OperatorLog(stream=io.StringIO()))
    looking.report()
    filled(store, LATELY, [QUALITY] * 5)
    assert looking.report()["figures"][0]["of_lately"] == 0
    clock.move(minutes=11)
    assert looking.report()["figures"][0]["of_lately"] == 5
    champion.fake.version = "fake-2"
    assert looking.report()["figures"][0]["of_lately"] == 0


def test_a_moment_is_found_by_halving(store: Store) -> None:
    with store.read() as conn:
        assert drifting.verdict_bounds(conn, [NOW]) == [1]
    for day in range(12):
        filled(store, MORNING + timedelta(days=day), [QUALITY] * 3, said=str(day))
    moments = [MORNING - timedelta(1), MORNING, MORNING + timedelta(days=4, seconds=1), MORNING + timedelta(days=11), NOW]
    with store.read() as conn:
        assert drifting.verdict_bounds(conn, moments) == [1, 1, 16, 34, 37]
        assert drifting.message_bounds(conn, moments) == [1, 1, 16, 34, 37]
        assert drifting.correction_bounds(conn, moments) == [1] * 5


def test_the_index_of_stability() -> None:
    assert stability([50, 50], [500, 500]) == pytest.approx(0, abs=1e-4)
    # By hand: (0.9 − 0.5)·ln(0.9/0.5) + (0.1 − 0.5)·ln(0.1/0.5).
    assert stability([90_000, 10_000], [50_000, 50_000]) == pytest.approx(0.8789, abs=1e-3)
    assert stability([0, 100], [100, 0]) > 5
