"""Learning from a company's own examples: it learns, the same examples give the same bytes, and other channels are not spoilt."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from classifiers import corpus, learning, learning_curve, trained_model
from classifiers.base import Query
from classifiers.learning import Own
from classifiers.reading import Reader, shipped_reader
from classifiers.scores import CLASSES
from classifiers.trained_model import Trained
from gateway.champion import shipped
from models.verdict import ComplaintClass

ROOT = Path(__file__).parents[2]
PRICE, CONTRACT, OTHER = ComplaintClass.PRICE, ComplaintClass.CONTRACT, ComplaintClass.OTHER

# A word of this company's that no model has heard of; all such complaints are about its contract.
NEWS = [f"我家的云雀礼包第{number}次又扣了一笔，{tail}" for number in range(30) for tail in ("请说明", "怎么回事", "我不同意")]

CODE = """
import sys
from classifiers import corpus, learning
from classifiers.learning import Own
from gateway.champion import shipped
own = [Own(f"k{n}", one.query, one.primary) for n, one in enumerate(corpus.golden()[:80])]
sys.stdout.write(learning.learn(shipped(), own, witnesses=corpus.shipped_corpus()[::20]).trained.card["sha256"])
"""


@cache
def reader() -> Reader:
    return shipped_reader()


@cache
def base() -> Trained:
    return shipped()


def examples(count: int = 80) -> list[Own]:
    # Any labelled texts will do to learn from here; nothing of this leaves the test.
    return [Own(f"k{number}", one.query, one.primary) for number, one in enumerate(corpus.golden()[:count])]


def answers(model: Trained, queries: list[Query]) -> list[ComplaintClass]:
    return trained_model.load(model.data, model.card, reader=reader()).answers(queries)


def test_another_process_learns_the_same_bytes_on_one_thread() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-W", "error", "-c", CODE], env=environment, capture_output=True, text=True, check=True)
    # Here the seed is drawn by lot and there is a thread a core.
    learned = learning.learn(base(), examples(), reader=reader(), witnesses=corpus.shipped_corpus()[::20])
    assert done.stdout == learned.trained.card["sha256"]


def test_the_order_of_the_examples_does_not_matter_and_what_was_held_out_comes_back_in_order() -> None:
    given = examples(60)
    shuffled = given[:]
    random.Random(4).shuffle(shuffled)
    one, other = (learning.learn(base(), own, reader=reader()) for own in (given, shuffled))
    assert one.trained.card == other.trained.card
    assert np.allclose(one.unseen[[given.index(entry) for entry in shuffled]], other.unseen)


def test_it_learns_a_word_that_nobody_knew() -> None:
    before = answers(base(), [Query("云雀礼包")])
    learned = learning.learn(base(), [Own(f"n{n}", Query(text, channel="email"), CONTRACT) for n, text in enumerate(NEWS)] + examples())
    assert before != [CONTRACT]
    assert answers(learned.trained, [Query("云雀礼包")]) == [CONTRACT]
    card = learned.trained.card
    assert card["base"]["version"] == base().card["version"]
    assert card["own"]["texts"] == {"correction": len(NEWS) + 80}


def test_a_heavier_example_says_more() -> None:
    def learned(weight: float) -> float:
        own = [Own(f"n{n}", Query(text, channel="email"), CONTRACT, weight) for n, text in enumerate(NEWS[:6])]
        made = learning.learn(base(), own + examples(40), reader=reader()).trained
        (verdict,) = trained_model.load(made.data, made.card, reader=reader()).classify([Query("云雀礼包 又扣了")])
        return verdict.probabilities[CONTRACT]

    assert learned(0.05) < learned(1.0)


def test_reasons_still_add_up_and_point_at_the_new_word() -> None:
    made = learning.learn(
        base(), [Own(f"n{n}", Query(text, channel="email"), CONTRACT) for n, text in enumerate(NEWS)] + examples()
    ).trained
    said = "云雀礼包又扣了一笔"
    (verdict,) = trained_model.load(made.data, made.card, reader=reader()).classify([Query(said)])
    assert verdict.trained_model == made.card["version"]
    assert verdict.reasons
    assert sum(verdict.probabilities.values()) == pytest.approx(1)


def test_what_one_channel_teaches_wrongly_does_not_spoil_the_others() -> None:
    """Every mail about a contract is taught as price; chats and calls, of which nobody said anything, stay as they were."""
    letters = [one for one in corpus.shipped_corpus() if one.query.channel == "email"][::4]
    own = [Own(one.id, one.query, PRICE if one.primary is CONTRACT else one.primary) for one in letters]
    witnesses = corpus.shipped_corpus()
    made = learning.learn(base(), own, reader=reader(), witnesses=witnesses)
    unwatched = learning.learn(base(), own, reader=reader())
    others = [one for one in witnesses if one.query.channel != "email"]

    def right(model: Trained) -> float:
        said = answers(model, [one.query for one in others])
        return sum(answer is one.primary for answer, one in zip(said, others, strict=True)) / len(others)

    assert made.share < 1.0 == unwatched.share
    assert right(made.trained) >= right(base()) - 0.015


def test_held_out_probabilities_are_of_models_that_did_not_see_the_text() -> None:
    """Labels drawn by lot cannot be foretold; a model that had seen them would."""
    lot = random.Random(7)
    own = [Own(one.key, one.query, lot.choice(CLASSES)) for one in examples(150)]
    learned = learning.learn(base(), own, reader=reader())
    right = np.mean([CLASSES[place] is one.primary for place, one in zip(learned.unseen.argmax(axis=1), own, strict=True)])
    seen = np.mean([said is one.primary for said, one in zip(answers(learned.trained, [one.query for one in own]), own, strict=True)])
    assert right < 0.35 < seen


def test_from_many_examples_on_one_share_alone_is_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "MANY", 50)
    unseen = learning.learn(base(), examples(80), reader=reader()).unseen
    held = ~np.isnan(unseen[:, 0])
    assert 5 < held.sum() < 40


def test_no_examples_and_equal_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="key"):
        learning.learn(base(), [], reader=reader())
    with pytest.raises(ValueError, match="key"):
        learning.learn(base(), [Own("a", Query("甲"), PRICE), Own("a", Query("乙"), PRICE)], reader=reader())


def test_texts_without_a_single_word_do_no_harm() -> None:
    own = [Own("empty", Query(""), OTHER), Own("signs", Query("！！\ud800？"), PRICE)]
    learned = learning.learn(base(), own, reader=reader())
    assert answers(learned.trained, [Query("主卧天花板漏水")]) == [ComplaintClass.PRODUCT_QUALITY]
    assert np.isfinite(learned.unseen).all()


def test_the_learning_curve_rises_on_texts_of_another_hand(tmp_path: Path) -> None:
    golden = corpus.golden()
    fed = [one.query for one in golden], [one.primary for one in golden]
    steps = learning_curve.curve(base(), fed, fed, steps=(0, 100), orders=2, reader=reader())
    assert [step.corrections for step in steps] == [0, 100]
    assert steps[0].learned == steps[0].unchanged > steps[0].alone
    assert steps[1].learned > steps[1].alone
    assert "| 100 |" in learning_curve.table(steps)


def test_the_golden_set_is_no_part_of_the_corpus() -> None:
    golden, taught = corpus.golden(), corpus.shipped_corpus()
    assert len(golden) == 200
    assert not {one.query.said for one in golden} & {one.query.said for one in taught}
    assert not {one.scenario for one in golden} & {one.scenario for one in taught}
    for name in ComplaintClass:
        assert sum(one.primary is name for one in golden) >= 30
