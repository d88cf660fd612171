"""The database schema, one file a subject; of `models/` only this and `columns` know SQLAlchemy."""

from __future__ import annotations

from models.tables.answers import answers
from models.tables.base import metadata
from models.tables.complaints import assignments, complaints, corrections, messages, verdicts
from models.tables.handoff import attempts, deliveries, disabled_endpoints, events, feed_positions, statuses, troubled_endpoints
from models.tables.intake import conversations, day_numbers, installation, jobs, plans, submissions
from models.tables.learning import examples, retrainings, trained_models
from models.tables.people import answered_requests, api_tokens, sessions, staff

__all__ = [
    "answered_requests",
    "answers",
    "api_tokens",
    "assignments",
    "attempts",
    "complaints",
    "conversations",
    "corrections",
    "day_numbers",
    "deliveries",
    "disabled_endpoints",
    "events",
    "examples",
    "feed_positions",
    "installation",
    "jobs",
    "messages",
    "metadata",
    "plans",
    "retrainings",
    "sessions",
    "staff",
    "statuses",
    "submissions",
    "trained_models",
    "troubled_endpoints",
    "verdicts",
]
