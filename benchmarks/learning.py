"""Retraining with many examples: the whole learning in a process of its own, its time and the memory it takes at most."""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measuring import BenchmarkError, Report
from classifiers import corpus, learning
from classifiers.base import Query
from classifiers.learning import Own
from gateway.champion import shipped

_MANY, _FEW = 50_000, 2_000


def varied(count: int) -> Iterator[Own]:
    """So many unlike texts: the corpus over and over, sentences left out, moved, or lent by another text of the same class."""
    lot = random.Random(20261124)
    taught = corpus.shipped_corpus()
    alike = {klass: [one for one in taught if one.primary is klass] for klass in {one.primary for one in taught}}
    for number in range(count):
        one = taught[number % len(taught)]
        sentences = [part for part in one.query.said.replace("！", "。").split("。") if part.strip()]
        if len(sentences) > 2:
            sentences.pop(lot.randrange(len(sentences)))
            lot.shuffle(sentences)
        lent = lot.choice(alike[one.primary]).query.said.split("。")
        sentences.append(lot.choice(lent))
        said = "。".join(sentences) + f"。工单{number}"
        yield Own(f"b{number:06d}", Query(said, one.query.title, "", one.query.channel), one.primary, 1.0, "import")


def measure(report: Report, folder: Path, *, quick: bool) -> None:
    """Learns many examples in a process of its own. Raises `BenchmarkError` where that fails."""
    count = _FEW if quick else _MANY
    done = subprocess.run([sys.executable, "-m", "benchmarks.learning", str(count)], capture_output=True, text=True, cwd=Path.cwd())
    if done.returncode:
        raise BenchmarkError(f"the learning failed: {done.stderr.strip()[-400:]}")
    told = json.loads(done.stdout)
    report.single("learning", f"{count} examples, all of it", told["seconds"], "s", bound="segmenting the texts, then the solver")
    report.single("learning", f"{count} examples, memory at most", told["megabytes"], "MB", bound="words of all texts, and the rows")


def main() -> None:
    """Learns as many examples as the first argument says, and prints seconds and megabytes."""
    own = list(varied(int(sys.argv[1])))
    base, witnesses = shipped(), corpus.shipped_corpus()
    parts: dict[str, float] = {}
    begun = time.monotonic()

    def tell(what: str, share: float) -> None:
        parts[what] = time.monotonic() - begun

    learned = learning.learn(base, own, witnesses=witnesses, progress=tell)
    seconds = time.monotonic() - begun
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = learned.trained.card["figures"]["all"]
    told = {"seconds": seconds, "megabytes": megabytes, "parts": parts, "accuracy": figures["accuracy"], "share": learned.share}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
