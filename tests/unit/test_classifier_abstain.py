"""Routed alone, or put to a person."""

from __future__ import annotations

import numpy as np
import pytest

from classifiers.abstain import alone, auto_threshold, rule, secondary_of, secondary_thresholds, set_thresholds, temperature
from classifiers.scores import softmax
from models.verdict import ComplaintClass, Decision

SURE = np.array([0.01, 0.02, 0.95, 0.01, 0.01])


def test_a_sure_text_is_routed_alone() -> None:
    ruling = rule(SURE, 0.9, anything=True)
    assert (ruling.primary, ruling.decision, ruling.code) == (ComplaintClass.CONTRACT, Decision.AUTO, "sure")


def test_an_unsure_text_goes_to_a_person_with_the_two_likeliest() -> None:
    ruling = rule(np.array([0.4, 0.05, 0.45, 0.05, 0.05]), 0.9, anything=True)
    assert (ruling.decision, ruling.code) == (Decision.REVIEW, "unsure")
    assert ruling.candidates == (ComplaintClass.CONTRACT, ComplaintClass.PRODUCT_QUALITY)


def test_what_is_no_complaint_is_never_routed_alone() -> None:
    ruling = rule(np.array([0.01, 0.01, 0.005, 0.005, 0.97]), 0.9, anything=True)
    assert (ruling.primary, ruling.decision, ruling.code) == (ComplaintClass.OTHER, Decision.REVIEW, "unsure")


def test_a_text_without_a_known_word_is_never_sure() -> None:
    ruling = rule(SURE, 0.9, anything=False)
    assert (ruling.decision, ruling.code) == (Decision.REVIEW, "nothing_to_go_by")


def sample(texts: int, error: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    labels = rng.integers(0, 5, texts)
    scores = rng.normal(0, 1, (texts, 5))
    scores[np.arange(texts), np.where(rng.random(texts) < error, (labels + 1) % 5, labels)] += 4
    return scores, labels


def test_temperature_takes_back_what_scores_exaggerate() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 2, (4000, 5))
    labels = np.array([rng.choice(5, p=chances) for chances in softmax(scores, 1.0)])
    assert temperature(scores * 3, labels) == pytest.approx(3.0, rel=0.1)


def test_the_threshold_keeps_errors_below_half_the_tolerated_rate() -> None:
    rng = np.random.default_rng(1)
    scores, labels = sample(5000, 0.02, rng)
    chances = softmax(scores, 1.0)
    threshold = auto_threshold(chances, labels, tolerated=0.05)
    routed = alone(chances, threshold)
    assert routed.any()
    assert (chances.argmax(axis=1) != labels)[routed].mean() <= 0.025


def test_nothing_is_routed_alone_where_no_threshold_is_good_enough() -> None:
    rng = np.random.default_rng(2)
    scores, labels = sample(500, 0.5, rng)
    assert auto_threshold(softmax(scores, 1.0), labels) > 1


def test_few_texts_prove_nothing() -> None:
    chances = np.tile(SURE, (20, 1))
    assert auto_threshold(chances, np.full(20, 2)) > 1


def test_secondary_classes_are_named_in_order_and_never_the_primary() -> None:
    thresholds = [0.0, 0.0, 0.0, 0.0, 99.0]
    scores = np.array([2.0, 0.5, 3.0, 1.0, 9.0])
    assert secondary_of(scores, thresholds, ComplaintClass.CONTRACT) == (
        ComplaintClass.PRODUCT_QUALITY,
        ComplaintClass.PRICE,
        ComplaintClass.SERVICE_ATTITUDE,
    )
    assert secondary_of(scores, thresholds, ComplaintClass.OTHER) == ()


def test_secondary_thresholds_part_the_labelled_from_the_rest() -> None:
    scores = np.full((40, 5), -1.5)
    truth = np.zeros((40, 5), dtype=int)
    truth[:10, 1] = 1
    scores[:10, 1] = 0.55
    thresholds = secondary_thresholds(scores, truth, np.zeros(40, dtype=int))
    assert -1.5 <= thresholds[1] < 0.6
    assert thresholds[4] == 99.0


def test_a_text_whose_set_holds_two_classes_goes_to_a_person() -> None:
    chances = np.array([0.02, 0.03, 0.9, 0.04, 0.01])
    alone_in_it = [0.1, 0.1, 0.1, 0.1, 0.1]
    assert rule(chances, 0.8, anything=True, least=alone_in_it).decision is Decision.AUTO
    assert rule(chances, 0.8, anything=True, least=[0.1, 0.1, 0.1, 0.03, 0.1]).decision is Decision.REVIEW
    # The likeliest class itself may be too unlikely for its class.
    assert rule(chances, 0.8, anything=True, least=[0.1, 0.1, 0.95, 0.1, 0.1]).decision is Decision.REVIEW


def test_one_text_is_ruled_as_many_are() -> None:
    rng = np.random.default_rng(3)
    scores, labels = sample(2000, 0.1, rng)
    chances = softmax(scores, 1.0)
    least = set_thresholds(chances, labels)
    routed = alone(chances, 0.8, least)
    assert routed.any()
    assert [rule(row, 0.8, anything=True, least=least).decision is Decision.AUTO for row in chances] == routed.tolist()


@pytest.mark.parametrize("tolerated", [0.02, 0.05, 0.2])
def test_sets_hold_the_label_of_new_texts_of_every_class_as_often_as_promised(tolerated: float) -> None:
    rng = np.random.default_rng(4)
    seen, new = sample(20_000, 0.1, rng), sample(20_000, 0.1, rng)
    least = np.array(set_thresholds(softmax(seen[0], 1.0), seen[1], tolerated))
    chances = softmax(new[0], 1.0)
    for place in range(5):
        own = chances[new[1] == place]
        assert (own[:, place] < least[place]).mean() <= tolerated


def test_a_class_with_few_texts_is_in_every_set() -> None:
    chances, labels = np.tile(SURE, (10, 1)), np.full(10, 2)
    assert set_thresholds(chances, labels) == [0.0] * 5
