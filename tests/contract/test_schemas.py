"""The schemas of events: what is published stays, what is emitted holds to them, and the documents that carry them are true."""

from __future__ import annotations

import copy
import io
import json
from pathlib import Path
from typing import Any

import migrated
import pytest
from event_schemas_check import breaks, judge
from factories import MORNING, FakeClock, mail, submission
from fakes import FakeChampion, FakeSender
from jsonschema import Draft202012Validator

from gateway import bootstrap, config, event_schemas
from gateway.announcing import test_payload as payload_of_a_test
from gateway.bootstrap import App
from gateway.oplog import OperatorLog
from gateway.store import complaints, events
from models.delivery import EventType
from models.submission import Channel
from models.verdict import ComplaintClass

PUBLISHED = Path(__file__).parents[1] / "schemas_published" / "v1"
NAMES = sorted(path.stem for path in PUBLISHED.glob("*.json"))
NOW = event_schemas.made()


def published(name: str) -> dict[str, Any]:
    return json.loads((PUBLISHED / f"{name}.json").read_text("utf-8"))


def test_the_files_are_what_make_docs_writes() -> None:
    served = {name: body.decode() for name, body in event_schemas.served().items()}
    assert served == event_schemas.files(), "run: make docs"


def test_every_event_type_has_a_schema_and_every_schema_is_one() -> None:
    assert {event_schemas.name_of(kind.value) for kind in EventType} < set(NOW)
    for schema in NOW.values():
        Draft202012Validator.check_schema(schema)
        assert all("description" in value for value in schema["properties"]["data"]["properties"].values())


def test_nothing_that_was_published_is_gone() -> None:
    assert set(NAMES) <= set(NOW)
    assert len(NAMES) == 11


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_never_breaks_an_old_consumer(name: str) -> None:
    assert list(breaks(NOW[name], published(name))) == []


def _changed(path: str, change: Any) -> dict[str, Any]:
    schema = copy.deepcopy(NOW["complaint.routed.v1"])
    place = schema["properties"]["data"]
    for key in filter(None, path.split(".")):
        place = place["items"] if key == "[]" else place["properties"][key]
    change(place)
    return schema


@pytest.mark.parametrize(
    "harm",
    [
        _changed("", lambda data: data["required"].remove("priority")),
        _changed("", lambda data: data["required"].append("new")),
        _changed("", lambda data: data["properties"].pop("title")),
        _changed("confidence", lambda value: value.update(type=["number", "null"])),
        _changed("round", lambda value: value.update(type="number")),
        _changed("priority", lambda value: value["enum"].append("whenever")),
        _changed("class", lambda value: value["enum"].pop()),
        _changed("title", lambda value: value.pop("maxLength")),
        _changed("reasons.[].term", lambda value: value.update(type="integer")),
        _changed("steps", lambda value: value.update(oneOf=[])),
    ],
)  # fmt: skip
def test_what_would_break_a_consumer_is_found(harm: dict[str, Any]) -> None:
    assert len(list(breaks(harm, NOW["complaint.routed.v1"]))) >= 1


def test_a_new_key_breaks_nobody() -> None:
    more = _changed("", lambda data: data["properties"].update(mood={"type": "string"}))
    assert list(breaks(more, NOW["complaint.routed.v1"])) == []


@pytest.mark.parametrize("path", sorted(PUBLISHED.glob("examples/*.json")), ids=lambda path: path.stem)
def test_events_of_old_are_still_valid(path: Path) -> None:
    event = judge(path.read_text("utf-8"))
    assert event["type"] == path.stem


@pytest.fixture
def app(tmp_path: Path):
    settings = config.load({"JIESU_HOME": str(tmp_path), "JIESU_TRACKER_TYPES": "*"})
    made = bootstrap.build(
        migrated.prepare(settings), clock=FakeClock(), log=OperatorLog(stream=io.StringIO()), sender=FakeSender(), champion=FakeChampion()
    )
    yield made
    made.close()


def whole_life(app: App) -> list[str]:
    """The payload of an event of every type, each made by the function that makes it in earnest."""
    talk = {"channel": Channel.CHAT, "conversation": "talk"}
    number = app.accept(submission(json.dumps({"id": "c1", "text": "价格问题"}).encode(), key="talk:c1", **talk)).number
    app.accept(submission(mail("危险的产品质量问题", "我叫林树，墙裂了，危险" * 3)))
    app.clock.move(seconds=9)
    app.worker.drain()
    for n, line in enumerate(("还在吗", "其实是危险")):
        raw = json.dumps({"id": f"d{n}", "text": line}).encode()
        app.accept(submission(raw, key=f"talk:d{n}", at=app.clock.now(), **talk))
        app.clock.move(seconds=9)
        app.worker.drain()
    with app.store.read() as conn:
        complaint = complaints.load(conn, [number])[number]
        messages = complaints.conversation(conn, [number])[number]
        told = [event.payload for n in (number, "TS-20261123-0002") for event in events.of_number(conn, n)]
    from gateway import rules, triage

    verdict = triage.by_person(app.champion.classifier().classify([triage.query(complaint, messages)])[0], ComplaintClass.CONTRACT)
    assignment = rules.assign(rules.Facts(verdict, said_nothing=False, machine=False), app.plan, complaint.received_at)
    triaged = app.announcer.triaged(complaint, messages, complaint.customer, verdict, assignment)
    made = [
        app.announcer.reopened(triaged, MORNING, by="customer", opinion="没有解决" * 3000),
        app.announcer.rated(complaint, MORNING, rating=2, satisfied=False, comment="太慢"),
        app.announcer.closed(complaint, MORNING, outcome="resolved", by="tracker"),
        app.announcer.erased(complaint, MORNING, reason="person_asked"),
    ]
    return told + [event.payload for event in made] + [payload_of_a_test("bi", MORNING)]


def test_every_event_that_is_emitted_holds_to_its_schema_and_to_the_published_one(app: App) -> None:
    payloads = whole_life(app)
    seen = set()
    for payload in payloads:
        event = judge(payload)
        seen.add(event["type"])
        Draft202012Validator(published(event_schemas.name_of(event["type"]))).validate(event)
        assert len(payload.encode()) < 20_000
    assert seen == {*(kind.value for kind in EventType), event_schemas.TEST}
    # What the sender was given is what was kept, in order for each complaint.
    sent = [json.loads(one.body) for one in app.endpoints.served["tracker"].sender.accepted]
    kinds = [event["type"].removeprefix("complaint.") for event in sent if event["data"]["number"].endswith("0001")]
    assert kinds == ["received", "classified", "routed", "classified", "updated", "classified", "rerouted"]


def test_asyncapi_and_openapi_carry_every_schema() -> None:
    document = event_schemas.asyncapi()
    carried = {name: message["payload"]["schema"] for name, message in document["components"]["messages"].items()}
    assert carried == NOW
    assert {kind.value for kind in EventType} < set(event_schemas.webhooks())
    sent = set(NOW) - {"complaint.status.v1"}
    assert {name: set(channel["messages"]) for name, channel in document["channels"].items()} == {
        "endpoint": sent,
        "broker": sent,
        # What comes in.
        "status": {"complaint.status.v1"},
    }
    does = {one["channel"]["$ref"].rpartition("/")[2]: one["action"] for one in document["operations"].values()}
    assert does == {"endpoint": "send", "broker": "send", "status": "receive"}
    assert document["channels"]["broker"]["bindings"]["amqp"]["exchange"]["name"] == "jiesu.events"
