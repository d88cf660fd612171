"""What the doors may read back: where a complaint stands, and what a chat has said."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from connectors.base import Line, Standing
from connectors.web_chat import read_line
from gateway import ticket
from gateway.plan import Plan
from gateway.store import complaints, corrections, jobs, statuses, submissions
from gateway.store.engine import Store
from models.errors import Unreadable
from models.verdict import Decision


class Records:
    """Reads for the doors and the API."""

    def __init__(self, store: Store, plan: Plan) -> None:
        self._store, self._plan = store, plan

    def lines(self, conversation: str) -> Sequence[Line]:
        """The lines of a chat, oldest first."""
        with self._store.read() as conn:
            found = submissions.of_conversation(conn, conversation)
        lines = []
        for _, submission in found:
            try:
                line = read_line(submission.raw)
            except Unreadable:
                continue
            lines.append(Line(line["id"], line["text"], submission.received_at))
        return lines

    def standing(self, conversation: str) -> Standing | None:
        """Where the complaint of a chat stands; None before its first line."""
        with self._store.read() as conn:
            number = submissions.number_of_conversation(conn, conversation)
            if number is None:
                return None
            complaint = complaints.load(conn, [number]).get(number)
            verdict = complaints.latest_verdict(conn, number)
            settled = corrections.settled(conn, [number])
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
        )

    def whole(self, number: str) -> dict[str, Any] | None:
        """A complaint with everything, for the API; None when there is none of this number."""
        with self._store.read() as conn:
            complaint = complaints.load(conn, [number]).get(number)
            if complaint is None:
                return None
            messages = complaints.conversation(conn, [number])[number]
            verdict = complaints.latest_verdict(conn, number) or {}
            assignment = complaints.latest_assignment(conn, number) or {}
            corrected = corrections.of(conn, number)
            reported = [ticket.status_json(status) for status in statuses.of(conn, number)]
        said = [ticket.correction_json(correction) for correction in corrected]
        return ticket.details_json(
            complaint, messages, {"verdict": verdict, "assignment": assignment, "corrections": said, "statuses": reported}
        )

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
