"""Events, their deliveries to endpoints, every try, how each endpoint stands, and what trackers have said."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Integer, String, Table, UniqueConstraint, text

from models.columns import Json, UtcTime, Words
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
    # The names of the endpoints that were to be told; by them it shows when a delivery is lost. Empty for events of earlier versions.
    Column("told", Json),
    # Its place in the feed, in the order of commits; on SQLite, which has one writer, that is `seq`, and this stays empty.
    Column("position", BigInteger),
    Index("uq_events_position", "position", unique=True),
    Index("ix_events_unplaced", "seq", sqlite_where=text("position IS NOT NULL"), postgresql_where=text("position IS NULL")),
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

# Endpoints that fail, or asked for time; one that takes what it is sent is not here.
troubled_endpoints = Table(
    "troubled_endpoints",
    metadata,
    Column("endpoint", String(64), primary_key=True),
    # Tries in a row that failed, and since when.
    Column("failures", Integer, nullable=False),
    Column("since", UtcTime, nullable=False),
    # Nothing is sent before; empty while it is still sent to as usual.
    Column("next_try", UtcTime),
    # So long of that it asked for itself (`Retry-After`), which no success and no restart cuts short.
    Column("asked_until", UtcTime),
    # Whether the circuit is open: then one event is tried at a time.
    Column("open", Integer, nullable=False),
    Column("code", String(32), nullable=False),
    Column("status", Integer),
    Column("answer", Words, nullable=False),
)

# What trackers said of the handling, append-only (预案 4.4).
statuses = Table(
    "statuses",
    metadata,
    Column("id", Id, primary_key=True),
    Column("endpoint", String(64), nullable=False),
    # The sender's own id; a second report with it counts for nothing.
    Column("message_id", String(200), nullable=False),
    Column("number", String(32), ForeignKey("complaints.number"), nullable=False),
    Column("round", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("sequence", BigInteger),
    Column("said_at", UtcTime, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("customer_text", Words, nullable=False),
    Column("internal_text", Words, nullable=False),
    Column("by", Words, nullable=False),
    Column("effect", String(16), nullable=False),
    UniqueConstraint("endpoint", "message_id"),
    Index("ix_statuses_number_id", "number", "id"),
)

# How far those who pull the feed have come.
feed_positions = Table(
    "feed_positions",
    metadata,
    # Whose token it is (empty for the token in the home's file), and what he calls himself.
    Column("token", String(80), primary_key=True),
    Column("name", String(80), primary_key=True),
    Column("cursor", String(80), nullable=False),
    Column("at", UtcTime, nullable=False),
)

# Each reconciliation that was done at night, so that one that was missed is made up for, and the last figure outlives a restart.
reconciliations = Table(
    "reconciliations",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("accepted", Integer, nullable=False),
    Column("unexplained", Integer, nullable=False),
)
