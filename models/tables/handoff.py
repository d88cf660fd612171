"""Events, their deliveries to endpoints, and every try."""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Integer, String, Table, UniqueConstraint

from models.columns import UtcTime, Words
from models.tables.base import Id, metadata

# Notices about tickets; `payload` is the exact text that is signed and sent.
events = Table(
    "events",
    metadata,
    Column("seq", Id, primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("number", String(32), nullable=False, index=True),
    Column("type", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("payload", Words, nullable=False),
    sqlite_autoincrement=True,
)

# One event for one endpoint.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Id, primary_key=True),
    Column("event_id", String(64), ForeignKey("events.id"), nullable=False),
    Column("endpoint", String(64), nullable=False),
    Column("webhook_id", String(80), nullable=False, unique=True),
    Column("number", String(32), nullable=False, index=True),
    Column("delivered_at", UtcTime),
    UniqueConstraint("event_id", "endpoint"),
)

# Every try of every delivery.
attempts = Table(
    "attempts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("delivery_id", Id, ForeignKey("deliveries.id"), nullable=False, index=True),
    Column("at", UtcTime, nullable=False),
    Column("code", String(32), nullable=False),
    Column("status", Integer),
    Column("seconds", Float, nullable=False),
    Column("answer", Words, nullable=False),
)

# Endpoints that were switched off (410 or by hand), with the reason; an endpoint that is not here is on.
disabled_endpoints = Table(
    "disabled_endpoints",
    metadata,
    Column("endpoint", String(64), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("reason", Words, nullable=False),
)
