"""Mailboxes: who looks into each, where it stands, how it does; and the ledger of their mails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, case, delete, func, or_, select, update

from gateway.store.engine import Store
from models.mailbox import DUPLICATE, Entry, Health, MailState, Place
from models.tables import mailbox_mails, mailboxes

# No database takes any number of parameters.
_MOST_PARAMETERS = 500


def register(store: Store, conn: Connection, name: str, folder: str) -> None:
    """A row for a mailbox of the settings, where there is none yet."""
    row = {"name": name, "folder": folder, "generation": 0, "floor": 0, "upto": 0, "failures": 0}
    conn.execute(store.insert(mailboxes).values(**row).on_conflict_do_nothing())
    conn.execute(update(mailboxes).where(mailboxes.c.name == name, mailboxes.c.folder != folder).values(folder=folder))


def hold(conn: Connection, name: str, node: str, now: datetime, until: datetime) -> bool:
    """Takes or keeps the lease of a mailbox; False where another node has it."""
    free = or_(mailboxes.c.leased_by.is_(None), mailboxes.c.leased_by == node, mailboxes.c.lease_until <= now)
    return conn.execute(update(mailboxes).where(mailboxes.c.name == name, free).values(leased_by=node, lease_until=until)).rowcount == 1


def asked(conn: Connection, names: Sequence[str]) -> dict[str, datetime]:
    """When a person last asked for a look into each of these, where one ever did."""
    found = conn.execute(select(mailboxes.c.name, mailboxes.c.asked_at).where(mailboxes.c.name.in_(names)))
    return {name: at for name, at in found if at is not None}


def let_go(conn: Connection, name: str, node: str) -> None:
    """Gives a lease back, so that another node need not wait for its end."""
    where = (mailboxes.c.name == name, mailboxes.c.leased_by == node)
    conn.execute(update(mailboxes).where(*where).values(leased_by=None, lease_until=None))


def release_all(conn: Connection) -> None:
    """Gives all leases back: right only where no other node can be alive."""
    conn.execute(update(mailboxes).values(leased_by=None, lease_until=None))


def ask(conn: Connection, names: Sequence[str], now: datetime) -> int:
    """A person wants a look now. Returns how many mailboxes that concerns."""
    return conn.execute(update(mailboxes).where(mailboxes.c.name.in_(names)).values(asked_at=now)).rowcount


# ---- Where it stands -----------------------------------------------------------------------------------------------------------------


def place(conn: Connection, name: str) -> Place | None:
    """Where a mailbox stands; None before its first start."""
    row = conn.execute(select(mailboxes).where(mailboxes.c.name == name)).first()
    if row is None or row.account is None:
        return None
    return Place(row.account, row.validity, row.generation, row.floor, row.upto, row.began_at)


def begin(conn: Connection, name: str, found: Place) -> Place:
    """A new generation, one above that of the row whatever `found` says."""
    values = asdict(found) | {"generation": mailboxes.c.generation + 1}
    where = update(mailboxes).where(mailboxes.c.name == name).values(**values)
    row = conn.execute(where.returning(mailboxes)).one()
    return Place(row.account, row.validity, row.generation, row.floor, row.upto, row.began_at)


# ---- How it does ---------------------------------------------------------------------------------------------------------------------


def succeeded(conn: Connection, name: str, now: datetime, taken: int) -> Health:
    """A look came to its end. Returns how the mailbox did before."""
    before = health(conn, [name])[0]
    values: dict[str, object] = {"looked_at": now, "succeeded_at": now, "failures": 0, "failing_since": None}
    conn.execute(update(mailboxes).where(mailboxes.c.name == name).values(**values, **({"mail_at": now} if taken else {})))
    return before


def failed(conn: Connection, name: str, now: datetime, code: str, zh: str, en: str) -> Health:
    """A look did not. Returns how the mailbox does now."""
    values = {
        "looked_at": now,
        "failures": mailboxes.c.failures + 1,
        "failing_since": func.coalesce(mailboxes.c.failing_since, now),
        "erred_at": now,
        "code": code,
        "zh": zh,
        "en": en,
    }
    conn.execute(update(mailboxes).where(mailboxes.c.name == name).values(**values))
    return health(conn, [name])[0]


def health(conn: Connection, names: Sequence[str]) -> list[Health]:
    """How these mailboxes do, by name."""
    found = conn.execute(select(mailboxes).where(mailboxes.c.name.in_(names)).order_by(mailboxes.c.name))
    return [
        Health(
            name=row.name,
            folder=row.folder,
            looked_at=row.looked_at,
            succeeded_at=row.succeeded_at,
            mail_at=row.mail_at,
            failures=row.failures,
            failing_since=row.failing_since,
            erred_at=row.erred_at,
            code=row.code or "",
            zh=row.zh or "",
            en=row.en or "",
            node=row.leased_by or "",
            token_until=row.refresh_until,
        )
        for row in found
    ]


# ---- Tokens --------------------------------------------------------------------------------------------------------------------------


def refresh_token(conn: Connection, name: str) -> tuple[str, str] | None:
    """The newest refresh token and the digest of the one that it follows from; None where none was kept."""
    row = conn.execute(select(mailboxes.c.refresh_token, mailboxes.c.refresh_seed).where(mailboxes.c.name == name)).first()
    return (row.refresh_token, row.refresh_seed) if row is not None and row.refresh_token else None


def keep_refresh_token(conn: Connection, name: str, token: str, seed: str, now: datetime, until: datetime | None) -> None:
    """Keeps a new one."""
    values = {"refresh_token": token, "refresh_seed": seed, "refresh_at": now, "refresh_until": until}
    conn.execute(update(mailboxes).where(mailboxes.c.name == name).values(**values))


# ---- The ledger ----------------------------------------------------------------------------------------------------------------------


def write(store: Store, conn: Connection, name: str, generation: int, entries: Sequence[Entry]) -> None:
    """Writes lines; one of the same mail is replaced, keeping its id."""
    key = ("mailbox", "generation", "uid")
    for entry in entries:
        values = asdict(entry) | {"state": entry.state.value, "mailbox": name, "generation": generation}
        del values["id"]
        line = store.insert(mailbox_mails).values(**values)
        changed = {column: value for column, value in values.items() if column not in key}
        conn.execute(line.on_conflict_do_update(index_elements=key, set_=changed))


def known(conn: Connection, name: str, generation: int) -> set[int]:
    """The UIDs in the ledger."""
    where = (mailbox_mails.c.mailbox == name, mailbox_mails.c.generation == generation)
    return set(conn.execute(select(mailbox_mails.c.uid).where(*where)).scalars())


def highest(conn: Connection, name: str, generation: int) -> int:
    """The highest UID in the ledger; 0 where there is none."""
    where = (mailbox_mails.c.mailbox == name, mailbox_mails.c.generation == generation)
    return int(conn.execute(select(func.coalesce(func.max(mailbox_mails.c.uid), 0)).where(*where)).scalar_one())


def due(conn: Connection, name: str, generation: int, now: datetime) -> list[Entry]:
    """Mails whose next try is due, by UID."""
    mine = and_(mailbox_mails.c.mailbox == name, mailbox_mails.c.generation == generation)
    waiting = (mailbox_mails.c.state == MailState.WAITING.value, mailbox_mails.c.next_try <= now)
    return [_entry(row) for row in conn.execute(select(mailbox_mails).where(mine, *waiting).order_by(mailbox_mails.c.uid))]


def next_try(conn: Connection, name: str, generation: int) -> datetime | None:
    """When the next try of any mail is due."""
    mine = (mailbox_mails.c.mailbox == name, mailbox_mails.c.generation == generation)
    waiting = mailbox_mails.c.state == MailState.WAITING.value
    when: datetime | None = conn.execute(select(func.min(mailbox_mails.c.next_try)).where(*mine, waiting)).scalar_one()
    return when


def unmoved(conn: Connection, name: str, generation: int) -> list[Entry]:
    """Mails that are still to be moved or flagged, by UID."""
    mine = (mailbox_mails.c.mailbox == name, mailbox_mails.c.generation == generation, mailbox_mails.c.after == "pending")
    return [_entry(row) for row in conn.execute(select(mailbox_mails).where(*mine).order_by(mailbox_mails.c.uid))]


def counts(conn: Connection) -> dict[str, dict[str, int]]:
    """How many mails there are of each mailbox, by state; of those taken, `duplicate` were known already and `taken` were new.

    `failed` are those that could not be moved or flagged.
    """
    found: dict[str, dict[str, int]] = {}
    m = mailbox_mails.c
    known = and_(m.state == MailState.TAKEN.value, func.coalesce(m.code, "") == DUPLICATE)
    state = case((known, DUPLICATE), else_=m.state)
    for name, what, count in conn.execute(select(m.mailbox, state, func.count()).group_by(m.mailbox, state)):
        found.setdefault(name, {})[what] = count
    unmoved = select(mailbox_mails.c.mailbox, func.count()).where(mailbox_mails.c.after == "failed").group_by(mailbox_mails.c.mailbox)
    for name, count in conn.execute(unmoved):
        found.setdefault(name, {})["failed"] = count
    return found


def not_taken(conn: Connection, limit: int) -> list[tuple[str, Entry]]:
    """What is put aside or waits for its next try, each with its mailbox, newest first."""
    states = (MailState.ASIDE.value, MailState.WAITING.value)
    query = select(mailbox_mails).where(mailbox_mails.c.state.in_(states)).order_by(mailbox_mails.c.id.desc()).limit(limit)
    return [(row.mailbox, _entry(row)) for row in conn.execute(query)]


def try_again(conn: Connection, names: Sequence[str], now: datetime, *, ids: Sequence[int] | None = None, left: bool = False) -> list[str]:
    """Has mails tried again that are aside or waiting: these, or all of these mailboxes; with `left` those that the first choice left out.

    Returns the mailboxes that have something to do. Only mails of the newest generation can still be had.
    """
    states = [MailState.LEFT.value] if left else [MailState.ASIDE.value, MailState.WAITING.value]
    newest = select(mailboxes.c.generation).where(mailboxes.c.name == mailbox_mails.c.mailbox).scalar_subquery()
    where = and_(mailbox_mails.c.mailbox.in_(names), mailbox_mails.c.state.in_(states), mailbox_mails.c.generation == newest)
    fresh = {"state": MailState.WAITING.value, "next_try": now, "attempts": 0}
    found: set[str] = set()
    chunks = [None] if ids is None else [ids[n : n + _MOST_PARAMETERS] for n in range(0, len(ids), _MOST_PARAMETERS)]
    for chunk in chunks:
        chosen = where if chunk is None else and_(where, mailbox_mails.c.id.in_(chunk))
        found |= set(conn.execute(update(mailbox_mails).where(chosen).values(**fresh).returning(mailbox_mails.c.mailbox)).scalars())
    return sorted(found)


def drop_unreachable(conn: Connection, name: str, generation: int) -> int:
    """Strikes out what waited under older numbers: it is offered again under the new ones. Returns how many."""
    states = (MailState.ASIDE.value, MailState.WAITING.value, MailState.LEFT.value)
    old = (mailbox_mails.c.mailbox == name, mailbox_mails.c.generation < generation, mailbox_mails.c.state.in_(states))
    return conn.execute(delete(mailbox_mails).where(*old)).rowcount


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        uid=row.uid,
        state=MailState(row.state),
        at=row.at,
        size=row.size,
        attempts=row.attempts,
        next_try=row.next_try,
        code=row.code or "",
        reason=row.reason or "",
        number=row.number or "",
        after=row.after,
        id=row.id,
    )
