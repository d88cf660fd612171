"""The linear model, as a scikit-learn estimator, and what turns scores into probabilities.

Bit-for-bit reproducible on purpose: the solver is liblinear's dual coordinate descent (one thread, no BLAS), and what is learned is
rounded to four significant digits, so that a last bit that another processor computes otherwise does not show.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator

from models.verdict import ComplaintClass

# The order of columns wherever a number stands for a class.
CLASSES: tuple[ComplaintClass, ...] = tuple(ComplaintClass)

Floats = NDArray[np.float64]


def rounded(values: Iterable[float] | Floats) -> NDArray[np.float32]:
    """Float32 with four significant digits."""
    exact = np.asarray(values, dtype=np.float64)
    with np.errstate(divide="ignore"):
        power = np.where(exact == 0, 0.0, np.floor(np.log10(np.abs(exact))))
    scale = 10.0 ** (3 - power)
    result: NDArray[np.float32] = (np.round(exact * scale) / scale).astype(np.float32)
    return result


class OneVsRest(BaseEstimator):  # type: ignore[misc]
    """One logistic regression for each class against the rest, by liblinear's dual solver with a fixed seed.

    `fit` takes an indicator matrix (texts × classes, 0 or 1), so that a text may belong to several classes.
    After it: `coef_` (classes × features) and `intercept_` (classes), float32.
    """

    def __init__(self, C: float = 1.0, balanced: bool = False, seed: int = 0) -> None:
        self.C = C
        self.balanced = balanced
        self.seed = seed

    def fit(self, X: sparse.csr_matrix, y: NDArray[np.int_], sample_weight: Floats | None = None) -> Self:
        """Learns each class by itself; a class that no text or every text has keeps weight 0 and an intercept of ∓10."""
        # Only training needs it, and the gateway starts sooner without.
        from sklearn.linear_model import LogisticRegression

        coefficients = np.zeros((y.shape[1], X.shape[1]), dtype=np.float32)
        intercepts = np.zeros(y.shape[1], dtype=np.float32)
        for column in range(y.shape[1]):
            target = y[:, column]
            if target.min() == target.max():
                intercepts[column] = 10.0 if target.min() else -10.0
                continue
            model = LogisticRegression(
                solver="liblinear",
                dual=True,
                C=self.C,
                class_weight="balanced" if self.balanced else None,
                tol=1e-4,
                max_iter=10_000,
                random_state=self.seed,
            ).fit(X, target, sample_weight=sample_weight)
            coefficients[column] = rounded(model.coef_[0])
            intercepts[column] = rounded(model.intercept_)[0]
        self.coef_ = coefficients
        self.intercept_ = intercepts
        return self

    def decision_function(self, X: sparse.csr_matrix) -> Floats:
        """Scores (texts × classes); each row is summed by itself, so a batch gives what one by one gives."""
        scores: Floats = X @ self.coef_.T.astype(np.float64) + self.intercept_.astype(np.float64)
        return scores


def softmax(scores: Floats, temperature: float) -> Floats:
    """Scores (texts × classes) to probabilities; each row adds up to 1."""
    scaled = scores / temperature
    scaled = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    chances: Floats = scaled / scaled.sum(axis=1, keepdims=True)
    return chances
