"""Sample complaints, and the real clients that send them through the real doors: SMTP, WebSocket, a file moved into the drop folder."""

from __future__ import annotations

import json
import smtplib
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from email import message_from_bytes
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

from websockets.sync.client import connect

from models.errors import TryLater

_HERE = Path(str(resources.files("gateway"))) / "samples"
_PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Doors:
    """Where the gateway takes complaints in."""

    smtp: tuple[str, int] | None
    web: str | None
    drop: Path | None


@dataclass(frozen=True, slots=True)
class Sent:
    """A sample that was acknowledged, with the number it was given."""

    name: str
    number: str


def count() -> int:
    """How many samples ship."""
    return len(_files("mails", ".eml")) + len(_files("chats", ".json")) + len(_files("calls", ""))


def send(doors: Doors) -> Iterator[Sent]:
    """Sends every sample, one after another. Raises `TryLater` when a door does not answer."""
    if doors.smtp:
        yield from _send_mails(*doors.smtp)
    if doors.web:
        for path in _files("chats", ".json"):
            yield Sent(path.name, _chat(doors.web, json.loads(path.read_text("utf-8"))))
    if doors.drop:
        yield from _drop_calls(doors.drop)


def _files(folder: str, ending: str) -> list[Path]:
    return sorted(path for path in (_HERE / folder).iterdir() if path.name.endswith(ending) and not path.name.startswith(("_", ".")))


def _send_mails(host: str, port: int) -> Iterator[Sent]:
    try:
        # `smtplib`'s own `with` says QUIT and takes the answer to the command before for a refusal: a Ctrl-C would come out as an error.
        with closing(smtplib.SMTP(host, port, timeout=30)) as client:
            for path in _files("mails", ".eml"):
                raw = path.read_bytes()
                sender = message_from_bytes(raw)["From"].partition("<")[2].rstrip(">")
                client.ehlo_or_helo_if_needed()
                client.mail(sender)
                client.rcpt("tousu@jiesu.example")
                code, answer = client.data(raw)
                if code != 250:
                    raise TryLater("sample_refused", f"邮件入口答复 {code}", f"the door for mail answered {code}")
                yield Sent(path.name, answer.decode().split()[-1])
            client.quit()
    except (OSError, smtplib.SMTPException) as error:
        raise TryLater("no_smtp", f"邮件入口 {host}:{port} 没有应答", f"the door for mail at {host}:{port} does not answer") from error


def _chat(web: str, lines: list[str]) -> str:
    """One chat; every line is sent when the one before was ticked."""
    parts = urlsplit(web)
    url = f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}/ws/chat"
    number = ""
    try:
        with connect(url, open_timeout=30, proxy=None) as socket:
            socket.send(json.dumps({"type": "hello"}))
            for line in lines:
                client_id = uuid.uuid4().hex
                socket.send(json.dumps({"type": "message", "id": client_id, "text": line}))
                while True:
                    told = json.loads(socket.recv(timeout=30))
                    if told.get("id") == client_id:
                        if told["type"] != "ack":
                            raise TryLater("sample_refused", f"对话入口答复 {told.get('zh')}", f"the chat answered {told.get('en')}")
                        number = told["number"]
                        break
    except (OSError, TimeoutError) as error:
        raise TryLater("no_chat", f"对话入口 {url} 没有应答", f"the chat at {url} does not answer") from error
    return number


def _drop_calls(drop: Path) -> Iterator[Sent]:
    """Moves each file in whole, as a call centre's recording platform should, and waits until it stands in done/ under its number."""
    for path in _files("calls", ""):
        unfinished = drop / f"{path.name}.part"
        unfinished.write_bytes(path.read_bytes())
        unfinished.rename(drop / path.name)
    for path in _files("calls", ""):
        yield Sent(path.name, _number_in_done(drop, path.name))


def _number_in_done(drop: Path, name: str) -> str:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for done in drop.glob(f"done/*/TS-*-{name}"):
            return "-".join(done.name.split("-")[:3])
        time.sleep(0.1)
    raise TryLater("not_taken", f"{name} 在 {_PATIENCE_SECONDS} 秒内没有被收走", f"{name} was not taken within {_PATIENCE_SECONDS} seconds")
