"""The programs that a measurement runs beside itself: started in a folder of its own, spoken to over loopback, ended by their id."""

from __future__ import annotations

import json
import os
import random
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measuring import BenchmarkError

_ROOT = Path(__file__).parents[1]
# How long a program may take to come up on a busy machine, and to finish what it has in hand.
_UP_SECONDS, _DOWN_SECONDS = 60, 30


def free_port() -> int:
    """A port for a program that cannot choose one itself.

    It is below those that the system gives to whoever asks for any, for such a one may be somebody's by the time the program is up.
    """
    while True:
        port = random.randint(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for this run; TMPDIR says on which disk. It goes with everything in it."""
    with tempfile.TemporaryDirectory(prefix="jiesu-bench-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


class Program:
    """One program of ours in a process of its own."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process, self._log = process, log

    @property
    def pid(self) -> int:
        """Its id."""
        return self._process.pid

    def cpu_seconds(self) -> float:
        """Processor time used so far by all its threads, in seconds; 0 where the system does not tell (only Linux does)."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return 0.0
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def first_line(self) -> dict[str, Any]:
        """What it says of itself in one line of JSON once it is up. Raises `BenchmarkError` when it says nothing in time."""
        out = self._process.stdout
        assert out is not None
        ready, _, _ = select.select([out], [], [], _UP_SECONDS)
        line = out.readline() if ready else b""
        if not line:
            raise self.silent()
        told: dict[str, Any] = json.loads(line)
        return told

    def wait_for(self, path: Path) -> dict[str, Any]:
        """The JSON that it writes into a file once it is up. Raises `BenchmarkError` when it ends or takes too long."""
        deadline = time.monotonic() + _UP_SECONDS
        while not path.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise self.silent()
            time.sleep(0.02)
        told: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return told

    def result(self, seconds: float) -> dict[str, Any]:
        """What it prints until it ends by itself, as JSON; at most `seconds` are waited."""
        try:
            printed, _ = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise BenchmarkError(f"a program did not end within {seconds:.0f} s") from None
        if self._process.returncode:
            raise self.silent()
        told: dict[str, Any] = json.loads(printed)
        return told

    def silent(self) -> BenchmarkError:
        """The error that says how it ended, with the last of what it said."""
        said = self._log.read_text("utf-8", "replace").strip().splitlines()[-4:]
        state = "is silent" if self._process.poll() is None else f"ended with {self._process.returncode}"
        return BenchmarkError("\n".join([f"a program {state}; its last words:", *said]))

    def end(self) -> None:
        """Asks it to end, and ends it when it does not."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_DOWN_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


@contextmanager
def running(folder: Path, module: str, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Program]:
    """A module run as a program until the end of the block. `env` is added to an environment without settings of jiesu's."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("JIESU_")}
    log = folder / f"{module}.{time.monotonic_ns()}.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=_ROOT,
            env=clean | dict(env or {}),
            start_new_session=True,
        )
    program = Program(process, log)
    try:
        yield program
    finally:
        program.end()


class Gateway:
    """A real gateway, as the measurements see it. It comes up while others do; `opened` waits for it."""

    def __init__(self, program: Program, addresses: Callable[[], Mapping[str, Any]]) -> None:
        self.program = program
        self._addresses = addresses
        self.smtp = ("", 0)
        self.web = ""

    def opened(self) -> Gateway:
        """Returns itself when its doors are open. Raises `BenchmarkError` when that takes too long."""
        told = self._addresses()
        self.smtp = (told["smtp"][0], told["smtp"][1])
        self.web = str(told["web"])
        return self

    def metrics(self) -> dict[str, float]:
        """Its figures for Prometheus, by name and labels as they are written."""
        return read_metrics(self.web)

    def ready(self) -> bool:
        """Whether it says that it can sort."""
        try:
            return all(json.loads(get(f"{self.web}/readyz")).values())
        except urllib.error.HTTPError:
            return False

    def settle(self, seconds: float = 30) -> bool:
        """Waits until no job is open. False when that takes longer than `seconds`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not any(name.startswith("jiesu_jobs_open") and "parked" not in name for name in self.metrics()):
                return True
            time.sleep(0.1)
        return False


def read_metrics(web: str) -> dict[str, float]:
    """The figures of the gateway at the address `web`."""
    text = get(f"{web}/metrics").decode()
    return {name: float(value) for name, value in re.findall(r"^([a-z]\S*(?: \S+)*?) (\S+)$", text, re.MULTILINE)}


def get(url: str) -> bytes:
    """What a program of ours answers at a loopback address."""
    with urllib.request.urlopen(url, timeout=30) as response:
        answer: bytes = response.read()
    return answer


@contextmanager
def gateway(
    folder: Path, name: str, *, tracker_url: str = "", working: bool = True, acceptors: int = 1, settings: Mapping[str, str] | None = None
) -> Iterator[Gateway]:
    """A gateway on free ports with its home in `folder`, and `settings` of its own by the names of their variables.

    `working` False: its worker stands still, so that acceptance is alone.
    """
    home = folder / name
    env = {
        "JIESU_HOME": str(home),
        "JIESU_SMTP_PORT": "0",
        "JIESU_SMTP_MAX_CONNECTIONS": "200",
        "JIESU_SMTP_MAX_CONNECTIONS_PER_ADDRESS": "200",
        "JIESU_SMTP_ACCEPTORS": str(acceptors),
        "JIESU_WEB_PORT": "0",
        "JIESU_WEB_PUBLIC_URL": "http://127.0.0.1",
        "JIESU_DROP_ENABLED": "false",
        "JIESU_TRACKER_URL": tracker_url,
    } | dict(settings or {})
    if working:
        with running(folder, "gateway.cli", "serve", env=env) as program:
            yield Gateway(program, partial(program.wait_for, home / "serve.json"))
    else:
        with running(folder, "benchmarks.still_gateway", env=env) as program:
            yield Gateway(program, program.first_line)
