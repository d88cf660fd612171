"""Answers to customers: kept with the job that sends them, and what became of them; every try; and the call list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from gateway.store import fence, jobs
from gateway.store.engine import Store
from models.answer import Answer, AnswerKind, AnswerState, Limits, MailOutcome, Thread, Way, box_of
from models.tables import answer_attempts, answers, complaints, messages

# So many Message-IDs of a conversation stand in References; longer headers are cut by servers (RFC 5322 2.1.1).
_MOST_REFERENCES = 20


@dataclass(frozen=True, slots=True)
class Try:
    """One try of mailing an answer, as it was kept."""

    at: datetime
    code: str
    status: int | None
    seconds: float
    said: str


@dataclass(frozen=True, slots=True)
class Call:
    """Somebody to be rung up: what he is to be told, and why not otherwise."""

    answer: Answer
    name: str | None
    phone: str | None


def add(store: Store, conn: Connection, answer: Answer, now: datetime) -> int | None:
    """Keeps an answer (its `id` is passed over) on the caller's transaction, with its job where it leaves by mail.

    Returns its id; None where this `source_key` has been answered already, and then nothing is written.
    """
    values = {
        "number": answer.number,
        "kind": answer.kind.value,
        "source_key": answer.source_key,
        "way": answer.way.value,
        "to": answer.to,
        "to_box": box_of(answer.to) if answer.to else None,
        "language": answer.language,
        "subject": answer.subject,
        "body": answer.body,
        "by": answer.by,
        "at": answer.at,
        "state": answer.state.value,
        "reason": answer.reason,
        "sent_at": answer.sent_at,
        "message_id": answer.message_id,
    }
    made = conn.execute(store.insert(answers).values(**values).on_conflict_do_nothing().returning(answers.c.id)).scalar_one_or_none()
    if made is None:
        return None
    if answer.way is Way.EMAIL and answer.state is AnswerState.WAITING:
        # In order for one complaint, like its events.
        jobs.enqueue(conn, [jobs.NewJob("answer", answer.number, f"answer:{answer.number}", {"answer_id": made})], now)
    return int(made)


def beyond(store: Store, conn: Connection, box: str, limits: Limits, now: datetime) -> int | None:
    """The limit that one more acknowledgement to this box would pass; None while there is room."""
    if not store.is_sqlite:
        # Two nodes that count at the same moment would both find room for the last one.
        conn.execute(select(func.pg_advisory_xact_lock(20261124)))
    for span, most in limits.spans:
        sent = (
            answers.c.to_box == box,
            answers.c.at > now - span,
            answers.c.kind == AnswerKind.ACKNOWLEDGEMENT.value,
            answers.c.state != AnswerState.SUPPRESSED.value,
        )
        if conn.execute(select(func.count()).select_from(answers).where(*sent)).scalar_one() >= most:
            return most
    return None


def load(conn: Connection, answer_ids: Sequence[int]) -> dict[int, Answer]:
    """Answers by id."""
    return {row.id: _answer(row) for row in conn.execute(select(answers).where(answers.c.id.in_(answer_ids)))}


def of_number(conn: Connection, number: str) -> list[Answer]:
    """Everything told to the customer of one complaint, oldest first."""
    return [_answer(row) for row in conn.execute(select(answers).where(answers.c.number == number).order_by(answers.c.id))]


def of_numbers(conn: Connection, numbers: Sequence[str]) -> list[Answer]:
    """Everything told to the customers of these complaints, oldest first."""
    return [_answer(row) for row in conn.execute(select(answers).where(answers.c.number.in_(numbers)).order_by(answers.c.id))]


def settle(conn: Connection, answer_id: int, state: AnswerState, *, reason: str | None = None, sent_at: datetime | None = None) -> None:
    """Says what became of an answer."""
    conn.execute(update(answers).where(answers.c.id == answer_id).values(state=state.value, reason=reason, sent_at=sent_at))


def fix_message_id(conn: Connection, answer_id: int, message_id: str) -> str:
    """The Message-ID under which an answer goes out: this one, unless it had one before. Committed before the first try."""
    conn.execute(update(answers).where(answers.c.id == answer_id, answers.c.message_id.is_(None)).values(message_id=message_id))
    return str(conn.execute(select(answers.c.message_id).where(answers.c.id == answer_id)).scalar_one())


def by_message_id(conn: Connection, message_ids: Sequence[str]) -> list[Answer]:
    """The answers that went out under these Message-IDs."""
    return [_answer(row) for row in conn.execute(select(answers).where(answers.c.message_id.in_(message_ids)).order_by(answers.c.id))]


def thread(conn: Connection, answer: Answer) -> Thread:
    """What this answer replies to: the customer's mails, and ours that went out before it."""
    said: list[tuple[datetime, str]] = []
    subject = ""
    wanted = select(messages).where(messages.c.number == answer.number, messages.c.received_at <= answer.at)
    for row in conn.execute(wanted.order_by(messages.c.received_at, messages.c.submission_id)):
        if row.parsed.get("aside"):
            continue
        subject = row.title or subject
        if row.parsed.get("details", {}).get("message_id"):
            said.append((row.received_at, row.parsed["details"]["message_id"]))
    sent = select(answers).where(answers.c.number == answer.number, answers.c.sent_at.is_not(None), answers.c.id < answer.id)
    said += [(row.sent_at, row.message_id) for row in conn.execute(sent.order_by(answers.c.id)) if row.message_id]
    ids = [spelt for _, spelt in sorted(said, key=lambda pair: pair[0])]
    # The first one holds the thread together in programs that look at nothing else.
    ids = ids if len(ids) <= _MOST_REFERENCES else [ids[0], *ids[1 - _MOST_REFERENCES :]]
    return Thread(tuple(ids), subject)


def record_try(conn: Connection, answer_id: int, outcome: MailOutcome, at: datetime) -> None:
    """Keeps one try. Where the customer is erased at this moment, the job is gone and this is taken back with it."""
    fence.shared(conn)
    values = {"answer_id": answer_id, "at": at, "code": outcome.code.value, "status": outcome.status}
    conn.execute(insert(answer_attempts).values(**values, seconds=outcome.seconds, said=outcome.said))


def tries_of(conn: Connection, number: str) -> dict[int, list[Try]]:
    """The tries of a complaint's answers, by answer, oldest first."""
    query = select(answer_attempts).join(answers, answers.c.id == answer_attempts.c.answer_id).where(answers.c.number == number)
    found: dict[int, list[Try]] = {}
    for row in conn.execute(query.order_by(answer_attempts.c.id)):
        found.setdefault(row.answer_id, []).append(Try(row.at, row.code, row.status, row.seconds, row.said))
    return found


def call_instead(store: Store, conn: Connection, answer: Answer, why: str, now: datetime) -> bool:
    """Puts what could not be mailed on the call list, where the customer has a phone. Returns whether it is there now."""
    phone = conn.execute(select(complaints.c.phone).where(complaints.c.number == answer.number)).scalar_one_or_none()
    if not phone:
        return False
    call = replace(answer, source_key=f"call:{answer.id}", way=Way.CALL, to=None, state=AnswerState.WAITING, message_id=None, sent_at=None)
    add(store, conn, replace(call, at=now, reason=why), now)
    return True


def call_no_more(conn: Connection, answer_id: int) -> None:
    """The mail went out after all: nobody need ring."""
    waiting = (answers.c.source_key == f"call:{answer_id}", answers.c.state == AnswerState.WAITING.value)
    reason = "mailed_after_all: 信件后来已送出 / it was mailed after all"
    conn.execute(update(answers).where(*waiting).values(state=AnswerState.SUPPRESSED.value, reason=reason))


def calls(conn: Connection, limit: int) -> list[Call]:
    """Who is to be rung up, oldest first."""
    waiting = (answers.c.way == Way.CALL.value, answers.c.state == AnswerState.WAITING.value)
    query = select(answers, complaints.c.name.label("called"), complaints.c.phone).join(complaints, complaints.c.number == answers.c.number)
    return [_call(row) for row in conn.execute(query.where(*waiting).order_by(answers.c.id).limit(limit))]


def _call(row: Row[Any]) -> Call:
    return Call(_answer(row), row.called, row.phone)


def call_done(conn: Connection, answer_id: int, by: str, note: str, at: datetime) -> Answer | None:
    """Strikes a call off the list; None when it is not on it."""
    waiting = (answers.c.id == answer_id, answers.c.way == Way.CALL.value, answers.c.state == AnswerState.WAITING.value)
    # Both halves carry the note, which must not itself look like where one half ends.
    noted = f" · {note.replace(' / ', '/')}" if note else ""
    said = f"called: {by} 已致电{noted} / {by} rang{noted}"
    done = conn.execute(update(answers).where(*waiting).values(state=AnswerState.SENT.value, sent_at=at, reason=said).returning(answers))
    row = done.first()
    return _answer(row) if row else None


_FIELDS = tuple(one.name for one in fields(Answer))


def _answer(row: Row[Any]) -> Answer:
    kept = row._mapping
    made = Answer(**{name: kept[name] for name in _FIELDS})
    return replace(made, kind=AnswerKind(made.kind), way=Way(made.way), state=AnswerState(made.state))
