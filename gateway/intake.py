"""Intake: the bytes of a submission become a message of a complaint. A bug here can lose nothing, because the bytes are kept already."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from sqlalchemy import Connection

from gateway.announcing import Announcer
from gateway.flow import Report
from gateway.store import complaints, jobs, submissions
from gateway.store.engine import Store
from gateway.store.jobs import Job
from models.complaint import Parsed
from models.delivery import Next, RetryDecision
from models.errors import Unreadable
from models.submission import Channel, Submission

# So many bytes of submissions are in memory at once; a single larger one is too.
_BYTES_AT_ONCE = 16 * 1024 * 1024

# How a channel's bytes are read. Raises Unreadable when they cannot be.
Parser = Callable[[Submission], Parsed]


class Intake:
    """The step from submission to message.

    quiet, longest_wait: how long after the last line of a conversation, and at the latest after its first, it is sorted.
    """

    def __init__(
        self, store: Store, parsers: Mapping[Channel, Parser], announcer: Announcer, *, quiet: timedelta, longest_wait: timedelta
    ) -> None:
        self._store, self._parsers, self._announcer = store, parsers, announcer
        self._quiet, self._longest_wait = quiet, longest_wait

    def run(self, batch: Sequence[Job], now: datetime) -> list[Report]:
        """Parses each submission; an unreadable one is parked whole with its reason."""
        reports: list[Report] = []
        for few in self._by_size(batch):
            with self._store.read() as conn:
                found = submissions.load(conn, [job.payload["submission_id"] for job in few])
            reports += [self._report(job, *found[job.payload["submission_id"]], now) for job in few]
        return reports

    def _by_size(self, batch: Sequence[Job]) -> Iterator[list[Job]]:
        """The batch in parts whose bytes together are bearable, each with one job at least."""
        with self._store.read() as conn:
            sizes = submissions.sizes(conn, [job.payload["submission_id"] for job in batch])
        part: list[Job] = []
        so_far = 0
        for job in batch:
            size = sizes[job.payload["submission_id"]]
            if part and so_far + size > _BYTES_AT_ONCE:
                yield part
                part, so_far = [], 0
            part.append(job)
            so_far += size
        yield part

    def idle(self, now: datetime) -> bool:
        """Nothing to look for."""
        return False

    def _report(self, job: Job, submission: Submission, number: str, now: datetime) -> Report:
        try:
            parsed = self._parsers[submission.channel](submission)
        except Unreadable as error:
            return Report(job, RetryDecision(Next.PARK, f"{error.code}: {error.zh} / {error.en}"))

        def write(conn: Connection) -> None:
            if complaints.begin(self._store, conn, number, submission.channel, submission.received_at, parsed.title):
                self._announcer.announce(conn, self._announcer.received(number, submission.channel, submission.received_at, parsed, now))
            complaints.add_message(
                self._store,
                conn,
                {
                    "number": number,
                    "submission_id": job.payload["submission_id"],
                    "received_at": submission.received_at,
                    "title": parsed.title,
                    "said": parsed.said,
                    "text": parsed.text,
                    "machine": parsed.machine,
                    "parsed": _kept(parsed),
                },
            )
            # The pause counts from when the customer wrote, not from when we came to read it.
            pause_over = submission.received_at + self._quiet if submission.conversation else now
            triage = jobs.NewJob("triage", number, number, {}, run_at=max(now, pause_over))
            jobs.postpone_or_enqueue(conn, triage, now, latest_after=self._longest_wait)

        told: dict[str, object] = {"channel": submission.channel.value, "chars": len(parsed.said), "attachments": len(parsed.attachments)}
        if parsed.defects:
            told["defects"] = list(parsed.defects)
        return Report(job, RetryDecision(Next.DONE, "done"), write, (("Parsed", told),))


def _kept(parsed: Parsed) -> dict[str, object]:
    """What of a parsed submission is kept as JSON beside the columns."""
    return {
        "turns": [asdict(turn) for turn in parsed.turns],
        "attachments": [asdict(attachment) for attachment in parsed.attachments],
        "hints": parsed.hints.found(),
        "defects": list(parsed.defects),
        "details": dict(parsed.details),
    }
