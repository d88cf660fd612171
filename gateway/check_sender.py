"""The step that records whether a mail comes from the domain that it names, after acceptance and beside the sorting."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection

from gateway.flow import Report
from gateway.store import complaints, submissions
from gateway.store.engine import Store
from gateway.store.jobs import Job
from models.delivery import Next, RetryDecision
from models.submission import Submission


class Checker(Protocol):
    """Who finds it out (`connectors.mail_authenticity`)."""

    def check(self, submission: Submission, from_email: str) -> dict[str, Any]:
        """What is recorded."""
        ...


class CheckSender:
    """One mail after another: each may wait for the DNS."""

    def __init__(self, store: Store, checker: Checker) -> None:
        self._store, self._checker = store, checker

    def run(self, batch: Sequence[Job], now: datetime) -> list[Report]:
        """Checks each mail and writes what came of it beside its message."""
        return [self._report(job) for job in batch]

    def idle(self, now: datetime) -> bool:
        """Nothing to look for."""
        return False

    def _report(self, job: Job) -> Report:
        submission_id: int = job.payload["submission_id"]
        with self._store.read() as conn:
            submission, _ = submissions.load(conn, [submission_id])[submission_id]
            details = complaints.details_of(conn, submission_id)
        found = self._checker.check(submission, str(details.get("from_email", "")))

        def write(conn: Connection) -> None:
            complaints.add_detail(conn, submission_id, "authenticity", found)

        told: dict[str, object] = {kind: found[kind]["result"] for kind in ("spf", "dmarc") if kind in found}
        if "dkim" in found:
            told["dkim"] = [one["result"] for one in found["dkim"]]
        else:
            told["reason"] = found.get("reason", "")
        return Report(job, RetryDecision(Next.DONE, "done"), write, (("SenderChecked", told),))
