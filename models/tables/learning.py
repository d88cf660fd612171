"""Labelled texts, retrainings and trained models."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Index, Integer, LargeBinary, String, Table, UniqueConstraint, text

from models.columns import Json, UtcTime, Words
from models.tables.base import Id, metadata

# Labelled texts that a model may learn from, with names, phones and ids masked: imported history, and copies of corrected complaints.
# One row a complaint (the last word on it) or an imported text; `number` says whose erasure removes it.
examples = Table(
    "examples",
    metadata,
    Column("id", Id, primary_key=True),
    Column("origin", String(16), nullable=False),
    # The complaint's number, or SHA-256 of an imported text.
    Column("key", String(80), nullable=False),
    Column("number", String(32), index=True),
    # Which import or which way of correction it came by.
    Column("source", Words, nullable=False),
    Column("channel", String(16)),
    Column("title", Words, nullable=False),
    Column("text", Words, nullable=False),
    Column("primary", String(32), nullable=False),
    Column("secondary", Json, nullable=False),
    Column("by", Words, nullable=False),
    Column("added_at", UtcTime, nullable=False),
    # Never trained on: the company's own part of the golden set.
    Column("golden", Boolean, nullable=False),
    # A person has looked at a suspicious label and said that it stands (`kept`) or is not to be used (`ignored`); empty before.
    Column("looked_at", String(16)),
    UniqueConstraint("origin", "key"),
)

# Every retraining: asked for, running, done or failed. At most one waits or runs.
retrainings = Table(
    "retrainings",
    metadata,
    Column("id", Id, primary_key=True),
    Column("state", String(16), nullable=False),
    Column("asked_at", UtcTime, nullable=False),
    Column("by", Words, nullable=False),
    Column("doing", String(40), nullable=False),
    Column("done", Float, nullable=False),
    # Who runs it, and until when he must have been heard of.
    Column("leased_by", String(80)),
    Column("lease_until", UtcTime),
    Column("finished_at", UtcTime),
    # The version of the candidate, and what came of it in words.
    Column("version", String(64)),
    Column("outcome", Json),
    # 1 while it waits or runs.
    Column("open", Integer, nullable=False),
    Index(
        "uq_retrainings_open",
        "open",
        unique=True,
        sqlite_where=text("open = 1"),
        postgresql_where=text("open = 1"),
    ),
)

# Trained models with their cards; exactly one is the champion.
trained_models = Table(
    "trained_models",
    metadata,
    Column("version", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("card", Json, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("added_at", UtcTime, nullable=False),
    # The gate's verdict with its reasons; empty for what shipped.
    Column("gate", Json),
    # When somebody last promoted it; going back goes to the one promoted before. Empty for what never answered.
    Column("crowned_at", UtcTime),
    Index(
        "uq_trained_models_champion",
        "state",
        unique=True,
        sqlite_where=text("state = 'champion'"),
        postgresql_where=text("state = 'champion'"),
    ),
)
