"""One retraining from end to end: examples in, a candidate with the gate's verdict out. The champion is never touched before the last step.

It runs in a process of its own (`jiesu retrain --run`), holds a lease on its row of `retrainings`, and tells there how far it is. A runner
that dies leaves the row behind; whoever looks after its lease ended marks it failed.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from classifiers import corpus, learning, trained_model
from classifiers.base import Progress, Query
from classifiers.learning import Own
from classifiers.reading import Reader, shipped_reader
from classifiers.scores import CLASSES
from classifiers.trained_model import Trained
from gateway import gate
from gateway.champion import shipped
from gateway.clock import Clock
from gateway.gate import GateRules, Paper
from gateway.oplog import OperatorLog
from gateway.store import examples, retrainings, trained
from gateway.store.engine import Store
from gateway.store.examples import ExampleRow
from gateway.store.retrainings import Retraining
from models.errors import JiesuError, Refused, TryLater

LEASE = timedelta(seconds=30)
_BEAT_SECONDS = 1.0

# How much one example counts: staff's own corrections most, for they were made on this gateway's complaints under today's rules.
WEIGHTS = {examples.CORRECTION: 1.0, examples.IMPORTED: 0.5}
# However old, an example keeps this share of its weight.
_LEAST_SHARE = 0.25
# At most so many of the newest corrections are put to the gate.
_MOST_NEWEST = 1_000


@dataclass(frozen=True, slots=True)
class Rules:
    """What a retraining goes by: the gate, the error put up with, how fast examples age, whether a good candidate answers at once."""

    gate: GateRules
    tolerated: float
    memory_years: float
    promote_alone: bool


def own(rows: Sequence[ExampleRow], memory_years: float) -> list[Own]:
    """What is learned from: each example with its weight, by its origin and by how much older than the newest it is."""
    if not rows:
        return []
    newest = max(row.added_at for row in rows)

    def weight(row: ExampleRow) -> float:
        years = (newest - row.added_at) / timedelta(days=365.25)
        return round(WEIGHTS[row.origin] * max(_LEAST_SHARE, math.pow(0.5, years / memory_years)), 4)

    return [Own(f"{row.origin}:{row.key}", query(row), row.primary, weight(row), row.origin) for row in rows]


def query(row: ExampleRow) -> Query:
    """An example as the classifier is asked it. What says no channel was written, so it counts as a mail."""
    return Query(row.text, row.title, "", row.channel or "email")


class Retrainer:
    """Runs retrainings in this process.

    base: what is built upon, the shipped model; asked once.
    who:  the runner's name, unlike any other's.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        log: OperatorLog,
        rules: Rules,
        who: str,
        *,
        base: Callable[[], Trained] = shipped,
        reader: Callable[[], Reader] = shipped_reader,
        lease: timedelta = LEASE,
    ) -> None:
        self._store, self._clock, self._log, self._rules, self._who = store, clock, log, rules, who
        self._base, self._reader, self._lease = base, reader, lease

    def run(self, progress: Progress | None = None) -> Retraining | None:
        """Runs the retraining that waits, to its end. None where none waits or another took it.

        Whatever goes wrong is written down as its outcome; only a store that is away (`TryLater`) is raised.
        """
        with self._store.write() as conn:
            fail_dead(conn, self._clock.now(), self._log)
            mine = retrainings.claim(conn, self._who, self._clock.now(), self._lease)
        if mine is None:
            return None
        self._log.write("RetrainingStarted", retraining=mine.id)
        heart = _Heart(self._store, self._clock, mine.id, self._who, self._lease, progress)
        with heart:
            try:
                self._train(mine, heart)
            except _LostError:
                self._log.write("RetrainingFailed", retraining=mine.id, code="lease_lost")
            except TryLater:
                raise
            except JiesuError as error:
                self._fail(mine.id, error.code, error.zh, error.en)
            except Exception as error:
                self._log.fault("retraining", error)
                name = type(error).__name__
                self._fail(mine.id, "fault", f"训练中出错（{name}）；现用模型不变", f"it failed ({name}); the champion stays")
        with self._store.read() as conn:
            return retrainings.find(conn, mine.id)

    def _train(self, mine: Retraining, heart: _Heart) -> None:
        heart.tell("read", 0.0)
        with self._store.read() as conn:
            rows, held_back, now = examples.usable(conn), examples.golden(conn), trained.champion(conn)
        if not rows:
            raise Refused(
                "nothing_to_learn", "还没有可学习的判定或导入的例子", "there are neither corrections nor imported examples to learn from"
            )
        base, reader = self._base(), self._reader()
        champion = now or self._first(base)
        learned = learning.learn(
            base,
            own(rows, self._rules.memory_years),
            reader=reader,
            witnesses=corpus.shipped_corpus(),
            progress=lambda what, share: heart.tell(what, 0.85 * share),
            tolerated=self._rules.tolerated,
        )
        card = dict(learned.trained.card)
        # What is newer was not in it: on that alone a later candidate may be compared with it.
        card["own"] = {**card["own"], "through": max(row.added_at for row in rows).isoformat()}
        version = str(card["version"])
        heart.tell("gate", 0.87)
        candidate = Trained(learned.trained.data, card)
        sets = self._papers(champion, candidate, rows, held_back, learned.unseen, reader)
        at = self._clock.now()
        verdict = gate.judge(self._rules.gate, sets) | {
            "against": champion.version,
            "at": at.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "learned_from": dict(Counter(row.origin for row in rows)),
        }
        heart.tell("gate", 0.98)
        heart.stop()
        self._settle(mine, champion.version, version, candidate, verdict, at)

    def _first(self, base: Trained) -> trained.TrainedRow:
        """Where no gateway has ever run here, the base becomes the champion, so that there is something to go back to."""
        version = str(base.card["version"])
        with self._store.write() as conn:
            trained.crown(self._store, conn, version, base.card, base.data, self._clock.now())
        return trained.TrainedRow(version, base.card, base.data)

    def _papers(
        self,
        champion: trained.TrainedRow,
        candidate: Trained,
        rows: Sequence[ExampleRow],
        held_back: Sequence[ExampleRow],
        unseen: Any,
        reader: Reader,
    ) -> dict[str, list[Paper]]:
        """Both asked about the golden set, and about the newest corrections, which neither knows: the candidate answers out of fold."""
        was = trained_model.load(champion.body, dict(champion.card), reader=reader)
        now = trained_model.load(candidate.data, dict(candidate.card), reader=reader)
        asked = [(one.id, one.query, one.primary) for one in corpus.golden()]
        asked += [(row.key, query(row), row.primary) for row in held_back]
        queries = [one[1] for one in asked]
        golden = [
            Paper(key, one.channel or "email", label, before, after)
            for (key, one, label), before, after in zip(asked, was.answers(queries), now.answers(queries), strict=True)
        ]
        through = (champion.card.get("own") or {}).get("through", "")
        fresh = [
            place
            for place, row in enumerate(rows)
            if row.origin == examples.CORRECTION
            and (not through or row.added_at > datetime.fromisoformat(through))
            and unseen[place, 0] == unseen[place, 0]
        ][-_MOST_NEWEST:]
        answers = was.answers([query(rows[place]) for place in fresh])
        newest = [
            Paper(rows[place].key, rows[place].channel or "email", rows[place].primary, before, CLASSES[int(unseen[place].argmax())])
            for place, before in zip(fresh, answers, strict=True)
        ]
        return {"golden": golden, "newest": newest}

    def _settle(self, mine: Retraining, champion: str, version: str, candidate: Trained, verdict: dict[str, Any], at: datetime) -> None:
        passed = bool(verdict["passed"])
        promoted = False
        with self._store.write() as conn:
            trained.alone(self._store, conn)
            known = trained.find(conn, version)
            same = known is not None and known.state in (trained.CHAMPION, trained.RETIRED)
            if not same:
                state = trained.CANDIDATE if passed else trained.REJECTED
                trained.add(conn, version, candidate.card, candidate.data, at, state=state, gate=verdict)
                # Somebody may have promoted another one meanwhile; then the comparison does not hold.
                if passed and self._rules.promote_alone and trained.champion_version(conn) == champion:
                    trained.promote(conn, version, at, verdict)
                    promoted = True
            outcome = _outcome(version, passed=passed, promoted=promoted, same=same, verdict=verdict)
            if not retrainings.finish(conn, mine.id, self._who, at, version=version, outcome=outcome, failed=False):
                raise _LostError
        self._log.write("RetrainingDone", retraining=mine.id, trained_model=version, passed=passed, promoted=promoted)
        if promoted:
            self._log.write("Promoted", trained_model=version, instead_of=champion, anyway=False)

    def _fail(self, id: int, code: str, zh: str, en: str) -> None:
        with self._store.write() as conn:
            outcome = {"code": code, "passed": False, "zh": zh, "en": en}
            retrainings.finish(conn, id, self._who, self._clock.now(), version=None, outcome=outcome, failed=True)
        self._log.write("RetrainingFailed", retraining=id, code=code)


def fail_dead(conn: Any, now: datetime, log: OperatorLog) -> None:
    """Marks the retraining failed whose runner is not heard of any more."""
    outcome = {
        "code": "runner_died",
        "passed": False,
        "zh": "训练进程中断；现用模型不变，可再次发起",
        "en": "its process died; the champion stays, and it can be asked for again",
    }
    for id in retrainings.fail_dead(conn, now, outcome):
        log.write("RetrainingFailed", retraining=id, code="runner_died")


def _outcome(version: str, *, passed: bool, promoted: bool, same: bool, verdict: dict[str, Any]) -> dict[str, Any]:
    first = next((reason for reason in verdict["reasons"] if not reason["ok"]), None)
    if same:
        code, zh, en = "unchanged", f"与已有的 {version} 完全相同", f"the same as {version}, which is there already"
    elif promoted:
        code, zh, en = "promoted", f"{version} 通过把关，已启用", f"{version} passed the gate and answers now"
    elif passed:
        code, zh, en = "passed", f"{version} 通过把关，等待启用", f"{version} passed the gate and waits to be promoted"
    else:
        why = first or {"zh": "", "en": ""}
        code, zh, en = "rejected", f"{version} 未通过把关：{why['zh']}", f"{version} did not pass the gate: {why['en']}"
    return {"code": code, "passed": passed, "promoted": promoted, "zh": zh, "en": en}


class _LostError(Exception):
    """The lease was lost: somebody has marked this retraining as failed."""


class _Heart:
    """Renews the lease and writes down how far it is, in a thread of its own, because the fitting does not look up."""

    def __init__(self, store: Store, clock: Clock, id: int, who: str, lease: timedelta, progress: Progress | None) -> None:
        self._store, self._clock, self._id, self._who, self._lease, self._progress = store, clock, id, who, lease, progress
        self._doing, self._done = "read", 0.0
        self._ended, self._lost = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._beat, name="retraining-heart", daemon=True)

    def __enter__(self) -> _Heart:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """No more beats."""
        self._ended.set()
        self._thread.join(timeout=20)

    def tell(self, doing: str, done: float) -> None:
        """What is being done now. Raises where the lease was lost: going on would be for nothing."""
        if self._lost.is_set():
            raise _LostError
        self._doing, self._done = ("gate" if doing == "done" else doing), done
        if self._progress is not None:
            self._progress(self._doing, done)

    def _beat(self) -> None:
        while not self._ended.wait(_BEAT_SECONDS):
            try:
                with self._store.write() as conn:
                    if not retrainings.beat(conn, self._id, self._who, self._doing, self._done, self._clock.now() + self._lease):
                        self._lost.set()
                        return
            except TryLater:
                # The lease outlasts a store that is away for a moment.
                continue
