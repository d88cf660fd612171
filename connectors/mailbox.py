"""The door to a mailbox: looks into one folder, takes each mail in exactly once, and keeps at it whatever the server does.

A mail goes this way: fetched whole, accepted (committed), written into the ledger, and only then moved or flagged where that is wanted. A
crash in between is harmless: the mail is offered again under the same key (`mail_identity`), and acceptance knows it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from connectors.base import Accept, Now, Tell
from connectors.imap import Fetched, Folder, ImapOptions, Listed, Session
from connectors.imap_troubles import MAIL_TROUBLES, TROUBLES, Trouble
from connectors.imap_wire import StoppingError, Wake
from connectors.mail_identity import mail_key
from models.errors import BadSetting, JiesuError, TryLater
from models.mailbox import DUPLICATE, Entry, MailState, Place
from models.submission import Channel, Submission


def _seconds(*waits: float) -> tuple[timedelta, ...]:
    return tuple(timedelta(seconds=wait) for wait in waits)


# How long a mailbox is left alone after the 1st, 2nd, … failure in a row; the last wait stays. QQ and 163 punish quick reconnects.
BACKOFF: Mapping[str, tuple[timedelta, ...]] = {
    # A wrong password tried too often locks the account.
    "login_refused": _seconds(60, 300, 900, 1800),
    "unsafe_login": _seconds(60, 300, 900, 1800),
    "token_refused": _seconds(60, 300, 900, 1800),
    # A person must mend the settings or the mailbox.
    "certificate": _seconds(60, 300, 900),
    "folder_missing": _seconds(60, 300, 900),
    "no_secret": _seconds(60, 300, 900),
    # Our own store comes back soon, and the server is not to blame.
    "store_unavailable": _seconds(2, 5, 15, 30, 60),
    # Everything else mostly passes.
    "": _seconds(5, 15, 60, 180, 600, 900),
}
# How long one mail is left alone after its 1st, 2nd, … failed try; when the row is used up it is put aside.
MAIL_BACKOFF = _seconds(60, 300, 1800, 7200)
# An IDLE is begun anew after this, well before the 29 minutes of RFC 2177; with it goes a look, for servers that forget to tell.
_IDLE_SECONDS = 540.0
# How often all mails of the folder are compared with the ledger, for servers that hand out numbers late.
_COMPARE = timedelta(hours=1)
# INTERNALDATE is the server's clock, the first start was ours.
_CLOCKS_DIFFER = timedelta(minutes=5)
# So many lines are written into the ledger at once where nothing had to be fetched.
_LINES = 500


@dataclass(frozen=True, slots=True)
class MailboxOptions:
    """How one mailbox is looked into; the meaning of each is in docs/configuration.md, `[[mailbox]]`.

    backfill: `new`, `all`, or a number of days. after: `nothing`, `flag` or `move`; `after_what` the flag or the folder.
    """

    name: str
    imap: ImapOptions
    backfill: str = "new"
    max_bytes: int = 26_214_400
    poll_seconds: float = 60.0
    after: str = "nothing"
    after_what: str = ""


class Ledger(Protocol):
    """What is kept of one mailbox. Every method returns after commit and raises `TryLater` when the store is away."""

    def place(self) -> Place | None:
        """Where it stands; None before the first start."""
        ...

    def begin(self, account: str, validity: int, floor: int, upto: int, *, anew: bool) -> Place:
        """A new generation. `anew`: the first start of this account, whose time is kept."""
        ...

    def known(self, generation: int) -> set[int]:
        """The UIDs in the ledger."""
        ...

    def highest(self, generation: int) -> int:
        """The highest UID in the ledger; 0 where there is none."""
        ...

    def brought(self, submission_id: int) -> tuple[int, int] | None:
        """UIDVALIDITY and UID under which this mailbox handed a submission in; None where it came on another way."""
        ...

    def write(self, generation: int, entries: Sequence[Entry]) -> None:
        """Writes lines; a line of the same UID is replaced."""
        ...

    def due(self, generation: int, now: datetime) -> list[Entry]:
        """Mails whose next try is due."""
        ...

    def next_try(self, generation: int) -> datetime | None:
        """When the next try of any mail is due."""
        ...

    def unmoved(self, generation: int) -> list[Entry]:
        """Mails that are still to be moved or flagged."""
        ...

    def succeeded(self, taken: int) -> None:
        """A look came to its end."""
        ...

    def failed(self, trouble: Trouble) -> int:
        """A look did not. Returns how many in a row."""
        ...


class MailboxDoor:
    """One mailbox. `run` blocks until the wake says to stop; call it in a thread of its own."""

    def __init__(
        self,
        options: MailboxOptions,
        ledger: Ledger,
        accept: Accept,
        now: Now,
        tell: Tell,
        secret: Callable[[], str],
        wake: Wake,
        *,
        refused: Callable[[], None] = lambda: None,
        fault: Callable[[BaseException], None] = lambda _: None,
    ) -> None:
        """`secret` gives the password or access token at each login; `refused` hears that a login was refused, `fault` of bugs of ours."""
        self._options, self._ledger, self._accept, self._now, self._tell = options, ledger, accept, now, tell
        self._secret, self._wake, self._refused, self._fault = secret, wake, refused, fault
        self._session: Session | None = None
        self._place: Place | None = None
        self._compared_at: datetime | None = None
        # Mails that are being waited for are not asked about at each look.
        self._high = 0

    def run(self) -> None:
        """Looks, waits, looks again. Nothing but the wake ends it."""
        try:
            while not self._wake.stopping:
                self._round()
        except StoppingError:
            pass
        finally:
            self._hang_up()

    def _round(self) -> None:
        try:
            asked, self._wake.asked = self._wake.asked, False
            self._look(everything=asked)
            if not self._wake.asked:
                self._wait()
        except StoppingError:
            raise
        except Trouble as trouble:
            self._rest(trouble)
        except BadSetting as error:
            # A password file that was there at the start and is not now.
            self._rest(Trouble("no_secret", f"{error.zh} / {error.en}"))
        except JiesuError:
            self._rest(Trouble("store_unavailable"))
        except Exception as error:
            self._fault(error)
            self._rest(Trouble("fault"))

    def _rest(self, trouble: Trouble) -> None:
        """After a failure the connection is given up, unless our store was to blame, and the mailbox left alone for a while."""
        if trouble.code != "store_unavailable":
            self._hang_up()
        if trouble.code == "login_refused":
            self._refused()
        try:
            failures = self._ledger.failed(trouble)
        except JiesuError:
            failures = 1
        waits = BACKOFF.get(trouble.code, BACKOFF[""])
        self._wake.wait(waits[min(failures, len(waits)) - 1].total_seconds())

    def _hang_up(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    # ---- One look --------------------------------------------------------------------------------------------------------------------

    def _look(self, *, everything: bool) -> None:
        """Takes in what is new, tries again what is due, moves what is to be moved. `everything`: compares all mails with the ledger."""
        session = self._connected()
        place = self._place
        assert place is not None  # noqa: S101 - set with the session
        taken = 0
        now = self._now()
        compare = everything or self._compared_at is None or now - self._compared_at >= _COMPARE
        found = session.list(place.floor if compare else max(place.floor, self._high + 1))
        known = self._ledger.known(place.generation) if compare and found else set()
        fresh = [mail for mail in found if mail.uid not in known]
        wanted = self._sorted_out(place, fresh)
        for mail in wanted:
            taken += self._take(session, place, Entry(mail.uid, MailState.WAITING, self._now(), size=mail.size))
        if found:
            self._high = max(self._high, found[-1].uid)
        for entry in self._ledger.due(place.generation, self._now()):
            taken += self._take(session, place, entry)
        for entry in self._ledger.unmoved(place.generation):
            self._put_away(session, place, entry)
        if compare:
            self._compared_at = now
        self._ledger.succeeded(taken)

    def _connected(self) -> Session:
        if self._session is None:
            self._session = Session(self._options.imap, self._secret, self._wake)
            self._place = None
            self._compared_at = None
        if self._place is None:
            self._place = self._placed(self._session.select(readonly=self._options.after == "nothing"))
            self._high = self._ledger.highest(self._place.generation)
        return self._session

    def _placed(self, folder: Folder) -> Place:
        """The generation that this folder's numbers belong to; a new one where account or UIDVALIDITY are others than before."""
        imap = self._options.imap
        account = hashlib.sha256(f"{imap.host}\0{imap.user}\0{imap.folder}".encode()).hexdigest()
        place = self._ledger.place()
        if place is None or place.account != account:
            # The first start: what was there before is left alone, or taken in, as chosen.
            choice, uid_next = self._options.backfill, self._next_of(folder)
            floor = uid_next if choice == "new" else 1
            return self._ledger.begin(account, folder.validity, floor, 1 if choice == "all" else uid_next, anew=True)
        if place.validity != folder.validity:
            # All numbers are new. Whatever was taken in before is known by its key when it is offered again.
            self._tell("MailboxRenumbered", mailbox=self._options.name)
            upto = 1 if self._options.backfill == "all" else self._next_of(folder)
            return self._ledger.begin(account, folder.validity, 1, upto, anew=False)
        return place

    def _next_of(self, folder: Folder) -> int:
        """The number of the next mail; some servers do not say it."""
        if folder.uid_next or self._session is None:
            return max(folder.uid_next, 1)
        there = self._session.list(1, details=False)
        return there[-1].uid + 1 if there else 1

    def _sorted_out(self, place: Place, fresh: Sequence[Listed]) -> list[Listed]:
        """Those to be fetched. The others, older than the first start's choice, are written down as left: seen by people, not lost."""
        oldest = place.began_at - (_CLOCKS_DIFFER if self._options.backfill == "new" else _days(self._options.backfill))
        left = [mail for mail in fresh if mail.uid < place.upto and mail.at is not None and mail.at < oldest]
        now = self._now()
        zh, en = TROUBLES["before_first_start"]
        for n in range(0, len(left), _LINES):
            lines = [
                Entry(mail.uid, MailState.LEFT, now, size=mail.size, code="before_first_start", reason=f"{zh} / {en}")
                for mail in left[n : n + _LINES]
            ]
            self._ledger.write(place.generation, lines)
        passed = {mail.uid for mail in left}
        return [mail for mail in fresh if mail.uid not in passed]

    # ---- One mail --------------------------------------------------------------------------------------------------------------------

    def _take(self, session: Session, place: Place, entry: Entry) -> int:
        """Takes one mail in. Returns 1 when it is. Raises what concerns the mailbox; what concerns the mail alone is written down."""
        try:
            if entry.size > self._options.max_bytes:
                raise Trouble("too_large", str(entry.size))
            mail = session.fetch(entry.uid, self._options.max_bytes)
        except Trouble as trouble:
            if trouble.code in MAIL_TROUBLES:
                self._not_taken(session, place, entry, trouble)
                return 0
            # Perhaps this very mail ends the connection each time; then it must not stop those behind it.
            self._put_off(place, entry, Trouble("too_large" if trouble.code == "too_much" else "broke_off", trouble.code))
            raise
        try:
            receipt = self._accept(self._submission(mail, place, entry.uid))
        except TryLater as error:
            if error.code != "not_accepted":
                # The store is away, and the mail not to blame.
                raise
            self._put_off(place, entry, Trouble("not_accepted"))
            return 0
        after = "pending" if self._options.after != "nothing" else ""
        # After a crash before the ledger was written the same mail is offered again: it is known, and no other's copy.
        copied = receipt.duplicate and self._ledger.brought(receipt.submission_id) != (place.validity, entry.uid)
        line = Entry(
            entry.uid,
            MailState.TAKEN,
            self._now(),
            size=len(mail.raw),
            attempts=entry.attempts,
            code=DUPLICATE if copied else "",
            number=receipt.number,
            after=after,
        )
        self._ledger.write(place.generation, [line])
        if after:
            self._put_away(session, place, line)
        return 1

    def _submission(self, mail: Fetched, place: Place, uid: int) -> Submission:
        raw, mail_from = mail.raw, _return_path(mail.raw)
        return Submission(
            channel=Channel.EMAIL,
            raw=raw,
            media_type="message/rfc822",
            # By the server's clock, which says the same whenever the mail is offered again: numbered anew, moved back, or after a crash.
            source_key=mail_key(raw, mail_from or "", mail.at),
            received_at=self._now(),
            envelope={
                "door": "imap",
                "mailbox": self._options.name,
                "validity": place.validity,
                "uid": uid,
                **({"came_at": mail.at.isoformat()} if mail.at is not None else {}),
                # Without the field nobody knows; an empty one marks a bounce.
                **({"mail_from": mail_from} if mail_from is not None else {}),
                "rcpt_tos": [self._options.imap.user] if "@" in self._options.imap.user else [],
            },
        )

    def _not_taken(self, session: Session, place: Place, entry: Entry, trouble: Trouble) -> None:
        """The server does not give this mail: it is gone, or tried again later, or put aside."""
        if trouble.code == "no_body" and not session.is_there(entry.uid):
            self._ledger.write(place.generation, [replace(entry, state=MailState.GONE, at=self._now(), next_try=None, code="", reason="")])
            return
        self._put_off(place, entry, trouble)

    def _put_off(self, place: Place, entry: Entry, trouble: Trouble) -> None:
        now = self._now()
        line = replace(entry, code=trouble.code, reason=f"{trouble.zh} / {trouble.en}", at=now, attempts=entry.attempts + 1)
        if trouble.code == "too_large" or entry.attempts >= len(MAIL_BACKOFF):
            line = replace(line, state=MailState.ASIDE, next_try=None)
            self._tell("MailSetAside", mailbox=self._options.name, uid=entry.uid, code=trouble.code, attempts=line.attempts)
        else:
            line = replace(line, state=MailState.WAITING, next_try=now + MAIL_BACKOFF[entry.attempts])
        self._ledger.write(place.generation, [line])

    def _put_away(self, session: Session, place: Place, entry: Entry) -> None:
        """Moves or flags a mail that is committed. When that fails the mail stays where it is, and is not taken in again."""
        try:
            if self._options.after == "move":
                session.move(entry.uid, self._options.after_what)
            elif self._options.after == "flag":
                session.flag(entry.uid, self._options.after_what)
            done = "done"
        except Trouble as trouble:
            if trouble.code != "refused_command":
                raise
            done = "failed"
            self._tell("MailNotMoved", mailbox=self._options.name, uid=entry.uid, code=trouble.code)
        self._ledger.write(place.generation, [replace(entry, after=done)])

    # ---- Waiting ---------------------------------------------------------------------------------------------------------------------

    def _wait(self) -> None:
        session, place = self._session, self._place
        assert session is not None  # noqa: S101 - a look came before
        assert place is not None  # noqa: S101 - likewise
        seconds = _IDLE_SECONDS if session.idles else self._options.poll_seconds
        again = self._ledger.next_try(place.generation)
        if again is not None:
            seconds = min(seconds, max(0.5, (again - self._now()).total_seconds()))
        session.wait(seconds, self._wake)


def _days(backfill: str) -> timedelta:
    return timedelta(days=int(backfill)) if backfill.isdigit() else timedelta(0)


_RETURN_PATH = re.compile(rb"^return-path:[ \t]*<?([^<>\r\n]{0,320})>?[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


def _return_path(raw: bytes) -> str | None:
    """What the last server wrote of the envelope; None where it did not (RFC 5321 4.4)."""
    head = raw[:65_536]
    end = re.search(rb"\r?\n\r?\n", head)
    found = _RETURN_PATH.search(head, 0, end.start() + 2 if end else len(head))
    return found[1].strip().decode("utf-8", "replace") if found else None
