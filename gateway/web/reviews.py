"""Reviews over the API: the queue of what a person is to look at, and corrections. Whatever desk a company uses can stand before it."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from gateway.bootstrap import App
from gateway.store.complaints import Overtaken
from gateway.ticket import correction_json
from gateway.web.api import body_schema, json_of, needs, once
from models.correction import Source
from models.errors import Refused
from models.staff import Scope
from models.verdict import ComplaintClass

_CLASSES = ", ".join(ComplaintClass)
_MOST = 200
# What a refusal is to a program; whatever is not named here was asked wrongly: 422.
_STATUS = {
    **dict.fromkeys(("no_such_complaint", "no_such_model", "no_such_retraining", "no_such_example"), 404),
    **dict.fromkeys(("no_such_call", "no_such_mailbox", "no_such_robot", "not_parked"), 404),
    **dict.fromkeys(
        ("not_read", "not_sorted_yet", "is_champion", "rejected", "stale_gate", "nothing_before", "nothing_to_undo", "robot_busy"), 409
    ),
    "erased": 410,
}


def router(app: App) -> APIRouter:
    """The routes, each behind its scope."""
    routes = APIRouter(prefix="/api/v1", route_class=once(app))

    @routes.get(
        "/review",
        dependencies=[Depends(needs(app, Scope.REVIEW_READ))],
        summary="待审队列，最该先看的在前。 The review queue, the most useful first.",
    )
    async def review(limit: str = "50") -> dict[str, Any]:
        if not (limit.isdigit() and limit.isascii() and 1 <= int(limit[:6]) <= _MOST):
            raise HTTPException(422, f"limit：应为 1 到 {_MOST} / limit: must be 1 to {_MOST}")
        return await anyio.to_thread.run_sync(app.records.waiting, int(limit))

    @routes.post(
        "/complaints/{number}/corrections",
        dependencies=[Depends(needs(app, Scope.REVIEW_WRITE))],
        status_code=201,
        summary="判定一件投诉的类别。 Says what the class of a complaint is.",
        openapi_extra=body_schema(
            ("class", "by"),
            **{"class": {"type": "string", "enum": list(ComplaintClass)}},
            by={"type": "string", "maxLength": 80},
            note={"type": "string", "maxLength": 2000},
        ),
    )
    async def correct(number: str, request: Request) -> Response:
        body = await json_of(request, {"class": str, "by": str, "note": str}, ("class", "by"))
        klass, by, note = body["class"], body["by"], body.get("note", "")
        if klass not in list(ComplaintClass):
            raise HTTPException(422, f"class：应为 {_CLASSES} 之一 / class: must be one of {_CLASSES}")
        if not (number.isascii() and number.isprintable()):
            raise HTTPException(404, "没有这样编号的投诉 / there is no complaint of such a number")
        done = await anyio.to_thread.run_sync(
            lambda: app.correcting.correct(number, ComplaintClass(klass), by=by, source=Source.API, note=note)
        )
        app.worker.wake("delivery")
        answer = correction_json(done.correction) | {"number": number, "department": done.department, "event": done.event}
        return JSONResponse(answer, 201)

    return routes


def status_of(error: Refused) -> int:
    """The HTTP status that fits."""
    return _STATUS.get(error.code, 422)


def refused(error: Refused) -> Response:
    """What the caller asked for and may not have."""
    return JSONResponse({"detail": f"{error.zh} / {error.en}", "code": error.code}, status_of(error))


def overtaken(error: Overtaken) -> Response:
    """Two decided at once; the second may look and ask again."""
    return JSONResponse({"detail": f"{error.zh} / {error.en}", "code": error.code}, 409)
