"""What customers are told."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, String, Table

from models.columns import UtcTime, Words
from models.tables.base import Id, metadata

# Everything that a customer was told or is to be told, whatever the way.
answers = Table(
    "answers",
    metadata,
    Column("id", Id, primary_key=True),
    Column("number", String(32), ForeignKey("complaints.number"), nullable=False),
    Column("kind", String(16), nullable=False),
    # What it answers: never twice for one key.
    Column("source_key", String(200), nullable=False, unique=True),
    Column("way", String(16), nullable=False),
    Column("to", Words),
    Column("language", String(8), nullable=False),
    Column("subject", Words, nullable=False),
    Column("body", Words, nullable=False),
    Column("by", Words, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Words),
    Column("sent_at", UtcTime),
    # Under which Message-ID it went out: replies and bounces are told by it.
    Column("message_id", String(200), index=True),
    Index("ix_answers_number_id", "number", "id"),
    # A call list, and what is on its way.
    Index("ix_answers_way_state_id", "way", "state", "id"),
)
