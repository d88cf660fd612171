"""The console's pages of the hand-off, for a lead: endpoints, deliveries with every try, what was put aside, and reconciliation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import anyio.to_thread
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from gateway.bootstrap import App
from gateway.keyring import Rotated
from gateway.ranges import days_in_order, number_of, numbers_in_order
from gateway.reconcile import BUCKETS, Report
from gateway.store.deliveries import STATES, DeliveryRow, Wanted
from gateway.web.console_door import Door, Wrong
from models.delivery import EventType
from models.endpoint import TICKET_KINDS
from models.errors import Refused
from models.staff import Role

# Deliveries and parked jobs on a page.
_PAGE, _PARKED = 50, 200
_FILTERS = ("endpoint", "number", "type", "state", "from", "to", "first", "last")
_NAME = re.compile(r"[!-~]{1,64}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# How long a former secret may go on signing, in hours.
_OVERLAPS = (24, 72, 168)
_MOST_ID = 18


def routes(app: App, door: Door) -> APIRouter:
    """Endpoints, deliveries, what is parked, reconciliation. All of them want a lead."""
    router = APIRouter(prefix="/console", include_in_schema=False)
    zone = ZoneInfo(app.settings.general.timezone)

    def told(where: str, words: str) -> Response:
        answer = RedirectResponse(where, 303)
        door.tell(answer, words)
        return answer

    # ---- Endpoints

    @router.get("/endpoints")
    async def endpoints(request: Request) -> Response:
        visit = await door.enter(request, Role.LEAD)
        states = await anyio.to_thread.run_sync(app.redelivery.states)
        polls = await anyio.to_thread.run_sync(app.polls.health)
        return door.page(
            visit,
            "console_endpoints.html",
            states=states,
            polls=polls,
            rotates=visit.may("operator"),
            overlaps=_OVERLAPS,
            tickets=TICKET_KINDS,
        )

    @router.get("/endpoints/{name}/rotate")
    async def rotated(name: str, request: Request) -> Response:
        # Whoever asks for the page of a new secret once more, in another language or after signing in, is not shown it.
        await door.enter(request, Role.LEAD)
        return RedirectResponse("/console/endpoints", 303)

    # Before the other actions, whose address would take it in.
    @router.post("/endpoints/{name}/rotate")
    async def rotate(name: str, request: Request) -> Response:
        visit, fields = await door.posted(request, Role.OPERATOR)
        served = app.endpoints.served.get(name)
        if served is None or served.endpoint.kind in TICKET_KINDS:
            raise Wrong(404, "wrong.not_found")
        hours = fields.get("hours", "")
        if fields.get("sure") != name or hours not in map(str, _OVERLAPS):
            raise Wrong(422, "endpoints.rotate_unsure")

        def change() -> Rotated:
            # A form that is sent once more, as by loading its answer anew, makes no third secret.
            if _spelt(served.keyring.old_until()) != fields.get("until", ""):
                raise Wrong(409, "endpoints.rotate_twice")
            return app.redelivery.rotate(name, timedelta(hours=int(hours)), by=visit.person.name)

        # Shown in the answer to this request and nowhere else: no address leads to it, and nothing keeps it.
        made = await anyio.to_thread.run_sync(change)
        return door.page(visit, "console_rotated.html", name=name, secret=made.secret, until=made.until)

    @router.post("/endpoints/{name}/{action}")
    async def act(name: str, action: str, request: Request) -> Response:
        visit, _ = await door.posted(request, Role.LEAD)
        if name not in app.endpoints.served:
            raise Wrong(404, "wrong.not_found")
        by = visit.person.name
        if action == "test":
            outcome = await anyio.to_thread.run_sync(lambda: app.redelivery.test(name, by=by))
            code, status = visit.say.code("outcome", outcome.code), f" {outcome.status}" if outcome.status else ""
            words = visit.say("endpoints.tested", name=name, code=code, status=status, ms=round(outcome.seconds * 1000))
            if app.endpoints.served[name].endpoint.kind in TICKET_KINDS and outcome.answer:
                zh, _, en = outcome.answer.partition(" / ")
                words += f"；{visit.say.either(zh, en or zh)[:200]}"
        elif action == "enable":
            await anyio.to_thread.run_sync(lambda: app.redelivery.enable(name, by=by))
            app.worker.wake("delivery")
            words = visit.say("endpoints.enabled", name=name)
        elif action == "disable":
            await anyio.to_thread.run_sync(lambda: app.redelivery.disable(name, by=by))
            words = visit.say("endpoints.disabled", name=name)
        else:
            raise Wrong(404, "wrong.not_found")
        return told("/console/endpoints", words)

    # ---- Deliveries

    @router.get("/deliveries")
    async def deliveries(request: Request) -> Response:
        visit = await door.enter(request, Role.LEAD)
        query = _kept(request.query_params)
        wrong: str | None = None
        found: list[DeliveryRow] = []
        try:
            wanted = _wanted(query, zone, _id(request.query_params.get("before", "")))
            found = await anyio.to_thread.run_sync(app.redelivery.find, wanted, _PAGE + 1)
        except ValueError:
            wrong = visit.say("reconcile.bad_day")
        except Refused as error:
            wrong = visit.say.either(error.zh, error.en)
        more = f"/console/deliveries?{urlencode(query | {'before': str(found[_PAGE - 1].id)})}" if len(found) > _PAGE else None
        values: dict[str, Any] = {
            "found": found[:_PAGE],
            "query": query,
            "more": more,
            "endpoints": list(app.endpoints.served),
            "types": [kind.value for kind in EventType],
            "states": STATES,
            # Everything ever sent is not to be sent again by one click.
            "bounded": bool(set(query) - {"endpoint"}),
            "wrong": wrong,
        }
        return door.page(visit, "console_deliveries.html", status=422 if wrong else 200, **values)

    @router.post("/deliveries/again")
    async def again(request: Request) -> Response:
        visit, fields = await door.posted(request, Role.LEAD)
        query = _kept(fields)
        by = visit.person.name
        if asked := fields.get("delivery", ""):
            one = _id(asked)
            # A delivery that cannot be read must not become all that the filters show.
            if one is None:
                raise Wrong(422, "wrong.form")
            count = await anyio.to_thread.run_sync(lambda: app.redelivery.one(one, by=by))
        else:
            try:
                wanted = _wanted(query, zone, None)
            except ValueError:
                # What cannot be read must not widen what is sent.
                raise Wrong(422, "reconcile.bad_day") from None
            count = await anyio.to_thread.run_sync(lambda: app.redelivery.all_of(wanted, by=by))
        app.worker.wake("delivery")
        return told(f"/console/deliveries?{urlencode(query)}", visit.say("deliveries.done", n=count))

    # ---- What is put aside

    @router.get("/parked")
    async def parked(request: Request) -> Response:
        visit = await door.enter(request, Role.LEAD)
        found = await anyio.to_thread.run_sync(app.quarantine.parked, _PARKED)
        return door.page(visit, "console_parked.html", found=found, acts=visit.may("operator"))

    @router.post("/parked/replay")
    async def replay(request: Request) -> Response:
        visit, fields = await door.posted(request, Role.OPERATOR)
        by, asked = f"staff {visit.person.id}", fields.get("job", "")
        ids = [one] if (one := _id(asked)) else None
        if ids is None and asked != "all":
            raise Wrong(422, "wrong.form")
        try:
            count = await anyio.to_thread.run_sync(app.quarantine.replay, ids, by)
        except Refused:
            # Somebody else was quicker.
            count = 0
        return told("/console/parked", visit.say("parked.replayed", n=count))

    # ---- Reconciliation

    @router.get("/reconcile")
    async def reconcile(request: Request) -> Response:
        visit = await door.enter(request, Role.LEAD)
        first, last = (request.query_params.get(name, "") for name in ("from", "to"))
        wrong: str | None = None
        report: Report | None = None
        try:
            since, until = _days(first, last, zone, app.clock.now(), app.settings.report.reconcile_days)
            report = await anyio.to_thread.run_sync(app.reconciliation.report, since, until)
        except ValueError:
            wrong = visit.say("reconcile.bad_day")
        except Refused as error:
            wrong = visit.say.either(error.zh, error.en)
        values: dict[str, Any] = {"report": report, "first": first[:10], "last": last[:10], "buckets": BUCKETS, "wrong": wrong}
        return door.page(visit, "console_reconcile.html", status=422 if wrong else 200, **values)

    return router


def _kept(asked: Mapping[str, str]) -> dict[str, str]:
    """The filters of an address or form that say anything, as further addresses repeat them. Nothing is passed over or cut off."""
    return {name: value for name in _FILTERS if (value := asked.get(name, "").strip())}


def _wanted(query: Mapping[str, str], zone: ZoneInfo, before: int | None) -> Wanted:
    """What the filters ask for, days by local time.

    Raises ValueError for what is no day, and `Refused` for a range the wrong way round and whatever else cannot be read: without its
    filter, more would be sent again than was asked for.
    """
    known = {"type": [kind.value for kind in EventType], "state": STATES}
    if any(query.get(name, among[0]) not in among for name, among in known.items()) or not _NAME.fullmatch(query.get("endpoint", "-")):
        raise Refused(
            "bad_filter", "没有这样的接收方、状态或类型，请重新选择", "there is no such endpoint, state or type; choose once more"
        )
    since = _day(query["from"], zone) if "from" in query else None
    until = _day(query["to"], zone) + timedelta(days=1) if "to" in query else None
    days_in_order(since, until)
    first, last = numbers_in_order(query.get("first", ""), query.get("last", ""))
    return Wanted(
        since=since,
        until=until,
        first=first,
        last=last,
        endpoint=query.get("endpoint", ""),
        number=number_of(query.get("number", "")),
        type=query.get("type", ""),
        state=query.get("state", ""),
        before=before,
    )


def _spelt(until: datetime | None) -> str:
    return until.isoformat() if until else ""


def _id(spelt: str) -> int | None:
    return int(spelt) if spelt.isascii() and spelt.isdigit() and len(spelt) <= _MOST_ID else None


def _days(first: str, last: str, zone: ZoneInfo, now: datetime, days: int) -> tuple[datetime, datetime]:
    """The period asked for; else the last days. Raises ValueError."""
    since = _day(first, zone) if first else now - timedelta(days=days)
    until = _day(last, zone) + timedelta(days=1) if last else now + timedelta(seconds=1)
    return since, until


def _day(spelt: str, zone: ZoneInfo) -> datetime:
    # Python reads weeks and times as well, each with a zone of its own, which is not asked for here.
    if not _DAY.fullmatch(spelt):
        raise ValueError
    at = datetime.fromisoformat(spelt).replace(tzinfo=zone)
    if not 1971 <= at.year <= 9000:
        raise ValueError
    return at
