"""Any history of a mailbox makes one complaint of each mail.

Mails arrive, are read, moved away and back, deleted, numbered anew; connections end, and we crash. `IMAP_HISTORIES=200` runs so many.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from imap_house import letter
from imap_rig import Rig
from imap_server import ImapServer, Kept, Wrongs

from connectors.mailbox import MAIL_BACKOFF
from models.errors import JiesuError

picks = st.integers(0, 1000)


class Crash(BaseException):
    """We are killed."""


class Histories(RuleBasedStateMachine):
    """What may happen in a mailbox, and what must be true all the while."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.server = ImapServer()
        self.server.__enter__()
        # Mails that somebody moved to another folder.
        self.elsewhere: list[bytes] = []
        # Mails that were in the folder when a look ended well: they must be there.
        self.owed: set[bytes] = set()
        self.old: set[bytes] = set()
        self.rig: Rig | None = None

    @initialize(backfill=st.sampled_from(["new", "all"]), before=st.integers(0, 3))
    def begin(self, backfill: str, before: int) -> None:
        for n in range(before):
            raw = letter(f"old {n}")
            self.server.mails.append(Kept(self.server.uid_next, raw, date="01-Jan-2020 09:00:00 +0800"))
            self.server.uid_next += 1
            self.old.add(raw)
        self.rig = Rig(self.server, Path(self.folder.name), seconds=2, backfill=backfill)
        self.backfill = backfill
        self.look()

    @property
    def young(self) -> list[Kept]:
        return [mail for mail in self.server.mails if mail.raw not in self.old]

    @rule(words=st.text(max_size=20), again=st.booleans())
    def arrive(self, words: str, again: bool) -> None:
        # Some senders use one Message-ID for everything.
        self.server.arrive(
            letter(words + str(len(self.server.mails)), message_id="<same@mail.example>" if again else None, extra=_unique())
        )

    @precondition(lambda self: self.young)
    @rule(pick=picks)
    def read(self, pick: int) -> None:
        self.young[pick % len(self.young)].flags.add("\\Seen")

    @precondition(lambda self: self.young)
    @rule(pick=picks)
    def move_away(self, pick: int) -> None:
        if not self.young:
            return
        raw = self.server.remove(self.young[pick % len(self.young)].uid)
        assert raw
        self.elsewhere.append(raw)

    @precondition(lambda self: self.elsewhere)
    @rule(pick=picks)
    def move_back(self, pick: int) -> None:
        if self.elsewhere:
            self.server.arrive(self.elsewhere.pop(pick % len(self.elsewhere)))

    @precondition(lambda self: self.young)
    @rule(pick=picks)
    def move_away_and_back(self, pick: int) -> None:
        self.look()
        self.move_away(pick)
        self.move_back(-1)

    @precondition(lambda self: self.young)
    @rule(pick=picks)
    def expunge(self, pick: int) -> None:
        self.server.remove(self.young[pick % len(self.young)].uid)

    @rule()
    def renumber(self) -> None:
        self.server.renumber()

    @rule()
    def lose_connection(self) -> None:
        self.server.drop_all()

    @rule()
    def break_off_in_the_middle(self) -> None:
        self.server.wrong.half_literals = 1

    @rule(pick=picks)
    def refuse_one(self, pick: int) -> None:
        if self.young:
            self.server.wrong.refuse_uids = frozenset({self.young[pick % len(self.young)].uid})

    @rule(seconds=st.sampled_from([1, 120, 8000]))
    def time_passes(self, seconds: int) -> None:
        assert self.rig
        self.rig.clock.move(seconds=seconds)

    @rule()
    def look(self) -> None:
        assert self.rig
        there = {mail.raw for mail in self.young}
        if self.rig.look() == "" and not any(state in ("waiting", "aside") for state, _, _ in self.rig.lines().values()):
            self.owed |= there

    @rule()
    def crash_between_commit_and_ledger(self) -> None:
        assert self.rig

        def crash() -> None:
            raise Crash

        self.rig.after_commit = crash
        try:
            self.rig.look()
        except (Crash, JiesuError):
            pass
        self.rig.after_commit = lambda: None
        self.rig.restart()

    @rule()
    def restart(self) -> None:
        assert self.rig
        self.rig.restart()

    @invariant()
    def each_once(self) -> None:
        if self.rig is not None:
            committed = self.rig.committed()
            assert len(set(committed)) == len(committed)
            assert self.owed <= set(committed)
            if self.backfill == "new":
                assert not self.old & set(committed)

    def teardown(self) -> None:
        try:
            if self.rig is not None:
                # In the end the server is well again, and whatever lies in the folder is taken in.
                self.server.wrong = Wrongs()
                for _ in range(len(MAIL_BACKOFF) + 2):
                    self.rig.clock.move(hours=3)
                    self.rig.look(everything=True)
                there = {mail.raw for mail in self.server.mails if self.backfill == "all" or mail.raw not in self.old}
                assert there <= set(self.rig.committed())
                self.each_once()
                self.rig.__exit__(None, None, None)
        finally:
            self.server.__exit__(None, None, None)
            self.folder.cleanup()


_count = iter(range(10**9))


def _unique() -> str:
    return f"Thread-Topic: {next(_count)}\r\n"


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=int(os.environ.get("IMAP_HISTORIES", "12")), stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
