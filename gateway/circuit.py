"""When an endpoint is left alone for a while: a value computed from how it stood and what the last tries brought."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
# What a receiver answers when it is not the event that it dislikes: wrong secret, wrong address, no such form, away. AMQP says 403, 404
# and 406 where user, exchange or queue are not as they must be; 312, that no queue takes the event, is the event's.
_OF_THE_ENDPOINT = frozenset({401, 403, 404, 405, 406, 407, 408})


@dataclass(frozen=True, slots=True)
class Trouble:
    """An endpoint that fails, or asked for time. `next_try` None: it is sent to as usual. `last` is the outcome that was last."""

    failures: int
    since: datetime
    next_try: datetime | None
    open: bool
    last: Outcome


def is_its_fault(outcome: Outcome) -> bool:
    """Whether the failure says something of the endpoint rather than of the event."""
    if outcome.code is OutcomeCode.CLIENT_ERROR:
        return outcome.status in _OF_THE_ENDPOINT
    return outcome.code not in (OutcomeCode.ACCEPTED, OutcomeCode.GONE)


def after(before: Trouble | None, outcomes: Sequence[Outcome], now: datetime, stray: Callable[[], float]) -> Trouble | None:
    """How the endpoint stands after these tries, in the order in which they were reported. None: all is well.

    stray: gives a number from 0 to 1, so that nodes do not try together.
    """
    trouble = before
    for outcome in outcomes:
        if outcome.code is OutcomeCode.ACCEPTED:
            trouble = None
        elif is_its_fault(outcome):
            trouble = _failed(trouble, outcome, now, stray)
    return trouble


def _failed(before: Trouble | None, outcome: Outcome, now: datetime, stray: Callable[[], float]) -> Trouble:
    failures = (before.failures if before else 0) + 1
    next_try = before.next_try if before and before.next_try and before.next_try > now else None
    if outcome.retry_after:
        # It asks for time, for whatever event.
        next_try = max(next_try or now, now + outcome.retry_after)
    if failures >= OPENS_AFTER:
        wait = _WAITS[min(failures - OPENS_AFTER, len(_WAITS) - 1)] * (1 + _JITTER * (2 * stray() - 1))
        next_try = max(next_try or now, now + wait)
    return Trouble(failures, before.since if before else now, next_try, failures >= OPENS_AFTER, outcome)
