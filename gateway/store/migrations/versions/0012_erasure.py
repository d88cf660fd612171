"""When the person of a complaint was erased.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One column."""
    op.add_column("complaints", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
