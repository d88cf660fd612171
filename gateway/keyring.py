"""The signing secrets of endpoints: the one that holds, and the one before it while receivers change over (Standard Webhooks 1.0.0)."""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from gateway import home
from models.errors import BadSetting, Refused

_OLD = ".old"


def secret_bytes(secret: str, key: str = "tracker.secret") -> bytes:
    """The key inside `whsec_…`; 24 to 64 bytes by the specification. Raises `BadSetting`, which names `key`."""
    try:
        found = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if not secret.startswith("whsec_") or not 24 <= len(found) <= 64:
        raise BadSetting(
            key,
            "应为 whsec_ 加 24 至 64 字节的 base64；留空则自动生成",
            "must be whsec_ and the base64 of 24 to 64 bytes; leave it empty to have one made",
        )
    return found


@dataclass(frozen=True, slots=True)
class Secrets:
    """What signs now. `old` is empty, or signs too."""

    new: str
    old: str = ""

    def both(self) -> tuple[str, ...]:
        """Those that hold."""
        return (self.new, self.old) if self.old else (self.new,)


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a change made: the new secret, and until when the former one signs too."""

    secret: str = field(repr=False)
    until: datetime


class Keyring:
    """The secrets of one endpoint, read again when their files change, so that a rotation needs no restart.

    key: the setting that is named where something is wrong. fixed: the secret in the settings; empty where it lives in `file`.
    """

    def __init__(self, key: str, file: Path, now: Callable[[], datetime], *, fixed: str = "") -> None:
        self._key, self._file, self._now, self._fixed = key, file, now, fixed
        self._stamp: object = None
        # One value, so that no thread sees the new secret without the one before it.
        self._read_last: tuple[str, str, datetime | None] = ("", "", None)
        self.secrets()

    def secrets(self) -> Secrets:
        """Those that hold now."""
        # Looked at before they are read: what changes meanwhile is read at the next call.
        stamp = (_changed(self._file), _changed(self._old_file))
        if stamp != self._stamp:
            self._read_last = self._read()
            self._stamp = stamp
        new, old, until = self._read_last
        return Secrets(new, old if until is not None and self._now() < until else "")

    def old_until(self) -> datetime | None:
        """Until when the former secret signs too; None where there is none."""
        return self._read_last[2] if self.secrets().old else None

    def rotate(self, overlap: timedelta, *, end_former: bool = False) -> Rotated:
        """Makes a new secret; the one before it signs too for so long.

        Only two hold at a time, and of two that change it at once, in whatever process, one finds what the other made. Raises `Refused`
        where an earlier one still holds, unless `end_former` ends it now, and where the secret is in the settings.
        """
        if self._fixed:
            raise Refused(
                "secret_in_settings",
                f"{self._key} 写在设置里，请在那里更换；删去该项后密钥会保存在 {self._file.name}，之后可以轮换",
                f"{self._key} is in the settings: change it there, or take it out so that it lives in {self._file.name} and can be rotated",
            )
        with self._alone():
            return self._change(overlap, end_former)

    def _change(self, overlap: timedelta, end_former: bool) -> Rotated:
        new, _, held_until = self._read()
        still = held_until if held_until is not None and self._now() < held_until else None
        if still is not None and not end_former:
            at = still.isoformat(timespec="minutes")
            raise Refused(
                "former_secret_holds",
                f"上次更换前的密钥到 {at} 为止仍有效，再换一次它就立即失效；请到时再换，"
                "或运行 jiesu endpoints rotate 名称 --end-former 立即作废它",
                f"the secret before the last change is good until {at}, and would fail at once; wait until then, "
                "or end it now by jiesu endpoints rotate NAME --end-former",
            )
        until = self._now() + overlap
        made = Rotated(home.webhook_secret(), until)
        _write(self._old_file, f"{new} {until.isoformat()}\n")
        _write(self._file, made.secret + "\n")
        self.secrets()
        return made

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else changes the secret meanwhile."""
        handle = os.open(self._file.with_name(f".{self._file.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    @property
    def file(self) -> Path:
        """Where the secret lives, unless it is in the settings."""
        return self._file

    @property
    def _old_file(self) -> Path:
        return self._file.with_name(self._file.name + _OLD)

    def _read(self) -> tuple[str, str, datetime | None]:
        new = self._fixed or home.secret(self._file.parent, self._file.name, home.webhook_secret)
        secret_bytes(new, self._key)
        if self._old_file.exists():
            spelt = home.secret(self._old_file.parent, self._old_file.name, home.webhook_secret).split()
            try:
                old, until = spelt[0], datetime.fromisoformat(spelt[1])
                if until.tzinfo is None:
                    raise ValueError
            except (IndexError, ValueError):
                raise BadSetting(
                    str(self._old_file),
                    "应为旧密钥、空格、截止时间（如 2026-12-01T00:00:00+08:00）",
                    "must be the former secret, a space, and until when (e.g. 2026-12-01T00:00:00+08:00)",
                ) from None
            secret_bytes(old, str(self._old_file))
            return new, old, until
        return new, "", None


def _changed(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    # Clocks of file systems stand still for some milliseconds.
    return found.st_mtime_ns, found.st_ino


def _write(path: Path, text: str) -> None:
    """Whole, for the owner alone."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(handle)
    unfinished.replace(path)
