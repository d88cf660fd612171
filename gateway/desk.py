"""The review desk: what the console shows of the queue and of one complaint, and taking a decision back (预案 4.2, 4.5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway import rules, ticket
from gateway.caution import Caution
from gateway.correcting import Corrected, Correcting
from gateway.store import (
    answers,
    attachments,
    calls,
    complaints,
    corrections,
    desk,
    examples,
    jobs,
    statuses,
    talks,
    threads,
    trackers,
    unread,
)
from gateway.store.answers import Try
from gateway.store.calls import EarlierRow
from gateway.store.complaints import ComplaintRow, MessageRow
from gateway.store.desk import Decided, Listed, Original, Sent, Told, View
from gateway.store.engine import Store
from gateway.store.jobs import ParkedJob
from gateway.store.unread import Unread
from models.answer import Answer
from models.assignment import Priority
from models.attachment import StoredAttachment
from models.correction import UNDONE, Correction, Source, last_words
from models.errors import Refused
from models.remote import RemoteTicket
from models.staff import Session
from models.status import Status

# So many other complaints of a number are shown.
MOST_OTHERS = 10


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the queue: what is listed, whether there is more behind it, and how many wait in all."""

    listed: Sequence[Listed]
    more: bool
    waiting: int


@dataclass(frozen=True, slots=True)
class Story:
    """A complaint with everything, from the first word to now."""

    complaint: ComplaintRow
    messages: Sequence[MessageRow]
    verdicts: Sequence[Told]
    assignments: Sequence[Told]
    events: Sequence[Sent]
    corrections: Sequence[Correction]
    originals: Mapping[int, Original]
    parked: Sequence[ParkedJob]
    files: Sequence[StoredAttachment]
    # What the customer said of its class: when, what it was, what it is.
    stated: Sequence[tuple[datetime, str, str]]
    statuses: Sequence[Status]
    # Whether it stands in the review queue.
    waits: bool
    # What the customer was told, each answer with the tries of mailing it.
    answers: Sequence[Answer] = ()
    tries: Mapping[int, Sequence[Try]] = field(default_factory=dict)
    # Numbers of mails that turned out to belong here.
    joined: Mapping[str, str] = field(default_factory=dict)

    def files_of(self, message: MessageRow) -> Sequence[StoredAttachment]:
        """What came with a message."""
        return [file for file in self.files if file.submission_id == message.submission_id]

    # Its tickets in tracking systems.
    tickets: Sequence[RemoteTicket] = ()
    # Other complaints of the same telephone number, the newest first.
    others: Sequence[EarlierRow] = ()

    @property
    def verdict(self) -> Mapping[str, Any]:
        """The body of the newest verdict; empty while it is being sorted."""
        return self.verdicts[-1].body if self.verdicts else {}

    @property
    def classified(self) -> str:
        """The text that the newest verdict is of, which its reasons point into."""
        return "\n".join(message.said for message in self._counted if message.said and message.id <= self.complaint.triaged_through)

    @property
    def later(self) -> Sequence[MessageRow]:
        """What has come since."""
        return [message for message in self._counted if message.said and message.id > self.complaint.triaged_through]

    @property
    def _counted(self) -> Sequence[MessageRow]:
        return [message for message in self.messages if not message.aside]

    @property
    def disagreeing(self) -> Sequence[Correction]:
        """The last word of each person, where they are not all the same."""
        last = list(last_words(self.corrections).values())
        return last if len({one.should_be for one in last}) > 1 else []


class Desk:
    """Reads for the console; takes decisions back."""

    def __init__(self, store: Store, correcting: Correcting) -> None:
        self._store, self._correcting = store, correcting

    def page(self, view: View, limit: int) -> Page:
        """A page of the queue."""
        with self._store.read() as conn:
            found = desk.page(self._store, conn, view, limit + 1)
            return Page(found[:limit], len(found) > limit, corrections.waiting_count(conn))

    def waiting(self) -> int:
        """How many wait in all."""
        with self._store.read() as conn:
            return corrections.waiting_count(conn)

    def look(self, number: str) -> Story | Unread | None:
        """A complaint with everything, or what waits under a number and is not read; None when it was never given."""
        # It may be read between the two looks.
        return self.story(number) or self.unread(number) or self.story(number)

    def unread(self, number: str) -> Unread | None:
        """What was taken in under a number and is not read."""
        with self._store.read() as conn:
            return unread.find(conn, number)

    def story(self, number: str) -> Story | None:
        """A complaint with everything; None when there is none of this number. A number that was joined to another leads there."""
        with self._store.read() as conn:
            number = threads.resolve(conn, number)
            complaint = complaints.load(conn, [number]).get(number)
            if complaint is None:
                return None
            mine = calls.of_numbers(conn, [number])[number]
            phones = [one for one in (complaint.customer.phone, *(call.caller for call in mine)) if one]
            others = calls.earlier(conn, callers=phones, call_ids=(), words=(), besides=[number]) if phones else []
            return Story(
                complaint=complaint,
                messages=complaints.conversation(conn, [number])[number],
                verdicts=desk.verdicts_of(conn, number),
                assignments=desk.assignments_of(conn, number),
                events=desk.events_of(conn, number),
                corrections=corrections.of(conn, number),
                originals=desk.originals_of(conn, number),
                parked=jobs.parked(conn, number=number),
                files=attachments.of_number(conn, number),
                stated=talks.stated(conn, [number]).get(number, ()),
                statuses=statuses.of(conn, number),
                waits=desk.waits(conn, number),
                answers=answers.of_number(conn, number),
                tries=answers.tries_of(conn, number),
                joined=threads.joined_to(conn, number),
                others=others[:MOST_OTHERS],
                tickets=trackers.tickets_of(conn, number),
            )

    def original(self, number: str, submission_id: int) -> tuple[str, bytes] | None:
        """Media type and bytes of what came in."""
        with self._store.read() as conn:
            return desk.original(conn, number, submission_id)

    def undoable(self, session: Session) -> Decided | None:
        """What this person has decided last in this session, did not take back yet, and nobody else has decided since."""
        with self._store.read() as conn:
            found = _last_standing(desk.newest_decisions(conn, session.person.name, Source.CONSOLE.value, session.created_at))
            if found is None or desk.decisions_on(conn, found.number)[-1].id != found.id:
                return None
            return found

    def undo(self, session: Session) -> tuple[Decided, Corrected]:
        """Takes the last decision back: corrects to what held before, and lets the complaint wait again if it did.

        Raises `Refused` when there is nothing to take back, `Overtaken` when somebody else decided at the same time.
        """
        last = self.undoable(session)
        if last is None:
            raise Refused("nothing_to_undo", "没有可以撤销的判定", "there is no decision to take back")
        with self._store.read() as conn:
            before = [one for one in desk.decisions_on(conn, last.number) if one.id < last.id]
        former = before[-1].should_be if before else last.was
        done = self._correcting.correct(last.number, former, by=session.person.name, source=Source.CONSOLE, note=UNDONE)
        if all(one.note == UNDONE for one in before[-1:]):
            # What holds now is the model's own word again: nothing to learn from. Who happened upon it took nothing out of the queue.
            self._as_undecided(last.number, waits=bool(last.weight))
        return last, done

    def _as_undecided(self, number: str, *, waits: bool) -> None:
        with self._store.write() as conn:
            examples.forget(conn, number)
            if not waits:
                return
            complaint = complaints.load(conn, [number])[number]
            body = complaints.latest_verdict(conn, number)
            if body is None:
                return
            verdict = ticket.verdict_of(body, complaint.customer)
            rank = Caution.rank(verdict, True, rules.urgency(Priority(complaint.priority or Priority.NORMAL)))
            if rank is not None:
                desk.put_back(conn, number, rank)


def _last_standing(newest_first: Sequence[Decided]) -> Decided | None:
    """The newest decision that was not taken back."""
    taken_back: Counter[str] = Counter()
    for one in newest_first:
        if one.note == UNDONE:
            taken_back[one.number] += 1
        elif taken_back[one.number]:
            taken_back[one.number] -= 1
        else:
            return one
    return None
