"""Corrections on both databases: kept, obeyed at once, told in order, and evidence afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import migrated
import pytest
from factories import FakeClock, mail, submission
from fakes import FakeChampion, FakeSender
from sqlalchemy import select

from classifiers.promise import Basis
from gateway import bootstrap, config
from gateway.bootstrap import App
from gateway.oplog import OperatorLog
from gateway.store import complaints, corrections
from models.complaint import ComplaintState
from models.correction import Source
from models.endpoint import USUAL_TYPES
from models.errors import Refused
from models.submission import Channel
from models.tables import assignments, events, trained_models, verdicts
from models.verdict import ComplaintClass, Decision

PRICE, CONTRACT, OTHER = ComplaintClass.PRICE, ComplaintClass.CONTRACT, ComplaintClass.OTHER


@pytest.fixture
def app(store_url: str, tmp_path: Path) -> Iterator[App]:
    settings = config.load({"JIESU_HOME": str(tmp_path / "home"), "JIESU_STORE_URL": store_url})
    made = bootstrap.build(migrated.prepare(settings), clock=FakeClock(), log=OperatorLog(), sender=FakeSender(), champion=FakeChampion())
    yield made
    made.close()


def taken_in(app: App, body: str, *, subject: str = "投诉", conversation: str | None = None) -> str:
    number = app.accept(submission(mail(subject, body), conversation=conversation)).number
    # A conversation is sorted when the customer has paused.
    app.worker.drain()
    app.clock.move(seconds=90)
    app.worker.drain()
    return number


def payloads(app: App, number: str) -> list[dict]:
    """What trackers are told, oldest first."""
    told = select(events).where(events.c.number == number, events.c.type.in_(USUAL_TYPES)).order_by(events.c.seq)
    with app.store.read() as conn:
        return [json.loads(row.payload) for row in conn.execute(told)]


def correct(app: App, number: str, klass: ComplaintClass, **more: str):
    return app.correcting.correct(number, klass, by=more.get("by", "王静"), source=Source.API, note=more.get("note", ""))


def test_a_correction_reroutes_at_once_and_supersedes_the_earlier_event(app: App) -> None:
    number = taken_in(app, "这是合同问题，请处理")
    done = correct(app, number, PRICE, note="是收费标准")
    first, second = payloads(app, number)
    assert (first["type"], second["type"]) == ("complaint.routed", "complaint.rerouted")
    assert second["data"]["supersedes"] == first["data"]["event_id"]
    assert (second["data"]["class"], second["data"]["decision"]) == ("price", "person")
    assert second["data"]["department"]["code"] == "sales" == done.department
    assert second["data"]["rule"] == "by_person"
    with app.store.read() as conn:
        row = complaints.load(conn, [number])[number]
        assert (row.klass, row.department, row.state) == (PRICE, "sales", ComplaintState.ROUTED)
        kept = corrections.of(conn, number)
        assert [(one.by, one.was, one.should_be, one.note, one.trained_model) for one in kept] == [
            ("王静", CONTRACT, PRICE, "是收费标准", "fake-1")
        ]
        assert len(conn.execute(select(assignments).where(assignments.c.number == number)).all()) == 2
    assert app.worker.drain() == 1
    assert len(app.endpoints.served["tracker"].sender.accepted) == 2


def test_confirming_what_everybody_was_told_tells_nobody_again(app: App) -> None:
    number = taken_in(app, "这是合同问题，请处理")
    done = correct(app, number, CONTRACT)
    assert done.event is None
    assert done.correction.confirms
    assert len(payloads(app, number)) == 1


def test_confirming_a_doubtful_one_sends_it_to_its_department(app: App) -> None:
    number = taken_in(app, "你好，想问一下")
    assert number in {one["number"] for one in app.records.waiting(10)["complaints"]}
    done = correct(app, number, PRICE)
    assert done.event is not None
    assert payloads(app, number)[-1]["data"]["department"]["code"] == "sales"
    assert app.records.waiting(10) == {"waiting": 0, "complaints": []}


def test_what_staff_said_stays_when_the_customer_writes_again(app: App) -> None:
    number = taken_in(app, "这是合同问题，请处理", conversation="c-1")
    correct(app, number, PRICE)
    assert taken_in(app, "还是那个合同问题，请尽快", conversation="c-1") == number
    with app.store.read() as conn:
        assert complaints.load(conn, [number])[number].klass is PRICE
        last = conn.execute(select(verdicts).where(verdicts.c.number == number).order_by(verdicts.c.id.desc())).first()
        assert last is not None
        assert (last.klass, last.decision) == ("price", Decision.PERSON)
        # What the model said is kept beside it.
        assert last.body["said"] == "contract"
    kinds = [payload["type"] for payload in payloads(app, number)]
    assert kinds == ["complaint.routed", "complaint.rerouted", "complaint.updated"]


def test_two_people_who_disagree_are_both_kept_and_the_last_one_counts(app: App) -> None:
    number = taken_in(app, "这是合同问题，请处理")
    correct(app, number, PRICE, by="甲")
    correct(app, number, OTHER, by="乙")
    with app.store.read() as conn:
        assert [(one.by, one.should_be) for one in corrections.of(conn, number)] == [("甲", PRICE), ("乙", OTHER)]
        assert corrections.settled(conn, [number]) == {number: OTHER}
    assert [one["by"] for one in app.records.whole(number)["corrections"]] == ["甲", "乙"]
    supersedes = [payload["data"].get("supersedes") for payload in payloads(app, number)]
    ids = [payload["data"]["event_id"] for payload in payloads(app, number)]
    assert supersedes == [None, *ids[:-1]]


@pytest.mark.parametrize(
    ("number", "by", "note", "code"),
    [
        ("TS-20261123-9999", "甲", "", "no_such_complaint"),
        (None, " ", "", "bad_by"),
        (None, "甲" * 81, "", "bad_by"),
        (None, "甲", "长" * 2001, "bad_note"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_written(app: App, number: str | None, by: str, note: str, code: str) -> None:
    known = taken_in(app, "这是合同问题，请处理")
    with pytest.raises(Refused) as refused:
        correct(app, number or known, PRICE, by=by, note=note)
    assert refused.value.code == code
    with app.store.read() as conn:
        assert corrections.newest_id(conn) == 0
    assert len(payloads(app, known)) == 1


def test_a_complaint_that_is_not_sorted_yet_cannot_be_corrected(app: App) -> None:
    number = app.accept(submission(mail("投诉", "这是合同问题"))).number
    with pytest.raises(Refused):
        correct(app, number, PRICE)


def test_a_triage_that_was_overtaken_by_a_correction_is_done_again(app: App) -> None:
    number = taken_in(app, "这是合同问题，请处理", conversation="c-1")
    app.accept(submission(mail("投诉", "合同问题，补充"), conversation="c-1"))
    real = app.champion.fake.classify

    def meanwhile(queries):
        # Between the look at the complaint and the writing of the verdict somebody decides.
        app.champion.fake.classify = real
        correct(app, number, PRICE)
        return real(queries)

    app.champion.fake.classify = meanwhile
    app.worker.drain()
    app.clock.move(seconds=90)
    app.worker.drain()
    # Tried again after a moment.
    app.clock.move(seconds=90)
    app.worker.drain()
    with app.store.read() as conn:
        assert complaints.load(conn, [number])[number].klass is PRICE
    assert payloads(app, number)[-1]["data"]["class"] == "price"


def test_a_triage_that_was_overtaken_by_a_confirmation_is_done_again_too(app: App) -> None:
    number = taken_in(app, "这是合同问题，请处理", conversation="c-1")
    app.accept(submission(mail("投诉", "这是价格问题"), conversation="c-1"))
    real = app.champion.fake.classify

    def meanwhile(queries):
        app.champion.fake.classify = real
        assert correct(app, number, CONTRACT).event is None
        return [replace(verdict, primary=PRICE) for verdict in real(queries)]

    app.champion.fake.classify = meanwhile
    for _ in range(3):
        app.worker.drain()
        app.clock.move(seconds=90)
    app.worker.drain()
    with app.store.read() as conn:
        assert complaints.load(conn, [number])[number].klass is CONTRACT
    assert {payload["data"]["class"] for payload in payloads(app, number)} == {"contract"}


def test_reviews_become_evidence_and_widen_what_is_routed_alone(app: App) -> None:
    app.champion.fake.caution = (0.95, (0.1,) * len(ComplaintClass))
    first = taken_in(app, "这是合同问题")
    with app.store.read() as conn:
        assert complaints.latest_verdict(conn, first)["decision"] == "review"
    for _ in range(60):
        correct(app, taken_in(app, "这是合同问题"), CONTRACT)
    app.clock.move(minutes=1)
    later = taken_in(app, "这是合同问题")
    with app.store.read() as conn:
        assert complaints.latest_verdict(conn, later)["decision"] == "auto"
    report = app.caution.report(app.champion.classifier(), app.clock.now())
    # The first ones were all reviewed; later ones were routed alone, and only those of the sample count.
    assert 45 <= report.policy.reviewed < 60
    assert report.policy.thresholds["email", CONTRACT].basis is Basis.CHANNEL


def test_some_of_those_routed_alone_are_put_to_review_all_the_same(app: App) -> None:
    numbers = [taken_in(app, "这是合同问题，请处理") for _ in range(60)]
    queue = {one["number"] for one in app.records.waiting(200)["complaints"]}
    assert 3 <= len(queue) <= 30
    picked = min(queue)
    correct(app, picked, PRICE)
    unpicked = next(number for number in numbers if number not in queue)
    correct(app, unpicked, PRICE)
    with app.store.read() as conn:
        found = corrections.evidence(conn, "fake-1", 100)
    # What somebody happened upon says nothing of how often the model is wrong.
    assert [(one.number, one.alone, one.weight) for one in found] == [(picked, True, 5.0)]
    kept = app.caution.report(app.champion.classifier(), app.clock.now()).kept
    assert (kept["email", CONTRACT].audited, kept["email", CONTRACT].wrong) == (1, 1)


def test_the_queue_is_in_order_danger_first_then_the_least_sure(app: App) -> None:
    calm = taken_in(app, "你好，想问一下")
    danger = taken_in(app, "你好，这里很危险")
    queue = [one["number"] for one in app.records.waiting(10)["complaints"]]
    assert queue == [danger, calm]


def test_phone_and_chat_evidence_is_kept_by_channel(app: App) -> None:
    raw = json.dumps({"id": "l1", "text": "合同问题"}, ensure_ascii=False).encode()
    number = app.accept(submission(raw, channel=Channel.CHAT, conversation="chat-1")).number
    app.clock.move(minutes=5)
    app.worker.drain()
    done = correct(app, number, PRICE)
    assert done.correction.channel == "chat"


def test_the_chat_no_longer_says_that_the_class_is_being_confirmed(app: App) -> None:
    raw = json.dumps({"id": "l1", "text": "你好，想问一下"}, ensure_ascii=False).encode()
    number = app.accept(submission(raw, channel=Channel.CHAT, conversation="chat-9")).number
    app.clock.move(minutes=5)
    app.worker.drain()
    assert app.records.standings([number])[number].review
    correct(app, number, PRICE)
    standing = app.records.standings([number])[number]
    assert (standing.klass, standing.review) == ("price", False)


def test_the_last_word_counts_as_evidence_and_what_has_nothing_to_go_by_does_not(app: App) -> None:
    number = taken_in(app, "你好，想问一下", conversation="c-1")
    correct(app, number, PRICE)
    with app.store.read() as conn:
        assert [one.should_be for one in corrections.evidence(conn, "fake-1", 10)] == [PRICE]
    taken_in(app, "补充一句", conversation="c-1")
    # Settled when the model spoke again: whoever corrects now happened upon it.
    correct(app, number, OTHER)
    with app.store.read() as conn:
        assert corrections.evidence(conn, "fake-1", 10) == []


def test_a_question_beside_the_gateway_crowns_nobody(app: App, store_url: str, tmp_path: Path) -> None:
    settings = config.load({"JIESU_HOME": str(tmp_path / "home"), "JIESU_STORE_URL": store_url})
    asking = bootstrap.build(settings, log=OperatorLog(), serving=False)
    try:
        asking.caution.report(asking.champion.classifier(), asking.clock.now())
        with asking.store.read() as conn:
            assert conn.execute(select(trained_models.c.version)).all() == []
    finally:
        asking.close()
