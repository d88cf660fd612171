"""Writing to a customer from the complaint page: looked at first, then confirmed, and sent once however often the button is pressed."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable

import anyio.to_thread
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from gateway.bootstrap import App
from gateway.web.console_door import Door, Visit, Wrong
from gateway.web.console_view import plain
from models.answer import AnswerState, Way

_MOST_KEY = 64


# The page of a complaint, with what was written so far.
ComplaintPage = Callable[[Visit, str, str], Awaitable[Response]]


def routes(app: App, door: Door, complaint_page: ComplaintPage) -> APIRouter:
    """One form: without `confirm` it shows what would be sent, with it the answer is kept."""
    router = APIRouter(prefix="/console", include_in_schema=False)

    @router.post("/complaints/{number}/answers")
    async def answer(number: str, request: Request) -> Response:
        visit, fields = await door.posted(request)
        if not (number.isascii() and number.isprintable()):
            raise Wrong(404, "wrong.not_found")
        text, by = fields.get("text", ""), visit.person.name
        there = f"/console/complaints/{number}"
        if fields.get("change"):
            return await complaint_page(visit, number, text)
        key = fields.get("key", "")
        if not fields.get("confirm") or not 16 <= len(key) <= _MOST_KEY:
            draft = await anyio.to_thread.run_sync(lambda: app.replies.preview(number, text, by=by))
            return door.page(visit, "console_answer.html", number=draft.number, answer=draft, text=text, key=secrets.token_urlsafe(24))
        made = await anyio.to_thread.run_sync(lambda: app.replies.write(number, text, by=by, key=key))
        app.worker.wake("answering")
        answered = RedirectResponse(there, 303)
        if made.state is AnswerState.SUPPRESSED:
            words = visit.say("reply.told_suppressed", number=made.number, reason=plain(visit.say.half(made.reason or "")))
        else:
            words = visit.say("reply.told_call" if made.way is Way.CALL else "reply.told", number=made.number)
        door.tell(answered, words)
        return answered

    return router
