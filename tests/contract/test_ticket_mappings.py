"""The mappings for Zammad and Jira against a small server that acts by their documentation; neither was run against the real thing."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from scripted_tracker import KEY, Scripted
from tracker_house import JPEG, TicketHouse, later

from models.delivery import OutcomeCode

_VALUES = {
    "zammad": '{ group = "投诉", customer = "tousu@company.example" }',
    "jira": '{ project = "TS", issue_type = "任务" }',
}
NASTY = 'a"}, "x": "{number} \\ \u2028 {noformat} {{api_key}} \' OR 1=1 --'


@dataclass
class Scene:
    """A gateway before one of them."""

    kind: str
    house: TicketHouse
    tracker: Scripted

    def ticket(self, number: str) -> dict[str, Any]:
        return dict(self.tracker.tickets[self.house.ticket(number).remote_id])

    def texts(self, number: str) -> list[str]:
        """The words of a ticket: what it was made with, then what was added."""
        ticket = self.ticket(number)
        if self.kind == "zammad":
            return [one["body"] for one in ticket["articles"]]
        return [ticket["fields"]["description"], *(one["body"] for one in ticket["fields"]["comment"]["comments"])]

    def staff(self, number: str, status: str, words: str = "", *, public: bool = True) -> None:
        """What staff does. Nothing but the server's own state is touched."""
        id_ = self.house.ticket(number).remote_id
        if self.kind == "zammad":
            headers = {"Authorization": f"Token token={KEY}", "X-Who": "wang"}
            if words:
                told = {"ticket_id": int(id_), "body": words, "internal": not public, "type": "note"}
                self.tracker.ask("POST", "/api/v1/ticket_articles", told, **headers)
            self.tracker.ask("PUT", f"/api/v1/tickets/{id_}", {"state": status}, **headers)
            return
        headers = {"Authorization": f"Bearer {KEY}"}
        if words:
            self.tracker.ask("POST", f"/rest/api/2/issue/{id_}/comment", {"body": words}, **headers)
        self.tracker.ask("POST", "/state", {"id": id_, "status": status})


@pytest.fixture(params=["zammad", "jira"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    kind = request.param
    with Scripted(kind) as tracker:
        values = {"kind": '"mapped"', "url": f'"{tracker.url}/"', "mapping": f'"{kind}"', "values": _VALUES[kind]}
        lines = "\n".join(f"{name} = {value}" for name, value in values.items())
        house = TicketHouse(tmp_path / "home", lines + '\npriority_map = { urgent = "3 high" }', KEY)
        yield Scene(kind, house, tracker)
        house.app.close()


def test_one_ticket_each_event_once_and_files(scene: Scene) -> None:
    house = scene.house
    assert house.app.endpoints.test("tickets").code is OutcomeCode.ACCEPTED
    scene.tracker.then("POST /.*(tickets|issue)$", after=True, drop=True)
    number = house.complain(files={"a_b 图.jpg": JPEG})
    house.clock.move(seconds=400)
    house.app.worker.drain()
    assert len(scene.tracker.tickets) == 1
    assert number in scene.texts(number)[0]
    assert house.ticket(number).url.startswith(scene.tracker.url + ("/#ticket/zoom/" if scene.kind == "zammad" else "/browse/TS-"))
    assert list(house.files(number).values()) == ["taken"]
    if scene.kind == "jira":
        (name,) = scene.ticket(number)["files"]
        assert name == "a_b 图.jpg"
    else:
        (file,) = [one for article in scene.ticket(number)["articles"] for one in article.get("attachments", ())]
        assert file["filename"] == "a_b 图.jpg"
        assert base64.b64decode(file["data"]) == JPEG
    other = house.complain()
    assert house.ticket(other).remote_id != house.ticket(number).remote_id


def test_what_a_customer_writes_stays_a_text(scene: Scene) -> None:
    house = scene.house
    number = house.chat(f"价格问题 {NASTY}", "nasty")
    for _ in range(2):
        payload = house.payload(number, "routed")
        payload["type"] = "complaint.updated"
        payload["data"] |= {"new_message": NASTY}
        assert house.send(payload, "evt_1_tickets").code is OutcomeCode.ACCEPTED
    texts = scene.texts(number)
    assert len(texts) == 2
    shown = NASTY.replace("{noformat", "{\u200bnoformat") if scene.kind == "jira" else NASTY
    assert shown in texts[1]
    assert texts[1].count("{noformat}") == (2 if scene.kind == "jira" else 1)
    assert KEY not in "".join(texts)


def test_statuses_and_words_come_back(scene: Scene) -> None:
    house = scene.house
    number = house.complain()
    working, done = ("open", "closed") if scene.kind == "zammad" else ("In Progress", "Done")
    scene.staff(number, working, "周三上门")
    scene.staff(number, working, "内部的话", public=False)
    later(house)
    assert house.look()
    assert house.state(number) == "in_progress"
    found = [(one.report.customer_text, one.report.internal_text) for one in house.statuses(number)]
    # Jira cannot tell public from internal: then all words are for staff.
    assert ("周三上门", "") in found if scene.kind == "zammad" else ("", "周三上门") in found
    assert ("", "内部的话") in found
    before = len(found)
    assert house.look()
    assert len(house.statuses(number)) == before
    house.send(house.payload(number, "routed") | {"type": "complaint.closed"}, "evt_2_tickets")
    scene.staff(number, done)
    later(house)
    assert house.look()
    assert house.state(number) == "resolved"
    assert len(house.statuses(number)) == before + 1


def test_its_own_words_about_what_is_wrong_are_kept(scene: Scene) -> None:
    house = scene.house
    jira, zammad = {"errorMessages": [], "errors": {"labels": "too long"}}, {"error": "Group unknown", "error_human": "组不存在"}
    told = jira if scene.kind == "jira" else zammad
    scene.tracker.then("POST /.*(tickets|issue)$", status=422, json=told)
    number = house.complain()
    from gateway.store import events

    with house.app.store.read() as conn:
        (tried,) = events.attempts_of(conn, number)
    assert "labels: too long" in tried.answer if scene.kind == "jira" else "组不存在" in tried.answer
