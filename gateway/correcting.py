"""What becomes of a correction: it is kept, and the complaint goes where it belongs at once (预案 4.2, 4.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway import rules, ticket, triage
from gateway.announcing import Announcer
from gateway.clock import Clock
from gateway.examples import Examples
from gateway.oplog import OperatorLog
from gateway.plan import Plan
from gateway.store import complaints, corrections, rounds, threads, unread
from gateway.store import examples as training_store
from gateway.store.engine import Store
from models.correction import Correction, Source
from models.delivery import EventType
from models.errors import Refused
from models.verdict import ComplaintClass, Decision

# Longest note and name that are kept.
MOST_NOTE, MOST_BY = 2000, 80


@dataclass(frozen=True, slots=True)
class Corrected:
    """What a correction brought. `event` is None where it confirmed what everybody had been told."""

    correction: Correction
    department: str
    event: str | None


class Correcting:
    """Takes corrections, from whichever way they come in. `tell` wakes the worker."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        plan: Plan,
        announcer: Announcer,
        log: OperatorLog,
        examples: Examples,
    ) -> None:
        self._store, self._clock, self._plan, self._log = store, clock, plan, log
        self._announcer, self._examples = announcer, examples

    def correct(self, number: str, should_be: ComplaintClass, *, by: str, source: Source, note: str = "") -> Corrected:
        """Keeps a correction of the newest verdict; where class or department change, assigns anew and tells the endpoints.

        Raises `Refused` for a complaint that is not there or not sorted yet, and for a name or note that will not do; `Overtaken` where
        somebody else decided at the same time. Then nothing is written.
        """
        by, note = by.strip(), note.strip()
        if not by or len(by) > MOST_BY:
            raise Refused("bad_by", f"by：请写明是谁判定的（1–{MOST_BY} 字）", f"by: say who decides (1 to {MOST_BY} characters)")
        if len(note) > MOST_NOTE:
            raise Refused("bad_note", f"note：最多 {MOST_NOTE} 字", f"note: {MOST_NOTE} characters at most")
        now = self._clock.now()
        with self._store.write() as conn:
            # The number that a mail was given before it was joined leads to its complaint.
            number = threads.resolve(conn, number)
            complaint = complaints.load(conn, [number], hold=True).get(number)
            if complaint is None:
                raise unread.lacking(conn, number)
            complaints.not_erased(complaint)
            body = complaints.latest_verdict(conn, number)
            if body is None or complaint.klass is None:
                raise Refused("not_sorted_yet", f"投诉 {number} 还在分类，请稍候", f"{number} is still being sorted; wait a moment")
            messages = [message for message in complaints.conversation(conn, [number])[number] if not message.aside]
            verdict = triage.by_person(ticket.verdict_of(body, complaint.customer), should_be)
            began = rounds.of(conn, [number])[number].began if complaint.round > 1 else None
            facts = rules.Facts(verdict, said_nothing=False, machine=False)
            assignment = rules.assign(facts, self._plan, began or complaint.received_at)
            correction = _correction(number, complaint.channel.value, body, should_be, by=by, source=source, note=note, at=now)
            event = None
            if (should_be, assignment.department) != (complaint.klass, complaint.department):
                triaged = self._announcer.triaged(complaint, messages, complaint.customer, verdict, assignment)
                event = self._announcer.assigned(EventType.REROUTED, triaged, now)
                complaints.record_correction(conn, complaint, should_be, assignment, ticket.assignment_json(assignment), event.id, now)
                self._announcer.announce(conn, self._announcer.classified(complaint, verdict, assignment.department, now))
                self._announcer.announce(conn, event)
            corrections.add(conn, correction)
            # What it teaches is kept in the same moment, without whose complaint it is.
            copy = self._examples.copy_of(complaint, messages, correction)
            if copy is not None:
                training_store.put(self._store, conn, copy)
        self._log.write(
            "Corrected",
            number,
            was=correction.was.value,
            should_be=should_be.value,
            source=source.value,
            department=assignment.department,
            rerouted=event is not None,
        )
        return Corrected(correction, assignment.department, event.id if event else None)


def _correction(
    number: str, channel: str, body: Mapping[str, Any], should_be: ComplaintClass, *, by: str, source: Source, note: str, at: Any
) -> Correction:
    # Verdicts of earlier versions say neither what was stated before calibration nor how they were picked.
    stated = body.get("stated") or [body["probabilities"][name.value] for name in ComplaintClass]
    alone, audited = body.get("alone", body["decision"] == Decision.AUTO), body.get("audited")
    # What was neither put to review nor picked at random was looked at because it seemed wrong: that says nothing of how often it is.
    weight = (1 / audited if audited else 0.0) if alone else 1.0
    if body.get("nothing_to_go_by") or body["decision"] == Decision.PERSON:
        # No word that the model knows: it is never routed alone, and what it stated is the same for all such. And what was settled already
        # when the model spoke was neither reviewed nor picked for what it said.
        weight = 0.0
    return Correction(
        number=number,
        at=at,
        by=by,
        source=source,
        was=ComplaintClass(body.get("said", body["primary"])),
        should_be=should_be,
        trained_model=body["trained_model"],
        channel=channel,
        stated=tuple(stated),
        alone=alone,
        weight=weight,
        note=note,
    )
