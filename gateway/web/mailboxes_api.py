"""Mailboxes and what is parked, over the API."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import JSONResponse, Response

from gateway.bootstrap import App
from gateway.web.api import caller_of, needs, once
from models.staff import Scope


def router(app: App) -> APIRouter:
    """The routes, each behind its scope."""
    routes = APIRouter(prefix="/api/v1", route_class=once(app))

    @routes.get(
        "/mailboxes",
        dependencies=[Depends(needs(app, Scope.MAILBOXES_READ))],
        summary="各邮箱的状态和没有受理的邮件。 How each mailbox does, and mails that could not be taken in.",
    )
    async def mailboxes() -> dict[str, Any]:
        health, counts = await anyio.to_thread.run_sync(lambda: (app.mailboxes.health(), app.mailboxes.counts()))
        left = await anyio.to_thread.run_sync(app.mailboxes.not_taken)
        return {
            "mailboxes": [_json(asdict(one)) | {"up": one.up, "mails": counts.get(one.name, {})} for one in health],
            "not_taken": [{"mailbox": name} | _json(asdict(entry)) for name, entry in left],
        }

    @routes.get(
        "/parked",
        dependencies=[Depends(needs(app, Scope.PARKED_READ))],
        summary="搁置的任务及原因，最早的在前。 What is parked, and why; the oldest first.",
    )
    async def parked() -> dict[str, Any]:
        return {"parked": [_json(asdict(one)) for one in await anyio.to_thread.run_sync(app.quarantine.parked)]}

    @routes.post(
        "/parked/{job_id}/replay",
        dependencies=[Depends(needs(app, Scope.PARKED_WRITE))],
        summary="把一个搁置的任务放回队列，从原文重新读取。 Puts a parked job back to work; it is read from its bytes again.",
        # Nothing need be said beside the address.
        openapi_extra={"requestBody": {"required": False, "content": {"application/json": {"schema": {"type": "object"}}}}},
    )
    async def replay(job_id: str, request: Request) -> Response:
        if not (job_id.isascii() and job_id.isdigit() and len(job_id) < 18):
            raise HTTPException(404, "没有这样的任务 / there is no such job")
        caller = await caller_of(app, request)
        by = (caller.name if caller else "") or "api"
        await anyio.to_thread.run_sync(app.quarantine.replay, [int(job_id)], by)
        return JSONResponse({"replayed": int(job_id)})

    return routes


def _json(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value.isoformat(timespec="seconds").replace("+00:00", "Z") if isinstance(value, datetime) else value
        for key, value in values.items()
    }
