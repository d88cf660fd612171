"""Erasure: what becomes of every table and column when a person's complaint is erased (PIPL 47), as one literal table.

A test fails where a table or column is missing here, and another looks for the person's words in all of them. docs/erasure.md tells people.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, String, Table, and_, cast, delete, func, literal, or_, select, update
from sqlalchemy.sql.elements import ColumnClause

from gateway.store import redacting
from gateway.store.reconciling import ERASED
from models.answer import AnswerState
from models.complaint import ComplaintState
from models.tables import (
    answer_attempts,
    answered_requests,
    answers,
    attachments,
    attempts,
    calls,
    complaints,
    conversations,
    corrections,
    deliveries,
    events,
    examples,
    jobs,
    mail_ids,
    mailbox_mails,
    messages,
    metadata,
    notices,
    open_terms,
    statuses,
    submissions,
    talk_says,
    talks,
    tracker_files,
    verdicts,
)

# So many characters of a conversation's name are the talk that it belongs to.
_TALK_CHARS = 64


@dataclass(frozen=True, slots=True)
class Whose:
    """What is erased together: all numbers of one person's complaint, and the chats in which it was written."""

    numbers: Sequence[str]
    talks: Sequence[str]


_Where = Callable[[Whose], ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Blank:
    """Rows that stay, with `values` written over columns and `rewritten` ones made anew from what they hold; `kept` columns stay."""

    where: _Where
    kept: tuple[str, ...]
    values: Mapping[str, Any] = field(default_factory=dict)
    rewritten: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gone:
    """Rows that go."""

    where: _Where


@dataclass(frozen=True, slots=True)
class Untouched:
    """A table that says nothing of a customer, and why."""

    why: str


def _of(column: ColumnClause[Any] | Any) -> _Where:
    return lambda whose: column.in_(whose.numbers)


def _among(column: Any, of: Callable[[Whose], Select[Any]]) -> _Where:
    return lambda whose: column.in_(of(whose))


def _mine(table: Table, id_: str) -> Callable[[Whose], Select[Any]]:
    return lambda whose: select(table.c[id_]).where(table.c.number.in_(whose.numbers))


def _names_a_number(whose: Whose) -> ColumnElement[bool]:
    return or_(*(answered_requests.c.body.contains(number, autoescape=True) for number in whose.numbers))


def _notices(whose: Whose) -> ColumnElement[bool]:
    """Notices about a number, and those of a group that name it beside an estate."""
    body = cast(notices.c.body, String)
    return or_(notices.c.number.in_(whose.numbers), *(body.contains(f'"{number}"', autoescape=True) for number in whose.numbers))


def _unlike_any(table: Table) -> Any:
    """A value for a column that must be unlike in all rows."""
    return literal(ERASED) + cast(table.c.id, String)


# In this order: what is found by other rows comes before them.
TREATMENT: Mapping[str, Blank | Gone | Untouched] = {
    # Work: what waits to be read, sorted or mailed is done for, and what is in hand finds its job gone and takes back what it wrote; what
    # endpoints are to hear is not.
    "jobs": Gone(lambda whose: and_(jobs.c.number.in_(whose.numbers), jobs.c.kind != "deliver")),
    # What came in. The number, channel and time stay for statistics and reconciliation.
    "submissions": Blank(
        _of(submissions.c.number),
        kept=("id", "channel", "number", "media_type", "received_at"),
        # A file's name can be a telephone number.
        values={"source_key": _unlike_any(submissions), "conversation": None, "raw": b"", "envelope": {}},
    ),
    "messages": Blank(
        _of(messages.c.number),
        kept=("id", "number", "submission_id", "received_at", "machine"),
        values={"title": "", "said": "", "text": "", "parsed": {}},
    ),
    "attachments": Gone(_of(attachments.c.number)),
    "calls": Blank(
        _of(calls.c.number),
        kept=("submission_id", "number", "received_at", "centre", "to_call_back"),
        values={"call_id": "", "caller": "", "words": ""},
    ),
    "mail_ids": Gone(_among(mail_ids.c.submission_id, _mine(submissions, "id"))),
    "mailbox_mails": Blank(
        _of(mailbox_mails.c.number),
        kept=("id", "mailbox", "generation", "uid", "state", "at", "size", "attempts", "next_try", "code", "number", "after"),
        values={"reason": None},
    ),
    # What was decided: figures and closed lists stay, words out of the text go.
    "complaints": Blank(
        _of(complaints.c.number),
        kept=("number", "channel", "received_at", "round", "klass", "department", "priority", "reply_due", "triaged_through", "last_event"),
        values={
            **dict.fromkeys(("name", "phone", "email", "estate", "unit", "review_rank")),
            "title": "",
            # Nobody can go on with it, whatever the table of moves says.
            "state": ComplaintState.CLOSED.value,
            "erased_at": func.now(),
        },
    ),
    "verdicts": Blank(
        _of(verdicts.c.number),
        kept=("id", "number", "at", "klass", "decision", "trained_model"),
        rewritten={"body": redacting.verdict},
    ),
    "corrections": Blank(
        _of(corrections.c.number),
        kept=("id", "number", "at", "by", "source", "was", "should_be", "trained_model", "channel", "stated", "alone", "weight"),
        values={"note": ""},
    ),
    "assignments": Untouched("what the plan says: department, steps, times, rule"),
    "statements": Untouched("which class the customer named, out of a closed list"),
    "examples": Gone(_of(examples.c.number)),
    # What the customer was told.
    "answer_attempts": Blank(
        _among(answer_attempts.c.answer_id, _mine(answers, "id")),
        kept=("id", "answer_id", "at", "code", "status", "seconds"),
        values={"said": ""},
    ),
    "answers": Blank(
        _of(answers.c.number),
        kept=("id", "number", "kind", "way", "language", "at", "state", "sent_at"),
        values={
            "source_key": _unlike_any(answers),
            **dict.fromkeys(("subject", "body", "by"), ""),
            **dict.fromkeys(("to", "reason", "message_id", "to_box")),
        },
    ),
    "joined_numbers": Untouched("numbers, each with the one that it leads to"),
    # What others were told, and what they said. Ids, order and endpoints stay, so that feed and reconciliation are whole.
    "events": Blank(
        _of(events.c.number),
        kept=("seq", "id", "number", "type", "created_at", "told", "position"),
        rewritten={"payload": redacting.payload},
    ),
    "attempts": Blank(
        _among(attempts.c.delivery_id, _mine(deliveries, "id")),
        kept=("id", "delivery_id", "at", "code", "status", "seconds"),
        # A receiver may repeat in its answer what it was sent.
        values={"answer": ""},
    ),
    "deliveries": Untouched("which event for which endpoint, by ids"),
    "troubled_endpoints": Blank(
        lambda _: literal(value=True),
        kept=("endpoint", "failures", "since", "next_try", "asked_until", "open", "code", "status"),
        # The last answer of an endpoint, to whichever event: it may be about this one.
        values={"answer": ""},
    ),
    "statuses": Blank(
        _of(statuses.c.number),
        kept=("id", "endpoint", "message_id", "number", "round", "status", "sequence", "said_at", "received_at", "effect"),
        values={"customer_text": "", "internal_text": "", "by": ""},
    ),
    # By it the ticket is found, and its tracker told to erase; it holds ids alone.
    "tracker_tickets": Untouched("which ticket in which tracker, by ids"),
    "tracker_files": Blank(
        _of(tracker_files.c.number),
        kept=("endpoint", "attachment_id", "number", "state", "tries"),
        # A tracker may name the file that it refused.
        values={"reason": ""},
    ),
    "tracker_polls": Blank(
        lambda _: literal(value=True),
        kept=("endpoint", "leased_by", "lease_until", "mark", "looked_at", "succeeded_at", "failures", "failing_since", "code"),
        # The last words of a tracker that could not be asked.
        values={"zh": "", "en": ""},
    ),
    # Nobody is told any more that a term of it ends. What was told holds a number and no words of his.
    "open_terms": Gone(_of(open_terms.c.number)),
    "notices": Blank(
        _notices,
        kept=("id", "key", "kind", "subject", "at", "number", "over_at"),
        rewritten={"body": redacting.notice},
    ),
    "notice_robots": Untouched("which robot told which notice"),
    "robot_messages": Untouched("what became of messages, none of which holds personal data"),
    "message_notices": Untouched("which notice stood in which message"),
    # Answers that are given again within a day to a program that asks again.
    "answered_requests": Gone(_names_a_number),
    # Chats: the visitor's token opens nothing any more.
    "talk_says": Gone(lambda whose: talk_says.c.talk.in_(whose.talks)),
    "talks": Gone(lambda whose: talks.c.talk.in_(whose.talks)),
    "conversations": Gone(_of(conversations.c.number)),
    # Nothing of customers.
    "api_tokens": Untouched("programs"),
    "bucket_objects": Untouched("digests of objects' places, of which none leads to a complaint"),
    "day_numbers": Untouched("counters"),
    "disabled_endpoints": Untouched("endpoints"),
    "feed_positions": Untouched("consumers of the feed"),
    "installation": Untouched("this installation"),
    "mailboxes": Untouched("the company's mailboxes"),
    "plans": Untouched("the plan"),
    "reconciliations": Untouched("figures"),
    "retrainings": Untouched("figures and versions"),
    "sessions": Untouched("staff"),
    "staff": Untouched("staff"),
    "trained_models": Untouched("weights of words; a model that learned from the text is replaced by the next retraining"),
}


def find(conn: Connection, number: str) -> Whose | None:
    """Everything that goes with this number: whoever chats writes all complaints of a talk himself. None where nothing is known of it."""
    numbers = set(conn.execute(select(submissions.c.number).where(submissions.c.number == number)).scalars())
    numbers |= set(conn.execute(select(complaints.c.number).where(complaints.c.number == number)).scalars())
    if not numbers:
        return None
    c = conversations.c
    spoken = {name[:_TALK_CHARS] for name in conn.execute(select(c.conversation).where(c.number.in_(numbers))).scalars()}
    for talk in spoken:
        same = func.substr(c.conversation, 1, _TALK_CHARS) == talk
        numbers |= set(conn.execute(select(c.number).where(same)).scalars())
    return Whose(sorted(numbers), sorted(spoken))


def others(conn: Connection, whose: Whose) -> list[str]:
    """Further complaints under the same telephone number or address, which are not erased with this one."""
    k = complaints.c
    known = conn.execute(select(k.phone, k.email).where(k.number.in_(whose.numbers))).all()
    phones, emails = {row.phone for row in known if row.phone}, {row.email for row in known if row.email}
    found = select(k.number).where(or_(k.phone.in_(phones), k.email.in_(emails)), k.number.not_in(whose.numbers))
    return list(conn.execute(found.order_by(k.number)).scalars())


def envelopes(conn: Connection, whose: Whose) -> list[Mapping[str, Any]]:
    """The envelopes of what came in, which say where further copies may lie."""
    s = submissions.c
    return list(conn.execute(select(s.envelope).where(s.number.in_(whose.numbers)).order_by(s.id)).scalars())


def told(conn: Connection, number: str) -> list[str]:
    """The endpoints that were to hear of this complaint."""
    return sorted(conn.execute(select(deliveries.c.endpoint).where(deliveries.c.number == number).distinct()).scalars())


def counts(conn: Connection, whose: Whose) -> dict[str, int]:
    """How many rows of each table an erasure would change or remove; tables without any are left out."""
    found = {}
    for name, treatment in TREATMENT.items():
        if not isinstance(treatment, Untouched):
            table = metadata.tables[name]
            found[name] = conn.execute(select(func.count()).select_from(table).where(treatment.where(whose))).scalar_one()
    return {name: count for name, count in found.items() if count}


def erase(conn: Connection, whose: Whose, at: datetime) -> None:
    """Does it, on the caller's transaction. What was never sent of an answer is never sent."""
    waiting = (answers.c.number.in_(whose.numbers), answers.c.state == AnswerState.WAITING.value)
    conn.execute(update(answers).where(*waiting).values(state=AnswerState.SUPPRESSED.value))
    for name, treatment in TREATMENT.items():
        table = metadata.tables[name]
        if isinstance(treatment, Gone):
            conn.execute(delete(table).where(treatment.where(whose)))
        elif isinstance(treatment, Blank):
            values = {key: at if key == "erased_at" else value for key, value in treatment.values.items()}
            if values:
                conn.execute(update(table).where(treatment.where(whose)).values(values))
            for column, anew in treatment.rewritten.items():
                _rewrite(conn, table, treatment.where(whose), column, anew)


def _rewrite(conn: Connection, table: Table, where: ColumnElement[bool], column: str, anew: Callable[[Any], Any]) -> None:
    (key,) = table.primary_key.columns
    for row in conn.execute(select(key, table.c[column]).where(where)).all():
        conn.execute(update(table).where(key == row[0]).values({column: anew(row[1])}))


def supersede(conn: Connection, number: str, event_id: str) -> None:
    """Says which event told of the erasure, so that whoever decides about the complaint at this moment is overtaken."""
    conn.execute(update(complaints).where(complaints.c.number == number).values(last_event=event_id))
