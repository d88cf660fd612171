"""Reconciliation: every submission accepted in a period is delivered, waiting, parked or given up for each endpoint, or part of another's
complaint; what is none of these is unexplained, and must be none (docs/events.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gateway.clock import Clock
from gateway.oplog import OperatorLog
from gateway.periodic import Periodic
from gateway.ranges import days_in_order
from gateway.store import reconciling
from gateway.store.engine import Store
from gateway.store.reconciling import EventFacts, Facts
from models.delivery import EventType

# What may become of a submission, as far as an endpoint goes. The order is that of the report.
BUCKETS = ("delivered", "pending", "parked", "dead", "joined", "not_for_it", "unexplained")
# Why nothing accounts for it, by code.
WHY = ("not_read", "not_sorted", "no_event", "no_delivery", "no_job", "no_submission")
# Parked deliveries that every try was spent on; the others were put aside for another reason.
_GIVEN_UP = frozenset({"attempts_exhausted"})
# At most so many are named.
_NAMED = 50
_LOOK_SECONDS = 60.0


@dataclass(slots=True)
class OfEndpoint:
    """What became of all submissions as far as one endpoint goes."""

    counts: Counter[str] = field(default_factory=Counter)
    why: Counter[str] = field(default_factory=Counter)
    numbers: list[str] = field(default_factory=list)

    def add(self, number: str, bucket: str, why: str = "") -> None:
        """One submission more."""
        self.counts[bucket] += 1
        if why:
            self.why[why] += 1
            if len(self.numbers) < _NAMED and number not in self.numbers:
                self.numbers.append(number)


@dataclass(frozen=True, slots=True)
class Report:
    """What became of what was accepted from `since` until before `until`. `lost`: numbers given that no submission has, by day."""

    since: datetime
    until: datetime
    accepted: int
    complaints: int
    endpoints: dict[str, OfEndpoint]
    lost: dict[str, int]

    @property
    def unexplained(self) -> int:
        """What must be none."""
        return max((one.counts["unexplained"] for one in self.endpoints.values()), default=0) + sum(self.lost.values())

    def as_json(self) -> dict[str, Any]:
        """It as JSON."""
        return {
            "since": _iso(self.since),
            "until": _iso(self.until),
            "accepted": self.accepted,
            "complaints": self.complaints,
            "unexplained": self.unexplained,
            "lost_numbers": self.lost,
            "endpoints": {
                name: {
                    **{bucket: one.counts[bucket] for bucket in BUCKETS},
                    "sum": sum(one.counts[bucket] for bucket in BUCKETS),
                    "why": dict(one.why),
                    "numbers": one.numbers,
                }
                for name, one in self.endpoints.items()
            },
        }


class Reconciliation:
    """Makes reports. `endpoints`: the names in the settings; those that only the store knows are added."""

    def __init__(self, store: Store, clock: Clock, endpoints: Sequence[str], zone: ZoneInfo) -> None:
        self._store, self._clock, self._endpoints, self._zone = store, clock, tuple(endpoints), zone

    def report(self, since: datetime, until: datetime) -> Report:
        """What became of everything accepted in this period, read in one transaction. Raises `Refused` where it ends before it begins."""
        days_in_order(since, until)
        found = {name: OfEndpoint() for name in self._endpoints or ("",)}
        accepted, numbers = 0, set()
        with self._store.read() as conn:
            for facts in reconciling.facts(conn, since, until):
                for told in facts.deliveries.values():
                    for _, endpoint, _ in told:
                        if endpoint not in found:
                            # It was an endpoint once; whatever came before is not for it.
                            found[endpoint] = OfEndpoint(Counter({"not_for_it": accepted}))
                told_for: dict[str, ToldFor] = {}
                for submission, number in facts.submissions:
                    if number not in told_for:
                        told_for[number] = told_for_each(facts, number)
                    for name, one in found.items():
                        one.add(number, *fate(facts, told_for[number], submission, number, name))
                accepted += len(facts.submissions)
                numbers |= {number for _, number in facts.submissions}
            first, last = (at.astimezone(self._zone).strftime("%Y%m%d") for at in (since, until - timedelta(microseconds=1)))
            lost = reconciling.numbers_without_submission(conn, first, last)
        return Report(since, until, accepted, len(numbers), found, lost)

    def days(self, count: int) -> Report:
        """Of the last days, until now."""
        now = self._clock.now()
        return self.report(now - timedelta(days=count), now + timedelta(seconds=1))


@dataclass(slots=True)
class ToldFor:
    """Which events of a complaint were told because of which submission.

    events:  by submission, in order. One that is sorted together with an earlier one has none of its own.
    covered: the submissions that some event tells of; None where there is but one, which all events are of.
    lost:    those after which an event is missing.
    """

    events: dict[int, list[EventFacts]] = field(default_factory=dict)
    covered: set[int] | None = None
    lost: set[int] = field(default_factory=set)


def told_for_each(facts: Facts, number: str) -> ToldFor:
    """Ties each event to the submission that it was told for, so that what becomes of a later one changes nothing about an earlier one.

    An event that carries the ticket says how many messages it tells of: the first that none before it told of is whose it is. What
    carries no ticket goes with the ticket that it is told together with, or else with the last one.
    """
    first, events, spoken = facts.first[number], facts.events.get(number, ()), facts.spoken.get(number, [])
    known, found = {event.id for event in events}, ToldFor()
    whose, so_far = next((one for one in spoken if one not in facts.steering), first), 0
    together: list[EventFacts] = []
    for event in events:
        new = spoken[so_far : event.messages]
        if new:
            # A line that only steers a talk asks for no event.
            whose, so_far = next((one for one in new if one not in facts.steering), new[-1]), event.messages
        if event.supersedes and event.supersedes not in known:
            found.lost.add(whose)
        together.append(event)
        # A verdict is told right before the ticket.
        if event.type != EventType.CLASSIFIED:
            found.events.setdefault(whose, []).extend(together)
            together = []
    found.events.setdefault(whose, []).extend(together)
    if spoken:
        found.covered = set(spoken[:so_far])
    through = facts.triaged.get(number, 0)
    missed = [one for one in spoken[so_far:] if facts.message[one] <= through and one not in facts.steering]
    if number in facts.last_event and facts.last_event[number] not in known and not missed:
        # It was sorted, and what told of it is gone.
        found.lost.add(whose)
    return found


def fate(facts: Facts, told: ToldFor, submission: int, number: str, endpoint: str) -> tuple[str, str]:
    """What became of a submission as far as an endpoint goes: the bucket, and for what is unexplained, why."""
    message = facts.message.get(submission)
    none_due = "not_for_it" if submission == facts.first[number] else "joined"
    if submission in facts.aside:
        return none_due, ""
    erased = submission in facts.erased
    if message is None and not erased:
        return _open(facts.intake.get(submission), "not_read")
    if not erased and (message or 0) > facts.triaged.get(number, 0):
        return _open(facts.triage.get(number), "not_sorted")
    mine = told.events.get(submission, ())
    if submission in told.lost and not (erased and not mine):
        return "unexplained", "no_event"
    if not mine:
        if erased or submission in facts.steering or told.covered is None or submission in told.covered:
            # Erased before it was read, so that nobody was told of it; or told of together with an earlier one.
            return none_due, ""
        return "unexplained", "no_event"
    states = [state for event in mine for state in _deliveries(facts, event, endpoint)]
    for state in ("no_delivery", "no_job"):
        if state in states:
            return "unexplained", state
    for state in ("dead", "parked", "pending", "delivered"):
        if state in states:
            return state, ""
    return "not_for_it", ""


def _open(job: str | None, why: str) -> tuple[str, str]:
    if job is None:
        return "unexplained", why
    return ("parked", "") if job == "parked" else ("pending", "")


def _deliveries(facts: Facts, event: EventFacts, endpoint: str) -> list[str]:
    """How the event's delivery to this endpoint stands; nothing where it was not for it."""
    mine = [(delivery, done) for delivery, name, done in facts.deliveries.get(event.id, []) if name == endpoint]
    if not mine:
        return ["no_delivery"] if event.told is not None and endpoint in event.told else []
    ((delivery, done),) = mine
    if done:
        return ["delivered"]
    state, reason = facts.deliver.get(delivery, ("", ""))
    if not state:
        return ["no_job"]
    return ["pending"] if state != "parked" else ["dead"] if reason in _GIVEN_UP else ["parked"]


class NightlyReconciliation(Periodic):
    """Reconciles each day at an hour of the settings, while a gateway serves; a person is warned when something is unexplained.

    Where no gateway served at that hour it is made up for as soon as one does.
    """

    def __init__(
        self,
        store: Store,
        making: Reconciliation,
        clock: Clock,
        log: OperatorLog,
        zone: ZoneInfo,
        *,
        hour: int,
        days: int,
        alarm: Callable[[Report, str, datetime], None],
    ) -> None:
        """`alarm` tells people of a report that leaves something unexplained: the report, its day, now."""
        super().__init__("reconciliation", _LOOK_SECONDS, log, at_once=True)
        self._store, self._making, self._clock, self._zone, self._hour, self._days = store, making, clock, zone, hour, days
        self._alarm = alarm
        # What the last one could not account for, on whichever node it was done.
        self.unexplained = 0

    def look(self) -> bool:
        """Reconciles when it is time. Whether it was."""
        here = self._clock.now().astimezone(self._zone)
        with self._store.read() as conn:
            last = reconciling.last_done(conn, here)
        self.unexplained = last.unexplained if last else 0
        if self._hour < 0 or (last is not None and last.at >= self._due(here)):
            return False
        day = here.strftime("%Y%m%d")
        report = self._making.days(self._days)
        if report.unexplained:
            # First, so that it is looked once more where this cannot be kept.
            self._alarm(report, day, here)
        with self._store.write() as conn:
            reconciling.keep_done(conn, here, report.accepted, report.unexplained)
        self.unexplained = report.unexplained
        if report.unexplained:
            why: Counter[str] = sum((one.why for one in report.endpoints.values()), Counter())
            numbers = [number for one in report.endpoints.values() for number in one.numbers][:_NAMED]
            self._log.write("Unexplained", count=report.unexplained, why=dict(why), numbers=numbers, lost=sum(report.lost.values()))
        else:
            self._log.write("Reconciled", accepted=report.accepted, days=self._days)
        return True

    def _due(self, here: datetime) -> datetime:
        """When it was last time for one."""
        today = here.replace(hour=self._hour, minute=0, second=0, microsecond=0)
        return today if today <= here else today - timedelta(days=1)


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
