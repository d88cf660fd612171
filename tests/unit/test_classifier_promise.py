"""The promise: thresholds follow what staff has reviewed, per class and channel, and never past what is tolerated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers import promise, stream
from classifiers.promise import ANYWHERE, Basis, Policy, Reviewed
from classifiers.scores import CLASSES
from models.verdict import ComplaintClass, Decision

QUALITY, OTHER = ComplaintClass.PRODUCT_QUALITY, ComplaintClass.OTHER
LEAST = (0.3, 0.3, 0.3, 0.3, 0.3)


def shipped(tolerated: float = 0.05) -> Policy:
    return promise.shipped_policy(0.95, LEAST, tolerated)


def chances(sure: float, name: ComplaintClass = QUALITY) -> tuple[float, ...]:
    rest = (1 - sure) / (len(CLASSES) - 1)
    return tuple(sure if one is name else rest for one in CLASSES)


def reviewed(sure: float, many: int, wrong: int = 0, channel: str = "email") -> list[Reviewed]:
    right = [Reviewed(channel, chances(sure), QUALITY)] * (many - wrong)
    return right + [Reviewed(channel, chances(sure), ComplaintClass.CONTRACT)] * wrong


def alone(policy: Policy, sure: float, channel: str | None = "email", name: ComplaintClass = QUALITY) -> bool:
    return policy.rule(policy.calibrated(chances(sure, name), channel), channel).decision is Decision.AUTO


def test_a_new_installation_is_cautious_and_says_so() -> None:
    assert shipped().cautious
    assert alone(shipped(), 0.96)
    assert not alone(shipped(), 0.94)


def test_who_tolerates_less_starts_with_less() -> None:
    strict = shipped(0.01)
    assert not alone(strict, 0.96)
    assert alone(strict, 0.995)


@pytest.mark.parametrize("tolerated", [0.005, 0.01, 0.05, 0.2, 0.5])
def test_without_reviews_everything_stays_as_shipped(tolerated: float) -> None:
    now = promise.policy([], shipped(tolerated), ["email"])
    assert now.cautious
    first = shipped(tolerated).thresholds[ANYWHERE, QUALITY].probability
    assert {one.probability for one in now.thresholds.values()} == {first}


def test_right_answers_lower_the_threshold_of_their_class_and_of_no_other() -> None:
    now = promise.policy(reviewed(0.8, 120), shipped(), ["email", "chat"])
    assert not now.cautious
    assert alone(now, 0.85)
    assert not alone(now, 0.85, name=ComplaintClass.PRICE)
    assert not alone(now, 0.7)


def test_reviews_of_one_class_and_channel_widen_no_other() -> None:
    evidence = [
        Reviewed("email", chances(sure, ComplaintClass.CONTRACT), ComplaintClass.CONTRACT) for sure in np.linspace(0.5, 0.95, 250).tolist()
    ]
    now = promise.policy(evidence, shipped(), ["email", "chat"])
    assert alone(now, 0.9, name=ComplaintClass.CONTRACT)
    for channel in ("email", "chat"):
        for name in (QUALITY, ComplaintClass.PRICE, ComplaintClass.SERVICE_ATTITUDE):
            assert [alone(now, sure, channel, name) for sure in (0.75, 0.9, 0.94, 0.96)] == [False, False, False, True]


def test_too_few_right_answers_lower_nothing() -> None:
    now = promise.policy(reviewed(0.8, 20), shipped(), ["email"])
    assert now.cautious
    assert not alone(now, 0.85)


def test_a_class_that_errs_too_often_is_not_widened() -> None:
    now = promise.policy(reviewed(0.8, 120, wrong=12), shipped(), ["email"])
    assert not alone(now, 0.85)
    assert alone(now, 0.96)


def test_mistakes_among_the_surest_take_back_what_shipped() -> None:
    now = promise.policy(reviewed(0.97, 60, wrong=15), shipped(), ["email"])
    assert not alone(now, 0.97)
    threshold = now.thresholds["email", QUALITY]
    assert (threshold.basis, threshold.reviewed, threshold.wrong) == (Basis.CHANNEL, 60, 0)


def test_a_channel_that_errs_is_narrowed_by_itself() -> None:
    evidence = reviewed(0.97, 500) + reviewed(0.97, 60, wrong=15, channel="phone")
    now = promise.policy(evidence, shipped(), ["email", "phone"])
    assert alone(now, 0.97, "email")
    assert not alone(now, 0.97, "phone")


def test_an_unknown_channel_is_decided_as_anywhere() -> None:
    now = promise.policy(reviewed(0.8, 120), shipped(), ["email"])
    assert alone(now, 0.85, None)
    assert alone(now, 0.85, "letter")


def test_no_complaint_is_never_routed_alone() -> None:
    evidence = [Reviewed("email", chances(0.99, OTHER), OTHER)] * 500
    now = promise.policy(evidence, shipped(), ["email"])
    assert not alone(now, 0.999, name=OTHER)


def test_probabilities_are_calibrated_on_enough_reviews() -> None:
    # Stated 0.95, right in six of ten: the model is far too sure of itself here.
    now = promise.policy(reviewed(0.95, 400, wrong=160), shipped(), ["email"])
    assert max(now.calibrated(chances(0.95), "email")) == pytest.approx(0.6, abs=0.08)
    assert sum(now.calibrated(chances(0.95), "email")) == pytest.approx(1)


def test_only_the_newest_reviews_count() -> None:
    old = reviewed(0.97, 100, wrong=50)
    new = reviewed(0.97, promise.NEWEST)
    assert alone(promise.policy(old + new, shipped(), ["email"]), 0.97)
    assert not alone(promise.policy(new[:1] + old, shipped(), ["email"]), 0.97)


def test_the_sample_is_even_fixed_and_larger_while_little_is_known() -> None:
    numbers = [f"TS-20261124-{n:04d}" for n in range(4000)]
    picked = [number for number in numbers if promise.is_audited(number, promise.AUDITED)]
    assert 150 < len(picked) < 250
    assert picked == [number for number in numbers if promise.is_audited(number, promise.AUDITED)]
    assert shipped().audited(QUALITY, "email") > promise.AUDITED
    known = promise.policy(reviewed(0.97, 100), shipped(), ["email"])
    assert known.audited(QUALITY, "email") == promise.AUDITED


@pytest.mark.parametrize(
    ("audited", "wrong", "broken"),
    [(0, 0, False), (1, 1, False), (2, 2, False), (10, 1, False), (100, 4, False), (100, 20, True), (30, 9, True)],
)
def test_the_check_on_the_sample_tells_a_broken_promise_from_chance(audited: int, wrong: int, broken: bool) -> None:
    assert promise.kept(audited, wrong, 0.05).broken is broken


def test_the_same_reviews_give_the_same_policy() -> None:
    evidence = reviewed(0.8, 120, wrong=3) + reviewed(0.97, 50, channel="chat")
    assert promise.policy(evidence, shipped(), ["chat"]) == promise.policy(evidence, shipped(), ["chat"])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.floats(0, 1), min_size=5, max_size=5), st.sampled_from(list(ComplaintClass)), st.sampled_from(["email", "chat"])
        ),
        max_size=260,
    )
)
def test_any_evidence_gives_a_policy(rows: Sequence[tuple[list[float], ComplaintClass, str]]) -> None:
    evidence = [Reviewed(channel, tuple(np.array(p) / sum(p)), label) for p, label, channel in rows if sum(p) > 0]
    now = promise.policy(evidence, shipped(), ["email", "chat"])
    for name in CLASSES:
        assert now.thresholds["chat", name].probability > 0
        assert now.rule(now.calibrated(chances(0.5, name), "chat"), "chat").primary is name
    assert set(now.least) == {ANYWHERE, "email", "chat"}


def made(many: int, seed: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Texts whose stated probabilities are true; `shift` makes the model surer than it may be."""
    random = np.random.default_rng(seed)
    truth = random.dirichlet([0.12] * len(CLASSES), size=many)
    labels = np.array([random.choice(len(CLASSES), p=row) for row in truth])
    stated = truth ** (1 + shift)
    return stated / stated.sum(axis=1, keepdims=True), labels


def test_on_a_stream_the_share_grows_and_the_error_stays_below_what_is_tolerated() -> None:
    stated, labels = made(6000, seed=1)
    passed = stream.run(stated, labels, ["email"] * len(labels), promise.shipped_policy(0.995, (0.01,) * 5))
    first, last = passed[:10], passed[-20:]
    share_first = sum(one.alone for one in first) / sum(one.texts for one in first)
    share_last = sum(one.alone for one in last) / sum(one.texts for one in last)
    assert share_last > share_first + 0.1
    assert sum(one.wrong for one in passed) / sum(one.alone for one in passed) < 0.05


def test_a_model_that_is_far_too_sure_is_reined_in() -> None:
    stated, labels = made(8000, seed=2, shift=1.5)
    start = promise.shipped_policy(0.8, (0.1,) * 5)
    learned = stream.run(stated, labels, ["email"] * len(labels), start)
    stubborn = stream.run(stated, labels, ["email"] * len(labels), start, learns=False)

    def error(passed: Sequence[stream.Passed]) -> float:
        return sum(one.wrong for one in passed) / sum(one.alone for one in passed)

    assert error(stubborn) > 0.08
    assert error(learned[20:]) < 0.05
