"""Notices for people, by which robots they go, every message that was tried, and the terms that are still open."""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, String, Table

from models.columns import Json, UtcTime, Words
from models.tables.base import Id, metadata

# What people are or were to be told. No personal data.
notices = Table(
    "notices",
    metadata,
    Column("id", Id, primary_key=True),
    # Its cause; never twice for one key.
    Column("key", String(200), nullable=False, unique=True),
    Column("kind", String(32), nullable=False),
    Column("subject", String(120), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("number", String(32), nullable=False, index=True),
    # Of a state that lasts (an endpoint fails, work is parked): when it was over; empty while it lasts, and for all else.
    Column("over_at", UtcTime),
    # The rest of `models.notice.Notice`.
    Column("body", Json, nullable=False),
    Index("ix_notices_kind_subject_id", "kind", "subject", "id"),
    sqlite_autoincrement=True,
)

# Which robots tell a notice, and when each had done so.
notice_robots = Table(
    "notice_robots",
    metadata,
    Column("notice_id", Id, ForeignKey("notices.id"), primary_key=True, autoincrement=False),
    Column("robot", String(64), primary_key=True),
    Column("told_at", UtcTime),
    Index("ix_notice_robots_robot_notice_id", "robot", "notice_id"),
)

# Every message that a robot sent or tried to. Written before the try, so that all nodes together keep to a robot's limit.
robot_messages = Table(
    "robot_messages",
    metadata,
    Column("id", Id, primary_key=True),
    Column("robot", String(64), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("code", String(32), nullable=False),
    Column("status", Integer),
    Column("maker_code", Integer),
    Column("seconds", Float, nullable=False),
    Column("zh", Words, nullable=False),
    Column("en", Words, nullable=False),
    Column("said", Words, nullable=False),
    # Nothing is sent by this robot before.
    Column("hold_until", UtcTime, nullable=False),
    Index("ix_robot_messages_robot_id", "robot", "id"),
)

# Which notices stood in a message: a notice has as many tries as it has rows here.
message_notices = Table(
    "message_notices",
    metadata,
    Column("message_id", Id, ForeignKey("robot_messages.id"), primary_key=True, autoincrement=False),
    Column("notice_id", Id, ForeignKey("notices.id"), primary_key=True, autoincrement=False),
    Index("ix_message_notices_notice_id", "notice_id"),
)

# The terms of complaints that nobody has been told of yet. A row goes when its term is kept or its end was told.
open_terms = Table(
    "open_terms",
    metadata,
    Column("number", String(32), ForeignKey("complaints.number"), primary_key=True),
    Column("term", String(16), primary_key=True),
    # Since when it runs.
    Column("begun", UtcTime, nullable=False),
    Column("due", UtcTime, nullable=False),
    # When it is next to be looked at.
    Column("look_at", UtcTime, nullable=False, index=True),
)
