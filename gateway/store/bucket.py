"""The ledger of a bucket: which objects were taken in, and in which version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import select

from gateway.store.engine import Store
from models.tables import bucket_objects


class BucketLedger:
    """Kept in the store, so that every node knows it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def known(self, places: Sequence[str]) -> Mapping[str, str]:
        """Those of `places` that were taken, with their versions."""
        b = bucket_objects.c
        with self._store.read() as conn:
            return {row.place: row.version for row in conn.execute(select(b.place, b.version).where(b.place.in_(places)))}

    def remember(self, place: str, version: str, at: datetime) -> None:
        """That an object was taken; returns after commit."""
        kept = self._store.insert(bucket_objects).values(place=place, version=version, at=at)
        with self._store.write() as conn:
            conn.execute(kept.on_conflict_do_update(index_elements=["place"], set_={"version": version, "at": at}))
