"""Files that came with submissions."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, String, Table, UniqueConstraint

from models.columns import Words
from models.tables.base import Id, metadata

# One row a file. Its bytes are not here: they are read out of the submission again, so that nothing is kept twice.
attachments = Table(
    "attachments",
    metadata,
    # Random: whoever knows one id knows no other, and no file is ever found under a name that a stranger chose.
    Column("id", String(32), primary_key=True),
    Column("number", String(32), ForeignKey("complaints.number"), nullable=False, index=True),
    Column("submission_id", Id, ForeignKey("submissions.id"), nullable=False),
    # Its place among the files of the submission, from 0.
    Column("position", Integer, nullable=False),
    # Only ever shown.
    Column("filename", Words, nullable=False),
    Column("size", Integer, nullable=False),
    # By content, and what the sender said.
    Column("mime_type", String(160), nullable=False),
    Column("declared", String(160), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    UniqueConstraint("submission_id", "position"),
)
