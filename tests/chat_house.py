"""A whole gateway for tests of the chat's pages, which can lose an acknowledgement, stop, and come back; and a site of somebody else's."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from running import RunningGateway

from models.errors import TryLater
from models.submission import Channel, Submission


@dataclass
class House:
    """A gateway with nothing but the chat. `start` after `stop` takes the same port and remembers everything.

    The classifier sorts by the Chinese name of a class in the text, and is sure of it.
    """

    home: Path
    settings: Mapping[str, object] = field(default_factory=dict)
    # So many acceptances are committed and then not told, as when the answer is lost on its way.
    lose: int = 0
    offered: int = 0
    port: int = 0
    running: RunningGateway | None = None

    def start(self) -> None:
        quick = {"chat_quiet_seconds": 0.2, "smtp_enabled": "false", "drop_enabled": "false"}
        self.running = RunningGateway(self.home, **(quick | {"web_port": self.port} | dict(self.settings)))
        self.running.__enter__()
        self.port = int(self.running.web.rpartition(":")[2])
        self.running.watched.before = self._count
        self.running.watched.after = self._lose

    def stop(self) -> None:
        assert self.running
        self.running.__exit__(None, None, None)
        self.running = None

    def _count(self, _: Submission) -> None:
        self.offered += 1

    def _lose(self, _: Submission) -> None:
        if self.lose:
            self.lose -= 1
            raise TryLater("lost", "丢了", "lost")

    @property
    def gateway(self) -> RunningGateway:
        assert self.running
        return self.running

    def taken(self) -> list[Submission]:
        return self.gateway.committed(Channel.CHAT)

    def said(self) -> list[str]:
        """What arrived, in order; of a file its name."""
        return [one.envelope.get("filename") or json.loads(one.raw)["text"] for one in self.taken()]  # type: ignore[misc]

    def numbers(self) -> list[str]:
        """The numbers given, in order, each once."""
        return list(dict.fromkeys(self.gateway.numbers()))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/chat"


class Site:
    """Somebody else's web site on a port of its own; `pages` are its pages by path, each with headers of its own."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[str, Mapping[str, str]]] = {}
        self.asked: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                body, headers = site.pages.get(self.path.partition("?")[0], ("nothing here", {}))
                self.send_response(200 if self.path.partition("?")[0] in site.pages else 404)
                for name, value in {"Content-Type": "text/html; charset=utf-8", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
