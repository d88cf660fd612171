"""A small IMAP server of our own: faithful where nothing else is asked for, and able to do wrong in each way that real ones were seen to.

Its mails live in memory. `Trouble` has one field for each wrong; a test sets what it wants.
"""

from __future__ import annotations

import base64
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self


@dataclass
class Kept:
    """A mail in the folder."""

    uid: int
    raw: bytes
    flags: set[str] = field(default_factory=set)
    date: str = "23-Nov-2026 09:00:00 +0800"


@dataclass
class Wrongs:
    """What goes wrong. Counts go down by one each time it does.

    hang_at:       never answers this command any more (`greeting`, `LOGIN`, `SELECT`, `FETCH`, `IDLE`).
    drop_at:       closes at this command. bye_at: says BYE first. drops: how often it does.
    half_literals: so many mails break off in the middle.
    endless:       answers FETCH with a line without an end.
    huge_literal:  announces a literal of this size.
    refuse_uids:   NO to a FETCH of the content of these.
    empty_uids:    OK without content for these.
    wrong_size:    what RFC822.SIZE says for all.
    no_id:         SELECT is refused until ID was said (163's `Unsafe Login`).
    chatter:       unsolicited answers before each real one, with expunges in between.
    garble:        an answer to FETCH that is no IMAP, before the real ones.
    no_uidnext:    SELECT says no UIDNEXT. no_uidvalidity: nor UIDVALIDITY.
    refuse_idle:   NO to IDLE though it is offered.
    drip:          each byte of content takes so many seconds.
    """

    hang_at: str = ""
    drop_at: str = ""
    bye_at: str = ""
    drops: int = 1_000_000
    half_literals: int = 0
    endless: bool = False
    huge_literal: int = 0
    refuse_uids: frozenset[int] = frozenset()
    empty_uids: frozenset[int] = frozenset()
    wrong_size: int | None = None
    no_id: bool = False
    chatter: bool = False
    garble: bool = False
    no_uidnext: bool = False
    no_uidvalidity: bool = False
    refuse_idle: bool = False
    drip: float = 0.0


class _Gone(Exception):
    """The connection ends."""


class ImapServer:
    """`with ImapServer() as server:` listens on a free loopback port. One folder, INBOX; any login with `password` or a known token."""

    def __init__(self, *, capabilities: str = "IDLE ID MOVE UIDPLUS", password: str = "code") -> None:  # noqa: S107
        self.mails: list[Kept] = []
        self.validity, self.uid_next = 7, 1
        self.capabilities, self.password = capabilities, password
        self.tokens: set[str] = set()
        self.wrong = Wrongs()
        self.commands: list[str] = []
        self.logins = 0
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        # Called with each UID whose content was asked for.
        self.on_fetch: Callable[[int], None] = lambda _: None
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._closing = False

    def __enter__(self) -> Self:
        thread = threading.Thread(target=self._accept, daemon=True)
        thread.start()
        self._threads.append(thread)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._closing = True
        # A thread in accept is not woken by closing.
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.drop_all()
        with self.changed:
            self.changed.notify_all()
        for thread in self._threads:
            thread.join(10)

    # ---- What happens in the mailbox ------------------------------------------------------------------------------------------------

    def arrive(self, raw: bytes) -> int:
        """A mail comes in."""
        with self.changed:
            uid = self.uid_next
            self.mails.append(Kept(uid, raw))
            self.uid_next += 1
            self.changed.notify_all()
            return uid

    def remove(self, uid: int) -> bytes | None:
        """Somebody deletes a mail, or moves it away; its bytes."""
        with self.changed:
            found = next((mail for mail in self.mails if mail.uid == uid), None)
            if found is None:
                return None
            self.mails.remove(found)
            self.changed.notify_all()
            return found.raw

    def renumber(self) -> None:
        """All mails get new numbers, and every connection ends."""
        with self.lock:
            self.validity += 1
            first = 1000 * (self.validity % 5) + 1
            for n, mail in enumerate(self.mails, first):
                mail.uid = n
            self.uid_next = len(self.mails) + first
        self.drop_all()

    def drop_all(self) -> None:
        """Every connection ends without a word."""
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    # ---- The conversation -----------------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        while not self._closing:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._open.add(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as file:
                _Conversation(self, connection, file).run()
        except (OSError, _Gone, ValueError):
            pass
        finally:
            self._open.discard(connection)


class _Conversation:
    """One connection."""

    def __init__(self, server: ImapServer, connection: socket.socket, file: object) -> None:
        self.server, self.connection, self.file = server, connection, file
        self.said_id = False
        self.seen = 0

    def say(self, line: str | bytes) -> None:
        self.connection.sendall((line.encode() if isinstance(line, str) else line) + b"\r\n")

    def line(self) -> str:
        raw = self.file.readline(100_000)  # type: ignore[attr-defined]
        if not raw:
            raise _Gone
        return raw.decode("utf-8", "replace").rstrip("\r\n")

    def wrong_at(self, what: str) -> None:
        wrong = self.server.wrong
        if wrong.hang_at == what:
            # Until the other side goes.
            while self.file.readline(100_000):  # type: ignore[attr-defined]
                pass
            raise _Gone
        if what in (wrong.drop_at, wrong.bye_at) and wrong.drops > 0:
            wrong.drops -= 1
            if wrong.bye_at == what:
                self.say("* BYE Too many connections")
            raise _Gone

    def run(self) -> None:
        self.wrong_at("greeting")
        self.say(f"* OK [CAPABILITY IMAP4rev1 {self.server.capabilities}] ready")
        while True:
            tag, _, rest = self.line().partition(" ")
            command, _, arguments = rest.partition(" ")
            command = command.upper()
            if command == "UID":
                command, _, arguments = arguments.partition(" ")
                command = command.upper()
            self.server.commands.append(command)
            self.wrong_at(command)
            answer = getattr(self, f"do_{command.lower()}", None)
            if answer is None:
                self.say(f"{tag} BAD unknown command")
            elif (done := answer(tag, arguments)) is not None:
                # The words after OK are not optional (RFC 3501 7.1).
                self.say(f"{tag} {done} done" if done == "OK" else f"{tag} {done}")

    def do_capability(self, _tag: str, _arguments: str) -> str:
        self.say(f"* CAPABILITY IMAP4rev1 {self.server.capabilities}")
        return "OK"

    def do_login(self, _tag: str, arguments: str) -> str:
        self.server.logins += 1
        return "OK" if arguments.endswith((f'"{self.server.password}"', f" {self.server.password}")) else "NO [AUTHENTICATIONFAILED] no"

    def do_authenticate(self, _tag: str, _arguments: str) -> str:
        self.server.logins += 1
        self.say("+ ")
        given = base64.b64decode(self.line()).decode()
        if given.partition("auth=Bearer ")[2].rstrip("\1") in self.server.tokens:
            return "OK"
        self.say("+ " + base64.b64encode(b'{"status":"401"}').decode())
        self.line()
        return "NO AUTHENTICATE failed"

    def do_id(self, _tag: str, _arguments: str) -> str:
        self.said_id = True
        self.say('* ID ("name" "test")')
        return "OK"

    def do_select(self, _tag: str, arguments: str) -> str:
        server = self.server
        if server.wrong.no_id and not self.said_id:
            return "NO SELECT Unsafe Login. Please contact kefu@mail.example for help"
        if arguments.strip('"').upper() != "INBOX":
            return "NO no such folder"
        with server.lock:
            self.seen = len(server.mails)
            self.say(f"* {len(server.mails)} EXISTS")
            self.say("* 0 RECENT")
            if not server.wrong.no_uidvalidity:
                self.say(f"* OK [UIDVALIDITY {server.validity}] valid")
            if not server.wrong.no_uidnext:
                self.say(f"* OK [UIDNEXT {server.uid_next}] next")
        return "OK [READ-WRITE] done"

    def do_examine(self, tag: str, arguments: str) -> str:
        return self.do_select(tag, arguments).replace("READ-WRITE", "READ-ONLY")

    def do_list(self, _tag: str, _arguments: str) -> str:
        self.say('* LIST (\\HasNoChildren) "/" "INBOX"')
        self.say('* LIST (\\HasNoChildren) "/" "&V4NXPpCuTvY-"')
        return "OK"

    def do_noop(self, _tag: str, _arguments: str) -> str:
        self.say(f"* {len(self.server.mails)} EXISTS")
        return "OK"

    def do_search(self, _tag: str, _arguments: str) -> str:
        # As QQ's does now and then: it finds nothing.
        self.say("* SEARCH")
        return "OK"

    def do_store(self, _tag: str, arguments: str) -> str:
        for mail in self._chosen(arguments.partition(" ")[0]):
            mail.flags.add(arguments.partition("(")[2].rstrip(")"))
        return "OK"

    def do_move(self, _tag: str, arguments: str) -> str:
        for mail in self._chosen(arguments.partition(" ")[0]):
            self.server.remove(mail.uid)
        return "OK"

    def do_idle(self, tag: str, _arguments: str) -> str | None:
        if self.server.wrong.refuse_idle:
            return "NO not now"
        self.say("+ idling")
        done = threading.Event()

        def tell() -> None:
            with self.server.changed:
                while not done.is_set() and not self.server._closing:
                    if len(self.server.mails) != self.seen:
                        self.seen = len(self.server.mails)
                        try:
                            self.say(f"* {self.seen} EXISTS")
                        except OSError:
                            return
                    self.server.changed.wait(0.2)

        telling = threading.Thread(target=tell, daemon=True)
        telling.start()
        try:
            self.line()
        finally:
            done.set()
            with self.server.changed:
                self.server.changed.notify_all()
            telling.join(5)
        return "OK idle done"

    def do_fetch(self, _tag: str, arguments: str) -> str:
        uids, _, what = arguments.partition(" ")
        wrong = self.server.wrong
        chosen = self._chosen(uids)
        body = "BODY.PEEK[]" in what
        if body and any(mail.uid in wrong.refuse_uids for mail in chosen):
            return "NO [SERVERBUG] cannot read this one"
        if wrong.endless:
            while True:
                self.connection.sendall(b"* 1 FETCH (FLAGS (" + b"x" * 60_000)
        if wrong.garble:
            self.say("* 1 FETCH (UID ((( RFC822.SIZE")
            self.say("* 2 FETCH ()")
            self.say("* 99 FETCH (FLAGS (\\Seen))")
        for mail in chosen:
            place = self.server.mails.index(mail) + 1 if mail in self.server.mails else 1
            if wrong.chatter:
                self.say(f"* {mail.uid} FETCH (FLAGS (\\Seen) RFC822.SIZE 5)")
                self.say("* 3 EXPUNGE")
                self.say("* 2 EXISTS")
                self.say("* OK [ALERT] 您的邮箱快满了")
            if not body:
                size = len(mail.raw) if wrong.wrong_size is None else wrong.wrong_size
                self.say(f'* {place} FETCH (UID {mail.uid} RFC822.SIZE {size} INTERNALDATE "{mail.date}")')
            elif mail.uid in wrong.empty_uids:
                self.say(f"* {place} FETCH (UID {mail.uid} BODY[] NIL)")
            else:
                self._content(place, mail)
        return "OK"

    def _content(self, place: int, mail: Kept) -> None:
        self.server.on_fetch(mail.uid)
        wrong = self.server.wrong
        size = wrong.huge_literal or len(mail.raw)
        self.say(f'* {place} FETCH (UID {mail.uid} INTERNALDATE "{mail.date}" BODY[] {{{size}}}')
        if wrong.half_literals > 0:
            wrong.half_literals -= 1
            self.connection.sendall(mail.raw[: len(mail.raw) // 2])
            raise _Gone
        if wrong.drip:
            for byte in mail.raw:
                self.connection.sendall(bytes([byte]))
                time.sleep(wrong.drip)
        else:
            self.connection.sendall(mail.raw)
        self.say(")")

    def _chosen(self, uids: str) -> list[Kept]:
        with self.server.lock:
            found = re.fullmatch(r"(\d+):\*", uids)
            if not found:
                return [mail for mail in self.server.mails if mail.uid == int(uids)]
            # `*` is the last mail, whatever its number (RFC 3501 6.4.8).
            highest = max((mail.uid for mail in self.server.mails), default=0)
            first = min(int(found[1]), highest)
            return [mail for mail in self.server.mails if mail.uid >= first]
