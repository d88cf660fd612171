"""A trained model's bytes and card, and the classifier that answers from them. Nothing here needs what training needs."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from classifiers.columns import Columns, lexicon_of
from classifiers.linear_classifier import Bounds, LinearClassifier, Weights
from classifiers.reading import Reader, shipped_reader
from classifiers.scores import CLASSES
from classifiers.stored import BadTrainedModel, Part, parts

# Where the shipped trained model is built by `make`; git ignores it, because it follows from the corpus bit for bit.
_TRAINED = Path(__file__).parent / "trained"


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model: its bytes, and its card (JSON values only) with version, hashes, libraries and cross-validated figures."""

    data: bytes
    card: Mapping[str, Any]


def load(data: bytes, card: Mapping[str, Any], *, estates: Collection[str] = (), reader: Reader | None = None) -> LinearClassifier:
    """The classifier of a trained model. Raises `BadTrainedModel` for other bytes than the card's, untrusted types or missing parts."""
    content = parts(data, card.get("sha256"))
    try:
        steps = dict(content["pipeline"].values["steps"])
        features, classes, also = (_attributes(part) for part in (steps["features"], steps["classes"], content["also"]))
        names = features["names_"].split("\n") if features["names_"] else []
        _check(names, features, classes, also)
        columns = Columns(names, features["idf_"].tolist(), lexicon_of(features["lexicon"]), features["word_weight"])
        bounds = Bounds(
            temperature=float(content["temperature"]),
            threshold=float(content["threshold"]),
            least=tuple(map(float, content["least"])),
            secondary=tuple(map(float, content["secondary"])),
        )
        _check_bounds(bounds)
        primary, second = (Weights(part["coef_"], part["intercept_"]) for part in (classes, also))
        return LinearClassifier(columns, primary, second, bounds, str(card["version"]), reader or shipped_reader(), estates)
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise BadTrainedModel(f"the trained model lacks a part: {error}") from error


def _check(names: list[str], features: Mapping[str, Any], *models: Mapping[str, Any]) -> None:
    """That the parts fit one another and hold numbers only; whatever made them, a verdict must never be made of what is none."""
    rarity, weight = features["idf_"], features["word_weight"]
    if len(set(names)) != len(names) or rarity.shape != (len(names),) or rarity.dtype.kind != "f" or not np.isfinite(rarity).all():
        raise ValueError("the words and their rarity do not fit")
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < 1e6:
        raise ValueError("the words' weight is no number")
    for model in models:
        coef, intercept = model["coef_"], model["intercept_"]
        if intercept.shape != (len(CLASSES),) or coef.dtype.kind != "f" or intercept.dtype.kind != "f":
            raise ValueError("the weights do not fit the classes")
        if not (np.isfinite(coef).all() and np.isfinite(intercept).all()):
            raise ValueError("some weights are no numbers")


def _check_bounds(bounds: Bounds) -> None:
    if not len(bounds.least) == len(bounds.secondary) == len(CLASSES):
        raise ValueError("the bounds do not fit the classes")
    if not all(map(math.isfinite, (bounds.temperature, bounds.threshold, *bounds.least, *bounds.secondary))) or bounds.temperature <= 0:
        raise ValueError("some bounds are no numbers")


def _attributes(part: Part) -> Mapping[str, Any]:
    return part.values


def shipped_path() -> Path:
    """Where the shipped trained model lies; its card is beside it with the ending `.json`."""
    return _TRAINED / "shipped.skops"


def read_shipped(path: Path | None = None) -> Trained:
    """Bytes and card of the shipped trained model, not loaded yet. Raises `FileNotFoundError` before it was built."""
    path = path or shipped_path()
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    if not isinstance(card, dict):
        raise BadTrainedModel("the trained model's card is not a JSON object")
    return Trained(path.read_bytes(), card)


def load_shipped(path: Path | None = None, *, estates: Collection[str] = ()) -> LinearClassifier:
    """The classifier of the shipped trained model. Raises `FileNotFoundError` before it was built, `BadTrainedModel` if it was changed."""
    trained = read_shipped(path)
    return load(trained.data, trained.card, estates=estates)
