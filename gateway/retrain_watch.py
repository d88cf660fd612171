"""Watches over retrainings while a gateway serves: begins the one that waits, in a process of its own, and asks for those that are due."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gateway.clock import Clock
from gateway.oplog import OperatorLog
from gateway.retraining import fail_dead
from gateway.sections import Learning as LearningSection
from gateway.store import retrainings
from gateway.store.engine import Store
from gateway.store.retrainings import Retraining
from models.errors import TryLater

# How often it is looked whether something waits, and whether something is due.
_LOOK_SECONDS = 2.0
_DUE_SECONDS = 30.0
# How long the process may take to end when the gateway does.
_DOWN_SECONDS = 10.0
# Who asks when nobody did; stands in `by`.
BY_COUNT, NIGHTLY = "自动（按件数） automatic, by count", "自动（每日） automatic, nightly"


def due(settings: LearningSection, fresh: int, last: Retraining | None, now: datetime, zone: ZoneInfo) -> str | None:
    """Who asks for a retraining now because it is due; None where none is.

    fresh: corrected complaints since the last retraining was asked for; `last`: that one.
    """
    if not fresh:
        return None
    if settings.retrain_after and fresh >= settings.retrain_after:
        return BY_COUNT
    here = now.astimezone(zone)
    if settings.nightly_hour >= 0 and here.hour == settings.nightly_hour:
        # Once in that hour, whoever asked.
        began = here.replace(minute=0, second=0, microsecond=0)
        if last is None or last.asked_at < began:
            return NIGHTLY
    return None


class RetrainWatch:
    """Looks every two seconds. Several nodes may do so: the one that claims the retraining runs it.

    environment: of the process that it starts, so that this has the gateway's settings.
    folder:      for the log of that process.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        log: OperatorLog,
        settings: LearningSection,
        zone: ZoneInfo,
        environment: Mapping[str, str],
        folder: Path,
    ) -> None:
        self._store, self._clock, self._log, self._settings, self._zone = store, clock, log, settings, zone
        self._environment, self._folder = dict(environment), folder
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._program: subprocess.Popen[bytes] | None = None
        # The name under which our process holds its lease.
        self._who = ""
        self._looked_due: datetime | None = None

    def start(self) -> None:
        """Begins to watch, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="retrain-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the watching, and the retraining that this node runs; that is written down as failed."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=_DOWN_SECONDS)
        program, self._program = self._program, None
        if program is not None:
            if program.poll() is None:
                program.terminate()
                try:
                    program.wait(_DOWN_SECONDS)
                except subprocess.TimeoutExpired:
                    program.kill()
                    program.wait()
            _close(program)
            with contextlib.suppress(TryLater):
                self._fail_mine("stopped", "网关停止，训练中断；现用模型不变", "the gateway stopped; the champion stays")

    def look(self) -> None:
        """One look: what became of our process, what is due, what waits. Raises `TryLater` while the store is away."""
        now = self._clock.now()
        if self._program is not None:
            if self._program.poll() is None:
                return
            program, self._program = self._program, None
            _close(program)
            # A process that ended in good order has written down its outcome itself.
            self._fail_mine("runner_died", "训练进程中断；现用模型不变，可再次发起", "its process died; the champion stays")
        with self._store.read() as conn:
            open_one = retrainings.current(conn)
        if open_one is None:
            self._ask_if_due(now)
        elif open_one.state == retrainings.WAITING:
            self._begin()
        elif open_one.lease_until is not None and open_one.lease_until < now:
            with self._store.write() as conn:
                fail_dead(conn, now, self._log)

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_SECONDS):
            try:
                self.look()
            except TryLater:
                continue
            except Exception as error:
                self._log.fault("retrain watch", error)

    def _ask_if_due(self, now: datetime) -> None:
        if self._looked_due is not None and timedelta(0) <= now - self._looked_due < timedelta(seconds=_DUE_SECONDS):
            return
        self._looked_due = now
        with self._store.read() as conn:
            last = next(iter(retrainings.last(conn)), None)
            fresh = retrainings.corrections_since_last(conn)
        by = due(self._settings, fresh, last, now, self._zone)
        if by is not None:
            with self._store.write() as conn:
                asked, new = retrainings.ask(self._store, conn, by, now)
            if new:
                self._log.write("RetrainingAsked", retraining=asked.id)

    def _begin(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._who = f"retrain-{uuid.uuid4().hex}"
        with (self._folder / "retrain.log").open("ab") as log:
            # A session of its own: Ctrl-C reaches us alone, and we end it in order. Its input stays open as long as we live.
            self._program = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-m", "gateway.cli", "retrain", "--run", self._who, "--until-eof"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )

    def _fail_mine(self, code: str, zh: str, en: str) -> None:
        """Writes down that the process ended without an outcome, so that nobody has to wait for its lease."""
        outcome: dict[str, Any] = {"code": code, "passed": False, "zh": zh, "en": en}
        with self._store.write() as conn:
            found = retrainings.current(conn)
            if found is None or found.leased_by != self._who:
                return
            retrainings.finish(conn, found.id, self._who, self._clock.now(), version=None, outcome=outcome, failed=True)
        self._log.write("RetrainingFailed", retraining=found.id, code=code)


def _close(program: subprocess.Popen[bytes]) -> None:
    if program.stdin is not None:
        program.stdin.close()
