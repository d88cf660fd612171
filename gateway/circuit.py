"""When an endpoint is left alone for a while: a value computed from how it stood and what the last tries brought."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from models.delivery import Outcome, OutcomeCode

# So many tries in a row that failed, of whatever events, say that it is the endpoint.
OPENS_AFTER = 5
# Where it refuses events for their own sake, its circuit stays closed, so that it hears of all others; but where that befalls so many
# complaints somebody must look at it: a broker without any queue, a receiver that knows no form of ours.
REFUSES_MANY = 5
# How long until the next try once the circuit is open: after the first failed one, the second, …; the last again and again.
_WAITS = tuple(timedelta(seconds=s) for s in (5, 15, 30, 60, 120, 300, 600, 900))
_JITTER = 0.15
# No wish for time is longer (see `http_client.py`), and no wait of ours.
_LONGEST = timedelta(days=1, minutes=15)
# What a receiver answers when it is not the event that it dislikes: wrong secret, wrong address, no such form, away. AMQP says 403, 404
# and 406 where user, exchange or queue are not as they must be; 312, that no queue takes the event, is the event's.
_OF_THE_ENDPOINT = frozenset({401, 403, 404, 405, 406, 407, 408})


@dataclass(frozen=True, slots=True)
class Trouble:
    """An endpoint that fails, or asked for time. `last` is the failure that was last.

    next_try: nothing is sent before, for whatever reason; None: it is sent to as usual. asked_until: how long of that it asked for itself.
    """

    failures: int
    since: datetime
    next_try: datetime | None
    open: bool
    last: Outcome
    asked_until: datetime | None = None


def sane(at: datetime | None, now: datetime) -> datetime | None:
    """A time to wait for; None where it is further off than any can be: a clock that was ahead wrote it, and has been put right."""
    return at if at is None or at <= now + _LONGEST else None


def is_its_fault(outcome: Outcome) -> bool:
    """Whether the failure says something of the endpoint rather than of the event."""
    if outcome.code is OutcomeCode.CLIENT_ERROR:
        return outcome.status in _OF_THE_ENDPOINT
    return outcome.code not in (OutcomeCode.ACCEPTED, OutcomeCode.GONE)


def asks_for_time(outcome: Outcome) -> bool:
    """Whether an endpoint wants nothing sent to it for a while, of whatever event."""
    return bool(outcome.retry_after) and is_its_fault(outcome)


def after(before: Trouble | None, outcomes: Sequence[Outcome], now: datetime, stray: Callable[[], float]) -> Trouble | None:
    """How the endpoint stands after these tries, in the order in which they were reported. None: all is well.

    stray: gives a number from 0 to 1, so that nodes do not try together.
    """
    trouble = before and replace(before, next_try=sane(before.next_try, now), asked_until=sane(before.asked_until, now))
    for outcome in outcomes:
        if outcome.code is OutcomeCode.ACCEPTED:
            trouble = _taken(trouble, now)
        elif is_its_fault(outcome):
            trouble = _failed(trouble, outcome, now, stray)
    return trouble


def _taken(before: Trouble | None, now: datetime) -> Trouble | None:
    """It takes what it is sent. A limit of its rate that it named holds all the same: such a limiter says yes and no by turns."""
    if before is None or before.asked_until is None or before.asked_until <= now:
        return None
    return replace(before, failures=0, next_try=before.asked_until, open=False)


def _failed(before: Trouble | None, outcome: Outcome, now: datetime, stray: Callable[[], float]) -> Trouble:
    failures = (before.failures if before else 0) + 1
    next_try = before.next_try if before and before.next_try and before.next_try > now else None
    asked = before.asked_until if before and before.asked_until and before.asked_until > now else None
    if outcome.retry_after:
        asked = max(asked or now, now + outcome.retry_after)
        next_try = max(next_try or now, asked)
    if failures >= OPENS_AFTER:
        wait = _WAITS[min(failures - OPENS_AFTER, len(_WAITS) - 1)] * (1 + _JITTER * (2 * stray() - 1))
        next_try = max(next_try or now, now + wait)
    return Trouble(failures, before.since if before else now, next_try, failures >= OPENS_AFTER, outcome, asked)
