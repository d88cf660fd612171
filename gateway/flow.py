"""The journey of a complaint as one table, and what a step answers.

    accept ──▶ intake ──▶ triage ──▶ deliver ──▶ tracking API
               Parsed     Verdict     Outcome
               Complaint  Assignment
                          Event
                          Answer  ──▶ answer ──▶ the customer's mail server
                          Notice  ──▶ notify ──▶ people, by robots

Each step writes its result and the next job in one transaction; the worker obeys what the step decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Connection

from gateway.store.jobs import Job
from models.delivery import RetryDecision


@dataclass(frozen=True, slots=True)
class Report:
    """What a step says of one job: what becomes of it, what is to be written with that, and lines for the operator log.

    `write` is called on the transaction that settles the job, also when it is tried again (an attempt is kept whatever came of it);
    where the transaction fails it is called again. `log` is read after it, so `write` may add to it.
    `lasting` is called there too, before all else, and is written even where the job was lost to somebody else or cannot be settled as
    told: what was learned of others than the job, such as that an endpoint asks for time.
    `entry` goes, with those of all reports of the batch that name the same function, to `write_together`: one statement for many.
    """

    job: Job
    decision: RetryDecision
    write: Callable[[Connection], None] | None = None
    log: Sequence[tuple[str, dict[str, object]]] = ()
    write_together: Callable[[Connection, Sequence[Any]], None] | None = None
    entry: Any = None
    lasting: Callable[[Connection], None] | None = None


class Step(Protocol):
    """One step of the journey."""

    def run(self, jobs: Sequence[Job], now: datetime) -> list[Report]:
        """One report for each job, in any order. May raise: then the worker runs the jobs one by one to find the bad one."""
        ...

    def idle(self, now: datetime) -> bool:
        """Called when nothing is due. True when there may be something to do after all."""
        ...


class Gate(Protocol):
    """Says how much of a step's work may be taken on now."""

    def take(self, now: datetime, most: int) -> int:
        """How many jobs may be claimed, `most` at most; so many are held for the caller."""
        ...

    def give_back(self, held: int, used: int) -> None:
        """What was held is free again; so many jobs there were."""
        ...


def _seconds(*waits: float) -> tuple[timedelta, ...]:
    return tuple(timedelta(seconds=wait) for wait in waits)


# How long to wait after the 1st, 2nd, … failed try; when the row is used up the job is parked.
# A fault of ours: mostly a passing one (a lock, a full disk), else a bug, which no number of tries mends.
OWN_FAULT = _seconds(1, 5, 30, 120, 600)
# An endpoint that does not take an event (Standard Webhooks 1.0.0, "Sending in time").
WEBHOOK = _seconds(5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
# A mail server that does not take an answer: a day, as mail servers themselves do, but quicker at first (RFC 5321 4.5.4.1).
MAIL = _seconds(15, 60, 300, 900, 1800, 3600, 7200, 14_400, 28_800, 28_800)
# A robot that does not tell what it is to tell: most of a day, for a key that was changed is put right by a person.
NOTICE = _seconds(15, 60, 300, 900, 1800, 3600, 7200, 14_400, 28_800)


@dataclass(frozen=True, slots=True)
class Stage:
    """How the jobs of one kind are run.

    batch:         the most jobs of one claim.
    lease:         how long a claim holds; a worker that is silent for longer is taken for dead.
    backoff:       the row of waits above.
    behind_parked: whether a parked job lets those behind it, with the same order key, pass.
    after:         a kind whose due jobs of the same complaint come first.
    lane:          stages of one lane share its threads.
    wakes:         the lanes that may have work when a batch is settled, where they are others.
    queue:         which of several that do the same work; a stage of each is made at the start, with a lane of its own.
    """

    kind: str
    batch: int
    lease: timedelta
    backoff: tuple[timedelta, ...]
    behind_parked: bool
    lane: str
    after: str | None = None
    wakes: tuple[str, ...] = ()
    queue: str = ""
    written: int = 8

    @property
    def name(self) -> str:
        """What it is told by: the kind, and the queue where there are several."""
        return f"{self.kind}:{self.queue}" if self.queue else self.kind

    def of_queue(self, queue: str) -> Stage:
        """The same for one queue, in a lane of its own, so that a slow one holds up no other."""
        return replace(self, queue=queue, lane=f"{self.lane}:{queue}")


FLOW: tuple[Stage, ...] = (
    # Bytes become a message. One unreadable chat line does not stop the lines after it.
    Stage("intake", 64, timedelta(seconds=120), OWN_FAULT, behind_parked=True, lane="sorting"),
    # Messages become a verdict and an assignment, by the batch, because the classifier is far cheaper so; and once all that the customer
    # wrote has been read, so that a chat that is caught up makes one event and not one a line.
    Stage(
        "triage",
        64,
        timedelta(seconds=120),
        OWN_FAULT,
        behind_parked=True,
        lane="sorting",
        after="intake",
        wakes=("delivery", "answering", "notices"),
    ),
    # Whether a mail comes from the domain that it names. In a lane of its own, because the DNS may be slow and sorting waits for nothing.
    Stage("check_sender", 8, timedelta(seconds=600), OWN_FAULT, behind_parked=True, lane="senders"),
    # An event goes to an endpoint. Each endpoint has a queue and a lane of its own, so that a slow one holds up neither the sorting nor
    # another; and what is parked holds back what came after it, so that an endpoint hears of a complaint in order or not at all. Its gate
    # lets so many go to an endpoint that takes them quickly, and few to any other.
    Stage("deliver", 512, timedelta(seconds=180), WEBHOOK, behind_parked=False, lane="delivery", written=64),
    # An answer leaves by mail. In a lane of its own, for a mail server that hangs must hold up neither sorting nor delivery; and one that
    # cannot be sent does not keep the customer from hearing what comes after it.
    Stage("answer", 4, timedelta(seconds=600), MAIL, behind_parked=True, lane="answering"),
    # People are told. Each robot has a queue and a lane of its own; all that waits goes in one message, so a claim takes much.
    Stage("notice", 500, timedelta(seconds=600), NOTICE, behind_parked=True, lane="notices"),
)

# How many threads each lane has, by what stands before its colon. A batch of deliveries ends with its slowest, so several are under way
# side by side.
LANES: Mapping[str, int] = {"sorting": 1, "senders": 2, "delivery": 2, "answering": 2, "notices": 1}

# Claims in a row without a report after which a job is taken for one that kills its worker. They are minutes apart, so that whoever kills
# the gateway from outside, again and again, does not make a job suspect that happened to be in hand (`gateway/store/jobs.py`).
MOST_UNREPORTED = 5
