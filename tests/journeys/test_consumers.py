"""Consumers as others would write them verify what a real gateway sends: the Python of the page as it stands there, and one in Node."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from console_house import complain
from fakes import eventually
from running import RunningGateway

from gateway import home
from gateway.clock import SystemClock
from gateway.tracker import WebhookSender

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


def test_the_ten_lines_of_the_page_are_a_consumer(tmp_path: Path) -> None:
    lines = [line for line in documented().splitlines() if line.strip()]
    assert len(lines) <= 10
    consumer: dict[str, Any] = {}
    exec(compile(documented(), "events.md", "exec"), consumer)  # noqa: S102 - it is ours, and this is what is tested
    refused: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                status = consumer["receive"](SECRET, body, headers)
            except Exception as error:
                refused.append(type(error).__name__)
                status = 401
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        with RunningGateway(tmp_path, sender=sender(), tracker_url=url, tracker_secret=SECRET, tracker_types="*") as gateway:
            number = complain(gateway, "价格问题")
            eventually(lambda: len(consumer["seen"]) == 3)
            assert gateway.app.endpoints.test("tracker").status == 200
        server.shutdown()
    assert refused == []
    ((key, ticket),) = consumer["tickets"].items()
    assert key.endswith(f":{number}")
    assert ticket["class"] == "price"


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
            url = f"http://127.0.0.1:{json.loads(program.stdout.readline())['port']}/"
            with RunningGateway(tmp_path, sender=sender(), tracker_url=url, tracker_secret=SECRET, tracker_types="*") as gateway:
                number = complain(gateway, "价格问题，漏水")
                told = [json.loads(program.stdout.readline()) for _ in range(3)]
                assert [one["type"].partition(".")[2] for one in told] == ["received", "classified", "routed"]
                assert {one["number"] for one in told} == {number}
                assert told[-1]["tickets"] == 1
                # And what is not truly signed it refuses.
                forged = WebhookSender(SystemClock(), allow_private_hosts=["127.0.0.1"], timeout_seconds=5, concurrency=1)
                from models.delivery import Outgoing

                (outcome,) = forged.send([Outgoing("evt_x", url, home.webhook_secret(), b"{}")])
                forged.close()
                assert outcome.status == 401
        finally:
            program.kill()
