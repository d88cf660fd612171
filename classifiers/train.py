"""From labelled texts to a trained model with its card. The same texts give the same bytes."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from classifiers import abstain, corpus, heldout
from classifiers.base import Progress
from classifiers.corpus import Example
from classifiers.evaluate import Figures, figures
from classifiers.heldout import Material
from classifiers.reading import Reader, shipped_reader
from classifiers.scores import CLASSES, Floats, softmax
from classifiers.stored import digest, pack
from classifiers.trained_model import Trained, shipped_path

LEAST_TEXTS = 50

_LIBRARIES = ("jieba", "numpy", "scikit-learn", "scipy", "skops", "ahocorasick-rs", "rjieba")


def build(
    examples: Sequence[Example], *, reader: Reader | None = None, progress: Progress | None = None, tolerated: float = abstain.TOLERATED
) -> Trained:
    """Train on `examples`, calibrate on registers left out, and describe the result.

    tolerated: the share of wrongly routed complaints that the operator puts up with among those routed alone.

    Raises `ValueError` when there are fewer than `LEAST_TEXTS` texts or fewer scenarios than folds.
    `progress` is told (what is being done, share done between 0 and 1).
    """
    tell = progress or (lambda what, share: None)
    examples = sorted(examples, key=lambda example: example.id)
    if len(examples) < LEAST_TEXTS:
        raise ValueError(f"{len(examples)} texts are too few to train on; at least {LEAST_TEXTS} are needed")
    tell("read", 0.0)
    of = heldout.material(examples, reader or shipped_reader())
    labels = of.labels
    stories = heldout.scores(of, heldout.by_story(of), tell=lambda fold: tell("cross-validate", 0.1 + 0.08 * fold))
    strange = heldout.scores(of, heldout.by_register(of), stories, tell=lambda fold: tell("cross-validate", 0.5 + 0.08 * fold))
    # How sure to be is decided on registers never seen, which is what a company's own texts are.
    warmth = abstain.temperature(strange.primary, labels)
    chances = softmax(stories.primary, warmth)
    unseen = softmax(strange.primary, warmth)
    threshold = abstain.auto_threshold(unseen, labels, tolerated)
    least = abstain.set_thresholds(unseen, labels, tolerated)
    thresholds = abstain.secondary_thresholds(strange.also, of.secondary(), unseen.argmax(axis=1))
    tell("fit", 0.85)
    model, also = heldout.fit(of)
    content = {
        "pipeline": model,
        "also": also,
        "temperature": warmth,
        "threshold": threshold,
        "least": least,
        "secondary": thresholds,
    }
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
        "least": dict(zip((str(name) for name in CLASSES), least, strict=True)),
        "figures": _figures(of, chances, stories.also, content),
        "unseen_registers": _figures(of, unseen, strange.also, content),
    }
    tell("done", 1.0)
    return Trained(data, card)


def build_shipped(progress: Progress | None = None, directory: Path | None = None) -> Trained:
    """Train on the shipped corpus and write bytes and card to `shipped_path()`, or into `directory`; each file whole or not at all."""
    trained = build(corpus.shipped_corpus(), progress=progress)
    path = directory / shipped_path().name if directory else shipped_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    # The card last: without it the bytes are not looked at.
    _write(path, trained.data)
    _write(path.with_suffix(".json"), json.dumps(trained.card, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n")
    return trained


def _figures(of: Material, chances: Floats, also: Floats, content: Mapping[str, Any]) -> dict[str, Any]:
    """Held-out figures of all texts and of each register, as JSON values."""
    examples, labels = of.examples, of.labels
    answers = chances.argmax(axis=1)
    secondary = []
    for place, example in enumerate(examples):
        named = abstain.secondary_of(also[place], content["secondary"], CLASSES[answers[place]])
        secondary.append((frozenset(map(CLASSES.index, example.secondary)), frozenset(map(CLASSES.index, named))))
    auto = abstain.alone(chances, content["threshold"], content["least"])

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
