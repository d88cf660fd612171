"""What every call of the API goes through: whose token it is, what that opens, and the same answer to the same request asked twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from typing import Any

import anyio.to_thread
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from gateway import event_schemas
from gateway.bootstrap import App
from gateway.store import staff
from models.staff import Caller, Scope

# Answers to requests with an idempotency key are kept so long.
KEPT = timedelta(hours=24)
# One that is being worked on for longer was left alone by a process that died.
_ABANDONED = timedelta(minutes=2)
_MOST_KEY = 128

_Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Needs = Callable[[Request], Coroutine[Any, Any, Caller]]


def token_of(request: Request) -> str:
    """The bearer token that is shown; empty where there is none."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else ""


async def caller_of(app: App, request: Request) -> Caller | None:
    """Which program asks."""
    token = token_of(request)
    return await anyio.to_thread.run_sync(app.staffing.caller, token) if token else None


def needs(app: App, scope: Scope | None = None) -> Needs:
    """A check that goes before a call: a token that opens `scope`, or any token. Raises 401 and 403."""

    async def check(request: Request) -> Caller:
        caller = await caller_of(app, request)
        if caller is None:
            raise HTTPException(
                401,
                "需要令牌：Authorization: Bearer …（secrets/api.token 或 jiesu token add）"
                " / a token is needed: Authorization: Bearer … (secrets/api.token, or jiesu token add)",
                {"WWW-Authenticate": "Bearer"},
            )
        if scope is not None and scope not in caller.scopes:
            raise HTTPException(403, f"这个令牌没有 {scope} 权限（jiesu token add … --scope {scope}） / this token lacks the scope {scope}")
        return caller

    return check


def once(app: App) -> type[APIRoute]:
    """A kind of route: a POST with `Idempotency-Key` is done once, and whoever asks again gets the same answer."""

    class Once(APIRoute):
        """Answers alike what is asked alike."""

        def get_route_handler(self) -> _Handler:
            """The handler, behind a look at what was answered before."""
            ordinary = super().get_route_handler()

            async def handler(request: Request) -> Response:
                given = request.headers.get("idempotency-key")
                if request.method != "POST" or given is None:
                    return await ordinary(request)
                caller = await caller_of(app, request)
                if caller is None:
                    return await ordinary(request)
                if not (0 < len(given) <= _MOST_KEY and given.isascii() and given.isprintable()):
                    raise HTTPException(
                        422,
                        f"Idempotency-Key：1–{_MOST_KEY} 个可见 ASCII 字符 / Idempotency-Key: 1 to {_MOST_KEY} printable ASCII characters",
                    )
                return await _answer_once(app, request, caller, given, ordinary)

            return handler

    return Once


async def _answer_once(app: App, request: Request, caller: Caller, given: str, ordinary: _Handler) -> Response:
    # Of each program its own keys.
    owner = hashlib.sha256(caller.name.encode()).hexdigest()[:16]
    key = f"{owner}:{given}"
    body = await request.body()
    asked = hashlib.sha256(f"{request.method} {request.url.path}\n".encode() + body).hexdigest()
    known = await anyio.to_thread.run_sync(_claim, app, key, asked)
    if known is not None:
        if known.sha256 != asked:
            raise HTTPException(
                422, "这个 Idempotency-Key 已用于另一个请求 / this Idempotency-Key was used for another request (address or body differ)"
            )
        if not known.status:
            raise HTTPException(409, "同一个请求正在处理 / the same request is being worked on", {"Retry-After": "2"})
        return Response(known.body, known.status, {"Idempotency-Replayed": "true"}, "application/json")
    try:
        answer = await ordinary(request)
    except BaseException:
        await anyio.to_thread.run_sync(_drop, app, key)
        raise
    if 200 <= answer.status_code < 300:
        await anyio.to_thread.run_sync(_keep, app, key, answer.status_code, bytes(answer.body).decode())
    else:
        await anyio.to_thread.run_sync(_drop, app, key)
    return answer


def _claim(app: App, key: str, asked: str) -> staff.Answered | None:
    now = app.clock.now()
    with app.store.write() as conn:
        known = staff.claim_answer(app.store, conn, key, asked, now, now - KEPT)
        if known is not None and not known.status and now - known.at > _ABANDONED:
            staff.drop_answer(conn, key)
            known = staff.claim_answer(app.store, conn, key, asked, now, now - KEPT)
        return known


def _keep(app: App, key: str, status: int, body: str) -> None:
    with app.store.write() as conn:
        staff.keep_answer(conn, key, status, body)


def _drop(app: App, key: str) -> None:
    with app.store.write() as conn:
        staff.drop_answer(conn, key)


async def json_of(request: Request, known: Mapping[str, type], needed: tuple[str, ...] = ()) -> dict[str, Any]:
    """The JSON object of a request. Raises 400 and 422, which name the key: unknown, of a wrong type, or missing."""
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        raise HTTPException(400, "请求体不是 JSON / the body is not JSON") from None
    if not isinstance(body, dict):
        raise HTTPException(400, "请求体应为 JSON 对象 / the body must be a JSON object")
    for name, value in body.items():
        if name not in known:
            raise HTTPException(422, f"{name[:40]}：没有这个键 / {name[:40]}: unknown key")
        if not isinstance(value, known[name]):
            raise HTTPException(422, f"{name}：类型不对 / {name}: is of a wrong type")
    if lacking := [name for name in needed if name not in body]:
        raise HTTPException(422, f"{lacking[0]}：不可缺少 / {lacking[0]}: must be there")
    return body


def body_schema(needed: tuple[str, ...], **properties: Mapping[str, Any]) -> dict[str, Any]:
    """What a request's body holds, for the OpenAPI document."""
    schema = {"type": "object", "properties": properties, "required": list(needed), "additionalProperties": False}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def document(web: FastAPI) -> Response:
    """The OpenAPI document, with how to show a token and how to ask only once."""
    found = dict(web.openapi())
    components = dict(found.get("components", {}))
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    components["schemas"] = {**components.get("schemas", {}), **event_schemas.components()}
    found |= {"components": components, "security": [{"token": []}], "webhooks": event_schemas.webhooks()}
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "maxLength": _MOST_KEY},
        "description": "同一个键与同样的请求只做一次，24 小时内答复不变。"
        " The same key with the same request is done once; the answer is kept for 24 hours.",
    }
    for path in found["paths"].values():
        # What is signed has an id of its own instead.
        if "post" in path and path["post"].get("security") != []:
            parameters = [one for one in path["post"].get("parameters", []) if one["name"] != key["name"]]
            path["post"]["parameters"] = [*parameters, key]
    return JSONResponse(found)
