"""The home of one gateway on disk: its folders, its lock, and its secrets."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from models.errors import BadSetting, Refused


def prepare(home: Path) -> None:
    """Makes the home, for its owner alone. Raises `BadSetting` when that cannot be."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        (home / "secrets").mkdir(exist_ok=True, mode=0o700)
        # What customers wrote is nobody else's business, whoever made the folder.
        found = home.stat()
        if found.st_mode & 0o077 and found.st_uid == os.geteuid():
            home.chmod(0o700)
    except OSError as error:
        raise BadSetting(
            "JIESU_HOME",
            f"无法建立数据目录 {home}（{error.strerror}）；请换一个可写的目录",
            f"the home {home} cannot be made ({error.strerror}); choose one that can be written",
        ) from None


class HomeLock:
    """Held by the one gateway that serves a home; a second one is refused."""

    def __init__(self, home: Path) -> None:
        self._path = home / "serve.lock"
        self._handle: int | None = None

    def __enter__(self) -> HomeLock:
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._handle)
            self._handle = None
            raise Refused(
                "home_in_use",
                f"已有一个网关在使用 {self._path.parent}；请先停止它，或用 JIESU_HOME 指定另一个目录",
                f"a gateway is already serving {self._path.parent}; stop it, or name another home with JIESU_HOME",
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def secret(folder: Path, name: str, make: Callable[[], str]) -> str:
    """The secret kept in a file of mode 0600, made whole at its first use: two processes that make it at once end up with the same one.

    Raises `BadSetting` when the file is empty, can be read by others, or cannot be written.
    """
    path = folder / name
    if not path.exists():
        unfinished = folder / f".{name}.{os.getpid()}.{secrets.token_hex(4)}"
        try:
            handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "w") as file:
                file.write(make() + "\n")
                file.flush()
                os.fsync(handle)
            # Whoever links first has made it; a rename would take it from him.
            with contextlib.suppress(FileExistsError):
                os.link(unfinished, path)
            _sync(folder)
        except OSError as error:
            raise BadSetting(
                str(path),
                f"无法写入（{error.strerror}），请检查目录权限",
                f"cannot be written ({error.strerror}); see to the folder's mode",
            ) from None
        finally:
            with contextlib.suppress(OSError):
                unfinished.unlink()
    try:
        value = path.read_text("ascii", "replace").strip()
    except OSError as error:
        raise BadSetting(
            str(path), f"读不了（{error.strerror}），请检查属主", f"cannot be read ({error.strerror}); see to its owner"
        ) from None
    if not value:
        raise BadSetting(str(path), "密钥文件是空的，请删除它，会重新生成", "the secret is empty; delete the file, and a new one is made")
    if path.stat().st_mode & 0o077:
        raise BadSetting(str(path), f"他人可以读取密钥，请运行 chmod 600 {path}", f"others can read the secret; run chmod 600 {path}")
    return value


def _sync(folder: Path) -> None:
    """Names in this folder are on disk from now on."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def webhook_secret() -> str:
    """A new signing secret: `whsec_` and 256 bits (Standard Webhooks 1.0.0)."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def token() -> str:
    """A new bearer token of 256 bits."""
    return secrets.token_urlsafe(32)


def terms_file(home: Path) -> Path:
    """Where the staff's own terms for the classifier are looked for."""
    return home / "terms.txt"


def has_no_store(home: Path) -> bool:
    """Whether no store was made here yet (SQLite only; of a store elsewhere this says nothing)."""
    return not (home / "jiesu.db").exists()


def key_pair(path: Path, key: str) -> tuple[str, str] | None:
    """An access key id and its secret, the two lines of a file; None where there is no file. Raises `BadSetting`, which names `key`."""
    try:
        lines = path.read_text("utf-8").split()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        lines = []
    if len(lines) != 2:
        raise BadSetting(
            key,
            f"{path.name} 应有两行：访问密钥 ID 与密钥",
            f"{path.name} must have two lines: the access key id and the secret",
        )
    return lines[0], lines[1]
