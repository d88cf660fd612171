"""Triage: what a complaint is about, who must act, and whom to tell (预案 4.1–4.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import Connection

from classifiers.base import Classifier, Query
from gateway import correspondence, reopening, rules, ticket
from gateway.announcing import Announcer
from gateway.call_joining import Histories, Joining, Matter, filled
from gateway.correspondence import NOTHING_OF_OURS, Ours
from gateway.flow import Report
from gateway.metrics import Metrics
from gateway.plan import Plan
from gateway.store import call_joining, complaints, corrections, jobs, rounds, talks
from gateway.store.complaints import ComplaintRow, MessageRow
from gateway.store.engine import Store
from gateway.store.jobs import Job
from gateway.store.rounds import Round
from models.answer import Answer, AnswerState
from models.complaint import ComplaintState, Customer
from models.delivery import Event, EventType, Next, RetryDecision
from models.submission import Channel
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


class Acknowledger(Protocol):
    """Tells a customer that his complaint has arrived (`gateway.answering`)."""

    def acknowledge(self, conn: Connection, triaged: ticket.Triaged, now: datetime) -> Answer | None:
        """Keeps the acknowledgement on the transaction of the triage; None where there is none to give."""
        ...


class Alarm(Protocol):
    """Tells people of risks (`gateway.noticing`)."""

    def risks(self, conn: Connection, triaged: ticket.Triaged, now: datetime) -> None:
        """Puts a notice down on the transaction of the triage, where there is anything new to tell."""
        ...


class Triage:
    """The step from messages to verdict, assignment and events. `histories`: what callers have complained of before."""

    def __init__(
        self,
        store: Store,
        champion: Champion,
        decider: Decider,
        plan: Plan,
        announcer: Announcer,
        metrics: Metrics,
        acknowledger: Acknowledger,
        histories: Histories,
        alarm: Alarm,
        ours: Ours = NOTHING_OF_OURS,
    ) -> None:
        self._acknowledger, self._alarm, self._ours = acknowledger, alarm, ours
        self._store, self._champion, self._decider, self._plan = store, champion, decider, plan
        self._announcer, self._metrics, self._histories = announcer, metrics, histories

    def run(self, batch: Sequence[Job], now: datetime) -> list[Report]:
        """Classifies the batch in one call and decides for each."""
        with self._store.read() as conn:
            records = complaints.load(conn, [job.number for job in batch])
            # Nothing more is decided about a complaint whose words are gone.
            gone = [Report(job, RetryDecision(Next.DONE, "erased")) for job in batch if records[job.number].erased]
            batch = [job for job in batch if not records[job.number].erased]
            if not batch:
                return gone
            numbers = [job.number for job in batch]
            everything = complaints.conversation(conn, numbers)
            settled = corrections.settled(conn, numbers)
            stated = talks.stated(conn, numbers)
            again = [n for n in numbers if records[n].round > 1 or records[n].state in reopening.ENDED]
            turns = rounds.of(conn, again)
        # A bounce or an absence notice that joined says nothing of the matter.
        spoken = {number: [message for message in said if not message.aside] for number, said in everything.items()}
        classifier = self._champion.classifier()
        verdicts = classifier.classify([query(records[n], spoken[n], self._ours) for n in numbers])
        decided = [
            self._decider.decide(classifier, verdict, records[n].channel.value, n, now)
            for n, verdict in zip(numbers, verdicts, strict=True)
        ]  # fmt: skip
        past = self._histories.of({n: (records[n], spoken[n], verdict) for n, verdict in zip(numbers, verdicts, strict=True)})
        before: list[Matter] = []
        reports: list[Report] = gone
        for job, one in zip(batch, decided, strict=True):
            n = job.number
            customer = correspondence.known_customer(records[n].channel, one.verdict.customer, spoken[n], self._ours)
            if history := past.get(n):
                # A home that he did not say is the one that he has always named.
                customer = filled(customer, history.known)
                matter = self._histories.matter(records[n], spoken[n], one.verdict, customer, history)
                alone = records[n].state is ComplaintState.RECEIVED and len(spoken[n]) == 1
                if alone and (found := self._histories.decide(matter, history, before)):
                    reports.append(self._joined(job, spoken[n][-1], found, now))
                    continue
                before.append(matter)
            turn = turns.get(n, Round())
            reports.append(self._report(job, records[n], spoken[n], one, settled.get(n), customer, now, turn, disputed=n in stated))
        return reports

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
        customer: Customer,
        now: datetime,
        turn: Round,
        *,
        disputed: bool,
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
            mailing_list=all(message.machine for message in messages) and any(map(correspondence.through_list, messages)),
        )
        new = [message for message in messages if message.id > complaint.triaged_through]
        objection = reopening.reopens(complaint, new, turn.ended)
        if objection is not None:
            complaint = replace(complaint, round=complaint.round + 1)
        # Each round has its own due times.
        since = objection.received_at if objection else turn.began or complaint.received_at
        assignment = rules.assign(facts, self._plan, since)
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
        if objection is not None:
            kind = EventType.REOPENED
            opinion = "\n".join(message.said for message in new if message.said)
            event = self._announcer.reopened(triaged, now, by="customer", opinion=opinion)
        else:
            event = self._announcer.assigned(kind, triaged, now)

        # A person also sees what a machine sent, what says nothing and what its customer takes for another, however sure the model is.
        looked_at = decided.audited is not None or facts.machine or facts.said_nothing or disputed
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
                reopens=objection is not None,
            )
            # Looked at once the complaint is ours to write: a correction that confirms tells nobody, and so leaves the last event as it is.
            if corrections.settled(conn, [complaint.number]).get(complaint.number) is not settled:
                raise complaints.Overtaken(complaint.number)
            if kind is EventType.ROUTED and complaint.channel is Channel.PHONE:
                # Only now is it sure that the call belongs to no earlier complaint.
                self._announcer.announce(conn, self._received(complaint, messages[0], now))
            self._announcer.announce(conn, said)
            self._announcer.announce(conn, event)
            self._alarm.risks(conn, triaged, now)
            del log[2:]
            if kind is EventType.ROUTED:
                told = self._acknowledger.acknowledge(conn, triaged, now)
                why = (told.reason or "").partition(":")[0] if told is not None else ""
                if told is not None and told.state is AnswerState.SUPPRESSED:
                    self._metrics.answers.labels(told.kind.value, told.way.value, told.state.value).inc()
                # Where outgoing mail is off, that is said once, by `jiesu check-config`, and not for each mail.
                if told is not None and told.state is AnswerState.SUPPRESSED and why != "mail_off":
                    log.append(("AnswerSuppressed", {"kind": told.kind.value, "reason": why}))

        self._metrics.verdicts.labels(verdict.primary.value, verdict.decision.value).inc()
        log: list[tuple[str, dict[str, object]]] = [
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
        ]
        return Report(job, RetryDecision(Next.DONE, "done"), write, log)

    def _received(self, complaint: ComplaintRow, first: MessageRow, now: datetime) -> Event:
        return self._announcer.received(
            complaint.number,
            complaint.channel,
            complaint.received_at,
            now,
            title=first.title,
            said=first.said,
            attachments=first.parsed.get("attachments", []),
            machine=first.machine,
        )

    def _joined(self, job: Job, message: MessageRow, found: Joining, now: datetime) -> Report:
        """A call that nobody was told of goes to the complaint that it is about, which is sorted again."""
        why = {"by": found.code, "zh": found.zh, "en": found.en}

        def write(conn: Connection) -> None:
            if call_joining.join(conn, message.submission_id, job.number, found.to_number, now, why):
                again = jobs.NewJob("triage", found.to_number, found.to_number, {}, run_at=now)
                jobs.postpone_or_enqueue(conn, again, now, latest_after=timedelta(0))
            else:
                # The other is gone or this one has grown: as if it had never been looked for.
                raise complaints.Overtaken(job.number)

        log: tuple[tuple[str, dict[str, object]], ...] = (("Joined", {"joined": found.to_number, "by": found.code}),)
        return Report(job, RetryDecision(Next.DONE, "joined"), write, log)


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


def query(complaint: ComplaintRow, messages: Sequence[MessageRow], ours: Ours = NOTHING_OF_OURS) -> Query:
    """What the classifier is asked: only what was said now, and the whole text for finding who the customer is.

    Others who write into his complaint speak of the matter, but their names and phones are not his.
    """
    others = {message.id for message in correspondence.by_others(messages, ours)}
    his = [message for message in messages if message.id not in others]
    return Query(
        said="\n".join(message.said for message in messages if message.said),
        title=complaint.title,
        context="\n".join(message.text for message in messages),
        channel=complaint.channel.value,
        sender=next((message.hints.name for message in reversed(messages) if message.hints.name), ""),
        own=query(complaint, his, ours) if others else None,
    )
