"""The web application: the chat and its page, the API, and what operators watch. It knows the App, and no SQL."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import anyio.to_thread
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connectors.web_chat import ChatDoor
from gateway.bootstrap import App
from gateway.store.complaints import Overtaken
from gateway.web import (
    answers_api,
    api,
    attachments,
    console,
    console_answers,
    console_callbacks,
    console_chat,
    console_door,
    console_handoff,
    console_learning,
    console_mailboxes,
    console_robots,
    console_view,
    customers_api,
    erasing_api,
    feed_api,
    learning_api,
    mailboxes_api,
    reviews,
    robots_api,
    status_api,
    transcripts_api,
)
from gateway.web import chat as chat_pages
from gateway.web.console_words import Say
from models.errors import Refused, TryLater
from models.staff import Scope as TokenScope

_HERE = Path(str(resources.files("gateway"))) / "web"

# Nothing but our own files, no inline script, no frame, nothing told to others, nothing kept by caches (threats: defaults that ship).
_HEADERS = {
    b"content-security-policy": (
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; "
        b"base-uri 'none'; frame-ancestors 'none'"
    ),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
    b"cross-origin-opener-policy": b"same-origin",
}


# What a proxy adds to a request that it passes on.
_PROXIED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


class Guard:
    """Before every request: a Host that is ours, a body that is not too large. After it: the headers above."""

    def __init__(self, app: ASGIApp, *, hosts: frozenset[str], max_body_bytes: int, larger: Mapping[str, int] | None = None) -> None:
        """larger: what may be larger, by the beginning of the path."""
        self._app, self._hosts, self._max, self._larger = app, hosts, max_body_bytes, dict(larger or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Plain ASGI, because it stands before everything, WebSockets included."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        # Two Hosts would let us and a proxy before us believe different ones (RFC 9112 3.2).
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or not self._host_is_ours(hosts[0]):
            await self._refuse(scope, receive, send, 400, "Host 不在 web.allowed_hosts 中 / this Host is not in web.allowed_hosts")
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        most = next((most for path, most in self._larger.items() if scope["path"].startswith(path)), self._max)
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > most:
            await self._refuse(scope, receive, send, 413, "请求体太大 / the body is too large")
            return
        if scope["method"] == "HEAD":
            # Asked as GET; the server leaves the body out (RFC 9110 9.3.2).
            scope = {**scope, "method": "GET"}
        await self._app(scope, self._counted(receive, most), _with_headers(send))

    def _host_is_ours(self, host: bytes) -> bool:
        name = host.decode("latin-1").lower()
        name = name.partition("]")[0].lstrip("[") if name.startswith("[") else name.partition(":")[0]
        return name in self._hosts

    @staticmethod
    def _counted(receive: Receive, most: int) -> Receive:
        """A chunked body has no length to look at beforehand."""
        so_far = 0

        async def counted() -> Message:
            nonlocal so_far
            message = await receive()
            so_far += len(message.get("body", b""))
            if so_far > most:
                raise HTTPException(413, "请求体太大 / the body is too large")
            return message

        return counted

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, status: int, detail: str) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        await JSONResponse({"detail": detail}, status)(scope, receive, _with_headers(send))


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *((k, v) for k, v in _HEADERS.items() if k not in present)]
        await send(message)

    return sending


def create(app: App, chat: ChatDoor | None, *, alive: Callable[[], bool] = lambda: True) -> Guard:
    """The web application of a gateway. `alive` tells whether the worker's threads run."""
    web = FastAPI(title="接诉 jiesu", version="1", docs_url=None, redoc_url=None, openapi_url=None)
    pages = Environment(loader=FileSystemLoader(_HERE / "templates"), autoescape=True, trim_blocks=True)
    pages.globals |= {"percent": console_view.percent, "plain": console_view.plain}
    pages.globals |= {"caution_of": console_view.caution_of, "kind_of": console_view.kind_of, "may_be_shown": attachments.may_be_shown}
    door = console_door.Door(app, pages)
    web.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")

    def has_token(request: Request) -> bool:
        return hmac.compare_digest(api.token_of(request).encode("utf-8", "replace"), app.api_token.encode())

    async def asked_from_here(request: Request) -> None:
        """Operators' figures go to this machine only, and never through a proxy, unless the API token is shown."""
        if has_token(request):
            return
        here = request.client is not None and _is_loopback(request.client.host)
        if not here or any(name in request.headers for name in _PROXIED):
            raise HTTPException(403, "只在本机开放，或请出示令牌 / open to this machine only, or show the token")

    @web.exception_handler(TryLater)
    async def our_fault(request: Request, error: TryLater) -> Response:
        if console_door.is_console(request):
            return door.wrong(request, 503, Say(door.language(request)).either(error.zh, error.en), retry_after=5)
        return JSONResponse({"detail": f"{error.zh} / {error.en}"}, 503, {"Retry-After": "5"})

    @web.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        if console_door.is_console(request):
            return door.wrong(request, reviews.status_of(error), Say(door.language(request)).either(error.zh, error.en))
        return reviews.refused(error)

    @web.exception_handler(Overtaken)
    async def overtaken(request: Request, error: Overtaken) -> Response:
        if console_door.is_console(request):
            return door.wrong(request, 409, Say(door.language(request)).either(error.zh, error.en))
        return reviews.overtaken(error)

    @web.exception_handler(Exception)
    async def bug(request: Request, error: Exception) -> Response:
        app.log.fault(f"web {request.scope.get('route') and request.scope['route'].path}", error)
        if console_door.is_console(request):
            return door.wrong(request, 503, Say(door.language(request))("wrong.fault"), retry_after=30)
        return JSONResponse({"detail": "内部错误，请稍后再试 / a fault of ours, try again later"}, 503, {"Retry-After": "30"})

    @web.get("/", include_in_schema=False)
    async def front() -> Response:
        return RedirectResponse("/chat")

    web.include_router(chat_pages.routes(app, chat, pages, _HERE / "static"))

    @web.get("/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @web.get("/readyz", dependencies=[Depends(asked_from_here)], include_in_schema=False)
    async def readyz() -> Response:
        checks: dict[str, Callable[[], bool]] = {
            "store": lambda: app.records.jobs(app.clock.now()) is not None,
            "trained_model": lambda: bool(app.champion.classifier()),
            "worker": alive,
        }
        found = {name: await anyio.to_thread.run_sync(_holds, check) for name, check in checks.items()}
        return JSONResponse(found, 200 if all(found.values()) else 503)

    @web.get("/metrics", dependencies=[Depends(asked_from_here)], include_in_schema=False)
    async def metrics() -> Response:
        text = await anyio.to_thread.run_sync(app.metrics.text)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    @web.get(
        "/api/v1/complaints/{number}",
        dependencies=[Depends(api.needs(app, TokenScope.COMPLAINTS_READ))],
        summary="一件投诉及其全部经过。 A complaint with everything.",
    )
    async def complaint(number: str) -> dict[str, Any]:
        # A number is of plain letters; PostgreSQL cannot even be asked for one with NUL in it.
        whole = await anyio.to_thread.run_sync(app.records.whole, number) if number.isascii() and number.isprintable() else None
        if whole is None:
            raise HTTPException(404, f"没有编号为 {number[:40]} 的投诉 / there is no complaint {number[:40]}")
        return whole

    @web.get("/api/v1/openapi.json", dependencies=[Depends(api.needs(app))], include_in_schema=False)
    async def openapi() -> Response:
        return api.document(web)

    searching = learning_api.Searching(lambda: app.examples.suspicious(200))
    web.include_router(customers_api.router(app))
    web.include_router(reviews.router(app))
    web.include_router(answers_api.router(app))
    web.include_router(erasing_api.router(app))
    web.include_router(attachments.router(app))
    web.include_router(transcripts_api.router(app))
    web.include_router(learning_api.router(app, searching))
    web.include_router(mailboxes_api.router(app))
    web.include_router(robots_api.router(app))
    web.include_router(feed_api.router(app))
    web.include_router(status_api.router(app))
    console_door.install(web, door)
    web.include_router(console_door.routes(app, door))
    desk_pages, complaint_page = console.routes(app, door)
    web.include_router(desk_pages)
    web.include_router(console_answers.routes(app, door, complaint_page))
    web.include_router(console_callbacks.routes(app, door))
    web.include_router(attachments.routes(app, door))
    web.include_router(console_chat.routes(app, door, chat))
    web.include_router(console_learning.routes(app, door, searching))
    web.include_router(console_mailboxes.routes(app, door))
    web.include_router(console_handoff.routes(app, door))
    web.include_router(console_robots.routes(app, door))
    web.include_router(erasing_api.routes(app, door))

    @web.get("/console/{rest:path}", include_in_schema=False)
    async def no_such_page(rest: str, request: Request) -> Response:
        # Nobody who is not signed in learns which pages there are.
        await door.enter(request)
        raise console_door.Wrong(404, "wrong.not_found")

    hosts = frozenset({*(host.lower() for host in app.settings.web.allowed_hosts), app.settings.web.host.lower()})
    # Around everything, the answers to our own faults included, which the framework gives outside all of its middleware.
    larger = {
        transcripts_api.PATH: transcripts_api.most_bytes(app),
        chat_pages.UPLOADS: max(app.settings.chat.max_upload_bytes, app.settings.web.max_body_bytes),
    }
    return Guard(web, hosts=hosts, max_body_bytes=app.settings.web.max_body_bytes, larger=larger)


def _holds(check: Callable[[], bool]) -> bool:
    try:
        return bool(check())
    except Exception:
        return False


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
