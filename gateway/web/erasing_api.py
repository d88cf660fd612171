"""Erasure over the API, and from the console by a lead: whose complaint it was goes, for good (docs/erasure.md)."""

from __future__ import annotations

import anyio.to_thread
from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from gateway.bootstrap import App
from gateway.erasing import Reason
from gateway.web.api import body_schema, json_of, needs, once
from gateway.web.console_door import Door, Wrong
from models.staff import Role, Scope

_REASONS = ", ".join(Reason)


def router(app: App) -> APIRouter:
    """The call for programs."""
    routes = APIRouter(prefix="/api/v1", route_class=once(app))

    @routes.post(
        "/complaints/{number}/erase",
        dependencies=[Depends(needs(app, Scope.COMPLAINTS_ERASE))],
        summary="删除一件投诉的顾客信息，不可恢复。 Erases whose complaint it was; cannot be taken back.",
        openapi_extra=body_schema(
            ("reason", "by"),
            reason={"type": "string", "enum": list(Reason)},
            by={"type": "string", "maxLength": 80},
            dry_run={"type": "boolean", "description": "只看会删什么。 Only tell what would go."},
        ),
    )
    async def erase(number: str, request: Request) -> Response:
        body = await json_of(request, {"reason": str, "by": str, "dry_run": bool}, ("reason", "by"))
        if body["reason"] not in list(Reason):
            raise HTTPException(422, f"reason：应为 {_REASONS} 之一 / reason: must be one of {_REASONS}")
        if not (number.isascii() and number.isprintable()):
            raise HTTPException(404, "没有这样编号的投诉 / there is no complaint of such a number")
        if body.get("dry_run"):
            found = await anyio.to_thread.run_sync(app.erasing.preview, number)
        else:
            found = await anyio.to_thread.run_sync(lambda: app.erasing.erase(number, reason=Reason(body["reason"]), by=body["by"]))
            app.worker.wake("delivery")
        told = found.as_json() | {"dry_run": bool(body.get("dry_run"))}
        if not told["dry_run"]:
            # This answer is kept for a day, and a file's name can be a telephone number.
            told["outside"] = sorted({place.partition(":")[0] for place in found.outside})
        return JSONResponse(told)

    return routes


def routes(app: App, door: Door) -> APIRouter:
    """The form of the console's complaint page."""
    router = APIRouter(prefix="/console", include_in_schema=False)

    @router.post("/complaints/{number}/erase")
    async def erase(number: str, request: Request) -> Response:
        visit, fields = await door.posted(request, Role.LEAD)
        if not (number.isascii() and number.isprintable()):
            raise Wrong(404, "wrong.not_found")
        reason = fields.get("reason", "")
        # Nobody does it by a slip of the hand.
        if reason not in list(Reason) or fields.get("again", "").strip().upper() != number:
            raise Wrong(422, "wrong.erase")
        found = await anyio.to_thread.run_sync(lambda: app.erasing.erase(number, reason=Reason(reason), by=visit.person.name))
        app.worker.wake("delivery")
        answer = RedirectResponse(f"/console/complaints/{found.number}", 303)
        door.tell(answer, visit.say("erase.done", number=found.number))
        return answer

    return router
