"""The real development tracker in a thread, for tests that need a counterpart which can fail, be stopped and be started again."""

from __future__ import annotations

import http.client
import json
import tempfile
import threading
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from standardwebhooks.webhooks import Webhook

from gateway import devtracker

# 32 bytes that everybody may know.
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
PAGE_TOKEN = "page-token-for-tests"
BEARER = {"Authorization": f"Bearer {PAGE_TOKEN}"}
NUMBER = "TS-20261123-0042"


class RunningTracker:
    """A tracker on a free loopback port with a folder of its own. A context manager; `stop` and `start` keep port and folder.

    url, events_url: where it is; secret, page_token: what opens it; folder: where its events lie.
    """

    def __init__(self, folder: Path | None = None, secret: str = SECRET) -> None:
        self._own = None if folder else tempfile.TemporaryDirectory(prefix="jiesu-tracker-")
        self.folder = folder or Path(self._own.name if self._own else "")
        self.secret, self.page_token = secret, PAGE_TOKEN
        self.port = 0
        self._server: devtracker.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def events_url(self) -> str:
        """Where events are sent."""
        return f"{self.url}/events"

    def __enter__(self) -> RunningTracker:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._own:
            self._own.cleanup()

    def start(self) -> None:
        """Starts it and returns when it listens; the same port again after `stop`."""
        ready = threading.Event()

        def told(_host: str, port: int) -> None:
            self.port = port
            ready.set()

        self._server = devtracker.Server("127.0.0.1", self.port, self.secret, self.folder, self.page_token, told)
        self._thread = threading.Thread(target=self._server.run, name="tracker", daemon=True)
        self._thread.start()
        assert ready.wait(10), "the tracker did not start"

    def stop(self) -> None:
        """Stops it and returns when it has ended."""
        if self._server and self._thread:
            self._server.should_exit = True
            self._thread.join(15)
            assert not self._thread.is_alive(), "the tracker did not stop"
        self._server = self._thread = None

    def tickets(self) -> list[dict[str, Any]]:
        """Every ticket, oldest first: `number`, `events`, `webhook_ids`, `ticket` (the newest data) and more."""
        return list(self.ask("/tickets")["tickets"])

    def events(self) -> list[dict[str, Any]]:
        """Every event in the order received: `order`, `webhook_id`, `received_at`, `payload`."""
        return list(self.ask("/events")["events"])

    def fail(self, mode: str, times: int | None = None, retry_after: float | None = None) -> None:
        """Tells it how to answer the next events; `ok` to make it well again."""
        self.ask("/fail", {"mode": mode, "times": times, "retry_after": retry_after})

    def ask(self, path: str, told: object = None) -> Any:
        """The JSON at a path, asked with the page token; a POST when something is told."""
        headers = {"Authorization": f"Bearer {self.page_token}", "Content-Type": "application/json"}
        data = None if told is None else json.dumps(told).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers), timeout=10) as answer:
            return json.load(answer)


def event(number: str = NUMBER, **data: Any) -> str:
    """An event as it is sent, as far as the tracker looks at it; `data` is added to the ticket."""
    filled = {"number": number, "idempotency_key": number, "class": "contract", "class_name": "合同问题", "channel": "chat", **data}
    return json.dumps({"type": "complaint.routed", "timestamp": "2026-11-23T01:00:00Z", "data": filled}, ensure_ascii=False)


def signed(body: str, webhook_id: str = "evt_1", *, at: datetime | None = None, secret: str = SECRET) -> dict[str, str]:
    """Headers by the package of the specification's authors, which shares nothing with ours."""
    at = at or datetime.now(UTC)
    # The oracle takes every datetime for UTC, so only UTC is given to it.
    assert at.tzinfo is UTC
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(webhook_id, at, body),
        "content-type": "application/json",
    }


def ask(
    tracker: RunningTracker,
    method: str,
    path: str,
    body: str | bytes | None = None,
    headers: dict[str, str] | None = None,
    timeout: float = 10,
) -> tuple[int, dict[str, str], str]:
    """One request, nothing followed and nothing kept; header names in small letters."""
    connection = http.client.HTTPConnection("127.0.0.1", tracker.port, timeout=timeout)
    try:
        connection.request(method, path, body.encode() if isinstance(body, str) else body, headers or {})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
    finally:
        connection.close()


def send(tracker: RunningTracker, body: str, webhook_id: str = "evt_1") -> int:
    """Sends a truly signed event; the status that is answered."""
    return ask(tracker, "POST", "/events", body, signed(body, webhook_id))[0]
