"""Mail relays that show a name and a password (RFC 4954): a file of Argon2 hashes, and how guessing is made slow.

Each line of the file is `name:hash`; `jiesu relay add` writes it. It is read again when it changes.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Mapping
from pathlib import Path

import anyio.to_thread
import argon2

from gateway.clock import Clock
from gateway.oplog import OperatorLog
from gateway.staffing import Patience, checked_name
from models.errors import BadSetting, Refused

# So many wrong passwords of one address are free, then each doubles the wait. Not by name: a stranger could lock a relay out.
_FREE = 10
# Checking a password takes 64 MiB; so many at once.
_CHECKS_AT_ONCE = 2


class Relays:
    """Who may log in at the door for mail. Raises `BadSetting` when the file cannot be used."""

    def __init__(self, path: Path, clock: Clock, log: OperatorLog) -> None:
        self._path, self._clock, self._log = path, clock, log
        self._hasher = argon2.PasswordHasher()
        # What a name that nobody has is compared with, so that it takes as long.
        self._nobody = self._hasher.hash(os.urandom(16))
        self._patience = Patience(_FREE)
        self._checks = asyncio.Semaphore(_CHECKS_AT_ONCE)
        self._lock = threading.Lock()
        self._read_at = 0
        self._hashes: Mapping[str, str] = {}
        self._fresh()

    async def log_in(self, address: str, name: str, password: str) -> bool | None:
        """Whether name and password belong together; None, untried, for an address that was wrong too often just now."""
        async with self._checks:
            return await anyio.to_thread.run_sync(self.right, address, name, password)

    def right(self, address: str, name: str, password: str) -> bool | None:
        """The same, in the caller's thread."""
        now = self._clock.now()
        if self._patience.wait(address, now):
            self._log.write("RelayRefused", code="too_soon")
            return None
        known = False
        try:
            known = self._hasher.verify(self._fresh().get(name, self._nobody), password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            self._patience.wrong(address, now)
            self._log.write("RelayRefused", code="wrong")
        return known

    def _fresh(self) -> Mapping[str, str]:
        with self._lock:
            try:
                changed = self._path.stat().st_mtime_ns
                if changed != self._read_at:
                    self._hashes, self._read_at = _read(self._path), changed
            except OSError as error:
                if not self._read_at:
                    raise _unusable(f"读不了 {self._path}（{error.strerror}）", f"{self._path} cannot be read ({error.strerror})") from None
                # A file that went away shuts nobody out who could log in a moment ago.
            return self._hashes


def add(path: Path, name: str, password: str) -> None:
    """Gives a relay a password, in place of the one that it had. Raises `Refused` for a name that will not do."""
    name = checked_name(name)
    if ":" in name or name.startswith("#"):
        raise Refused("bad_name", "名字里不能有冒号，也不能以 # 开头", "a relay's name has no colon and does not begin with #")
    hashes = {**(_read(path) if path.exists() else {}), name: argon2.PasswordHasher().hash(password)}
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.writelines(f"{one}:{hashed}\n" for one, hashed in hashes.items())
        file.flush()
        os.fsync(handle)
    unfinished.replace(path)


def _read(path: Path) -> dict[str, str]:
    if path.stat().st_mode & 0o077:
        raise _unusable(f"他人可以读取 {path}，请运行 chmod 600", f"others can read {path}; run chmod 600")
    hashes = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, hashed = line.partition(":")
        if not name or not hashed.startswith("$argon2"):
            raise _unusable(
                f"{path} 第 {number} 行应为“名字:$argon2…”，请用 jiesu relay add 生成",
                f"line {number} of {path} is not 'name:$argon2…'; have it written by jiesu relay add",
            )
        hashes[name] = hashed.strip()
    return hashes


def _unusable(zh: str, en: str) -> BadSetting:
    return BadSetting("smtp.users", zh, en)
