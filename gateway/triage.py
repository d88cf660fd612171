"""Triage: what a complaint is about, who must act, and whom to tell (预案 4.1–4.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection

from classifiers.base import Classifier, Query
from gateway import rules, ticket
from gateway.announcing import Announcer
from gateway.flow import Report
from gateway.metrics import Metrics
from gateway.plan import Plan
from gateway.store import complaints, corrections
from gateway.store.complaints import ComplaintRow, MessageRow
from gateway.store.engine import Store
from gateway.store.jobs import Job
from models.complaint import ComplaintState, Customer
from models.delivery import EventType, Next, RetryDecision
from models.verdict import ComplaintClass, Decision, Verdict


class Champion(Protocol):
    """Where the classifier that answers now is had from."""

    def classifier(self) -> Classifier:
        """The champion; loaded once."""
        ...


class Decided(Protocol):
    """A verdict as it stands here (`gateway.caution.Decided`)."""

    @property
    def verdict(self) -> Verdict:
        """With calibrated probabilities and the decision."""
        ...

    @property
    def stated(self) -> tuple[float, ...]:
        """The probabilities before."""
        ...

    @property
    def audited(self) -> float | None:
        """The share of such complaints that a person looks at, where this is one of them."""
        ...


class Decider(Protocol):
    """Says how sure is sure enough (`gateway.caution`)."""

    def decide(self, classifier: Classifier, verdict: Verdict, channel: str, number: str, now: datetime) -> Decided:
        """The verdict as it stands here."""
        ...

    def rank(self, verdict: Verdict, audited: bool, urgency: int) -> float | None:
        """Where in the review queue the complaint stands; None where nobody need look."""
        ...


class Triage:
    """The step from messages to verdict, assignment and events."""

    def __init__(
        self,
        store: Store,
        champion: Champion,
        decider: Decider,
        plan: Plan,
        announcer: Announcer,
        metrics: Metrics,
    ) -> None:
        self._store, self._champion, self._decider, self._plan = store, champion, decider, plan
        self._announcer, self._metrics = announcer, metrics

    def run(self, batch: Sequence[Job], now: datetime) -> list[Report]:
        """Classifies the batch in one call and decides for each."""
        numbers = [job.number for job in batch]
        with self._store.read() as conn:
            records = complaints.load(conn, numbers)
            talks = complaints.conversation(conn, numbers)
            settled = corrections.settled(conn, numbers)
        classifier = self._champion.classifier()
        verdicts = classifier.classify([query(records[n], talks[n]) for n in numbers])
        decided = [
            self._decider.decide(classifier, verdict, records[n].channel.value, n, now)
            for n, verdict in zip(numbers, verdicts, strict=True)
        ]  # fmt: skip
        return [
            self._report(job, records[job.number], talks[job.number], one, settled.get(job.number), now)
            for job, one in zip(batch, decided, strict=True)
        ]  # fmt: skip

    def idle(self, now: datetime) -> bool:
        """Nothing to look for."""
        return False

    def _report(
        self,
        job: Job,
        complaint: ComplaintRow,
        messages: Sequence[MessageRow],
        decided: Decided,
        settled: ComplaintClass | None,
        now: datetime,
    ) -> Report:
        # What staff has said stays, whatever the customer adds.
        verdict = decided.verdict if settled is None else by_person(decided.verdict, settled)
        through = max(message.id for message in messages)
        if through <= complaint.triaged_through:
            # An earlier triage has seen everything already.
            return Report(job, RetryDecision(Next.DONE, "nothing_new"))
        facts = rules.Facts(
            verdict,
            said_nothing=not any(message.said.strip() or message.title.strip() for message in messages),
            machine=all(message.machine for message in messages),
        )
        assignment = rules.assign(facts, self._plan, complaint.received_at)
        customer = _customer(verdict, messages)
        triaged = self._announcer.triaged(complaint, messages, customer, verdict, assignment)
        kind = EventType.UPDATED
        if complaint.state is ComplaintState.RECEIVED:
            kind = EventType.ROUTED
        elif (verdict.primary, assignment.department, assignment.priority.value) != (
            complaint.klass,
            complaint.department,
            complaint.priority,
        ):
            kind = EventType.REROUTED
        said = self._announcer.classified(complaint, verdict, assignment.department, now)
        event = self._announcer.assigned(kind, triaged, now)

        # A person is also to see what was sent by a machine or says nothing, however sure the model is.
        looked_at = decided.audited is not None or facts.machine or facts.said_nothing
        review_rank = None if settled else self._decider.rank(verdict, looked_at, rules.urgency(assignment.priority))

        def write(conn: Connection) -> None:
            complaints.record_triage(
                conn,
                complaint,
                verdict=verdict,
                verdict_body=ticket.verdict_json(verdict) | evidence_json(decided),
                assignment=assignment,
                assignment_body=ticket.assignment_json(assignment),
                customer=customer,
                through=through,
                event_id=event.id,
                review_rank=review_rank,
                at=now,
            )
            # Looked at once the complaint is ours to write: a correction that confirms tells nobody, and so leaves the last event as it is.
            if corrections.settled(conn, [complaint.number]).get(complaint.number) is not settled:
                raise complaints.Overtaken(complaint.number)
            self._announcer.announce(conn, said)
            self._announcer.announce(conn, event)

        self._metrics.verdicts.labels(verdict.primary.value, verdict.decision.value).inc()
        log: tuple[tuple[str, dict[str, object]], ...] = (
            (
                "Classified",
                {
                    "klass": verdict.primary.value,
                    "decision": verdict.decision.value,
                    "confidence": round(verdict.probabilities[verdict.primary], 3),
                    "risk": [risk.value for risk in verdict.risk],
                    "trained_model": verdict.trained_model,
                },
            ),
            (
                "Routed",
                {
                    "event_type": kind.value,
                    "department": assignment.department,
                    "priority": assignment.priority.value,
                    "rule": assignment.rule,
                    "plan_version": assignment.plan_version,
                },
            ),
        )
        return Report(job, RetryDecision(Next.DONE, "done"), write, log)


def by_person(verdict: Verdict, klass: ComplaintClass) -> Verdict:
    """The verdict with the class that staff has given the complaint."""
    return replace(
        verdict,
        primary=klass,
        secondary=tuple(name for name in verdict.secondary if name is not klass),
        decision=Decision.PERSON,
        decision_code="decided_by_person",
    )


def evidence_json(decided: Decided) -> dict[str, object]:
    """What is kept beside a verdict so that a correction of it is evidence later: what was stated, and how it was picked."""
    return {
        "said": decided.verdict.primary.value,
        "stated": [round(chance, 6) for chance in decided.stated],
        "alone": decided.verdict.decision is Decision.AUTO,
        "nothing_to_go_by": decided.verdict.decision_code == "nothing_to_go_by",
        "audited": decided.audited,
    }


def query(complaint: ComplaintRow, messages: Sequence[MessageRow]) -> Query:
    """What the classifier is asked: only what the customer said, and the whole text for finding who he is."""
    return Query(
        said="\n".join(message.said for message in messages if message.said),
        title=complaint.title,
        context="\n".join(message.text for message in messages),
        channel=complaint.channel.value,
    )


def _customer(verdict: Verdict, messages: Sequence[MessageRow]) -> Customer:
    """Who complains: what the text says, then what the newest envelope says."""
    customer = verdict.customer
    for message in reversed(messages):
        customer = customer.or_else(message.hints)
    return customer
