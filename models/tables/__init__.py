"""The database schema, one file a subject; of `models/` only this and `columns` know SQLAlchemy."""

from __future__ import annotations

from models.tables.answers import answer_attempts, answers, joined_numbers, mail_ids
from models.tables.attachments import attachments
from models.tables.base import metadata
from models.tables.calls import bucket_objects, calls
from models.tables.complaints import assignments, complaints, corrections, messages, verdicts
from models.tables.handoff import (
    attempts,
    deliveries,
    disabled_endpoints,
    events,
    feed_positions,
    reconciliations,
    statuses,
    troubled_endpoints,
)
from models.tables.intake import conversations, day_numbers, installation, jobs, plans, submissions
from models.tables.learning import examples, retrainings, trained_models
from models.tables.mailboxes import mailbox_mails, mailboxes
from models.tables.notices import message_notices, notice_robots, notices, open_terms, robot_messages
from models.tables.people import answered_requests, api_tokens, sessions, staff
from models.tables.talks import statements, talk_says, talks
from models.tables.trackers import tracker_files, tracker_polls, tracker_tickets

__all__ = [
    "answer_attempts",
    "answered_requests",
    "answers",
    "api_tokens",
    "assignments",
    "attachments",
    "attempts",
    "bucket_objects",
    "calls",
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
    "joined_numbers",
    "mail_ids",
    "mailbox_mails",
    "mailboxes",
    "message_notices",
    "messages",
    "metadata",
    "notice_robots",
    "notices",
    "open_terms",
    "plans",
    "reconciliations",
    "retrainings",
    "robot_messages",
    "sessions",
    "staff",
    "statements",
    "statuses",
    "submissions",
    "talk_says",
    "talks",
    "tracker_files",
    "tracker_polls",
    "tracker_tickets",
    "trained_models",
    "troubled_endpoints",
    "verdicts",
]
