"""Three unlike models in one: naive Bayes over the lexicon's terms, the lexicon's own rules, and a linear model of free words.

All three are linear in the columns of `Features`, so together they are one table of weights: one product answers, and the reasons add up.
Free words are held short on purpose: how a text is written (`您好`, `希望领导`) says more of the hand that composed it than of its class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from classifiers.columns import ZONES, Lexicon, lexicon_of, written
from classifiers.facets import Facet
from classifiers.features import Features
from classifiers.linear import OneVsRest
from classifiers.scores import CLASSES, Floats, rounded
from models.verdict import ComplaintClass

_OTHER = CLASSES.index(ComplaintClass.OTHER)

# What the rules give `other` for a term that hints at it, against 1 for the four: signs of `other` stand in complaints too.
_RULE_FOR_OTHER = 0.7
# How sure the lexicon's hint is of its class; the rest is shared out.
_HINT_SURE = 0.6
# Added to every count, so that no word is impossible in a class.
_SMOOTH = 0.3


class Blend(BaseEstimator):  # type: ignore[misc]
    """Learns the table of weights; `fit` takes rows of `Features`, an indicator matrix (texts × classes) and a weight a row.

    bayes, rules, four, words: how much each voice counts: naive Bayes over terms (silent by default, see docs/classifier.md); the lexicon's
        hints as they stand; free words choosing among the four complaint classes alone; free words for each class against the rest.
    strength: how much a term's facets are worth as evidence beside the term's own texts. High on purpose (`docs/classifier.md`): it costs
        a point on registers left out of the corpus, and is worth more on letters of other hands.
    hint: the share of that evidence which the lexicon's hint gives; the rest is how the facet's terms are spread over the texts.

    After it: `coef_` (classes × columns) and `intercept_` (classes), float32; the weights of a column add up to 0 over the classes.
    """

    def __init__(
        self,
        lexicon: str = "",
        C: float = 1.0,
        bayes: float = 0.5,
        rules: float = 1.3,
        four: float = 0.4,
        words: float = 0.8,
        strength: float = 20.0,
        hint: float = 0.6,
    ) -> None:
        self.lexicon = lexicon
        self.C = C
        self.bayes = bayes
        self.rules = rules
        self.four = four
        self.words = words
        self.strength = strength
        self.hint = hint

    def fit(self, X: sparse.csr_matrix, y: NDArray[np.int_], sample_weight: Floats | None = None) -> Self:
        """Learns each voice by itself, so that none leans on another, and adds them up."""
        lexicon = lexicon_of(self.lexicon)
        weight = np.ones(X.shape[0]) if sample_weight is None else sample_weight
        facet_columns = len(ZONES) * len(lexicon.hinted)
        words = X.shape[1] - len(lexicon.terms) - facet_columns
        total = np.zeros((y.shape[1], X.shape[1]))
        intercept = np.zeros(y.shape[1])
        free = X[:, :words]
        if self.words and words:
            every = OneVsRest(self.C).fit(free, y, weight)
            total[:, :words] += self.words * every.coef_
            intercept += self.words * every.intercept_
        if self.four and words:
            complaint = np.flatnonzero(y[:, _OTHER] == 0)
            four = OneVsRest(self.C).fit(free[complaint], y[complaint], weight[complaint]).coef_.astype(np.float64)
            four -= (four.sum(axis=0) - four[_OTHER]) / (len(four) - 1)
            four[_OTHER] = 0.0
            total[:, :words] += self.four * four
        if lexicon.terms:
            terms = X[:, words : words + len(lexicon.terms)]
            if self.bayes:
                total[:, words : words + len(lexicon.terms)] = self.bayes * self._bayes(terms, y * weight[:, None], lexicon)
            hints = [hint for hint in lexicon.hints if hint >= 0] * len(ZONES)
            voices = np.where(np.array(hints) == _OTHER, _RULE_FOR_OTHER, 1.0)
            total[hints, np.arange(X.shape[1] - facet_columns, X.shape[1])] = self.rules * voices
        self.coef_ = rounded(total - total.mean(axis=0))
        self.intercept_ = rounded(intercept - intercept.mean())
        return self

    def decision_function(self, X: sparse.csr_matrix) -> Floats:
        """Scores (texts × classes); each row is summed by itself, so a batch gives what one by one gives."""
        scores: Floats = X @ self.coef_.T.astype(np.float64) + self.intercept_.astype(np.float64)
        return scores

    def _bayes(self, X: sparse.csr_matrix, y: Floats, lexicon: Lexicon) -> Floats:
        """Log share of each class in each term (classes × terms), the term's facets standing in where its own texts are few."""
        mass = np.asarray(X.T @ y)
        of_class = np.maximum(mass.sum(axis=0), 1e-9)
        counted = mass / of_class * of_class.mean()
        spread = np.full((len(lexicon.codes), y.shape[1]), 1e-4 * float(of_class.mean()) + 1e-9)
        for term, owners in enumerate(lexicon.owners):
            for owner in owners:
                spread[owner] += counted[term]
        spread /= spread.sum(axis=1, keepdims=True)
        said = np.full_like(spread, 1 / y.shape[1])
        for place, hint in enumerate(lexicon.hints):
            if hint >= 0:
                said[place] = (1 - _HINT_SURE) / y.shape[1]
                said[place, hint] += _HINT_SURE
        facets = (1 - self.hint) * spread + self.hint * said
        prior = np.array([facets[list(owners)].mean(axis=0) for owners in lexicon.owners])
        share = counted + _SMOOTH + self.strength * prior
        logs: Floats = np.log(share / share.sum(axis=1, keepdims=True)).T
        logs -= logs.mean(axis=0)
        return logs


def pipeline(facets: Sequence[Facet], blend: Mapping[str, float] | None = None) -> Pipeline:
    """The pipeline that is trained and shipped: readings in, one score a class out.

    facets: those of the lexicon. `blend`: parameters of `Blend` other than the shipped ones.
    """
    lexicon = written(facets)
    return Pipeline([("features", Features(lexicon)), ("classes", Blend(lexicon, **(blend or {})))])
