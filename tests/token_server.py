"""A token endpoint that gives a new refresh token with every use and honours only the newest, as Microsoft's and Google's may."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs


class TokenServer:
    """`with TokenServer() as tokens:`; `tokens.refresh` is what a client must show next, `tokens.access` what the mail server accepts.

    refuse: answers 400 invalid_grant. broken: answers 503. garble: answers what is no JSON. rotates: gives a new refresh token each time.
    user: whose tokens they are (RFC 7662).
    """

    def __init__(self, user: str = "tousu") -> None:
        self.user = user
        self.refresh, self.access = "first", set[str]()
        self.refuse = self.broken = self.garble = False
        self.rotates = True
        self.lasts = 3600
        self.asked: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                fields = {key: values[0] for key, values in parse_qs(body).items()}
                status, answer = outer._answer(self.path, fields)
                sent = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def _answer(self, path: str, fields: dict[str, str]) -> tuple[int, Any]:
        if path == "/introspect":
            return 200, {"active": fields.get("token", "") in self.access, "username": self.user}
        self.asked.append(fields)
        if self.broken:
            return 503, {}
        if self.garble:
            return 200, b"<html>"
        if self.refuse or fields.get("refresh_token") != self.refresh:
            return 400, {"error": "invalid_grant", "error_description": "tousu@jiesu.example must sign in again"}
        new = f"access-{len(self.asked)}"
        self.access.add(new)
        answer: dict[str, Any] = {"access_token": new, "token_type": "Bearer", "expires_in": self.lasts}
        if self.rotates:
            self.refresh = f"refresh-{len(self.asked)}"
            answer["refresh_token"] = self.refresh
        return 200, answer

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
