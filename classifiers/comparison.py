"""What else could have been built: words, word pairs, characters and pinyin as columns, each by a linear model, and added to what ships.

Part of `classifiers.report`; nothing of it is shipped. scikit-learn's own vectorisers, so that nobody need trust ours.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from classifiers import abstain, heldout
from classifiers.evaluate import figures
from classifiers.heldout import HeldOut, Material
from classifiers.linear import OneVsRest
from classifiers.reading import Reading
from classifiers.scores import CLASSES, Floats, softmax

Say = Callable[[str], object]

# How loud a further voice is beside the shipped ones.
_BESIDE = 1.0


@dataclass(frozen=True, slots=True)
class Voice:
    """One way to make columns of a text. `vectoriser` makes a new one; `text` is what it gets of a reading."""

    name: str
    vectoriser: Callable[[], Any]
    text: Callable[[Reading], str]


def _words(reading: Reading) -> str:
    return " ".join(word for word in (*reading.title.words, *reading.said.words) if not word.isspace())


def _characters(reading: Reading) -> str:
    return f"{reading.title.clean.text}\n{reading.said.clean.text}"


def _syllables(reading: Reading) -> str:
    # Only this table needs it: against homophones of speech recognition and typing.
    from pypinyin import lazy_pinyin

    return " ".join(part for part in lazy_pinyin(_characters(reading)) if not part.isspace())


def _tokens(low: int, high: int) -> Callable[[], Any]:
    return lambda: TfidfVectorizer(
        tokenizer=str.split, token_pattern=None, lowercase=False, ngram_range=(low, high), min_df=3, sublinear_tf=True
    )


VOICES: Sequence[Voice] = (
    Voice("words", _tokens(1, 1), _words),
    Voice("words and pairs of words", _tokens(1, 2), _words),
    Voice("characters, 1 to 3", lambda: TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=3, sublinear_tf=True), _characters),
    Voice("pinyin syllables, 1 to 3", _tokens(1, 3), _syllables),
)


def main(of: Material, shipped: tuple[HeldOut, HeldOut], sets: Sequence[tuple[str, Sequence[Reading], Floats, Any]], say: Say) -> None:
    """Says the table. `shipped` are the scores of what ships, by story and registers left out; `sets` (name, readings, scores, labels)."""
    say("## Other columns, each alone in a linear model, and as one more voice beside those that ship")
    say("")
    say(
        "| columns | by story 4 / F1 / 2 | registers left out | calls left out |"
        + "".join(f" {name} |" for name, *_ in sets)
        + " µs a text |"
    )
    say("|---|---|---|---|" + "---|" * len(sets) + "---|")
    for voice in VOICES:
        begun = time.process_time()
        texts = [voice.text(reading) for reading in of.readings]
        price = (time.process_time() - begun) / len(texts)
        stories = _scores(of, voice, texts, heldout.by_story(of))
        strange = _scores(of, voice, texts, heldout.by_register(of))
        rows, score = _fitted(of, voice, texts, np.arange(len(texts)))
        begun = time.process_time()
        rows(texts)
        price += (time.process_time() - begun) / len(texts)
        theirs = [score(rows([voice.text(reading) for reading in readings])) for _, readings, _, _ in sets]
        say(_row(voice.name, of, stories, strange, theirs, sets, price))
        loud = _BESIDE
        both = [base + loud * own for (_, _, base, _), own in zip(sets, theirs, strict=True)]
        say(
            _row(
                "… beside those that ship", of, shipped[0].primary + loud * stories, shipped[1].primary + loud * strange, both, sets, price
            )
        )
    say("")


def _fitted(
    of: Material, voice: Voice, texts: Sequence[str], seen: Any
) -> tuple[Callable[[Sequence[str]], sparse.csr_matrix], Callable[..., Floats]]:
    made = voice.vectoriser()
    rows = made.fit_transform([texts[place] for place in seen])
    model = OneVsRest().fit(rows.tocsr(), np.eye(len(CLASSES), dtype=int)[of.labels[seen]])
    return made.transform, lambda matrix: _centred(model.decision_function(matrix.tocsr()))


def _centred(scores: Floats) -> Floats:
    centred: Floats = scores - scores.mean(axis=1, keepdims=True)
    return centred


def _scores(of: Material, voice: Voice, texts: Sequence[str], folds: Iterator[tuple[Any, Any]]) -> Floats:
    found = np.zeros((len(texts), len(CLASSES)))
    for seen, unseen in folds:
        rows, score = _fitted(of, voice, texts, seen)
        found[unseen] = score(rows([texts[place] for place in unseen]))
    return found


def _row(
    name: str,
    of: Material,
    stories: Floats,
    strange: Floats,
    theirs: Sequence[Floats],
    sets: Sequence[tuple[str, Any, Any, Any]],
    price: float,
) -> str:
    warmth = abstain.temperature(strange, of.labels)
    calls = np.array([example.register == "phone" for example in of.examples])
    cells = [name, _short(stories, of.labels, warmth), _short(strange, of.labels, warmth), _short(strange[calls], of.labels[calls], warmth)]
    cells += [_short(scores, labels, warmth) for scores, (_, _, _, labels) in zip(theirs, sets, strict=True)]
    return "| " + " | ".join([*cells, f"{price * 1e6:.0f}"]) + " |"


def _short(scores: Floats, labels: Any, warmth: float) -> str:
    made = figures(softmax(scores, warmth), labels, np.zeros(len(labels), dtype=bool))
    return f"{made.four_class:.3f} / {made.macro_f1:.3f} / {made.top_two:.3f}"
