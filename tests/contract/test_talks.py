"""Talks on both databases: what the machine asks is kept, what the customer answers reaches his complaint, and staff may speak."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import migrated
import pytest
from factories import FakeClock
from fakes import FakeChampion, FakeSender
from sqlalchemy import select

from connectors.base import Entry, TalkNow, Visitor
from connectors.chat_lines import MEDIA_TYPE, conversation_of
from gateway import bootstrap, config
from gateway.bootstrap import App
from gateway.dialogue_words import CONSENT_VERSION
from gateway.oplog import OperatorLog
from gateway.store import answers, complaints, corrections, desk, talks
from models.answer import Answer, AnswerKind, AnswerState, Way
from models.errors import Refused
from models.submission import Channel, Submission
from models.tables import corrections as corrections_table
from models.tables import examples, jobs, messages, statements

TALK = "a" * 64


@pytest.fixture
def app(store_url: str, tmp_path: Path) -> Iterator[App]:
    settings = config.load({"JIESU_HOME": str(tmp_path / "home"), "JIESU_STORE_URL": store_url})
    made = bootstrap.build(migrated.prepare(settings), clock=FakeClock(), log=OperatorLog(), sender=FakeSender(), champion=FakeChampion())
    yield made
    made.close()


class Customer:
    """One visitor, as the chat's door would hand in what he writes."""

    def __init__(self, app: App, talk: str = TALK, **identity: str) -> None:
        self.app, self.talk, self.n = app, talk, 0
        self.visitor = Visitor("zh", identity or None)
        self.now = TalkNow()

    def write(self, text: str, *, topic: str | None = None, answer: bool = True) -> str:
        self.n += 1
        key = f"c{self.n}"
        envelope: dict[str, Any] = {"door": "chat"} | ({"asked": self.now.asked} if self.now.asked else {})
        if self.visitor.identity:
            envelope["user"] = self.visitor.identity["id"]
            envelope["customer"] = {name: value for name, value in self.visitor.identity.items() if name != "id"}
        return self._hand_in(json.dumps({"id": key, "text": text}).encode(), MEDIA_TYPE, key, envelope, topic, answer)

    def send(self, name: str, raw: bytes) -> str:
        self.n += 1
        return self._hand_in(raw, "image/png", f"c{self.n}", {"door": "chat", "filename": name}, None, True)

    def _hand_in(self, raw: bytes, kind: str, key: str, envelope: dict[str, Any], topic: str | None, answer: bool) -> str:
        conversation = conversation_of(self.talk, self.now.topic if topic is None else topic)
        # The clock stands still, and what is said must come after what it answers.
        self.app.clock.move(seconds=1)
        at = self.app.clock.now()
        receipt = self.app.accept(Submission(Channel.CHAT, raw, kind, f"{self.talk}:{key}", at, conversation, envelope))
        if answer:
            self.now = self.app.talks.advance([conversation])[self.talk]
        return receipt.number

    def sorted(self) -> TalkNow:
        """He pauses, and is told."""
        self.app.worker.drain()
        self.app.clock.move(seconds=90)
        self.app.worker.drain()
        self.now = self.app.talks.refresh({self.talk: 1 << 50})[self.talk]
        return self.now

    def again(self) -> TalkNow:
        """He comes back."""
        found = self.app.talks.open(self.talk, self.visitor)
        assert found is not None
        self.now = found
        return found


def told(entries: list[Entry] | Any) -> list[str]:
    return [f"{entry.kind}: {entry.zh[:5]}" for entry in entries]


def complaint(app: App, number: str) -> complaints.ComplaintRow:
    with app.store.read() as conn:
        return complaints.load(conn, [number])[number]


def answer(app: App, number: str, body: str, **more: Any) -> int:
    with app.store.write() as conn:
        made = answers.add(
            app.store,
            conn,
            Answer(0, number, AnswerKind.STATUS, f"status:{body}", Way.CHAT, None, "zh", "", body, "jiesu", app.clock.now(), **more),
            app.clock.now(),
        )
    assert made
    return made


def test_what_is_answered_reaches_the_complaint_and_comes_back_when_the_talk_is_resumed(app: App) -> None:
    customer = Customer(app)
    number = customer.write("产品质量，卫生间漏水三个月")
    assert customer.now.asked == "consent"
    for said, asked in [("同意", "name"), ("周小山", "contact"), ("13800001111", "estate"), ("湖畔新苑", "unit"), ("3栋1201", "")]:
        assert customer.write(said) == number
        assert customer.now.asked == asked
    customer.sorted()
    who = complaint(app, number).customer
    assert (who.name, who.phone, who.estate, who.unit) == ("周小山", "13800001111", "湖畔新苑", "3栋1201")
    (standing,) = customer.now.standings
    assert (standing.number, standing.klass, standing.step, standing.topic) == (number, "product_quality", 1, "")
    before = customer.again()
    assert told(before.entries)[:4] == ["line: 产品质量，", "say: 已收到，编", "say: 为办理这件", "line: 同意"]
    assert told(before.entries)[-2:] == ["say: 已转交项目", "say: 这件投诉归"]
    # Nothing is said twice, however often he comes back.
    assert told(customer.again().entries) == told(before.entries)
    with app.store.read() as conn:
        row = talks.load(conn, [TALK])[TALK]
        said = list(conn.execute(select(messages.c.said, messages.c.text).order_by(messages.c.id)))
    assert row.consent_version == CONSENT_VERSION
    assert row.consent_at is not None
    # What only steers the dialogue is kept and not sorted by.
    assert (said[1].said, said[1].text) == ("", "同意")


def test_who_does_not_consent_is_asked_nothing_and_no_consent_is_kept(app: App) -> None:
    customer = Customer(app)
    customer.write("产品质量，漏水三个月")
    customer.write("不同意")
    assert customer.now.asked == ""
    with app.store.read() as conn:
        assert talks.load(conn, [TALK])[TALK].consent_at is None


def test_what_the_customer_says_of_the_class_lets_a_person_look_and_teaches_nothing(app: App) -> None:
    customer = Customer(app)
    number = customer.write("产品质量，从上周起不给说好的折扣")
    customer.write("不同意")
    customer.sorted()
    assert customer.now.asked == "class"
    with app.store.read() as conn:
        assert not desk.waits(conn, number)
    customer.write("不对，是价格问题")
    with app.store.read() as conn:
        assert desk.waits(conn, number)
        assert [(one[1], one[2]) for one in talks.stated(conn, [number])[number]] == [("product_quality", "price")]
    # It waits still when he goes on, and is of the class that it was.
    customer.write("你们看看合同附件")
    customer.sorted()
    with app.store.read() as conn:
        assert desk.waits(conn, number)
        assert not conn.execute(select(corrections_table)).all()
        assert not conn.execute(select(examples)).all()
        assert corrections.settled(conn, [number]) == {}
    assert complaint(app, number).klass == "product_quality"


def test_two_complaints_of_one_talk_have_their_own_numbers_and_both_are_told(app: App) -> None:
    customer = Customer(app)
    first = customer.write("产品质量，漏水三个月")
    customer.write("不同意")
    customer.write("另一件事")
    assert (customer.now.asked, customer.now.topic) == ("matter", "2")
    second = customer.write("服务态度太差，昨天骂人")
    assert second != first
    assert {one.number: one.topic for one in customer.sorted().standings} == {first: "", second: "2"}
    assert {one.number for one in customer.again().standings} == {first, second}
    with app.store.read() as conn:
        texts = [row.text for row in conn.execute(select(messages).where(messages.c.number == second))]
    assert texts == ["服务态度太差，昨天骂人"]


def test_a_line_that_was_taken_in_before_a_crash_is_answered_when_the_talk_is_opened(app: App) -> None:
    customer = Customer(app)
    customer.write("产品质量，漏水三个月", answer=False)
    assert told(customer.again().entries) == ["line: 产品质量，", "say: 已收到，编", "say: 为办理这件"]


def test_a_talk_of_which_only_the_lines_are_kept_is_opened_all_the_same(app: App) -> None:
    app.accept(Submission(Channel.CHAT, b'{"id":"x","text":"a"}', MEDIA_TYPE, f"{TALK}:x", app.clock.now(), TALK, {}))
    now = app.talks.open(TALK, Visitor())
    assert now is not None
    assert now.asked == "consent"
    assert app.talks.open("b" * 64, Visitor()) == TalkNow()


def test_a_file_is_kept_whole_with_its_name_and_is_told(app: App) -> None:
    customer = Customer(app)
    number = customer.send("漏水.png", b"\x89PNG\r\n\x1a\n" + bytes(1000))
    assert (customer.now.asked, told(customer.now.entries)) == ("matter", ["say: 文件“漏水", "say: 请写下这件"])
    customer.sorted()
    assert app.talks.files(TALK) == {"c1"}
    with app.store.read() as conn:
        (row,) = conn.execute(select(messages).where(messages.c.number == number))
    (file,) = app.attachments.of_number(number)
    assert row.parsed["attachments"] == [{"id": file.id, "filename": "漏水.png", "size": 1008, "mime_type": "image/png"}]
    opened = app.attachments.open(number, file.id)
    assert opened is not None
    assert opened.content == b"\x89PNG\r\n\x1a\n" + bytes(1000)
    assert told(customer.again().entries)[0] == "file: 漏水.pn"


def test_staff_has_the_talk_and_the_machine_is_silent_until_it_is_handed_back(app: App) -> None:
    customer = Customer(app)
    number = customer.write("产品质量，漏水三个月")
    customer.sorted()
    cursor, _ = app.talks.changed(None)
    app.talks.write(number, "周敏", " 您好，我来处理 ", "k1")
    app.talks.write(number, "周敏", "您好，我来处理", "k1")
    _, names = app.talks.changed(cursor)
    assert {TALK, number} <= set(names)
    now = app.talks.refresh({TALK: 0})[TALK]
    assert now.agent == "周敏"
    assert [entry.zh for entry in now.entries if entry.kind == "answer"] == ["您好，我来处理"]
    customer.write("好的，我叫周小山")
    assert customer.now.entries == []
    with app.store.read() as conn:
        (kept,) = answers.of_number(conn, number)
    assert (kept.state, kept.kind, kept.by, kept.way) == (AnswerState.WAITING, AnswerKind.STAFF, "周敏", Way.CHAT)
    app.talks.shown(TALK, kept.id)
    with app.store.read() as conn:
        assert answers.of_number(conn, number)[0].state is AnswerState.SENT
    pane = app.talks.pane(number)
    assert pane is not None
    assert (pane.now.entries[-1].kind, pane.now.entries[-1].zh) == ("line", "好的，我叫周小山")
    app.talks.take(number, "")
    assert app.talks.open(TALK, customer.visitor).agent == ""  # type: ignore[union-attr]
    # Who is silent for too long gives it back, too.
    app.talks.take(number, "周敏")
    app.clock.move(minutes=29)
    app.talks.look_after([])
    assert app.talks.pane(number).now.agent == "周敏"  # type: ignore[union-attr]
    app.clock.move(minutes=2)
    app.talks.look_after([])
    assert app.talks.pane(number).now.agent == ""  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["", "  ", "长" * 4001])
def test_what_staff_cannot_say(app: App, text: str) -> None:
    number = Customer(app).write("产品质量")
    with pytest.raises(Refused):
        app.talks.write(number, "周敏", text, "k")
    with pytest.raises(Refused):
        app.talks.take("TS-20261123-9999", "周敏")


def test_an_answer_goes_by_mail_once_where_the_customer_is_away_and_left_an_address(app: App) -> None:
    customer = Customer(app)
    number = customer.write("产品质量，漏水三个月")
    for said in ("同意", "周小山", "zhou@mail.example"):
        customer.write(said)
    other = Customer(app, "b" * 64)
    silent = other.write("产品质量，漏水三个月，不留联系方式")
    customer.sorted()
    one, two = answer(app, number, "师傅明天到"), answer(app, silent, "师傅后天到")
    app.clock.move(minutes=9)
    app.talks.look_after([TALK])
    app.clock.move(minutes=9)
    app.talks.look_after([])
    with app.store.read() as conn:
        assert [each.way for each in answers.of_numbers(conn, [number, silent])] == [Way.CHAT, Way.CHAT]
    app.clock.move(minutes=2)
    app.talks.look_after([])
    app.talks.look_after([])
    with app.store.read() as conn:
        first, mailed = answers.of_number(conn, number)
        (waiting,) = answers.of_number(conn, silent)
        (job,) = conn.execute(select(jobs).where(jobs.c.kind == "answer")).all()
    assert (first.id, first.state) == (one, AnswerState.SUPPRESSED)
    assert (mailed.way, mailed.to, mailed.body, mailed.state) == (Way.EMAIL, "zhou@mail.example", "师傅明天到", AnswerState.WAITING)
    assert job.payload == {"answer_id": mailed.id}
    # Nobody can be written to who left no address: it waits in the chat.
    assert (waiting.id, waiting.state) == (two, AnswerState.WAITING)
    # And what went by mail is in the chat, too.
    assert "师傅明天到" in [entry.zh for entry in customer.again().entries]


def test_a_talk_of_a_known_user_opens_for_nobody_else(app: App) -> None:
    customer = Customer(app, id="u1", name="林树", phone="13800001111")
    number = customer.write("产品质量，漏水三个月")
    customer.write("同意")
    # What the site says of him is not asked.
    assert customer.now.asked == "estate"
    customer.sorted()
    assert complaint(app, number).customer.phone == "13800001111"
    assert app.talks.open(TALK, Visitor("zh", {"id": "u2"})) is None
    assert app.talks.open(TALK, Visitor()) is None
    assert app.talks.open(TALK, Visitor("en", {"id": "u1"})) is not None


def test_what_nobody_hears_of_is_not_looked_for(app: App) -> None:
    customer = Customer(app)
    number = customer.write("产品质量，漏水三个月")
    cursor, names = app.talks.changed(None)
    assert not names
    # What the door was told at once it need not look for.
    customer.write("同意")
    cursor, names = app.talks.changed(cursor)
    assert not names
    assert app.talks.changed(cursor) == (cursor, set())
    customer.sorted()
    cursor, names = app.talks.changed(cursor)
    assert number in names
    with app.store.read() as conn:
        assert conn.execute(select(statements)).all() == []
