"""`python -m classifiers.report [FILE…]`: how right the classifier is and what each part of it brings and costs, as plain tables.

Measured on the shipped corpus alone: by story and by registers left out. Labelled files that are named are measured besides
with the model that ships, which never saw them; nothing is learned from them.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from classifiers import abstain, comparison, corpus, heldout, pictures, train, trained_model
from classifiers.base import Classifier, Query
from classifiers.corpus import REGISTERS, customer_turns
from classifiers.evaluate import Figures, figures, figures_of, reliability
from classifiers.fields import FieldFinder
from classifiers.heldout import HeldOut, Material
from classifiers.labelled import read
from classifiers.linear_classifier import LinearClassifier
from classifiers.reading import shipped_reader
from classifiers.risk import risks
from classifiers.scores import softmax
from classifiers.text import normalise, segment_all
from models.verdict import ComplaintClass

# What is measured beside the model that ships: parameters of `Blend`.
VARIANTS: Mapping[str, Mapping[str, float]] = {
    "shipped": {},
    "terms: Bayes alone": {"bayes": 1.0, "rules": 0.0, "four": 0.0, "words": 0.0},
    "rules alone": {"bayes": 0.0, "four": 0.0, "words": 0.0},
    "free words alone": {"bayes": 0.0, "rules": 0.0, "four": 0.0, "words": 1.0},
    "without Bayes": {"bayes": 0.0},
    "without rules": {"rules": 0.0},
    "without words among four": {"four": 0.0},
    "without words against rest": {"words": 0.0},
    "without any free words": {"four": 0.0, "words": 0.0},
    "words half as loud": {"four": 0.2, "words": 0.4},
    "words twice as loud": {"four": 0.8, "words": 1.6},
    "without the hint in the prior": {"hint": 0.0},
    "facets weak (strength 5)": {"strength": 5.0},
}

_CHINESE: Mapping[str, str] = {"letter": "来信", "mail": "邮件", "chat": "对话", "phone": "电话"}

Said = Callable[[str], object]


def main(files: Sequence[Path], say: Said = print, picture: Path | None = None) -> None:
    """Says the whole report, one line a call, and draws `reliability_picture`. Raises `BadCorpus` for a file that is not labelled."""
    # A mistake in a file is told before the long part begins.
    sets = [(path.stem, *labelled(path)) for path in files]
    of = heldout.material(corpus.shipped_corpus(), shipped_reader())
    say("## What each part brings (4: four-class accuracy, F1: macro-F1 of five, 2: top two, e: calibration error)")
    say("")
    say("| voices | by story 4 / F1 / 2 | registers left out 4 / F1 / 2 / e |" + "".join(f" {name} 4 / F1 / 2 / e |" for name, *_ in sets))
    say("|---|---|---|" + "---|" * len(sets))
    shipped: tuple[HeldOut, HeldOut] | None = None
    for name, parameters in VARIANTS.items():
        stories = heldout.scores(of, heldout.by_story(of), blend=parameters)
        strange = heldout.scores(of, heldout.by_register(of), stories, blend=parameters)
        shipped = shipped or (stories, strange)
        say(_row(of, name, parameters, stories, strange, sets))
    if shipped:
        say("")
        model, _ = heldout.fit(of)
        readings = [of.reader.read_all(queries) for _, queries, _, _ in sets]
        theirs = [
            (name, read, model.decision_function(read), _numbers(labels))
            for (name, _, labels, _), read in zip(sets, readings, strict=True)
        ]  # fmt: skip
        comparison.main(of, shipped, theirs, say)
    classifier = trained_model.load_shipped() if trained_model.shipped_path().exists() else _built()
    if shipped:
        _by_register(of, shipped[1], classifier, say)
        if picture is not None:
            picture.parent.mkdir(parents=True, exist_ok=True)
            picture.write_text(reliability_picture(of, shipped[1], classifier), encoding="utf-8")
    say("")
    for name, queries, labels, secondary in sets:
        say(f"## {name}: the shipped model")
        say("")
        say(figures_of(classifier.classify(queries), labels, secondary).table())
        say("")
    _prices(of, classifier, say)


def labelled(path: Path) -> tuple[list[Query], list[ComplaintClass], list[list[ComplaintClass]]]:
    """Texts, classes and further classes of a labelled file (`classifiers.labelled`); of a call or a chat only what the customer says."""
    queries, labels, secondary = [], [], []
    for row in read(path.read_bytes(), path.name)[0]:
        said = customer_turns(row.text) if row.channel in ("phone", "chat") else row.text
        queries.append(Query(said, row.title, row.text, row.channel))
        labels += [row.primary] if row.primary is not None else []
        secondary.append(list(row.secondary or ()))
    return queries, labels, secondary


def _row(of: Material, name: str, parameters: Mapping[str, float], stories: HeldOut, strange: HeldOut, sets: Sequence[Any]) -> str:
    labels = of.labels
    nobody = np.zeros(len(labels), dtype=bool)
    warmth = abstain.temperature(strange.primary, labels)
    one = figures(softmax(stories.primary, warmth), labels, nobody)
    two = figures(softmax(strange.primary, warmth), labels, nobody)
    cells = [name, f"{one.four_class:.3f} / {one.macro_f1:.3f} / {one.top_two:.3f}", _short(two)]
    if sets:
        model, _ = heldout.fit(of, blend=parameters)
        for _, queries, wanted, _ in sets:
            scores = model.decision_function(of.reader.read_all(queries))
            cells.append(_short(figures(softmax(scores, warmth), _numbers(wanted), np.zeros(len(wanted), dtype=bool))))
    return "| " + " | ".join(cells) + " |"


def _numbers(labels: Sequence[ComplaintClass]) -> Any:
    return np.array([list(ComplaintClass).index(label) for label in labels], dtype=int)


def _short(made: Figures) -> str:
    return f"{made.four_class:.3f} / {made.macro_f1:.3f} / {made.top_two:.3f} / {made.ece:.3f}"


def _by_register(of: Material, strange: HeldOut, classifier: LinearClassifier, say: Said) -> None:
    """What would happen to texts of each register if the model had never seen it; and the texts that it is least sure of."""
    chances = softmax(strange.primary, classifier.bounds.temperature)
    auto = abstain.alone(chances, classifier.bounds.threshold, classifier.bounds.least)
    registers = np.array([example.register for example in of.examples])
    hardest = np.argsort(chances.max(axis=1), kind="stable")[: len(registers) // 3]
    parts = {name: np.flatnonzero(registers == name) for name in REGISTERS} | {"hardest third": hardest}
    say("")
    say("## Registers never seen, with the shipped model's thresholds")
    say("")
    say("| texts | four classes | macro-F1 | top two | calibration error | routed alone | of these wrong |")
    say("|---|---|---|---|---|---|---|")
    for name, places in parts.items():
        made = figures(chances[places], of.labels[places], auto[places])
        cells = f"{made.four_class:.3f} | {made.macro_f1:.3f} | {made.top_two:.3f} | {made.ece:.3f}"
        say(f"| {name} | {cells} | {made.auto_share:.1%} | {made.auto_error:.1%} |")


def reliability_picture(of: Material, strange: HeldOut, classifier: LinearClassifier) -> str:
    """What the probabilities are worth on texts of each register by models that never saw that register, as SVG."""
    chances = softmax(strange.primary, classifier.bounds.temperature)
    auto = abstain.alone(chances, classifier.bounds.threshold, classifier.bounds.least)
    registers = np.array([example.register for example in of.examples])
    parts = {}
    for name in REGISTERS:
        places = np.flatnonzero(registers == name)
        bins = reliability(chances[places], of.labels[places])
        parts[name] = (_CHINESE[name], bins, figures(chances[places], of.labels[places], auto[places]))
    return pictures.of_registers(parts, classifier.version)


def _prices(of: Material, classifier: LinearClassifier, say: Said) -> None:
    """Processor time of each part, by the text."""
    queries = [example.query for example in of.examples[::4]]
    finder = FieldFinder()
    cleaned = [normalise(query.said) for query in queries]
    readings = [of.readings[place] for place in range(0, len(of.examples), 4)]
    parts: dict[str, Callable[[], object]] = {
        "normalise, mask and segment": lambda: segment_all([query.said for query in queries]),
        "the lexicon's terms (one pass)": lambda: [of.reader.facets.find(clean.text) for clean in cleaned],
        "rows of features": lambda: classifier.rows(readings),
        "risk": lambda: [risks(clean.text) for clean in cleaned],
        "name, phone, estate, unit": lambda: [finder.find(query, clean) for query, clean in zip(queries, cleaned, strict=True)],
        "everything, with reasons": lambda: _batches(classifier, queries),
    }
    say("## Prices")
    say("")
    say("| part | µs a text |")
    say("|---|---|")
    for name, run in parts.items():
        taken = []
        for _ in range(3):
            begun = time.process_time()
            run()
            taken.append((time.process_time() - begun) / len(queries) * 1e6)
        say(f"| {name} | {statistics.median(taken):.0f} |")


def _batches(classifier: Classifier, queries: Sequence[Query]) -> None:
    for start in range(0, len(queries), 64):
        classifier.classify(queries[start : start + 64])


def _built() -> LinearClassifier:
    trained = train.build(corpus.shipped_corpus())
    return trained_model.load(trained.data, trained.card)


def command(arguments: Sequence[str] | None = None) -> int:
    """The command line; the return value is the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m classifiers.report",
        description="分类有多准，各部分贡献和代价多少。 How right, and what each part brings and costs.",
    )
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="有标注的文件，另外检验 labelled files, measured besides")
    parser.add_argument("--picture", type=Path, metavar="FILE.svg", help="未见文体上概率是否可信的图 a chart of the reliability")
    options = parser.parse_args(arguments)
    try:
        main(options.files, picture=options.picture)
    except corpus.BadCorpus as error:
        sys.stderr.write(f"错误：{getattr(error, 'zh', error)}\nerror: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"错误：{error.filename}：{error.strerror}\nerror: {error.filename}: {error.strerror}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(command())
