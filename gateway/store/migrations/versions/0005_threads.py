"""Tries of mailing an answer, whose box it goes to, joined numbers, and customers' Message-IDs.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """One column and three tables."""
    op.add_column("answers", sa.Column("to_box", sa.Text(), nullable=True))
    op.create_index("ix_answers_to_box_at", "answers", ["to_box", "at"], unique=False)
    op.create_table(
        "answer_attempts",
        sa.Column("id", _ID, nullable=False),
        sa.Column("answer_id", _ID, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["answer_id"], ["answers.id"], name=op.f("fk_answer_attempts_answer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answer_attempts")),
    )
    op.create_index(op.f("ix_answer_attempts_answer_id"), "answer_attempts", ["answer_id"], unique=False)
    op.create_table(
        "joined_numbers",
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("joined", sa.String(length=32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["joined"], ["complaints.number"], name=op.f("fk_joined_numbers_joined")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_joined_numbers")),
    )
    op.create_index(op.f("ix_joined_numbers_joined"), "joined_numbers", ["joined"], unique=False)
    op.create_table(
        "mail_ids",
        sa.Column("submission_id", _ID, nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["submission_id"], ["submissions.id"], name=op.f("fk_mail_ids_submission_id")),
        sa.PrimaryKeyConstraint("submission_id", name=op.f("pk_mail_ids")),
    )
    op.create_index(op.f("ix_mail_ids_message_id"), "mail_ids", ["message_id"], unique=False)


def downgrade() -> None:
    """Never: go back by restoring a backup."""
    raise NotImplementedError("jiesu migrates forwards only; restore a backup to go back")
