"""The database schema; of `models/` only this and `columns` know SQLAlchemy."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)

from models.columns import Json, UtcTime, Words

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
_Id = BigInteger().with_variant(Integer, "sqlite")

# What connectors handed in, whole. Committed before anything is acknowledged.
submissions = Table(
    "submissions",
    metadata,
    Column("id", _Id, primary_key=True),
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
    Column("number", String(32), nullable=False),
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
    Column("phone", Words),
    Column("email", Words),
    Column("estate", Words),
    Column("unit", Words),
    Column("klass", String(32)),
    Column("department", String(64)),
    Column("priority", String(16)),
    Column("reply_due", UtcTime),
    # The last message that a verdict has been given on.
    Column("triaged_through", _Id),
    # The last event told to the endpoints, which a later one supersedes.
    Column("last_event", String(64)),
    # Where in the review queue it stands, the least first; empty where nobody need look.
    Column("review_rank", Float),
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
    Column("id", _Id, primary_key=True),
    Column("number", String(32), ForeignKey("complaints.number"), nullable=False),
    Column("submission_id", _Id, ForeignKey("submissions.id"), nullable=False, unique=True),
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
    Column("id", _Id, primary_key=True),
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
    Column("id", _Id, primary_key=True),
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
    Column("id", _Id, primary_key=True),
    Column("number", String(32), ForeignKey("complaints.number"), nullable=False, index=True),
    Column("at", UtcTime, nullable=False),
    Column("department", String(64), nullable=False),
    Column("priority", String(16), nullable=False),
    Column("rule", String(64), nullable=False),
    Column("plan_version", String(64), nullable=False),
    Column("body", Json, nullable=False),
)

# Notices about tickets; `payload` is the exact text that is signed and sent.
events = Table(
    "events",
    metadata,
    Column("seq", _Id, primary_key=True),
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
    Column("id", _Id, primary_key=True),
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
    Column("id", _Id, primary_key=True),
    Column("delivery_id", _Id, ForeignKey("deliveries.id"), nullable=False, index=True),
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

# All work that is still to be done. A finished job is deleted; what it made stands in the other tables.
jobs = Table(
    "jobs",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("kind", String(16), nullable=False),
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
    Index("ix_jobs_kind_state_run_at", "kind", "state", "run_at"),
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

# Labelled texts that a model may learn from, with names, phones and ids masked: imported history, and copies of corrected complaints.
# One row a complaint (the last word on it) or an imported text; `number` says whose erasure removes it.
examples = Table(
    "examples",
    metadata,
    Column("id", _Id, primary_key=True),
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
    Column("id", _Id, primary_key=True),
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

# People who sign in to the console.
staff = Table(
    "staff",
    metadata,
    Column("id", _Id, primary_key=True),
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
    Column("staff_id", _Id, ForeignKey("staff.id"), nullable=False, index=True),
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
