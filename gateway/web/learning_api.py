"""The learning loop over the API: trained models, retraining, what routing alone rests on, drift, and examples."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from classifiers.promise import ANYWHERE, Basis
from gateway.bootstrap import App
from gateway.web.api import body_schema, json_of, needs, once
from models.staff import Scope
from models.verdict import ComplaintClass

_TEXT = {"type": "string"}
_BY = {"by": {"type": "string", "maxLength": 80, "description": "谁操作 who does it"}}
# A search for suspicious labels takes minutes; an answer is waited for so long.
_PATIENCE = 1.5


class Searching:
    """Looks for suspicious labels beside everything else: one search at a time, whoever asks."""

    def __init__(self, search: Callable[[], list[dict[str, Any]]]) -> None:
        self._search = search
        self._lock = threading.Lock()
        self._under_way: Future[list[dict[str, Any]]] | None = None

    def found(self) -> list[dict[str, Any]] | None:
        """What was found; None while it is still being looked for. Raises what the search raised."""
        with self._lock:
            if self._under_way is None:
                self._under_way = Future()
                threading.Thread(target=self._run, args=(self._under_way,), name="suspicious", daemon=True).start()
            future = self._under_way
        try:
            return future.result(_PATIENCE)
        except NotYet:
            if not future.done():
                return None
            raise
        finally:
            if future.done():
                with self._lock:
                    if self._under_way is future:
                        self._under_way = None

    def _run(self, future: Future[list[dict[str, Any]]]) -> None:
        try:
            future.set_result(self._search())
        except BaseException as error:
            future.set_exception(error)


def router(app: App, searching: Searching) -> APIRouter:
    """The routes, each behind its scope."""
    routes = APIRouter(prefix="/api/v1", route_class=once(app))

    def behind(scope: Scope) -> list[Any]:
        return [Depends(needs(app, scope))]

    models_read, models_write = behind(Scope.MODELS_READ), behind(Scope.MODELS_WRITE)
    examples_read, examples_write = behind(Scope.EXAMPLES_READ), behind(Scope.EXAMPLES_WRITE)

    @routes.get("/models", dependencies=models_read, summary="全部训练模型，新的在前。 All trained models, the newest first.")
    async def models() -> dict[str, Any]:
        return {"models": await anyio.to_thread.run_sync(app.learning.models)}

    @routes.get("/models/{version}", dependencies=models_read, summary="一个训练模型：说明与把关结论。 One trained model: card and gate.")
    async def model(version: str) -> dict[str, Any]:
        return await anyio.to_thread.run_sync(app.learning.model, _plain(version))

    @routes.post(
        "/models/{version}/promotion",
        dependencies=models_write,
        summary="启用这个模型。 Lets this trained model answer from now on.",
        openapi_extra=body_schema(("by",), **_BY, anyway={**_TEXT, "description": "未通过把关仍要启用的理由 why, though the gate said no"}),
    )
    async def promotion(version: str, request: Request) -> Response:
        body = await json_of(request, {"by": str, "anyway": str}, ("by",))
        asked = (_plain(version), body["by"], body.get("anyway", ""))
        return JSONResponse(await anyio.to_thread.run_sync(app.learning.promote, *asked))

    @routes.post(
        "/models/rollback",
        dependencies=models_write,
        summary="退回上一个模型。 Lets the trained model before answer again.",
        openapi_extra=body_schema(("by",), **_BY),
    )
    async def rollback(request: Request) -> Response:
        body = await json_of(request, {"by": str}, ("by",))
        return JSONResponse(await anyio.to_thread.run_sync(app.learning.roll_back, body["by"]))

    @routes.get("/retrainings", dependencies=models_read, summary="最近的重新训练，进行中的在前。 The newest retrainings.")
    async def retrainings() -> dict[str, Any]:
        current = await anyio.to_thread.run_sync(app.learning.current)
        return {"current": current, "retrainings": await anyio.to_thread.run_sync(app.learning.history)}

    @routes.get("/retrainings/{number}", dependencies=models_read, summary="一次重新训练。 One retraining, with its progress.")
    async def retraining(number: str) -> dict[str, Any]:
        return await anyio.to_thread.run_sync(app.learning.retraining, _number(number))

    @routes.post(
        "/retrainings",
        dependencies=models_write,
        status_code=202,
        summary="请求重新训练；已在进行时返回那一次。 Asks for a retraining; answers with the one under way where there is one.",
        openapi_extra=body_schema(("by",), **_BY),
    )
    async def retrain(request: Request) -> Response:
        body = await json_of(request, {"by": str}, ("by",))
        return JSONResponse(await anyio.to_thread.run_sync(app.learning.ask, body["by"]), 202)

    @routes.get("/promise", dependencies=models_read, summary="自动分派凭什么。 What routing alone rests on.")
    async def promise() -> dict[str, Any]:
        return await anyio.to_thread.run_sync(promise_json, app)

    @routes.get("/drift", dependencies=models_read, summary="来信是否偏离了模型所学。 Whether complaints move away from what is known.")
    async def drift() -> dict[str, Any]:
        return await anyio.to_thread.run_sync(app.drift.report)

    @routes.get("/examples/counts", dependencies=examples_read, summary="样本数量。 How many examples there are.")
    async def counts() -> dict[str, Any]:
        return await anyio.to_thread.run_sync(app.examples.counts)

    @routes.get("/examples/agreement", dependencies=examples_read, summary="人员之间是否一致。 How far people agree.")
    async def agreement() -> dict[str, Any]:
        return await anyio.to_thread.run_sync(app.examples.agreement)

    @routes.get("/examples/disagreements", dependencies=examples_read, summary="判定不一致的投诉。 Complaints on which people disagree.")
    async def disagreements() -> dict[str, Any]:
        return {"disagreements": await anyio.to_thread.run_sync(app.examples.disagreements)}

    @routes.get(
        "/examples/suspicious",
        dependencies=examples_read,
        summary="可疑标注，最可疑的在前；仍在查找时为 202。 Suspicious labels, the worst first; 202 while they are looked for.",
    )
    async def suspicious(limit: str = "50") -> Response:
        if not (limit.isdigit() and limit.isascii() and 1 <= int(limit[:6]) <= 200):
            raise HTTPException(422, "limit：应为 1 到 200 / limit: must be 1 to 200")
        found = await anyio.to_thread.run_sync(searching.found)
        if found is None:
            return JSONResponse({"searching": True, "suspicious": []}, 202, {"Retry-After": "5"})
        return JSONResponse({"searching": False, "suspicious": found[: int(limit)]})

    @routes.post(
        "/examples/{number}",
        dependencies=examples_write,
        summary="处理一个样本：keep 标注对，relabel 改判，ignore 不用。 Settles an example: keep, relabel or ignore.",
        openapi_extra=body_schema(
            ("action", "by"),
            **_BY,
            action={"type": "string", "enum": ["keep", "relabel", "ignore"]},
            primary={"type": "string", "enum": list(ComplaintClass)},
        ),
    )
    async def settle(number: str, request: Request) -> Response:
        body = await json_of(request, {"action": str, "primary": str, "by": str}, ("action", "by"))
        primary = body.get("primary")
        if primary is not None and primary not in list(ComplaintClass):
            known = ", ".join(ComplaintClass)
            raise HTTPException(422, f"primary：应为 {known} 之一 / primary: must be one of {known}")
        label = ComplaintClass(primary) if primary is not None else None
        asked = (_number(number), body["action"], label, body["by"])
        return JSONResponse(await anyio.to_thread.run_sync(app.examples.settle, *asked))

    return routes


def promise_json(app: App) -> dict[str, Any]:
    """What routing alone rests on, by channel and class, and whether the random sample shows the promise kept."""
    report = app.caution.report(app.champion.classifier(), app.clock.now())
    policy = report.policy
    rows = []
    for (channel, name), threshold in policy.thresholds.items():
        kept = report.kept.get((channel, name))
        # A channel of which nothing is known but what is known of all together need not be told apart.
        if name is ComplaintClass.OTHER or (channel != ANYWHERE and kept is None and threshold.basis is not Basis.CHANNEL):
            continue
        rows.append(
            {
                "channel": channel,
                "class": name.value,
                "threshold": round(threshold.probability, 4) if threshold.probability <= 1 else None,
                "basis": threshold.basis.value,
                "reviewed": threshold.reviewed,
                "audited": kept.audited if kept else 0,
                "wrong": kept.wrong if kept else 0,
                "broken": bool(kept and kept.broken),
            }
        )
    head = {"trained_model": report.trained_model, "tolerated": policy.tolerated, "reviewed": policy.reviewed}
    return {**head, "cautious": policy.cautious, "thresholds": rows}


def _plain(version: str) -> str:
    # PostgreSQL cannot even be asked for a text with NUL in it.
    return version if version.isprintable() else "?"


def _number(spelt: str) -> int:
    if not (spelt.isascii() and spelt.isdigit() and len(spelt) < 18):
        raise HTTPException(404, "没有这样的编号 / there is no such number")
    return int(spelt)
