"""The console's page of customers who must be rung up (待回电): what to say, by which number, and striking them off."""

from __future__ import annotations

import anyio.to_thread
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from gateway.bootstrap import App
from gateway.web.console_door import Door, Wrong

_HERE = "/console/calls"
# As many as one page shows; who rings them finds the next ones there afterwards.
_SHOWN = 100


def routes(app: App, door: Door) -> APIRouter:
    """The list for whoever works in the console, and one button for each call."""
    router = APIRouter(prefix=_HERE, include_in_schema=False)

    @router.get("")
    async def page(request: Request) -> Response:
        visit = await door.enter(request)
        found = await anyio.to_thread.run_sync(app.replies.calls, _SHOWN + 1)
        return door.page(visit, "console_callbacks.html", waiting=found[:_SHOWN], more=len(found) > _SHOWN)

    @router.post("/{call}/done")
    async def done(call: str, request: Request) -> Response:
        visit, fields = await door.posted(request)
        if not (call.isascii() and call.isdigit() and len(call) < 19):
            raise Wrong(404, "wrong.not_found")
        note = fields.get("note", "")
        made = await anyio.to_thread.run_sync(lambda: app.replies.called(int(call), by=visit.person.name, note=note))
        answer = RedirectResponse(_HERE, 303)
        door.tell(answer, visit.say("callback.done", number=made.number))
        return answer

    return router
