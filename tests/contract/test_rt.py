"""The adapter of Request Tracker against a small server that acts as the real one was seen to; `make test-trackers` asks the real one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from scripted_tracker import KEY, Scripted
from tracker_house import JPEG, NAME, TicketHouse, later

from gateway.trackers.base import Change
from gateway.trackers.rt import _joined, _plain, _quoted, _together
from models.delivery import OutcomeCode

NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)


@pytest.fixture
def tracker() -> Iterator[Scripted]:
    with Scripted("rt") as server:
        yield server


def made(tracker: Scripted, home: Path, **more: str) -> TicketHouse:
    values = {"kind": '"rt"', "url": f'"{tracker.url}"', "queue": '"tousu"', **more}
    return TicketHouse(home, "\n".join(f"{name} = {value}" for name, value in values.items()), KEY)


@pytest.fixture(params=[False, True], ids=["by number", "by field"])
def house(request: pytest.FixtureRequest, tracker: Scripted, tmp_path: Path) -> Iterator[TicketHouse]:
    more = {"key_field": '"jiesu"'} if request.param else {}
    built = made(tracker, tmp_path / "home", priority_map="{ urgent = 90, normal = 50 }", reopened_status='"open"', **more)
    yield built
    built.app.close()


def staff(tracker: Scripted, path: str, **told: Any) -> None:
    tracker.ask("POST", f"/REST/2.0{path}", told, Authorization="token staff")


def test_lost_answers_make_nothing_twice(house: TicketHouse, tracker: Scripted) -> None:
    tracker.then("POST .*/ticket$", after=True, drop=True)
    number = house.chat("价格问题", "a")
    tracker.then("POST .*/comment$", after=True, drop=True)
    house.clock.move(seconds=400)
    house.app.worker.drain()
    house.chat("快点", "a")
    house.clock.move(seconds=400)
    house.app.worker.drain()
    (ticket,) = tracker.tickets.values()
    assert house.ticket(number).remote_id == ticket["id"]
    assert ticket["told"]["Priority"] == 50
    assert "Requestor" not in ticket["told"]
    assert [one["Type"] for one in ticket["transactions"]] == ["Create", "Comment"]


def test_files_with_chinese_names_are_taken(house: TicketHouse, tracker: Scripted) -> None:
    number = house.complain(files={"漏水.jpg": JPEG, "b.jpg": JPEG + b"b"})
    (ticket,) = tracker.tickets.values()
    (_, comment) = ticket["transactions"]
    assert [one["FileName"].isascii() for one in comment["told"]["Attachments"]] == [True, True]
    assert sorted(house.files(number).values()) == ["taken", "taken"]
    tracker.then("POST .*/comment$", status=413, json={"message": "too large"}, times=2)
    second = house.complain(files={"c.jpg": JPEG, "d.jpg": JPEG + b"d"})
    # Refused together, then each alone.
    assert sorted(house.files(second).values()) == ["refused", "taken"]


def test_an_answer_and_its_status_are_one_report(house: TicketHouse, tracker: Scripted) -> None:
    number = house.complain()
    id_ = house.ticket(number).remote_id
    staff(tracker, f"/ticket/{id_}/correspond", Content="<p>周三<b>上门</b></p>", ContentType="text/html", Status="resolved")
    staff(tracker, f"/ticket/{id_}/comment", Content="内部", ContentType="text/plain")
    # The last words may still get a status: they wait for the next look.
    assert house.look()
    assert [one.report.status.value for one in house.statuses(number)] == ["resolved"]
    later(house)
    assert house.look()
    found = [(one.report.status.value, one.report.customer_text, one.report.internal_text, one.report.by) for one in house.statuses(number)]
    assert found == [("resolved", "周三上门", "", "王测试"), ("resolved", "", "内部", "王测试")]


def test_what_could_not_be_changed_is_said(tracker: Scripted, tmp_path: Path) -> None:
    house = made(tracker, tmp_path / "home", reopened_status='"nonsense"')
    number = house.complain()
    payload = house.payload(number, "routed") | {"type": "complaint.reopened"}
    payload["data"] |= {"reopened_by": "staff"}
    outcome = house.send(payload, "evt_1_tickets")
    assert outcome.code is OutcomeCode.ACCEPTED
    assert "工单未能更改：Status 'nonsense' isn't a valid status" in outcome.answer
    house.app.close()


@pytest.mark.parametrize(
    ("more", "words"), [({"queue": '"nobody"'}, "队列不存在"), ({"key_field": '"nothing"'}, "已有 jiesu"), ({"url": None}, "")]
)
def test_wrong_settings_are_found_by_the_test_and_make_no_ticket(
    tracker: Scripted, tmp_path: Path, more: dict[str, str | None], words: str
) -> None:
    house = made(tracker, tmp_path / "home", **{name: value for name, value in more.items() if value})
    outcome = house.app.endpoints.test(NAME)
    assert (outcome.code is OutcomeCode.ACCEPTED) is not bool(words)
    assert words in outcome.answer
    if "key_field" in more:
        # A field that is not there would be passed over without a word, and nothing would find the ticket again.
        house.complain()
        assert tracker.tickets == {}
    house.app.close()


def change(at: float, id_: int, by: str = "王", **more: Any) -> Change:
    return Change(f"transaction:{id_}", NOW + timedelta(seconds=at), by, sequence=id_, **more)


def test_what_belongs_together() -> None:
    words, status = change(0, 1, text="好"), change(1, 2, status="resolved")
    assert [(one.id, one.status) for one in _joined([words, status], NOW + timedelta(hours=1))] == [("transaction:1", "resolved")]
    apart = [words, change(9, 2, status="resolved")]
    assert len(_joined(apart, NOW + timedelta(hours=1))) == 2
    # Somebody else's, at the same moment.
    assert len(_joined([words, change(1, 2, "李", status="resolved")], NOW + timedelta(hours=1))) == 2
    assert _joined([words], NOW + timedelta(seconds=5)) == []
    assert _joined([words], NOW + timedelta(seconds=15)) == [words]


def test_pieces() -> None:
    assert _quoted("a'b\\c{d}") == "a\\'b\\\\c\\{d\\}"
    assert _plain("<div>a<br>b &lt;c&gt;</div><p>d</p>") == "a\nb <c>\nd"
    assert _together([]) == []
    assert json.dumps(_plain("<script>")) == '""'
