"""One page's connection to the chat, for tests of its protocol."""

from __future__ import annotations

import json
from typing import Any

from running import RunningGateway
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

SECONDS = 20


class Chat:
    """One page's connection."""

    def __init__(self, gateway: RunningGateway, **options: Any) -> None:
        address = gateway.web.replace("http", "ws") + "/ws/chat"
        self._opening = connect(address, open_timeout=SECONDS, close_timeout=2, compression=None, **options)

    def __enter__(self) -> Chat:
        self.socket: ClientConnection = self._opening.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._opening.__exit__(*error)

    def say(self, event: object) -> None:
        self.socket.send(event if isinstance(event, str | bytes) else json.dumps(event))

    def hear(self) -> dict[str, Any]:
        return json.loads(self.socket.recv(timeout=SECONDS))

    def ask(self, event: object) -> dict[str, Any]:
        """What is answered to the event; what the machine says and other news come in between and are left out."""
        self.say(event)
        return self.until("welcome", "ack", "error")

    def until(self, *kinds: str) -> dict[str, Any]:
        """The next event of one of these kinds."""
        while (answer := self.hear())["type"] not in kinds:
            pass
        return answer

    def hello(self, token: str | None = None) -> dict[str, Any]:
        return self.ask({"type": "hello"} | ({"token": token} if token else {}))

    def line(self, client_id: str, text: str) -> dict[str, Any]:
        return self.ask({"type": "message", "id": client_id, "text": text})

    def close_code(self) -> int:
        """Reads on until the gateway ends the connection."""
        try:
            while True:
                self.socket.recv(timeout=SECONDS)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006
