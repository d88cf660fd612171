"""What customers are told.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One table."""
    op.create_table(
        "answers",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("source_key", sa.String(length=200), nullable=False),
        sa.Column("way", sa.String(length=16), nullable=False),
        sa.Column("to", sa.Text(), nullable=True),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("message_id", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(["number"], ["complaints.number"], name=op.f("fk_answers_number")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answers")),
        sa.UniqueConstraint("source_key", name=op.f("uq_answers_source_key")),
    )
    op.create_index(op.f("ix_answers_message_id"), "answers", ["message_id"], unique=False)
    op.create_index("ix_answers_number_id", "answers", ["number", "id"], unique=False)
    op.create_index("ix_answers_way_state_id", "answers", ["way", "state", "id"], unique=False)


def downgrade() -> None:
    """Never: go back by restoring a backup."""
    raise NotImplementedError("jiesu migrates forwards only; restore a backup to go back")
