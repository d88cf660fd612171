"""The next round of a complaint and its erasure, through the real flow, at a tracker: what its ticket is told, and what comes back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from scripted_tracker import KEY, Scripted
from tracker_house import NAME, TicketHouse

from gateway.erasing import Reason
from gateway.store import events, trackers


@pytest.fixture
def tracker() -> Iterator[Scripted]:
    with Scripted("redmine") as server:
        yield server


def made(tracker: Scripted, home: Path, more: str = "") -> TicketHouse:
    return TicketHouse(home, f'kind = "redmine"\nurl = "{tracker.url}"\nproject = "tousu"\n{more}', KEY)


def staff(tracker: Scripted, id_: str, **change: Any) -> None:
    tracker.ask("PUT", f"/issues/{id_}.json", {"issue": change}, **{"X-Redmine-API-Key": KEY})


def reopened(house: TicketHouse, tracker: Scripted) -> tuple[str, str]:
    """A complaint of which the tracker said that it is resolved, and with which the customer is not content."""
    number = house.chat("价格问题，请处理", "talk")
    id_ = house.ticket(number).remote_id
    staff(tracker, id_, status_id=3, notes="已处理")
    assert house.look()
    assert house.state(number) == "resolved"
    assert house.chat("没有解决，还是不对", "talk") == number
    return number, id_


@pytest.mark.parametrize("more", ["", 'reopened_status = "进行中"'])
def test_what_is_said_of_the_next_round_is_not_the_end_of_the_one_before(tracker: Scripted, tmp_path: Path, more: str) -> None:
    house = made(tracker, tmp_path / "home", more)
    number, id_ = reopened(house, tracker)
    assert house.state(number) != "resolved"
    assert "第 2 次" in tracker.tickets[id_]["journals"][-1]["notes"]
    assert tracker.tickets[id_]["status"]["name"] == ("进行中" if more else "已解决")
    staff(tracker, id_, notes="周五再上门")
    assert house.look()
    assert house.state(number) in ("accepted", "in_progress")
    staff(tracker, id_, status_id=2)
    staff(tracker, id_, status_id=3, notes="已重做")
    assert house.look()
    assert house.state(number) == "resolved"
    assert [(one.round, one.report.customer_text) for one in house.statuses(number) if one.report.customer_text] == [
        (1, "已处理"),
        (2, "周五再上门"),
        (2, "已重做"),
    ]
    house.app.close()


def test_nothing_of_what_the_tracker_says_later_is_kept_of_an_erased_complaint(tracker: Scripted, tmp_path: Path) -> None:
    house = made(tracker, tmp_path / "home")
    number, other = house.complain(), house.complain()
    id_ = house.ticket(number).remote_id
    assert house.look()
    house.app.erasing.erase(number, reason=Reason.PERSON_ASKED, by="王芳")
    house.app.worker.drain()
    staff(tracker, id_, status_id=2, notes="林女士 13800001111 已联系")
    for _ in range(3):
        assert house.look()
    assert house.statuses(number) == []
    assert house.told(number) == []
    assert house.log("StatusRefused") == []
    # Others are read all the same.
    staff(tracker, house.ticket(other).remote_id, status_id=2)
    assert house.look()
    assert house.state(other) == "in_progress"
    house.app.close()


def test_who_was_erased_before_the_tracker_could_be_reached_gets_no_empty_ticket(tracker: Scripted, tmp_path: Path) -> None:
    house = made(tracker, tmp_path / "home")
    tracker.then("GET /issues.json", times=1, status=503)
    number = house.complain()
    assert tracker.tickets == {}
    house.app.erasing.erase(number, reason=Reason.PERSON_ASKED, by="王芳")
    house.clock.move(hours=1)
    house.app.worker.drain()
    with house.app.store.read() as conn:
        assert events.undelivered(conn) == 0
    assert tracker.tickets == {}
    # The next one has a ticket.
    assert house.ticket(house.complain()).remote_id in tracker.tickets
    house.app.close()


def test_a_tracker_whose_clock_was_wrong_once_is_heard_afterwards(tracker: Scripted, tmp_path: Path) -> None:
    house = made(tracker, tmp_path / "home")
    number = house.complain()
    id_ = house.ticket(number).remote_id
    ahead = (house.clock.now() + timedelta(days=400)).strftime("%Y-%m-%dT%H:%M:%SZ")
    tracker.then("GET /issues.json", json={"issues": [{"id": int(id_), "updated_on": ahead}]})
    assert house.look()
    staff(tracker, id_, status_id=2)
    assert house.look()
    assert house.state(number) == "in_progress"
    # A mark that was kept before does not stay in the way either.
    with house.app.store.write() as conn:
        trackers.succeeded(conn, NAME, ahead, house.clock.now())
    staff(tracker, id_, status_id=3)
    assert house.look()
    assert house.state(number) == "resolved"
    house.app.close()


@pytest.mark.parametrize("broken", [{"status": 500}, {"json": {"issue": {"created_on": None}}}])
def test_a_ticket_that_cannot_be_read_holds_up_no_other_for_long(tracker: Scripted, tmp_path: Path, broken: dict[str, Any]) -> None:
    house = made(tracker, tmp_path / "home")
    first, second = house.complain(), house.complain()
    for number in (first, second):
        staff(tracker, house.ticket(number).remote_id, status_id=2, notes="已联系")
    tracker.then(f"GET /issues/{house.ticket(first).remote_id}.json", times=5, **broken)
    assert [house.look() for _ in range(3)] == [False, False, True]
    assert (house.state(first), house.state(second)) == ("routed", "in_progress")
    assert [line["number"] for line in house.log("Fault") if line["where"] == "ticket that cannot be read"] == [first]
    for _ in range(2):
        assert house.look()
    assert house.state(first) == "routed"
    # Once it can be read again, nothing of it is missing.
    assert house.look()
    assert house.state(first) == "in_progress"
    assert [one.report.customer_text for one in house.statuses(first)] == ["已联系"]
    house.app.close()


def test_a_state_that_is_not_there_is_found_by_the_test(tracker: Scripted, tmp_path: Path) -> None:
    house = made(tracker, tmp_path / "home", 'status_map = { "已解决" = "resolved", "处理中" = "in_progress" }')
    outcome = house.app.redelivery.test(NAME, by="王芳")
    assert outcome.code.value == "client_error"
    assert "status_map：没有 “处理中”" in outcome.answer
    house.app.close()
