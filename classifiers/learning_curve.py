"""How learning goes: `python -m classifiers.learning_curve FILE [--other FILE]`.

Some of a labelled file is fed as corrections, in ten random orders, and the rest of it tested: by the unchanged model, by the model that
learned them, and by one that knows these corrections alone. Another file, of other channels, tells what the learning spoils.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from classifiers import corpus, labelled, learning, train, trained_model
from classifiers.base import Query
from classifiers.corpus import customer_turns
from classifiers.learning import Own
from classifiers.linear import OneVsRest
from classifiers.reading import Reader, shipped_reader
from classifiers.scores import CLASSES
from classifiers.trained_model import Trained
from models.verdict import ComplaintClass

ORDERS = 10
STEPS = (0, 10, 25, 50, 75, 100)
TESTED = 50


@dataclass(frozen=True, slots=True)
class Step:
    """Means over the orders at so many corrections: accuracy of the three models, and of the learned one on the other file (or None)."""

    corrections: int
    unchanged: float
    learned: float
    alone: float
    other: float | None
    other_least: float | None


def queries(path: Path) -> tuple[list[Query], list[ComplaintClass]]:
    """The texts of a labelled file as the gateway would ask them, and their classes. What says no channel counts as a mail."""
    rows, _ = labelled.read(path.read_bytes(), path.name)
    asked = []
    for row in rows:
        said = customer_turns(row.text) if row.channel in ("chat", "phone") else row.text
        asked.append(Query(said, row.title, row.text, row.channel or "email"))
    return asked, [row.primary for row in rows if row.primary is not None]


def curve(
    base: Trained,
    fed: tuple[Sequence[Query], Sequence[ComplaintClass]],
    other: tuple[Sequence[Query], Sequence[ComplaintClass]] | None = None,
    *,
    steps: Sequence[int] = STEPS,
    orders: int = ORDERS,
    tested: int = TESTED,
    reader: Reader | None = None,
) -> list[Step]:
    """One step for each number of corrections; the last `tested` texts of each order are never learned from."""
    reader = reader or shipped_reader()
    asked, labels = fed
    witnesses = corpus.shipped_corpus()
    unchanged = _right(base, asked, labels, reader)
    found = []
    for step in steps:
        learned, alone, others = [], [], []
        tests = []
        for seed in range(orders):
            order = np.random.default_rng(seed).permutation(len(asked)).tolist()
            taught, test = order[:step], order[-tested:]
            own = [Own(f"{place:06d}", asked[place], labels[place]) for place in taught]
            made = learning.learn(base, own, reader=reader, witnesses=witnesses).trained if own else base
            tests.append(_mean(unchanged[place] for place in test))
            learned.append(_mean(_right(made, [asked[p] for p in test], [labels[p] for p in test], reader)))
            alone.append(_by_these_alone(own, [asked[p] for p in test], [labels[p] for p in test], reader))
            if other is not None and (own or seed == 0):
                others.append(_mean(_right(made, *other, reader)))
        least = min(others) if others else None
        mean = statistics.mean(others) if others else None
        found.append(Step(step, statistics.mean(tests), statistics.mean(learned), statistics.mean(alone), mean, least))
    return found


def _right(model: Trained, asked: Sequence[Query], labels: Sequence[ComplaintClass], reader: Reader) -> list[bool]:
    classifier = trained_model.load(model.data, model.card, reader=reader)
    return [verdict.primary is label for verdict, label in zip(classifier.classify(asked), labels, strict=True)]


def _by_these_alone(own: Sequence[Own], asked: Sequence[Query], labels: Sequence[ComplaintClass], reader: Reader) -> float:
    """Accuracy of the shipped kind of model, words and lexicon, where it has learned from the corrections and from nothing else."""
    taught = [CLASSES.index(one.primary) for one in own]
    if len(set(taught)) < 2:
        # Without anything to go by: always the class that came first.
        answer = own[0].primary if own else ComplaintClass.PRODUCT_QUALITY
        return _mean(label is answer for label in labels)
    from classifiers.features import Features

    features = Features(min_texts=2)
    rows = features.fit(reader.read_all([one.query for one in own])).transform(reader.read_all([one.query for one in own]))
    model = OneVsRest(C=10.0).fit(rows, np.eye(len(CLASSES), dtype=int)[taught])
    answers = model.decision_function(features.transform(reader.read_all(asked))).argmax(axis=1)
    return _mean(CLASSES[answer] is label for answer, label in zip(answers.tolist(), labels, strict=True))


def _mean(values: object) -> float:
    listed = list(values)  # type: ignore[call-overload]
    return sum(map(float, listed)) / max(1, len(listed))


def table(steps: Sequence[Step]) -> str:
    """The curve in Markdown."""
    lines = ["| corrections | unchanged | learned | errors | these alone | other file (worst order) |", "|---|---|---|---|---|---|"]
    for one in steps:
        change = (one.unchanged - one.learned) / max(1e-9, 1 - one.unchanged)
        other = "—" if one.other is None or one.other_least is None else f"{one.other:.3f} ({one.other_least:.3f})"
        lines.append(f"| {one.corrections} | {one.unchanged:.3f} | {one.learned:.3f} | {change:+.0%} | {one.alone:.3f} | {other} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None, say: Callable[[str], object] = print) -> None:
    """Prints the curve of a file."""
    asking = argparse.ArgumentParser(prog="python -m classifiers.learning_curve", description=__doc__)
    asking.add_argument("file", type=Path)
    asking.add_argument("--other", type=Path)
    asking.add_argument("--orders", type=int, default=ORDERS)
    asked = asking.parse_args(arguments)
    base = trained_model.read_shipped() if trained_model.shipped_path().exists() else train.build_shipped()
    other = queries(asked.other) if asked.other else None
    say(table(curve(base, queries(asked.file), other, orders=asked.orders)))


if __name__ == "__main__":
    main()
