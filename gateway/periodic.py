"""What looks again and again in a thread of its own while a gateway serves."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod

from gateway.oplog import OperatorLog
from models.errors import JiesuError


class Periodic(ABC):
    """A look every so many seconds, until it is stopped.

    name:    of the thread, and of the fault that is told when a look fails.
    at_once: whether the first look comes at the start, or `every_seconds` after it.
    """

    def __init__(self, name: str, every_seconds: float, log: OperatorLog, *, at_once: bool = False, join_seconds: float = 30) -> None:
        self._name, self._every, self._at_once, self._join_seconds = name, every_seconds, at_once, join_seconds
        self._log = log
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @abstractmethod
    def look(self) -> object:
        """One look. A `JiesuError`, such as a store that is away, only puts it off to the next."""

    def start(self) -> None:
        """Begins to look, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the looking, and waits for a look that is under way."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(self._join_seconds)

    def _run(self) -> None:
        if not self._at_once:
            self._stopping.wait(self._every)
        while not self._stopping.is_set():
            try:
                self.look()
            except JiesuError:
                pass
            except Exception as error:
                self._log.fault(self._name, error)
            self._stopping.wait(self._every)
