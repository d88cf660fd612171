"""The door for what tracking systems say: `POST /api/v1/status`, signed with the endpoint's own secret (threats: row 18)."""

from __future__ import annotations

import difflib
import itertools
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from gateway import event_schemas, inbound
from gateway.bootstrap import App
from gateway.inbound import NotSigned
from gateway.statuses import Taken, read_report
from models.complaint import ComplaintState
from models.errors import Refused
from models.status import Effect

# What a sender can mend by waiting; all else he must mend himself.
_STATUS_OF = {"no_such_complaint": 404, "not_sorted_yet": 409, "erased": 410}
# So many keys that nobody knows are named, each with so many characters.
_MOST_WARNINGS, _SHOWN = 10, 40
_TAKEN = {
    "type": "object",
    "properties": {
        "duplicate": {"type": "boolean", "description": "此前已收到，未作任何事 / it was taken before, nothing was done"},
        "effect": {"enum": [*(effect.value for effect in Effect), None]},
        "state": {"enum": [*(state.value for state in ComplaintState), None]},
        "warnings": {
            "type": "array",
            "maxItems": _MOST_WARNINGS,
            "items": {"type": "string"},
            "description": "没有采用的键；没有则无此项 / keys that were passed over; left out where there are none",
        },
    },
    "required": ["duplicate", "effect", "state"],
}
_ANSWERS: dict[str, Any] = {
    "200": {"description": "已收到 / taken", "content": {"application/json": {"schema": _TAKEN}}},
    "401": {"description": "签名不对，或时间相差五分钟以上 / not truly signed, or more than five minutes off"},
    "404": {"description": "没有交给您这件投诉 / no such complaint was handed to you"},
    "409": {"description": "还在分类 / it is still being sorted"},
    "410": {"description": "顾客信息已删除 / whose complaint it was has been erased"},
    "422": {"description": "内容不对，指明何处 / the body is wrong, and says where"},
}


def router(app: App) -> APIRouter:
    """The one route. It wants a signature and no token."""
    routes = APIRouter(prefix="/api/v1")
    schema = event_schemas.made()[event_schemas.name_of(event_schemas.STATUS)]

    @routes.post(
        "/status",
        summary="报告处理进展（Standard Webhooks 签名）。 Says how the handling stands (signed by Standard Webhooks).",
        openapi_extra={
            "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
            "responses": _ANSWERS,
            "security": [],
        },
    )
    async def status(request: Request) -> Response:
        body = await request.body()
        try:
            taken, warnings = await anyio.to_thread.run_sync(_take, app, dict(request.headers), body, schema)
        except NotSigned as error:
            app.log.write("StatusRefused", code=error.code)
            return JSONResponse({"detail": f"{error.zh} / {error.en}"}, 401)
        except Refused as error:
            return JSONResponse({"detail": f"{error.zh} / {error.en}", "code": error.code}, _STATUS_OF.get(error.code, 422))
        # A duplicate is answered like the first, and does nothing.
        answer: dict[str, Any] = {
            "duplicate": taken.duplicate,
            "effect": taken.effect.value if taken.effect else None,
            "state": taken.state.value if taken.state else None,
        }
        if warnings:
            answer["warnings"] = warnings
        return JSONResponse(answer)

    return routes


def unknown_keys(told: Any, schema: Mapping[str, Any]) -> list[str]:
    """What a report holds that its schema does not know, each with what was perhaps meant.

    It is no fault, because further keys may come; but whoever spells `customer_text` as `text` must hear that nobody was told. Only the
    first are looked at: to guess what each of many thousand was meant for takes seconds.
    """
    return list(itertools.islice(_unknown(told, schema, ""), _MOST_WARNINGS))


def _unknown(told: Any, schema: Mapping[str, Any], within: str) -> Iterator[str]:
    known = schema.get("properties", {})
    for key in told if isinstance(told, dict) and known else ():
        if key in known:
            yield from _unknown(told[key], known[key], f"{within}{key}.")
            continue
        # JSON may name half of a pair of surrogates, which no answer can hold.
        shown = key[:_SHOWN].encode("utf-8", "backslashreplace").decode()[:_SHOWN]
        place, spelt = f"{within}{shown}", shown.lower()
        near = [one for one in known if spelt and spelt in one] or difflib.get_close_matches(spelt, known, 1)
        zh, en = (f"，是否应为 {'、'.join(near)}？", f"; is {' or '.join(near)} meant?") if near else ("", "")
        yield f"{place}：没有这个键，未采用{zh} / {place}: there is no such key, it was passed over{en}"


def _take(app: App, headers: dict[str, str], body: bytes, schema: Mapping[str, Any]) -> tuple[Taken, list[str]]:
    endpoint, message_id = inbound.who_signed(headers, body, app.endpoints.signing(), app.clock.now())
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused("bad_status", "请求体不是 JSON", "the body is not JSON") from None
    sent_at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    # Before anything is done, for what was done must be answered.
    warnings = unknown_keys(told, schema)
    taken = app.statuses.take(read_report(endpoint, message_id, sent_at, told))
    app.worker.wake("delivery")
    app.worker.wake("answering")
    return taken, warnings
