"""Every classifier satisfies the same contract; and the contract catches those that do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers import corpus, train, trained_model
from classifiers.base import Classifier, Query
from classifiers.checks import check_classifier, check_verdict
from models.verdict import ComplaintClass, Verdict


@cache
def linear() -> Classifier:
    trained = train.build(corpus.shipped_corpus()[::10])
    return trained_model.load(trained.data, trained.card, estates=["翠澜花园"])


def test_the_linear_classifier_satisfies_the_contract() -> None:
    check_classifier(linear())


ANY = st.text(alphabet=st.characters(exclude_categories=()), max_size=300)
COMPLAINT = st.text(alphabet="漏水退房定金起诉不没有销售态度我叫王三栋单元幺八零，。！\n 3-1801１３樓\u200b😀", max_size=300)


@settings(max_examples=150, deadline=None)
@given(
    said=ANY | COMPLAINT, title=ANY | COMPLAINT, context=ANY | COMPLAINT, channel=st.sampled_from([None, "email", "chat", "phone", "fax"])
)
def test_any_string_gets_a_sound_verdict(said: str, title: str, context: str, channel: str | None) -> None:
    classifier = linear()
    query = Query(said, title, context, channel)
    (verdict,) = classifier.classify([query])
    check_verdict(query, verdict, classifier.version)


@settings(max_examples=25, deadline=None)
@given(st.lists(COMPLAINT, max_size=6))
def test_a_batch_answers_as_one_by_one(texts: list[str]) -> None:
    classifier = linear()
    queries = [Query(text) for text in texts]
    assert classifier.classify(queries) == [classifier.classify([query])[0] for query in queries]


class Wrong:
    """A classifier that spoils another's answers in one way."""

    def __init__(self, fault: str) -> None:
        self.fault = fault
        self.version = linear().version
        self.calls = 0

    def classify(self, queries: Sequence[Query]) -> list[Verdict]:
        self.calls += 1
        verdicts = linear().classify(queries)
        if self.fault == "order":
            return verdicts[::-1]
        if self.fault == "missing":
            return verdicts[:-1]
        if self.fault == "sum":
            return [replace(verdict, probabilities=dict.fromkeys(ComplaintClass, 0.5)) for verdict in verdicts]
        if self.fault == "class":
            return [replace(verdict, probabilities={verdict.primary: 1.0}) for verdict in verdicts]
        if self.fault == "version":
            return [replace(verdict, trained_model="other") for verdict in verdicts]
        if self.fault == "code":
            return [replace(verdict, decision_code="perhaps") for verdict in verdicts]
        if self.fault == "span":
            return [
                replace(verdict, reasons=tuple(replace(reason, spans=((0, 10**9),)) for reason in verdict.reasons)) for verdict in verdicts
            ]
        if self.fault == "moody" and self.calls % 2:
            return [replace(verdict, reasons=()) for verdict in verdicts]
        return verdicts


@pytest.mark.parametrize("fault", ["order", "missing", "sum", "class", "version", "code", "span", "moody"])
def test_the_contract_catches_a_classifier_that_breaks_it(fault: str) -> None:
    with pytest.raises(AssertionError):
        check_classifier(Wrong(fault))
