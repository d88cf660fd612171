"""Notices for people: what they are told, by which robots, every message, and the terms that are still open.

Revision ID: 0010
Revises: 0009
"""

import json
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Five tables and an index; and the terms of what is being handled that still lie ahead."""
    op.create_table(
        "notices",
        sa.Column("id", _ID, nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=120), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("over_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
        sa.UniqueConstraint("key", name=op.f("uq_notices_key")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_notices_number"), "notices", ["number"], unique=False)
    op.create_index("ix_notices_kind_subject_id", "notices", ["kind", "subject", "id"], unique=False)
    op.create_table(
        "notice_robots",
        sa.Column("notice_id", _ID, autoincrement=False, nullable=False),
        sa.Column("robot", sa.String(length=64), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.id"], name=op.f("fk_notice_robots_notice_id")),
        sa.PrimaryKeyConstraint("notice_id", "robot", name=op.f("pk_notice_robots")),
    )
    op.create_index("ix_notice_robots_robot_notice_id", "notice_robots", ["robot", "notice_id"], unique=False)
    op.create_table(
        "robot_messages",
        sa.Column("id", _ID, nullable=False),
        sa.Column("robot", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("maker_code", sa.Integer(), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("zh", sa.Text(), nullable=False),
        sa.Column("en", sa.Text(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("hold_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_robot_messages")),
    )
    op.create_index("ix_robot_messages_robot_id", "robot_messages", ["robot", "id"], unique=False)
    op.create_table(
        "message_notices",
        sa.Column("message_id", _ID, autoincrement=False, nullable=False),
        sa.Column("notice_id", _ID, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["robot_messages.id"], name=op.f("fk_message_notices_message_id")),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.id"], name=op.f("fk_message_notices_notice_id")),
        sa.PrimaryKeyConstraint("message_id", "notice_id", name=op.f("pk_message_notices")),
    )
    op.create_index("ix_message_notices_notice_id", "message_notices", ["notice_id"], unique=False)
    op.create_table(
        "open_terms",
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("term", sa.String(length=16), nullable=False),
        sa.Column("begun", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due", sa.DateTime(timezone=True), nullable=False),
        sa.Column("look_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["number"], ["complaints.number"], name=op.f("fk_open_terms_number")),
        sa.PrimaryKeyConstraint("number", "term", name=op.f("pk_open_terms")),
    )
    op.create_index(op.f("ix_open_terms_look_at"), "open_terms", ["look_at"], unique=False)
    op.create_index("ix_complaints_received_at", "complaints", ["received_at"], unique=False)
    _terms_ahead(op.get_bind())


def _terms_ahead(bind: sa.Connection) -> None:
    """Terms that have ended before anybody could be told are left out: an upgrade is no reason to ring every bell at once."""
    spelt_now = bind.execute(sa.text("SELECT CURRENT_TIMESTAMP")).scalar_one()
    # SQLite gives text, in UTC.
    now = datetime.fromisoformat(spelt_now).replace(tzinfo=UTC) if isinstance(spelt_now, str) else spelt_now
    open_terms = sa.table(
        "open_terms",
        sa.column("number", sa.String),
        sa.column("term", sa.String),
        sa.column("begun", sa.DateTime(timezone=True)),
        sa.column("due", sa.DateTime(timezone=True)),
        sa.column("look_at", sa.DateTime(timezone=True)),
    )
    newest = sa.text(
        "SELECT a.number, a.body, c.received_at FROM assignments a JOIN complaints c ON c.number = a.number "
        "WHERE c.state NOT IN ('resolved', 'rejected', 'closed') "
        "AND a.id = (SELECT max(b.id) FROM assignments b WHERE b.number = a.number)"
    )
    rows = []
    for number, body, received_at in bind.execute(newest):
        spelt = json.loads(body)
        for term in ("reply", "resolve"):
            due = datetime.fromisoformat(spelt[f"{term}_due"].replace("Z", "+00:00"))
            if due > now:
                kept = due.replace(tzinfo=None) if bind.dialect.name == "sqlite" else due
                begun = datetime.fromisoformat(received_at) if isinstance(received_at, str) else received_at
                # Looked at at once, so that whoever watches sets the time.
                rows.append({"number": number, "term": term, "begun": begun, "due": kept, "look_at": begun})
    for first in range(0, len(rows), 500):
        bind.execute(sa.insert(open_terms), rows[first : first + 500])


def downgrade() -> None:
    """Never: go back by restoring a backup."""
    raise NotImplementedError("jiesu migrates forwards only; restore a backup to go back")
