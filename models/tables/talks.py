"""Chats: how far each talk is, what the machine said in it, and what customers say of the class that they were told."""

from __future__ import annotations

from sqlalchemy import Column, Index, String, Table

from models.columns import Json, UtcTime, Words
from models.tables.base import Id, metadata

# A visitor's talk, by the hash of his token: the first complaint of it has this very name as its conversation, further ones begin with it.
talks = Table(
    "talks",
    metadata,
    Column("talk", String(64), primary_key=True),
    Column("begun_at", UtcTime, nullable=False),
    Column("language", String(8), nullable=False),
    # What the dialogue knows (`gateway.dialogue.State`).
    Column("state", Json, nullable=False),
    # Who the site says that he is, signed by it; nobody else may open this talk then.
    Column("identity", Json),
    # When he agreed to the use of his data, and to which wording (PIPL 14).
    Column("consent_at", UtcTime),
    Column("consent_version", String(40)),
    # When whoever of our side has the talk last wrote, or took it; empty while the machine has it.
    Column("agent_at", UtcTime, index=True),
    # When the customer was last seen to be connected.
    Column("here_at", UtcTime, nullable=False),
)

# What the machine said, kept so that it comes back when the talk is resumed.
talk_says = Table(
    "talk_says",
    metadata,
    Column("id", Id, primary_key=True),
    Column("talk", String(64), nullable=False),
    Column("topic", String(16), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("code", String(32), nullable=False),
    Column("zh", Words, nullable=False),
    Column("en", Words, nullable=False),
    Column("asks", String(16), nullable=False),
    Column("replies", Json, nullable=False),
    Index("ix_talk_says_talk_id", "talk", "id"),
)

# What a customer said the class is. Nobody's decision and no label: it lets a person look. `klass` is empty where he named none.
statements = Table(
    "statements",
    metadata,
    Column("id", Id, primary_key=True),
    Column("number", String(32), nullable=False, index=True),
    Column("at", UtcTime, nullable=False),
    Column("was", String(32), nullable=False),
    Column("klass", String(32), nullable=False),
)
