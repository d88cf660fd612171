"""Texts that a model was not taught: folds by story, registers left out, snippets."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from classifiers import corpus, heldout
from classifiers.base import Query
from classifiers.heldout import Material
from classifiers.reading import shipped_reader


@cache
def few() -> Material:
    return heldout.material(corpus.shipped_corpus()[::25], shipped_reader())


def test_a_story_is_never_on_both_sides() -> None:
    for seen, unseen in (*heldout.by_story(few()), *heldout.by_register(few())):
        told = {few().examples[place].scenario for place in seen}
        assert told.isdisjoint(few().examples[place].scenario for place in unseen)


def test_every_register_is_left_out_once_and_whole() -> None:
    left_out = []
    for seen, unseen in heldout.by_register(few()):
        (register,) = {few().examples[place].register for place in unseen}
        assert register not in {few().examples[place].register for place in seen}
        left_out.append(register)
    assert sorted(left_out) == sorted(corpus.REGISTERS)


def test_one_register_alone_is_not_left_out() -> None:
    letters = [example for example in few().examples if example.register == "letter"]
    assert list(heldout.by_register(heldout.material(letters, shipped_reader()))) == []


def test_every_text_gets_scores() -> None:
    made = heldout.scores(few(), heldout.by_story(few()))
    assert np.abs(made.primary).sum(axis=1).min() > 0
    assert made.also.shape == made.primary.shape


@pytest.mark.parametrize(
    ("title", "said", "snippets"),
    [
        ("", "我家漏水。", []),
        ("", "", []),
        ("漏水", "我家漏水。", ["漏水", "我家漏水。"]),
        ("", "我家漏水。没人管我们!好", ["我家漏水。", "没人管我们!"]),
        ("退定金", "我不买了\n定金退给我", ["退定金", "定金退给我", "我不买了\n定金退给我"]),
    ],
)
def test_snippets_are_the_title_each_sentence_and_the_text_without_its_title(title: str, said: str, snippets: list[str]) -> None:
    found = heldout.snippets_of(Query(said, title))
    assert [query.said for query in found] == snippets
    assert not any(query.title for query in found)
