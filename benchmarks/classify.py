"""Classification by the batch, with the shipped trained model, against jieba's own segmentation alone of the same texts; and single texts.

Rates are by processor time, which neighbours on the machine do not change, and single texts by the clock on the wall.
jieba is taken as it comes (`lcut`, HMM on, warm): it is what every classifier of Chinese texts that uses it must spend.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.measuring import Report, percentile, ratios, rounds
from classifiers import corpus, train, trained_model
from classifiers.base import Query
from gateway.flow import FLOW

_GROUP = "classify"
# Length of a single text, in characters: a mail or a chat of several lines.
_SINGLE_FROM, _SINGLE_TO = 270, 330


def measure(report: Report, folder: Path, *, quick: bool) -> None:
    """Adds the rows of this measurement. Takes about 20 s, quick five."""
    count, most, singles, budget = (128, 2, 50, 4.0) if quick else (640, 5, 500, 20.0)
    queries = _texts(count)
    chars = sum(len(query.title) + len(query.said) for query in queries) / len(queries)
    lcut = _jieba(folder)
    classifier = trained_model.load_shipped() if trained_model.shipped_path().exists() else trained_model.load(*_built())
    batch = next(stage.batch for stage in FLOW if stage.kind == "triage")
    classifier.classify(queries[:batch])
    alone: list[float] = []
    whole: list[float] = []
    for _ in rounds(most, budget):
        begun = time.process_time()
        for query in queries:
            if query.title:
                lcut(query.title)
            lcut(query.said)
        alone.append(count / (time.process_time() - begun))
        begun = time.process_time()
        for start in range(0, count, batch):
            classifier.classify(queries[start : start + batch])
        whole.append(count / (time.process_time() - begun))
    about = f"{count} texts of the shipped corpus, {chars:.0f} characters on average"
    report.add(_GROUP, "jieba.lcut alone, HMM on", alone, "texts/CPU s", f"one core; {about}")
    report.add(
        _GROUP, f"classifier, batches of {batch}: verdict, reasons, risk, fields", whole, "texts/CPU s", "one core; jieba without HMM first"
    )
    report.add(_GROUP, "ratio classifier / jieba alone", ratios(whole, alone), "x", "segmentation, features and fields, all in Python")
    times = _single([query for query in queries if _SINGLE_FROM <= len(query.said) <= _SINGLE_TO] or queries, classifier.classify, singles)
    bound = f"{len(times)} calls with one text of {_SINGLE_FROM}–{_SINGLE_TO} characters"
    report.single(_GROUP, "single text, p50", statistics.median(times), "ms", bound)
    report.single(_GROUP, "single text, p99", percentile(times, 0.99), "ms")


def _texts(count: int) -> list[Query]:
    """So many texts, of all registers alike: every n-th of the corpus, or the corpus again and again."""
    found = [example.query for example in corpus.shipped_corpus()]
    step = max(1, len(found) // count)
    return [found[place * step % len(found)] for place in range(count)]


def _jieba(folder: Path) -> Callable[[str], list[str]]:
    """jieba's `lcut`, warm; its cache file goes into our folder and not into the shared temporary one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import jieba
    jieba.setLogLevel(60)
    tokenizer = jieba.Tokenizer()
    tokenizer.tmp_dir = str(folder)
    tokenizer.lcut("房子漏水三个月没有人来修，我要退房。")
    cut: Callable[[str], list[str]] = tokenizer.lcut
    return cut


def _built() -> tuple[bytes, dict[str, object]]:
    trained = train.build(corpus.shipped_corpus())
    return trained.data, dict(trained.card)


def _single(queries: Sequence[Query], classify: Callable[[Sequence[Query]], object], count: int) -> list[float]:
    """Milliseconds of each of `count` calls with one text."""
    taken: list[float] = []
    for place in range(count):
        one = [queries[place % len(queries)]]
        begun = time.perf_counter()
        classify(one)
        taken.append((time.perf_counter() - begun) * 1000)
    return taken
