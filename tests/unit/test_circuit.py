"""When an endpoint is left alone, as a value."""

from __future__ import annotations

from datetime import timedelta

import pytest
from factories import MORNING

from gateway.circuit import OPENS_AFTER, after, asks_for_time, is_its_fault
from models.delivery import Outcome, OutcomeCode

OK = Outcome(OutcomeCode.ACCEPTED, 200, 0.1)
BROKEN = Outcome(OutcomeCode.SERVER_ERROR, 500, 0.1, "oops")
BAD_EVENT = Outcome(OutcomeCode.CLIENT_ERROR, 422, 0.1)
WRONG_SECRET = Outcome(OutcomeCode.CLIENT_ERROR, 401, 0.1)


def no_stray() -> float:
    return 0.5


def test_failures_in_a_row_open_the_circuit_and_one_success_closes_it() -> None:
    trouble = after(None, [BROKEN] * (OPENS_AFTER - 1), MORNING, no_stray)
    assert trouble is not None
    assert not trouble.open
    assert trouble.next_try is None
    trouble = after(trouble, [BROKEN], MORNING, no_stray)
    assert trouble is not None
    assert trouble.open
    assert trouble.next_try == MORNING + timedelta(seconds=5)
    assert trouble.last == BROKEN
    assert after(trouble, [OK], MORNING, no_stray) is None
    assert after(None, [BROKEN, BROKEN, OK, BROKEN, BROKEN, BROKEN, BROKEN], MORNING, no_stray).open is False


def test_it_waits_longer_each_time_but_never_for_hours() -> None:
    trouble, now, waits = None, MORNING, []
    for _ in range(20):
        trouble = after(trouble, [BROKEN], now, no_stray)
        if trouble.next_try:
            waits.append((trouble.next_try - now).total_seconds())
            now = trouble.next_try
    assert waits == [5, 15, 30, 60, 120, 300, *[600], *[900] * 9]


# Of a message broker: that no queue takes it is the event's, an exchange of another kind everybody's.
NO_ROUTE, OTHER_KIND = (Outcome(OutcomeCode.CLIENT_ERROR, status, 0.1) for status in (312, 406))


@pytest.mark.parametrize(
    ("outcome", "fault"),
    [(BAD_EVENT, False), (WRONG_SECRET, True), (OK, False), (BROKEN, True), (NO_ROUTE, False), (OTHER_KIND, True)],
)
def test_an_event_that_is_disliked_says_nothing_of_the_endpoint(outcome: Outcome, fault: bool) -> None:
    assert is_its_fault(outcome) is fault
    assert (after(None, [outcome] * 9, MORNING, no_stray) is not None) is fault


def test_who_asks_for_time_gets_it_for_every_event() -> None:
    throttled = Outcome(OutcomeCode.THROTTLED, 429, 0.1, "", timedelta(minutes=7))
    trouble = after(None, [throttled], MORNING, no_stray)
    assert (trouble.open, trouble.next_try) == (False, MORNING + timedelta(minutes=7))
    # What fails meanwhile makes it no shorter.
    assert after(trouble, [BROKEN], MORNING, no_stray).next_try == MORNING + timedelta(minutes=7)


THROTTLED = Outcome(OutcomeCode.THROTTLED, 429, 0.1, "", timedelta(seconds=30))


@pytest.mark.parametrize("order", [(OK, THROTTLED), (THROTTLED, OK), (OK, THROTTLED, OK, THROTTLED, OK), (THROTTLED, BROKEN, OK)])
def test_what_was_taken_beside_it_ends_no_wish_for_time(order: tuple[Outcome, ...]) -> None:
    until = MORNING + timedelta(seconds=30)
    trouble = after(None, order, MORNING, no_stray)
    assert trouble is not None
    assert (trouble.next_try, trouble.asked_until, trouble.open) == (until, until, False)
    # It counts as it always did: a success is a success.
    assert trouble.failures == (1 if order[-1] is THROTTLED else 0)
    assert after(trouble, [OK], until, no_stray) is None


def test_a_success_closes_the_circuit_and_leaves_only_the_wish() -> None:
    trouble = after(None, [THROTTLED] * 9, MORNING, no_stray)
    assert trouble.open
    assert trouble.next_try > MORNING + timedelta(seconds=30)
    trouble = after(trouble, [OK], MORNING, no_stray)
    assert (trouble.open, trouble.failures, trouble.next_try) == (False, 0, MORNING + timedelta(seconds=30))
    # A wish that is over is forgotten at the next failure, too.
    trouble = after(trouble, [BROKEN], MORNING + timedelta(minutes=1), no_stray)
    assert (trouble.next_try, trouble.asked_until, trouble.failures) == (None, None, 1)


@pytest.mark.parametrize(
    ("outcome", "asks"),
    [(THROTTLED, True), (BROKEN, False), (Outcome(OutcomeCode.CLIENT_ERROR, 422, 0.1, "", timedelta(seconds=9)), False)],
)
def test_who_asks_for_time(outcome: Outcome, asks: bool) -> None:
    assert asks_for_time(outcome) is asks
