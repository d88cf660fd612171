"""What was parked, whole and with its reason: seen, downloaded as it came, and put back to work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.clock import Clock
from gateway.oplog import OperatorLog
from gateway.store import endpoints, jobs, submissions
from gateway.store.engine import Store
from models.errors import Refused


@dataclass(frozen=True, slots=True)
class Parked:
    """A parked job. What belongs to a submission is empty where the job has none; `came_by` is the mailbox of a mail that came by IMAP."""

    id: int
    kind: str
    number: str
    attempts: int
    code: str
    reason: str
    parked_since: datetime
    submission_id: int | None = None
    channel: str = ""
    size: int = 0
    came_by: str = ""


@dataclass(frozen=True, slots=True)
class Raw:
    """The bytes of a submission as they came, and a name to save them under."""

    body: bytes
    name: str


# What each kind of bytes is saved as; anything else has no ending that a program would open.
_ENDINGS = {"message/rfc822": "eml", "application/json": "json", "text/plain": "txt", "text/vtt": "vtt"}


class Quarantine:
    """Everything that is parked."""

    def __init__(self, store: Store, clock: Clock, log: OperatorLog, wake: Callable[[], None]) -> None:
        """`wake` tells the worker that there is something to do again."""
        self._store, self._clock, self._log, self._wake = store, clock, log, wake

    def parked(self, limit: int = 200) -> list[Parked]:
        """What is parked, oldest first."""
        with self._store.read() as conn:
            found = jobs.parked(conn)[:limit]
            known = submissions.outlines(conn, [job.submission_id for job in found if job.submission_id is not None])
        told = []
        for job in found:
            outline = known.get(job.submission_id or 0)
            told.append(
                Parked(
                    job.id,
                    job.kind,
                    job.number,
                    job.attempts,
                    job.reason_code,
                    job.reason,
                    job.created_at,
                    job.submission_id,
                    *((outline.channel.value, outline.size, str(outline.envelope.get("mailbox", ""))) if outline else ()),
                )
            )
        return told

    def count(self) -> int:
        """How much is parked."""
        with self._store.read() as conn:
            return sum(jobs.parked_by_reason(conn).values())

    def raw(self, job_id: int) -> Raw | None:
        """The bytes of the submission that a parked job is about; None where there is none."""
        with self._store.read() as conn:
            job = next((one for one in jobs.parked(conn) if one.id == job_id), None)
            if job is None or job.submission_id is None:
                return None
            submission, number = submissions.load(conn, [job.submission_id])[job.submission_id]
        return Raw(submission.raw, f"{number}-{job.submission_id}.{_ENDINGS.get(submission.media_type, 'bin')}")

    def replay(self, ids: Sequence[int] | None, by: str) -> int:
        """Puts parked jobs back; all where `ids` is None. What was unreadable is read from its bytes again. Returns how many.

        Raises `Refused` (`not_parked`) where one of `ids` is not parked; the others are put back all the same.
        """
        with self._store.write() as conn:
            back = jobs.replay(conn, ids, self._clock.now())
            for endpoint in {str(job.payload["endpoint"]) for job in back if job.kind == "deliver"}:
                endpoints.enable(conn, endpoint)
        for job in back:
            self._log.write("Replayed", job.number, kind=job.kind, job=job.id, by=by)
        self._wake()
        lacking = sorted(set(ids or ()) - {job.id for job in back})
        if lacking:
            numbers = ", ".join(map(str, lacking))
            raise Refused("not_parked", f"这些任务并未搁置：{numbers}", f"these jobs are not parked: {numbers}")
        return len(back)
