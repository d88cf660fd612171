"""What customers are told, each try of telling them, and which mail belongs where."""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, String, Table

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
    # Whose box `to` is, however it is spelt: what limits count by.
    Column("to_box", Words),
    Index("ix_answers_number_id", "number", "id"),
    # A call list, and what is on its way.
    Index("ix_answers_way_state_id", "way", "state", "id"),
    Index("ix_answers_to_box_at", "to_box", "at"),
)

# Every try of mailing an answer.
answer_attempts = Table(
    "answer_attempts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("answer_id", Id, ForeignKey("answers.id"), nullable=False, index=True),
    Column("at", UtcTime, nullable=False),
    Column("code", String(32), nullable=False),
    Column("status", Integer),
    Column("seconds", Float, nullable=False),
    Column("said", Words, nullable=False),
)

# A number that was given to a mail or a call before anybody knew that it belongs to an older complaint; it leads there for ever.
joined_numbers = Table(
    "joined_numbers",
    metadata,
    Column("number", String(32), primary_key=True),
    Column("joined", String(32), ForeignKey("complaints.number"), nullable=False, index=True),
    Column("at", UtcTime, nullable=False),
    Column("by", String(16), nullable=False),
)

# The Message-IDs of customers' mails. Not unique: senders reuse them.
mail_ids = Table(
    "mail_ids",
    metadata,
    Column("submission_id", Id, ForeignKey("submissions.id"), primary_key=True),
    Column("message_id", Words, nullable=False, index=True),
    Column("number", String(32), nullable=False),
    # Who wrote it. Read by releases before `gateway.correspondence` alone, which may still share the store.
    Column("sender", Words, nullable=False),
    Column("subject", Words, nullable=False),
)
