"""What customers were told, and are to be told. An answer that leaves by mail is a job like any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from gateway.store import jobs
from gateway.store.engine import Store
from models.answer import Answer, AnswerKind, AnswerState, Way
from models.tables import answers


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


def by_message_id(conn: Connection, message_ids: Sequence[str]) -> list[Answer]:
    """The answers that went out under these Message-IDs."""
    return [_answer(row) for row in conn.execute(select(answers).where(answers.c.message_id.in_(message_ids)).order_by(answers.c.id))]


def _answer(row: Row[Any]) -> Answer:
    fields: dict[str, Any] = dict(row._mapping)
    made = Answer(**fields)
    return replace(made, kind=AnswerKind(made.kind), way=Way(made.way), state=AnswerState(made.state))
