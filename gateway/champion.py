"""The classifier that answers now: the champion of the store, loaded once; at the first start, the shipped one is crowned."""

from __future__ import annotations

import threading
from collections.abc import Callable

from classifiers import trained_model
from classifiers.base import Classifier, Progress
from classifiers.reading import Reader, shipped_reader
from gateway.clock import Clock
from gateway.store import trained
from gateway.store.engine import Store
from models.errors import Refused


class StoredChampion:
    """Hands out the champion of the store.

    crowns: whether the shipped model may be crowned; a question asked beside the gateway changes nothing.
    progress: told when the shipped model has to be trained first.
    reader: asked once, when the champion is loaded, for what reads the texts.
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
    ) -> None:
        self._store, self._clock, self._estates, self._crowns, self._progress = store, clock, estates, crowns, progress
        self._reader = reader
        self._lock = threading.Lock()
        self._loaded: Classifier | None = None

    def classifier(self) -> Classifier:
        """The champion. Raises `Refused` when the trained file was tampered with."""
        with self._lock:
            if self._loaded is None:
                row = self._crowned()
                self._loaded = trained_model.load(row.body, dict(row.card), estates=self._estates, reader=self._reader())
            return self._loaded

    def _crowned(self) -> trained.TrainedRow:
        """The champion's row. A shipped model that this store has never seen (first start, or an upgrade) is crowned first."""
        fresh = shipped(self._progress)
        version = str(fresh.card["version"])
        with self._store.read() as conn:
            row = trained.champion(conn)
            known = trained.is_known(conn, version)
        if row is None and not self._crowns:
            return trained.TrainedRow(version, fresh.card, fresh.data)
        if self._crowns and (row is None or not known):
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
