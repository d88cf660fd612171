"""Intake: the bytes of a submission become a message of a complaint. A bug here can lose nothing, because the bytes are kept already."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import Connection

from gateway import call_records
from gateway.announcing import Announcer
from gateway.flow import Report
from gateway.metrics import Metrics
from gateway.store import answers, attachments, complaints, fence, jobs, submissions, threads
from gateway.store.engine import Store
from gateway.store.jobs import Job
from models.answer import Answer, AnswerState
from models.attachment import AttachmentLimits, AttachmentState, StoredAttachment
from models.complaint import Parsed
from models.delivery import Event, Next, RetryDecision
from models.errors import Unreadable
from models.submission import Channel, Submission

# So many bytes of submissions are in memory at once; a single larger one is too.
_BYTES_AT_ONCE = 16 * 1024 * 1024

# How a channel's bytes are read. Raises Unreadable when they cannot be.
Parser = Callable[[Submission], Parsed]


class Joining(Protocol):
    """Where a mail belongs (`gateway.joining.Joining`)."""

    @property
    def number(self) -> str | None:
        """The complaint that it joins."""
        ...

    @property
    def by(self) -> str:
        """How that is known."""
        ...

    @property
    def claims(self) -> str | None:
        """The complaint that it claims to belong to and does not join."""
        ...

    @property
    def why(self) -> str:
        """Why not."""
        ...

    @property
    def aside(self) -> bool:
        """Whether it changes nothing of what the complaint is about."""
        ...

    @property
    def bounced(self) -> Answer | None:
        """The answer that did not arrive."""
        ...

    @property
    def status(self) -> str:
        """Why it did not arrive: its code (RFC 3463), where that is known."""
        ...

    @property
    def again(self) -> bool:
        """Whether the complaint has this very mail already."""
        ...


class Joiner(Protocol):
    """Says which complaint a mail belongs to (`gateway.joining`)."""

    def decide(self, conn: Connection, submission: Submission, parsed: Parsed) -> Joining:
        """Decided on the transaction that writes the message: two replies at once, and one right behind its first mail, come out right."""
        ...


class Intake:
    """The step from submission to message.

    check_sender: whether the sender of a submission is to be checked.
    quiet, longest_wait: how long after the last line of a conversation, and at the latest after its first, it is sorted.
    files:               up to which number and size files are offered alone.
    """

    def __init__(
        self,
        store: Store,
        parsers: Mapping[Channel, Parser],
        joiner: Joiner,
        announcer: Announcer,
        check_sender: Callable[[Submission], bool],
        metrics: Metrics,
        *,
        quiet: timedelta,
        longest_wait: timedelta,
        files: AttachmentLimits,
    ) -> None:
        self._store, self._parsers, self._joiner, self._metrics = store, parsers, joiner, metrics
        self._announcer, self._check_sender = announcer, check_sender
        self._quiet, self._longest_wait = quiet, longest_wait
        self._files = files

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

        # Filled in by `write`, which alone sees what is in the store at that moment.
        log: list[tuple[str, dict[str, object]]] = []

        def write(conn: Connection) -> None:
            del log[1:]
            log.extend(self._keep(conn, job, submission, number, parsed, now))

        told: dict[str, object] = {"channel": submission.channel.value, "chars": len(parsed.said), "attachments": len(parsed.attachments)}
        if parsed.defects:
            told["defects"] = list(parsed.defects)
        log.append(("Parsed", told))
        return Report(job, RetryDecision(Next.DONE, "done"), write, log)

    def _keep(
        self, conn: Connection, job: Job, submission: Submission, fresh: str, parsed: Parsed, now: datetime
    ) -> list[tuple[str, dict[str, object]]]:
        """The message, in the complaint that it belongs to, and the work that follows. Returns further lines for the log."""
        # What it joins is not erased before it is there.
        fence.shared(conn)
        joining = self._joiner.decide(conn, submission, parsed)
        submission_id, number = int(job.payload["submission_id"]), joining.number or fresh
        log: list[tuple[str, dict[str, object]]] = []
        new = False
        if joining.again and joining.number == fresh:
            # It is this very submission, read once more.
            return log
        if joining.number:
            threads.join(self._store, conn, submission_id, fresh, number, joining.by, now)
            log.append(("Joined", {"joined": number, "by": joining.by}))
            self._metrics.joined.labels(joining.by).inc()
            if joining.again:
                return log
        else:
            new = complaints.begin(self._store, conn, number, submission.channel, submission.received_at, parsed.title)
        files = attachments.named(number, submission_id, parsed.attachments, self._files)
        kept = _kept(parsed, files)
        if joining.claims:
            kept["claims"] = {"number": joining.claims, "why": joining.why}
        if joining.number:
            kept["joined"] = {"number": fresh, "by": joining.by}
        if joining.aside:
            kept["aside"] = True
        # Whether a call begins a complaint is known once it is sorted; nobody is told before.
        if new and submission.channel is not Channel.PHONE:
            self._announcer.announce(conn, self._received(number, submission, parsed, files, now))
        complaints.add_message(
            self._store,
            conn,
            {
                "number": number,
                "submission_id": submission_id,
                "received_at": submission.received_at,
                "title": parsed.title,
                "said": parsed.said,
                "text": parsed.text,
                "machine": parsed.machine,
                "parsed": kept,
            },
        )
        attachments.add(self._store, conn, files)
        details = parsed.details
        if submission.channel is Channel.EMAIL and details.get("message_id"):
            # What a machine writes lets nobody in.
            sender = "" if parsed.machine else str(details.get("from_email") or "")
            spelt, topic = str(details["message_id"]), str(details.get("topic") or "")
            threads.keep_id(self._store, conn, submission_id, spelt, number, sender, topic)
        if joining.bounced is not None:
            told = self._bounced(conn, joining.bounced, joining.status, now)
            log.append(("Bounced", told))
        if submission.channel is Channel.PHONE:
            call_records.keep(self._store, conn, number, submission_id, submission.received_at, parsed, now)
        if self._check_sender(submission):
            jobs.enqueue(conn, [jobs.NewJob("check_sender", number, number, {"submission_id": submission_id})], now)
        # What answers a question of the machine is none of the matter.
        if not joining.aside and not parsed.details.get("steers"):
            # The pause counts from when the customer wrote, not from when we came to read it. What he answers of himself changes no class,
            # so it goes along with what is sorted next, and needs no sorting of its own before the longest wait is over.
            answering = bool(parsed.details.get("answers"))
            pause = self._longest_wait if answering else self._quiet
            pause_over = submission.received_at + pause if submission.conversation else now
            triage = jobs.NewJob("triage", number, number, {}, run_at=max(now, pause_over))
            jobs.postpone_or_enqueue(conn, triage, now, latest_after=self._longest_wait, moves=not answering)
        return log

    def _received(
        self, number: str, submission: Submission, parsed: Parsed, files: Sequence[StoredAttachment], now: datetime
    ) -> Event:  # fmt: skip
        return self._announcer.received(
            number,
            submission.channel,
            submission.received_at,
            now,
            title=parsed.title,
            said=parsed.said,
            attachments=_files(files),
            machine=parsed.machine,
        )

    def _bounced(self, conn: Connection, answer: Answer, status: str, now: datetime) -> dict[str, object]:
        """An answer came back: it has failed, and somebody has to ring."""
        reason = f"bounced: 信件被退回 {status} / the mail came back {status}".replace("  ", " ").strip()
        answers.settle(conn, answer.id, AnswerState.FAILED, reason=reason, sent_at=answer.sent_at)
        call = answers.call_instead(self._store, conn, answer, reason, now)
        return {"answer": answer.id, "status": status, "call": call}


def _files(files: Sequence[StoredAttachment]) -> list[dict[str, object]]:
    return [
        {"id": file.id, "filename": file.filename, "size": file.size, "mime_type": file.mime_type}
        | ({} if file.state is AttachmentState.KEPT else {"state": file.state.value})
        for file in files
    ]


def _kept(parsed: Parsed, files: Sequence[StoredAttachment]) -> dict[str, object]:
    """What of a parsed submission is kept as JSON beside the columns."""
    return {
        "turns": [asdict(turn) for turn in parsed.turns],
        "attachments": _files(files),
        "hints": parsed.hints.found(),
        "defects": list(parsed.defects),
        "details": dict(parsed.details),
    }
