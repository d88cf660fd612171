"""Files that came with submissions of any channel: kept by id, read back by complaint; their bytes stay in the submission."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from gateway.store.engine import Store
from models.attachment import AttachmentLimits, AttachmentState, StoredAttachment
from models.complaint import Attachment
from models.tables import attachments

# Longer types are none.
_TYPE_CHARS = 160


def named(number: str, submission_id: int, files: Sequence[Attachment], limits: AttachmentLimits) -> list[StoredAttachment]:
    """The files of a submission, in their order, each with an id of its own; nothing is written."""
    return [
        StoredAttachment(
            id=secrets.token_hex(16),
            number=number,
            submission_id=submission_id,
            position=position,
            filename=file.filename,
            size=file.size,
            mime_type=file.mime_type[:_TYPE_CHARS],
            declared=file.declared[:_TYPE_CHARS],
            sha256=file.sha256,
            state=limits.state(position, file.size),
        )
        for position, file in enumerate(files)
    ]


def add(store: Store, conn: Connection, files: Sequence[StoredAttachment]) -> None:
    """Keeps files on the caller's transaction, once their complaint is there; those of a submission only once."""
    rows = [
        {
            "id": file.id,
            "number": file.number,
            "submission_id": file.submission_id,
            "position": file.position,
            "filename": file.filename,
            "size": file.size,
            "mime_type": file.mime_type,
            "declared": file.declared,
            "sha256": file.sha256,
            "state": file.state.value,
        }
        for file in files
    ]
    if rows:
        conn.execute(store.insert(attachments).on_conflict_do_nothing(), rows)


def of_number(conn: Connection, number: str) -> list[StoredAttachment]:
    """The files of a complaint, in the order in which they came."""
    a = attachments.c
    return [_stored(row) for row in conn.execute(select(attachments).where(a.number == number).order_by(a.submission_id, a.position))]


def load(conn: Connection, number: str, attachment_id: str) -> StoredAttachment | None:
    """One file of a complaint; None where this complaint has none of this id."""
    row = conn.execute(select(attachments).where(attachments.c.id == attachment_id, attachments.c.number == number)).first()
    return _stored(row) if row else None


def _stored(row: Row[Any]) -> StoredAttachment:
    return StoredAttachment(
        id=row.id,
        number=row.number,
        submission_id=row.submission_id,
        position=row.position,
        filename=row.filename,
        size=row.size,
        mime_type=row.mime_type,
        declared=row.declared,
        sha256=row.sha256,
        state=AttachmentState(row.state),
    )
