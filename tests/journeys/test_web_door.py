"""The web as it is asked by strangers: every answer guarded, nothing told without a token, nobody waited for without end."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from factories import submission
from fakes import eventually
from fastapi import Request
from running import RunningGateway

from gateway import serve
from gateway.web import app as web
from models.errors import TryLater

SECONDS = 20


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path_factory.mktemp("web"), smtp_enabled="false", drop_enabled="false", web_max_body_bytes=1000) as running:
        # The doors open before the classifier is loaded.
        deadline = time.monotonic() + 60
        while ask(running, "/readyz").status != 200 and time.monotonic() < deadline:
            time.sleep(0.1)
        yield running


def address(gateway: RunningGateway) -> tuple[str, int]:
    host, _, port = gateway.web.removeprefix("http://").partition(":")
    return host, int(port)


class Answer:
    """What came back."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status, self.body = answer.status, answer.read()
        self.headers = {name.lower(): value for name, value in answer.getheaders()}

    def json(self) -> Any:
        return json.loads(self.body)


def ask(gateway: RunningGateway, path: str, method: str = "GET", headers: dict[str, str] | None = None, body: Any = None) -> Answer:
    connection = http.client.HTTPConnection(*address(gateway), timeout=SECONDS)
    try:
        connection.request(method, path, body, headers or {})
        return Answer(connection.getresponse())
    finally:
        connection.close()


def raw(gateway: RunningGateway, request: bytes) -> bytes:
    """All that is answered to these bytes until the gateway closes."""
    with socket.create_connection(address(gateway), timeout=SECONDS) as connection:
        try:
            connection.sendall(request)
            parts = list(iter(lambda: connection.recv(65_536), b""))
        except ConnectionError:
            return b""
    return b"".join(parts)


def token(gateway: RunningGateway) -> dict[str, str]:
    return {"Authorization": f"Bearer {gateway.app.api_token}"}


def check_guarded(answer: Answer) -> None:
    headers = answer.headers
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers
    assert b"Traceback" not in answer.body


@pytest.mark.parametrize(
    ("path", "method", "headers", "status"),
    [
        ("/chat", "GET", {}, 200),
        ("/chat?lang=en", "GET", {}, 200),
        ("/chat?lang=%22%3E%3Cscript%3E", "GET", {}, 200),
        ("/", "GET", {}, 307),
        ("/static/chat.js", "GET", {}, 200),
        ("/healthz", "GET", {}, 200),
        ("/healthz", "HEAD", {}, 200),
        ("/chat", "HEAD", {}, 200),
        ("/readyz", "GET", {}, 200),
        ("/metrics", "GET", {}, 200),
        ("/metrics", "GET", {"X-Forwarded-For": "10.0.0.1"}, 403),
        ("/metrics", "GET", {"Forwarded": "for=10.0.0.1"}, 403),
        ("/metrics", "GET", {"X-Real-IP": "10.0.0.1"}, 403),
        ("/metrics", "GET", {"Via": "1.1 proxy"}, 403),
        ("/metrics", "GET", {"X-Forwarded-For": "127.0.0.1", "Authorization": "Bearer x"}, 403),
        ("/readyz", "GET", {"X-Forwarded-For": "127.0.0.1"}, 403),
        ("/api/v1/complaints/TS-20261123-0001", "GET", {}, 401),
        ("/api/v1/complaints/TS-20261123-0001", "GET", {"Authorization": "Bearer"}, 401),
        ("/api/v1/complaints/TS-20261123-0001", "GET", {"Authorization": "Bearer wrong"}, 401),
        ("/api/v1/complaints/TS-20261123-0001", "GET", {"Authorization": "Basic eDp5"}, 401),
        ("/api/v1/complaints/TS-20261123-0001", "GET", {"Authorization": "Bearer \xe9\xff"}, 401),
        ("/nothing", "GET", {}, 404),
        ("/docs", "GET", {}, 404),
        ("/openapi.json", "GET", {}, 404),
        ("/ws/chat", "GET", {}, 404),
        ("/static/nothing.js", "GET", {}, 404),
        ("/static/", "GET", {}, 404),
        ("/static/../app.py", "GET", {}, 404),
        ("/static/..%2fapp.py", "GET", {}, 404),
        ("/static/%2e%2e/%2e%2e/config.py", "GET", {}, 404),
        ("/static/..%5capp.py", "GET", {}, 404),
        ("/static//etc/passwd", "GET", {}, 404),
        ("/static/%00", "GET", {}, 404),
        ("/static/" + "x" * 5000, "GET", {}, 404),
        ("/%ff%fe", "GET", {}, 404),
        ("/healthz", "POST", {}, 405),
        ("/healthz", "DELETE", {}, 405),
        ("/healthz", "OPTIONS", {}, 405),
        ("/healthz", "PROPFIND", {}, 405),
        ("/healthz", "GET", {"Host": "evil.example"}, 400),
        ("/healthz", "GET", {"Host": ""}, 400),
        ("/healthz", "GET", {"Host": "127.0.0.1.evil.example"}, 400),
        ("/healthz", "GET", {"Host": "evil@127.0.0.1"}, 400),
        ("/healthz", "GET", {"Host": "[::1"}, 400),
        ("/healthz", "GET", {"Host": "\xff"}, 400),
        ("/healthz", "GET", {"Host": "localhost"}, 200),
        ("/healthz", "GET", {"Host": "LOCALHOST:99"}, 200),
        ("/healthz", "POST", {"Content-Length": "1001"}, 413),
        ("/healthz", "POST", {"Content-Length": "300000000"}, 413),
    ],
    ids=lambda value: str(value)[:40].encode("unicode_escape").decode(),
)
def test_every_answer_is_guarded(gateway: RunningGateway, path: str, method: str, headers: dict[str, str], status: int) -> None:
    answer = ask(gateway, path, method, headers)
    assert answer.status == status
    check_guarded(answer)
    if status >= 400 and answer.headers["content-type"] == "application/json":
        # Both languages.
        assert answer.json()["detail"]


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: evil.example\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"HELO there\r\n\r\n",
        b"FOO / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"POST /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: x\r\n\r\n",
        b"POST /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: y\r\n" * 30_000,
    ],
    ids=lambda request: request[:50].decode("latin-1").encode("unicode_escape").decode(),
)
def test_what_is_no_decent_request_is_400_and_the_connection_ends(gateway: RunningGateway, request_: bytes) -> None:
    if b"Connection: close" not in request_ and b"\r\n\r\n" in request_ and b"Host" not in request_:
        request_ = request_.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    answer = raw(gateway, request_)
    # A client that still sends may lose the answer with the connection.
    assert answer.startswith(b"HTTP/1.1 400 ") or (not answer and len(request_) > 65_536)
    assert ask(gateway, "/healthz").status == 200


@pytest.fixture
def talkative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningGateway]:
    """A gateway with paths that read bodies and fail."""
    real = web.create

    def create(*args: Any, **kwargs: Any) -> web.Guard:
        guard = real(*args, **kwargs)

        @guard._app.post("/echo")  # type: ignore[attr-defined]
        async def echo(request: Request) -> int:
            return len(await request.body())

        @guard._app.get("/bug")  # type: ignore[attr-defined]
        async def bug() -> None:
            raise ZeroDivisionError("/secret/path 13800004321")

        @guard._app.get("/later")  # type: ignore[attr-defined]
        async def later() -> None:
            raise TryLater("full", "磁盘已满", "disk full")

        return guard

    monkeypatch.setattr(web, "create", create)
    with RunningGateway(tmp_path, smtp_enabled="false", drop_enabled="false", web_max_body_bytes=1000) as running:
        yield running


def test_a_body_is_limited_whether_its_length_is_told_or_not(talkative: RunningGateway) -> None:
    assert ask(talkative, "/echo", "POST", body=b"x" * 1000).json() == 1000
    assert ask(talkative, "/echo", "POST", body=iter([b"x" * 500] * 2)).json() == 1000
    for body in (b"x" * 1001, iter([b"x" * 500] * 3)):
        answer = ask(talkative, "/echo", "POST", body=body)
        assert answer.status == 413
        assert answer.json() == {"detail": "请求体太大 / the body is too large"}
        check_guarded(answer)


def test_a_fault_of_ours_is_503_guarded_and_tells_nothing(talkative: RunningGateway) -> None:
    answer = ask(talkative, "/bug")
    assert (answer.status, answer.headers["retry-after"]) == (503, "30")
    assert b"secret" not in answer.body
    check_guarded(answer)
    (fault,) = talkative.log("Fault")
    assert (fault["error"], fault["where"]) == ("ZeroDivisionError", "web /bug")
    assert "secret" not in json.dumps(talkative.log())
    answer = ask(talkative, "/later")
    assert (answer.status, answer.json()) == (503, {"detail": "磁盘已满 / disk full"})
    check_guarded(answer)


def test_a_complaint_is_shown_to_who_has_the_token(gateway: RunningGateway) -> None:
    number = gateway.app.accept(submission()).number
    eventually(lambda: gateway.app.records.whole(number))
    answer = ask(gateway, f"/api/v1/complaints/{number}", headers=token(gateway))
    assert answer.status == 200
    assert answer.json()["number"] == number
    check_guarded(answer)
    for strange in ("TS-1", "%00", "x%00y", "%ed%a0%80", "漏", "x" * 4000, "' OR 1=1 --", "%2e%2e", "<script>"):
        path = strange if strange.startswith("%") or "%00" in strange else quote(strange)
        assert ask(gateway, f"/api/v1/complaints/{path}", headers=token(gateway)).status == 404


def test_the_token_opens_what_operators_watch_also_through_a_proxy(gateway: RunningGateway) -> None:
    through = {"X-Forwarded-For": "10.0.0.1"} | token(gateway)
    assert b"jiesu_received" in ask(gateway, "/metrics", headers=through).body
    assert ask(gateway, "/readyz", headers=through).json() == {"store": True, "trained_model": True, "worker": True}


def test_the_chat_page_knows_the_setting_for_long_lines(tmp_path: Path) -> None:
    with RunningGateway(tmp_path, chat_max_line_chars=77) as gateway:
        assert b'data-max-line-chars="77"' in ask(gateway, "/chat").body


def test_without_the_chat_its_page_and_its_socket_are_closed(tmp_path: Path) -> None:
    with RunningGateway(tmp_path, chat_enabled="false") as gateway:
        assert ask(gateway, "/chat").status == 404
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        assert ask(gateway, "/ws/chat", headers=upgrade | {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}).status == 403


HEAD = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.mark.parametrize(
    ("first", "drip"),
    [
        (b"", b""),
        (b"", b"\r\n"),
        (HEAD, b"X: y\r\n"),
        (b"POST /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900\r\n\r\n", b"x"),
        (HEAD + b"\r\n", b"\r\n"),
        (HEAD + b"\r\n" + HEAD, b"X"),
    ],
    ids=["silent", "empty lines", "headers", "body", "second request", "second headers"],
)
def test_a_request_that_never_ends_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bytes, drip: bytes) -> None:
    monkeypatch.setattr(serve, "_LOOK_SECONDS", 0.2)
    monkeypatch.setattr(serve, "_REQUEST_SECONDS", 0.6)
    with RunningGateway(tmp_path) as gateway, socket.create_connection(address(gateway), timeout=0.05) as slow:
        slow.sendall(first)
        begun = time.monotonic()
        while True:
            assert time.monotonic() - begun < SECONDS
            try:
                slow.sendall(drip)
                if slow.recv(65_536) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        assert time.monotonic() - begun > 0.5


def test_a_client_that_never_reads_its_answers_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "_LOOK_SECONDS", 0.3)
    with RunningGateway(tmp_path) as gateway, socket.create_connection(address(gateway), timeout=SECONDS) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with pytest.raises(ConnectionError):
            for _ in range(100_000):
                deaf.sendall(b"GET /static/chat.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 100)


def test_the_gateway_stops_though_clients_hang_on(tmp_path: Path) -> None:
    with RunningGateway(tmp_path) as gateway, socket.create_connection(address(gateway), timeout=SECONDS) as hanging:
        hanging.sendall(HEAD)
        with socket.create_connection(address(gateway), timeout=SECONDS) as kept:
            kept.sendall(HEAD + b"\r\n")
            assert kept.recv(12) == b"HTTP/1.1 200"
            before = time.monotonic()
            gateway.stop()
            assert time.monotonic() - before < 8
