"""The hand-off by Standard Webhooks 1.0.0, sent over real sockets and judged by the specification's own library."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from standardwebhooks.webhooks import Webhook

from gateway import home, http_client, public_addresses, tracker
from gateway.clock import SystemClock
from gateway.tracker import WebhookSender, sign
from models.delivery import OutcomeCode, Outgoing
from models.errors import BadSetting

SECRET = home.webhook_secret()


class Receiver(ThreadingHTTPServer):
    """Answers by the path: /200, /302, /410, /429?, /hang; and remembers what it was sent."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.release = threading.Event()
        super().__init__(("127.0.0.1", 0), Answer)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        what = self.path.strip("/")
        if what == "hang":
            self.server.release.wait(20)
            return
        if what == "drop":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        if what.startswith("wordless"):
            _, kind, status = what.split("-")
            # Words are announced and never come; or the connection breaks after the first.
            self.send_response(int(status))
            self.send_header("retry-after", "9")
            self.send_header("content-length", "1000")
            self.end_headers()
            if kind == "held":
                self.server.release.wait(20)
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        status, _, wait = what.partition("-")
        self.send_response(int(status))
        if wait:
            self.send_header("retry-after", wait)
        if status == "302":
            self.send_header("location", f"{self.server.url}/200")
        answer = b"" if status == "204" else "好".encode() * 1000
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.release.set()
        server.shutdown()
        thread.join(10)


@pytest.fixture
def sender() -> Iterator[WebhookSender]:
    made = WebhookSender(SystemClock(), allow_private_hosts=["127.0.0.1"], timeout_seconds=1, concurrency=8)
    yield made
    made.close()


def outgoing(url: str, body: object = None, webhook_id: str = "evt_1_main") -> Outgoing:
    return Outgoing(webhook_id, url, SECRET, json.dumps(body or {"type": "complaint.routed"}, ensure_ascii=False).encode())


def test_what_we_send_is_verified_by_the_specifications_library(receiver: Receiver, sender: WebhookSender) -> None:
    body = {"type": "complaint.routed", "timestamp": "2026-11-23T01:00:00Z", "data": {"title": "漏水"}}
    (outcome,) = sender.send([outgoing(f"{receiver.url}/200", body)])
    assert outcome.code is OutcomeCode.ACCEPTED
    ((_, headers, raw),) = receiver.got
    assert Webhook(SECRET).verify(raw.decode(), headers) == body
    assert headers["webhook-id"] == "evt_1_main"


def test_a_signature_is_over_id_time_and_body(receiver: Receiver) -> None:
    good = sign(SECRET, "id", 1, b"body")
    assert good.startswith("v1,")
    assert len({good, sign(SECRET, "id2", 1, b"body"), sign(SECRET, "id", 2, b"body"), sign(SECRET, "id", 1, b"bodz")}) == 4


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("204", OutcomeCode.ACCEPTED),
        ("302", OutcomeCode.REDIRECTED),
        ("400", OutcomeCode.CLIENT_ERROR),
        ("401", OutcomeCode.CLIENT_ERROR),
        ("410", OutcomeCode.GONE),
        ("429-7", OutcomeCode.THROTTLED),
        ("500", OutcomeCode.SERVER_ERROR),
        ("503", OutcomeCode.THROTTLED),
        ("hang", OutcomeCode.TIMEOUT),
        ("drop", OutcomeCode.UNREACHABLE),
    ],
)
def test_every_answer_has_its_outcome(receiver: Receiver, sender: WebhookSender, path: str, code: OutcomeCode) -> None:
    (outcome,) = sender.send([outgoing(f"{receiver.url}/{path}")])
    assert outcome.code is code
    assert outcome.retry_after == (timedelta(seconds=7) if path == "429-7" else None)
    assert len(outcome.answer) <= 500
    # A redirect is not followed.
    assert [p for p, _, _ in receiver.got] == [f"/{path}"]


@pytest.mark.parametrize("kind", ["held", "broken"])
@pytest.mark.parametrize(("status", "code"), [(200, OutcomeCode.ACCEPTED), (429, OutcomeCode.THROTTLED), (500, OutcomeCode.SERVER_ERROR)])
def test_a_status_that_came_counts_though_its_words_never_do(
    receiver: Receiver, sender: WebhookSender, kind: str, status: int, code: OutcomeCode
) -> None:
    (outcome,) = sender.send([outgoing(f"{receiver.url}/wordless-{kind}-{status}")])
    assert (outcome.code, outcome.status, outcome.answer) == (code, status, "")
    assert outcome.retry_after == timedelta(seconds=9)
    # The time of a try is not spent on words.
    assert outcome.seconds < 0.9


def test_nobody_there_is_unreachable_and_told_apart(sender: WebhookSender) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/x"
        (outcome,) = sender.send([outgoing(url)])
        assert outcome.code is OutcomeCode.AWAY
        assert not sender.reachable(url)


def test_many_are_sent_at_once_and_answered_in_order(receiver: Receiver, sender: WebhookSender) -> None:
    paths = ["200", "500", "hang", "410", "200"] * 3
    outcomes = sender.send([outgoing(f"{receiver.url}/{path}", webhook_id=f"e{n}") for n, path in enumerate(paths)])
    codes = {"200": OutcomeCode.ACCEPTED, "500": OutcomeCode.SERVER_ERROR, "hang": OutcomeCode.TIMEOUT, "410": OutcomeCode.GONE}
    assert [outcome.code for outcome in outcomes] == [codes[path] for path in paths]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/200",
        "http://localhost:{port}/200",
        "http://[::1]:{port}/200",
        "http://[::ffff:127.0.0.1]:{port}/200",
        "http://0.0.0.0:{port}/200",
        "http://2130706433:{port}/200",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1:1/",
        "http://192.168.1.1:1/",
    ],
)
def test_a_private_address_is_refused_unless_it_is_allowed_by_name(receiver: Receiver, url: str) -> None:
    made = WebhookSender(SystemClock(), allow_private_hosts=["tracker.example"], timeout_seconds=1, concurrency=1)
    try:
        (outcome,) = made.send([outgoing(url.format(port=receiver.server_address[1]))])
    finally:
        made.close()
    assert outcome.code in (OutcomeCode.FORBIDDEN_ADDRESS, OutcomeCode.AWAY, OutcomeCode.UNREACHABLE)
    assert receiver.got == []


def test_loopback_by_its_number_is_told_as_forbidden(receiver: Receiver) -> None:
    made = WebhookSender(SystemClock(), allow_private_hosts=[], timeout_seconds=1, concurrency=1)
    try:
        (outcome,) = made.send([outgoing(f"{receiver.url}/200")])
    finally:
        made.close()
    assert outcome.code is OutcomeCode.FORBIDDEN_ADDRESS


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!!", "plain", "whsec_" + base64.b64encode(b"x" * 65).decode()])
def test_a_secret_that_is_none_is_named(secret: str) -> None:
    with pytest.raises(BadSetting, match=r"tracker\.secret"):
        tracker.secret_bytes(secret)


@pytest.mark.parametrize(
    ("value", "seconds"), [("5", 5), ("-5", 0), ("999999999", 86400), ("soon", None), ("", None), ("1e400", None), ("9" * 400, None)]
)
def test_retry_after_is_read_with_suspicion(value: str, seconds: int | None) -> None:
    found = http_client._retry_after(value, SystemClock().now())
    assert found == (None if seconds is None else timedelta(seconds=seconds))


def test_retry_after_may_be_a_date() -> None:
    now = SystemClock().now().replace(microsecond=0)
    later = (now + timedelta(minutes=5)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert http_client._retry_after(later, now) == timedelta(minutes=5)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("64:ff9b::808:808", True),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("::ffff:10.0.0.1", False),
        ("::127.0.0.1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b:1::1", False),
        ("2002:7f00:1::", False),
        ("fec0::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
    ],
)
def test_what_counts_as_public(address: str, public: bool) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    found = (family, socket.SOCK_STREAM, 6, "", (address, 80))
    if public:
        public_addresses.open_if_public(found).close()
    else:
        with pytest.raises(OSError, match="not public"):
            public_addresses.open_if_public(found)
