"""The hand-off: queues of jobs, places in the feed, endpoints in trouble, what trackers say, how far consumers are.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Three tables and four columns."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    op.add_column("jobs", sa.Column("queue", sa.String(length=64), nullable=False, server_default=""))
    # Deliveries that wait were told apart by what stands before the colon.
    before = "substr(order_key, 1, instr(order_key, ':') - 1)" if sqlite else "split_part(order_key, ':', 1)"
    op.execute(f"UPDATE jobs SET queue = {before} WHERE kind = 'deliver'")  # noqa: S608 - nothing from outside
    op.drop_index("ix_jobs_kind_state_run_at", table_name="jobs")
    op.create_index("ix_jobs_kind_queue_state_run_at", "jobs", ["kind", "queue", "state", "run_at"], unique=False)

    op.add_column("events", sa.Column("told", sa.Text(), nullable=True))
    op.add_column("events", sa.Column("position", sa.BigInteger(), nullable=True))
    op.create_index("uq_events_position", "events", ["position"], unique=True)
    op.create_index(
        "ix_events_unplaced",
        "events",
        ["seq"],
        unique=False,
        sqlite_where=sa.text("position IS NOT NULL"),
        postgresql_where=sa.text("position IS NULL"),
    )

    op.create_table(
        "troubled_endpoints",
        sa.Column("endpoint", sa.String(length=64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_try", sa.DateTime(timezone=True), nullable=True),
        sa.Column("open", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("endpoint", name=op.f("pk_troubled_endpoints")),
    )
    op.create_table(
        "statuses",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("endpoint", sa.String(length=64), nullable=False),
        sa.Column("message_id", sa.String(length=200), nullable=False),
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("customer_text", sa.Text(), nullable=False),
        sa.Column("internal_text", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("effect", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["number"], ["complaints.number"], name=op.f("fk_statuses_number")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statuses")),
        sa.UniqueConstraint("endpoint", "message_id", name=op.f("uq_statuses_endpoint_message_id")),
    )
    op.create_index("ix_statuses_number_id", "statuses", ["number", "id"], unique=False)
    op.create_table(
        "feed_positions",
        sa.Column("token", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("cursor", sa.String(length=80), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token", "name", name=op.f("pk_feed_positions")),
    )


def downgrade() -> None:
    """Never: go back by restoring a backup."""
    raise NotImplementedError("jiesu migrates forwards only; restore a backup to go back")
