"""Reviews over the API: the queue of what a person is to look at, and corrections. Whatever desk a company uses can stand before it."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from gateway.bootstrap import App
from gateway.store.complaints import Overtaken
from gateway.ticket import correction_json
from models.correction import Source
from models.errors import Refused
from models.verdict import ComplaintClass

_CLASSES = ", ".join(ComplaintClass)
_MOST = 200
_STATUS = {"no_such_complaint": 404, "not_sorted_yet": 409}


def router(app: App) -> APIRouter:
    """The routes; who asks has been checked before."""
    routes = APIRouter(prefix="/api/v1")

    @routes.get("/review")
    async def review(limit: str = "50") -> dict[str, Any]:
        if not (limit.isdigit() and limit.isascii() and 1 <= int(limit[:6]) <= _MOST):
            raise HTTPException(422, f"limit：应为 1 到 {_MOST} / limit: must be 1 to {_MOST}")
        return await anyio.to_thread.run_sync(app.records.waiting, int(limit))

    @routes.post("/complaints/{number}/corrections")
    async def correct(number: str, request: Request) -> Response:
        body = await _json(request)
        klass = body.get("class")
        if klass not in list(ComplaintClass):
            raise HTTPException(422, f"class：应为 {_CLASSES} 之一 / class: must be one of {_CLASSES}")
        by, note = body.get("by"), body.get("note", "")
        if not isinstance(by, str) or not isinstance(note, str):
            raise HTTPException(422, "by、note：应为文字，by 不可缺 / by and note must be texts, and by must be there")
        if unknown := sorted(set(body) - {"class", "by", "note"}):
            raise HTTPException(422, f"{unknown[0][:40]}：没有这个键 / {unknown[0][:40]}: unknown key")
        if not (number.isascii() and number.isprintable()):
            raise HTTPException(404, "没有这样编号的投诉 / there is no complaint of such a number")
        done = await anyio.to_thread.run_sync(
            lambda: app.correcting.correct(number, ComplaintClass(klass), by=by, source=Source.API, note=note)
        )
        app.worker.wake("delivery")
        answer = correction_json(done.correction) | {"number": number, "department": done.department, "event": done.event}
        return JSONResponse(answer, 201)

    return routes


def refused(error: Refused) -> Response:
    """What the caller asked for and may not have."""
    return JSONResponse({"detail": f"{error.zh} / {error.en}", "code": error.code}, _STATUS.get(error.code, 422))


def overtaken(error: Overtaken) -> Response:
    """Two decided at once; the second may look and ask again."""
    return JSONResponse({"detail": f"{error.zh} / {error.en}", "code": error.code}, 409)


async def _json(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        raise HTTPException(400, "请求体不是 JSON / the body is not JSON") from None
    if not isinstance(body, dict):
        raise HTTPException(400, "请求体应为 JSON 对象 / the body must be a JSON object")
    return body
