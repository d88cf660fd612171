"""What can go wrong between an adapter and its tracker: no second ticket, no second note, nothing lost, and a clear sentence each time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes import eventually
from scripted_tracker import KEY, Scripted
from tracker_house import JPEG, NAME, TicketHouse

from gateway.worker import Worker
from models.delivery import OutcomeCode
from models.endpoint import Circuit


@pytest.fixture
def tracker() -> Iterator[Scripted]:
    with Scripted("redmine") as server:
        yield server


@pytest.fixture
def house(tracker: Scripted, tmp_path: Path) -> Iterator[TicketHouse]:
    made = TicketHouse(tmp_path / "home", lines(tracker), KEY)
    yield made
    made.app.close()


def lines(tracker: Scripted, **more: str) -> str:
    values = {"kind": '"redmine"', "url": f'"{tracker.url}"', "project": '"tousu"', "priority_map": '{ urgent = "紧急" }', **more}
    return "\n".join(f"{name} = {value}" for name, value in values.items())


def again(house: TicketHouse) -> None:
    """The next try, whenever it is due."""
    house.clock.move(seconds=400)
    house.app.worker.drain()


def said(house: TicketHouse, number: str) -> str:
    from gateway.store import events

    with house.app.store.read() as conn:
        return events.attempts_of(conn, number)[-1].answer


def asked(tracker: Scripted, method: str, path: str) -> int:
    return sum(one["method"] == method and one["path"] == path for one in tracker.seen)


def test_an_answer_that_is_lost_after_the_creation_makes_no_second_ticket(house: TicketHouse, tracker: Scripted) -> None:
    tracker.then("POST /issues.json", after=True, drop=True)
    number = house.complain()
    assert len(tracker.tickets) == 1
    again(house)
    assert len(tracker.tickets) == 1
    assert house.ticket(number).remote_id == next(iter(tracker.tickets))
    assert house.ticket(number).unread
    # Its history is read from the beginning, for nobody knew of it when the mark went by.
    assert house.look()
    assert not house.ticket(number).unread


def test_an_answer_that_is_lost_after_a_note_makes_no_second_note(house: TicketHouse, tracker: Scripted) -> None:
    number = house.chat("价格问题", "a")
    tracker.then("PUT /issues/", after=True, drop=True)
    house.chat("快点", "a")
    again(house)
    (ticket,) = tracker.tickets.values()
    assert [journal["notes"].count("快点") for journal in ticket["journals"]] == [1]
    assert house.app.redelivery.states()[0].waiting.waiting == 0, number


@pytest.mark.parametrize(
    ("how", "code", "words"),
    [
        ({"status": 422, "json": {"errors": ["主题 过长", "优先级 无效"]}}, "client_error", "主题 过长；优先级 无效"),
        ({"status": 401}, "client_error", "API 密钥不对"),
        ({"status": 403}, "client_error", "没有权限"),
        ({"status": 404}, "client_error", "没有这个地址"),
        ({"status": 410}, "client_error", ""),
        ({"status": 500, "text": "<html>Internal error with a page</html>"}, "server_error", ""),
        ({"status": 503}, "throttled", ""),
        ({"status": 200, "text": "<html>Please log in</html>"}, "unreachable", "答复的是网页"),
        ({"status": 200, "json": {"nothing": "known"}}, "client_error", "答复无法理解"),
        ({"status": 200, "json": [1]}, "client_error", "答复无法理解"),
        (
            {"status": 302, "headers": {"location": "https://elsewhere.example/login?back=x"}},
            "redirected",
            "https://elsewhere.example/login，",
        ),
    ],
)
@pytest.mark.parametrize("on", ["GET /issues.json", "POST /issues.json"])
def test_every_fault_is_told_and_tried_again(
    house: TicketHouse, tracker: Scripted, how: dict[str, Any], code: str, words: str, on: str
) -> None:
    tracker.then(on, **how)
    number = house.complain()
    tried = house.log("DeliveryAttempt")[-1]
    assert tried["code"] == code
    assert words in said(house, number)
    assert KEY not in house.stream.getvalue() + said(house, number)
    again(house)
    assert house.ticket(number).remote_id
    assert len(tracker.tickets) == 1


def test_a_wrong_key_opens_the_circuit_and_a_refused_ticket_does_not(house: TicketHouse, tracker: Scripted) -> None:
    tracker.then("POST /issues.json", status=422, json={"errors": ["x"]}, times=6)
    for _ in range(6):
        house.complain()
    assert house.app.redelivery.states()[0].circuit is Circuit.CLOSED
    tracker.then("GET /issues.json", status=401, times=6)
    for _ in range(6):
        house.complain()
    assert house.app.redelivery.states()[0].circuit is Circuit.OPEN
    for _ in range(12):
        again(house)
    assert len(tracker.tickets) == 12
    assert house.app.redelivery.states()[0].circuit is Circuit.CLOSED


def test_a_tracker_that_asks_for_time_is_given_it(house: TicketHouse, tracker: Scripted) -> None:
    tracker.then("POST /issues.json", status=429, headers={"retry-after": "120"})
    number = house.complain()
    house.clock.move(seconds=60)
    house.app.worker.drain()
    assert asked(tracker, "POST", "/issues.json") == 1
    house.clock.move(seconds=70)
    house.app.worker.drain()
    assert house.ticket(number).remote_id


def test_one_that_hangs_is_given_up_in_time_and_found_afterwards(tracker: Scripted, tmp_path: Path) -> None:
    house = TicketHouse(tmp_path / "home", lines(tracker).replace("timeout_seconds = 60", ""), KEY)
    object.__setattr__(house.sender.endpoint, "timeout_seconds", 1.0)
    tracker.then("POST /issues.json", after=True, hang=3)
    number = house.complain()
    assert house.log("DeliveryAttempt")[-1]["code"] == "timeout"
    again(house)
    assert house.ticket(number).remote_id
    assert len(tracker.tickets) == 1
    house.app.close()


def test_nobody_listening_is_away_and_an_address_that_is_not_allowed_is_not_asked(tracker: Scripted, tmp_path: Path) -> None:
    house = TicketHouse(tmp_path / "home", lines(tracker, url='"http://127.0.0.1:9"'), KEY)
    house.complain()
    assert house.log("DeliveryAttempt")[-1]["code"] == "away"
    house.app.close()
    other = TicketHouse(tmp_path / "other", lines(tracker), KEY)
    text = (tmp_path / "other/jiesu.toml").read_text("utf-8")
    (tmp_path / "other/jiesu.toml").write_text(text.replace('allow_private_hosts = ["127.0.0.1"]\n', ""), "utf-8")
    other.app.close()
    from gateway import config

    other.settings = config.load({"JIESU_HOME": str(tmp_path / "other"), "JIESU_TRACKER_URL": ""})
    other.build()
    other.complain()
    assert other.log("DeliveryAttempt")[-1]["code"] == "forbidden_address"
    assert tracker.seen == []
    other.app.close()


def test_a_file_that_is_refused_is_named_and_one_that_fails_is_tried_three_times(house: TicketHouse, tracker: Scripted) -> None:
    tracker.then("POST /uploads.json", status=422, json={"errors": ["文件太大"]})
    first = house.complain(files={"a.jpg": JPEG, "b.jpg": JPEG + b"b"})
    ticket = tracker.tickets[house.ticket(first).remote_id]
    assert [one["filename"] for one in ticket["files"]] == ["b.jpg"]
    assert any("未能上传 a.jpg" in journal["notes"] and "文件太大" in journal["notes"] for journal in ticket["journals"])
    tracker.then("POST /uploads.json", status=500, times=3)
    second = house.complain(files={"c.jpg": JPEG})
    # The ticket is there at once; the file is tried again.
    assert house.ticket(second).remote_id in tracker.tickets
    assert list(house.files(second).values()) == ["waiting"]
    for _ in range(2):
        again(house)
    assert list(house.files(second).values()) == ["refused"]
    ticket = tracker.tickets[house.ticket(second).remote_id]
    assert ["未能上传 c.jpg" in journal["notes"] for journal in ticket["journals"]] == [True]
    assert len(tracker.tickets) == 2
    assert house.app.redelivery.states()[0].waiting.waiting == 0


def test_a_ticket_that_somebody_deleted_is_made_anew_when_more_comes(house: TicketHouse, tracker: Scripted) -> None:
    number = house.chat("价格问题", "gone")
    before = house.ticket(number).remote_id
    tracker.then(f"GET /issues/{before}.json", status=404)
    tracker.then("GET /issues.json", json={"issues": []})
    house.chat("还有", "gone")
    assert house.ticket(number).remote_id != before
    assert len(tracker.tickets) == 2


def test_its_files_go_to_the_new_one_and_nothing_is_made_while_the_old_one_is_there(house: TicketHouse, tracker: Scripted) -> None:
    number = house.complain(files={"a.jpg": JPEG})
    before = house.ticket(number).remote_id
    payload = house.payload(number, "routed") | {"type": "complaint.updated"}
    payload["data"] |= {"new_message": "还有"}
    tracker.then(f"GET /issues/{before}.json", status=404)
    assert house.send(payload, "evt_1_tickets").status == 404
    assert len(tracker.tickets) == 1
    tracker.then(f"GET /issues/{before}.json", status=404)
    tracker.then("GET /issues.json", json={"issues": []})
    assert house.send(payload, "evt_1_tickets").code is OutcomeCode.ACCEPTED
    assert [len(ticket["files"]) for ticket in tracker.tickets.values()] == [1, 1]


def test_the_order_of_a_complaint_holds_while_others_go_on(house: TicketHouse, tracker: Scripted) -> None:
    tracker.then("POST /issues.json", status=500)
    first = house.chat("价格问题", "one")
    house.chat("补充一", "one")
    second = house.complain()
    assert house.ticket(second).remote_id
    for _ in range(3):
        again(house)
    ticket = tracker.tickets[house.ticket(first).remote_id]
    assert len(ticket["journals"]) == 1
    assert "补充一" in ticket["journals"][0]["notes"]


# ---- Reading back


def staff(tracker: Scripted, id_: str, **change: Any) -> None:
    tracker.ask("PUT", f"/issues/{id_}.json", {"issue": change}, **{"X-Redmine-API-Key": KEY})


def test_asking_that_fails_is_told_and_nothing_is_lost(house: TicketHouse, tracker: Scripted) -> None:
    number = house.complain()
    id_ = house.ticket(number).remote_id
    assert house.look()
    staff(tracker, id_, status_id=2)
    tracker.then("GET /issues.json", status=401, times=3)
    for _ in range(3):
        assert not house.look()
    health = house.app.polls.health()[NAME]
    assert (health.failures, health.code) == (3, "client_error")
    assert "API 密钥不对" in health.zh
    assert house.app.polls.failing() == [NAME]
    assert [line["failures"] for line in house.log("PollFailing")] == [3]
    assert b'jiesu_tracker_poll_failures{endpoint="tickets"} 3.0' in house.app.metrics.text()
    assert house.look()
    assert house.log("PollBack")
    assert house.app.polls.failing() == []
    assert house.state(number) == "in_progress"
    # A listing that is answered and a ticket that is not: everything of that look comes again.
    staff(tracker, id_, status_id=3)
    tracker.then(f"GET /issues/{id_}.json", status=503)
    assert not house.look()
    assert house.look()
    assert house.state(number) == "resolved"
    # An answer that makes no sense is a failure, not a fault of the thread.
    tracker.then("GET /issues.json", json={"issues": [{"id": None}]})
    assert not house.look()
    assert house.app.polls.health()[NAME].code == "not_understood"


def test_a_deleted_ticket_does_not_keep_the_others_from_being_read(house: TicketHouse, tracker: Scripted) -> None:
    first, second = house.complain(), house.complain()
    for number in (first, second):
        staff(tracker, house.ticket(number).remote_id, status_id=2)
    tracker.then(f"GET /issues/{house.ticket(first).remote_id}.json", status=404)
    assert house.look()
    assert (house.state(first), house.state(second)) == ("routed", "in_progress")


def test_what_the_customer_may_not_hear_stays_inside(tracker: Scripted, tmp_path: Path) -> None:
    house = TicketHouse(tmp_path / "home", lines(tracker, tells_customer="false"), KEY)
    number = house.complain()
    staff(tracker, house.ticket(number).remote_id, notes="这个客户又来了", status_id=2)
    assert house.look()
    (status,) = house.statuses(number)
    assert (status.report.customer_text, status.report.internal_text) == ("", "这个客户又来了")
    house.app.close()


def test_what_a_reply_quotes_does_not_go_to_the_customer(house: TicketHouse, tracker: Scripted) -> None:
    number = house.complain()
    id_ = house.ticket(number).remote_id
    staff(tracker, id_, notes="> 风险：法律纠纷\n> > 内部\n\n周三上门", status_id=2)
    staff(tracker, id_, notes="> 风险：法律纠纷")
    assert house.look()
    assert [one.report.customer_text for one in house.statuses(number)] == ["周三上门"]


def test_words_in_a_state_that_means_nothing_to_us_are_not_lost(house: TicketHouse, tracker: Scripted) -> None:
    number = house.complain()
    staff(tracker, house.ticket(number).remote_id, notes="已经看到，" + "长" * 3000)
    assert house.look()
    (status,) = house.statuses(number)
    assert status.report.status.value == "accepted"
    assert len(status.report.customer_text) == 2000
    assert house.state(number) == "accepted"


def test_two_nodes_do_not_ask_at_once_and_would_not_matter(house: TicketHouse, tracker: Scripted) -> None:
    number = house.complain()
    staff(tracker, house.ticket(number).remote_id, status_id=2)
    polls = house.app.polls
    assert house.look()
    mine, polls._node = polls._node, "another"
    before = len(tracker.seen)
    assert house.look()
    assert len(tracker.seen) == before
    # The other one is dead: its lease ends, and the same reports count once.
    house.clock.at = house.clock.at + timedelta(minutes=4)
    assert polls.look(NAME)
    assert len(tracker.seen) > before
    assert len(house.statuses(number)) == 1
    polls._node = mine


def test_it_asks_by_itself_while_it_serves(tracker: Scripted, tmp_path: Path) -> None:
    house = TicketHouse(tmp_path / "home", lines(tracker, poll_seconds="0.2"), KEY)
    number = house.complain()
    staff(tracker, house.ticket(number).remote_id, status_id=3)
    house.app.polls.start()
    eventually(lambda: house.state(number) == "resolved")
    house.app.polls.stop()
    assert isinstance(house.app.worker, Worker)
    house.app.close()


def test_tickets_and_their_addresses_are_told(house: TicketHouse, tracker: Scripted) -> None:
    number = house.complain()
    ticket = house.ticket(number)
    whole = house.app.records.whole(number)
    assert whole is not None
    assert whole["tickets"] == [{"endpoint": NAME, "id": ticket.remote_id, "url": f"{tracker.url}/issues/{ticket.remote_id}"}]
    assert [one.remote_id for one in house.app.desk.story(number).tickets] == [ticket.remote_id]
    assert json.dumps(whole, default=str).count(KEY) == 0
    assert house.app.endpoints.test(NAME).code is OutcomeCode.ACCEPTED
    assert KEY not in repr(house.app.endpoints.served[NAME].endpoint)


def test_one_that_is_switched_off_is_not_asked(house: TicketHouse, tracker: Scripted) -> None:
    number = house.complain()
    house.app.redelivery.disable(NAME, by="王静")
    before = len(tracker.seen)
    assert house.look()
    assert len(tracker.seen) == before
    house.app.redelivery.enable(NAME, by="王静")
    staff(tracker, house.ticket(number).remote_id, status_id=2)
    assert house.look()
    assert house.state(number) == "in_progress"


def test_many_changes_are_read_page_by_page(house: TicketHouse, tracker: Scripted) -> None:
    numbers = [house.complain(work=False) for _ in range(120)]
    house.app.worker.drain()
    for number in numbers:
        staff(tracker, house.ticket(number).remote_id, status_id=2)
    assert house.look()
    assert {house.state(number) for number in numbers} == {"in_progress"}


def test_who_moved_away_is_told_and_who_was_never_there_is_not(tracker: Scripted, tmp_path: Path) -> None:
    house = TicketHouse(tmp_path / "home", lines(tracker, classes='["price"]'), KEY)
    number = house.complain()
    payload = house.payload(number, "routed")
    payload["type"] = "complaint.rerouted"
    payload["data"] |= {"class": "contract", "class_name": "合同问题", "new_message": ""}
    assert house.send(payload, "evt_9_tickets").code is OutcomeCode.ACCEPTED
    (ticket,) = tracker.tickets.values()
    assert "不再归本处处理" in ticket["journals"][-1]["notes"]
    payload["data"] |= {"number": "TS-20200101-0001", "idempotency_key": "x:TS-20200101-0001"}
    assert house.send(payload, "evt_10_tickets").code is OutcomeCode.ACCEPTED
    assert len(tracker.tickets) == 1
    house.app.close()
