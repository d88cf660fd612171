"""The way in for programs that have transcripts: platforms by token, speech services by a callback address (docs/phone.md)."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException as StarletteHTTPException

from connectors import call_data
from connectors.call_data import CallData
from gateway.bootstrap import App
from gateway.web import api
from models.staff import Caller, Scope

# The library's log quotes what is sent.
logging.getLogger("python_multipart").addHandler(logging.NullHandler())
logging.getLogger("python_multipart").propagate = False

PATH = "/api/v1/transcripts"
# Beside the transcript itself: the fields of a form and the frame around them.
_FRAME_BYTES = 131_072
_MOST_FIELDS, _MOST_FILES = 30, 2
# How the parts of a form may be called.
_TRANSCRIPT_PARTS, _METADATA_PARTS = ("transcript", "file"), ("metadata", "sidecar")
# No token is longer; what stands in an address is cut before it is looked up.
_MOST_TOKEN = 200


def most_bytes(app: App) -> int:
    """How large a request to these addresses may be."""
    return app.settings.phone.max_body_bytes + _FRAME_BYTES


def router(app: App) -> APIRouter:
    """The addresses under `/api/v1/transcripts`."""
    routes = APIRouter(route_class=api.once(app))
    write = api.needs(app, Scope.TRANSCRIPTS_WRITE)

    async def take(request: Request, caller: Caller, door: str) -> tuple[str, bool]:
        raw, media_type, data = await _offered(request)
        if not raw:
            raise HTTPException(400, "请求体是空的 / the body is empty")
        if len(raw) > app.settings.phone.max_body_bytes:
            raise HTTPException(413, "转写太大（phone.max_body_bytes） / the transcript is too large (phone.max_body_bytes)")
        envelope = {"door": door, "token": caller.name or "api.token"}
        # Two calls without a word are told apart by who sent them when, and not by these bytes.
        name = json.dumps([caller.name, request.headers.get("idempotency-key") or data.found()], ensure_ascii=False).encode()
        submission = call_data.submission(raw, name, data, app.clock.now(), envelope, media_type)
        receipt = await anyio.to_thread.run_sync(app.accept, submission)
        return receipt.number, receipt.duplicate

    @routes.post(
        PATH,
        summary="收一份通话转写（任何已知格式），提交后才答复。 Takes in a transcript of any known format; answers after commit.",
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
                    "multipart/form-data": {
                        "schema": {
                            "type": "object",
                            "properties": {
                                "transcript": {"type": "string", "format": "binary"},
                                "metadata": {
                                    "type": "string",
                                    "description": "JSON: call_id, started_at, caller, agent, recording, centre",
                                },
                            },
                            "required": ["transcript"],
                        }
                    },
                },
            }
        },
    )
    async def transcript(request: Request) -> Response:
        number, duplicate = await take(request, await write(request), "api")
        return JSONResponse({"code": 0, "message": "success", "number": number, "duplicate": duplicate})

    async def called_back(request: Request, token: str) -> Response:
        caller = await anyio.to_thread.run_sync(app.staffing.caller, token[:_MOST_TOKEN]) if token else None
        if caller is None:
            raise HTTPException(401, "回调地址中的令牌无效 / the token in the callback's address is not valid")
        if caller.scopes != {Scope.TRANSCRIPTS_CALLBACK}:
            # What stands in an address is seen by proxies and logs, so it must open nothing else.
            raise HTTPException(
                403,
                "回调地址只能用仅有 transcripts:callback 权限的令牌"
                " / only a token with the scope transcripts:callback alone may stand in an address",
            )
        # The number is none of a speech service's business.
        await take(request, caller, "callback")
        return JSONResponse({"code": 0, "message": "success"})

    # Outside of `once`: services send no Idempotency-Key, and repeat themselves with the same bytes.
    plain = APIRouter(include_in_schema=False)

    @plain.post(PATH + "/callback/{token}")
    async def callback_by_path(token: str, request: Request) -> Response:
        return await called_back(request, token)

    @plain.post(PATH + "/callback")
    async def callback_by_query(request: Request, token: str = "") -> Response:
        return await called_back(request, token)

    routes.include_router(plain)
    return routes


async def _offered(request: Request) -> tuple[bytes, str, CallData]:
    """The transcript's bytes, what they claim to be, and what is said of the call in the form's parts or the address."""
    media_type = request.headers.get("content-type", "")
    fields: dict[str, object] = {key: value for key, value in request.query_params.items() if key != "token"}
    if not media_type.lower().startswith("multipart/form-data"):
        return await request.body(), media_type, call_data.read(fields)
    try:
        async with request.form(max_files=_MOST_FILES, max_fields=_MOST_FIELDS, max_part_size=call_data.LARGEST_SIDECAR) as form:
            parts: Mapping[str, Any] = dict(form)
            transcript = next((parts[name] for name in _TRANSCRIPT_PARTS if name in parts), None)
            if transcript is None:
                raise HTTPException(422, "transcript：不可缺少 / transcript: must be there")
            raw = await _bytes_of(transcript)
            kind = (transcript.content_type or "") if isinstance(transcript, UploadFile) else "text/plain"
            for name in _METADATA_PARTS:
                if name in parts:
                    fields |= _metadata(await _bytes_of(parts[name]))
            fields |= {
                key: value for key, value in parts.items() if isinstance(value, str) and key not in (*_TRANSCRIPT_PARTS, *_METADATA_PARTS)
            }
    except StarletteHTTPException:
        raise
    except Exception as error:
        raise HTTPException(400, "表单无法读取 / the form cannot be read") from error
    return raw, kind, call_data.read(fields)


async def _bytes_of(part: UploadFile | str) -> bytes:
    return part.encode() if isinstance(part, str) else await part.read()


def _metadata(raw: bytes) -> dict[str, object]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise HTTPException(422, "metadata：应为 JSON 对象 / metadata: must be a JSON object")
    return found
