"""People, their sessions, the tokens of programs, and answers that must be given again alike. Of tokens only hashes are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from gateway.store.engine import Store
from models.staff import Caller, Person, Role, Scope, Session
from models.tables import answered_requests, api_tokens, sessions, staff


def add(store: Store, conn: Connection, name: str, role: Role, now: datetime) -> int | None:
    """Adds a person without a password. Returns the id; None when there is one of this name already."""
    added = store.insert(staff).values(name=name, role=role.value, disabled=False, created_at=now).on_conflict_do_nothing()
    found: int | None = conn.execute(added.returning(staff.c.id)).scalar_one_or_none()
    return found


def people(conn: Connection) -> list[Person]:
    """Everybody, by name."""
    return [_person(row) for row in conn.execute(select(staff).order_by(staff.c.name))]


def anybody(conn: Connection) -> bool:
    """Whether there is anybody at all."""
    return conn.execute(select(staff.c.id).limit(1)).first() is not None


def anybody_ready(conn: Connection) -> bool:
    """Whether anybody can sign in."""
    return conn.execute(select(staff.c.id).where(staff.c.password.is_not(None), ~staff.c.disabled).limit(1)).first() is not None


def by_name(conn: Connection, name: str) -> tuple[Person, str | None] | None:
    """The person of this name, and the hash of the password."""
    row = conn.execute(select(staff).where(staff.c.name == name)).first()
    return (_person(row), row.password) if row else None


def by_invitation(conn: Connection, hashed: str, now: datetime) -> Person | None:
    """Whom a one-time link that can still be used was made for."""
    row = conn.execute(select(staff).where(staff.c.invitation == hashed, staff.c.invited_until > now, ~staff.c.disabled)).first()
    return _person(row) if row else None


def change(conn: Connection, person_id: int, **values: object) -> None:
    """Changes columns of a person."""
    conn.execute(update(staff).where(staff.c.id == person_id).values(**values))


def accept_invitation(conn: Connection, hashed: str, password: str, now: datetime) -> int | None:
    """Sets the password and uses the link up. Returns whose; None when another was quicker or the link ran out."""
    unused = (staff.c.invitation == hashed, staff.c.invited_until > now, ~staff.c.disabled)
    values = {"password": password, "invitation": None, "invited_until": None}
    found: int | None = conn.execute(update(staff).where(*unused).values(**values).returning(staff.c.id)).scalar_one_or_none()
    return found


def begin_session(conn: Connection, hashed: str, person_id: int, csrf: str, now: datetime, until: datetime) -> None:
    """Signs a person in, and forgets sessions that are over."""
    conn.execute(delete(sessions).where(sessions.c.until <= now))
    conn.execute(insert(sessions).values(token=hashed, staff_id=person_id, csrf=csrf, created_at=now, seen_at=now, until=until))


def session(conn: Connection, hashed: str) -> Session | None:
    """The session of this token, whatever its age."""
    query = select(staff, sessions.c.csrf, sessions.c.created_at.label("begun"), sessions.c.seen_at, sessions.c.until)
    row = conn.execute(query.join(sessions, sessions.c.staff_id == staff.c.id).where(sessions.c.token == hashed)).first()
    return Session(_person(row), row.csrf, row.begun, row.seen_at, row.until) if row else None


def touch_session(conn: Connection, hashed: str, now: datetime) -> None:
    """Notes that the session is in use."""
    conn.execute(update(sessions).where(sessions.c.token == hashed).values(seen_at=now))


def end_session(conn: Connection, hashed: str) -> None:
    """Signs out."""
    conn.execute(delete(sessions).where(sessions.c.token == hashed))


def end_sessions_of(conn: Connection, person_id: int) -> None:
    """Signs a person out everywhere."""
    conn.execute(delete(sessions).where(sessions.c.staff_id == person_id))


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A program's token as it is listed."""

    name: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    disabled: bool


def add_token(store: Store, conn: Connection, hashed: str, name: str, scopes: Sequence[Scope], now: datetime) -> bool:
    """Keeps a program's token. False when there is one of this name."""
    values = {"token": hashed, "name": name, "scopes": [scope.value for scope in scopes], "created_at": now, "disabled": False}
    added = store.insert(api_tokens).values(**values).on_conflict_do_nothing()
    return conn.execute(added.returning(api_tokens.c.name)).first() is not None


def tokens(conn: Connection) -> list[TokenRow]:
    """All tokens of programs, by name."""
    found = conn.execute(select(api_tokens).order_by(api_tokens.c.name))
    return [TokenRow(row.name, tuple(map(Scope, row.scopes)), row.created_at, row.disabled) for row in found]


def renew_token(conn: Connection, name: str, hashed: str, now: datetime) -> bool:
    """Puts another token in the place of the one of this name, and lets it open what that did. False when there is none."""
    anew = update(api_tokens).where(api_tokens.c.name == name).values(token=hashed, created_at=now, disabled=False)
    return conn.execute(anew).rowcount > 0


def disable_token(conn: Connection, name: str) -> bool:
    """A token opens nothing any more. False when there is none of this name."""
    return conn.execute(update(api_tokens).where(api_tokens.c.name == name).values(disabled=True)).rowcount > 0


def caller(conn: Connection, hashed: str) -> Caller | None:
    """Whose token this is; None for one that is unknown or disabled."""
    row = conn.execute(select(api_tokens).where(api_tokens.c.token == hashed, ~api_tokens.c.disabled)).first()
    return Caller(row.name, frozenset(map(Scope, row.scopes))) if row else None


@dataclass(frozen=True, slots=True)
class Answered:
    """What was answered to a request with an idempotency key; `status` 0 while it is still being worked on."""

    sha256: str
    at: datetime
    status: int
    body: str


def claim_answer(store: Store, conn: Connection, key: str, sha256: str, now: datetime, forget_before: datetime) -> Answered | None:
    """Claims a key for this request; None when it is ours now, else what is known of it. Forgets what is old."""
    conn.execute(delete(answered_requests).where(answered_requests.c.at < forget_before))
    claimed = store.insert(answered_requests).values(key=key, sha256=sha256, at=now, status=0, body="").on_conflict_do_nothing()
    if conn.execute(claimed.returning(answered_requests.c.key)).first() is not None:
        return None
    row = conn.execute(select(answered_requests).where(answered_requests.c.key == key)).one()
    return Answered(row.sha256, row.at, row.status, row.body)


def keep_answer(conn: Connection, key: str, status: int, body: str) -> None:
    """Keeps what was answered."""
    conn.execute(update(answered_requests).where(answered_requests.c.key == key).values(status=status, body=body))


def drop_answer(conn: Connection, key: str) -> None:
    """Forgets a claim that came to nothing, so that it may be asked again."""
    conn.execute(delete(answered_requests).where(answered_requests.c.key == key))


def count_sessions(conn: Connection) -> int:
    """How many sessions are kept."""
    return int(conn.execute(select(func.count()).select_from(sessions)).scalar_one())


def _person(row: Row[Any]) -> Person:
    return Person(row.id, row.name, Role(row.role), row.password is not None, row.invited_until, row.disabled, row.created_at)
