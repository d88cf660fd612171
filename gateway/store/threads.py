"""Which complaint a mail belongs to: Message-IDs, who may write into a complaint, and numbers that lead to another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select, update

from gateway.store.engine import Store
from models.answer import box_of
from models.columns import storable
from models.tables import answers, complaints, joined_numbers, mail_ids, messages, submissions


@dataclass(frozen=True, slots=True)
class KnownMail:
    """A mail that was named by its Message-ID: of which complaint it is, and its subject."""

    number: str
    subject: str


def known(conn: Connection, message_ids: Sequence[str]) -> list[KnownMail]:
    """The mails under these Message-IDs, customers' and ours, the newest first."""
    if not message_ids:
        return []
    ours = select(answers.c.number, answers.c.subject).where(answers.c.message_id.in_(message_ids)).order_by(answers.c.id.desc())
    theirs = select(mail_ids.c.number, mail_ids.c.subject).where(mail_ids.c.message_id.in_(message_ids))
    rows = [*conn.execute(ours), *conn.execute(theirs.order_by(mail_ids.c.submission_id.desc()))]
    return [KnownMail(row.number, row.subject) for row in rows]


def exists(conn: Connection, number: str) -> bool:
    """Whether there is a complaint of this number to which something may be added."""
    there = select(complaints.c.number).where(complaints.c.number == number, complaints.c.erased_at.is_(None))
    return conn.execute(there).first() is not None


def resolve(conn: Connection, number: str) -> str:
    """The complaint that a number leads to: itself, unless a mail was joined to another under it."""
    joined = conn.execute(select(joined_numbers.c.joined).where(joined_numbers.c.number == number)).scalar_one_or_none()
    return str(joined) if joined else number


def joined_to(conn: Connection, number: str) -> dict[str, str]:
    """The numbers that lead to this complaint, each with how that was known."""
    found = select(joined_numbers).where(joined_numbers.c.joined == number).order_by(joined_numbers.c.number)
    return {row.number: row.by for row in conn.execute(found)}


def join(store: Store, conn: Connection, submission_id: int, number: str, target: str, by: str, now: datetime) -> None:
    """Moves a submission to the complaint it belongs to; the number that it was given leads there from now on."""
    conn.execute(update(submissions).where(submissions.c.id == submission_id).values(number=target))
    alias = {"number": number, "joined": target, "at": now, "by": by}
    conn.execute(store.insert(joined_numbers).values(**alias).on_conflict_do_nothing())


def keep_id(store: Store, conn: Connection, submission_id: int, message_id: str, number: str, sender: str, subject: str) -> None:
    """Remembers a mail by its Message-ID; `sender` is whose box may go on with it, empty for nobody's."""
    box = box_of(sender) if sender else ""
    values = {"submission_id": submission_id, "message_id": message_id, "number": number, "sender": box, "subject": subject}
    conn.execute(store.insert(mail_ids).values(**values).on_conflict_do_nothing())


def same_mail(conn: Connection, message_id: str, sender: str, title: str, text: str, attachments: Sequence[object]) -> str | None:
    """The complaint that has this very mail already, which came on another way; None for one that only bears the same Message-ID."""
    if conn.dialect.name == "postgresql":
        # Two nodes that read the same mail at once would both find nothing.
        conn.execute(select(func.pg_advisory_xact_lock(func.hashtext(message_id))))
    query = select(messages).join(mail_ids, mail_ids.c.submission_id == messages.c.submission_id).where(mail_ids.c.message_id == message_id)
    for row in conn.execute(query.order_by(messages.c.id)):
        told = row.parsed.get("details", {})
        same = (row.title, row.text, told.get("from_email"), row.parsed.get("attachments", []))
        if same == (storable(title), storable(text), sender, list(attachments)):
            return str(row.number)
    return None
