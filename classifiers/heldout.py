"""Fitting, and scores of texts by models that were not taught them: folds by story, and whole registers left out.

Texts of one corpus resemble one another, so folds by story flatter. A register that the model has never seen is nearer to what a company's
own texts will be; what is sure is therefore decided on those.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.pipeline import Pipeline

from classifiers.base import Query
from classifiers.blend import Blend, pipeline
from classifiers.corpus import Example
from classifiers.linear import OneVsRest
from classifiers.reading import Reader, Reading
from classifiers.scores import CLASSES, Floats, rounded

FOLDS = 5

# A sentence with its end; the lines of a chat are sentences.
_SENTENCE = re.compile(r"[^。！？!?；;\n…]+[。！？!?；;\n…]*")
_SHORTEST = 5
# All snippets of a text together count as much as the text itself.
_SNIPPETS_WEIGH = 1.0

Places = NDArray[np.int_]


@dataclass(frozen=True, slots=True)
class Material:
    """Examples in order, what was read of them, and snippets of them: title alone, each sentence alone, text without title."""

    examples: Sequence[Example]
    readings: Sequence[Reading]
    snippets: Sequence[Sequence[Reading]]
    reader: Reader

    @property
    def labels(self) -> Places:
        """The class numbers of the examples."""
        return np.array([CLASSES.index(example.primary) for example in self.examples], dtype=int)

    def secondary(self) -> Places:
        """1 where a further class is labelled (texts × classes)."""
        truth = np.zeros((len(self.examples), len(CLASSES)), dtype=int)
        for place, example in enumerate(self.examples):
            for name in example.secondary:
                truth[place, CLASSES.index(name)] = 1
        return truth


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Scores of texts by models that were not taught them (texts × classes), in the order of the examples."""

    primary: Floats
    also: Floats


def material(examples: Sequence[Example], reader: Reader) -> Material:
    """Everything read once, for all folds."""
    readings = reader.read_all([example.query for example in examples])
    return Material(examples, readings, [reader.read_all(snippets_of(example.query)) for example in examples], reader)


def snippets_of(query: Query) -> list[Query]:
    """Short texts out of one: people also write only that much. Nothing for a text of one sentence."""
    sentences = [match.group().strip() for match in _SENTENCE.finditer(query.said)]
    found = [replace(query, said=query.title, title="", context="")] if query.title.strip() else []
    if len(sentences) > 1:
        found += [replace(query, said=sentence, title="", context="") for sentence in sentences if len(sentence) >= _SHORTEST]
    if found and query.title.strip():
        found.append(replace(query, title="", context=""))
    return found


def fit(of: Material, places: Places | None = None, blend: Mapping[str, float] | None = None) -> tuple[Pipeline, OneVsRest]:
    """The pipeline for the primary class, and over the same features the model for every class a text complains of.

    places: of the examples to learn from; all where not given. `blend`: parameters of `Blend` other than the shipped ones.
    """
    chosen = np.arange(len(of.examples)) if places is None else places
    labels, secondary = of.labels[chosen], of.secondary()[chosen]
    model = pipeline(of.reader.facets.facets, blend)
    features, classes = model.named_steps["features"], model.named_steps["classes"]
    whole = features.fit([of.readings[place] for place in chosen]).transform([of.readings[place] for place in chosen])
    parts = [of.snippets[place] for place in chosen]
    counts = np.array([len(part) for part in parts], dtype=int)
    rows = sparse.vstack([whole, features.transform([reading for part in parts for reading in part])], format="csr")
    weights = np.concatenate([np.ones(len(chosen)), np.repeat(_SNIPPETS_WEIGH / np.maximum(counts, 1), counts)])
    truth = np.eye(len(CLASSES), dtype=int)[labels]
    classes.fit(rows, np.vstack([truth, np.repeat(truth, counts, axis=0)]), weights)
    return model, _further(whole, truth | secondary, classes.lexicon)


def _further(rows: sparse.csr_matrix, truth: Places, lexicon: str) -> OneVsRest:
    """The model of every class that a text complains of: what the texts themselves teach, and the voices of `Blend`, added up.

    By itself the first is best on texts of the hand that it learned from, and the second on those of others.
    """
    learned, voices = OneVsRest().fit(rows, truth), Blend(lexicon, words=1.0, four=0.0).fit(rows, truth)
    learned.coef_ = rounded(learned.coef_ + voices.coef_)
    learned.intercept_ = rounded(learned.intercept_ + voices.intercept_)
    return learned


def by_story(of: Material) -> Iterator[tuple[Places, Places]]:
    """`FOLDS` times the places to learn from and those held out; a story is never on both sides. `ValueError` with too few stories."""
    # Only training needs it, and the gateway starts sooner without.
    from sklearn.model_selection import StratifiedGroupKFold

    groups = [example.scenario for example in of.examples]
    if len(set(groups)) < FOLDS:
        raise ValueError(f"{len(set(groups))} scenarios are too few for {FOLDS} folds")
    yield from StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0).split(of.labels, of.labels, groups)


def by_register(of: Material) -> Iterator[tuple[Places, Places]]:
    """Each register held out in its turn; stories that it tells are not learned from elsewhere either. Nothing for one register alone."""
    registers = sorted({example.register for example in of.examples})
    for register in registers if len(registers) > 1 else ():
        told = {example.scenario for example in of.examples if example.register == register}
        unseen = [place for place, example in enumerate(of.examples) if example.register == register]
        seen = [place for place, example in enumerate(of.examples) if example.register != register and example.scenario not in told]
        if len({of.examples[place].primary for place in seen}) > 1:
            yield np.array(seen), np.array(unseen)


def scores(
    of: Material,
    folds: Iterator[tuple[Places, Places]],
    start: HeldOut | None = None,
    tell: Callable[[int], None] | None = None,
    blend: Mapping[str, float] | None = None,
) -> HeldOut:
    """Scores of every text that a fold holds out; `start` where no fold does."""
    primary = np.zeros((len(of.examples), len(CLASSES))) if start is None else start.primary.copy()
    also = np.zeros_like(primary) if start is None else start.also.copy()
    for number, (seen, unseen) in enumerate(folds):
        if tell:
            tell(number)
        model, second = fit(of, seen, blend)
        rows = model.named_steps["features"].transform([of.readings[place] for place in unseen])
        primary[unseen] = model.named_steps["classes"].decision_function(rows)
        also[unseen] = second.decision_function(rows)
    return HeldOut(primary, also)
