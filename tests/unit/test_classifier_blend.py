"""The three voices in one table of weights, and the columns they speak about."""

from __future__ import annotations

import numpy as np
import pytest

from classifiers.base import Query
from classifiers.blend import Blend, pipeline
from classifiers.columns import NO_FEATURES, lexicon_of, written
from classifiers.facets import FacetIndex, parse_facets
from classifiers.features import Features
from classifiers.reading import Reader
from classifiers.scores import CLASSES
from classifiers.segmenters import shipped_segmenter
from models.verdict import ComplaintClass

QUALITY, CONTRACT, OTHER = (CLASSES.index(name) for name in (ComplaintClass.PRODUCT_QUALITY, ComplaintClass.CONTRACT, ComplaintClass.OTHER))
LINES = (
    "[defect] product_quality 缺陷",
    "漏水 渗水 洇水",
    "[deposit] contract 定金",
    "定金 订金",
    "[demand] - 诉求",
    "要求",
    "[gov] other 政府",
    "规划局",
)
TEXTS = ("客厅漏水", "阳台渗水漏水", "定金不还", "要求还定金", "请问几点开门", "请问开门吗")
LABELS = (QUALITY, QUALITY, CONTRACT, CONTRACT, OTHER, OTHER)


def reader() -> Reader:
    return Reader(shipped_segmenter(), FacetIndex(parse_facets(LINES, "small.txt")))


def fitted(**blend: float) -> tuple[Features, Blend]:
    read = reader()
    model = pipeline(read.facets.facets, blend)
    features, classes = model.named_steps["features"], model.named_steps["classes"]
    features.min_texts = 1
    rows = features.fit(read.read_all([Query(text) for text in TEXTS])).transform(read.read_all([Query(text) for text in TEXTS]))
    return features, classes.fit(rows, np.eye(len(CLASSES), dtype=int)[list(LABELS)])


def best(text: str, title: str = "", **blend: float) -> int:
    features, classes = fitted(**blend)
    return int(classes.decision_function(features.transform([reader().read(Query(text, title))])).argmax())


def test_the_lexicon_is_carried_without_the_facets_that_do_not_vote() -> None:
    lexicon = lexicon_of(written(reader().facets.facets))
    assert set(lexicon.codes).isdisjoint(NO_FEATURES)
    assert lexicon.hinted == ("defect", "deposit")
    assert lexicon.hints == (QUALITY, CONTRACT, -1)
    assert "规划局" not in lexicon.terms


def test_a_term_that_no_text_held_speaks_for_its_facet() -> None:
    assert best("洇水", bayes=2.0, four=0.0, words=0.0, rules=0.0) == QUALITY
    assert best("订金", bayes=2.0, four=0.0, words=0.0, rules=0.0) == CONTRACT


def test_the_rules_need_no_text() -> None:
    assert best("洇水", bayes=0.0, four=0.0, words=0.0) == QUALITY
    assert best("漏水", "订金", bayes=0.0, four=0.0, words=0.0) == CONTRACT


def test_free_words_among_the_four_say_nothing_of_other() -> None:
    features, classes = fitted(bayes=0.0, rules=0.0, words=0.0)
    assert np.allclose(classes.coef_[OTHER], 0, atol=1e-6)
    assert abs(classes.coef_[:OTHER]).max() > 0.01
    assert features.transform([]).shape == (0, classes.coef_.shape[1])


def test_weights_of_a_column_add_up_to_nothing() -> None:
    _, classes = fitted()
    assert np.allclose(classes.coef_.sum(axis=0), 0, atol=5e-3)


def test_columns_are_named_in_order() -> None:
    features, classes = fitted()
    names = features.get_feature_names_out().tolist()
    assert len(names) == classes.coef_.shape[1]
    assert names.index("漏水") < names.index("{漏水}") < names.index("[title:defect]") < names.index("[body:deposit]")


def test_a_long_text_is_not_surer_than_a_short_one_for_saying_it_often() -> None:
    features, classes = fitted()
    once, often = (classes.decision_function(features.transform([reader().read(Query(text))])) for text in ("漏水", "漏水" * 200))
    assert often.max() < 3 * once.max()


def test_terms_added_to_the_lexicon_after_training_do_no_harm() -> None:
    features, _ = fitted()
    later = Reader(shipped_segmenter(), FacetIndex(parse_facets((*LINES, "[new] price 新的", "涨价"), "later.txt")))
    rows = features.transform(later.read_all([Query("涨价漏水")]))
    assert rows.shape[1] == len(features.get_feature_names_out())


@pytest.mark.parametrize("text", ["", "。", "[x"])
def test_an_empty_lexicon_is_a_lexicon(text: str) -> None:
    rows = Features("", min_texts=1).fit(reader().read_all([Query(text)])).transform(reader().read_all([Query(text)]))
    assert rows.shape[0] == 1
