"""The chat for browsers: its page, which a site may show in a frame, the script that puts it there, its socket, and files sent in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from jinja2 import Environment
from starlette.websockets import WebSocket

from connectors.chat_room import network_of
from connectors.web_chat import ChatDoor, ChatRefused
from gateway.bootstrap import App
from gateway.dialogue_words import CONSENT_VERSION
from models.errors import TryLater

# Where files are sent to; `Guard` lets larger bodies through here.
UPLOADS = "/chat/uploads"
# So many files are in memory at once; whoever comes on top is asked to come again.
_FILES_AT_ONCE = 6
# What a refusal is over HTTP.
_STATUS = {"no_talk": 403, "file_too_large": 413, "file_type": 415, "too_fast": 429, "too_many_new": 429, "too_many_files": 409}


def routes(app: App, chat: ChatDoor | None, pages: Environment, static: Path) -> APIRouter:
    """The chat's page and what belongs to it. Everything is answered 404 where the chat is not open."""
    router = APIRouter(include_in_schema=False)
    settings = app.settings.chat
    in_hand = anyio.CapacityLimiter(_FILES_AT_ONCE)
    origins = [origin.rstrip("/") for origin in settings.allowed_origins]
    # A page of these sites may show ours in a frame; nobody else may.
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'none'; "
        f"base-uri 'none'; frame-ancestors 'self' {' '.join(origins)}"
    ).rstrip()

    def must_be_open() -> ChatDoor:
        if chat is None:
            raise HTTPException(404, "在线对话未开放（chat.enabled）/ the chat is not open (chat.enabled)")
        return chat

    def refused_with(refused: ChatRefused) -> Response:
        told: dict[str, Any] = {"code": refused.code, "zh": refused.zh, "en": refused.en}
        return JSONResponse(told, _STATUS.get(refused.code, 422))

    @router.get("/chat", response_class=HTMLResponse)
    async def page(request: Request, lang: str | None = None) -> Response:
        must_be_open()
        if lang not in ("zh", "en"):
            lang = "en" if request.headers.get("accept-language", "zh").lower().startswith("en") else "zh"
        made = pages.get_template("chat.html").render(
            lang=lang,
            max_line_chars=settings.max_line_chars,
            max_upload_bytes=settings.max_upload_bytes,
            privacy_url=settings.privacy_url,
            consent_version=CONSENT_VERSION,
            origins=origins,
        )
        return HTMLResponse(made, headers={"Content-Security-Policy": policy, "Cross-Origin-Resource-Policy": "cross-origin"})

    @router.get("/widget.js")
    async def widget() -> Response:
        must_be_open()
        # Any site may load the script; what it opens is the frame above, which only the named ones may show.
        headers = {"Cache-Control": "public, max-age=300", "Cross-Origin-Resource-Policy": "cross-origin"}
        return Response((static / "widget.js").read_bytes(), media_type="text/javascript; charset=utf-8", headers=headers)

    @router.websocket("/ws/chat")
    async def socket(websocket: WebSocket) -> None:
        if chat is None:
            await websocket.close()
            return
        await chat.serve(websocket)

    @router.post(UPLOADS)
    async def upload(request: Request) -> Response:
        door = must_be_open()
        if not door.origin_allowed(request.headers.get("origin"), request.headers.get("host")):
            raise HTTPException(403, "这个网站不可以发送文件 / this site may not send files")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        asked = request.query_params
        token = token if scheme.lower() == "bearer" else ""
        if not door.may_send(token):
            # Before a byte of it is read.
            return refused_with(ChatRefused("no_talk"))
        try:
            in_hand.acquire_on_behalf_of_nowait(request)
        except anyio.WouldBlock:
            raise TryLater("busy", "现在文件太多，请稍后再发", "too many files just now; try again") from None
        try:
            raw = await request.body()
            receipt = await door.upload(
                token,
                asked.get("id", ""),
                asked.get("name", "")[:1000],
                asked.get("topic", ""),
                raw,
                network_of(request.client.host if request.client else ""),
            )
        except ChatRefused as refused:
            return refused_with(refused)
        finally:
            in_hand.release_on_behalf_of(request)
        return JSONResponse({"number": receipt.number, "duplicate": receipt.duplicate})

    return router
