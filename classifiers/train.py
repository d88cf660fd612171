"""From labelled texts to a trained model with its card, and back to a classifier. The same texts give the same bytes."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from classifiers import abstain, corpus
from classifiers.corpus import Example
from classifiers.evaluate import Figures, figures
from classifiers.linear import CLASSES, Floats, OneVsRest, pipeline, softmax
from classifiers.linear_classifier import LinearClassifier
from classifiers.reading import Reader, Reading, shipped_reader
from classifiers.stored import BadTrainedModel, digest, pack, unpack

# Where the shipped trained model is built by `make`; git ignores it, because it follows from the corpus bit for bit.
_TRAINED = Path(__file__).parent / "trained"

FOLDS = 5
LEAST_TEXTS = 50

_LIBRARIES = ("jieba", "numpy", "scikit-learn", "scipy", "skops", "pyahocorasick")

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model: its bytes, and its card (JSON values only) with version, hashes, libraries and cross-validated figures."""

    data: bytes
    card: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Scores of texts by models that were not taught their stories (texts × classes), in the order of the examples."""

    primary: Floats
    also: Floats


def build(examples: Sequence[Example], *, reader: Reader | None = None, progress: Progress | None = None) -> Trained:
    """Train on `examples`, calibrate on folds split by scenario, and describe the result.

    Raises `ValueError` when there are fewer than `LEAST_TEXTS` texts or fewer scenarios than folds.
    `progress` is told (what is being done, share done between 0 and 1).
    """
    tell = progress or (lambda what, share: None)
    examples = sorted(examples, key=lambda example: example.id)
    if len(examples) < LEAST_TEXTS:
        raise ValueError(f"{len(examples)} texts are too few to train on; at least {LEAST_TEXTS} are needed")
    tell("read", 0.0)
    reader = reader or shipped_reader()
    readings = reader.read_all([example.query for example in examples])
    labels = np.array([CLASSES.index(example.primary) for example in examples], dtype=int)
    held_out = cross_validate(readings, examples, reader.facets.codes, tell)
    warmth = abstain.temperature(held_out.primary, labels)
    chances = softmax(held_out.primary, warmth)
    threshold = abstain.auto_threshold(chances, labels)
    answers = chances.argmax(axis=1)
    thresholds = abstain.secondary_thresholds(held_out.also, _secondary_truth(examples), answers)
    tell("fit", 0.8)
    model, also = _fit(readings, examples, reader.facets.codes)
    content = {"pipeline": model, "also": also, "temperature": warmth, "threshold": threshold, "secondary": thresholds}
    tell("pack", 0.95)
    data = pack(content)
    sha256 = digest(data)
    card = {
        "version": sha256[:12],
        "sha256": sha256,
        "corpus": {"sha256": corpus.fingerprint(examples), "texts": len(examples)},
        "libraries": {name: installed(name) for name in _LIBRARIES} | {"python": platform.python_version()},
        "features": int(model.named_steps["classes"].coef_.shape[1]),
        "temperature": warmth,
        "threshold": threshold,
        "secondary": dict(zip((str(name) for name in CLASSES), thresholds, strict=True)),
        "figures": _figures(examples, labels, chances, held_out.also, threshold, thresholds),
    }
    tell("done", 1.0)
    return Trained(data, card)


def load(data: bytes, card: Mapping[str, Any], *, estates: Collection[str] = (), reader: Reader | None = None) -> LinearClassifier:
    """The classifier of a trained model. Raises `BadTrainedModel` for other bytes than the card's, untrusted types or missing parts."""
    content = unpack(data, card.get("sha256"))
    try:
        return LinearClassifier(content, str(card["version"]), reader or shipped_reader(), estates)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadTrainedModel(f"the trained model lacks a part: {error}") from error


def shipped_path() -> Path:
    """Where the shipped trained model lies; its card is beside it with the ending `.json`."""
    return _TRAINED / "shipped.skops"


def build_shipped(progress: Progress | None = None, directory: Path | None = None) -> Trained:
    """Train on the shipped corpus and write bytes and card to `shipped_path()`, or into `directory`; each file whole or not at all."""
    trained = build(corpus.shipped_corpus(), progress=progress)
    path = (directory or _TRAINED) / shipped_path().name
    path.parent.mkdir(parents=True, exist_ok=True)
    # The card last: without it the bytes are not looked at.
    _write(path, trained.data)
    _write(path.with_suffix(".json"), json.dumps(trained.card, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n")
    return trained


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


def cross_validate(
    readings: Sequence[Reading], examples: Sequence[Example], facets: Sequence[str], progress: Progress | None = None
) -> HeldOut:
    """Scores for every example by a model that saw no text of its scenario. Raises `ValueError` with fewer scenarios than folds."""
    # Only training needs it, and the gateway starts sooner without.
    from sklearn.model_selection import StratifiedGroupKFold

    labels = np.array([CLASSES.index(example.primary) for example in examples], dtype=int)
    groups = [example.scenario for example in examples]
    if len(set(groups)) < FOLDS:
        raise ValueError(f"{len(set(groups))} scenarios are too few for {FOLDS} folds")
    primary = np.zeros((len(examples), len(CLASSES)))
    also = np.zeros_like(primary)
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    for fold, (seen, unseen) in enumerate(splitter.split(labels, labels, groups)):
        if progress:
            progress("cross-validate", 0.2 + 0.6 * fold / FOLDS)
        model, second = _fit([readings[place] for place in seen], [examples[place] for place in seen], facets)
        rows = model.named_steps["features"].transform([readings[place] for place in unseen])
        primary[unseen] = model.named_steps["classes"].decision_function(rows)
        also[unseen] = second.decision_function(rows)
    return HeldOut(primary, also)


def _fit(readings: Sequence[Reading], examples: Sequence[Example], facets: Sequence[str]) -> tuple[Pipeline, OneVsRest]:
    """The pipeline for the primary class, and over the same features the model for every class a text complains of."""
    model = pipeline(facets)
    rows = model.named_steps["features"].fit(readings).transform(readings)
    truth = np.zeros((len(examples), len(CLASSES)), dtype=int)
    for place, example in enumerate(examples):
        truth[place, CLASSES.index(example.primary)] = 1
    model.named_steps["classes"].fit(rows, truth)
    return model, OneVsRest().fit(rows, truth | _secondary_truth(examples))


def _secondary_truth(examples: Sequence[Example]) -> NDArray[np.int_]:
    truth = np.zeros((len(examples), len(CLASSES)), dtype=int)
    for place, example in enumerate(examples):
        for name in example.secondary:
            truth[place, CLASSES.index(name)] = 1
    return truth


def _figures(
    examples: Sequence[Example],
    labels: NDArray[np.int_],
    chances: Floats,
    also: Floats,
    threshold: float,
    thresholds: list[float],
) -> dict[str, Any]:
    """Cross-validated figures of all texts and of each register, as JSON values."""
    answers = chances.argmax(axis=1)
    secondary = []
    for place, example in enumerate(examples):
        named = abstain.secondary_of(also[place], thresholds, CLASSES[answers[place]])
        secondary.append((frozenset(map(CLASSES.index, example.secondary)), frozenset(map(CLASSES.index, named))))
    auto = abstain.alone(chances, threshold)

    def part(places: list[int]) -> Figures:
        return figures(chances[places], labels[places], auto[places], [secondary[place] for place in places])

    result: dict[str, Any] = {"all": part(list(range(len(examples)))).as_json()}
    for register in corpus.REGISTERS:
        places = [place for place, example in enumerate(examples) if example.register == register]
        if places:
            result[register] = part(places).as_json()
    return result


def _write(path: Path, data: bytes) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_bytes(data)
    beside.replace(path)
