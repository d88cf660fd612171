"""Deliver: an event goes to an endpoint, every try is kept, and what follows is decided by a table (Standard Webhooks 1.0.0)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import Connection

from gateway.flow import Report, Stage
from gateway.metrics import Metrics
from gateway.oplog import OperatorLog
from gateway.store import events, jobs
from gateway.store.engine import Store
from gateway.store.events import PendingDelivery
from gateway.store.jobs import Job
from models.delivery import Next, Outcome, OutcomeCode, Outgoing, RetryDecision


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Somebody who is told of events. `secret` is `whsec_…`."""

    name: str
    url: str
    secret: str


class Sender(Protocol):
    """Sends events over the network."""

    def send(self, outgoing: Sequence[Outgoing]) -> list[Outcome]:
        """One outcome for each, in order; never raises."""
        ...

    def reachable(self, url: str) -> bool:
        """Whether somebody listens there."""
        ...


# What a try's outcome means: done, to be tried again, or put aside.
_NEXT: Mapping[OutcomeCode, Next] = {
    # Only 2xx is a yes.
    OutcomeCode.ACCEPTED: Next.DONE,
    # A redirect is a failure and is not followed.
    OutcomeCode.REDIRECTED: Next.RETRY,
    # A receiver with a wrong secret or a bug answers so; once it is mended the event must still come.
    OutcomeCode.CLIENT_ERROR: Next.RETRY,
    # The endpoint wants nothing more, ever.
    OutcomeCode.GONE: Next.PARK,
    # It asks for time.
    OutcomeCode.THROTTLED: Next.RETRY,
    OutcomeCode.SERVER_ERROR: Next.RETRY,
    OutcomeCode.TIMEOUT: Next.RETRY,
    OutcomeCode.UNREACHABLE: Next.RETRY,
    OutcomeCode.AWAY: Next.RETRY,
    # A private address that the operator has not allowed: his to decide, so it waits rather than vanishes.
    OutcomeCode.FORBIDDEN_ADDRESS: Next.RETRY,
}


class Deliver:
    """The step from event to endpoint.

    again: computes the decision for another try from job, reason and the receiver's own wish (see `gateway/worker.py`).
    """

    def __init__(
        self,
        store: Store,
        endpoints: Mapping[str, Endpoint],
        sender: Sender,
        stage: Stage,
        again: Callable[..., RetryDecision],
        log: OperatorLog,
        metrics: Metrics,
    ) -> None:
        self._store, self._endpoints, self._sender = store, endpoints, sender
        self._stage, self._again, self._log, self._metrics = stage, again, log, metrics
        # Endpoints at which nobody listened at the last try. After a start, all are asked.
        self._away = set(endpoints)

    def run(self, batch: Sequence[Job], now: datetime) -> list[Report]:
        """Sends the batch at once and reports on each."""
        with self._store.read() as conn:
            found = events.pending(conn, [job.payload["delivery_id"] for job in batch])
            off = events.disabled(conn)
        reports: list[Report] = []
        to_send: list[tuple[Job, PendingDelivery]] = []
        for job in batch:
            pending = found[job.payload["delivery_id"]]
            if pending.delivered:
                reports.append(Report(job, RetryDecision(Next.DONE, "delivered_before")))
            elif pending.endpoint in off:
                reason = (
                    "endpoint_disabled: 接收方已停用，恢复后请用 jiesu replay / the endpoint is disabled; use jiesu replay once it is back"
                )
                reports.append(Report(job, RetryDecision(Next.PARK, reason)))
            elif pending.endpoint not in self._endpoints:
                reason = "endpoint_unknown: 设置中没有这个接收方 / the settings know no such endpoint"
                reports.append(Report(job, RetryDecision(Next.PARK, reason)))
            else:
                to_send.append((job, pending))
        outcomes = self._sender.send([self._outgoing(pending) for _, pending in to_send])
        for (job, pending), outcome in zip(to_send, outcomes, strict=True):
            reports.append(self._report(job, pending, outcome, now))
        return reports

    def idle(self, now: datetime) -> bool:
        """Looks whether an endpoint that was away is back, and if so sends at once what waits for it."""
        hastened = 0
        for name in sorted(self._away):
            if not self._sender.reachable(self._endpoints[name].url):
                continue
            self._away.discard(name)
            with self._store.write() as conn:
                waiting = jobs.hasten(conn, self._stage.kind, f"{name}:", OutcomeCode.AWAY.value, now)
            if waiting:
                self._log.write("EndpointBack", endpoint=name, waiting=waiting)
            hastened += waiting
        return hastened > 0

    def _outgoing(self, pending: PendingDelivery) -> Outgoing:
        endpoint = self._endpoints[pending.endpoint]
        return Outgoing(pending.webhook_id, endpoint.url, endpoint.secret, pending.payload.encode())

    def _report(self, job: Job, pending: PendingDelivery, outcome: Outcome, now: datetime) -> Report:
        told: dict[str, object] = {
            "endpoint": pending.endpoint,
            "event_type": pending.event_type.value,
            "webhook_id": pending.webhook_id,
            "attempt": job.attempts,
            "code": outcome.code.value,
            "status": outcome.status,
            "ms": round(outcome.seconds * 1000),
        }
        self._metrics.attempts.labels(pending.endpoint, outcome.code.value).inc()
        decision = self._decide(job, outcome)
        if outcome.code is OutcomeCode.AWAY:
            self._away.add(pending.endpoint)
        else:
            self._away.discard(pending.endpoint)

        def write(conn: Connection) -> None:
            events.record_attempt(conn, pending.id, outcome, now)
            if decision.next is Next.DONE:
                events.mark_delivered(conn, pending.id, now)
            if outcome.code is OutcomeCode.GONE:
                events.disable_endpoint(self._store, conn, pending.endpoint, "410 Gone", now)

        log: list[tuple[str, dict[str, object]]] = [("DeliveryAttempt", told)]
        if decision.next is Next.DONE:
            self._metrics.delivered_after.observe(max((now - job.created_at).total_seconds() + outcome.seconds, 0))
            log.append(("Delivered", {"endpoint": pending.endpoint, "event_type": pending.event_type.value}))
        if outcome.code is OutcomeCode.GONE:
            log.append(("EndpointDisabled", {"endpoint": pending.endpoint}))
        return Report(job, decision, write, tuple(log))

    def _decide(self, job: Job, outcome: Outcome) -> RetryDecision:
        following = _NEXT[outcome.code]
        if following is Next.DONE:
            return RetryDecision(Next.DONE, "accepted")
        if following is Next.PARK:
            return RetryDecision(Next.PARK, "endpoint_gone: 接收方答复 410，已停止投递 / the endpoint answered 410 and gets nothing more")
        status = f" {outcome.status}" if outcome.status else ""
        return self._again(
            self._stage,
            job,
            f"{outcome.code.value}: 投递未成功{status} / not delivered{status}",
            at_least=outcome.retry_after or timedelta(0),
        )
