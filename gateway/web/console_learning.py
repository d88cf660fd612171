"""The console's pages for a lead: trained models with retraining, promotion and going back; examples whose labels may be wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import anyio.to_thread
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from gateway.bootstrap import App
from gateway.web.console_door import Door, Visit, Wrong
from gateway.web.learning_api import Searching, promise_json
from models.errors import Refused
from models.staff import Role
from models.verdict import ComplaintClass

# What is shown of a card, with whether more is better.
_FIGURES: tuple[tuple[str, bool], ...] = (
    ("accuracy", True),
    ("macro_f1", True),
    ("top_two", True),
    ("secondary_f1", True),
    ("auto_share", True),
    ("auto_error", False),
)
_SHOWN_CHANGES = 30


def routes(app: App, door: Door, searching: Searching) -> APIRouter:
    """The models and examples pages. All of them want a lead."""
    router = APIRouter(prefix="/console", include_in_schema=False)

    @router.get("/models")
    async def models(request: Request) -> Response:
        visit = await door.enter(request, Role.LEAD)
        return await models_page(visit)

    async def models_page(visit: Visit, *, status: int = 200, wrong: str | None = None) -> Response:
        listed = await anyio.to_thread.run_sync(app.learning.models)
        chosen = visit.request.query_params.get("version", "")
        version = chosen if any(one["version"] == chosen for one in listed) else _first(listed)
        champion_version = next((one["version"] for one in listed if one["state"] == "champion"), None)
        shown = await anyio.to_thread.run_sync(app.learning.model, version) if version else None
        champion = await anyio.to_thread.run_sync(app.learning.model, champion_version) if champion_version else None
        values: dict[str, Any] = {
            "models": listed,
            "shown": shown,
            "champion": champion,
            "wrong": wrong,
            "figures": _figures(shown, champion),
            "confusions": _confusions(shown),
            "changes": _changes(shown),
            "classes": list(ComplaintClass),
            "card": json.dumps(shown["card"], ensure_ascii=False, indent=1) if shown else "",
            "promise": await anyio.to_thread.run_sync(promise_json, app),
            **await retraining_values(),
            "drift": await anyio.to_thread.run_sync(app.drift.report),
        }
        return door.page(visit, "console_models.html", status=status, **values)

    async def retraining_values() -> dict[str, Any]:
        current = await anyio.to_thread.run_sync(app.learning.current)
        ended = [one for one in await anyio.to_thread.run_sync(app.learning.history, 5) if one["finished_at"]]
        return {"current": current, "last": ended[0] if ended else None}

    @router.get("/models/retraining")
    async def retraining(request: Request) -> Response:
        visit = await door.enter(request, Role.LEAD)
        return door.page(visit, "console_retraining.html", **await retraining_values())

    async def changed(visit: Visit, work: Any, *asked: Any) -> dict[str, Any] | Response:
        """What became of a change; or the page again, which says why it was refused."""
        try:
            done: dict[str, Any] = await anyio.to_thread.run_sync(work, *asked)
        except Refused as error:
            return await models_page(visit, status=409, wrong=visit.say.either(error.zh, error.en))
        return done

    def told(where: str, words: str) -> Response:
        answer = RedirectResponse(where, 303)
        door.tell(answer, words)
        return answer

    @router.post("/models/retrain")
    async def retrain(request: Request) -> Response:
        visit, _ = await door.posted(request, Role.LEAD)
        done = await changed(visit, app.learning.ask, visit.person.name)
        if isinstance(done, Response):
            return done
        return told("/console/models", visit.say("retrain.asked" if done.get("new", True) else "retrain.open"))

    @router.post("/models/promote")
    async def promote(request: Request) -> Response:
        visit, fields = await door.posted(request, Role.LEAD)
        version = fields.get("version", "")
        if not version.isprintable():
            raise Wrong(404, "wrong.not_found")
        done = await changed(visit, app.learning.promote, version, visit.person.name, fields.get("anyway", ""))
        if isinstance(done, Response):
            return done
        return told(f"/console/models?version={quote(version)}", visit.say("models.promoted", version=version[:12]))

    @router.post("/models/rollback")
    async def roll_back(request: Request) -> Response:
        visit, _ = await door.posted(request, Role.LEAD)
        done = await changed(visit, app.learning.roll_back, visit.person.name)
        if isinstance(done, Response):
            return done
        return told("/console/models", visit.say("models.rolled_back", version=str(done["version"])[:12]))

    @router.get("/examples")
    async def examples(request: Request) -> Response:
        visit = await door.enter(request, Role.LEAD)
        values: dict[str, Any] = {
            "counts": await anyio.to_thread.run_sync(app.examples.counts),
            "agreement": await anyio.to_thread.run_sync(app.examples.agreement),
            "disagreements": (await anyio.to_thread.run_sync(app.examples.disagreements))[:100],
            "classes": list(ComplaintClass),
            "drift": await anyio.to_thread.run_sync(app.drift.report),
        }
        return door.page(visit, "console_examples.html", **values)

    @router.get("/examples/suspicious")
    async def suspicious(request: Request) -> Response:
        visit = await door.enter(request, Role.LEAD)
        found = await anyio.to_thread.run_sync(searching.found)
        values: dict[str, Any] = {"suspicious": None if found is None else found[:50], "classes": list(ComplaintClass)}
        return door.page(visit, "console_suspicious.html" if visit.by_script else "console_suspicious_page.html", **values)

    @router.post("/examples/{number}")
    async def settle(number: str, request: Request) -> Response:
        visit, fields = await door.posted(request, Role.LEAD)
        action, _, primary = fields.get("action", "").partition(":")
        if not (number.isascii() and number.isdigit() and len(number) < 18):
            raise Wrong(404, "wrong.not_found")
        if primary and primary not in list(ComplaintClass):
            raise Wrong(422, "wrong.class")
        label = ComplaintClass(primary) if primary else None
        await anyio.to_thread.run_sync(app.examples.settle, int(number), action, label, visit.person.name)
        return told("/console/examples", visit.say("examples.settled", id=number))

    return router


def _first(listed: list[dict[str, Any]]) -> str | None:
    """What is shown where nothing was chosen: a candidate that waits for somebody, else what answers now."""
    for state in ("candidate", "champion"):
        for one in listed:
            if one["state"] == state:
                return str(one["version"])
    return str(listed[0]["version"]) if listed else None


def _figures(shown: Mapping[str, Any] | None, champion: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """A row a figure: of what is shown, of what answers now, and whether the difference is for the better."""
    if shown is None:
        return []
    new, old = (shown.get("figures") or {}), ((champion or {}).get("figures") or {})
    rows = [
        _row(f"figure.{key}", {}, new.get(key), old.get(key), more_is_better=better) for key, better in _FIGURES if new.get(key) is not None
    ]
    for name in ComplaintClass:
        found = [((one.get("per_class") or {}).get(name.value) or {}).get("recall") for one in (new, old)]
        if found[0] is not None:
            rows.append(_row("figure.found", {"klass": name.value}, *found, more_is_better=True))
    return rows


def _row(key: str, fill: Mapping[str, str], new: Any, old: Any, *, more_is_better: bool) -> dict[str, Any]:
    change = None if old is None or new is None else round(new - old, 4)
    good = None if not change else (change > 0) is more_is_better
    return {"key": key, "fill": fill, "new": new, "old": old, "change": change, "good": good}


def _confusions(shown: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Confusion tables: of the gate's sets for both, or of the card where no gate has judged."""
    if shown is None:
        return []
    sets = (shown.get("gate") or {}).get("sets") or {}
    tables = [
        {"set": name, "who": who, "rows": told[who]["confusion"]}
        for name, told in sets.items()
        for who in ("champion", "candidate")
        if told.get("texts") and (told.get(who) or {}).get("confusion")
    ]
    whole = (shown.get("figures") or {}).get("confusion")
    return tables or ([{"set": "card", "who": None, "rows": whole}] if whole else [])


def _changes(shown: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """For each of the gate's sets what would be answered otherwise."""
    sets = ((shown or {}).get("gate") or {}).get("sets") or {}
    return [{**told, "set": name, "changed": told.get("changed", [])[:_SHOWN_CHANGES]} for name, told in sets.items() if told.get("texts")]
