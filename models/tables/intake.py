"""What connectors handed in, the numbers given, and the work still to be done."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, LargeBinary, String, Table, UniqueConstraint, text

from models.columns import Json, UtcTime, Words
from models.tables.base import Id, metadata

# What connectors handed in, whole. Committed before anything is acknowledged.
submissions = Table(
    "submissions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("channel", String(16), nullable=False),
    Column("source_key", String(200), nullable=False),
    Column("number", String(32), nullable=False, index=True),
    Column("conversation", String(80)),
    Column("media_type", String(100), nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("envelope", Json, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    UniqueConstraint("channel", "source_key"),
    Index("ix_submissions_conversation_id", "conversation", "id"),
    sqlite_autoincrement=True,
)

# Which complaint a chat conversation belongs to.
conversations = Table(
    "conversations",
    metadata,
    Column("conversation", String(80), primary_key=True),
    Column("number", String(32), nullable=False, index=True),
)

# Which installation this is: its name goes with every complaint that is handed over, so that numbers of two installations, or of one
# that was set up anew on the same day, are never taken for one another.
installation = Table(
    "installation",
    metadata,
    Column("only", Integer, primary_key=True, autoincrement=False),
    Column("id", String(32), nullable=False),
)

# The last complaint number given on each day.
day_numbers = Table(
    "day_numbers",
    metadata,
    Column("day", String(8), primary_key=True),
    Column("last", Integer, nullable=False),
)

# All work that is still to be done. A finished job is deleted; what it made stands in the other tables.
jobs = Table(
    "jobs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", String(16), nullable=False),
    # Which of several that do the same work it waits for: the endpoint of a delivery, empty for all else.
    Column("queue", String(64), nullable=False, server_default=""),
    Column("number", String(32), nullable=False, index=True),
    Column("order_key", String(120), nullable=False),
    Column("payload", Json, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("run_at", UtcTime, nullable=False),
    # Counted when the job is claimed, so that a job that kills its worker is counted too.
    Column("attempts", Integer, nullable=False),
    # Claims in a row that nobody reported on: the worker died. Back to 0 with every report.
    Column("unreported", Integer, nullable=False),
    Column("lease_until", UtcTime),
    Column("leased_by", String(80)),
    Column("reason_code", String(64)),
    Column("reason", Words),
    Index("ix_jobs_kind_queue_state_run_at", "kind", "queue", "state", "run_at"),
    Index("ix_jobs_order_key_id", "order_key", "id"),
    # Few, and looked for at every claim.
    Index("ix_jobs_suspects", "kind", "id", sqlite_where=text("unreported > 0"), postgresql_where=text("unreported > 0")),
    # A number is never used again: a late worker could otherwise take a new job for its own.
    sqlite_autoincrement=True,
)

# Every version of the plan that was in force here (预案 八).
plans = Table(
    "plans",
    metadata,
    Column("version", String(64), primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("body", Words, nullable=False),
    Column("in_force_since", UtcTime, nullable=False),
)
