"""The door for what tracking systems say: `POST /api/v1/status`, signed with the endpoint's own secret (threats: row 18)."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import anyio.to_thread
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from gateway import event_schemas, inbound
from gateway.bootstrap import App
from gateway.inbound import NotSigned
from gateway.statuses import Taken, read_report
from models.errors import Refused

# What a sender can mend by waiting; all else he must mend himself.
_STATUS_OF = {"no_such_complaint": 404, "not_sorted_yet": 409, "erased": 410}


def router(app: App) -> APIRouter:
    """The one route. It wants a signature and no token."""
    routes = APIRouter(prefix="/api/v1")
    schema = event_schemas.made()[event_schemas.name_of(event_schemas.STATUS)]

    @routes.post(
        "/status",
        summary="报告处理进展（Standard Webhooks 签名）。 Says how the handling stands (signed by Standard Webhooks).",
        openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}, "security": []},
    )
    async def status(request: Request) -> Response:
        body = await request.body()
        try:
            taken = await anyio.to_thread.run_sync(_take, app, dict(request.headers), body)
        except NotSigned as error:
            app.log.write("StatusRefused", code=error.code)
            return JSONResponse({"detail": f"{error.zh} / {error.en}"}, 401)
        except Refused as error:
            return JSONResponse({"detail": f"{error.zh} / {error.en}", "code": error.code}, _STATUS_OF.get(error.code, 422))
        # A duplicate is answered like the first, and does nothing.
        return JSONResponse(
            {
                "duplicate": taken.duplicate,
                "effect": taken.effect.value if taken.effect else None,
                "state": taken.state.value if taken.state else None,
            }
        )

    return routes


def _take(app: App, headers: dict[str, str], body: bytes) -> Taken:
    endpoint, message_id = inbound.who_signed(headers, body, app.endpoints.signing(), app.clock.now())
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused("bad_status", "请求体不是 JSON", "the body is not JSON") from None
    sent_at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    taken = app.statuses.take(read_report(endpoint, message_id, sent_at, told))
    app.worker.wake("delivery")
    app.worker.wake("answering")
    return taken
