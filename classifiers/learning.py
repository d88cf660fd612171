"""A trained model that has learned a company's own examples: what a base model (the shipped one) says, and what the examples add to it.

The base is left as it is. On top of its scores a shift is learned that is linear in words and lexicon terms, so that base and shift are one
table again and answering costs nothing more. The shift is drawn towards nothing, so that few examples say little and many outweigh the
base. It is counted from the mean of the examples, so that it moves no class as a whole: how often a class comes in through one channel says
nothing of another. What of it would spoil the channels that the examples do not speak of is taken back (`_guarded`).

Bit-for-bit reproducible on purpose: gradients without BLAS, a fixed number of steps, folds by hash, what is learned is rounded.
"""

from __future__ import annotations

import hashlib
import math
import platform
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from classifiers import abstain
from classifiers.base import Progress, Query
from classifiers.columns import Columns, lexicon_of
from classifiers.corpus import Example
from classifiers.evaluate import figures
from classifiers.facets import Hit
from classifiers.reading import Reader, Reading, shipped_reader
from classifiers.scores import CLASSES, Floats, rounded, softmax
from classifiers.stored import digest, pack, unpack
from classifiers.text import Clean, Words
from classifiers.trained_model import Trained
from models.verdict import ComplaintClass

Places = NDArray[np.int_]

# How strongly the shift is drawn towards nothing, and what the base's scores are divided by beside it. Chosen by the learning curve.
STRENGTH = 0.08
WARMTH = 2.0
# Steps of the solver. It is stopped before the very best fit, which with many examples holds it short besides.
_STEPS, _STEPS_OF_MANY = 400, 120
# From so many examples on, one share is held out by hash and scored once; below, every example is scored by a fold that did not see it.
MANY = 5_000
_FOLDS = 5
# A word that the base does not know must stand in so many examples to become a column.
_LEAST_TEXTS = 3
# Texts are read by so many, and slimmed, so that fifty thousand fit into memory.
_BATCH = 1_000
# A channel with fewer own examples is watched over by the corpus: of its texts no more than this share may become wrong.
_OWN_CHANNEL = 30
_MOST_SPOILT = 0.01
_SHARES = (1.0, 0.75, 0.5, 0.25, 0.0)
# The base's temperature and thresholds are believed like so many examples.
_BELIEVED = 200
_LEAST_FOR_THRESHOLDS = 500

_LIBRARIES = ("jieba", "numpy", "scikit-learn", "scipy", "skops", "ahocorasick-rs", "rjieba")
_NOWHERE = Clean("")


@dataclass(frozen=True, slots=True)
class Own:
    """One example of the company's own.

    key:    unlike any other's; decides in which fold it is.
    weight: how much it counts beside another.
    origin: `correction` or `import`; for the card.
    """

    key: str
    query: Query
    primary: ComplaintClass
    weight: float = 1.0
    origin: str = "correction"


@dataclass(frozen=True, slots=True)
class Learned:
    """What came of it.

    trained: bytes and card.
    unseen:  probabilities (examples × classes) in the order of the examples, by models that did not see the example; not a number where the
        example was not held out.
    share:   how much of the shift was kept for the sake of other channels.
    """

    trained: Trained
    unseen: Floats
    share: float


@dataclass(frozen=True, slots=True)
class _Shift:
    """What is added to the base's scores over their warmth: `x @ weights.T + start`; `x` is the words and terms of a row."""

    weights: Floats
    start: Floats

    def of(self, words: sparse.csr_matrix) -> Floats:
        moved: Floats = words @ self.weights.T + self.start
        return moved


def learn(
    base: Trained,
    own: Sequence[Own],
    *,
    reader: Reader | None = None,
    witnesses: Sequence[Example] = (),
    progress: Progress | None = None,
    tolerated: float = abstain.TOLERATED,
) -> Learned:
    """The base with what the examples teach. The same base and examples give the same bytes, in whatever order they come.

    witnesses: texts that the base was trained on, which watch over the channels that `own` does not speak of.
    progress:  told (what is being done, share done between 0 and 1).

    Raises `ValueError` without examples or where a key stands twice, `BadTrainedModel` for a base that is none.
    """
    tell = progress or (lambda what, share: None)
    order = sorted(range(len(own)), key=lambda place: own[place].key)
    chosen = [own[place] for place in order]
    if not chosen or len({one.key for one in chosen}) < len(chosen):
        raise ValueError("there must be examples, each with a key of its own")
    reader = reader or shipped_reader()
    content = unpack(base.data, base.card.get("sha256"))
    tell("read", 0.0)
    readings = _read([one.query for one in chosen], reader, lambda share: tell("read", 0.4 * share))
    grown = _Grown(content, readings)
    rows = grown.rows(readings)
    labels = np.array([CLASSES.index(one.primary) for one in chosen], dtype=int)
    weights = np.array([one.weight for one in chosen], dtype=np.float64)
    scores = grown.scores(rows)
    words = rows[:, : grown.heard].tocsr()
    tell("cross-validate", 0.45)
    unseen = np.full_like(scores, np.nan)
    folds = list(_folds([one.key for one in chosen]))
    for number, (seen, held) in enumerate(folds):
        if len(seen):
            shift = _shift(words[seen], scores[seen], labels[seen], weights[seen])
            unseen[held] = scores[held] + WARMTH * shift.of(words[held])
        tell("cross-validate", 0.45 + 0.25 * (number + 1) / len(folds))
    tell("fit", 0.7)
    shift = _shift(words, scores, labels, weights)
    share = _guarded(shift, grown, [one.query.channel or "email" for one in chosen], witnesses, reader)
    shift = _Shift(share * shift.weights, share * shift.start)
    unseen = scores + share * (unseen - scores)
    held_out: NDArray[np.bool_] = ~np.isnan(unseen[:, 0])
    bounds = _bounds(content, unseen[held_out], labels[held_out], tolerated)
    chances = softmax(unseen, bounds["temperature"])
    tell("pack", 0.95)
    data = pack(grown.content(shift) | bounds)
    sha256 = digest(data)
    card = {
        "version": sha256[:12],
        "sha256": sha256,
        "base": {"version": base.card.get("version"), "sha256": base.card.get("sha256")},
        "corpus": base.card.get("corpus"),
        "own": {"texts": dict(sorted(Counter(one.origin for one in chosen).items())), "sha256": _fingerprint(chosen), "share_kept": share},
        "libraries": {name: installed(name) for name in _LIBRARIES} | {"python": platform.python_version()},
        "features": int(grown.width),
        "temperature": bounds["temperature"],
        "threshold": bounds["threshold"],
        "secondary": dict(zip((str(name) for name in CLASSES), bounds["secondary"], strict=True)),
        "least": dict(zip((str(name) for name in CLASSES), bounds["least"], strict=True)),
        "figures": _figures(chances, labels, held_out, bounds, [one.query.channel or "unknown" for one in chosen]),
    }
    tell("done", 1.0)
    back = np.empty_like(chances)
    back[order] = chances
    return Learned(Trained(data, card), back, share)


class _Grown:
    """The base's columns and weights, with columns for the words that only the company's own texts hold."""

    def __init__(self, content: Mapping[str, Any], readings: Sequence[Reading]) -> None:
        self._content = content
        features, classes = (content["pipeline"].named_steps[name] for name in ("features", "classes"))
        known = features.names_.split("\n") if features.names_ else []
        before = set(known)
        seen: Counter[str] = Counter()
        for reading in readings:
            seen.update({word for word in (*reading.title.words, *reading.said.words) if word not in before and _counts(word)})
        new = sorted(word for word, texts in seen.items() if texts >= _LEAST_TEXTS)
        # As rare as a word that stands in one text of the base's; among the examples alone their rarity would be another scale.
        rarest = float(features.idf_.max()) if len(known) else 1.0
        self._names = sorted(known + new)
        place = {name: number for number, name in enumerate(self._names)}
        self._places = np.array([place[name] for name in known], dtype=int)
        rarity = np.full(len(self._names), rarest)
        rarity[self._places] = features.idf_
        self._rarity = rounded(rarity)
        self._known, self.words = len(known), len(self._names)
        lexicon = lexicon_of(features.lexicon)
        self._columns = Columns(self._names, self._rarity.tolist(), lexicon, features.word_weight)
        self.width = self._columns.width
        # What the shift may weigh: words and the lexicon's terms. Facets are the base's matter; few examples say nothing of whole facets.
        self.heard = self.words + len(lexicon.terms)
        self._coef, self._intercept = self._wide(classes.coef_), classes.intercept_.astype(np.float64)

    def _wide(self, coef: NDArray[np.float32]) -> Floats:
        wide = np.zeros((coef.shape[0], self.width))
        wide[:, self._places] = coef[:, : self._known]
        wide[:, self.words :] = coef[:, self._known :]
        return wide

    def rows(self, readings: Sequence[Reading]) -> sparse.csr_matrix:
        """One row a reading."""
        filled = self._columns.fill(readings)
        return sparse.csr_matrix((filled.values, filled.columns, filled.starts), shape=(len(readings), self.width))

    def scores(self, rows: sparse.csr_matrix) -> Floats:
        """What the base says (texts × classes)."""
        said: Floats = rows @ self._coef.T + self._intercept
        return said

    def content(self, shift: _Shift) -> dict[str, Any]:
        """What is packed: the base's estimators with the grown columns and the shifted weights."""
        pipeline, also = self._content["pipeline"], self._content["also"]
        features, classes = pipeline.named_steps["features"], pipeline.named_steps["classes"]
        features.names_, features.idf_ = "\n".join(self._names), self._rarity
        features.__dict__.pop("_columns", None)
        coef = self._coef.copy()
        coef[:, : self.heard] += WARMTH * shift.weights
        classes.coef_, classes.intercept_ = rounded(coef), rounded(self._intercept + WARMTH * shift.start)
        also.coef_ = rounded(self._wide(also.coef_))
        return {"pipeline": pipeline, "also": also}


def _counts(word: str) -> bool:
    return word.isalnum() or word[0] == "<"


def _read(queries: Sequence[Query], reader: Reader, tell: Any) -> list[Reading]:
    """The readings without what only pointing at words needs; equal words are one object."""
    slim: list[Reading] = []
    hits: dict[Hit, Hit] = {}

    def words(of: Words) -> Words:
        return Words(_NOWHERE, tuple(map(sys.intern, of.words)), (), ())

    def placed(found: Sequence[Hit]) -> tuple[Hit, ...]:
        bare = (Hit(hit.term, 0, 0, hit.facets) for hit in found)
        return tuple(hits.setdefault(hit, hit) for hit in bare)

    for start in range(0, len(queries), _BATCH):
        for one in reader.read_all(queries[start : start + _BATCH]):
            slim.append(Reading(words(one.title), words(one.said), placed(one.title_hits), placed(one.hits), one.demand))
        tell(min(1.0, (start + _BATCH) / len(queries)))
    return slim


def _folds(keys: Sequence[str]) -> Iterator[tuple[Places, Places]]:
    """Places to learn from and those held out; an example stays in its fold whatever comes in besides."""
    fold = np.array([int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:4]) % _FOLDS for key in keys], dtype=int)
    for number in range(1 if len(keys) >= MANY else _FOLDS):
        held = np.flatnonzero(fold == number)
        if len(held):
            yield np.flatnonzero(fold != number), held


def _shift(words: sparse.csr_matrix, scores: Floats, labels: Places, weights: Floats) -> _Shift:
    """Weights of words that make the labels likely beside the base's scores (multinomial logistic regression with an offset).

    By Nesterov's accelerated gradient, in numpy and scipy's own loops alone: BLAS sums in another order on another machine.
    """
    offset = scores / WARMTH
    truth = np.eye(len(CLASSES))[labels]
    turned = words.T.tocsr()
    mean = np.asarray(turned @ weights).ravel() / weights.sum()
    # A class that nobody has named yet keeps what the base says of it.
    curve = 0.5 * _largest(words, turned, mean, weights) + STRENGTH
    now = np.zeros((words.shape[1], len(CLASSES)))
    ahead, pace = now, 1.0
    for _ in range(_STEPS if words.shape[0] < MANY else _STEPS_OF_MANY):
        start = -(mean[:, None] * ahead).sum(axis=0)
        wrong = (softmax(offset + words @ ahead + start, 1.0) - truth) * weights[:, None]
        slope = turned @ wrong - mean[:, None] * wrong.sum(axis=0) + STRENGTH * ahead
        after = ahead - slope / curve
        faster = (1 + math.sqrt(1 + 4 * pace * pace)) / 2
        ahead, now, pace = after + (pace - 1) / faster * (after - now), after, faster
    return _Shift(now.T.copy(), -(mean[:, None] * now).sum(axis=0))


def _largest(words: sparse.csr_matrix, turned: sparse.csr_matrix, mean: Floats, weights: Floats) -> float:
    """An upper bound of how sharply the loss may bend: the largest eigenvalue of the weighed rows about their mean, by power iteration."""
    vector = np.ones(words.shape[1]) / math.sqrt(max(1, words.shape[1]))
    size = 1.0
    for _ in range(30):
        along = (words @ vector - (mean * vector).sum()) * weights
        vector = np.asarray(turned @ along).ravel() - mean * along.sum()
        size = math.sqrt(float((vector * vector).sum()))
        if size == 0.0:
            return 0.0
        vector = vector / size
    return 1.1 * size


def _guarded(shift: _Shift, grown: _Grown, channels: Sequence[str], witnesses: Sequence[Example], reader: Reader) -> float:
    """The largest share of the shift under which no channel that the examples do not speak of loses too many of its texts."""
    heard = {channel for channel, many in Counter(channels).items() if many >= _OWN_CHANNEL}
    asked = sorted((one for one in witnesses if one.query.channel not in heard), key=lambda one: one.id)
    if not asked:
        return 1.0
    rows = grown.rows(_read([one.query for one in asked], reader, lambda share: None))
    scores, moved = grown.scores(rows), WARMTH * shift.of(rows[:, : grown.heard].tocsr())
    labels = np.array([CLASSES.index(one.primary) for one in asked], dtype=int)
    of = np.array([one.query.channel or "" for one in asked])

    def spoilt(share: float) -> float:
        lost = ((scores + share * moved).argmax(axis=1) != labels).astype(float) - (scores.argmax(axis=1) != labels)
        return max(float(lost[of == channel].mean()) for channel in np.unique(of))

    return next(share for share in _SHARES if spoilt(share) <= _MOST_SPOILT)


def _bounds(content: Mapping[str, Any], unseen: Floats, labels: Places, tolerated: float) -> dict[str, Any]:
    """Temperature and thresholds: the base's, and from many examples on those of the examples held out."""
    base = {key: content[key] for key in ("temperature", "threshold", "least", "secondary")}
    if not len(labels):
        return base
    own = math.log(abstain.temperature(unseen, labels))
    mixed = (len(labels) * own + _BELIEVED * math.log(base["temperature"])) / (len(labels) + _BELIEVED)
    base["temperature"] = float(f"{math.exp(mixed):.4g}")
    if len(labels) >= _LEAST_FOR_THRESHOLDS:
        chances = softmax(unseen, base["temperature"])
        base["threshold"] = abstain.auto_threshold(chances, labels, tolerated)
        base["least"] = abstain.set_thresholds(chances, labels, tolerated)
    return base


def _figures(chances: Floats, labels: Places, held_out: NDArray[np.bool_], bounds: Mapping[str, Any], channels: Sequence[str]) -> Any:
    """Figures of the examples held out, as JSON values: all, and by channel."""
    auto = abstain.alone(chances, bounds["threshold"], bounds["least"])
    of = np.array(channels)
    parts = {"all": held_out} | {channel: held_out & (of == channel) for channel in sorted(set(channels))}
    return {name: figures(chances[part], labels[part], auto[part]).as_json() for name, part in parts.items() if part.any()}


def _fingerprint(own: Sequence[Own]) -> str:
    whole = hashlib.sha256()
    for one in own:
        said = "\x00".join((one.key, one.query.title, one.query.said, one.query.channel or "", one.primary, f"{one.weight:.6g}"))
        whole.update(hashlib.sha256(said.encode("utf-8", "surrogatepass")).digest())
    return whole.hexdigest()
