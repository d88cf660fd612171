"""Calls, and what was taken from a bucket.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two tables, and complaints by telephone number."""
    op.create_table(
        "calls",
        sa.Column("submission_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("centre", sa.String(length=60), nullable=False),
        sa.Column("call_id", sa.String(length=120), nullable=False),
        sa.Column("caller", sa.String(length=32), nullable=False),
        sa.Column("words", sa.String(length=64), nullable=False),
        sa.Column("to_call_back", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["number"], ["complaints.number"], name=op.f("fk_calls_number")),
        sa.ForeignKeyConstraint(["submission_id"], ["submissions.id"], name=op.f("fk_calls_submission_id")),
        sa.PrimaryKeyConstraint("submission_id", name=op.f("pk_calls")),
    )
    op.create_index(op.f("ix_calls_number"), "calls", ["number"], unique=False)
    op.create_index(op.f("ix_calls_call_id"), "calls", ["call_id"], unique=False)
    op.create_index(op.f("ix_calls_words"), "calls", ["words"], unique=False)
    op.create_index("ix_calls_caller_received_at", "calls", ["caller", "received_at"], unique=False)
    op.create_table(
        "bucket_objects",
        sa.Column("place", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("place", name=op.f("pk_bucket_objects")),
    )
    op.create_index(op.f("ix_complaints_phone"), "complaints", ["phone"], unique=False)


def downgrade() -> None:
    """Never: go back by restoring a backup."""
    raise NotImplementedError("jiesu migrates forwards only; restore a backup to go back")
