"""What is known of tickets in tracking systems that adapters write to and ask."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String, Table, UniqueConstraint

from models.columns import UtcTime, Words
from models.tables.base import Id, metadata

# One row a complaint at an endpoint: by it updates find the ticket.
tracker_tickets = Table(
    "tracker_tickets",
    metadata,
    Column("id", Id, primary_key=True),
    Column("endpoint", String(64), nullable=False),
    Column("number", String(32), nullable=False, index=True),
    Column("remote_id", String(100), nullable=False),
    Column("url", Words, nullable=False),
    Column("status", String(16), nullable=False),
    # 1 where its history is still to be read from the beginning.
    Column("unread", Integer, nullable=False),
    Column("at", UtcTime, nullable=False),
    UniqueConstraint("endpoint", "number"),
    Index("ix_tracker_tickets_endpoint_remote_id", "endpoint", "remote_id"),
    sqlite_autoincrement=True,
)

# What became of each file of a complaint on its way to an endpoint.
tracker_files = Table(
    "tracker_files",
    metadata,
    Column("endpoint", String(64), primary_key=True),
    Column("attachment_id", String(32), primary_key=True),
    Column("number", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("reason", Words, nullable=False),
)

# One row an endpoint that is asked: who asks now, how far it has come, how it does.
tracker_polls = Table(
    "tracker_polls",
    metadata,
    Column("endpoint", String(64), primary_key=True),
    Column("leased_by", String(80)),
    Column("lease_until", UtcTime),
    Column("mark", Words, nullable=False),
    Column("looked_at", UtcTime),
    Column("succeeded_at", UtcTime),
    Column("failures", Integer, nullable=False),
    Column("failing_since", UtcTime),
    Column("code", String(64), nullable=False),
    Column("zh", Words, nullable=False),
    Column("en", Words, nullable=False),
)
