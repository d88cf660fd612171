"""Answers over the API: a program writes to a customer for a person, and works off the call list."""

from __future__ import annotations

import secrets
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from gateway.bootstrap import App
from gateway.reply_desk import call_json
from gateway.ticket import answer_json
from gateway.web.api import body_schema, json_of, needs, once
from models.staff import Scope


def router(app: App) -> APIRouter:
    """The routes, each behind its scope."""
    routes = APIRouter(prefix="/api/v1", route_class=once(app))

    @routes.post(
        "/complaints/{number}/answers",
        dependencies=[Depends(needs(app, Scope.ANSWERS_WRITE))],
        status_code=201,
        summary="答复顾客，按他来的渠道送出。 Answers the customer, on his own way.",
        openapi_extra=body_schema(("text", "by"), text={"type": "string", "maxLength": 5000}, by={"type": "string", "maxLength": 80}),
    )
    async def answer(number: str, request: Request) -> Response:
        body = await json_of(request, {"text": str, "by": str}, ("text", "by"))
        if not (number.isascii() and number.isprintable()):
            raise HTTPException(404, "没有这样编号的投诉 / there is no complaint of such a number")
        # Asked twice with one Idempotency-Key, the answer of the first is given again; without one every call is an answer of its own.
        key = secrets.token_urlsafe(24)
        made = await anyio.to_thread.run_sync(lambda: app.replies.write(number, body["text"], by=body["by"], key=key))
        app.worker.wake("answering")
        return JSONResponse(answer_json(made) | {"number": made.number}, 201)

    @routes.get(
        "/calls",
        dependencies=[Depends(needs(app, Scope.COMPLAINTS_READ))],
        summary="需要致电的顾客，先来的在前。 Customers who must be rung up, oldest first.",
    )
    async def calls() -> dict[str, Any]:
        found = await anyio.to_thread.run_sync(app.replies.calls)
        return {"calls": [call_json(call) for call in found]}

    @routes.post(
        "/calls/{call}/done",
        dependencies=[Depends(needs(app, Scope.ANSWERS_WRITE))],
        summary="记下已经致电。 Says that the customer was rung up.",
        openapi_extra=body_schema(("by",), by={"type": "string", "maxLength": 80}, note={"type": "string", "maxLength": 500}),
    )
    async def done(call: str, request: Request) -> Response:
        body = await json_of(request, {"by": str, "note": str}, ("by",))
        if not (call.isascii() and call.isdigit() and len(call) < 19):
            raise HTTPException(404, "致电名单上没有这一条 / there is no such call on the list")
        made = await anyio.to_thread.run_sync(lambda: app.replies.called(int(call), by=body["by"], note=body.get("note", "")))
        return JSONResponse(answer_json(made) | {"number": made.number})

    return routes
