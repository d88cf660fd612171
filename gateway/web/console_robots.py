"""The console's page of robots and notices. A lead may look; an operator may have a robot send a test."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from gateway.bootstrap import App
from gateway.notice_words import KINDS
from gateway.web.console_door import Door, Wrong
from models.errors import Refused
from models.notice import Notice, TellCode
from models.staff import Role

_HERE = "/console/robots"
_NEWEST = 50


def routes(app: App, door: Door) -> APIRouter:
    """The page, and the test of a robot."""
    router = APIRouter(prefix=_HERE, include_in_schema=False)
    robots = app.alarms.robots

    @router.get("")
    async def page(request: Request) -> Response:
        visit = await door.enter(request, Role.LEAD)
        states, newest = await anyio.to_thread.run_sync(lambda: (robots.states(), robots.newest(_NEWEST)))
        now, language = app.clock.now(), visit.say.language

        def title(notice: Notice) -> str:
            return robots.words.item(notice, language, now).title

        values: dict[str, Any] = {"states": states, "newest": newest, "title": title, "kinds": KINDS}
        return door.page(visit, "console_robots.html", acts=visit.may("operator"), **values)

    @router.post("/{name}/test")
    async def test(name: str, request: Request) -> Response:
        visit, _ = await door.posted(request, Role.OPERATOR)
        if name not in robots.known:
            raise Wrong(404, "wrong.not_found")
        try:
            outcome = await anyio.to_thread.run_sync(lambda: robots.test(name, by=f"staff {visit.person.id}"))
        except Refused as error:
            words = visit.say("robots.test_failed", name=name, why=visit.say.either(error.zh, error.en))
        else:
            why = f"{visit.say.either(outcome.zh, outcome.en)} {outcome.maker_code or outcome.status or ''}".strip()
            fine = outcome.code is TellCode.ACCEPTED
            words = visit.say("robots.tested", name=name) if fine else visit.say("robots.test_failed", name=name, why=why)
        answer = RedirectResponse(_HERE, 303)
        door.tell(answer, words)
        return answer

    return router
