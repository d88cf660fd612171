"""The classifier that answers now: the champion of the store; at the first start, the shipped one is crowned.

Another node, a page or a command may let another trained model answer at any time. So the champion's version is asked for every second or
two, one look at an index; another one is loaded beside the answering, which goes on with the one before until the new one is ready.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from classifiers import trained_model
from classifiers.base import Classifier, Progress
from classifiers.reading import Reader, shipped_reader
from classifiers.stored import BadTrainedModel
from gateway.clock import Clock
from gateway.oplog import OperatorLog
from gateway.store import trained
from gateway.store.engine import Store
from models.errors import Refused, TryLater

# How often the version of the champion is asked for.
_LOOK_SECONDS = 1.5


class StoredChampion:
    """Hands out the champion of the store. Threads may share it.

    crowns: whether the shipped model may be crowned; a question asked beside the gateway changes nothing.
    progress: told when the shipped model has to be trained first.
    reader: asked once, when a champion is first loaded, for what reads the texts.
    log: told of each change while it serves.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        estates: tuple[str, ...] = (),
        crowns: bool = True,
        progress: Progress | None = None,
        reader: Callable[[], Reader] = shipped_reader,
        log: OperatorLog | None = None,
    ) -> None:
        self._store, self._clock, self._estates, self._crowns, self._progress = store, clock, estates, crowns, progress
        self._reader, self._log = reader, log
        self._lock = threading.Lock()
        self._loaded: Classifier | None = None
        self._version = ""
        self._texts: Reader | None = None
        self._look_at = 0.0
        self._loading = False

    def classifier(self) -> Classifier:
        """The champion. Raises `Refused` when there is none, or when the first one was tampered with.

        While it serves neither a store that is away nor a bad new model stops it: it answers with the one before.
        """
        loaded = self._loaded
        if loaded is not None:
            if time.monotonic() >= self._look_at:
                self._look()
            return loaded
        with self._lock:
            if self._loaded is None:
                row = self._crowned()
                self._loaded, self._version = self._load(row), row.version
                self._look_at = time.monotonic() + _LOOK_SECONDS
            return self._loaded

    def _look(self) -> None:
        """Asks for the champion's version; where it is another one, that is loaded in a thread of its own."""
        # Who comes while another looks goes on answering.
        if not self._lock.acquire(blocking=False):
            return
        try:
            if self._loading or time.monotonic() < self._look_at:
                return
            self._look_at = time.monotonic() + _LOOK_SECONDS
            with self._store.read() as conn:
                version = trained.champion_version(conn)
            if version is None or version == self._version:
                return
            self._loading = True
        except TryLater:
            return
        finally:
            self._lock.release()
        threading.Thread(target=self._change, name="champion", daemon=True).start()

    def _change(self) -> None:
        version = ""
        try:
            with self._store.read() as conn:
                row = trained.champion(conn)
            if row is not None:
                version = row.version
                self._loaded = self._load(row)
                if self._log is not None:
                    self._log.write("ChampionLoaded", trained_model=version, instead_of=self._version)
        except TryLater:
            version = ""
        except Exception as error:
            # A model that cannot be read is not tried again until another one is promoted.
            if self._log is not None:
                self._log.fault("champion", error)
        finally:
            self._version = version or self._version
            self._loading = False

    def _load(self, row: trained.TrainedRow) -> Classifier:
        if self._texts is None:
            self._texts = self._reader()
        try:
            return trained_model.load(row.body, dict(row.card), estates=self._estates, reader=self._texts)
        except BadTrainedModel as error:
            raise Refused(
                "bad_trained_model",
                f"训练模型 {row.version} 不完好（{error}）；请从备份恢复数据库，或用 jiesu trained rollback 退回上一个模型",
                f"trained model {row.version} is not sound ({error}); restore the database, or go back with jiesu trained rollback",
            ) from error

    def _crowned(self) -> trained.TrainedRow:
        """The champion's row. A shipped model that this store has never seen (first start, or an upgrade) is crowned first.

        But not over a model that learned here: then it waits as a candidate, and the next retraining builds on it.
        """
        fresh = shipped(self._progress)
        version = str(fresh.card["version"])
        with self._store.read() as conn:
            row = trained.champion(conn)
            known = trained.is_known(conn, version)
        if row is None and not self._crowns:
            return trained.TrainedRow(version, fresh.card, fresh.data)
        if self._crowns and row is not None and not known and row.card.get("own"):
            with self._store.write() as conn:
                trained.alone(self._store, conn)
                trained.add(conn, version, fresh.card, fresh.data, self._clock.now(), state=trained.CANDIDATE, gate=None)
        elif self._crowns and (row is None or not known):
            with self._store.write() as conn:
                trained.crown(self._store, conn, version, fresh.card, fresh.data, self._clock.now())
                row = trained.champion(conn)
        if row is None:
            raise Refused("no_champion", "没有可用的训练模型，请运行 jiesu train", "there is no trained model; run jiesu train")
        return row

    @property
    def loaded(self) -> bool:
        """Whether it can answer at once."""
        return self._loaded is not None


def shipped(progress: Progress | None = None) -> trained_model.Trained:
    """The shipped trained model; trained from the shipped corpus where `make` has not done so."""
    if trained_model.shipped_path().exists():
        return trained_model.read_shipped()
    # Training takes libraries that answering does not need.
    from classifiers import train

    return train.build_shipped(progress)
