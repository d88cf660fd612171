"""The drop folder: the call centre moves transcripts in, each is taken in whole and moved to `done/` after commit.

A file is taken once it has been left alone for a while and no writer has it open, so that none is read half-written. What is no plain
file, cannot be read or is too large goes to `quarantine/` beside a `.reason.txt`; the others go on. What cannot be taken in now stays and
is tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import itertools
import os
import signal
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import anyio.to_thread
from watchfiles import awatch

from connectors import call_data
from connectors.base import Accept, Now, Tell
from connectors.call_data import LARGEST_SIDECAR, CallData
from connectors.call_files import Neighbours, is_recording, may_be_sidecar
from models.errors import JiesuError
from models.submission import Receipt, Submission

# Folders of ours inside the drop folder.
_DONE, _QUARANTINE = "done", "quarantine"
# Names that writers use for files that are not finished.
_UNFINISHED = (".part", ".tmp", ".partial", ".crdownload", ".filepart", ".swp")
# How often pending files are looked at, in milliseconds.
_LOOK_MS = 250
# A file that nobody has touched for so long was finished before we saw it (moved in, or dropped while we were down).
_OLD_SECONDS = 10
# A file that a writer holds open without touching it is waited for so long; then its writer is taken to have forgotten it.
_HELD_OPEN_SECONDS = 600
# How long a file that could not be taken in is left before the next try: doubled from the first to the second.
_AGAIN_SECONDS, _AGAIN_AT_MOST_SECONDS = 1.0, 30.0
# What the operating system says when a file is at fault. Anything else is our fault (a full disk, too many open files) and may pass.
_FAULT_OF_THE_FILE = frozenset({errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENXIO, errno.EIO})


@dataclass(frozen=True, slots=True)
class DropOptions:
    """How the folder is watched; the meaning of each is in docs/configuration.md, `[drop]`."""

    folder: Path
    settle_seconds: float = 1
    rescan_seconds: float = 30
    max_bytes: int = 26_214_400
    sidecar_wait_seconds: float = 0
    transcript_wait_seconds: float = 600


# Which file it is, and how it looks: inode, size, time of its last change.
_Signature = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Look:
    """How a file looked, and since when it has looked so (monotonic seconds)."""

    signature: _Signature
    since: float


@dataclass(frozen=True, slots=True)
class _Again:
    """When a file is tried again (monotonic seconds), and how long was waited for that."""

    at: float
    wait: float


@dataclass(frozen=True, slots=True)
class _Sidecar:
    """A sidecar: where, its bytes, and what it says of the call."""

    path: Path
    raw: bytes
    data: CallData


class _Wait(Exception):
    """Not yet: something that belongs to the file is not there or not finished."""


@dataclass(slots=True)
class PhoneDrop:
    """Watches the folder. `tell` writes to the operator log."""

    accept: Accept
    now: Now
    tell: Tell
    options: DropOptions
    _looks: dict[Path, _Look] = field(default_factory=dict)
    _again: dict[Path, _Again] = field(default_factory=dict)
    # What was found in files that may be sidecars; None for those that are none.
    _sidecars: dict[Path, tuple[_Signature, _Sidecar | None]] = field(default_factory=dict)

    async def watch(self, stop: asyncio.Event) -> None:
        """Takes in what is there and what comes, until `stop` is set."""
        self.prepare()
        told = False
        while not stop.is_set():
            try:
                await self._follow(stop)
            except Exception as error:
                # The library gives up at a name that is no UTF-8 (old Windows programs write GBK) and where the system has no watches left.
                # A look finds every file all the same; then we begin anew.
                if not told:
                    self.tell("Fault", where="drop", error=type(error).__name__)
                    told = True
                await anyio.to_thread.run_sync(self.look, stop.is_set)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), _LOOK_MS / 1000)

    async def _follow(self, stop: asyncio.Event) -> None:
        # Changes are told by their whole paths, whatever way the settings name the folder.
        whole = self.options.folder.resolve()
        next_full_look = 0.0
        async for changes in awatch(
            whole,
            stop_event=stop,
            step=50,
            rust_timeout=_LOOK_MS,
            yield_on_timeout=True,
            # A folder of others' inside ours must not keep the door shut.
            ignore_permission_denied=True,
            # Our own moves into done/ and quarantine/ are no news.
            watch_filter=lambda _change, path: self._is_theirs(Path(path), whole),
        ):
            if changes or self._looks or self._again or time.monotonic() >= next_full_look:
                await anyio.to_thread.run_sync(self.look, stop.is_set)
                next_full_look = time.monotonic() + self.options.rescan_seconds

    def prepare(self) -> None:
        """Makes the folder and ours inside it."""
        for folder in (self.options.folder, self.options.folder / _DONE, self.options.folder / _QUARANTINE):
            folder.mkdir(parents=True, exist_ok=True)

    def look(self, stopped: Callable[[], bool] = lambda: False) -> int:
        """One look at the folder: takes in every file that has been left alone long enough. Returns how many.

        The first that cannot be taken in ends the look, because the next would most likely fare the same; at the next look it waits,
        and the others have their turn.
        """
        taken = 0
        seen: set[Path] = set()
        for path, neighbours in self._files():
            if stopped():
                return taken
            seen.add(path)
            if path in self._again and time.monotonic() < self._again[path].at:
                continue
            try:
                taken += self._take_if_ready(path, neighbours)
            except _Wait:
                continue
            except FileNotFoundError:
                # Its owner took it back meanwhile, or renamed it.
                continue
            except JiesuError:
                self._try_again_later(path)
                return taken
            except Exception as error:
                # Neither a full disk nor a bug of ours may close the door; the file stays.
                self._try_again_later(path, error)
                return taken
        self._looks = {path: look for path, look in self._looks.items() if path in seen}
        self._again = {path: again for path, again in self._again.items() if path in seen}
        self._sidecars = {path: found for path, found in self._sidecars.items() if path in seen}
        return taken

    def _try_again_later(self, path: Path, error: Exception | None = None) -> None:
        before = self._again.get(path)
        wait = min(before.wait * 2, _AGAIN_AT_MOST_SECONDS) if before else _AGAIN_SECONDS
        self._again[path] = _Again(time.monotonic() + wait, wait)
        if error is not None:
            self.tell("Fault", where="drop", error=type(error).__name__)

    def _is_theirs(self, path: Path, folder: Path) -> bool:
        try:
            parts = path.relative_to(folder).parts
        except ValueError:
            return False
        return bool(parts) and parts[0] not in (_DONE, _QUARANTINE)

    def _files(self) -> Iterator[tuple[Path, Neighbours]]:
        """What is in the folder and its subfolders and may be finished. A link is told like a file, also where it leads to a folder."""
        folders = [self.options.folder]
        while folders:
            here = folders.pop()
            try:
                with os.scandir(here) as found:
                    entries = sorted(found, key=lambda entry: entry.name)
            except OSError:
                # Taken away meanwhile, or not for us to see.
                continue
            finished = [entry for entry in entries if not (entry.name.startswith(".") or entry.name.lower().endswith(_UNFINISHED))]
            neighbours = Neighbours(entry.name for entry in finished)
            for entry in finished:
                path = here / entry.name
                if not entry.is_dir(follow_symlinks=False):
                    yield path, neighbours
                elif here != self.options.folder or entry.name not in (_DONE, _QUARANTINE):
                    folders.append(path)

    def _take_if_ready(self, path: Path, neighbours: Neighbours) -> int:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            self._set_aside(path, "no_plain_file", "不是普通文件", "is not a plain file")
            return 0
        signature = self._settled(path, found)
        if is_recording(path.name):
            return self._leave_recording(path, found, neighbours)
        if may_be_sidecar(path.name) and (known := self._sidecar(path, signature, found.st_size)):
            return self._take_sidecar(known, found, neighbours)
        if found.st_size > self.options.max_bytes:
            limit = self.options.max_bytes
            self._set_aside(path, "too_large", f"文件超过上限 {limit} 字节（drop.max_bytes）", f"is larger than drop.max_bytes ({limit})")
            return 0
        sidecar = self._sidecar_of(path, found, neighbours)
        raw = self._readable(path, signature)
        if raw is None:
            return 0
        receipt = self.accept(self._submission(path, raw, sidecar))
        # The sidecar goes last: one that a crash leaves behind alone is set aside, and makes no second complaint.
        for recording in neighbours.recordings(path.name):
            self._move_to_done(path.with_name(recording), receipt)
        if _signature(path.lstat()) == signature:
            self._move_to_done(path, receipt)
        # Else another file has taken its name meanwhile, and is looked at next.
        if sidecar:
            self._move_to_done(sidecar.path, receipt)
        return 1

    def _settled(self, path: Path, found: os.stat_result) -> _Signature:
        """How the file looks, once it has been left alone long enough. Raises `_Wait` before."""
        signature = _signature(found)
        before = self._looks.get(path)
        if before is None or before.signature != signature:
            before = self._looks[path] = _Look(signature, time.monotonic())
        alone_for = time.monotonic() - before.since
        if alone_for < self.options.settle_seconds and time.time() - found.st_mtime < max(_OLD_SECONDS, self.options.settle_seconds):
            raise _Wait
        return signature

    def _waited(self, path: Path, found: os.stat_result) -> float:
        """How long the file has been here, in seconds; moving it in sets the time of its last change of state."""
        return max(time.monotonic() - self._looks[path].since, time.time() - max(found.st_mtime, found.st_ctime))

    def _readable(self, path: Path, signature: _Signature) -> bytes | None:
        """All bytes; None when the file is not finished or was set aside because it cannot be read."""
        try:
            return self._read(path, signature, even_if_open=time.monotonic() - self._looks[path].since > _HELD_OPEN_SECONDS)
        except OSError as error:
            if error.errno not in _FAULT_OF_THE_FILE:
                raise
            self._set_aside(path, "unreadable", f"无法读取：{error.strerror}", f"cannot be read: {error.strerror}")
            return None

    def _sidecar(self, path: Path, signature: _Signature, size: int) -> _Sidecar | None:
        """The sidecar that this file is; None where it is none. Read once. Raises `_Wait` while it is being written."""
        known = self._sidecars.get(path)
        if known is None or known[0] != signature:
            found = None
            if size <= LARGEST_SIDECAR:
                raw = self._readable(path, signature)
                if raw is None:
                    raise _Wait
                fields = call_data.sidecar(raw)
                found = _Sidecar(path, raw, call_data.read(fields, centre=self._centre(path))) if fields is not None else None
            known = self._sidecars[path] = (signature, found)
        return known[1]

    def _sidecar_of(self, path: Path, found: os.stat_result, neighbours: Neighbours) -> _Sidecar | None:
        """The sidecar of a transcript. Raises `_Wait` while it is unfinished, or may still come."""
        for name in neighbours.sidecars(path.name):
            beside = path.with_name(name)
            try:
                looks = beside.lstat()
            except FileNotFoundError:
                continue
            if not stat.S_ISREG(looks.st_mode):
                continue
            if sidecar := self._sidecar(beside, self._settled(beside, looks), looks.st_size):
                return sidecar
        # What a speech service writes as JSON has no sidecar of the same name; a text may have one that is on its way.
        if not may_be_sidecar(path.name) and self._waited(path, found) < self.options.sidecar_wait_seconds:
            raise _Wait
        return None

    def _take_sidecar(self, sidecar: _Sidecar, found: os.stat_result, neighbours: Neighbours) -> int:
        """A sidecar goes with its transcript. Without one it waits, and is a call to be called back where there is a recording."""
        path = sidecar.path
        partners = [name for name in neighbours.partners(path.name) if path.with_name(name).exists()]
        if any(not is_recording(name) for name in partners) or self._waited(path, found) < self.options.transcript_wait_seconds:
            return 0
        if not partners and not sidecar.data.recording:
            self._set_aside(
                path,
                "sidecar_without_transcript",
                "只有通话信息，没有同名的转写文件或录音",
                "tells of a call whose transcript or recording never came",
            )
            return 0
        receipt = self.accept(self._submission(path, sidecar.raw, sidecar, no_transcript=True))
        for name in partners:
            self._move_to_done(path.with_name(name), receipt)
        self._move_to_done(path, receipt)
        return 1

    def _leave_recording(self, path: Path, found: os.stat_result, neighbours: Neighbours) -> int:
        """A recording goes with its transcript or its sidecar; alone it tells nobody who called."""
        if neighbours.sidecars(path.name) or self._waited(path, found) < self.options.transcript_wait_seconds:
            return 0
        self._set_aside(
            path,
            "recording_without_transcript",
            "只有录音，没有同名的转写文件或通话信息（.json）；网关不做语音识别",
            "is a recording without a transcript or a sidecar; jiesu recognises no speech",
        )
        return 0

    def _centre(self, path: Path) -> str | None:
        """The call centre: the first folder inside the drop folder."""
        folders = path.relative_to(self.options.folder).parts[:-1]
        return os.fsencode(folders[0]).decode("utf-8", "replace")[:60] if folders else None

    def _read(self, path: Path, signature: _Signature, *, even_if_open: bool) -> bytes | None:
        """All bytes; None when the file is not finished. Never follows a link, never waits on a pipe."""
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            if not even_if_open and _has_writer(handle):
                return None
            raw = file.read(self.options.max_bytes + 1)
            unchanged = _signature(os.fstat(handle)) == signature and len(raw) == signature[1]
        return raw if unchanged else None

    def _submission(self, path: Path, raw: bytes, sidecar: _Sidecar | None, *, no_transcript: bool = False) -> Submission:
        name = os.fsencode(path.relative_to(self.options.folder))
        data = sidecar.data if sidecar else CallData(centre=self._centre(path))
        envelope: dict[str, object] = {"door": "drop", "file_name": name.decode("utf-8", "replace")}
        if no_transcript:
            envelope["no_transcript"] = True
        elif sidecar:
            envelope["sidecar"] = sidecar.raw.decode("utf-8", "replace")
        return call_data.submission(raw, name, data, self.now(), envelope)

    def _move_to_done(self, path: Path, receipt: Receipt) -> None:
        """Only now, after commit. The number stands before the name, so that a person finds the one by the other."""
        folder = self.options.folder / _DONE / f"{self.now():%Y%m%d}"
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            path.replace(folder / _cut(f"{receipt.number}-{receipt.submission_id}-{path.name}"))
        self._looks.pop(path, None)
        self._again.pop(path, None)
        self._sidecars.pop(path, None)

    def _set_aside(self, path: Path, code: str, zh: str, en: str) -> None:
        folder = self.options.folder / _QUARANTINE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            names = (folder / _cut(f"{self.now():%Y%m%d%H%M%S%f}-{n}-{path.name}") for n in itertools.count())
            target = next(name for name in names if not os.path.lexists(name))
            # The reason first, so that a full disk leaves the file where it is; and nobody meets half of it.
            reason = target.with_name(target.name + ".reason")
            reason.write_text(f"{code}\n{zh}\n{en}\n", "utf-8")
            try:
                path.rename(target)
            except OSError:
                reason.unlink(missing_ok=True)
                raise
            reason.rename(reason.with_suffix(".reason.txt"))
        except FileNotFoundError:
            return
        except OSError as error:
            # It stays where it is.
            self._try_again_later(path, error)
            return
        self._looks.pop(path, None)
        self._again.pop(path, None)
        self.tell("Quarantined", code=code, where="drop")


def _signature(found: os.stat_result) -> _Signature:
    return found.st_ino, found.st_size, found.st_mtime_ns


def _cut(name: str) -> str:
    """At most 240 bytes, because file systems count bytes and allow 255; never half a character."""
    return os.fsencode(name)[:240].decode("utf-8", "ignore")


def _has_writer(handle: int) -> bool:
    """Whether anybody has the file open for writing. Where that cannot be known (other systems, network folders), no.

    The kernel grants a lease for reading only on a file that nobody writes (fcntl(2), "Leases"). It is given back at once; a writer that
    comes in between is told by a signal that is ignored, and not by SIGIO, which would end us.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    return False
