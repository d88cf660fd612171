"""Pulling events over the API: after a cursor, waiting for more, as CloudEvents or as Standard Webhooks payloads; and the schemas."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Annotated, Any
from urllib.parse import urlencode

import anyio.to_thread
from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse

from gateway import event_schemas
from gateway.bootstrap import App
from gateway.cloudevents import BATCH
from gateway.feed import MOST, Remembered, Slice
from gateway.web.api import caller_of, json_of, needs
from models.delivery import EventType
from models.errors import TryLater
from models.staff import Scope

# Longest wait for a new event, and how often it is looked while somebody waits.
MOST_WAIT, _LOOK_SECONDS = 60.0, 0.2
# Most that wait at once.
_MOST_WAITING = 1000


# What the document says of each parameter. Whether one is kept to is looked at below, where the refusal is said in both languages.
_After = Annotated[
    str, Query(description="上次答复中的 next；空为从头，latest 为从现在起 / the next of the answer before; empty: all; latest: from now")
]
_Consumer = Annotated[
    str,
    Query(
        description="after 为空时从这个名称记住的位置继续 / go on where this name remembered to be, where after is empty",
        json_schema_extra={"pattern": "^([A-Za-z0-9._-]{1,80})?$"},
    ),
]
_Limit = Annotated[int, Query(description="最多几件 / how many at most", json_schema_extra={"minimum": 1, "maximum": MOST})]
_Some = Annotated[
    str, Query(description=f"只要这些类型，逗号分隔 / these types only, with commas between: {', '.join(kind.value for kind in EventType)}")
]
_Wait = Annotated[
    float,
    Query(
        description="没有新事件时最多等几秒 / for so many seconds it waits for a new event",
        json_schema_extra={"minimum": 0, "maximum": MOST_WAIT},
    ),
]


def _refusal(words: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"detail": {"type": "string"}}}
    return {"description": words, "content": {"application/json": {"schema": schema}}}


def _text(words: str) -> dict[str, Any]:
    return {"type": "string", "description": words}


_CURSOR = _text("下次的 after，长期有效 / the after of the next call; stays good")
_CLOUDEVENT = {
    "type": "object",
    "properties": {
        "specversion": {"const": "1.0"},
        "id": _text("事件号 / the event"),
        "source": _text("/jiesu/ 加本安装的名称；与 id 合起来唯一 / with the installation's name; unique together with id"),
        "type": {"enum": [kind.value for kind in EventType]},
        "time": {"type": "string", "format": "date-time"},
        "subject": _text("投诉编号 / the complaint's number"),
        "datacontenttype": {"const": "application/json"},
        "dataschema": {"type": "string", "format": "uri"},
        "data": {"type": "object", "description": "即该类型模式中的 data / the data of the schema of its type"},
    },
    "required": ["specversion", "id", "source", "type", "data"],
}
_ANSWERS = {
    "200": {
        "description": "按 Accept：Standard Webhooks 正文或 CloudEvents 批 / by Accept: Standard Webhooks or a CloudEvents batch",
        "headers": {
            "Jiesu-Next": {"description": "下次的 after / the after of the next call", "schema": {"type": "string"}},
            "Link": {"description": 'rel="next"：下次的地址 / the address of the next call', "schema": {"type": "string"}},
        },
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "events": {"type": "array", "maxItems": MOST, "items": event_schemas.any_event()},
                        "next": _CURSOR,
                        "more": {"type": "boolean", "description": "是否还有 / whether there are more already"},
                    },
                    "required": ["events", "next", "more"],
                }
            },
            BATCH: {"schema": {"type": "array", "maxItems": MOST, "items": _CLOUDEVENT}},
        },
    },
    "401": _refusal("没有令牌 / no token"),
    "403": _refusal("令牌没有 events:read / the token lacks events:read"),
    "422": _refusal("参数不对，逐项说明 / a parameter will not do; it is named"),
    "503": _refusal("等待的人太多，见 Retry-After / too many wait; see Retry-After"),
}


class Bell:
    """Rings when the feed has grown. One look for all who wait; none while nobody does."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._waiting: set[asyncio.Future[None]] = set()
        self._looking: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    async def ring(self, seconds: float) -> bool:
        """True when the feed has grown; False when it has not for so long."""
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(mine)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look())
        try:
            await asyncio.wait_for(mine, seconds)
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(mine)
        return True

    async def _look(self) -> None:
        head: int | None = None
        while self._waiting:
            try:
                now = await anyio.to_thread.run_sync(self._app.feed.head)
            except TryLater:
                await asyncio.sleep(_LOOK_SECONDS)
                continue
            # Whoever came before the first look has seen an older end.
            if now != head:
                for one in self._waiting:
                    if not one.done():
                        one.set_result(None)
                head = now
            await asyncio.sleep(_LOOK_SECONDS)


def router(app: App) -> APIRouter:
    """The routes. The schemas are no secret; the events want a token of scope `events:read`."""
    routes = APIRouter(prefix="/api/v1")
    bell = Bell(app)
    files = event_schemas.served()
    reads = [Depends(needs(app, Scope.EVENTS_READ))]

    async def whose(request: Request) -> str:
        caller = await caller_of(app, request)
        return caller.name if caller else ""

    @routes.get(
        "/events",
        dependencies=reads,
        summary="按提交次序拉取事件，可等待新事件。 Events in the order of their commits; `wait` seconds for new ones.",
        openapi_extra={"responses": _ANSWERS},
    )
    async def events(
        request: Request, after: _After = "", consumer: _Consumer = "", limit: _Limit = 100, types: _Some = "", wait: _Wait = 0
    ) -> Response:
        wanted = _types(types)
        if not 1 <= limit <= MOST:
            raise HTTPException(422, f"limit：1–{MOST} / limit: 1 to {MOST}")
        if not 0 <= wait <= MOST_WAIT:
            raise HTTPException(422, f"wait：0–{MOST_WAIT:g} 秒 / wait: 0 to {MOST_WAIT:g} seconds")
        if consumer and not after:
            known = await anyio.to_thread.run_sync(app.feed.remembered, await whose(request), _name(consumer))
            after = known.cursor if known else ""
        found = await anyio.to_thread.run_sync(app.feed.after, after, limit, wanted)
        ends = asyncio.get_running_loop().time() + wait
        while not found.entries and (left := ends - asyncio.get_running_loop().time()) > 0:
            if bell.waiting >= _MOST_WAITING:
                raise HTTPException(503, "等待的人太多 / too many wait", {"Retry-After": "5"})
            await bell.ring(left)
            found = await anyio.to_thread.run_sync(app.feed.after, found.next, limit, wanted)
        return _answer(request, app, found, {"limit": limit, "types": types, "wait": wait})

    @routes.get("/events/position/{name}", dependencies=reads, summary="读到哪里了。 How far a consumer has come.")
    async def position(name: str, request: Request) -> dict[str, Any]:
        known = await anyio.to_thread.run_sync(app.feed.remembered, await whose(request), _name(name))
        if known is None:
            raise HTTPException(404, "还没有记录 / nothing is remembered")
        return _told(name, known)

    @routes.put("/events/position/{name}", dependencies=reads, summary="记住读到哪里。 Remembers how far a consumer has come.")
    async def remember(name: str, request: Request) -> dict[str, Any]:
        body = await json_of(request, {"cursor": str}, ("cursor",))
        kept = await anyio.to_thread.run_sync(app.feed.remember, await whose(request), _name(name), body["cursor"])
        return _told(name, kept)

    @routes.get("/schemas/", openapi_extra={"security": []}, summary="事件的 JSON Schema。 The JSON Schemas of events.")
    async def schemas() -> dict[str, list[str]]:
        return {"schemas": [f"/api/v1/schemas/{name}" for name in sorted(files) if name != "asyncapi.json"]}

    @routes.get("/schemas/{name}", openapi_extra={"security": []}, summary="一份 JSON Schema。 One JSON Schema.")
    async def schema(name: str) -> Response:
        if name not in files or name == "asyncapi.json":
            raise HTTPException(404, "没有这份模式 / there is no such schema")
        return Response(files[name], media_type="application/schema+json")

    @routes.get("/asyncapi.json", openapi_extra={"security": []}, summary="AsyncAPI 文档。 The AsyncAPI document.")
    async def asyncapi() -> Response:
        return Response(files["asyncapi.json"], media_type="application/json")

    return routes


def _answer(request: Request, app: App, found: Slice, asked: dict[str, Any]) -> Response:
    on = urlencode({"after": found.next, **{key: value for key, value in asked.items() if value}})
    headers = {"Link": f'</api/v1/events?{on}>; rel="next"', "Jiesu-Next": found.next}
    if BATCH in request.headers.get("accept", ""):
        body = app.cloudevents.batch([entry.payload for entry in found.entries])
        return Response(body, headers=headers, media_type=f"{BATCH}; charset=utf-8")
    events = [json.loads(entry.payload) for entry in found.entries]
    return JSONResponse({"events": events, "next": found.next, "more": found.more}, headers=headers)


def _types(spelt: str) -> list[str]:
    types = [name.strip() for name in spelt.split(",") if name.strip()]
    for name in types:
        if name not in list(EventType):
            raise HTTPException(422, f"types：没有 {name[:40]} / types: there is no {name[:40]}")
    return types


def _name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,80}", name, re.ASCII):
        raise HTTPException(
            422, "名称：1–80 个字母、数字、点、下划线或连字符 / name: 1 to 80 letters, digits, dots, underscores or hyphens"
        )
    return name


def _told(name: str, known: Remembered) -> dict[str, Any]:
    at = known.at.isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"name": name, "cursor": known.cursor, "at": at, "behind": known.behind}
