"""A customer who is not content with the end of his complaint begins its next round, through the doors by which he writes (预案 4.4)."""

from __future__ import annotations

import itertools
import json
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from answering_house import MAIL, AnsweringHouse, message
from chat_client import Chat
from factories import submission
from fakes import eventually
from handoff_house import House
from running import RunningGateway
from standardwebhooks.webhooks import Webhook

from gateway import event_schemas, plan
from gateway.home import webhook_secret
from gateway.reopening import asks_for_nothing
from gateway.store import complaints
from gateway.store.complaints import ComplaintRow
from models.complaint import ComplaintState
from models.correction import Source
from models.status import Effect, StatusCode, StatusReport
from models.submission import Channel, Submission
from models.verdict import ComplaintClass

_ids = itertools.count(1)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def house(request: pytest.FixtureRequest, tmp_path: Path):
    url = {} if request.param == "sqlite" else {"JIESU_STORE_URL": request.getfixturevalue("postgres_url")}
    made = House(tmp_path / "home", **url, **MAIL)
    yield made
    made.app.close()


def line(house: House, text: str, talk: str = "talk") -> str:
    """A line of a chat, sorted."""
    raw = json.dumps({"id": f"c{next(_ids)}", "text": text}).encode()
    number = house.app.accept(submission(raw, channel=Channel.CHAT, conversation=talk, at=house.clock.now())).number
    house.clock.move(seconds=9)
    house.app.worker.drain()
    return number


def said(house: Any, number: str, status: str, **more: Any) -> Effect | None:
    one = StatusReport("tracker", f"m{next(_ids)}", number, StatusCode(status), house.clock.now(), **more)
    return house.app.statuses.take(one).effect


def row(house: Any, number: str) -> ComplaintRow:
    with house.app.store.read() as conn:
        return complaints.load(conn, [number])[number]


@pytest.mark.parametrize("end", ["resolved", "rejected"])
def test_who_writes_again_after_the_end_begins_the_next_round(house: House, end: str) -> None:
    number = line(house, "产品质量：墙裂了")
    first = house.told()[-1]["data"]
    house.clock.move(days=9)
    assert said(house, number, end) is Effect.MOVED
    house.clock.move(days=1)
    line(house, "产品质量：又裂了，根本没修好")
    assert house.types("tracker") == ["routed", "reopened"]
    event = house.told()[-1]
    jsonschema.validate(event, event_schemas.made()["complaint.reopened.v1"])
    data = event["data"]
    assert (data["round"], data["reopened_by"], data["opinion"]) == (2, "customer", "产品质量：又裂了，根本没修好")
    assert (data["supersedes"], data["idempotency_key"]) == (first["event_id"], first["idempotency_key"])
    stands = row(house, number)
    assert (stands.state, stands.round, stands.last_event) == (ComplaintState.ROUTED, 2, data["event_id"])
    # The time for an answer runs from his objection, and goes on doing so whatever is decided or added.
    assert data["reply_due"] > first["reply_due"]
    house.app.correcting.correct(number, ComplaintClass.CONTRACT, by="王芳", source=Source.API)
    line(house, "合同问题：快点")
    later = [one["data"] for one in house.told()[-2:]]
    assert all(one["reply_due"] > data["received_at"] and one["round"] == 2 for one in later)
    assert min(one["reply_due"] for one in later) > first["resolve_due"]
    assert house.types("tracker")[2:] == ["rerouted", "updated"]
    # The next round goes its own way, and what is said of the first is late.
    assert said(house, number, "in_progress", round=1) is Effect.LATE
    assert said(house, number, "in_progress") is Effect.MOVED
    assert said(house, number, "resolved", round=2) is Effect.MOVED
    line(house, "还是漏水")
    assert (row(house, number).round, house.types("tracker")[-1]) == (3, "reopened")


def test_a_complaint_that_the_plan_closed_is_reopened(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    shipped = (Path(plan.__file__).parent / "plan.toml").read_text("utf-8")
    (tmp_path / "home" / "plan.toml").write_text(shipped + '\n[closing]\nat_once = ["resolved"]\n', "utf-8")
    house = House(tmp_path / "home", JIESU_TRACKER_TYPES="*")
    number = line(house, "价格问题")
    said(house, number, "resolved")
    assert row(house, number).state is ComplaintState.CLOSED
    line(house, "价格问题没解决")
    assert (row(house, number).state, row(house, number).round) == (ComplaintState.ROUTED, 2)
    assert house.types("tracker")[-3:] == ["closed", "classified", "reopened"]
    house.app.close()


@pytest.mark.parametrize("counts", [False, True])
def test_what_was_said_before_the_end_of_the_former_round_ends_no_later_one(house: House, counts: bool) -> None:
    number = line(house, "产品质量：墙裂了")
    house.clock.move(hours=1)
    earlier = house.clock.now()
    house.clock.move(hours=1)
    assert said(house, number, "resolved", sequence=2 if counts else None) is Effect.MOVED
    line(house, "产品质量：又裂了")
    # It was under way for long, and its sender knows nothing of rounds.
    late = StatusReport("tracker", f"m{next(_ids)}", number, StatusCode.REJECTED, earlier, None, 1 if counts else None, "不处理")
    assert house.app.statuses.take(late).effect is Effect.LATE
    assert (row(house, number).state, row(house, number).round) == (ComplaintState.ROUTED, 2)
    assert not any(answer.by == "tracker" and "不处理" in answer.body for answer in house.app.desk.story(number).answers)
    # What he says of the new round counts, whether he names it or not.
    assert said(house, number, "accepted", sequence=3 if counts else None) is Effect.MOVED
    assert said(house, number, "resolved", sequence=1 if counts else None, round=2) is (Effect.LATE if counts else Effect.MOVED)


@pytest.mark.parametrize(
    "words",
    [
        "谢谢",
        "好的，谢谢你们！辛苦了",
        "已经解决了，非常满意。",
        "问题都解决了",
        "麻烦你们了",
        "收到，问题已解决",
        "OK, thank you very much",
        "👍",
    ],
)
def test_thanks_reopen_nothing(house: House, words: str) -> None:
    number = line(house, "价格问题")
    said(house, number, "resolved")
    line(house, words)
    assert house.types("tracker") == ["routed", "updated"]
    assert (row(house, number).state, row(house, number).round) == (ComplaintState.RESOLVED, 1)


@pytest.mark.parametrize(
    "words",
    [
        "没解决",
        "不满意",
        "谢谢，但是又漏水了",
        "谢谢，但是还是漏水",
        "Thanks, but it still leaks",
        "好的吗？",
        "满意什么",
        "not solved",
        "is it resolved?",
        "问题已解决了吗",
        "解决问题！",
        "你们好好解决啊",
        "很麻烦",
        "我这边问题",
        "投诉",
        "谢" * 99,
    ],
)
def test_whatever_is_more_than_thanks_asks_for_something(words: str) -> None:
    assert not asks_for_nothing(words)


@pytest.mark.parametrize("word", ["谢", "谢谢了", "感谢你们", "thanks a lot ", "ok okay "])
def test_long_thanks_and_then_another_word_are_read_at_once(word: str) -> None:
    # What nobody writes but whoever wants the sorting to stand still; before, each two characters more took three times as long.
    began = time.monotonic()
    assert not asks_for_nothing((word * 32)[:32] + "漏水")
    assert time.monotonic() - began < 0.5


def test_what_was_written_before_the_end_is_no_answer_to_it(house: House) -> None:
    number = line(house, "价格问题")
    raw = json.dumps({"id": "slow", "text": "价格问题，快点"}).encode()
    house.app.accept(submission(raw, channel=Channel.CHAT, conversation="talk", at=house.clock.now()))
    house.clock.move(seconds=1)
    said(house, number, "resolved")
    house.clock.move(seconds=60)
    house.app.worker.drain()
    assert house.types("tracker") == ["routed", "updated"]
    assert row(house, number).round == 1


def test_a_status_that_comes_while_a_message_is_sorted_is_not_undone(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    number = line(house, "价格问题")
    triage = house.app.worker._steps["triage"]
    run = triage.run

    def run_and_meanwhile(*args: Any) -> Any:
        reports = run(*args)
        if row(house, number).state is ComplaintState.ROUTED and row(house, number).round == 1:
            said(house, number, "resolved")
        return reports

    monkeypatch.setattr(triage, "run", run_and_meanwhile)
    line(house, "价格问题，还有")
    assert row(house, number).state is ComplaintState.RESOLVED
    # It is looked at once more; it was written before the end.
    house.clock.move(seconds=5)
    house.app.worker.drain()
    assert (house.types("tracker"), row(house, number).state) == (["routed", "updated"], ComplaintState.RESOLVED)


def test_a_reply_by_mail_and_a_call_reopen_too(tmp_path: Path) -> None:
    house = AnsweringHouse(tmp_path)
    number = house.mail("合同问题：定金不退").number
    said(house, number, "resolved")
    house.clock.move(hours=1)
    sent = house.answers(number)[0].message_id or ""
    house.take(message("合同问题：钱还没到账", "Re: 定金纠纷", In_Reply_To=sent))
    assert house.events(number) == ["complaint.routed", "complaint.reopened"]
    # A machine's absence notice does not.
    said(house, number, "resolved")
    house.take(message("我不在办公室", "自动回复：定金纠纷", In_Reply_To=sent, Auto_Submitted="auto-replied"))
    assert house.events(number) == ["complaint.routed", "complaint.reopened"]

    def call(name: str, words: str) -> str:
        envelope = {"file": f"{name}.txt", "call": {"caller": "13800138000", "id": name}}
        raw = f"坐席：您好\n客户：{words}\n".encode()
        taken = house.app.accept(Submission(Channel.PHONE, raw, "text/plain", name, house.clock.now(), None, envelope)).number
        house.work()
        return taken

    words = "产品质量 我是云锦花园3栋2单元501的业主 卫生间天花板一直漏水 已经三个月了"
    rung = call("one", words)
    said(house, rung, "resolved")
    house.clock.move(days=1)
    again = call("two", words + " 你们修过以后还是漏")
    assert again != rung
    assert house.events(rung)[-1] == "complaint.reopened"
    house.app.close()


def _told(gateway: RunningGateway) -> list[dict[str, Any]]:
    return [json.loads(sent.body) for sent in gateway.sender.accepted]


def test_through_the_doors_of_a_real_gateway(tmp_path: Path) -> None:
    secret = webhook_secret()
    with RunningGateway(tmp_path, tracker_secret=secret, chat_quiet_seconds=0.2) as gateway, Chat(gateway) as chat:
        chat.hello()
        number = chat.line("1", "价格问题")["number"]
        assert eventually(lambda: [e["type"] for e in _told(gateway)] == ["complaint.routed"])
        body = json.dumps({"type": "complaint.status", "data": {"number": number, "status": "resolved", "customer_text": "已处理"}})
        signed = Webhook(secret).sign("m1", at := datetime.now(UTC), body)
        headers = {"webhook-id": "m1", "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signed}
        with urllib.request.urlopen(urllib.request.Request(f"{gateway.web}/api/v1/status", body.encode(), headers), timeout=20) as answer:
            assert json.load(answer)["state"] == "resolved"
        assert chat.line("2", "价格问题，钱没有退")["number"] == number
        assert eventually(lambda: [e["type"] for e in _told(gateway)] == ["complaint.routed", "complaint.reopened"])
        assert _told(gateway)[-1]["data"]["round"] == 2
