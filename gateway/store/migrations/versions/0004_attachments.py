"""Files that came with submissions.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One table. Files of mails that were read before have no rows; the original holds them."""
    op.create_table(
        "attachments",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("submission_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("mime_type", sa.String(length=160), nullable=False),
        sa.Column("declared", sa.String(length=160), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["number"], ["complaints.number"], name=op.f("fk_attachments_number")),
        sa.ForeignKeyConstraint(["submission_id"], ["submissions.id"], name=op.f("fk_attachments_submission_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attachments")),
        sa.UniqueConstraint("submission_id", "position", name=op.f("uq_attachments_submission_id_position")),
    )
    op.create_index(op.f("ix_attachments_number"), "attachments", ["number"], unique=False)


def downgrade() -> None:
    """Never: go back by restoring a backup."""
    raise NotImplementedError("jiesu migrates forwards only; restore a backup to go back")
