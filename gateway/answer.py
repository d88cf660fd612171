"""Answer: what a customer is told leaves by mail, every try is kept, and what follows is decided by a table (预案 4.4).

The Message-ID is in the store before the first try. A process that is killed between the server's 250 and its own commit sends the letter
once more, under the same Message-ID, by which mail programs show it once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection

from gateway.flow import Report, Stage
from gateway.metrics import Metrics
from gateway.store import answers
from gateway.store.engine import Store
from gateway.store.jobs import Job
from models.answer import AFTER_MAIL, Answer, AnswerState, Letter, MailCode, MailOutcome, Thread
from models.delivery import Next, RetryDecision


class Mailer(Protocol):
    """Hands letters to a mail server."""

    def send(self, letters: Sequence[Letter]) -> list[MailOutcome]:
        """One outcome for each, in order; never raises."""
        ...


class Composer(Protocol):
    """Makes letters of answers (`gateway.outbound`)."""

    def letter(self, answer: Answer, thread: Thread, at: datetime) -> Letter:
        """The mail of an answer."""
        ...


class AnswerByMail:
    """The step from answer to the customer's mail server. `mailer` is None where outgoing mail is off."""

    def __init__(
        self,
        store: Store,
        composer: Composer,
        mailer: Mailer | None,
        new_message_id: Callable[[], str],
        stage: Stage,
        again: Callable[..., RetryDecision],
        metrics: Metrics,
    ) -> None:
        self._store, self._composer, self._mailer = store, composer, mailer
        self._new_message_id, self._stage, self._again, self._metrics = new_message_id, stage, again, metrics

    def run(self, batch: Sequence[Job], now: datetime) -> list[Report]:
        """Sends the batch and reports on each."""
        with self._store.read() as conn:
            found = answers.load(conn, [job.payload["answer_id"] for job in batch])
        reports: list[Report] = []
        to_send: list[tuple[Job, Answer]] = []
        for job in batch:
            answer = found[job.payload["answer_id"]]
            if answer.state in (AnswerState.SENT, AnswerState.SUPPRESSED):
                reports.append(Report(job, RetryDecision(Next.DONE, "settled_before")))
            elif self._mailer is None:
                reports.append(
                    self._given_up(job, answer, "mail_off: 未启用外发邮件（mail.enabled） / outgoing mail is off (mail.enabled)", now)
                )
            else:
                to_send.append((job, answer))
        if self._mailer is None or not to_send:
            return reports
        letters = [self._letter(answer, now) for _, answer in to_send]
        for (job, answer), outcome in zip(to_send, self._mailer.send(letters), strict=True):
            reports.append(self._report(job, answer, outcome, now))
        return reports

    def idle(self, now: datetime) -> bool:
        """Nothing to look for."""
        return False

    def _letter(self, answer: Answer, now: datetime) -> Letter:
        if answer.message_id is None:
            with self._store.write() as conn:
                answer = replace(answer, message_id=answers.fix_message_id(conn, answer.id, self._new_message_id()))
        with self._store.read() as conn:
            thread = answers.thread(conn, answer)
        return self._composer.letter(answer, thread, now)

    def _report(self, job: Job, answer: Answer, outcome: MailOutcome, now: datetime) -> Report:
        self._metrics.mail_attempts.labels(outcome.code.value).inc()
        told: dict[str, object] = {
            "kind": answer.kind.value,
            "answer": answer.id,
            "attempt": job.attempts,
            "code": outcome.code.value,
            "status": outcome.status,
            "ms": round(outcome.seconds * 1000),
        }
        following = AFTER_MAIL[outcome.code]
        if following is Next.DONE:
            return self._sent(job, answer, outcome, told, now)
        status = f" {outcome.status}" if outcome.status else ""
        reason = f"{outcome.code.value}: 邮件未送出{status} / not mailed{status}"
        if following is Next.RETRY:
            decision = self._again(self._stage, job, reason)
            if decision.next is Next.RETRY:

                def write(conn: Connection) -> None:
                    answers.record_try(conn, answer.id, outcome, now)

                return Report(job, decision, write, (("AnswerRetried", told),))
            reason = decision.reason
        return self._given_up(job, answer, reason, now, outcome, told)

    def _sent(self, job: Job, answer: Answer, outcome: MailOutcome, told: dict[str, object], now: datetime) -> Report:
        def write(conn: Connection) -> None:
            answers.record_try(conn, answer.id, outcome, now)
            answers.settle(conn, answer.id, AnswerState.SENT, sent_at=now)
            answers.call_no_more(conn, answer.id)

        self._metrics.answers.labels(answer.kind.value, answer.way.value, AnswerState.SENT.value).inc()
        return Report(job, RetryDecision(Next.DONE, MailCode.ACCEPTED.value), write, (("AnswerSent", told),))

    def _given_up(
        self,
        job: Job,
        answer: Answer,
        reason: str,
        now: datetime,
        outcome: MailOutcome | None = None,
        told: dict[str, object] | None = None,
    ) -> Report:
        """Failed: the job is parked, where it can be replayed, and somebody has to ring."""
        told = {"kind": answer.kind.value, "answer": answer.id, "code": reason.partition(":")[0]} | (told or {})

        def write(conn: Connection) -> None:
            if outcome is not None:
                answers.record_try(conn, answer.id, outcome, now)
            answers.settle(conn, answer.id, AnswerState.FAILED, reason=reason)
            told["call"] = answers.call_instead(self._store, conn, answer, reason, now)

        self._metrics.answers.labels(answer.kind.value, answer.way.value, AnswerState.FAILED.value).inc()
        return Report(job, RetryDecision(Next.PARK, reason), write, (("AnswerFailed", told),))
