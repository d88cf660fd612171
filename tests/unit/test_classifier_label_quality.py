"""Wrong labels are found, right ones are left alone, and agreement is reckoned as published."""

from __future__ import annotations

import random

import numpy as np
import pytest

from classifiers import corpus, label_quality
from classifiers.base import Query
from classifiers.label_quality import Item, alpha, alpha_by_class, issues, suspects
from classifiers.scores import CLASSES
from models.verdict import ComplaintClass


def test_the_same_issues_in_the_same_order_as_cleanlab() -> None:
    """The places are what cleanlab 2.9.0 gives: `filter_by='confident_learning'`, ranked by `normalized_margin`."""
    rows, labels = [], []
    for number in range(120):
        label = (number * 7) % 5
        raw = [1 + ((number * 13 + k * k * 29 + k * number * 3) % 17) for k in range(5)]
        raw[label if number % 9 else (label + 2) % 5] += 40
        rows.append([value / sum(raw) for value in raw])
        labels.append(label)
    found = issues(np.array(rows), np.array(labels))
    assert [place for place, _ in found] == [27, 63, 0, 72, 9, 54, 36, 117, 108, 45, 81]
    assert all(likely != labels[place] for place, likely in found)


def test_wrong_labels_are_found_by_a_model_that_was_not_taught_them() -> None:
    by_story: dict[str, list[corpus.Example]] = {}
    for one in corpus.shipped_corpus():
        by_story.setdefault(one.scenario, []).append(one)
    stories = sorted(by_story)
    chance = random.Random(3)
    chance.shuffle(stories)
    mine = [one for story in stories[: len(stories) // 4] for one in by_story[story]]
    known = [one for story in stories[len(stories) // 4 :] for one in by_story[story]][:900]
    wrong = set(chance.sample(range(len(mine)), len(mine) // 10))
    items = [
        Item(one.query, chance.choice([name for name in CLASSES if name is not one.primary]) if place in wrong else one.primary)
        for place, one in enumerate(mine)
    ]
    told: list[float] = []
    found = suspects(items, background=known, progress=lambda what, share: told.append(share))
    hits = [one.place in wrong for one in found]
    assert sum(hits) / len(wrong) > 0.55
    assert sum(hits) / len(found) > 0.65
    assert sum(hits[:20]) >= 17
    assert [one.likely for one in found] != [items[one.place].primary for one in found]
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_a_copy_does_not_vouch_for_its_own_label() -> None:
    same = [Item(Query(f"卫生间漏水{number}次，没人修！"), ComplaintClass.PRODUCT_QUALITY) for number in range(12)]
    folds = [set(places.tolist()) for places in label_quality._folds(same)]
    assert folds == [set(range(12))]


def test_few_items_say_nothing() -> None:
    assert suspects([Item(Query("漏水"), ComplaintClass.PRICE)] * 9) == []


def units(*people: str) -> list[list[str]]:
    """What each person gave each unit, in the form of the papers: one line a person, `*` for nothing."""
    columns = zip(*(line.split() for line in people), strict=True)
    return [[value for value in column if value != "*"] for column in columns]


@pytest.mark.parametrize(
    ("given", "published"),
    [
        # Krippendorff, Computing Krippendorff's alpha-reliability (2011): A, binary; B, nominal, two people; C, nominal, four, with gaps.
        (units("0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0"), 0.095),
        (units("a a b b d c c c e d d a", "b a b b b c c c e d d d"), 0.692),
        (units("1 2 3 3 2 1 4 1 2 * * *", "1 2 3 3 2 2 4 1 2 5 * 3", "* 3 3 3 2 3 4 2 2 5 1 *", "1 2 3 3 2 4 4 1 2 5 1 *"), 0.743),
        # Wikipedia, Krippendorff's alpha, the computational example.
        (units("* * * * * 3 4 1 2 1 1 3 3 * 3", "1 * 2 1 3 3 4 3 * * * * * * *", "* * 2 1 3 4 4 * 2 1 1 3 3 * 4"), 0.691),
    ],
)
def test_agreement_as_published(given: list[list[str]], published: float) -> None:
    reckoned = alpha(given)
    assert reckoned is not None
    assert round(reckoned, 3) == published


def test_agreement_at_its_ends() -> None:
    assert alpha([]) is None
    assert alpha([["a"], ["b"]]) is None
    assert alpha([["a", "a"], ["b", "b"]]) == 1.0
    assert alpha([["a", "a"], ["a", "a"]]) == 1.0
    contrary = alpha([["a", "b"], ["b", "a"]])
    assert contrary is not None
    assert contrary < 0


def test_agreement_by_class_shows_where_the_line_is_drawn_differently() -> None:
    said = [["price", "contract"], ["price", "contract"], ["price", "price"], ["other", "other"], ["other", "other"]]
    by_class = alpha_by_class(said, ["price", "contract", "other", "service"])
    assert by_class["other"] == 1.0
    assert by_class["price"] is not None
    assert by_class["price"] < 1.0
    assert by_class["service"] is None
