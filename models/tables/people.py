"""Who may sign in, which programs may ask, and what they were answered."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Integer, String, Table

from models.columns import Json, UtcTime, Words
from models.tables.base import Id, metadata

# People who sign in to the console.
staff = Table(
    "staff",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", String(80), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    # Argon2id; empty until the person has set one by a one-time link.
    Column("password", String(200)),
    Column("invitation", String(64)),
    Column("invited_until", UtcTime),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

# Who is signed in. Only hashes of tokens are kept.
sessions = Table(
    "sessions",
    metadata,
    Column("token", String(64), primary_key=True),
    Column("staff_id", Id, ForeignKey("staff.id"), nullable=False, index=True),
    Column("csrf", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
    Column("until", UtcTime, nullable=False),
)

# Tokens of programs, with what each may do. Only hashes are kept.
api_tokens = Table(
    "api_tokens",
    metadata,
    Column("token", String(64), primary_key=True),
    Column("name", String(80), nullable=False, unique=True),
    Column("scopes", Json, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("disabled", Boolean, nullable=False),
)

# Answers to requests that carried an idempotency key, so that asking again gives the same answer.
answered_requests = Table(
    "answered_requests",
    metadata,
    Column("key", String(200), primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", Words, nullable=False),
)
