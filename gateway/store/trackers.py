"""Tickets in tracking systems: which complaint is which ticket, which files went there, and how asking does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, func, or_, select, update

from gateway.store import fence
from gateway.store.engine import Store
from models.remote import FileState, PollHealth, RemoteTicket
from models.tables import complaints, tracker_files, tracker_polls, tracker_tickets

# No database takes any number of parameters.
_MOST_PARAMETERS = 500
# Whether the complaint of a ticket is erased.
_ERASED = exists().where(complaints.c.number == tracker_tickets.c.number, complaints.c.erased_at.is_not(None))

# ---- Tickets -------------------------------------------------------------------------------------------------------------------------


def ticket(conn: Connection, endpoint: str, number: str) -> RemoteTicket | None:
    """The ticket of a complaint at an endpoint."""
    t = tracker_tickets.c
    row = conn.execute(select(tracker_tickets).where(t.endpoint == endpoint, t.number == number)).first()
    return _ticket(row) if row else None


def tickets_of(conn: Connection, number: str) -> list[RemoteTicket]:
    """The tickets of a complaint at all endpoints."""
    t = tracker_tickets.c
    return [_ticket(row) for row in conn.execute(select(tracker_tickets).where(t.number == number).order_by(t.endpoint))]


def keep_ticket(store: Store, conn: Connection, ticket: RemoteTicket, at: datetime) -> None:
    """Keeps which ticket a complaint has; another one before it is forgotten."""
    values = {"remote_id": ticket.remote_id, "url": ticket.url, "status": ticket.status, "unread": int(ticket.unread), "at": at}
    made = store.insert(tracker_tickets).values(endpoint=ticket.endpoint, number=ticket.number, **values)
    conn.execute(made.on_conflict_do_update(index_elements=["endpoint", "number"], set_=values))


def by_remote(conn: Connection, endpoint: str, remote_ids: Sequence[str]) -> dict[str, RemoteTicket]:
    """Those of these tickets that are ours, by their remote id; not those of complaints that are erased, of which nothing is heard."""
    t = tracker_tickets.c
    found: dict[str, RemoteTicket] = {}
    for start in range(0, len(remote_ids), _MOST_PARAMETERS):
        some = remote_ids[start : start + _MOST_PARAMETERS]
        rows = conn.execute(select(tracker_tickets).where(t.endpoint == endpoint, t.remote_id.in_(some), ~_ERASED))
        found |= {row.remote_id: _ticket(row) for row in rows}
    return found


def unread(conn: Connection, endpoint: str, most: int) -> list[RemoteTicket]:
    """Tickets whose history is to be read from the beginning; not those of complaints that are erased."""
    t = tracker_tickets.c
    query = select(tracker_tickets).where(t.endpoint == endpoint, t.unread == 1, ~_ERASED).order_by(t.id).limit(most)
    return [_ticket(row) for row in conn.execute(query)]


def have_read(conn: Connection, endpoint: str, remote_ids: Sequence[str]) -> None:
    """The whole history of these was read."""
    t = tracker_tickets.c
    for start in range(0, len(remote_ids), _MOST_PARAMETERS):
        some = remote_ids[start : start + _MOST_PARAMETERS]
        conn.execute(update(tracker_tickets).where(t.endpoint == endpoint, t.remote_id.in_(some), t.unread == 1).values(unread=0))


def keep_unread(conn: Connection, endpoint: str, remote_id: str) -> None:
    """The history of this one is to be read from the beginning once more."""
    t = tracker_tickets.c
    conn.execute(update(tracker_tickets).where(t.endpoint == endpoint, t.remote_id == remote_id).values(unread=1))


def set_status(conn: Connection, endpoint: str, number: str, status: str) -> None:
    """What a ticket was last said to be."""
    t = tracker_tickets.c
    conn.execute(update(tracker_tickets).where(t.endpoint == endpoint, t.number == number).values(status=status))


def first_kept(conn: Connection, endpoint: str) -> datetime | None:
    """When the first ticket at an endpoint was kept; None where there is none."""
    t = tracker_tickets.c
    found: datetime | None = conn.execute(select(func.min(t.at)).where(t.endpoint == endpoint)).scalar_one()
    return found


def _ticket(row: Row[Any]) -> RemoteTicket:
    return RemoteTicket(row.endpoint, row.number, row.remote_id, row.url, row.status, bool(row.unread))


# ---- Files ---------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FileRow:
    """What became of a file at an endpoint."""

    state: FileState
    tries: int
    reason: str


def files(conn: Connection, endpoint: str, number: str) -> Mapping[str, FileRow]:
    """What became of the files of a complaint at an endpoint, by the attachment's id."""
    f = tracker_files.c
    rows = conn.execute(select(tracker_files).where(f.endpoint == endpoint, f.number == number))
    return {row.attachment_id: FileRow(FileState(row.state), row.tries, row.reason) for row in rows}


def keep_file(store: Store, conn: Connection, endpoint: str, number: str, attachment_id: str, row: FileRow) -> None:
    """Keeps what became of a file; of a complaint that was erased meanwhile, without what the tracker said."""
    reason = row.reason if row.reason and not fence.is_erased(conn, number) else ""
    values = {"state": row.state.value, "tries": row.tries, "reason": reason}
    made = store.insert(tracker_files).values(endpoint=endpoint, number=number, attachment_id=attachment_id, **values)
    conn.execute(made.on_conflict_do_update(index_elements=["endpoint", "attachment_id"], set_=values))


def forget_files(conn: Connection, endpoint: str, number: str) -> None:
    """Nothing of a complaint's files is at the endpoint any more."""
    f = tracker_files.c
    conn.execute(delete(tracker_files).where(f.endpoint == endpoint, f.number == number))


# ---- Asking --------------------------------------------------------------------------------------------------------------------------


def hold(store: Store, conn: Connection, endpoint: str, node: str, now: datetime, until: datetime) -> str | None:
    """Takes or keeps the lease of an endpoint. The mark; None where another node has the lease."""
    row = {"endpoint": endpoint, "mark": "", "failures": 0, "code": "", "zh": "", "en": ""}
    conn.execute(store.insert(tracker_polls).values(**row).on_conflict_do_nothing())
    p = tracker_polls.c
    free = or_(p.leased_by.is_(None), p.leased_by == node, p.lease_until <= now)
    held = update(tracker_polls).where(p.endpoint == endpoint, free).values(leased_by=node, lease_until=until).returning(p.mark)
    return conn.execute(held).scalar_one_or_none()


def let_go(conn: Connection, endpoint: str, node: str) -> None:
    """Gives a lease back, so that another node need not wait for its end."""
    where = (tracker_polls.c.endpoint == endpoint, tracker_polls.c.leased_by == node)
    conn.execute(update(tracker_polls).where(*where).values(leased_by=None, lease_until=None))


def release_all(conn: Connection) -> None:
    """Gives all leases back: right only where no other node can be alive."""
    conn.execute(update(tracker_polls).values(leased_by=None, lease_until=None))


def succeeded(conn: Connection, endpoint: str, mark: str, now: datetime) -> None:
    """It was asked, and everything it said was taken."""
    values = {"mark": mark, "looked_at": now, "succeeded_at": now, "failures": 0, "failing_since": None}
    conn.execute(update(tracker_polls).where(tracker_polls.c.endpoint == endpoint).values(**values))


def failed(conn: Connection, endpoint: str, code: str, zh: str, en: str, now: datetime) -> PollHealth:
    """It could not be asked. Returns how it does now."""
    p = tracker_polls.c
    values = {
        "looked_at": now,
        "failures": p.failures + 1,
        "failing_since": func.coalesce(p.failing_since, now),
        "code": code,
        "zh": zh,
        "en": en,
    }
    row = conn.execute(update(tracker_polls).where(p.endpoint == endpoint).values(**values).returning(tracker_polls)).one()
    return _health(row)


def health(conn: Connection) -> dict[str, PollHealth]:
    """How asking does, by endpoint."""
    return {row.endpoint: _health(row) for row in conn.execute(select(tracker_polls))}


def _health(row: Row[Any]) -> PollHealth:
    return PollHealth(row.endpoint, row.looked_at, row.succeeded_at, row.failures, row.failing_since, row.code, row.zh, row.en)
