"""Calls: what is known of each beside its words; and what was taken from a bucket."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, String, Table

from models.columns import UtcTime
from models.tables.base import Id, metadata

# One row a call that was taken in, whatever became of its transcript.
calls = Table(
    "calls",
    metadata,
    Column("submission_id", Id, ForeignKey("submissions.id"), primary_key=True, autoincrement=False),
    Column("number", String(32), ForeignKey("complaints.number"), nullable=False, index=True),
    Column("received_at", UtcTime, nullable=False),
    Column("centre", String(60), nullable=False),
    # As the call centre or the speech service numbers it; empty where nobody does.
    Column("call_id", String(120), nullable=False, index=True),
    Column("caller", String(32), nullable=False),
    # SHA-256 of what the customer said; empty where he said next to nothing.
    Column("words", String(64), nullable=False, index=True),
    Column("to_call_back", Boolean, nullable=False),
    Index("ix_calls_caller_received_at", "caller", "received_at"),
)

# Objects of a bucket that were taken in and stay there: which one, and in which version.
bucket_objects = Table(
    "bucket_objects",
    metadata,
    # SHA-256 of endpoint, bucket and key.
    Column("place", String(64), primary_key=True),
    # SHA-256 of the ETag and the version.
    Column("version", String(64), nullable=False),
    Column("at", UtcTime, nullable=False),
)
