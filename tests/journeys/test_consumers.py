"""Consumers as others would write them verify what a real gateway sends: the Python of the page as it stands there, and one in Node."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from console_house import complain
from fakes import eventually
from running import RunningGateway
from standardwebhooks.webhooks import Webhook

from gateway import home, plan
from gateway.clock import SystemClock
from gateway.erasing import Reason
from gateway.statuses import read_report
from gateway.store.deliveries import Wanted
from gateway.tracker import WebhookSender
from models.complaint import ComplaintState

DOCS = Path(__file__).parents[2] / "docs"
SECRET = home.webhook_secret()
HOW_TO_INSTALL = "apt-get install -y nodejs npm"


def sender() -> WebhookSender:
    return WebhookSender(SystemClock(), allow_private_hosts=["127.0.0.1"], timeout_seconds=5, concurrency=4)


def documented() -> str:
    """The Python of the page."""
    found = re.search(r"```python\n(.*?)```", (DOCS / "events.md").read_text("utf-8"), re.DOTALL)
    assert found
    return found[1]


def consumer() -> dict[str, Any]:
    """The consumer of the page."""
    lines = [line for line in documented().splitlines() if line.strip()]
    assert len(lines) <= 20
    made: dict[str, Any] = {}
    exec(compile(documented(), "events.md", "exec"), made)  # noqa: S102 - it is ours, and this is what is tested
    return made


@contextmanager
def served(made: dict[str, Any]) -> Iterator[str]:
    """It at an address. Headers are handed over as they came, and nothing that it raises is caught."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            try:
                status = made["receive"](SECRET, body, dict(self.headers.items()))
            except Exception:
                status = 500
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def told_to(url: str, home: Path) -> RunningGateway:
    """A gateway that tells everything, and whose plan closes what is resolved."""
    shipped = (Path(plan.__file__).parent / "plan.toml").read_text("utf-8")
    (home / "plan.toml").write_text(shipped + '\n[closing]\nat_once = ["resolved"]\n', "utf-8")
    return RunningGateway(home, sender=sender(), tracker_url=url, tracker_secret=SECRET, tracker_types="*")


def resolve(gateway: RunningGateway, number: str) -> None:
    """What a tracker says when the handling is at its end."""
    said = {"type": "complaint.status", "data": {"number": number, "status": "resolved"}}
    taken = gateway.app.statuses.take(read_report("tracker", f"of-{number}", SystemClock().now(), said))
    assert taken.state is ComplaintState.CLOSED


def signed(body: bytes, **changed: str) -> dict[str, str]:
    """Headers, spelt as Flask hands them over."""
    now = SystemClock().now()
    headers = {"Webhook-Id": "evt_1", "Webhook-Timestamp": str(int(now.timestamp()))}
    return headers | {"Webhook-Signature": Webhook(SECRET).sign("evt_1", now, body.decode()), "Content-Type": "application/json"} | changed


# What is no signature of ours: spelt so that no library can read it, of another version, of another text, and none at all.
NO_SIGNATURES = ("v1", "v1,?", "v1,a,b", "nonsense nonsense", "v2,abcd", "v1,abcd", "")


def test_the_lines_of_the_page_are_a_consumer(tmp_path: Path) -> None:
    made = consumer()
    with served(made) as url, told_to(url, tmp_path) as gateway:
        number = complain(gateway, "价格问题", "退还差价")
        eventually(lambda: len(made["seen"]) == 3)
        ((key, ticket),) = made["tickets"].items()
        assert key.endswith(f":{number}")
        assert (ticket["class"], ticket["title"], ticket["status"]) == ("price", "退还差价", "open")
        resolve(gateway, number)
        eventually(lambda: len(made["seen"]) == 4)
        # The ticket is whole, and only its status has changed.
        assert made["tickets"][key] == {**ticket, "status": "closed"}
        # The same once more, out of order, changes nothing.
        assert gateway.app.redelivery.all_of(Wanted(number=number), by="王静") == 4
        eventually(lambda: gateway.app.redelivery.states()[0].waiting.waiting == 0)
        assert made["tickets"][key] == {**ticket, "status": "closed"}
        gateway.app.erasing.erase(number, reason=Reason.PERSON_ASKED, by="王静")
        eventually(lambda: len(made["seen"]) == 5)
        assert made["tickets"] == {}
        assert gateway.app.endpoints.test("tracker").status == 200
        assert {line["code"] for line in gateway.log("DeliveryAttempt")} == {"accepted"}


def test_the_lines_of_the_page_refuse_what_is_not_signed_and_take_headers_as_frameworks_spell_them() -> None:
    made, body = consumer(), b'{"type": "complaint.routed", "data": {"idempotency_key": "a:1", "number": "1"}}'
    for signature in NO_SIGNATURES:
        assert made["receive"](SECRET, body, signed(body, **{"Webhook-Signature": signature})) == 401
    assert made["receive"](SECRET, body, signed(body, **{"Webhook-Timestamp": "yesterday"})) == 401
    assert made["receive"](SECRET, b"\xff", signed(body)) == 401
    assert made["receive"](SECRET, body, {}) == 401
    assert made["tickets"] == {}
    assert made["receive"](SECRET, body, signed(body)) == 200
    assert made["tickets"]["a:1"]["status"] == "open"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example and the official package beside it."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip(f"no Node here; install it with: {HOW_TO_INSTALL}")
    folder = tmp_path_factory.mktemp("node")
    for name in ("consumer.mjs", "package.json", "package-lock.json"):
        shutil.copy(DOCS / "examples" / name, folder)
    command = ["npm", "ci", "--omit=dev", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=90)
    if done.returncode and os.environ.get("NOTHING_MAY_BE_SKIPPED") is None:
        pytest.skip("the official package cannot be had here: npm ci")
    assert done.returncode == 0, done.stderr
    return folder


def test_the_official_package_of_node_verifies_our_events(node: Path, tmp_path: Path) -> None:
    environment = os.environ | {"JIESU_SECRET": SECRET}
    command = ["node", "consumer.mjs", "0"]
    with subprocess.Popen(command, cwd=node, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            heard = program.stdout
            url = f"http://127.0.0.1:{json.loads(heard.readline())['port']}/"
            with told_to(url, tmp_path) as gateway:
                number = complain(gateway, "价格问题，漏水", "退还差价")
                told = [json.loads(heard.readline()) for _ in range(3)]
                assert [one["type"].partition(".")[2] for one in told] == ["received", "classified", "routed"]
                assert {one["number"] for one in told} == {number}
                assert [one["tickets"] for one in told] == [0, 0, 1]
                assert (told[-1]["title"], told[-1]["status"]) == ("退还差价", "open")
                resolve(gateway, number)
                closed = json.loads(heard.readline())
                assert (closed["type"], closed["title"], closed["status"]) == ("complaint.closed", "退还差价", "closed")
                gateway.app.erasing.erase(number, reason=Reason.PERSON_ASKED, by="王静")
                erased = json.loads(heard.readline())
                assert (erased["type"], erased["tickets"]) == ("complaint.erased", 0)
            # What is not truly signed it refuses, and takes headers as they are spelt elsewhere.
            body = b'{"type": "complaint.routed", "data": {"idempotency_key": "a:1", "number": "1"}}'
            for signature in NO_SIGNATURES:
                assert answer_of(url, body, signed(body, **{"Webhook-Signature": signature})) == 401
            assert answer_of(url, body, signed(body)) == 200
            assert json.loads(heard.readline())["tickets"] == 1
        finally:
            program.kill()


def answer_of(url: str, body: bytes, headers: dict[str, str]) -> int:
    """The status that a POST is answered with."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
