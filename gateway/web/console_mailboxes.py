"""The console's page of mailboxes and of what is parked. A lead may look; an operator may act."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from gateway.bootstrap import App
from gateway.mailboxes import expires_soon, is_failing
from gateway.web.console_door import Door, Visit, Wrong
from models.errors import Refused
from models.staff import Role

_HERE = "/console/mailboxes"


def routes(app: App, door: Door) -> APIRouter:
    """The page, what can be asked of a mailbox, and what can be done about what is parked."""
    router = APIRouter(prefix=_HERE, include_in_schema=False)

    def told(visit: Visit, words: str) -> Response:
        answer = RedirectResponse(_HERE, 303)
        door.tell(answer, words)
        return answer

    def read() -> dict[str, Any]:
        now = app.clock.now()
        health = app.mailboxes.health()
        return {
            "boxes": health,
            "failing": {one.name for one in health if is_failing(one, now)},
            "expiring": {one.name for one in health if expires_soon(one, now)},
            "counts": app.mailboxes.counts(),
            "aside": app.mailboxes.not_taken(),
            "parked": app.quarantine.parked(),
        }

    @router.get("")
    async def page(request: Request) -> Response:
        visit = await door.enter(request, Role.LEAD)
        return door.page(visit, "console_mailboxes.html", acts=visit.may("operator"), **await anyio.to_thread.run_sync(read))

    @router.post("/look")
    async def look(request: Request) -> Response:
        visit, fields = await door.posted(request, Role.OPERATOR)
        name = fields.get("name", "")
        await anyio.to_thread.run_sync(app.mailboxes.look, name, _who(visit))
        return told(visit, visit.say("mailboxes.looking", name=name))

    @router.post("/try-again")
    async def try_again(request: Request) -> Response:
        visit, fields = await door.posted(request, Role.OPERATOR)
        ids = [_id(fields["id"])] if "id" in fields else None
        name, left = fields.get("name"), fields.get("left") == "1"
        found = await anyio.to_thread.run_sync(lambda: app.mailboxes.try_again(_who(visit), name=name, ids=ids, left=left))
        return told(visit, visit.say("mailboxes.trying" if found else "mailboxes.nothing_to_try"))

    @router.post("/replay")
    async def replay(request: Request) -> Response:
        visit, fields = await door.posted(request, Role.OPERATOR)
        ids = [_id(fields["job"])] if "job" in fields else None
        try:
            back = await anyio.to_thread.run_sync(app.quarantine.replay, ids, _who(visit))
        except Refused:
            # Somebody else was quicker.
            back = 0
        return told(visit, visit.say("parked.replayed", n=back))

    @router.get("/raw/{job}")
    async def raw(job: str, request: Request) -> Response:
        await door.enter(request, Role.LEAD)
        found = await anyio.to_thread.run_sync(app.quarantine.raw, _id(job))
        if found is None:
            raise Wrong(404, "wrong.not_found")
        # Saved, never shown: a browser is given no kind that it would open, and may run nothing in it (threats: row 13).
        headers = {
            "Content-Disposition": f'attachment; filename="{found.name}"',
            "Content-Security-Policy": "default-src 'none'; sandbox",
        }
        return Response(found.body, media_type="application/octet-stream", headers=headers)

    return router


def _who(visit: Visit) -> str:
    """For the operator log, which holds no names."""
    return f"staff {visit.person.id}"


def _id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 18):
        raise Wrong(404, "wrong.not_found")
    return int(text)
