"""Labels that are likely wrong, and how far people agree.

Suspicious are labels that a model which was not taught them contradicts: confident learning (Northcutt, Jiang and Chuang 2021), as cleanlab
does it (`docs/dependencies.md` says why not by cleanlab). Agreement is Krippendorff's alpha for names (2011).

python -m classifiers.label_quality < items.jsonl    what the gateway asks of a process of its own, so that no chat waits for it
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from classifiers import abstain, corpus
from classifiers.base import Progress, Query
from classifiers.corpus import Example
from classifiers.reading import Reader, shipped_reader
from classifiers.scores import CLASSES, Floats, softmax
from models.verdict import ComplaintClass

FOLDS = 5
# The mean of fewer examples says little; such a class counts as stated confidently where it is likelier than not.
_LEAST_OF_CLASS = 10
_LIKELIER_THAN_NOT = 0.5
# With fewer labels than this nothing is held out of anything.
LEAST_ITEMS = 2 * FOLDS

_SIGNS = re.compile(r"[\W\d_]+")
Places = NDArray[np.int64]
Label = TypeVar("Label", bound=str)


@dataclass(frozen=True, slots=True)
class Item:
    """A text with the class that somebody gave it."""

    query: Query
    primary: ComplaintClass


@dataclass(frozen=True, slots=True)
class Suspect:
    """A label that is likely wrong.

    place:       of the item in what was asked.
    likely:      the class that it should rather have, and `probability` of that, out of fold.
    stated:      the probability of the class that it has.
    """

    place: int
    likely: ComplaintClass
    probability: float
    stated: float


def suspects(
    items: Sequence[Item], *, background: Sequence[Example] | None = None, reader: Reader | None = None, progress: Progress | None = None
) -> list[Suspect]:
    """The suspicious labels among `items`, the worst first; nothing where there are fewer than `LEAST_ITEMS`.

    background: texts that every fold learns from and that are not judged; the shipped corpus where not given.
    """
    if len(items) < LEAST_ITEMS:
        return []
    known = corpus.shipped_corpus() if background is None else background
    chances = out_of_fold(items, known, reader or shipped_reader(), progress or (lambda what, share: None))
    labels = np.array([CLASSES.index(item.primary) for item in items], dtype=int)
    return [
        Suspect(place, CLASSES[likely], float(chances[place, likely]), float(chances[place, labels[place]]))
        for place, likely in issues(chances, labels)
    ]


def issues(chances: Floats, labels: Places) -> list[tuple[int, int]]:
    """(place, likely class) of the labels that confident learning finds wrong, the worst first.

    A class counts as stated confidently where its probability reaches the mean that it has over the texts that are labelled so. Of the
    classes that do, the likeliest is the text's confident class; a label that differs from it is an issue. They are ranked by
    the margin by which the label is less likely than the likeliest other class.
    """
    mine = chances[np.arange(len(labels)), labels]
    counts = np.bincount(labels, minlength=chances.shape[1])
    sums = np.bincount(labels, weights=mine, minlength=chances.shape[1])
    thresholds = np.where(counts >= _LEAST_OF_CLASS, sums / np.maximum(counts, 1), _LIKELIER_THAN_NOT)
    confident = chances >= thresholds - 1e-6
    answers = np.where(confident, chances, -1.0).argmax(axis=1)
    found = np.flatnonzero(confident.any(axis=1) & (answers != labels))
    others = chances.copy()
    others[np.arange(len(labels)), labels] = -1.0
    margins = mine - others.max(axis=1)
    return [(int(place), int(answers[place])) for place in found[np.argsort(margins[found], kind="stable")]]


def out_of_fold(items: Sequence[Item], background: Sequence[Example], reader: Reader, tell: Progress) -> Floats:
    """Calibrated probabilities of each item (items × classes) by a model that learned from the other folds and the background."""
    from classifiers.blend import pipeline

    queries = [example.query for example in background] + [item.query for item in items]
    readings = []
    for place, query in enumerate(queries):
        if place % 250 == 0:
            tell("读 reading", 0.5 * place / len(queries))
        readings.append(reader.read(query))
    primaries = [example.primary for example in background] + [item.primary for item in items]
    labels = np.array([CLASSES.index(primary) for primary in primaries], dtype=int)
    first = len(background)
    scores = np.zeros((len(items), len(CLASSES)))
    for fold, unseen in enumerate(_folds(items)):
        tell("逐折核对 checking", 0.5 + 0.1 * fold)
        seen = np.setdiff1d(np.arange(len(queries)), unseen + first)
        model = pipeline(reader.facets.facets)
        features, classes = model.named_steps["features"], model.named_steps["classes"]
        rows = features.fit_transform([readings[place] for place in seen])
        classes.fit(rows, np.eye(len(CLASSES), dtype=int)[labels[seen]])
        scores[unseen] = classes.decision_function(features.transform([readings[place + first] for place in unseen]))
    tell("完成 done", 1.0)
    return softmax(scores, abstain.temperature(scores, labels[first:]))


def _folds(items: Sequence[Item]) -> Iterator[Places]:
    """Places held out together. The same text, but for signs and numbers, is never on both sides: a copy would vouch for its own label."""
    folds: dict[str, int] = {}
    of_class: Counter[str] = Counter()
    placed = []
    for item in items:
        text = _SIGNS.sub("", f"{item.query.title}{item.query.said}")
        if text not in folds:
            # In turn within each class, so that every fold learns every class.
            folds[text] = of_class[item.primary] % FOLDS
            of_class[item.primary] += 1
        placed.append(folds[text])
    for fold in range(FOLDS):
        unseen = np.flatnonzero(np.array(placed) == fold)
        if len(unseen):
            yield unseen


def alpha(units: Sequence[Sequence[str]]) -> float | None:
    """Krippendorff's alpha for nominal data: 1 where all agree, 0 where they agree as by chance, below that less.

    units: the values that each unit was given, one a person; units with one value say nothing. `None` where nothing can be said: no unit
    has two values. Where all values are alike there was nothing to disagree about, and it is 1.
    """
    paired = [values for values in units if len(values) > 1]
    total = sum(map(len, paired))
    if not total:
        return None
    of_value: Counter[str] = Counter(value for values in paired for value in values)
    observed = 0.0
    for values in paired:
        alike = sum(count * (count - 1) for count in Counter(values).values())
        observed += (len(values) * (len(values) - 1) - alike) / (len(values) - 1)
    expected = (total * total - sum(count * count for count in of_value.values())) / (total - 1)
    return 1.0 if not expected else 1.0 - observed / expected


def alpha_by_class(units: Sequence[Sequence[Label]], classes: Sequence[Label]) -> Mapping[Label, float | None]:
    """Alpha of each class against all others: where people draw the line differently. `None` for a class that nobody named."""
    named = {value for values in units if len(values) > 1 for value in values}
    return {
        one: alpha([["1" if value == one else "0" for value in values] for values in units]) if one in named else None for one in classes
    }


def main() -> None:
    """Reads items as JSON lines and writes the suspects as one JSON list."""
    # Whoever chats with the gateway comes first.
    os.nice(10)
    items = []
    for line in sys.stdin.buffer:
        row = json.loads(line)
        items.append(Item(Query(said=row["text"], title=row["title"], channel=row["channel"]), ComplaintClass(row["primary"])))
    found = [{"place": one.place, "likely": one.likely, "probability": one.probability, "stated": one.stated} for one in suspects(items)]
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
