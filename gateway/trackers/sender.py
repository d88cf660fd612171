"""Sends events to a tracking system through its adapter: one ticket a complaint, each event once, files that do not block the ticket."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, tzinfo

from gateway import circuit
from gateway.attachments import Attachments
from gateway.clock import Clock
from gateway.http_client import HttpClient
from gateway.store import fence, trackers
from gateway.store.engine import Store
from gateway.store.trackers import FileRow
from gateway.trackers import words
from gateway.trackers.base import Adapter, Case, File, Found, Line, Trouble, read_case
from models.attachment import AttachmentState, StoredAttachment
from models.delivery import About, EventType, Outcome, OutcomeCode, Outgoing
from models.endpoint import Endpoint
from models.errors import JiesuError
from models.remote import FileState, RemoteTicket

# After so many tries a file is given up, and its note says so.
_MOST_TRIES = 3
# Files of one complaint that are uploaded; all of them are offered behind the link.
_MOST_FILES = 20
_SHORT_SECONDS = 10.0
# What says nothing to those who handle a ticket.
_SILENT = frozenset({EventType.RECEIVED, EventType.CLASSIFIED})


@dataclass(frozen=True, slots=True)
class TicketOptions:
    """How tickets are made. `files`: whether files go along. largest_file: in bytes; what is larger is only named."""

    files: bool
    largest_file: int
    zone: tzinfo


class TicketSender:
    """The sender of one endpoint whose events become tickets; call it from any thread. `fault` tells the log of a fault of ours."""

    def __init__(
        self,
        endpoint: Endpoint,
        adapter: Adapter,
        client: HttpClient,
        store: Store,
        attachments: Attachments,
        clock: Clock,
        options: TicketOptions,
        fault: Callable[..., None],
    ) -> None:
        self.endpoint, self.adapter = endpoint, adapter
        self._client, self._store, self._attachments, self._clock = client, store, attachments, clock
        self._options, self.fault = options, fault
        self._pool = ThreadPoolExecutor(endpoint.concurrency, f"tickets-{endpoint.name}")

    def send(self, outgoing: Sequence[Outgoing]) -> list[Outcome]:
        """Sends all at once, at most as many at a time as the endpoint allows. One outcome for each that was begun, in order; never raises.

        Once the tracker asks for time nothing more is begun.
        """
        outcomes: list[Outcome | None] = [None] * len(outgoing)
        left, asked, turn = iter(range(len(outgoing))), threading.Event(), threading.Lock()

        def some() -> None:
            while True:
                with turn:
                    n = None if asked.is_set() else next(left, None)
                if n is None:
                    return
                outcomes[n] = outcome = self._one(outgoing[n])
                if circuit.asks_for_time(outcome):
                    asked.set()

        list(self._pool.map(lambda _: some(), range(min(len(outgoing), self.endpoint.concurrency))))
        return [outcome for outcome in outcomes if outcome is not None]

    def reachable(self, url: str) -> bool:
        """Whether somebody listens there."""
        return self._client.reachable(url)

    def line(self, seconds: float | None = None) -> Line:
        """A line for one event, or for so many seconds."""
        return Line(self._client, self.endpoint.url, self.adapter.headers(), seconds or self.endpoint.timeout_seconds)

    def now(self) -> datetime:
        """By our clock."""
        return self._clock.now()

    def close(self) -> None:
        """Gives the connections back."""
        self._pool.shutdown(wait=True)
        self._client.close()

    def _one(self, one: Outgoing) -> Outcome:
        begun = time.perf_counter()
        status, code = None, OutcomeCode.CLIENT_ERROR
        try:
            said = self._deliver(self.line(), read_case(one.webhook_id, one.body, self._options.zone))
            status, code = 200, OutcomeCode.ACCEPTED
        except Trouble as trouble:
            return trouble.outcome
        except JiesuError as error:
            # A store that is locked: another try will do.
            said = f"{error.zh} / {error.en}"
        except Exception as error:
            # What is answered may be of any form. The endpoint is not to be left alone for a fault of ours.
            self.fault(f"endpoint {self.endpoint.name}", error)
            said = f"答复无法理解（{type(error).__name__}） / the answer is not understood"
        return Outcome(code, status, time.perf_counter() - begun, said)

    # ---- One event -------------------------------------------------------------------------------------------------------------------

    def _deliver(self, line: Line, case: Case) -> str:
        if case.type is None:
            return self.adapter.check(line)
        if case.type in _SILENT:
            return "不写入工单 / not written into tickets"
        with self._store.read() as conn:
            kept = trackers.ticket(conn, self.endpoint.name, case.number)
        found = Found(kept.remote_id, kept.url) if kept else self._find(line, case)
        if found is None:
            return self._create(line, case)
        try:
            return self._add(line, case, found)
        except Trouble as trouble:
            if trouble.outcome.status != 404:
                raise
            # Where the search still knows it, something else was not found; where it answers and knows nothing, somebody deleted it.
            other = self.adapter.find(line, case)
            if other is not None and other.id == found.id:
                raise
        with self._store.write() as conn:
            trackers.forget_files(conn, self.endpoint.name, case.number)
        if other is None:
            return self._create(line, case)
        self._keep(case, other, unread=True)
        return self._add(line, case, other)

    def _find(self, line: Line, case: Case) -> Found | None:
        """Looks for the ticket before one is made, always: a first try whose answer was lost may have made it."""
        found = self.adapter.find(line, case)
        if found is not None:
            self._keep(case, found, unread=True)
        return found

    def _create(self, line: Line, case: Case) -> str:
        if not case.has_ticket:
            return "没有工单，无须处理 / there is no ticket, nothing to do"
        if self._moved_away(case):
            return "不归本处，没有工单 / not for here, and there is no ticket"
        with self._store.read() as conn:
            if fence.is_erased(conn, case.number):
                # An event from before, without its words.
                return "顾客信息已清除，不再建工单 / erased meanwhile, no ticket is made"
        made = self.adapter.create(line, case)
        self._keep(case, made, unread=False)
        self._files(line, case, made, fresh=True)
        return f"工单 {made.id} / ticket {made.id}"

    def _add(self, line: Line, case: Case, found: Found) -> str:
        remark = ""
        if case.type is not EventType.ROUTED and case.webhook_id not in words.marks(self.adapter.said(line, found.id)):
            text = words.note(case, moved_away=self._moved_away(case))
            remark = self.adapter.note(line, found.id, case, f"{text}\n{words.mark(case.webhook_id, case.round)}")
        self._files(line, case, found, fresh=False)
        return f"工单 {found.id} / ticket {found.id}{'；' if remark else ''}{remark}"

    def _keep(self, case: Case, found: Found, *, unread: bool) -> None:
        ticket = RemoteTicket(self.endpoint.name, case.number, found.id, found.url, unread=unread)
        with self._store.write() as conn:
            trackers.keep_ticket(self._store, conn, ticket, self._clock.now())

    def _moved_away(self, case: Case) -> bool:
        """Whether the complaint was for this endpoint and is not any more."""
        if not case.has_ticket:
            return False
        klass, department = case.data.get("class"), case.data.get("department", {}).get("code")
        return not self.endpoint.filter.matches(About(klass, department, case.data.get("customer", {}).get("estate")))

    # ---- Files -----------------------------------------------------------------------------------------------------------------------

    def _files(self, line: Line, case: Case, found: Found, *, fresh: bool) -> None:
        """Brings the files that are not there yet. Raises `Trouble` where another try may bring them."""
        name, number = self.endpoint.name, case.number
        if not self._options.files or case.type is EventType.ERASED:
            return
        known = self._attachments.of_number(number)[:_MOST_FILES]
        if not known:
            return
        with self._store.read() as conn:
            rows = trackers.files(conn, name, number)
        waiting = [one for one in known if one.id not in rows or rows[one.id].state is FileState.WAITING]
        if waiting and not fresh:
            # A try whose answer was lost may have brought them.
            there = words.marks(self.adapter.said(line, found.id))
            self._settle(number, {one.id: FileRow(FileState.TAKEN, 0, "") for one in waiting if one.id[:12] in there})
            waiting = [one for one in waiting if one.id[:12] not in there]
        if not waiting:
            return
        read, refused = self._read(number, waiting)
        tries = 1 + max((rows[one.id].tries for one in waiting if one.id in rows), default=0)
        try:
            if read:
                refused |= self.adapter.attach(line, found.id, case, read)
        except Trouble as trouble:
            if tries < _MOST_TRIES:
                self._settle(number, {one.id: FileRow(FileState.WAITING, tries, trouble.outcome.answer) for one in waiting})
                raise
            refused |= {one.id: trouble.outcome.answer or trouble.outcome.code.value for one in read}
        if refused:
            named = {one.filename: refused[one.id] for one in waiting if one.id in refused}
            marks = " ".join(one.id[:12] for one in waiting if one.id in refused)
            text = f"{words.files_note([], named)}\n{words.mark(f'files {marks}', case.round)}"
            # Whatever used up the time, what is given up is told at once: else it would be tried for ever.
            self.adapter.note(self.line(_SHORT_SECONDS), found.id, Case(None, case.webhook_id, case.data, case.zone), text)
        states = {one.id: FileState.REFUSED if one.id in refused else FileState.TAKEN for one in waiting}
        self._settle(number, {one: FileRow(state, tries, refused.get(one, "")) for one, state in states.items()})

    def _read(self, number: str, waiting: Sequence[StoredAttachment]) -> tuple[list[File], dict[str, str]]:
        """The bytes of files, and why there are none of the others."""
        read: list[File] = []
        refused: dict[str, str] = {}
        for one in waiting:
            if one.size > self._options.largest_file:
                refused[one.id] = f"大于 {self._options.largest_file:,} 字节"
                continue
            try:
                opened = self._attachments.open(number, one.id) if one.state is AttachmentState.KEPT else None
            except JiesuError as error:
                refused[one.id] = error.zh
                continue
            if opened is None:
                refused[one.id] = "超过附件的数量或大小上限"
            else:
                read.append(File(one.id, one.filename or "file", one.mime_type, opened.content))
        return read, refused

    def _settle(self, number: str, rows: dict[str, FileRow]) -> None:
        if rows:
            with self._store.write() as conn:
                for attachment_id, row in rows.items():
                    trackers.keep_file(self._store, conn, self.endpoint.name, number, attachment_id, row)
