"""Makes the events that tell of a complaint, and puts them down for whoever is to hear them (docs/events.md)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from gateway import ticket
from gateway.event_schemas import name_of
from gateway.store import events
from gateway.store.complaints import ComplaintRow, MessageRow
from gateway.ticket import Triaged
from models.assignment import Assignment
from models.complaint import Customer
from models.delivery import About, Event, EventType
from models.endpoint import Audience
from models.submission import Channel
from models.verdict import Verdict


class Announcer:
    """Tells the endpoints. `links`: the address under which a complaint is found, before its number; `installation`: our name."""

    def __init__(self, audience: Audience, links: str, installation: str) -> None:
        self._audience, self._links, self._installation = audience, links, installation

    def link(self, number: str) -> str:
        """Where the whole complaint is found."""
        return f"{self._links}/{number}"

    def announce(self, conn: Connection, event: Event) -> None:
        """Keeps the event on the caller's transaction, with a delivery and a job for each endpoint that is to hear of it."""
        events.announce(conn, event, self._audience.of(event))

    def triaged(
        self,
        complaint: ComplaintRow,
        messages: Sequence[MessageRow],
        customer: Customer,
        verdict: Verdict,
        assignment: Assignment,
    ) -> Triaged:
        """A complaint with all that was decided about it."""
        return Triaged(complaint, messages, customer, verdict, assignment, self.link(complaint.number), self._installation)

    # ---- Events that carry the ticket ------------------------------------------------------------------------------------------------

    def assigned(self, kind: EventType, triaged: Triaged, at: datetime) -> Event:
        """Routed, rerouted or updated. It supersedes the ticket before."""
        data = ticket.ticket_json(triaged) | {"supersedes": triaged.complaint.last_event}
        if kind is not EventType.ROUTED:
            new = [message for message in triaged.messages if message.id > triaged.complaint.triaged_through]
            data |= ticket.new_message_json(new)
        return self._event(kind, triaged.complaint, at, data, _now_and_before(triaged))

    def reopened(self, triaged: Triaged, at: datetime, *, by: str, opinion: str = "") -> Event:
        """The next round begins (预案 4.4); `triaged.complaint` is in that round already."""
        data = ticket.ticket_json(triaged) | {"supersedes": triaged.complaint.last_event, "reopened_by": by}
        if opinion:
            data["opinion"] = opinion[: ticket.MATTER_CHARS]
        return self._event(EventType.REOPENED, triaged.complaint, at, data, _now_and_before(triaged))

    # ---- Events that do not ----------------------------------------------------------------------------------------------------------

    def received(
        self,
        number: str,
        channel: Channel,
        received_at: datetime,
        at: datetime,
        *,
        title: str,
        said: str,
        attachments: Sequence[Mapping[str, Any]],
        machine: bool,
    ) -> Event:
        """It was taken in and read; nothing is decided yet. `attachments`: as intake keeps them."""
        data = {
            "received_at": ticket.iso(received_at),
            "title": title[:200],
            "summary": ticket.summary_of(title, said),
            "attachments": ticket.attachments_json(self.link(number), attachments),
            "machine": machine,
        }
        return self._made(EventType.RECEIVED, number, channel, 1, at, data, (About(),))

    def classified(self, complaint: ComplaintRow, verdict: Verdict, department: str, at: datetime) -> Event:
        """What it is said to be."""
        about = About(verdict.primary.value, department, verdict.customer.estate or complaint.customer.estate)
        return self._event(EventType.CLASSIFIED, complaint, at, ticket.verdict_event_json(verdict), (about,))

    def rated(self, complaint: ComplaintRow, at: datetime, *, rating: int, satisfied: bool, comment: str = "") -> Event:
        """What the customer thinks of the handling (预案 4.4). `rating`: 1 to 5, 5 is best."""
        data: dict[str, Any] = {"rating": rating, "satisfied": satisfied}
        if comment:
            data["comment"] = comment[: ticket.MATTER_CHARS]
        return self._event(EventType.CUSTOMER_RATED, complaint, at, data, (_as_it_is(complaint),))

    def closed(self, complaint: ComplaintRow, at: datetime, *, outcome: str, by: str) -> Event:
        """Nothing more is expected of anybody."""
        return self._event(EventType.CLOSED, complaint, at, {"outcome": outcome, "closed_by": by}, (_as_it_is(complaint),))

    def erased(self, complaint: ComplaintRow, at: datetime, *, reason: str) -> Event:
        """Whose complaint it was is gone (PIPL 47); the receiver is asked to erase his copy."""
        return self._event(EventType.ERASED, complaint, at, {"reason": reason}, (_as_it_is(complaint),))

    def _event(
        self, kind: EventType, complaint: ComplaintRow, at: datetime, data: Mapping[str, Any], about: tuple[About, ...]
    ) -> Event:  # fmt: skip
        return self._made(kind, complaint.number, complaint.channel, complaint.round, at, data, about)

    def _made(
        self, kind: EventType, number: str, channel: Channel, round_: int, at: datetime, data: Mapping[str, Any], about: tuple[About, ...]
    ) -> Event:
        """The event. It exists once it is committed with the job that made it, so that no crash can make a second."""
        event_id = f"evt_{uuid.uuid4().hex}"
        head = {
            "schema": name_of(kind.value),
            "event_id": event_id,
            "number": number,
            # The receiver keeps one ticket for one key, however often it is told.
            "idempotency_key": f"{self._installation}:{number}",
            "round": round_,
            "channel": channel.value,
            "links": {"self": self.link(number)},
        }
        payload = {"type": kind.value, "timestamp": ticket.iso(at), "data": head | dict(data)}
        return Event(event_id, number, kind, at, ticket.fitted(payload), about)


def test_payload(endpoint: str, at: datetime) -> str:
    """The body of a test, which is about no complaint and is kept nowhere."""
    message = "接诉的测试，收到即可，无须处理 / a test of jiesu: nothing to do"
    payload = {"type": "endpoint.test", "timestamp": ticket.iso(at), "data": {"endpoint": endpoint, "message": message}}
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))


def _as_it_is(complaint: ComplaintRow) -> About:
    return About(complaint.klass.value if complaint.klass else None, complaint.department, complaint.customer.estate)


def _now_and_before(triaged: Triaged) -> tuple[About, ...]:
    """What it is now; and what it was, so that whom it no longer concerns is told once."""
    now = About(triaged.verdict.primary.value, triaged.assignment.department, triaged.customer.estate)
    before = _as_it_is(triaged.complaint)
    return (now,) if before.klass is None or before == now else (now, before)
