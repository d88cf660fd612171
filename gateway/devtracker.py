"""The development tracker: a small tracking system of its own, so that people and tests have a real counterpart to hand tickets to.

It verifies signatures by itself, has every event on disk before it says so, shows the tickets on a page and as JSON, and can be told to
fail. It listens on loopback only. What it knows is in `gateway/devtracker_tickets.py`.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import json
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import uvicorn
from jinja2 import Environment, FileSystemLoader
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.devtracker_tickets import MODES, EventLog, Tickets, is_test, read_event, read_failing, row, secret_key, verify
from models.errors import BadSetting, JiesuError, Refused, TryLater, Unreadable

_WEB = Path(str(resources.files("gateway"))) / "web"
_BODY_BYTES, _BODY_SECONDS = 1_048_576, 30
# So many tickets are on the page; all are in the JSON.
_SHOWN = 100
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_Answer = Callable[[Request], Awaitable[Response]]
_FALSE = (Refused, 401), (Unreadable, 400), (TryLater, 503)


class _Guard:
    """Before every request: a Host that is ours, so that no other site's name leads here. After it: the headers above."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS]
            await send(message)

        host = Headers(scope=scope).get("host", "").lower()
        name = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
        if name in self._hosts:
            await self._app(scope, receive, sending)
        else:
            await _said(400, "Host 不是本机", "this Host is not ours")(scope, receive, sending)


def _json(value: object, status: int = 200, **headers: str) -> Response:
    """JSON in ASCII, because a ticket may carry half a surrogate pair, which UTF-8 cannot say."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(json.dumps(value, indent=1) + "\n", status, named, "application/json")


def _said(status: int, zh: str, en: str, **headers: str) -> Response:
    return _json({"detail": f"{zh} / {en}"}, status, **headers)


def _wrong(error: JiesuError) -> Response:
    status = next(status for kind, status in _FALSE if isinstance(error, kind))
    return _json({"code": error.code, "detail": f"{error.zh} / {error.en}"}, status)


async def _body(request: Request) -> bytes | Response:
    """The body, or the answer to one that is too large or too slow."""
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > _BODY_BYTES:
                    return _said(413, "请求体太大", "the body is too large", connection="close")
    except TimeoutError:
        return _said(408, "请求太慢", "the request is too slow", connection="close")
    except ClientDisconnect:
        return Response(status_code=400)
    return bytes(body)


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("not_utf8", "不是 UTF-8", "is not UTF-8") from None


def _language(request: Request) -> str:
    asked = request.query_params.get("lang")
    if asked in ("zh", "en"):
        return asked
    return "en" if request.headers.get("accept-language", "zh").lower().startswith("en") else "zh"


def create_app(
    secret: str,
    folder: Path,
    page_token: str,
    *,
    host: str = "127.0.0.1",
    now: Callable[[], float] = time.time,
    cut: Callable[[Request], None] | None = None,
) -> Starlette:
    """The tracker as a web application. Raises `BadSetting` when the secret or the folder will not do.

    page_token: shows the page and the JSON, which hold personal data; events need only their signature.
    now:        tells the time, in seconds since 1970.
    cut:        breaks the connection of a request, for the modes `lose` and `hang`; given by `Server`.
    """
    if not page_token:
        raise BadSetting("page_token", "不能为空", "must not be empty")
    key, tickets = secret_key(secret), Tickets(EventLog(folder))
    hanging: set[tuple[str, int]] = set()
    pages = Environment(loader=FileSystemLoader(_WEB / "templates"), autoescape=True)
    # The cookie says that the token is known, and does not tell it: a browser sends it to every port of this host.
    proof = hashlib.sha256(b"jiesu tracker page " + page_token.encode()).hexdigest()

    def at() -> str:
        return datetime.fromtimestamp(now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def cookie_name(request: Request) -> str:
        return f"jiesu_tracker_{request.url.port or 80}"

    def may_look(request: Request) -> bool:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return hmac.compare_digest(given.strip().encode(), page_token.encode())
        return hmac.compare_digest(request.cookies.get(cookie_name(request), "").encode(), proof.encode())

    def looking(answer: _Answer) -> _Answer:
        async def checked(request: Request) -> Response:
            if not may_look(request):
                zh = "需要页面令牌：请打开 jiesu tracker 启动时给出的网址，或用 Authorization: Bearer"
                en = "the page token is needed: open the address that jiesu tracker printed, or send Authorization: Bearer"
                return _said(401, zh, en, www_authenticate="Bearer")
            return await answer(request)

        return checked

    async def take_event(request: Request) -> Response:
        body = await _body(request)
        if isinstance(body, Response):
            return body
        try:
            webhook_id = verify(key, request.headers, body, now())
            mode, wait = tickets.failing.next()
            if mode not in ("ok", "lose"):
                return await fail(request, mode, wait)
            text = _text(body)
            if is_test(text):
                return _json({"kept": False, "repeated": False})
            read_event(text)
            new = await tickets.keep(webhook_id, at(), text)
        except (Refused, Unreadable, TryLater) as error:
            return _wrong(error)
        if mode == "lose":
            return await lose(request)
        return _json({"kept": new, "repeated": not new})

    async def fail(request: Request, mode: str, wait: float | None) -> Response:
        if mode == "hang":
            hanging.add(request.scope["client"])
            await _gone(request)
            hanging.discard(request.scope["client"])
            return Response(status_code=400)
        headers = {} if wait is None else {"retry_after": f"{wait:g}"}
        if mode == "302":
            # A sender that follows it lands on a 200, and so believes what is not so.
            headers["location"] = "/healthz"
        return _said(int(mode), f"按要求回答 {mode}", f"answers {mode} as it was told", **headers)

    async def lose(request: Request) -> Response:
        if cut is not None:
            cut(request)
            await _gone(request)
        return Response(status_code=500)

    async def page(request: Request) -> Response:
        given, lang = request.query_params.get("token"), _language(request)
        if given is not None and hmac.compare_digest(given.encode("utf-8", "replace"), page_token.encode()):
            answer: Response = RedirectResponse(f"/?lang={lang}" if "lang" in request.query_params else "/", 303)
            answer.set_cookie(cookie_name(request), proof, httponly=True, samesite="strict", path="/")
            return answer
        return await shown_page(request)

    @looking
    async def shown_page(request: Request) -> Response:
        lang, failing = _language(request), tickets.failing.shown()
        tag = f'"{len(tickets.events)}-{tickets.repeats}-{"-".join(map(str, failing.values()))}-{lang}"'
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304)
        newest = sorted(tickets.by_key, key=lambda one: tickets.by_key[one][0].order, reverse=True)[:_SHOWN]
        html = pages.get_template("tracker.html").render(
            lang=lang,
            rows=[row(tickets.shown(one)) for one in newest],
            count=len(tickets.by_key),
            events=len(tickets.events),
            repeats=tickets.repeats,
            failing=failing,
            modes=MODES,
        )
        return HTMLResponse(html.encode("utf-8", "replace"), headers={"etag": tag})

    @looking
    async def all_tickets(_request: Request) -> Response:
        shown = [tickets.shown(one) for one in tickets.by_key]
        return _json({"count": len(shown), "tickets": shown})

    @looking
    async def one_ticket(request: Request) -> Response:
        wanted = request.path_params["number"]
        if wanted not in tickets.by_key:
            return _said(404, "没有这件工单", "there is no such ticket")
        return _json({**tickets.shown(wanted), "history": [kept.shown() for kept in tickets.by_key[wanted]]})

    @looking
    async def all_events(_request: Request) -> Response:
        return _json({"count": len(tickets.events), "repeats": tickets.repeats, "events": [kept.shown() for kept in tickets.events]})

    @looking
    async def how_it_fails(_request: Request) -> Response:
        return _json(tickets.failing.shown())

    @looking
    async def tell_to_fail(request: Request) -> Response:
        # A form of another site can send a cookie, but not this type.
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return _said(415, "Content-Type 应为 application/json", "the Content-Type must be application/json")
        body = await _body(request)
        if isinstance(body, Response):
            return body
        try:
            tickets.failing = read_failing(_text(body))
        except Unreadable as error:
            return _wrong(error)
        return _json(tickets.failing.shown())

    async def healthz(_request: Request) -> Response:
        return _json({"status": "ok"})

    routes = [
        Route("/", page),
        Route("/events", take_event, methods=["POST"]),
        Route("/events", all_events, methods=["GET"]),
        Route("/tickets", all_tickets),
        Route("/tickets/{number:path}", one_ticket),
        Route("/fail", how_it_fails, methods=["GET"]),
        Route("/fail", tell_to_fail, methods=["POST"]),
        Route("/healthz", healthz),
        Mount("/static", StaticFiles(directory=_WEB / "static")),
    ]
    app = Starlette(routes=routes)
    app.add_middleware(_Guard, hosts=frozenset({"127.0.0.1", "localhost", "[::1]", host.lower(), f"[{host.lower()}]"}))
    app.state.close, app.state.hanging = tickets.log.close, hanging
    return app


async def _gone(request: Request) -> None:
    """Returns when the other side has gone away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


class Server(uvicorn.Server):
    """The tracker at its address. The port is bound when this is made, and `run` serves until `should_exit` or a signal.

    Raises `BadSetting` when the host is not loopback, the port is taken, or the secret or the folder will not do.
    """

    def __init__(
        self, host: str, port: int, secret: str, folder: Path, page_token: str, ready: Callable[[str, int], None] | None = None
    ) -> None:
        self._socket = _bound(host, port)
        try:
            app = create_app(secret, folder, page_token, host=host, cut=self._cut)
        except BadSetting:
            self._socket.close()
            raise
        self._close, self._hanging, self._ready = app.state.close, app.state.hanging, ready
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            http="httptools",
            ws="none",
            timeout_graceful_shutdown=2,
        )
        super().__init__(config)

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serves, blocking."""
        try:
            super().run([self._socket] if sockets is None else sockets)
        finally:
            self._socket.close()
            self._close()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tells `ready` the address as soon as somebody may come."""
        await super().startup(sockets)
        if self._ready is not None:
            self._ready(*self._socket.getsockname()[:2])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """What hangs would wait for ever; its connections are cut."""
        self._abort(self._hanging)
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """A signal ends the serving and nothing more, so that the caller can end in good order."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {sign: signal.signal(sign, self.handle_exit) for sign in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for sign, handler in before.items():
                signal.signal(sign, handler)

    def _cut(self, request: Request) -> None:
        self._abort({request.scope["client"]})

    def _abort(self, clients: set[tuple[str, int]]) -> None:
        for connection in list(self.server_state.connections):
            if getattr(connection, "client", None) in clients:
                connection.transport.abort()


def _bound(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        inside = ipaddress.ip_address(found[4][0]).is_loopback
    except (OSError, ValueError):
        inside = False
    if not inside:
        raise BadSetting("host", f"“{host}” 不是本机地址；请用 127.0.0.1", f"'{host}' is not a loopback address; use 127.0.0.1")
    listening = socket.socket(found[0], found[1])
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(found[4])
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise BadSetting(
            "port",
            f"无法监听端口 {port}（{error.strerror}）；请改用别的端口，或停止占用它的程序",
            f"port {port} cannot be listened on ({error.strerror}); use another, or stop the program that has it",
        ) from None
    return listening


def serve(host: str, port: int, secret: str, folder: Path, page_token: str, ready: Callable[[str, int], None] | None = None) -> None:
    """Serves until SIGINT or SIGTERM; tells `ready` the address. Raises `BadSetting` like `Server`."""
    Server(host, port, secret, folder, page_token, ready).run()
