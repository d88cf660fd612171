"""Until when an endpoint asked to be left alone.

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One column."""
    op.add_column("troubled_endpoints", sa.Column("asked_until", sa.DateTime(timezone=True), nullable=True))
