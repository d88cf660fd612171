"""The linear model, as a scikit-learn estimator.

Bit-for-bit reproducible on purpose: the solver is liblinear's dual coordinate descent (one thread, no BLAS), and what is learned is
rounded to four significant digits, so that a last bit that another processor computes otherwise does not show.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator

from classifiers.scores import Floats, rounded


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
