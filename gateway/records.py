"""What the doors may read back: where a complaint stands, and everything of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.base import Standing
from gateway import correspondence, ticket
from gateway.correspondence import Ours
from gateway.plan import Plan
from gateway.store import answers, complaints, corrections, desk, jobs, statuses, threads, trackers, unread
from gateway.store.complaints import ComplaintRow
from gateway.store.engine import Store
from models.verdict import Decision

# How far a complaint is for its customer: received, passed to the department, being handled, answered.
_STEPS = {"received": 0, "routed": 1, "answered": 3, "resolved": 3, "closed": 3}


class Records:
    """Reads for the doors and the API."""

    def __init__(self, store: Store, plan: Plan, links: str, ours: Ours) -> None:
        self._store, self._plan, self._links, self._ours = store, plan, links, ours

    def standings(self, numbers: Sequence[str]) -> dict[str, Standing]:
        """Where complaints stand, in words that a customer may see; of one that is not parsed yet only that it was received."""
        with self._store.read() as conn:
            found = complaints.load(conn, numbers)
            verdicts = desk.newest_verdicts(conn, numbers)
            settled = corrections.settled(conn, numbers)
        return {number: self._standing(number, found.get(number), verdicts.get(number), number in settled) for number in numbers}

    def _standing(self, number: str, complaint: ComplaintRow | None, verdict: Mapping[str, Any] | None, settled: bool) -> Standing:
        if complaint is None or complaint.klass is None or complaint.department is None:
            return Standing(number, "received", "", "", "", "", None, False)
        department = self._plan.departments.get(complaint.department)
        return Standing(
            number=number,
            state=complaint.state.value,
            klass=complaint.klass.value,
            klass_zh=complaint.klass.zh,
            department=department.name if department else complaint.department,
            department_en=department.name_en if department else complaint.department,
            reply_due=complaint.reply_due,
            review=not settled and verdict is not None and verdict.get("decision") == Decision.REVIEW.value,
            step=_STEPS.get(complaint.state.value, 2),
        )

    def whole(self, number: str) -> dict[str, Any] | None:
        """A complaint with everything, for the API; of one that is not read that it was received, and why; None for no number of ours."""
        # It may be read between the two looks.
        return self._complaint(number) or self._unread(number) or self._complaint(number)

    def _unread(self, number: str) -> dict[str, Any] | None:
        with self._store.read() as conn:
            found = unread.find(conn, number)
        return ticket.unread_json(found) if found else None

    def _complaint(self, number: str) -> dict[str, Any] | None:
        with self._store.read() as conn:
            number = threads.resolve(conn, number)
            complaint = complaints.load(conn, [number]).get(number)
            if complaint is None:
                return None
            messages = complaints.conversation(conn, [number])[number]
            verdict = complaints.latest_verdict(conn, number) or {}
            assignment = complaints.latest_assignment(conn, number) or {}
            corrected = corrections.of(conn, number)
            told = [ticket.answer_json(answer) for answer in answers.of_number(conn, number)]
            joined = threads.joined_to(conn, number)
            reported = [ticket.status_json(status) for status in statuses.of(conn, number)]
            tickets = [{"endpoint": one.endpoint, "id": one.remote_id, "url": one.url} for one in trackers.tickets_of(conn, number)]
        said = [ticket.correction_json(correction) for correction in corrected]
        decided = {
            "verdict": verdict,
            "assignment": assignment,
            "corrections": said,
            "answers": told,
            "joined": list(joined),
            "statuses": reported,
            "tickets": tickets,
        }
        others = {message.id for message in correspondence.by_others(messages, self._ours)}
        return ticket.details_json(complaint, messages, decided, f"{self._links}/{number}", others)

    def waiting(self, limit: int) -> dict[str, Any]:
        """The head of the review queue: what a person should look at next, with the candidates, and how many wait in all."""
        with self._store.read() as conn:
            found = corrections.waiting(conn, limit)
            count = corrections.waiting_count(conn)
            verdicts = {one.number: complaints.latest_verdict(conn, one.number) or {} for one in found}
        return {
            "waiting": count,
            "complaints": [
                {
                    "number": one.number,
                    "channel": one.channel,
                    "received_at": one.received_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
                    "title": one.title,
                    "class": one.klass.value if one.klass else None,
                    **{key: verdicts[one.number].get(key) for key in ("decision", "candidates", "probabilities", "risk", "trained_model")},
                }
                for one in found
            ],
        }

    def jobs(self, now: datetime) -> tuple[dict[tuple[str, str], int], datetime | None, datetime]:
        """Open jobs by kind and state, when the oldest was due, and now: for the metrics."""
        with self._store.read() as conn:
            return jobs.counts(conn), jobs.oldest_due(conn, now), now
