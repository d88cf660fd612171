"""The console's review queue and complaint page: plain pages and forms, which a small script makes quick (docs/console.md)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode

import anyio.to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.datastructures import QueryParams

from gateway import correspondence, ticket
from gateway.bootstrap import App
from gateway.desk import Page, Story
from gateway.store.desk import LOOKED_AT, NUMBER, After, Listed, View
from gateway.store.unread import Unread
from gateway.web import console_view
from gateway.web.console_door import Door, Visit, Wrong, safe_next
from gateway.web.console_timeline import timeline
from models.correction import Source
from models.staff import Role
from models.submission import Channel
from models.verdict import ComplaintClass, Risk

# So many complaints on a page of the queue.
PAGE = 40
# Words of a search that count, and how long they may be.
_MOST_WORDS, _WORD_CHARS = 5, 60
_FILTERS = ("q", "channel", "class", "risk", "show", "after")


def routes(app: App, door: Door) -> tuple[APIRouter, Callable[[Visit, str, str], Awaitable[Response]]]:
    """The review queue, a complaint, and what is done to it; and the page of a complaint with a draft in it, for whoever writes one."""
    router = APIRouter(prefix="/console", include_in_schema=False)

    async def look(number: str) -> Story | Unread:
        # A number is of plain letters; PostgreSQL cannot even be asked for one with NUL in it.
        found = await anyio.to_thread.run_sync(app.desk.look, number) if number.isascii() and number.isprintable() else None
        if found is None:
            raise Wrong(404, "wrong.not_found")
        return found

    async def story_of(number: str) -> Story:
        found = await look(number)
        if isinstance(found, Unread):
            raise Wrong(409, "unread.first", number=found.number)
        return found

    def item_values(visit: Visit, story: Story, query: Mapping[str, str]) -> dict[str, Any]:
        here = "/console" + (f"?{urlencode(query)}" if query else "")
        return {"story": story, "classes": list(ComplaintClass), "here": here, **_read(app, story, visit)}

    async def undo_of(visit: Visit) -> str | None:
        last = await anyio.to_thread.run_sync(app.desk.undoable, visit.session)
        return last.number if last else None

    @router.get("")
    async def queue(request: Request) -> Response:
        visit = await door.enter(request)
        asked = request.query_params
        view, query = _view(asked), _kept(asked)
        found: Page = await anyio.to_thread.run_sync(app.desk.page, view, PAGE)
        last = found.listed[-1] if found.listed else None
        behind = query | {"after": _spelt(After(last.rank or 0.0, last.received_at, last.number))} if found.more and last else None
        values: dict[str, Any] = {
            "page": found,
            "view": view,
            "query": query,
            "looked_at": LOOKED_AT,
            "rows": [_row(one) for one in found.listed],
            "more": f"/console?{urlencode(behind)}" if behind else None,
            "link": partial(_link, query),
            "classes": list(ComplaintClass),
            "channels": list(Channel),
            "risks": list(Risk),
        }
        if visit.by_script:
            return door.page(visit, "console_rows.html", **values)
        opened = asked.get("open") or (found.listed[0].number if found.listed else "")
        story = await story_of(opened) if opened else None
        # A number that somebody was told is found, whatever became of it so far.
        asked_for = "" if found.listed or len(view.words) != 1 else view.words[0].upper()
        unread = await anyio.to_thread.run_sync(app.desk.unread, asked_for) if NUMBER.fullmatch(asked_for) else None
        item = item_values(visit, story, query) if story else {"story": None}
        values |= {"unread": unread, "opened": opened, "chosen": bool(asked.get("open")), "undo": await undo_of(visit)}
        return door.page(visit, "console_queue.html", **(values | item))

    @router.get("/complaints/{number}/item")
    async def item(number: str, request: Request) -> Response:
        visit = await door.enter(request)
        story = await story_of(number)
        return door.page(visit, "console_item.html", **item_values(visit, story, _kept(request.query_params)))

    @router.get("/complaints/{number}")
    async def complaint(number: str, request: Request) -> Response:
        visit = await door.enter(request)
        story = await look(number)
        if isinstance(story, Unread):
            return door.page(visit, "console_unread.html", unread=story, lead=visit.may(Role.LEAD), acts=visit.may(Role.OPERATOR))
        if story.complaint.number != number:
            # The number that a mail was given before it was joined.
            return RedirectResponse(f"/console/complaints/{story.complaint.number}", 303)
        return await complaint_page(visit, story)

    async def with_draft(visit: Visit, number: str, draft: str) -> Response:
        return await complaint_page(visit, await story_of(number), draft=draft)

    async def complaint_page(visit: Visit, story: Story, *, status: int = 200, wrong: str | None = None, draft: str = "") -> Response:
        number = story.complaint.number
        undo = await undo_of(visit)
        values = item_values(visit, story, {}) | {"here": f"/console/complaints/{number}"}
        values |= {"timeline": timeline(story, app.plan, app.ours), "undo": undo if undo == number else None, "draft": draft}
        return door.page(visit, "console_complaint.html", status=status, wrong=wrong, **values)

    @router.get("/complaints/{number}/originals/{submission}")
    async def original(number: str, submission: str, request: Request) -> Response:
        await door.enter(request)
        found = None
        if submission.isascii() and submission.isdigit() and len(submission) < 19 and number.isascii() and number.isprintable():
            found = await anyio.to_thread.run_sync(app.desk.original, number, int(submission))
        if found is None:
            raise Wrong(404, "wrong.not_found")
        # A file to be kept, never a page: its type and name are ours, whatever the sender said.
        name = f"{number}-{submission}.{_ENDINGS.get(found[0], 'bin')}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Content-Security-Policy": "default-src 'none'; sandbox"}
        return Response(found[1], headers=headers, media_type="application/octet-stream")

    @router.post("/complaints/{number}/corrections")
    async def correct(number: str, request: Request) -> Response:
        visit, fields = await door.posted(request)
        story = await story_of(number)
        name = fields.get("class", "")
        if name not in list(ComplaintClass):
            raise Wrong(422, "wrong.class")
        seen = fields.get("seen", "")
        if seen.isdigit() and int(seen[:9]) < len(story.corrections):
            last = story.corrections[-1]
            words = visit.say("wrong.seen", by=console_view.plain(last.by), klass=visit.say(f"class.{last.should_be}"))
            if visit.by_script:
                return door.wrong(request, 409, words)
            return await complaint_page(visit, story, status=409, wrong=words)
        by, note = visit.person.name, fields.get("note", "")
        done = await anyio.to_thread.run_sync(
            lambda: app.correcting.correct(number, ComplaintClass(name), by=by, source=Source.CONSOLE, note=note)
        )
        app.worker.wake("delivery")
        department = _department(app, visit, done.department)
        words = visit.say("decided.told", number=number, klass=visit.say(f"class.{name}"), department=department)
        return await answered(visit, fields, words)

    @router.post("/undo")
    async def undo(request: Request) -> Response:
        visit, fields = await door.posted(request)
        last, done = await anyio.to_thread.run_sync(app.desk.undo, visit.session)
        app.worker.wake("delivery")
        words = visit.say("decided.undone", number=last.number, klass=visit.say(f"class.{done.correction.should_be}"))
        return await answered(visit, fields | {"open": last.number}, words)

    async def answered(visit: Visit, fields: Mapping[str, str], words: str) -> Response:
        """After a decision: what happened, for the script; or the page to go on with."""
        last = await undo_of(visit)
        if visit.by_script:
            left = await anyio.to_thread.run_sync(app.desk.waiting)
            label = visit.say("item.undo", number=last) if last else ""
            told = JSONResponse({"said": words, "left": left, "undo": label, "open": fields.get("open")})
            if fields.get("open"):
                # The script goes to a new page, which is to say it.
                door.tell(told, words)
            return told
        where = safe_next(fields.get("back", ""))
        answer = RedirectResponse(where, 303)
        door.tell(answer, words)
        return answer

    return router, with_draft


# How an original is named when it is kept.
_ENDINGS: Mapping[str, str] = {
    "message/rfc822": "eml",
    "application/json": "json",
    "text/plain": "txt",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/heic": "heic",
    "application/pdf": "pdf",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/mp4": "m4a",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
}


def _view(asked: QueryParams) -> View:
    """What is to be listed; what makes no sense is passed over, because an address may be typed by hand."""

    def one(name: str, known: Any) -> Any:
        value = asked.get(name, "")
        return known(value) if value in list(known) else None

    words = tuple(word[:_WORD_CHARS] for word in asked.get("q", "").replace("\x00", "").split()[:_MOST_WORDS])
    everything = asked.get("show") == "all"
    view = View(one("channel", Channel), one("class", ComplaintClass), one("risk", Risk), words, everything)
    return replace(view, after=_after(asked.get("after", "")))


def _kept(asked: QueryParams) -> dict[str, str]:
    """The filters of an address, as further addresses repeat them."""
    return {name: asked[name][:400] for name in _FILTERS if asked.get(name)}


def _link(query: Mapping[str, str], **more: str) -> str:
    """The queue with these filters and some more; an empty one is left out."""
    whole = {name: value for name, value in {**query, **more}.items() if value}
    return "/console" + (f"?{urlencode(whole)}" if whole else "")


def _spelt(after: After) -> str:
    return f"{after.rank!r}~{after.received_at.isoformat()}~{after.number}"


def _after(spelt: str) -> After | None:
    rank, _, rest = spelt.partition("~")
    at, _, number = rest.partition("~")
    try:
        found = After(float(rank), datetime.fromisoformat(at), number)
    except (ValueError, OverflowError):
        return None
    return found if found.received_at.tzinfo and number.isascii() and number.isprintable() and abs(found.rank) < 1e9 else None


def _row(one: Listed) -> dict[str, Any]:
    """A line of the list. `bars` are the two candidates with their chances."""
    chances = one.verdict.get("probabilities", {})
    first = next((line for line in (one.head or one.title).splitlines() if line.strip()), one.title)
    return {
        "one": one,
        "line": console_view.plain(first.strip()),
        "call_back": one.channel is Channel.PHONE and not one.head.strip(),
        "name": console_view.plain(one.name or ""),
        "bars": [(name, float(chances.get(name, 0))) for name in one.verdict.get("candidates", [])[:2]],
        "risks": one.verdict.get("risk", []),
    }


def _read(app: App, story: Story, visit: Visit) -> dict[str, Any]:
    """What the item shows of a story."""
    verdict, customer = story.verdict, story.complaint.customer
    chances = verdict.get("probabilities", {})
    contact = "  ".join(filter(None, (customer.phone, customer.email)))
    fields = [("name", customer.name), ("contact", contact), ("estate", customer.estate), ("unit", customer.unit)]
    shown = sorted(chances.items(), key=lambda pair: -pair[1])
    return {
        "pieces": console_view.pieces(story.classified, verdict.get("reasons", [])),
        "said": verdict.get("said", verdict.get("primary", "")),
        "chances": [(name, float(chance)) for name, chance in shown],
        "candidates": verdict.get("candidates", []),
        "risks_of": verdict.get("risk", []),
        "call_back": ticket.to_call_back(story.messages),
        "conduct": ticket.agent_conduct(story.messages),
        "fields": [(name, console_view.plain(value) if value else "") for name, value in fields],
        "lead": visit.may(Role.LEAD),
        "department": _department(app, visit, story.complaint.department or ""),
        "state": _state(story),
        "history": _history(app, story, visit),
    }


def _state(story: Story) -> str:
    if not story.verdicts:
        return "story.unsorted"
    if story.waits:
        return "story.waits"
    return "story.decided" if story.corrections else "story.alone"


def _history(app: App, story: Story, visit: Visit) -> list[str]:
    """What happened so far, in one line."""
    say, c, verdict = visit.say, story.complaint, story.verdict
    told = [say("history.received", channel=say(f"channel.{c.channel}"))]
    if len(story.messages) > 1:
        told.append(say("history.messages", n=len(story.messages)))
    if correspondence.by_others(story.messages, app.ours):
        told.append(say("history.another"))
    if any(map(correspondence.through_list, story.messages)):
        told.append(say("history.mailing_list"))
    if any(message.machine and not correspondence.through_list(message) for message in story.messages):
        told.append(say("history.machine"))
    if verdict:
        said = verdict.get("said", verdict["primary"])
        told.append(say("history.verdict", klass=say(f"class.{said}"), sure=console_view.percent(verdict["probabilities"][said])))
    if story.corrections:
        told.append(say("history.decided", n=len(story.corrections)))
    if c.department:
        told.append(say("history.department", department=_department(app, visit, c.department)))
    if story.events:
        told.append(say("history.told", n=len(story.events)))
    return told


def _department(app: App, visit: Visit, code: str) -> str:
    found = app.plan.departments.get(code)
    return visit.say.either(found.name, found.name_en) if found else code
