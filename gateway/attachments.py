"""Opens a file that came with a complaint: the submission is read again and its nth part taken, so that no byte is kept twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.store import attachments, submissions
from gateway.store.engine import Store
from models.attachment import AttachmentState, StoredAttachment
from models.errors import Refused, Unreadable
from models.submission import Channel, Submission

# How a channel's submissions are opened: the submission, the place of the file in it (from 0) and its SHA-256, to the file's bytes; None
# where it is not to be found. A channel whose submission is the file itself answers with `submission.raw`.
Opener = Callable[[Submission, int, str], bytes | None]

# An id is of 32 hexadecimal digits; whatever else is asked for need not be looked up.
_DIGITS = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Opened:
    """A file with its bytes."""

    known: StoredAttachment
    content: bytes


class Attachments:
    """The files of complaints."""

    def __init__(self, store: Store, openers: Mapping[Channel, Opener]) -> None:
        self._store, self._openers = store, openers

    def of_number(self, number: str) -> list[StoredAttachment]:
        """What came with a complaint."""
        with self._store.read() as conn:
            return attachments.of_number(conn, number)

    def known(self, number: str, attachment_id: str) -> StoredAttachment | None:
        """One file of a complaint; None where there is none such."""
        if len(attachment_id) != 32 or not set(attachment_id) <= _DIGITS or not (number.isascii() and number.isprintable()):
            return None
        with self._store.read() as conn:
            return attachments.load(conn, number, attachment_id)

    def open(self, number: str, attachment_id: str) -> Opened | None:
        """A file with its bytes; None where there is none such.

        Errors: `Refused` (`attachment_not_offered`) for one that is beyond the limits or cannot be read out of the submission any more.
        """
        known = self.known(number, attachment_id)
        if known is None:
            return None
        if known.state is not AttachmentState.KEPT:
            raise _not_offered("超过附件的数量或大小上限", "it is beyond the limits of number and size")
        with self._store.read() as conn:
            submission, _ = submissions.load(conn, [known.submission_id])[known.submission_id]
        opener = self._openers.get(submission.channel)
        try:
            content = opener(submission, known.position, known.sha256) if opener else None
        except Unreadable as error:
            raise _not_offered(error.zh, error.en) from None
        if content is None:
            raise _not_offered("无法从原件中取出", "it cannot be read out of the original")
        return Opened(known, content)


def _not_offered(zh: str, en: str) -> Refused:
    told = f"这个附件不单独提供：{zh}；请下载原件", f"this file is not offered alone: {en}; take the original"
    return Refused("attachment_not_offered", *told)
