"""A bucket of an S3-compatible store: transcripts are fetched from it, and moved, deleted or left there once they are committed.

Objects are whole or not there, so nothing is read half-written. A ledger of the version of each object spares a second fetch of what stays;
it is only a help: what a crash keeps out of it is fetched again and known by its words. The home of obstore.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Protocol

import anyio.to_thread
import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from connectors import call_data
from connectors.base import Accept, Now, Tell
from connectors.call_data import LARGEST_SIDECAR, CallData
from connectors.call_files import Neighbours, is_recording, may_be_sidecar
from models.errors import JiesuError
from models.submission import Receipt

# Where objects are moved, under the prefix.
_DONE = "done/"
# So many are asked for in the ledger at once.
_AT_ONCE = 500
# A store that does not answer is asked again at the next look.
_CONNECT_SECONDS, _REQUEST_SECONDS, _RETRY_SECONDS = 5, 60, 15


class Ledger(Protocol):
    """Which objects were taken, by place, each with the version that was taken."""

    def known(self, places: Sequence[str]) -> Mapping[str, str]:
        """Those of `places` that were taken."""
        ...

    def remember(self, place: str, version: str, at: datetime) -> None:
        """That an object was taken; returns after commit."""
        ...


@dataclass(frozen=True, slots=True)
class BucketOptions:
    """Which bucket, and how; the meaning of each is in docs/configuration.md, `[bucket]`. `keys`: access key id and secret."""

    name: str
    endpoint: str = ""
    region: str = "us-east-1"
    prefix: str = ""
    virtual_hosted: bool = False
    keys: tuple[str, str] | None = None
    poll_seconds: float = 30
    after: str = "leave"
    max_bytes: int = 26_214_400
    sidecar_wait_seconds: float = 0
    transcript_wait_seconds: float = 600


@dataclass(frozen=True, slots=True)
class _Object:
    key: str
    size: int
    changed_at: datetime
    place: str
    version: str

    @property
    def name(self) -> str:
        return PurePosixPath(self.key).name

    @property
    def folder(self) -> str:
        return self.key[: len(self.key) - len(self.name)]


@dataclass(slots=True)
class BucketDoor:
    """Looks into the bucket again and again. `tell` writes to the operator log."""

    accept: Accept
    now: Now
    tell: Tell
    ledger: Ledger
    options: BucketOptions
    _store: S3Store | None = field(default=None)
    _away: bool = False

    async def watch(self, stop: asyncio.Event) -> None:
        """Fetches what is there and what comes, until `stop` is set."""
        while not stop.is_set():
            await anyio.to_thread.run_sync(self.look, stop.is_set)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self.options.poll_seconds)

    def look(self, stopped: Callable[[], bool] = lambda: False) -> int:
        """One look: takes in every object that is new. Returns how many. What cannot be taken in now is tried at the next look."""
        taken = 0
        try:
            by_folder = self._listed()
            for objects in by_folder.values():
                taken += self._take_folder(objects, stopped)
        except BaseError as error:
            # The store is away, or does not let us in.
            if not self._away:
                self._away = True
                self.tell("BucketAway", error=type(error).__name__)
            return taken
        except JiesuError:
            # Ours is away; the bucket keeps what it has.
            return taken
        except Exception as error:
            self.tell("Fault", where="bucket", error=type(error).__name__)
            return taken
        if self._away:
            self._away = False
            self.tell("BucketBack")
        return taken

    def _connected(self) -> S3Store:
        if self._store is None:
            o = self.options
            config: dict[str, object] = {"region": o.region, "virtual_hosted_style_request": o.virtual_hosted}
            if o.endpoint:
                config["endpoint"] = o.endpoint
            if o.keys:
                config |= {"access_key_id": o.keys[0], "secret_access_key": o.keys[1]}
            else:
                config["skip_signature"] = True
            self._store = S3Store(
                o.name,
                config=config,  # type: ignore[arg-type]
                client_options={
                    "allow_http": o.endpoint.startswith("http://"),
                    "timeout": timedelta(seconds=_REQUEST_SECONDS),
                    "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
                },
                retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=_RETRY_SECONDS)},
            )
        return self._store

    def _listed(self) -> dict[str, list[_Object]]:
        """What is under the prefix, by folder, without what was moved."""
        prefix = self.options.prefix
        found: dict[str, list[_Object]] = {}
        for chunk in obstore.list(self._connected(), prefix=prefix or None):
            for meta in chunk:
                key = meta["path"]
                if key.startswith(prefix + _DONE) or not PurePosixPath(key).name or key.endswith("/"):
                    continue
                place = _hash(self.options.endpoint, self.options.name, key)
                version = _hash(str(meta.get("e_tag")), str(meta.get("version")), str(meta["size"]))
                one = _Object(key, meta["size"], meta["last_modified"], place, version)
                found.setdefault(one.folder, []).append(one)
        return found

    def _take_folder(self, objects: Sequence[_Object], stopped: Callable[[], bool]) -> int:
        neighbours = Neighbours(one.name for one in objects)
        by_name = {one.name: one for one in objects}
        taken = 0
        for start in range(0, len(objects), _AT_ONCE):
            part = objects[start : start + _AT_ONCE]
            known = self.ledger.known([one.place for one in part])
            for one in part:
                if stopped():
                    return taken
                if known.get(one.place) != one.version:
                    taken += self._take(one, neighbours, by_name)
        return taken

    def _take(self, one: _Object, neighbours: Neighbours, by_name: Mapping[str, _Object]) -> int:
        if is_recording(one.name):
            # It stays where it is: a link to it is enough.
            return 0
        if one.size > self.options.max_bytes:
            self.tell("Quarantined", code="too_large", where="bucket")
            self.ledger.remember(one.place, one.version, self.now())
            return 0
        age = (self.now() - one.changed_at).total_seconds()
        beside = [by_name[name] for name in neighbours.sidecars(one.name)]
        if not beside and not may_be_sidecar(one.name) and age < self.options.sidecar_wait_seconds:
            return 0
        raw = self._fetched(one)
        if raw is None:
            return 0
        centre = self._centre(one)
        if may_be_sidecar(one.name) and (fields := call_data.sidecar(raw)) is not None:
            return self._take_sidecar(one, raw, call_data.read(fields, centre=centre), neighbours, age)
        sidecar, data, said = None, CallData(centre=centre), ""
        for other in beside:
            other_raw = self._fetched(other) if other.size <= LARGEST_SIDECAR else None
            if other_raw is not None and (fields := call_data.sidecar(other_raw)) is not None:
                sidecar, data, said = other, call_data.read(fields, centre=centre), other_raw.decode("utf-8", "replace")
                break
        envelope: dict[str, object] = {"door": "bucket", "file_name": one.key}
        if sidecar:
            envelope["sidecar"] = said
        self._settle(self._accepted(raw, one, data, envelope), one, sidecar)
        return 1

    def _take_sidecar(self, one: _Object, raw: bytes, data: CallData, neighbours: Neighbours, age: float) -> int:
        """A sidecar goes with its transcript; alone, after its time, it is a call to be called back where there is a recording."""
        partners = neighbours.partners(one.name)
        if any(not is_recording(name) for name in partners) or age < self.options.transcript_wait_seconds:
            return 0
        if not partners and not data.recording:
            self.tell("Quarantined", code="sidecar_without_transcript", where="bucket")
            self.ledger.remember(one.place, one.version, self.now())
            return 0
        envelope: dict[str, object] = {"door": "bucket", "file_name": one.key, "no_transcript": True}
        self._settle(self._accepted(raw, one, data, envelope), one, None)
        return 1

    def _accepted(self, raw: bytes, one: _Object, data: CallData, envelope: Mapping[str, object]) -> Receipt:
        return self.accept(call_data.submission(raw, one.key.encode("utf-8", "replace"), data, self.now(), envelope))

    def _settle(self, receipt: Receipt, one: _Object, sidecar: _Object | None) -> None:
        """After commit. The sidecar goes last, because it tells of the other."""
        for each in filter(None, (one, sidecar)):
            try:
                if self.options.after == "move":
                    target = f"{self.options.prefix}{_DONE}{self.now():%Y%m%d}/{receipt.number}-{receipt.submission_id}-{each.name}"
                    obstore.rename(self._connected(), each.key, target)
                elif self.options.after == "delete":
                    obstore.delete(self._connected(), each.key)
            except BaseError:
                # We may read and not write; it must not be fetched again and again for that.
                self.ledger.remember(each.place, each.version, self.now())
                raise
            if self.options.after == "leave":
                self.ledger.remember(each.place, each.version, self.now())

    def _fetched(self, one: _Object) -> bytes | None:
        """All bytes; None where it is gone, or has grown over the limit meanwhile."""
        try:
            got = obstore.get(self._connected(), one.key)
        except FileNotFoundError:
            return None
        if got.meta["size"] > self.options.max_bytes:
            return None
        return bytes(got.bytes())

    def _centre(self, one: _Object) -> str | None:
        """The call centre: the first folder under the prefix."""
        inside = one.key.removeprefix(self.options.prefix).lstrip("/")
        return inside.split("/", 1)[0][:60] if "/" in inside else None


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()
