"""The real door of the chat and the real page before a store in memory, so that a test can lose an acknowledgement or stop the server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from jinja2 import Environment, FileSystemLoader
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

import gateway
from connectors.base import Line, Standing
from connectors.web_chat import ChatDoor, ChatOptions, read_line
from models.errors import TryLater
from models.submission import Receipt, Submission

WEB = Path(gateway.__path__[0]) / "web"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


@dataclass
class House:
    """A gateway that has nothing but the chat. `start` after `stop` takes the same port and remembers everything."""

    taken: dict[str, Submission] = field(default_factory=dict)
    offered: int = 0
    numbers: dict[str, str] = field(default_factory=dict)
    standing_of: Callable[[str], Standing | None] = lambda number: None
    # So many acceptances are committed and then not told, as when the answer is lost on its way.
    lose: int = 0
    options: ChatOptions = field(default_factory=ChatOptions)
    port: int = 0
    _server: uvicorn.Server | None = None
    _thread: threading.Thread | None = None

    def accept(self, submission: Submission) -> Receipt:
        self.offered += 1
        conversation = submission.conversation or ""
        number = self.numbers.setdefault(conversation, f"TS-20261123-{42 + len(self.numbers):04}")
        duplicate = submission.source_key in self.taken
        self.taken.setdefault(submission.source_key, submission)
        if self.lose:
            self.lose -= 1
            raise TryLater("lost", "丢了", "lost")
        return Receipt(len(self.taken), number, duplicate)

    def lines(self, conversation: str) -> Sequence[Line]:
        kept = [one for one in self.taken.values() if one.conversation == conversation]
        return [Line(read_line(one.raw)["id"], read_line(one.raw)["text"], one.received_at) for one in kept]

    def standing(self, conversation: str) -> Standing | None:
        return self.standing_of(self.numbers[conversation]) if conversation in self.numbers else None

    def said(self) -> list[str]:
        """What arrived, in order."""
        return [read_line(one.raw)["text"] for one in self.taken.values()]

    def start(self) -> None:
        door = ChatDoor(self.accept, self, lambda: datetime.now(UTC), self.options)
        pages = Environment(loader=FileSystemLoader(WEB / "templates"), autoescape=True)

        async def page(request: Request) -> HTMLResponse:
            lang = request.query_params.get("lang", "zh")
            return HTMLResponse(pages.get_template("chat.html").render(lang=lang), headers={"Content-Security-Policy": CSP})

        async def socket(websocket: WebSocket) -> None:
            await door.serve(websocket)

        static = Mount("/static", StaticFiles(directory=WEB / "static"))
        app = Starlette(routes=[Route("/chat", page), WebSocketRoute("/ws/chat", socket), static])
        config = uvicorn.Config(
            app, port=self.port, log_config=None, access_log=False, lifespan="off", ws="websockets-sansio", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        listening = config.bind_socket()
        self.port = listening.getsockname()[1]
        self._thread = threading.Thread(target=self._server.run, args=([listening],), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        assert self._server
        assert self._thread
        self._server.should_exit = True
        self._thread.join(15)
        assert not self._thread.is_alive()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/chat"
