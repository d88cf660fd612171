"""What `promise` does over time: texts come in a row; a person settles those not routed alone, and a sample of those that are.

`python -m classifiers.stream` prints it for the shipped corpus, each text scored by a model that knows neither register nor story.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifiers import abstain, corpus, heldout, promise
from classifiers.corpus import REGISTERS
from classifiers.promise import Reviewed
from classifiers.reading import shipped_reader
from classifiers.scores import CLASSES, Floats, softmax
from models.verdict import Decision

# The policy is made anew after so many texts; the gateway does so as reviews come in.
_EVERY = 100
_ORDERS = 20


@dataclass(frozen=True, slots=True)
class Passed:
    """One stretch of a stream: texts, those routed alone, those of these that were wrong, and the reviews that there were before."""

    texts: int
    alone: int
    wrong: int
    reviews: int


def run(
    chances: Floats,
    labels: NDArray[np.int_],
    channels: Sequence[str],
    shipped: promise.Policy,
    *,
    every: int = _EVERY,
    learns: bool = True,
) -> list[Passed]:
    """What happens to the texts in their order, by stretches of `every`.

    learns: whether reviews change the policy; without, the shipped one stays.
    """
    reviews: list[Reviewed] = []
    now = shipped
    passed = []
    for start in range(0, len(labels), every):
        if learns and reviews:
            now = promise.policy(reviews, shipped, sorted(set(channels)))
        stretch = range(start, min(start + every, len(labels)))
        alone = wrong = 0
        before = len(reviews)
        for place in stretch:
            channel = channels[place]
            ruling = now.rule(now.calibrated(chances[place], channel), channel)
            weight = 1.0
            if ruling.decision is Decision.AUTO:
                alone += 1
                wrong += ruling.primary is not CLASSES[labels[place]]
                share = now.audited(ruling.primary, channel)
                if not promise.is_audited(f"{start}-{place}", share):
                    continue
                weight = 1 / share
            reviews.append(Reviewed(channel, tuple(chances[place].tolist()), CLASSES[labels[place]], weight))
        passed.append(Passed(len(stretch), alone, wrong, before))
    return passed


def main(say: Callable[[str], object] = print, orders: int = _ORDERS) -> None:
    """Prints share and error by stretch, medians over `orders` random orders, with learning and without."""
    of = heldout.material(corpus.shipped_corpus(), shipped_reader())
    stories = heldout.scores(of, heldout.by_story(of))
    scores = heldout.scores(of, heldout.by_register(of), stories).primary
    labels = of.labels
    warmth = abstain.temperature(scores, labels)
    chances = softmax(scores, warmth)
    shipped = promise.shipped_policy(abstain.auto_threshold(chances, labels), abstain.set_thresholds(chances, labels))
    channels = np.array([REGISTERS[example.register] for example in of.examples])
    runs: dict[bool, list[list[Passed]]] = {True: [], False: []}
    for seed in range(orders):
        order = np.random.default_rng(seed).permutation(len(labels))
        for learns in runs:
            runs[learns].append(run(chances[order], labels[order], channels[order].tolist(), shipped, learns=learns))
    say(f"## A stream of {len(labels)} texts, {orders} orders (tolerated {shipped.tolerated:.0%})")
    say("")
    say("| texts | reviews before | routed alone | of these wrong | without learning | of these wrong |")
    say("|---|---|---|---|---|---|")
    together = 5
    for block in range(0, len(runs[True][0]), together):
        cells = []
        for learns in (True, False):
            stretches = [passed for one in runs[learns] for passed in one[block : block + together]]
            alone = sum(one.alone for one in stretches)
            cells += [f"{alone / sum(one.texts for one in stretches):.1%}", f"{sum(one.wrong for one in stretches) / max(1, alone):.1%}"]
        reviews = statistics.median(one[block].reviews for one in runs[True])
        last = sum(passed.texts for passed in runs[True][0][: block + together])
        say(f"| {block * _EVERY + 1}–{last} | {reviews:.0f} | {' | '.join(cells)} |")
    worst = max(sum(one.wrong for one in row) / max(1, sum(one.alone for one in row)) for row in runs[True])
    say("")
    say(f"Worst of the {orders} orders over the whole stream: {worst:.1%} of those routed alone wrong.")


if __name__ == "__main__":
    main()
