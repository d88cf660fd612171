"""`jiesu up`: a gateway with a development tracker beside it, and on an empty store the sample complaints, for a first look."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway import home, samples
from gateway.config import Settings
from models.errors import BadSetting, Refused, TryLater

# How long a program may take to come up, and the samples to come through.
_UP_SECONDS, _THROUGH_SECONDS = 120, 120
# How long a program may take to finish what is in hand.
_DOWN_SECONDS = 70


def addresses_file(home_folder: Path) -> Path:
    """Where a serving gateway writes its addresses, for the commands beside it."""
    return home_folder / "serve.json"


def doors_of(home_folder: Path) -> samples.Doors:
    """The doors of the gateway that serves this home. Raises `Refused` when none does."""
    try:
        told = json.loads(addresses_file(home_folder).read_text("utf-8"))
        return samples.Doors(
            smtp=(told["smtp"][0], told["smtp"][1]) if told["smtp"] else None,
            web=told["web"],
            drop=Path(told["drop"]) if told["drop"] else None,
        )
    except (OSError, ValueError, LookupError, TypeError):
        # Without the file nobody serves; one that lacks something is not from a gateway like ours.
        raise Refused(
            "not_serving",
            f"{home_folder} 没有正在运行的网关；请先运行 jiesu serve",
            f"no gateway is serving {home_folder}; run jiesu serve first",
        ) from None


def end_with_parent() -> None:
    """Ends this program in good order when the one that started it is gone: its end of our standard input closes, even by kill -9."""

    def watch() -> None:
        # Not sys.stdin, whose lock a waiting thread would hold when the interpreter ends.
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


class Up:
    """The two programs, their addresses, and the tickets as the tracker has them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._asked_to_end = False
        self._programs: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._page_token = ""
        self.tracker_url = ""

    def end(self, *_: object) -> None:
        """For a signal: ends what is being done, as Ctrl-C does; and if that is lost on its way, at the next look."""
        self._asked_to_end = True
        raise KeyboardInterrupt

    def start(self) -> None:
        """Starts the tracker (unless the settings name one elsewhere), then the gateway. Returns when both answer."""
        home.prepare(self._settings.home)
        self._page_token = home.secret(self._settings.secrets_folder, "tracker-page.token", home.token)
        parts = urlsplit(self._settings.tracker.url)
        if parts.hostname not in ("127.0.0.1", "localhost"):
            raise BadSetting(
                "tracker.url",
                f"“{self._settings.tracker.url}” 不在本机；jiesu up 只用于本机试用，正式运行请用 jiesu serve",
                f"'{self._settings.tracker.url}' is not on this machine; jiesu up is for a first look, use jiesu serve for real",
            )
        port = parts.port or 80
        self.tracker_url = f"http://{parts.hostname}:{port}"
        _must_be_free("tracker.url", port)
        if self._settings.smtp.enabled:
            _must_be_free("smtp.port", self._settings.smtp.port)
        _must_be_free("web.port", self._settings.web.port)
        addresses_file(self._settings.home).unlink(missing_ok=True)
        self._spawn("tracker", "tracker", "--port", str(port))
        self._spawn("gateway", "serve")
        self._wait("tracker", lambda: _answers(f"{self.tracker_url}/healthz"))
        self._wait("gateway", lambda: addresses_file(self._settings.home).exists())

    def doors(self) -> samples.Doors:
        """The gateway's doors."""
        return doors_of(self._settings.home)

    def tickets(self) -> list[dict[str, Any]]:
        """The tickets as the tracker received them, by number."""
        request = urllib.request.Request(f"{self.tracker_url}/tickets", headers={"Authorization": f"Bearer {self._page_token}"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - our own tracker on loopback
            told = json.load(response)
        return sorted((ticket["ticket"] for ticket in told["tickets"]), key=lambda ticket: str(ticket["number"]))

    @property
    def tracker_page(self) -> str:
        """The tracker's page with its token, to be opened once."""
        return f"{self.tracker_url}/?token={self._page_token}"

    def arrived(self, numbers: set[str]) -> Iterator[int]:
        """How many of the numbers the tracker has, until it has all. Raises `TryLater` when that takes too long."""
        deadline = time.monotonic() + _THROUGH_SECONDS
        while True:
            there = numbers & {ticket["number"] for ticket in self.tickets()}
            yield len(there)
            if there == numbers:
                return
            self._check()
            if time.monotonic() > deadline:
                lacking = ", ".join(sorted(numbers - there))
                raise TryLater(
                    "not_through",
                    f"{_THROUGH_SECONDS} 秒内未送达：{lacking}；请看 {self._log_folder}",
                    f"not through within {_THROUGH_SECONDS} seconds: {lacking}; look into {self._log_folder}",
                )
            time.sleep(0.2)

    def wait(self) -> None:
        """Waits until one of the programs ends."""
        while True:
            self._check()
            time.sleep(0.5)

    def stop(self) -> None:
        """Ends the gateway, which finishes what is in hand, then the tracker."""
        for _, program in reversed(self._programs):
            if program.poll() is None:
                program.send_signal(signal.SIGTERM)
            try:
                program.wait(_DOWN_SECONDS)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()
            if program.stdin is not None:
                program.stdin.close()
        self._programs.clear()

    @property
    def _log_folder(self) -> Path:
        return self._settings.home / "log"

    def _spawn(self, name: str, *arguments: str) -> None:
        self._log_folder.mkdir(exist_ok=True)
        with (self._log_folder / f"{name}.log").open("ab") as log:
            # A session of its own: Ctrl-C reaches us alone, and we end them in order.
            program = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-m", "gateway.cli", *arguments, "--until-eof"],
                # Kept open as long as we live; see `end_with_parent`.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=os.environ | {"JIESU_HOME": str(self._settings.home)},
                start_new_session=True,
            )
        self._programs.append((name, program))

    def _wait(self, name: str, is_up: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _UP_SECONDS
        while not is_up():
            self._check()
            if time.monotonic() > deadline:
                log = self._log_folder / f"{name}.log"
                raise TryLater(
                    "not_up", f"{name} 在 {_UP_SECONDS} 秒内没有就绪，请看 {log}", f"{name} is not up after {_UP_SECONDS} s, see {log}"
                )
            time.sleep(0.05)

    def _check(self) -> None:
        # An interruption that falls into a destructor or a callback of a library's is swallowed there.
        if self._asked_to_end:
            raise KeyboardInterrupt
        for name, program in self._programs:
            if program.poll() is not None:
                log = self._log_folder / f"{name}.log"
                last = log.read_text("utf-8", "replace").strip().splitlines()[-6:]
                raise Refused(
                    "ended",
                    f"{name} 意外结束（{program.returncode}），日志 {log}：\n" + "\n".join(last),
                    f"{name} ended by itself ({program.returncode}); its log is {log}",
                )


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=2).close()  # noqa: S310 - our own program on loopback
    except OSError:
        return False
    return True


def _must_be_free(key: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            variable = "JIESU_" + key.upper().replace(".", "_")
            raise BadSetting(
                key,
                f"端口 {port} 不可用（{error.strerror}）；请停止占用它的程序，或用环境变量 {variable} 改用别的",
                f"port {port} cannot be had ({error.strerror}); stop the program that has it, or use another with {variable}",
            ) from None
