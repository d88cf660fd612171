"""Deliver: an event goes to an endpoint, every try is kept, and what follows is decided by a table (Standard Webhooks 1.0.0)."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import Connection

from gateway import circuit
from gateway.circuit import Trouble
from gateway.flow import Report, Stage
from gateway.metrics import Metrics
from gateway.oplog import OperatorLog
from gateway.store import endpoints, events, jobs
from gateway.store.endpoints import TroubleRow
from gateway.store.engine import Store
from gateway.store.events import PendingDelivery, Tried
from gateway.store.jobs import Job
from models.delivery import Next, Outcome, OutcomeCode, Outgoing, RetryDecision
from models.endpoint import Endpoint


class Sender(Protocol):
    """Sends events over the network. Each kind of endpoint has its own."""

    def send(self, outgoing: Sequence[Outgoing]) -> list[Outcome]:
        """One outcome for each, in order; never raises. Where one brings a wish for time, those not begun by then have none: the last."""
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
    # The endpoint wants nothing more, ever: it is switched off, and its events wait until a person switches it on.
    OutcomeCode.GONE: Next.RETRY,
    # It asks for time.
    OutcomeCode.THROTTLED: Next.RETRY,
    OutcomeCode.SERVER_ERROR: Next.RETRY,
    OutcomeCode.TIMEOUT: Next.RETRY,
    OutcomeCode.UNREACHABLE: Next.RETRY,
    OutcomeCode.AWAY: Next.RETRY,
    # A private address that the operator has not allowed: his to decide, so it waits rather than vanishes.
    OutcomeCode.FORBIDDEN_ADDRESS: Next.RETRY,
}


# The size of batches: this at first; twice as many after a full one that was quick; half after one that was slow.
_LEAST_BATCH, _QUICK_SECONDS, _SLOW_SECONDS = 64, 0.3, 1.0
_NOT_BEGUN = RetryDecision(
    Next.RETRY, "not_begun: 接收方突然变慢，这一批没有发完 / the endpoint became slow, and this was not begun", counted=False
)
_ASKED_FOR_TIME = RetryDecision(
    Next.RETRY, "not_begun: 接收方要求稍候，这一批没有发完 / the endpoint asked for time, and this was not begun", counted=False
)


class Deliver:
    """The step from event to one endpoint, and the gate before it: rate, tries at once, and whether it is left alone for now.

    dress: makes of deliveries what is sent, in the endpoint's form and under the secrets that hold now.
    again: computes the decision for another try from job, reason and the receiver's own wish (see `gateway/worker.py`).
    """

    def __init__(
        self,
        store: Store,
        endpoint: Endpoint,
        sender: Sender,
        dress: Callable[[Sequence[PendingDelivery]], list[Outgoing]],
        stage: Stage,
        again: Callable[..., RetryDecision],
        log: OperatorLog,
        metrics: Metrics,
    ) -> None:
        self._store, self._endpoint, self._sender, self._dress = store, endpoint, sender, dress
        self._stage, self._again, self._log, self._metrics = stage, again, log, metrics
        # Whether nobody listened at some try since it was last asked. After a start it is asked.
        self._away = True
        self._lock = threading.Lock()
        self._held = 0
        # So many at once end before their lease does, whatever happens, or another node would send them too; two threads share them.
        rounds = max(1, int(stage.lease.total_seconds() // endpoint.timeout_seconds) - 1)
        self._sure = rounds * endpoint.concurrency
        # An endpoint that is quick is given more at a time, for each batch costs two commits.
        self._batch = self._least = min(_LEAST_BATCH, self._sure)
        self._slice = max(1, min(_LEAST_BATCH, self._sure // 2))
        self._tokens, self._filled_at = max(1.0, endpoint.rate_per_second), None
        self._trouble: TroubleRow | None = None

    _filled_at: datetime | None

    # ---- The gate --------------------------------------------------------------------------------------------------------------------

    def take(self, now: datetime, most: int) -> int:
        """How many deliveries may be claimed now: none while it is off or left alone, one while its circuit is open."""
        with self._store.read() as conn:
            standing = endpoints.standing(conn, self._endpoint.name)
        trouble = standing.trouble
        until = circuit.sane(trouble.next_try, now) if trouble else None
        if standing.disabled is not None or (until and until > now):
            return 0
        with self._lock:
            self._trouble = trouble
            if trouble and trouble.open:
                most = 1 if not self._held else 0
            may_hold = self._sure if self._batch == self._least else 2 * self._batch
            most = min(most, self._batch, may_hold - self._held)
            most = min(most, self._filled(now)) if most > 0 else 0
            self._held += max(most, 0)
            return max(most, 0)

    def give_back(self, held: int, used: int) -> None:
        """Those are free again; what was not used may be sent instead."""
        with self._lock:
            self._held -= held
            if self._endpoint.rate_per_second:
                self._tokens += held - used

    def _filled(self, now: datetime) -> int:
        """How many may be sent by the rate; they are taken at once."""
        rate = self._endpoint.rate_per_second
        if not rate:
            return self._stage.batch
        if self._filled_at is not None:
            past = max((now - self._filled_at).total_seconds(), 0)
            self._tokens = min(self._tokens + past * rate, max(1.0, rate))
        self._filled_at = now
        whole = min(int(self._tokens), self._stage.batch)
        self._tokens -= whole
        return whole

    # ---- The step --------------------------------------------------------------------------------------------------------------------

    def run(self, batch: Sequence[Job], now: datetime) -> list[Report]:
        """Sends the batch at once and reports on each."""
        with self._store.read() as conn:
            found = events.pending(conn, [job.payload["delivery_id"] for job in batch])
        reports: list[Report] = []
        to_send: list[tuple[Job, PendingDelivery]] = []
        for job in batch:
            pending = found.get(job.payload["delivery_id"])
            if pending is None:
                reason = "delivery_missing: 库中没有这次投递 / the store has no such delivery"
                reports.append(Report(job, RetryDecision(Next.PARK, reason)))
            elif pending.delivered:
                reports.append(Report(job, RetryDecision(Next.DONE, "delivered_before")))
            else:
                to_send.append((job, pending))
        before = self._trouble
        begun = time.monotonic()
        outcomes: list[Outcome] = []
        not_begun = _NOT_BEGUN
        # What is begun within the time of one try ends before its lease; the rest is given back. Only an endpoint that was quick and all at
        # once is not comes to that, or one that asks for time.
        while len(outcomes) < len(to_send) and (not outcomes or time.monotonic() - begun < self._endpoint.timeout_seconds):
            part = to_send[len(outcomes) : len(outcomes) + self._slice]
            brought = self._sender.send(self._dress([pending for _, pending in part]))
            outcomes += brought
            if any(map(circuit.asks_for_time, brought)):
                not_begun = _ASKED_FOR_TIME
                break
        took = time.monotonic() - begun
        self._suit(len(batch), took)
        reports += [Report(job, not_begun) for job, _ in to_send[len(outcomes) :]]
        sent = [self._report(job, p, outcome, now, before) for (job, p), outcome in zip(to_send, outcomes, strict=False)]
        for code, times in Counter(outcome.code.value for outcome in outcomes).items():
            self._metrics.attempts.labels(self._endpoint.name, code).inc(times)
        if any(outcome.code is OutcomeCode.AWAY for outcome in outcomes):
            # Until it is asked, even where another event gets through before that: what was tried in vain is sent at once then.
            self._away = True
        if sent and (before is not None or any(outcome.code is not OutcomeCode.ACCEPTED for outcome in outcomes)):
            tried = [report.entry for report in sent]
            # A wish for time counts from the answer.
            answered = now + timedelta(seconds=took)
            # It hangs on the batch and not on the job that carries it, which may have been made anew meanwhile.
            sent[0] = replace(sent[0], lasting=lambda conn: self._note(conn, tried, answered))
        return reports + sent

    def _suit(self, size: int, seconds: float) -> None:
        """Suits the size of batches to how quickly the endpoint takes them."""
        with self._lock:
            if size >= self._batch and seconds < _QUICK_SECONDS:
                self._batch = max(self._least, min(2 * self._batch, self._stage.batch))
            elif seconds > _SLOW_SECONDS:
                self._batch = max(self._least, self._batch // 2)

    def idle(self, now: datetime) -> bool:
        """Looks whether an endpoint that was away is back, and if so sends at once what waits for it."""
        if not self._away or not self._sender.reachable(self._endpoint.url):
            return False
        self._away = False
        with self._store.write() as conn:
            # The trouble first, then the jobs, as wherever both are written: else two nodes could wait for each other.
            endpoints.try_now(conn, self._endpoint.name, now, code=OutcomeCode.AWAY.value)
            waiting = jobs.hasten(conn, self._stage.kind, self._stage.queue, now, code=OutcomeCode.AWAY.value)
        if waiting:
            self._log.write("EndpointBack", endpoint=self._endpoint.name, waiting=waiting)
        return waiting > 0

    def _note(self, conn: Connection, tried: Sequence[Tried], now: datetime) -> None:
        """Writes how the endpoint stands after these tries; when its circuit closes, what waits for another try is due at once."""
        name = self._endpoint.name
        outcomes = [one.outcome for one in events.without_words(conn, tried)]
        if any(outcome.code is OutcomeCode.GONE for outcome in outcomes):
            endpoints.disable(self._store, conn, name, "410 Gone", now)
        row = endpoints.hold_trouble(conn, name)
        before = _trouble_of(row)
        after = circuit.after(before, outcomes, now, random.random)
        if after is not None and after != before:
            endpoints.keep_trouble(self._store, conn, _row_of(name, after))
        elif after is None and row is not None:
            endpoints.end_trouble(conn, name)
        was_open, is_open = before is not None and before.open, after is not None and after.open
        if was_open and not is_open:
            # Only then was it the endpoint; a single event that fails among others keeps its own schedule.
            waiting = jobs.hasten(conn, self._stage.kind, self._stage.queue, now)
            self._log.write("EndpointBack", endpoint=name, waiting=waiting)
        if after is not None and is_open and not was_open:
            code, status = after.last.code.value, after.last.status
            self._log.write("EndpointFailing", endpoint=name, failures=after.failures, code=code, status=status)

    def _report(self, job: Job, pending: PendingDelivery, outcome: Outcome, now: datetime, trouble: TroubleRow | None) -> Report:
        told: dict[str, object] = {
            "endpoint": pending.endpoint,
            "event_type": pending.event_type.value,
            "webhook_id": pending.webhook_id,
            "attempt": job.attempts,
            "code": outcome.code.value,
            "status": outcome.status,
            "ms": round(outcome.seconds * 1000),
        }
        decision = self._decide(job, outcome, probing=trouble is not None and trouble.open)
        log: list[tuple[str, dict[str, object]]] = [("DeliveryAttempt", told)]
        if decision.next is Next.DONE:
            self._metrics.delivered_after.observe(max((now - job.created_at).total_seconds() + outcome.seconds, 0))
            log.append(("Delivered", {"endpoint": pending.endpoint, "event_type": pending.event_type.value}))
        if outcome.code is OutcomeCode.GONE:
            log.append(("EndpointDisabled", {"endpoint": pending.endpoint}))
        return Report(job, decision, log=tuple(log), write_together=events.record_attempts, entry=Tried(pending.id, outcome, now))

    def _decide(self, job: Job, outcome: Outcome, *, probing: bool) -> RetryDecision:
        if _NEXT[outcome.code] is Next.DONE:
            return RetryDecision(Next.DONE, "accepted")
        status = f" {outcome.status}" if outcome.status else ""
        reason = f"{outcome.code.value}: 投递未成功{status} / not delivered{status}"
        if outcome.code is OutcomeCode.GONE:
            # Whoever switches it on again wants it, with as many tries as it had.
            return RetryDecision(Next.RETRY, reason, counted=False)
        wait = outcome.retry_after or timedelta(0)
        if probing and circuit.is_its_fault(outcome):
            # It is the endpoint and not the event; the next try is another's, so that no single event keeps the circuit open.
            return RetryDecision(Next.RETRY, reason, max(wait, timedelta(seconds=5)), counted=False)
        return self._again(self._stage, job, reason, at_least=wait)


def _trouble_of(row: TroubleRow | None) -> Trouble | None:
    if row is None:
        return None
    last = Outcome(OutcomeCode(row.code), row.status, 0.0, row.answer)
    return Trouble(row.failures, row.since, row.next_try, row.open, last, row.asked_until)


def _row_of(name: str, trouble: Trouble) -> TroubleRow:
    last = trouble.last
    at, code = trouble.next_try, last.code.value
    return TroubleRow(name, trouble.failures, trouble.since, at, trouble.open, code, last.status, last.answer, trouble.asked_until)
