"""Complaints, their conversations, and everything that was decided about them."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Integer, String, Table, text

from models.columns import Json, UtcTime, Words
from models.tables.base import Id, metadata

# The record made from a submission, with where it stands now.
complaints = Table(
    "complaints",
    metadata,
    Column("number", String(32), primary_key=True),
    Column("channel", String(16), nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("state", String(16), nullable=False),
    Column("round", Integer, nullable=False),
    Column("title", Words, nullable=False),
    Column("name", Words),
    # Earlier complaints of the same number are looked up.
    Column("phone", Words, index=True),
    Column("email", Words),
    Column("estate", Words),
    Column("unit", Words),
    Column("klass", String(32)),
    Column("department", String(64)),
    Column("priority", String(16)),
    Column("reply_due", UtcTime),
    # The last message that a verdict has been given on.
    Column("triaged_through", Id),
    # The last event told to the endpoints, which a later one supersedes.
    Column("last_event", String(64)),
    # Where in the review queue it stands, the least first; empty where nobody need look.
    Column("review_rank", Float),
    # What came in lately is looked through for groups.
    Index("ix_complaints_received_at", "received_at"),
    # When whose complaint it was went (PIPL 47); empty for all others.
    Column("erased_at", UtcTime),
    Index(
        "ix_complaints_review",
        "review_rank",
        "received_at",
        sqlite_where=text("review_rank IS NOT NULL"),
        postgresql_where=text("review_rank IS NOT NULL"),
    ),
)

# The conversation of a complaint, one row an entry.
messages = Table(
    "messages",
    metadata,
    Column("id", Id, primary_key=True),
    Column("number", String(32), ForeignKey("complaints.number"), nullable=False),
    Column("submission_id", Id, ForeignKey("submissions.id"), nullable=False, unique=True),
    Column("received_at", UtcTime, nullable=False),
    Column("title", Words, nullable=False),
    Column("said", Words, nullable=False),
    Column("text", Words, nullable=False),
    Column("machine", Boolean, nullable=False),
    Column("parsed", Json, nullable=False),
    Index("ix_messages_number_id", "number", "id"),
)

# Every verdict ever given, append-only.
verdicts = Table(
    "verdicts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("number", String(32), ForeignKey("complaints.number"), nullable=False, index=True),
    Column("at", UtcTime, nullable=False),
    Column("klass", String(32), nullable=False),
    Column("decision", String(16), nullable=False),
    Column("trained_model", String(64), nullable=False),
    Column("body", Json, nullable=False),
)

# What staff said the class should have been, append-only; what the trained model had stated stands beside it, as evidence.
corrections = Table(
    "corrections",
    metadata,
    Column("id", Id, primary_key=True),
    Column("number", String(32), ForeignKey("complaints.number"), nullable=False, index=True),
    Column("at", UtcTime, nullable=False),
    Column("by", Words, nullable=False),
    Column("source", String(16), nullable=False),
    Column("was", String(32), nullable=False),
    Column("should_be", String(32), nullable=False),
    Column("trained_model", String(64), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("stated", Json, nullable=False),
    Column("alone", Boolean, nullable=False),
    Column("weight", Float, nullable=False),
    Column("note", Words, nullable=False),
    Index("ix_corrections_trained_model_id", "trained_model", "id"),
)

# Every assignment ever made, append-only, with the plan version under which it was made (预案 八).
assignments = Table(
    "assignments",
    metadata,
    Column("id", Id, primary_key=True),
    Column("number", String(32), ForeignKey("complaints.number"), nullable=False, index=True),
    Column("at", UtcTime, nullable=False),
    Column("department", String(64), nullable=False),
    Column("priority", String(16), nullable=False),
    Column("rule", String(64), nullable=False),
    Column("plan_version", String(64), nullable=False),
    Column("body", Json, nullable=False),
)
