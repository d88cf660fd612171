"""The console's pane for a chat: an agent sees the lines as they come, takes the talk over, writes, and hands it back (docs/chat.md)."""

from __future__ import annotations

import secrets
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from connectors.web_chat import ChatDoor
from gateway.bootstrap import App
from gateway.talking import MOST_AGENT_CHARS, Pane
from gateway.web.console_door import Door, Visit, Wrong

# What a line's form may say of itself, so that one that is sent twice is one line.
_MOST_KEY = 64


def routes(app: App, door: Door, chat: ChatDoor | None) -> APIRouter:
    """The pane of a complaint that came by chat."""
    router = APIRouter(prefix="/console/complaints/{number}/chat", include_in_schema=False)

    async def pane_of(number: str) -> Pane:
        # A number is of plain letters; PostgreSQL cannot even be asked for one with NUL in it.
        found = await anyio.to_thread.run_sync(app.talks.pane, number) if number.isascii() and number.isprintable() else None
        if found is None:
            raise Wrong(404, "wrong.not_found")
        return found

    def values(number: str, pane: Pane) -> dict[str, Any]:
        numbers = {one.topic: one.number for one in pane.now.standings}
        writes = chat is not None and chat.writes(pane.talk)
        return {
            "number": number,
            "pane": pane,
            "numbers": numbers,
            "writes": writes,
            "most": MOST_AGENT_CHARS,
            "key": secrets.token_hex(12),
        }

    @router.get("")
    async def page(number: str, request: Request) -> Response:
        visit = await door.enter(request)
        return door.page(visit, "console_chat.html", **values(number, await pane_of(number)))

    @router.get("/lines")
    async def lines(number: str, request: Request) -> Response:
        visit = await door.enter(request)
        return door.page(visit, "console_chat_lines.html", **values(number, await pane_of(number)))

    @router.post("/take")
    async def take(number: str, request: Request) -> Response:
        visit, _ = await door.posted(request)
        await pane_of(number)
        await anyio.to_thread.run_sync(app.talks.take, number, visit.person.name)
        return told(visit, number, "talk.taken")

    @router.post("/hand-back")
    async def hand_back(number: str, request: Request) -> Response:
        visit, _ = await door.posted(request)
        await pane_of(number)
        await anyio.to_thread.run_sync(app.talks.take, number, "")
        return told(visit, number, "talk.handed_back")

    @router.post("/answers")
    async def write(number: str, request: Request) -> Response:
        visit, fields = await door.posted(request)
        await pane_of(number)
        key = fields.get("key", "")[:_MOST_KEY]
        await anyio.to_thread.run_sync(app.talks.write, number, visit.person.name, fields.get("text", ""), f"{visit.person.id}:{key}")
        return told(visit, number, "talk.sent")

    @router.post("/typing")
    async def typing(number: str, request: Request) -> Response:
        await door.posted(request)
        pane = await pane_of(number)
        if chat is not None:
            await chat.agent_writes(pane.talk)
        return JSONResponse({})

    def told(visit: Visit, number: str, word: str) -> Response:
        words = visit.say(word)
        if visit.by_script:
            return JSONResponse({"said": words})
        answer = RedirectResponse(f"/console/complaints/{number}/chat", 303)
        door.tell(answer, words)
        return answer

    return router
