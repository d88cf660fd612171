"""Adapters against the real Redmine 5 and Request Tracker 5, and the mapping against the real Redmine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from answering_house import MAIL
from tracker_house import JPEG, RedmineDesk, RtDesk, TicketHouse, later

from gateway.store import complaints
from models.complaint import ComplaintState
from models.delivery import OutcomeCode

pytestmark = pytest.mark.timeout(240)
_REDMINE = {"priority_map": '{ urgent = "紧急", high = 3 }', "reopened_status": '"进行中"'}
_RT = {"priority_map": "{ urgent = 90, high = 60 }", "reopened_status": '"open"'}


@dataclass
class Scene:
    """A gateway before a tracker."""

    house: TicketHouse
    desk: Any
    kind: str

    def complain(self, *arguments: Any, **more: Any) -> tuple[str, str]:
        """A complaint: its number, and the ticket's id."""
        number = self.house.complain(*arguments, **more)
        return number, self.house.ticket(number).remote_id


KINDS = ("redmine", "redmine by mapping", "rt")
# Those that search by a field of their own, where searching matters.
_SEARCHING = pytest.mark.parametrize("scene", (*KINDS, "redmine by field", "rt by field"), indirect=True)


@pytest.fixture(params=KINDS)
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    kind = request.param
    desk: Any
    if kind.startswith("rt"):
        desk = RtDesk(request.getfixturevalue("request_tracker"))
        endpoint = desk.endpoint(**_RT, **({"key_field": '"jiesu"'} if kind == "rt by field" else {}))
    else:
        desk = RedmineDesk(request.getfixturevalue("redmine"))
        endpoint = desk.endpoint(**_REDMINE, **({"key_field": str(desk.rig.told["field"])} if kind == "redmine by field" else {}))
        if kind == "redmine by mapping":
            values = {"kind": '"mapped"', "url": f'"{desk.rig.url}"', "mapping": '"redmine"', "values": '{ project = "tousu" }'}
            endpoint = "\n".join(f"{name} = {value}" for name, value in (values | {"priority_map": "{ urgent = 4, high = 3 }"}).items())
    house = TicketHouse(tmp_path / "home", endpoint, desk.rig.told["bot"], **MAIL)
    yield Scene(house, desk, kind)
    house.app.close()


def test_a_complaint_becomes_one_ticket_with_everything_in_it(scene: Scene) -> None:
    number, id_ = scene.complain("价格问题\n\n**粗** !http://x.example/a.png! </pre> <b>x</b> {{include(x)}}")
    desk, house = scene.desk, scene.house
    assert desk.subject(id_).startswith(f"[{number}] 价格问题")
    text = desk.text(id_)
    for words in (number, "价格", "林树", "lin@mail.example", "最迟答复：", f"/console/complaints/{number}", "处理步骤："):
        assert words in text
    if not scene.kind.startswith("rt"):
        # Nothing that the customer wrote leaves the block that is shown as it is.
        assert text.count("</pre>") == 1
    assert house.ticket(number).url.endswith(f"/issues/{id_}" if not scene.kind.startswith("rt") else f"Display.html?id={id_}")
    assert desk.count(number) == 1


@_SEARCHING
def test_a_lost_answer_makes_no_second_ticket_and_no_second_note(scene: Scene) -> None:
    house, desk = scene.house, scene.desk
    number = house.chat("价格问题", "lost")
    id_ = house.ticket(number).remote_id
    house.forget(number)
    assert house.send(house.payload(number, "routed"), f"again-{number}").code is OutcomeCode.ACCEPTED
    assert house.ticket(number).remote_id == id_
    house.chat("快点 'quoted' \\ \"x\"", "lost")
    assert len(desk.notes(id_)) == 1
    assert "快点 'quoted' \\ \"x\"" in desk.notes(id_)[0]
    house.forget(number)
    payload = house.payload(number, "updated")
    for _ in range(2):
        assert house.send(payload, f"{payload['data']['event_id']}_tickets").code is OutcomeCode.ACCEPTED
    assert len(desk.notes(id_)) == 1
    assert desk.count(number) == 1


@_SEARCHING
def test_another_installation_with_the_same_number_has_a_ticket_of_its_own(scene: Scene) -> None:
    house, desk = scene.house, scene.desk
    number, id_ = scene.complain()
    payload = house.payload(number, "routed")
    payload["data"]["idempotency_key"] = f"elsewhere:{number}"
    house.forget(number)
    assert house.send(payload, f"other-{number}").code is OutcomeCode.ACCEPTED
    assert house.ticket(number).remote_id != id_
    assert desk.count(number) == 2


def test_files_go_along_and_one_that_is_refused_does_not_block_the_ticket(scene: Scene) -> None:
    house, desk = scene.house, scene.desk
    files = {"漏水 照片.jpg": JPEG, "plain.txt": "字".encode(), "huge.bin": b"\0" * 5_300_000}
    number, id_ = scene.complain(files=files)
    if scene.kind == "redmine by mapping":
        # It has no files: the note says so.
        assert desk.files(id_) == {}
        assert "未能上传 plain.txt" in desk.notes(id_)[-1]
        return
    assert desk.files(id_) == {"漏水 照片.jpg": len(JPEG), "plain.txt": 3}
    assert any("未能上传 huge.bin" in note and "5,242,880" in note for note in desk.notes(id_))
    assert sorted(house.files(number).values()) == ["refused", "taken", "taken"]
    notes = len(desk.notes(id_))
    # After a crash before anything was written down.
    from sqlalchemy import delete

    from models.tables import tracker_files

    with house.app.store.write() as conn:
        conn.execute(delete(tracker_files))
    house.send(house.payload(number, "routed"), f"again-{number}")
    assert desk.files(id_) == {"漏水 照片.jpg": len(JPEG), "plain.txt": 3}
    assert len(desk.notes(id_)) == notes
    assert sorted(house.files(number).values()) == ["taken"] * 3


def test_what_staff_says_comes_back_in_its_order_and_reaches_the_customer(scene: Scene) -> None:
    house, desk = scene.house, scene.desk
    number = house.chat("价格问题", "staff")
    id_ = house.ticket(number).remote_id
    desk.set(id_, desk.working, "工程师周三上门，请留人")
    desk.set(id_, "", "内部：已派单给王工", public=False)
    house.chat("快点", "staff")
    desk.set(id_, desk.resolved)
    later(house)
    assert house.look()
    found = house.statuses(number)
    told = [(one.report.status.value, one.report.customer_text, one.report.internal_text) for one in found]
    assert ("resolved", "", "") in told
    assert [words for _, words, _ in told if words] == ["工程师周三上门，请留人"]
    assert [words for _, _, words in told if words] == ["内部：已派单给王工"]
    assert house.state(number) == "resolved"
    if scene.kind != "redmine by mapping":
        # A mapping sees the state in which a ticket is found, and not those between two looks.
        assert [status for status, _, _ in told] == ["in_progress", "in_progress", "resolved"]
        assert house.told(number)
    assert {one.report.by for one in found if one.report.by} <= {"王 测试", "王测试"}
    # Nothing comes twice, and nothing of ours comes back.
    later(house)
    assert house.look()
    assert house.statuses(number) == found


def test_a_further_round_is_told_and_reports_belong_to_theirs(scene: Scene) -> None:
    house, desk = scene.house, scene.desk
    number, id_ = scene.complain()
    desk.set(id_, desk.working)
    desk.set(id_, desk.resolved)
    later(house)
    assert house.look()
    assert house.state(number) == "resolved"
    with house.app.store.write() as conn:
        complaint = complaints.load(conn, [number], hold=True)[number]
        complaints.move(conn, complaint, ComplaintState.ROUTED)
        from sqlalchemy import update

        from models.tables import complaints as table

        conn.execute(update(table).where(table.c.number == number).values(round=2))
    payload = house.payload(number, "routed")
    payload["type"] = "complaint.reopened"
    payload["data"] |= {"round": 2, "reopened_by": "customer", "opinion": "还是漏水", "priority": "urgent"}
    for _ in range(2):
        assert house.send(payload, f"evt_reopened{number}_tickets").code is OutcomeCode.ACCEPTED
    assert sum("还是漏水" in note for note in desk.notes(id_)) == 1
    if scene.kind != "redmine by mapping":
        assert desk.status(id_) == desk.working
        assert desk.priority(id_) in ("紧急", "90")
    else:
        desk.set(id_, desk.working)
        later(house)
        assert house.look()
    before = len(house.statuses(number))
    desk.set(id_, desk.rejected)
    later(house)
    assert house.look()
    found = house.statuses(number)[before:]
    assert [(one.report.status.value, one.round) for one in found] == [("rejected", 2)]
    assert house.state(number) == "rejected"


def test_what_else_happens_becomes_notes(scene: Scene) -> None:
    house, desk = scene.house, scene.desk
    number, id_ = scene.complain()
    data = house.payload(number, "routed")["data"]
    head = {key: data[key] for key in ("number", "idempotency_key", "round", "links")}
    for kind, more, words in (
        ("closed", {"outcome": "resolved", "closed_by": "plan"}, "已办结"),
        ("customer_rated", {"rating": 2, "satisfied": False, "comment": "太慢"}, "太慢"),
        ("rerouted", {**data, "department": {"code": "x", "name": "工程部"}, "new_message": "补充"}, "工程部"),
        ("erased", {"reason": "person_asked"}, "请一并删除"),
    ):
        outcome = house.send({"type": f"complaint.{kind}", "data": head | more}, f"{kind}{number}_tickets")
        assert outcome.code is OutcomeCode.ACCEPTED, outcome
        assert words in desk.notes(id_)[-1]
    assert len(desk.notes(id_)) == 4
    # Where there is no ticket, nothing is made of those that carry none.
    nobody = head | {"number": "TS-20200101-0001", "idempotency_key": "x:TS-20200101-0001", "outcome": "resolved", "closed_by": "plan"}
    assert house.send({"type": "complaint.closed", "data": nobody}, "closed-nobody").code is OutcomeCode.ACCEPTED
    assert desk.count("TS-20200101-0001") == 0


@_SEARCHING
def test_the_test_button_says_whether_it_can_be_used(scene: Scene) -> None:
    outcome = scene.house.app.endpoints.test("tickets")
    assert outcome.code is OutcomeCode.ACCEPTED, outcome
