"""The drop folder: the call centre moves transcripts in, each is taken in whole and moved to `done/` after commit.

A file is taken once it has been left alone for a while, so that none is read half-written. What is no plain file, cannot be read or is too
large goes to `quarantine/` beside a `.reason.txt`; the others go on.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import anyio.to_thread
from watchfiles import awatch

from connectors.base import Accept, Now, Tell
from models.errors import JiesuError
from models.submission import Channel, Receipt, Submission

# Folders of ours inside the drop folder.
_DONE, _QUARANTINE = "done", "quarantine"
# Names that writers use for files that are not finished.
_UNFINISHED = (".part", ".tmp", ".partial", ".crdownload", ".filepart", ".swp")
# How often pending files are looked at, in milliseconds.
_LOOK_MS = 250
# A file that nobody has touched for so long was finished before we saw it (moved in, or dropped while we were down).
_OLD_SECONDS = 10


@dataclass(frozen=True, slots=True)
class DropOptions:
    """How the folder is watched; the meaning of each is in docs/configuration.md, `[drop]`."""

    folder: Path
    settle_seconds: float = 1
    rescan_seconds: float = 30
    max_bytes: int = 26_214_400


@dataclass(frozen=True, slots=True)
class _Look:
    """How a file looked, and since when it has looked so (monotonic seconds)."""

    signature: tuple[int, int, int]
    since: float


@dataclass(slots=True)
class PhoneDrop:
    """Watches the folder. `tell` writes to the operator log."""

    accept: Accept
    now: Now
    tell: Tell
    options: DropOptions
    _looks: dict[Path, _Look] = field(default_factory=dict)
    _kept_waiting: dict[Path, float] = field(default_factory=dict)

    async def watch(self, stop: asyncio.Event) -> None:
        """Takes in what is there and what comes, until `stop` is set."""
        self.prepare()
        next_full_look = 0.0
        async for changes in awatch(
            self.options.folder,
            stop_event=stop,
            step=50,
            rust_timeout=_LOOK_MS,
            yield_on_timeout=True,
            raise_interrupt=False,
            # Our own moves into done/ and quarantine/ are no news.
            watch_filter=lambda _change, path: self._is_theirs(Path(path)),
        ):
            if changes or self._looks or time.monotonic() >= next_full_look:
                await anyio.to_thread.run_sync(self.look)
                next_full_look = time.monotonic() + self.options.rescan_seconds

    def prepare(self) -> None:
        """Makes the folder and ours inside it."""
        for folder in (self.options.folder, self.options.folder / _DONE, self.options.folder / _QUARANTINE):
            folder.mkdir(parents=True, exist_ok=True)

    def look(self) -> int:
        """One look at the folder: takes in every file that has been left alone long enough. Returns how many."""
        taken = 0
        seen: set[Path] = set()
        for path in self._files():
            seen.add(path)
            try:
                taken += self._take_if_ready(path)
            except JiesuError:
                # It stays where it is, and is tried again at the next look.
                continue
            except OSError as error:
                self._set_aside(path, "unreadable", f"无法读取：{error.strerror}", f"cannot be read: {error.strerror}")
        self._looks = {path: look for path, look in self._looks.items() if path in seen}
        return taken

    def _is_theirs(self, path: Path) -> bool:
        try:
            parts = path.relative_to(self.options.folder).parts
        except ValueError:
            return False
        return bool(parts) and parts[0] not in (_DONE, _QUARANTINE)

    def _files(self) -> Iterator[Path]:
        for folder, subfolders, names in os.walk(self.options.folder):
            here = Path(folder)
            if here == self.options.folder:
                subfolders[:] = sorted(name for name in subfolders if name not in (_DONE, _QUARANTINE))
            # A link to a folder is no folder of the call centre's; it is set aside like a link to a file.
            names += [name for name in subfolders if (here / name).is_symlink()]
            for name in sorted(names):
                if not name.startswith(".") and not name.lower().endswith(_UNFINISHED):
                    yield here / name

    def _take_if_ready(self, path: Path) -> int:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            self._set_aside(path, "no_plain_file", "不是普通文件", "is not a plain file")
            return 0
        signature = (found.st_ino, found.st_size, found.st_mtime_ns)
        before = self._looks.get(path)
        if before is None or before.signature != signature:
            before = self._looks[path] = _Look(signature, time.monotonic())
        left_alone = time.monotonic() - before.since >= self.options.settle_seconds
        if not left_alone and time.time() - found.st_mtime < max(_OLD_SECONDS, self.options.settle_seconds):
            return 0
        if found.st_size > self.options.max_bytes:
            limit = self.options.max_bytes
            self._set_aside(path, "too_large", f"文件超过上限 {limit} 字节（drop.max_bytes）", f"is larger than drop.max_bytes ({limit})")
            return 0
        raw = self._read(path)
        if raw is None:
            # It changed while it was read; it is not finished yet.
            self._looks.pop(path, None)
            return 0
        self._move_to_done(path, self.accept(self._submission(path, raw)))
        self._looks.pop(path, None)
        return 1

    def _read(self, path: Path) -> bytes | None:
        """All bytes; None when the file changed meanwhile. Never follows a link, never waits on a pipe."""
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            before = os.fstat(handle)
            raw = file.read(self.options.max_bytes + 1)
            after = os.fstat(handle)
        unchanged = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns) and len(raw) == after.st_size
        return raw if unchanged else None

    def _submission(self, path: Path, raw: bytes) -> Submission:
        name = str(path.relative_to(self.options.folder))
        return Submission(
            channel=Channel.PHONE,
            raw=raw,
            media_type="application/octet-stream",
            # Two calls without a word have the same bytes; the same file found again after a crash has the same name too.
            source_key="sha256:" + hashlib.sha256(os.fsencode(name) + b"\0" + raw).hexdigest(),
            received_at=self.now(),
            envelope={"door": "drop", "file_name": os.fsencode(name).decode("utf-8", "replace")},
        )

    def _move_to_done(self, path: Path, receipt: Receipt) -> None:
        """Only now, after commit. The number stands before the name, so that a person finds the one by the other."""
        folder = self.options.folder / _DONE / f"{self.now():%Y%m%d}"
        folder.mkdir(parents=True, exist_ok=True)
        path.replace(folder / f"{receipt.number}-{receipt.submission_id}-{path.name}"[:240])

    def _set_aside(self, path: Path, code: str, zh: str, en: str) -> None:
        folder = self.options.folder / _QUARANTINE
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{self.now():%Y%m%d%H%M%S%f}-{path.name}"[:240]
        try:
            path.rename(target)
            target.with_name(target.name[:200] + ".reason.txt").write_text(f"{code}\n{zh}\n{en}\n", "utf-8")
        except OSError:
            # It cannot even be moved; say so once in a while and leave it where it is.
            if time.monotonic() - self._kept_waiting.get(path, -3600.0) < 3600:
                return
            self._kept_waiting[path] = time.monotonic()
        self._looks.pop(path, None)
        self.tell("Quarantined", code=code, where="drop")
