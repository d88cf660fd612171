"""Reads back how tickets stand: from what happened to a ticket, the reports that follow for its complaint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from gateway.statuses import MOST_BY, MOST_CUSTOMER_TEXT, MOST_INTERNAL_TEXT
from gateway.store import trackers
from gateway.store.engine import Store
from gateway.trackers.base import CannotAsk, Change, History, Trouble, stamp
from gateway.trackers.sender import TicketSender
from models.delivery import EventType
from models.remote import RemoteTicket
from models.status import StatusCode, StatusReport

# Tickets that are read from the beginning in one look.
_MOST_UNREAD = 50
# So long before our first ticket the first look begins: the clocks of the two may be apart.
_FIRST_BEFORE = timedelta(days=1)
# A ticket that cannot be read so many looks in a row is passed over, so that it holds up no other; it is tried again at each look.
_LOOKS = 3
# A listing may have many pages.
_LISTING_SECONDS = 120.0
# The tracker's clock may be so far from ours. A mark further ahead is a clock that was wrong once, or a broken ticket, and would keep all
# that comes later from being read.
_CLOCKS = timedelta(minutes=15)
# What happened so long before the mark was read at an earlier look.
_READ_BEFORE = timedelta(minutes=5)


class TicketSource:
    """The statuses of one endpoint's tickets: a `StatusSource`.

    statuses: our word for each of the system's own. tells_customer: whether public words are for the customer.
    """

    def __init__(self, sender: TicketSender, store: Store, statuses: Mapping[str, StatusCode], *, tells_customer: bool) -> None:
        self._sender, self._store, self._tells_customer = sender, store, tells_customer
        # The tickets that the last look read from the beginning; one thread asks at a time.
        self._whole: list[str] = []
        # How often in a row a ticket could not be read.
        self._unreadable: dict[str, int] = {}
        self._statuses = {name.casefold(): code for name, code in statuses.items()}

    @property
    def endpoint(self) -> str:
        """The endpoint that it belongs to."""
        return self._sender.endpoint.name

    def changed(self, since: str) -> tuple[Sequence[StatusReport], str]:
        """What changed since the mark, oldest first, and the next mark. Raises `CannotAsk`, a `TryLater` of trackers."""
        with self._store.read() as conn:
            began = trackers.first_kept(conn, self.endpoint)
            unread = trackers.unread(conn, self.endpoint, _MOST_UNREAD)
        self._whole = [ticket.remote_id for ticket in unread]
        if began is None:
            return [], since
        now = self._sender.now()
        # Of what was missed under a mark that lay ahead nothing is known but that it came after our first ticket.
        mark = since if since and not _ahead(since, now) else stamp(began - _FIRST_BEFORE)
        try:
            updated = self._sender.adapter.updated(self._sender.line(_LISTING_SECONDS), mark)
            with self._store.read() as conn:
                ours = trackers.by_remote(conn, self.endpoint, updated.ids)
            floor = datetime.fromisoformat(mark) - _READ_BEFORE
            wanted: dict[str, tuple[RemoteTicket, datetime | None]] = {ticket.remote_id: (ticket, None) for ticket in unread}
            wanted |= {id_: (ours[id_], floor) for id_ in updated.ids if id_ in ours and id_ not in wanted}
            reports: list[StatusReport] = []
            for remote_id, (ticket, earliest) in wanted.items():
                # Each has its own time, so that many of them do not add up to a timeout.
                reports += self._read(ticket, earliest, updated.told.get(remote_id))
        except Trouble as trouble:
            raise _cannot(trouble) from None
        following = stamp(now - _CLOCKS) if _ahead(updated.mark, now) else updated.mark
        return sorted(reports, key=lambda one: one.said_at), following

    def have_read(self, reports: Sequence[StatusReport]) -> None:
        """Everything of the last look was taken."""
        newest = {one.number: one.status for one in reports}
        if self._whole or newest:
            with self._store.write() as conn:
                trackers.have_read(conn, self.endpoint, self._whole)
                for number, status in newest.items():
                    trackers.set_status(conn, self.endpoint, number, status.value)

    def _read(self, ticket: RemoteTicket, earliest: datetime | None, told: object) -> list[StatusReport]:
        try:
            history = self._sender.adapter.history(self._sender.line(), ticket.remote_id, told)
            found = self.reports(ticket, history, earliest)
        except Trouble as trouble:
            if trouble.outcome.status in (403, 404):
                # Deleted, or moved to where we may not look: the other tickets are read all the same.
                return []
            return self._pass_over(ticket, trouble)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            # An answer of another form than the adapter knows.
            return self._pass_over(ticket, error)
        self._unreadable.pop(ticket.remote_id, None)
        return found

    def _pass_over(self, ticket: RemoteTicket, error: Exception) -> list[StatusReport]:
        """Nothing of a ticket, to be read from its beginning later. Raises `error` where it may pass by the next look."""
        id_ = ticket.remote_id
        times = self._unreadable[id_] = self._unreadable.get(id_, 0) + 1
        if times < _LOOKS:
            raise error
        if times == _LOOKS:
            self._sender.fault("ticket that cannot be read", error, ticket.number)
        with self._store.write() as conn:
            trackers.keep_unread(conn, self.endpoint, id_)
        if id_ in self._whole:
            self._whole.remove(id_)
        return []

    def reports(self, ticket: RemoteTicket, history: History, earliest: datetime | None) -> list[StatusReport]:
        """The reports that follow from what happened; of what happened before `earliest` there are none."""
        found: list[StatusReport] = []
        code = self._statuses.get(history.first.casefold())
        # Marks of ours say of which handling it is what comes after them, where the beginning of another is told there at all.
        round_: int | None = None
        rounds = EventType.REOPENED in self._sender.endpoint.filter.types
        for change in history.changes:
            said = self._statuses.get(change.status.casefold()) if change.status else None
            code = said or code
            if change.own_round is not None:
                if rounds and change.own_round > (round_ or 1):
                    # Another handling begins: the state that the one before ended in says nothing of it.
                    code = said
                round_ = change.own_round if rounds else None
                continue
            words = _unquoted(change.text) if change.public and self._tells_customer else change.text.strip()
            if change.standing and said is not None and said.value == ticket.status:
                # It was said before.
                continue
            if not (said or words) or (earliest is not None and change.at < earliest):
                continue
            # Whoever answers has taken it on, whatever the ticket's state is called.
            found.append(self._report(ticket, change, code or StatusCode.ACCEPTED, round_))
        return found

    def _report(self, ticket: RemoteTicket, change: Change, code: StatusCode, round_: int | None) -> StatusReport:
        public = change.public and self._tells_customer
        return StatusReport(
            endpoint=self.endpoint,
            message_id=change.id[:200],
            number=ticket.number,
            status=code,
            said_at=change.at,
            round=round_,
            sequence=change.sequence,
            customer_text=_cut(_unquoted(change.text), MOST_CUSTOMER_TEXT) if public else "",
            internal_text="" if public else _cut(change.text.strip(), MOST_INTERNAL_TEXT),
            by=change.by[:MOST_BY],
        )


def _cannot(trouble: Trouble) -> CannotAsk:
    code, status = trouble.outcome.code.value, trouble.outcome.status
    zh, _, en = trouble.outcome.answer.partition(" / ")
    return CannotAsk(code, f"{status or code}：{zh}", f"{status or code}: {en or zh}")


def _ahead(mark: str, now: datetime) -> bool:
    return datetime.fromisoformat(mark) > now + _CLOCKS


def _unquoted(text: str) -> str:
    """Words without what they quote: a reply that quotes our own ticket would tell the customer what is for staff."""
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(">")).strip()


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
