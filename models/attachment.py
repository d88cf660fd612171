"""A file that came with a submission: who knows it by which id, what it is by its content, and whether it is offered."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class AttachmentState(StrEnum):
    """Whether a file is offered alone. Every one of them is within the submission's bytes, which are kept whole."""

    KEPT = "kept"
    TOO_LARGE = "too_large"
    TOO_MANY = "too_many"


@dataclass(frozen=True, slots=True)
class AttachmentLimits:
    """Up to which number and size (bytes) the files of one submission are offered alone."""

    most: int
    largest: int

    def state(self, position: int, size: int) -> AttachmentState:
        """Whether the file at `position` (from 0) is offered."""
        if position >= self.most:
            return AttachmentState.TOO_MANY
        return AttachmentState.TOO_LARGE if size > self.largest else AttachmentState.KEPT


@dataclass(frozen=True, slots=True)
class StoredAttachment:
    """A file as the store knows it; its bytes lie in the submission and nowhere else.

    id:        random, ours; says nothing of the file.
    number:    of the complaint.
    position:  its place among the files of the submission, from 0.
    filename:  only ever shown; never a path.
    size:      in bytes.
    mime_type: by content. declared: what the sender said.
    sha256:    of its bytes, in hexadecimal.
    """

    id: str
    number: str
    submission_id: int
    position: int
    filename: str
    size: int
    mime_type: str
    declared: str
    sha256: str
    state: AttachmentState
