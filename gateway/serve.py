"""Opens the doors and keeps them open until told to stop; then finishes what is in hand."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio.to_thread
import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from connectors.bucket import BucketDoor, BucketOptions
from connectors.phone_drop import DropOptions, PhoneDrop
from connectors.web_chat import ChatDoor, ChatOptions
from gateway import home, mail_door
from gateway.bootstrap import App, identity_secret
from gateway.config import Settings
from gateway.store.bucket import BucketLedger
from gateway.web import app as web
from gateway.web import chat as chat_pages
from models.errors import BadSetting

# The library's log quotes requests; faults of ours are told in the operator log.
logging.getLogger("uvicorn.error").addHandler(logging.NullHandler())
logging.getLogger("uvicorn.error").propagate = False

# How often each connection is looked at; a client that does not take what is sent to it from one look to the next is cut off.
_LOOK_SECONDS = 10.0
# How long a request may take to arrive whole, and how large its line and headers may be. The library knows no limit of either.
_REQUEST_SECONDS, _MOST_HEAD_BYTES = 30.0, 65_536
_UPLOADS, _UPLOAD_SECONDS = chat_pages.UPLOADS.encode(), 150.0
# More than this waiting for a client that does not read (its own pings make us answer) is not waited for.
_MOST_UNREAD_BYTES = 1_048_576
# How long a thread may compute while the loop waits for the interpreter, in seconds; Python's own 0.005 costs each answer that much.
_SWITCH_SECONDS = 0.0005
# Enough threads that all mail connections can wait for a commit at once.
_THREADS = 64


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the doors are."""

    smtp: tuple[str, int] | None
    web: tuple[str, int]
    drop: Path | None


class Server:
    """A gateway with its doors, in one event loop."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._stop = asyncio.Event()
        self.smtp: mail_door.Opened | None = None

    def stop(self) -> None:
        """Says that it is time; call it in the loop."""
        self._stop.set()

    async def run(self, ready: Callable[[Addresses], None] | None = None) -> None:
        """Opens all doors, tells `ready`, serves until `stop` or a signal, and closes in good order."""
        app, settings = self._app, self._app.settings
        anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
        loop = asyncio.get_running_loop()
        smtp = self.smtp = mail_door.make(settings, app.offer, app.clock, app.log) if settings.smtp.enabled else None
        chat = ChatDoor(app.accept, app.talks, app.clock.now, chat_options(settings)) if settings.chat.enabled else None
        http = _Http(uvicorn_config(app, chat))
        drop = PhoneDrop(app.accept, app.clock.now, app.log.write, drop_options(settings)) if settings.drop.enabled else None
        bucket = _bucket(app) if settings.bucket.enabled else None
        watching: asyncio.Task[None] | None = None
        fetching: asyncio.Task[None] | None = None
        sorting: asyncio.Task[None] | None = None
        try:
            smtp_address = await _opened("smtp", settings.smtp.port, smtp.open()) if smtp else None
            web_address = await _opened("web", settings.web.port, http.open())
            if drop is not None:
                _prepared(drop)
                watching = loop.create_task(drop.watch(self._stop))
            if bucket is not None:
                fetching = loop.create_task(bucket.watch(self._stop))
            # Signals reach the main thread only; whoever runs us in another calls `stop`.
            if threading.current_thread() is threading.main_thread():
                for sign in (signal.SIGINT, signal.SIGTERM):
                    loop.add_signal_handler(sign, self._stop.set)
            addresses = Addresses(smtp_address, web_address, settings.drop_folder if drop else None)
            app.log.write(
                "Started",
                smtp=_spelt(smtp_address),
                web=_spelt(web_address),
                drop=bool(drop),
                store="sqlite" if app.store.is_sqlite else "postgresql",
                plan_version=app.plan.version,
            )
            app.mailboxes.start(app.accept)
            if chat is not None:
                chat.start()
            # What comes in is safe already; it is sorted as soon as the classifier is loaded.
            sorting = loop.create_task(self._begin_to_sort())
            if ready is not None:
                ready(addresses)
            await self._until_stopped(http, watching, fetching)
            app.log.write("Stopping")
        finally:
            # Also when one door broke or could not be opened: the others close in good order.
            self._stop.set()
            if smtp is not None:
                await smtp.close()
            if chat is not None:
                await chat.close()
            await http.close()
            if watching is not None:
                await asyncio.wait([watching], timeout=10)
            await anyio.to_thread.run_sync(app.mailboxes.stop)
            if watched := [task for task in (watching, fetching) if task is not None]:
                await asyncio.wait(watched, timeout=10)
            if sorting is not None:
                await asyncio.wait([sorting])
            await anyio.to_thread.run_sync(app.retrain_watch.stop)
            await anyio.to_thread.run_sync(app.drift.stop)
            await anyio.to_thread.run_sync(app.nightly_reconciliation.stop)
            await anyio.to_thread.run_sync(app.alarms.watch.stop)
            await anyio.to_thread.run_sync(app.polls.stop)
            await anyio.to_thread.run_sync(app.worker.stop)
        app.log.write("Stopped")
        # A trained model that was tampered with ends the gateway with its error.
        sorting.result()

    async def _begin_to_sort(self) -> None:
        try:
            await anyio.to_thread.run_sync(self._app.champion.classifier)
            await anyio.to_thread.run_sync(self._app.talks.warm)
            # What was loaded stays for good: looking through all of it for garbage would stop every door for a quarter of a second.
            gc.collect()
            gc.freeze()
        except BaseException:
            self._stop.set()
            raise
        if not self._stop.is_set():
            self._app.worker.start()
            self._app.retrain_watch.start()
            self._app.drift.start()
            self._app.nightly_reconciliation.start()
            self._app.alarms.watch.start()
            self._app.polls.start()

    async def _until_stopped(self, http: _Http, *watching: asyncio.Task[None] | None) -> None:
        waits: set[asyncio.Task[object]] = {asyncio.ensure_future(self._stop.wait()), asyncio.ensure_future(http.served())}
        waits.update(task for task in watching if task is not None)
        done, others = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        self._stop.set()
        for task in others - set(watching):
            task.cancel()
        for task in done:
            # A door that broke ends the gateway with its error rather than leave it half open.
            task.result()


class _Patience(asyncio.Protocol):
    """Goes before the library's protocols and ends the connections of clients that do not read, for whom the library waits forever."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _unread = 0
    _next_look: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._next_look = self.loop.call_later(_LOOK_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._look_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.get_write_buffer_size() > _MOST_UNREAD_BYTES:
            self.transport.abort()

    def _look(self) -> None:
        before, self._unread = self._unread, self.transport.get_write_buffer_size()
        if self._unread >= before > 0:
            self.transport.abort()
        else:
            self._next_look = self.loop.call_later(_LOOK_SECONDS, self._look)

    def _look_no_more(self) -> None:
        if self._next_look is not None:
            self._next_look.cancel()


class _WebSocketProtocol(_Patience, WebSocketsSansIOProtocol):
    """The library's, with patience that ends."""


class _HttpProtocol(_Patience, HttpToolsProtocol):
    """The library's, for requests that arrive in time and with a head of decent size (threats: row 16)."""

    # Since when a whole request is awaited (the loop's time); None while none is.
    _awaited_since: float | None = None
    # How much of its line and headers has come; None once they are whole.
    _head_bytes: int | None = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._awaited_since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        if self._awaited_since is None:
            self._awaited_since = self.loop.time()
        super().data_received(data)
        if self._head_bytes is not None:
            self._head_bytes += len(data)
            if self._head_bytes > _MOST_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("Request head too large.")

    def on_message_begin(self) -> None:
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_bytes = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._awaited_since = None
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        # From here on the other protocol has the connection.
        self._look_no_more()
        super().handle_websocket_upgrade()

    def _look(self) -> None:
        # A photo from a phone takes longer than a form.
        patience = _UPLOAD_SECONDS if bytes(getattr(self, "url", b"")).startswith(_UPLOADS) else _REQUEST_SECONDS
        if self._awaited_since is not None and self.loop.time() - self._awaited_since > patience:
            self.transport.close()
        super()._look()


class _Http(uvicorn.Server):
    """Uvicorn inside our loop: our signals, and a start that reports its address."""

    _serving: asyncio.Task[None] | None = None

    async def open(self) -> tuple[str, int]:
        config = self.config
        config.load()
        self.lifespan = config.lifespan_class(config)
        # The socket is ours, so that a taken port is an error of ours and not an exit of the library's.
        family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
        listening = socket.create_server((config.host, config.port), family=family, backlog=512)
        host, port = listening.getsockname()[:2]
        self._serving = asyncio.get_running_loop().create_task(self._serve([listening]))
        while not self.started and not self._serving.done():  # noqa: ASYNC110 - the library has no event for it
            await asyncio.sleep(0.01)
        return str(host), int(port)

    def install_signal_handlers(self) -> None:
        """Signals are the gateway's, not the library's."""

    async def served(self) -> None:
        assert self._serving is not None  # noqa: S101 - `open` came first
        await asyncio.shield(self._serving)

    async def close(self) -> None:
        self.should_exit = True
        if self._serving is not None:
            await self._serving


async def _opened(section: str, port: int, opening: Awaitable[tuple[str, int]]) -> tuple[str, int]:
    try:
        return await opening
    except OSError as error:
        raise BadSetting(
            f"{section}.port",
            f"无法监听端口 {port}（{error.strerror or error}）；请改用别的端口，或停止占用它的程序",
            f"port {port} cannot be listened on ({error.strerror or error}); use another, or stop the program that has it",
        ) from None


def _prepared(drop: PhoneDrop) -> None:
    """The folder is there before anybody is told that files may be moved in."""
    try:
        drop.prepare()
    except OSError as error:
        folder = drop.options.folder
        raise BadSetting(
            "drop.folder",
            f"无法建立投放目录 {folder}（{error.strerror}）；请换一个可写的目录",
            f"the drop folder {folder} cannot be made ({error.strerror}); choose one that can be written",
        ) from None


def _spelt(address: tuple[str, int] | None) -> str | None:
    return f"{address[0]}:{address[1]}" if address else None


def chat_options(settings: Settings) -> ChatOptions:
    """The options of the chat."""
    chat = settings.chat
    return ChatOptions(
        allowed_origins=tuple(chat.allowed_origins),
        max_line_chars=chat.max_line_chars,
        max_lines_per_minute=chat.max_lines_per_minute,
        max_lines_per_minute_of_address=chat.max_lines_per_minute_of_address,
        max_new_per_hour_of_address=chat.max_new_per_hour_of_address,
        max_connections=chat.max_connections,
        max_connections_per_address=chat.max_connections_per_address,
        idle_seconds=chat.idle_seconds,
        max_upload_bytes=chat.max_upload_bytes,
        max_uploads=chat.max_uploads,
        identity_secret=identity_secret(settings),
    )


def drop_options(settings: Settings) -> DropOptions:
    """The options of the drop folder."""
    drop = settings.drop
    return DropOptions(
        settings.drop_folder,
        drop.settle_seconds,
        drop.rescan_seconds,
        drop.max_bytes,
        drop.sidecar_wait_seconds,
        drop.transcript_wait_seconds,
    )


def _bucket(app: App) -> BucketDoor:
    """The door to the bucket of the settings, with its keys from their file."""
    settings = app.settings
    bucket, drop = settings.bucket, settings.drop
    options = BucketOptions(
        name=bucket.name,
        endpoint=bucket.endpoint,
        region=bucket.region,
        prefix=bucket.prefix,
        virtual_hosted=bucket.virtual_hosted,
        keys=home.key_pair(settings.secrets_folder / bucket.keys_file, "bucket.keys_file"),
        poll_seconds=bucket.poll_seconds,
        after=bucket.after,
        max_bytes=bucket.max_bytes,
        sidecar_wait_seconds=drop.sidecar_wait_seconds,
        transcript_wait_seconds=drop.transcript_wait_seconds,
    )
    return BucketDoor(app.accept, app.clock.now, app.log.write, BucketLedger(app.store), options)


def uvicorn_config(app: App, chat: ChatDoor | None) -> uvicorn.Config:
    """How the web server runs: frames of 64 KiB at most, no compression (it costs memory), proxies' headers only from named proxies."""
    settings = app.settings.web
    return uvicorn.Config(
        web.create(app, chat, alive=app.worker.alive),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        http=_HttpProtocol,
        ws=_WebSocketProtocol,
        ws_max_size=65_536,
        ws_per_message_deflate=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=5,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies) or None,
        ssl_certfile=settings.tls_certificate or None,
        ssl_keyfile=settings.tls_key or None,
    )


def serve(app: App, ready: Callable[[Addresses], None] | None = None) -> None:
    """Serves until a signal. Call it under the home's lock."""

    async def main() -> None:
        await Server(app).run(ready)

    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        uvloop.run(main())
    finally:
        app.close()


def locked(settings: Settings) -> home.HomeLock:
    """The lock of the home that is to be served."""
    home.prepare(settings.home)
    return home.HomeLock(settings.home)
