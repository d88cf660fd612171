"""What is known of a mailbox that is looked into, and of each mail in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class MailState(StrEnum):
    """What became of one mail of a mailbox."""

    # Committed as a submission.
    TAKEN = "taken"
    # Could not be fetched; tried again later.
    WAITING = "waiting"
    # Put aside with its reason, until a person has it tried again.
    ASIDE = "aside"
    # Older than what the back-fill choice takes in; a person may have it taken in all the same.
    LEFT = "left"
    # Somebody deleted or moved it before it could be fetched.
    GONE = "gone"


# The code of a mail that was taken and known already: it came by SMTP too, was moved back, or is numbered anew.
DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the ledger: one mail of one generation of a mailbox.

    uid:       its number in the folder (RFC 3501 2.3.1.1).
    size:      in bytes, as the server says.
    attempts:  failed tries to fetch it.
    next_try:  when it is tried again, where `state` is WAITING.
    code:      of `connectors.imap.TROUBLES`, where it was not taken; `DUPLICATE`, or nothing, where it was.
    reason:    the same in words, Chinese and English.
    number:    of the complaint that it became.
    after:     what is still to be done with it in the mailbox: `pending`, `done`, `failed`, or empty.
    id:        of its row; 0 while it has none.
    """

    uid: int
    state: MailState
    at: datetime
    size: int = 0
    attempts: int = 0
    next_try: datetime | None = None
    code: str = ""
    reason: str = ""
    number: str = ""
    after: str = ""
    id: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a mailbox stands: the generation of its numbers, and what was chosen at its first start.

    account:    a digest of user, host and folder; another one is another mailbox.
    validity:   UIDVALIDITY (RFC 3501 2.3.1.1); numbers of another one mean nothing.
    generation: counts accounts and validities.
    floor:      mails with a lower number were there before and are not wanted.
    upto:       of those with a lower number, which were there when the numbers began, only the young ones are wanted: dates count only
                where numbers cannot tell.
    began_at:   the first start on this account.
    """

    account: str
    validity: int
    generation: int
    floor: int
    upto: int
    began_at: datetime


@dataclass(frozen=True, slots=True)
class Health:
    """How a mailbox does. `code`, `zh`, `en` say the last error; they stay after it is over, `failures` does not."""

    name: str
    folder: str
    looked_at: datetime | None
    succeeded_at: datetime | None
    mail_at: datetime | None
    failures: int
    failing_since: datetime | None
    erred_at: datetime | None
    code: str
    zh: str
    en: str
    node: str
    # A refresh token is taken for over then; None where nobody knows.
    token_until: datetime | None = None

    @property
    def up(self) -> bool:
        """Whether the last look succeeded."""
        return not self.failures and self.succeeded_at is not None
