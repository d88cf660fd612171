"""What the console shows of trackers: the ticket of a complaint, and how asking does."""

from __future__ import annotations

from pathlib import Path

import pytest
from console_house import complain, person
from fakes import eventually
from running import RunningGateway
from scripted_tracker import KEY, Scripted

from models.staff import Role


@pytest.fixture
def tracker():
    with Scripted("redmine") as server:
        yield server


@pytest.fixture
def gateway(tmp_path: Path, tracker: Scripted):
    (tmp_path / "jiesu.toml").write_text(
        f'[[endpoint]]\nname = "redmine"\nkind = "redmine"\nurl = "{tracker.url}"\nproject = "tousu"\napi_key = "{KEY}"\n'
        'allow_private_hosts = ["127.0.0.1"]\npoll_seconds = 0.2\n'
    )
    made = RunningGateway(tmp_path)
    # The real senders.
    made.sender = None
    with made as running:
        yield running


def test_people_see_the_ticket_and_how_asking_does(gateway: RunningGateway, tracker: Scripted) -> None:
    number = complain(gateway, "价格问题")
    lead = person(gateway, "王静", Role.LEAD)
    eventually(lambda: "redmine 工单" in lead.get(f"/console/complaints/{number}").text)
    page = lead.get(f"/console/complaints/{number}").text
    (id_,) = tracker.tickets
    assert f'<a href="{tracker.url}/issues/{id_}" rel="noopener noreferrer" target="_blank">' in page
    eventually(lambda: "查询成功" in lead.get("/console/endpoints").text)
    csrf = {"csrf": lead.csrf("/console/endpoints")}
    assert lead.post("/console/endpoints/redmine/test", csrf).status == 303
    assert "jiesu → 投诉" in lead.get("/console/endpoints").text
    tracker.then("GET /", status=401, times=10**6)
    eventually(lambda: "接收方需要处理：redmine" in lead.get("/console").text)
    page = lead.get("/console/endpoints").text
    assert "API 密钥不对" in page
    assert "连续" in page
    english = lead.get("/console/endpoints?lang=en").text
    assert "the API key is wrong" in english
    assert KEY not in page + english
    lead.post("/console/endpoints/redmine/test", csrf)
    assert "API key is wrong" in lead.get("/console/endpoints").text
