"""Mailboxes that are looked into, and the ledger of their mails."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, UniqueConstraint

from models.columns import UtcTime, Words
from models.tables.base import Id, metadata

# One row a mailbox of the settings: who looks into it now, where it stands, how it does.
mailboxes = Table(
    "mailboxes",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("leased_by", String(80)),
    Column("lease_until", UtcTime),
    # When a person last asked for a look.
    Column("asked_at", UtcTime),
    Column("folder", Words, nullable=False),
    Column("account", String(64)),
    Column("validity", BigInteger),
    Column("generation", Integer, nullable=False),
    Column("floor", BigInteger, nullable=False),
    Column("upto", BigInteger, nullable=False),
    Column("began_at", UtcTime),
    Column("looked_at", UtcTime),
    Column("succeeded_at", UtcTime),
    Column("mail_at", UtcTime),
    Column("failures", Integer, nullable=False),
    Column("failing_since", UtcTime),
    Column("erred_at", UtcTime),
    Column("code", String(64)),
    Column("zh", Words),
    Column("en", Words),
    # OAuth2: the newest refresh token, which file it follows from (a digest), and since when it is there. All nodes share it.
    Column("refresh_token", Words),
    Column("refresh_seed", String(64)),
    Column("refresh_at", UtcTime),
    Column("refresh_until", UtcTime),
)

# What became of each mail. A mail is known by mailbox, generation (UIDVALIDITY) and UID, never by flags, sequence numbers or dates.
mailbox_mails = Table(
    "mailbox_mails",
    metadata,
    Column("id", Id, primary_key=True),
    Column("mailbox", String(40), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("uid", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_try", UtcTime),
    Column("code", String(64)),
    Column("reason", Words),
    Column("number", String(32)),
    Column("after", String(16), nullable=False),
    UniqueConstraint("mailbox", "generation", "uid"),
    Index("ix_mailbox_mails_mailbox_state", "mailbox", "state"),
    Index("ix_mailbox_mails_mailbox_after", "mailbox", "after"),
    sqlite_autoincrement=True,
)
