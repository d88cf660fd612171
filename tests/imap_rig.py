"""One mailbox on a real store, looked into by hand: no thread, no waiting, a clock that is moved."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from zoneinfo import ZoneInfo

import migrated
from factories import FakeClock
from imap_server import ImapServer
from sqlalchemy import select

from connectors.imap import ImapOptions
from connectors.imap_troubles import Trouble
from connectors.imap_wire import Wake
from connectors.mailbox import MailboxDoor, MailboxOptions
from gateway import config
from gateway.acceptance import Acceptance
from gateway.mailboxes import StoreLedger
from gateway.metrics import Metrics
from gateway.oplog import OperatorLog
from gateway.sections_mailbox import Mailbox
from gateway.store import mailboxes
from gateway.store.engine import Store
from models.submission import Receipt, Submission
from models.tables import mailbox_mails, submissions


class Rig:
    """`with Rig(server, folder) as rig:` then `rig.look()`; `rig.restart()` begins anew as after a crash, on the same store."""

    def __init__(self, server: ImapServer, folder: Path, *, seconds: float = 1.0, store: Store | None = None, **options: Any) -> None:
        self.server, self.clock = server, FakeClock()
        self._options = {"backfill": "all", **options}
        imap = {"tls": "none", "user": "tousu", "seconds": seconds}
        self.imap = ImapOptions("127.0.0.1", server.port, **{**imap, **self._options.pop("imap", {})})
        self._given = store
        url = f"sqlite:///{folder / 'store.db'}"
        if store is None:
            migrated.put(url)
        self.store = store or Store(url)
        self._stream = io.StringIO()
        self.log = OperatorLog(stream=self._stream)
        self.acceptance = Acceptance(self.store, self.clock, ZoneInfo("Asia/Shanghai"), self.log, Metrics())
        # Called when a mail is committed and the ledger does not know it yet; may raise.
        self.after_commit: Callable[[], None] = lambda: None
        settings = config.load({"JIESU_HOME": str(folder)})
        self.box = Mailbox(name="box", host="127.0.0.1", user="tousu")
        self.ledger = StoreLedger(self.store, self.clock, self.log, settings, self.box)
        with self.store.write() as conn:
            mailboxes.register(self.store, conn, "box", "INBOX")
        self.secret: Callable[[], str] = lambda: server.password
        self.wake = Wake()
        self.door = self._door()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.door._hang_up()
        self.wake.close()
        if self._given is None:
            self.store.close()

    def _door(self) -> MailboxDoor:
        options = MailboxOptions("box", self.imap, **self._options)
        return MailboxDoor(options, self.ledger, self._accept, self.clock.now, self.log.write, lambda: self.secret(), self.wake)

    def _accept(self, submission: Submission) -> Receipt:
        receipt = self.acceptance.accept(submission)
        self.after_commit()
        return receipt

    def restart(self) -> None:
        """All that was in memory is gone."""
        self.door._hang_up()
        self.door = self._door()

    def look(self, *, everything: bool = False) -> str:
        """One look; the code of the trouble that ended it, or nothing."""
        try:
            self.door._look(everything=everything)
        except Trouble as trouble:
            self.door._hang_up()
            return trouble.code
        return ""

    def committed(self) -> list[bytes]:
        """The bytes of everything that was taken in."""
        with self.store.read() as conn:
            return [bytes(raw) for raw in conn.execute(select(submissions.c.raw).order_by(submissions.c.id)).scalars()]

    def lines(self) -> dict[int, tuple[str, str, int]]:
        """The ledger of the newest generation: of each UID the state, the code and the failed tries."""
        with self.store.read() as conn:
            place = mailboxes.place(conn, "box")
            assert place
            found = conn.execute(select(mailbox_mails).where(mailbox_mails.c.generation == place.generation)).all()
        return {row.uid: (row.state, row.code or "", row.attempts) for row in found}

    def told(self, verb: str) -> list[dict[str, Any]]:
        """The lines of the operator log with this verb."""
        return [line for line in map(json.loads, self._stream.getvalue().splitlines()) if line["verb"] == verb]
