"""Robots and notices, over the API."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import JSONResponse, Response

from gateway.bootstrap import App
from gateway.notice_words import notice_json, outcome_json
from gateway.web.api import caller_of, needs, once
from models.staff import Scope

_MOST = 200


def router(app: App) -> APIRouter:
    """The routes, each behind its scope."""
    routes = APIRouter(prefix="/api/v1", route_class=once(app))
    robots = app.alarms.robots

    @routes.get(
        "/robots",
        dependencies=[Depends(needs(app, Scope.ROBOTS_READ))],
        summary="各机器人的状态。 How each robot does.",
    )
    async def states() -> dict[str, Any]:
        return {"robots": [state.as_json() for state in await anyio.to_thread.run_sync(robots.states)]}

    @routes.get(
        "/notices",
        dependencies=[Depends(needs(app, Scope.ROBOTS_READ))],
        summary="最近的提醒，最新的在前。 The newest notices, the latest first.",
    )
    async def notices(limit: str = "50") -> dict[str, Any]:
        if not (limit.isdigit() and limit.isascii() and 1 <= int(limit[:6]) <= _MOST):
            raise HTTPException(422, f"limit：应为 1 到 {_MOST} / limit: must be 1 to {_MOST}")
        now = app.clock.now()
        return {
            "notices": [
                notice_json(notice, robots.words.item(notice, "zh", now).link)
                | {"told": {name: at.isoformat(timespec="seconds").replace("+00:00", "Z") if at else None for name, at in told.items()}}
                for notice, told in await anyio.to_thread.run_sync(robots.newest, int(limit))
            ]
        }

    @routes.post(
        "/robots/{name}/test",
        dependencies=[Depends(needs(app, Scope.ROBOTS_WRITE))],
        summary="让机器人发一条测试。 Has a robot send a test.",
        # Nothing need be said beside the address.
        openapi_extra={"requestBody": {"required": False, "content": {"application/json": {"schema": {"type": "object"}}}}},
    )
    async def test(name: str, request: Request) -> Response:
        caller = await caller_of(app, request)
        by = (caller.name if caller else "") or "api"
        outcome = await anyio.to_thread.run_sync(lambda: robots.test(name, by=by))
        return JSONResponse(outcome_json(outcome), 200 if outcome.code.value == "accepted" else 502)

    return routes
