"""Chats in the store: how far each talk is, what was written and said in it, and what customers say of their class."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, case, func, insert, literal, select, update

from gateway.store.engine import Store
from models.answer import AnswerState, Way
from models.tables import (
    answers,
    assignments,
    complaints,
    conversations,
    corrections,
    events,
    statements,
    submissions,
    talk_says,
    talks,
    verdicts,
)


@dataclass(frozen=True, slots=True)
class TalkRow:
    """A talk as it is kept. `identity` is who the site says that the customer is."""

    talk: str
    language: str
    state: Mapping[str, Any]
    identity: Mapping[str, Any] | None
    agent_at: datetime | None
    here_at: datetime
    consent_at: datetime | None
    consent_version: str | None


@dataclass(frozen=True, slots=True)
class Written:
    """A line or a file of the customer, as it was taken in. `raw` is empty for a file: nobody needs its bytes here."""

    id: int
    conversation: str
    number: str
    source_key: str
    media_type: str
    envelope: Mapping[str, Any]
    received_at: datetime
    raw: bytes


@dataclass(frozen=True, slots=True)
class Said:
    """Something that the machine said."""

    id: int
    talk: str
    topic: str
    at: datetime
    code: str
    zh: str
    en: str
    asks: str
    replies: Sequence[Sequence[str]]


# The newest row of every table that a customer may be told something out of; nothing new in any of them, and there is nothing to look for.
Cursor = tuple[int, ...]
_TOLD_OF = (verdicts.c.id, assignments.c.id, corrections.c.id, answers.c.id, events.c.seq)
# Beside these, what the machine said stands last in a cursor.


def load(conn: Connection, names: Collection[str], *, hold: bool = False) -> dict[str, TalkRow]:
    """Talks by name. `hold`: nobody else writes them until the caller's transaction ends."""
    wanted = select(talks).where(talks.c.talk.in_(names)).order_by(talks.c.talk)
    found = conn.execute(wanted.with_for_update() if hold else wanted)
    return {
        row.talk: TalkRow(
            row.talk, row.language, row.state, row.identity, row.agent_at, row.here_at, row.consent_at, row.consent_version
        )
        for row in found
    }  # fmt: skip


def begin(store: Store, conn: Connection, rows: Sequence[Mapping[str, object]]) -> None:
    """Keeps these talks where they are not kept yet; `rows`: talk, begun_at, language, identity."""
    if rows:
        fresh = [{**row, "state": {}, "here_at": row["begun_at"]} for row in rows]
        conn.execute(store.insert(talks).on_conflict_do_nothing(), fresh)


def advance(conn: Connection, states: Mapping[str, Mapping[str, Any]], says: Sequence[Mapping[str, object]]) -> list[int]:
    """Keeps how far these talks are, and what the machine said in them. Returns the ids of what was said, in order."""
    if states:
        one = update(talks).where(talks.c.talk == bindparam("of_talk")).values(state=bindparam("new_state"))
        conn.execute(one, [{"of_talk": talk, "new_state": state} for talk, state in states.items()])
    if not says:
        return []
    return list(conn.execute(insert(talk_says).returning(talk_says.c.id, sort_by_parameter_order=True), says).scalars())


def set_values(conn: Connection, talk: str, **values: object) -> None:
    """Writes columns of a talk: consent, agent, language, identity."""
    conn.execute(update(talks).where(talks.c.talk == talk).values(**values))


def still_here(conn: Connection, names: Collection[str], at: datetime) -> None:
    """Says that the customers of these talks are connected."""
    conn.execute(update(talks).where(talks.c.talk.in_(names)).values(here_at=at))


def written(conn: Connection, names: Collection[str], line_type: str, after: int = 0) -> list[Written]:
    """What the customers wrote and sent in these conversations, oldest first; only of lines (by their media type) the bytes."""
    s = submissions.c
    raw = case((s.media_type == line_type, s.raw), else_=literal(b"")).label("bytes_of_line")
    rows = conn.execute(
        select(s.id, s.conversation, s.number, s.source_key, s.media_type, s.envelope, s.received_at, raw)
        .where(s.conversation.in_(names), s.id > after)
        .order_by(s.id)
    )
    return [
        Written(
            row.id,
            row.conversation,
            row.number,
            row.source_key,
            row.media_type,
            row.envelope,
            row.received_at,
            bytes(row.bytes_of_line),
        )
        for row in rows
    ]


def said(conn: Connection, talk: str) -> list[Said]:
    """What the machine said in a talk, oldest first."""
    rows = conn.execute(select(talk_says).where(talk_says.c.talk == talk).order_by(talk_says.c.id))
    return [Said(row.id, row.talk, row.topic, row.at, row.code, row.zh, row.en, row.asks, row.replies) for row in rows]


def said_after(conn: Connection, last: Mapping[str, int]) -> list[Said]:
    """What the machine said in each of these talks after the one of this id, oldest first."""
    if not last:
        return []
    s = talk_says.c
    rows = conn.execute(select(talk_says).where(s.talk.in_(last), s.id > min(last.values())).order_by(s.id))
    found = (Said(row.id, row.talk, row.topic, row.at, row.code, row.zh, row.en, row.asks, row.replies) for row in rows)
    return [one for one in found if one.id > last[one.talk]]


def said_since(conn: Connection, since: Cursor) -> list[tuple[int, str]]:
    """What the machine said since then: ids with their talks."""
    return [(row.id, row.talk) for row in conn.execute(select(talk_says.c.id, talk_says.c.talk).where(talk_says.c.id > since[-1]))]


def numbers(conn: Connection, names: Collection[str]) -> dict[str, str]:
    """The number of each conversation that has one."""
    found = conn.execute(select(conversations).where(conversations.c.conversation.in_(names)))
    return {row.conversation: row.number for row in found}


def conversation_of_number(conn: Connection, number: str) -> str | None:
    """The conversation of a complaint; None where it came in some other way."""
    found = conn.execute(select(conversations.c.conversation).where(conversations.c.number == number).limit(1))
    return found.scalar_one_or_none()


def newest(conn: Connection) -> Cursor:
    """How far the tables are that a customer may be told something out of."""
    found = conn.execute(select(*(select(func.max(column)).scalar_subquery() for column in (*_TOLD_OF, talk_says.c.id)))).one()
    return tuple(int(one or 0) for one in found)


def changed(conn: Connection, since: Cursor) -> set[str]:
    """The numbers of the complaints that something new stands in these tables of."""
    found: set[str] = set()
    for column, last in zip(_TOLD_OF, since, strict=False):
        found |= set(conn.execute(select(column.table.c.number).where(column > last).distinct()).scalars())
    return found


def shown(conn: Connection, numbers_: Collection[str], through: int, at: datetime) -> None:
    """Says that the customer has been shown the chat answers up to this one."""
    a = answers.c
    waiting = (a.number.in_(numbers_), a.id <= through, a.way == Way.CHAT.value, a.state == AnswerState.WAITING.value)
    conn.execute(update(answers).where(*waiting).values(state=AnswerState.SENT.value, sent_at=at))


def unseen(conn: Connection, before: datetime, limit: int) -> list[tuple[int, str]]:
    """Chat answers that nobody was shown since then, whose customer is away and left an e-mail address: ids with the address."""
    a = answers.c
    talk = func.substr(conversations.c.conversation, 1, 64)
    rows = conn.execute(
        select(a.id, complaints.c.email)
        .join(complaints, complaints.c.number == a.number)
        .join(conversations, conversations.c.number == a.number)
        .join(talks, talks.c.talk == talk)
        .where(
            a.way == Way.CHAT.value,
            a.state == AnswerState.WAITING.value,
            a.at < before,
            talks.c.here_at < before,
            complaints.c.email.is_not(None),
        )
        .order_by(a.id)
        .limit(limit)
    )
    return [(row.id, row.email) for row in rows]


def left_alone(conn: Connection, before: datetime) -> list[str]:
    """The talks that somebody of our side has and has not written in since then."""
    return list(conn.execute(select(talks.c.talk).where(talks.c.agent_at < before)).scalars())


def state_class(conn: Connection, number: str, was: str, klass: str, at: datetime) -> None:
    """Keeps what a customer says of the class of his complaint."""
    conn.execute(insert(statements).values(number=number, at=at, was=was, klass=klass))


def stated(conn: Connection, numbers_: Iterable[str]) -> dict[str, list[tuple[datetime, str, str]]]:
    """What the customers of these complaints say of their class: when, what it was, what it is; oldest first."""
    found: dict[str, list[tuple[datetime, str, str]]] = {}
    rows = conn.execute(select(statements).where(statements.c.number.in_(list(numbers_))).order_by(statements.c.id))
    for row in rows:
        found.setdefault(row.number, []).append((row.at, row.was, row.klass))
    return found
