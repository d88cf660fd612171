"""Figures of labelled sets, on sets small enough to count by hand."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from classifiers.evaluate import calibration_error, figures

CHANCES = np.array(
    [
        [0.90, 0.05, 0.03, 0.01, 0.01],
        [0.20, 0.60, 0.10, 0.05, 0.05],
        [0.10, 0.10, 0.30, 0.40, 0.10],
        [0.30, 0.05, 0.05, 0.10, 0.50],
    ]
)
LABELS = np.array([0, 1, 2, 0])
AUTO = np.array([True, False, True, False])


def test_counts_what_is_right() -> None:
    none: frozenset[int] = frozenset()
    secondary = [(frozenset({1}), frozenset({1})), (none, frozenset({2})), (frozenset({3}), none), (none, none)]
    made = figures(CHANCES, LABELS, AUTO, secondary)
    assert made.texts == 4
    assert made.accuracy == 0.5
    assert made.top_two == 1.0
    # The last text's best class is `other`; among the four it is right.
    assert made.four_class == 0.75
    assert made.auto_share == 0.5
    assert made.auto_error == 0.5
    assert made.lenient == 0.75
    assert made.secondary_f1 == pytest.approx(0.5)
    assert made.confusion[2] == (0, 0, 0, 1, 0)


def test_classes_that_nobody_has_do_not_lower_the_mean() -> None:
    assert figures(CHANCES[:2], LABELS[:2], AUTO[:2]).macro_f1 == 1.0


def test_an_empty_set_has_figures_too() -> None:
    empty = figures(np.zeros((0, 5)), np.zeros(0, dtype=int), np.zeros(0, dtype=bool))
    assert empty.texts == 0
    assert empty.accuracy == 0.0


def test_calibration_error_is_how_far_the_promise_is_off() -> None:
    sure = np.array([[0.8, 0.05, 0.05, 0.05, 0.05]] * 10)
    assert calibration_error(sure, np.array([0] * 8 + [1] * 2)) == pytest.approx(0.0)
    assert calibration_error(sure, np.array([1] * 10)) == pytest.approx(0.8)


def test_figures_can_be_stored_and_read() -> None:
    made = figures(CHANCES, LABELS, AUTO)
    assert json.loads(json.dumps(made.as_json()))["texts"] == 4
    assert re.search(r"准确率 +0\.500", made.table())
    assert "产品质量" in made.table()
