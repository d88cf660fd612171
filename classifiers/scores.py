"""Scores, probabilities and the order of classes: plain arithmetic that training and the running gateway share."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

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


def softmax(scores: Floats, temperature: float) -> Floats:
    """Scores (texts × classes) to probabilities; each row adds up to 1."""
    scaled = scores / temperature
    scaled = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    chances: Floats = scaled / scaled.sum(axis=1, keepdims=True)
    return chances
