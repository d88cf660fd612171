"""The journey from acceptance to delivery on a real store, with only the network and the clock replaced."""

from __future__ import annotations

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import migrated
import pytest
from factories import FakeClock, mail, submission
from fakes import FakeChampion, FakeClassifier, FakeSender, throttled
from sqlalchemy import text

from gateway import bootstrap, config
from gateway.bootstrap import App
from gateway.oplog import OperatorLog
from gateway.store import complaints, endpoints, events, jobs
from models.delivery import Outcome, OutcomeCode
from models.errors import TryLater, Unreadable
from models.submission import Channel


class House:
    """An App with fakes at the border, and what it wrote into the operator log."""

    def __init__(self, home: Path, **settings: str) -> None:
        self.clock = FakeClock()
        self.sender = FakeSender()
        self.champion = FakeChampion()
        self.stream = io.StringIO()
        self.settings = config.load({"JIESU_HOME": str(home), **settings})
        self.app = self.build()

    def build(self) -> App:
        log = OperatorLog(stream=self.stream)
        return bootstrap.build(migrated.prepare(self.settings), clock=self.clock, log=log, sender=self.sender, champion=self.champion)

    def restart(self) -> None:
        self.app.store.close()
        self.app = self.build()

    def log(self, verb: str) -> list[dict]:
        return [line for line in map(json.loads, self.stream.getvalue().splitlines()) if line["verb"] == verb]

    def parked(self) -> list[tuple[str, str]]:
        with self.app.store.read() as conn:
            return [(job.kind, job.reason_code) for job in jobs.parked(conn)]

    def payloads(self) -> list[dict]:
        return [json.loads(sent.body) for sent in self.sender.accepted]

    def chat(self, line: str, client_id: str, conversation: str = "talk"):
        raw = json.dumps({"id": client_id, "text": line}).encode()
        key = f"{conversation}:{client_id}"
        return self.app.accept(submission(raw, channel=Channel.CHAT, key=key, conversation=conversation, at=self.clock.now()))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def house(request: pytest.FixtureRequest, tmp_path: Path):
    """A house on each kind of store in turn."""
    settings = {} if request.param == "sqlite" else {"JIESU_STORE_URL": request.getfixturevalue("postgres_url")}
    made = House(tmp_path, **settings)
    yield made
    made.app.store.close()


@pytest.fixture
def sqlite_house(tmp_path: Path):
    """A house on SQLite, for what only an embedded store can suffer."""
    made = House(tmp_path)
    yield made
    made.app.store.close()


def test_a_mail_becomes_a_ticket_at_the_tracker(house: House) -> None:
    receipt = house.app.accept(submission(mail("产品质量", "我叫林树，墙裂了", "林树 <lin@mail.example>")))
    house.app.worker.drain()
    (payload,) = house.payloads()
    ticket = payload["data"]
    assert payload["type"] == "complaint.routed"
    assert ticket["number"] == receipt.number
    assert ticket["idempotency_key"].endswith(f":{receipt.number}")
    assert (ticket["class"], ticket["department"]["code"], ticket["decision"]) == ("product_quality", "project", "auto")
    assert ticket["customer"] == {"name": "林树", "email": "lin@mail.example"}
    assert ticket["missing"] == ["estate", "unit"]
    assert ticket["matter"].strip() == "我叫林树，墙裂了"
    assert ticket["reply_due"] == "2026-11-24T01:00:00.000Z"
    assert len(ticket["steps"]) == 3
    assert ticket["plan_version"] == house.app.plan.version
    assert ticket["links"]["self"].endswith(f"/api/v1/complaints/{receipt.number}")
    verbs = [json.loads(line)["verb"] for line in house.stream.getvalue().splitlines()]
    assert verbs == ["Received", "Parsed", "CautiousStart", "Classified", "Routed", "DeliveryAttempt", "Delivered"]
    lines = [json.loads(line) for line in house.stream.getvalue().splitlines()]
    assert all(line.get("number") == receipt.number for line in lines if line["verb"] != "CautiousStart")


def test_no_personal_data_stands_in_the_operator_log(house: House) -> None:
    house.app.accept(submission(mail("价格问题 赵敏", "我叫林树，电话13800004321，御景湾3-2-1", "林树 <lin@mail.example>")))
    house.app.worker.drain()
    for secret in ("林树", "赵敏", "13800004321", "lin@mail", "御景湾", "电话"):
        assert secret not in house.stream.getvalue()


def test_a_doubtful_complaint_goes_to_a_person_with_two_candidates(house: House) -> None:
    house.app.accept(submission(mail("你好", "说不清")))
    house.app.worker.drain()
    ticket = house.payloads()[0]["data"]
    assert (ticket["decision"], ticket["department"]["code"], ticket["rule"]) == ("review", "customer_service", "unsure")
    assert ticket["candidates"] == ["other", "price"]


def test_risk_raises_the_priority_and_tells_the_leads(house: House) -> None:
    house.app.accept(submission(mail("价格问题", "价格问题，还有危险")))
    house.app.worker.drain()
    ticket = house.payloads()[0]["data"]
    assert (ticket["priority"], ticket["reply_due"]) == ("urgent", "2026-11-23T03:00:00.000Z")
    assert ticket["escalate_to"] == ["lead_group", "project"]


def test_an_unreadable_submission_is_parked_whole_and_the_rest_goes_on(house: House) -> None:
    house.app.accept(submission(b'{"unknown": 1}', channel=Channel.PHONE))
    house.app.accept(submission(mail("合同问题")))
    house.app.worker.drain()
    assert house.parked()[0][0] == "intake"
    assert len(house.payloads()) == 1
    with house.app.store.read() as conn:
        assert "/" in jobs.parked(conn)[0].reason


def test_one_poisonous_text_does_not_take_its_batch_along(house: House) -> None:
    house.champion.fake = FakeClassifier(explode_on="炸")
    for body in ("合同问题一", "炸", "合同问题二"):
        house.app.accept(submission(mail("x", body)))
    house.app.worker.drain()
    assert len(house.payloads()) == 2
    assert house.champion.fake.batches == [3, 1, 1, 1]
    for _ in range(6):
        house.clock.move(hours=1)
        house.app.worker.drain()
    assert house.parked() == [("triage", "attempts_exhausted")]
    assert house.log("Fault")[0]["error"] == "ZeroDivisionError"
    # Mended and replayed, it goes its way.
    house.champion.fake = FakeClassifier()
    with house.app.store.write() as conn:
        jobs.replay(conn, [job.id for job in jobs.parked(conn)], house.clock.now())
    house.app.worker.drain()
    assert len(house.payloads()) == 3


def test_a_job_that_kills_its_worker_is_parked_and_alone(sqlite_house: House) -> None:
    sqlite_house.app.accept(submission(mail("合同问题")))
    sqlite_house.app.accept(submission(mail("价格问题")))
    sqlite_house.app.worker.drain()
    with sqlite_house.app.store.write() as conn:
        jobs.enqueue(conn, [jobs.NewJob("triage", "TS-20261123-0001", "TS-20261123-0001", {})], sqlite_house.clock.now())
    for _ in range(5):
        with sqlite_house.app.store.write() as conn:
            claimed = jobs.claim(
                sqlite_house.app.store,
                conn,
                "triage",
                limit=9,
                lease=timedelta(seconds=9),
                worker="dying",
                now=sqlite_house.clock.now(),
                behind_parked=True,
            )
        assert len(claimed) == 1
        sqlite_house.restart()
        # It is let lie longer each time.
        sqlite_house.clock.at += timedelta(minutes=10)
    sqlite_house.app.worker.drain()
    assert sqlite_house.parked() == [("triage", "killed_its_worker")]


def test_kills_from_outside_within_minutes_park_no_job_that_was_in_hand(sqlite_house: House) -> None:
    sqlite_house.app.accept(submission(mail("合同问题")))
    in_hand = 0
    for _ in range(30):
        # Killed in the middle of its handling whenever it is handled at all, every 20 seconds for ten minutes.
        with sqlite_house.app.store.write() as conn:
            in_hand += len(
                jobs.claim(
                    sqlite_house.app.store,
                    conn,
                    "intake",
                    limit=9,
                    lease=timedelta(seconds=9),
                    worker="killed",
                    now=sqlite_house.clock.now(),
                    behind_parked=True,
                )
            )
        sqlite_house.restart()
        sqlite_house.clock.at += timedelta(seconds=20)
    assert in_hand == 4
    sqlite_house.clock.at += timedelta(minutes=5)
    sqlite_house.app.worker.drain()
    assert (sqlite_house.parked(), len(sqlite_house.sender.accepted)) == ([], 1)


def test_the_tracker_is_told_again_by_the_schedule_with_the_same_id(house: House) -> None:
    house.sender.fail_times = 3
    house.app.accept(submission(mail("价格问题")))
    house.app.worker.drain()
    waits = []
    while not house.sender.accepted:
        before = house.clock.now()
        with house.app.store.read() as conn:
            due = jobs.next_due(conn, ["deliver"])
        waits.append((due - before).total_seconds())
        house.clock.at = due
        house.app.worker.drain()
    assert waits == pytest.approx([5, 300, 1800], rel=0.16)
    assert len({sent.webhook_id for sent in house.sender.sent}) == 1
    assert len({sent.body for sent in house.sender.sent}) == 1
    with house.app.store.read() as conn:
        codes = [attempt.code for attempt in events.attempts_of(conn, "TS-20261123-0001")]
        assert codes == ["server_error"] * 3 + ["accepted"]
        assert events.undelivered(conn) == 0


def test_seven_days_of_outage_lose_nothing_and_are_drained_in_order(house: House) -> None:
    house.sender.fail_times = 1_000_000
    numbers = [house.chat("价格问题", "c1", talk).number for talk in ("a", "b")]
    for hour in range(24 * 7):
        house.clock.move(minutes=50)
        if hour % 12 == 0:
            house.chat(f"第{hour}小时还没有人理我", f"h{hour}", "a")
            numbers.append(house.app.accept(submission(mail("合同问题", f"第{hour}小时"))).number)
        house.clock.move(minutes=10)
        house.app.worker.drain()
    assert house.parked() == []
    # The circuit is open: one is tried now and then, and a person is told once.
    assert len(house.sender.sent) < 24 * 7 + 10
    assert len(house.log("EndpointFailing")) == 1
    house.sender.fail_times = 0
    house.clock.move(minutes=20)
    for _ in range(3):
        house.app.worker.drain()
    told = house.payloads()
    assert {payload["data"]["number"] for payload in told} == set(numbers)
    of_a = [payload["data"] for payload in told if payload["data"]["number"] == numbers[0]]
    assert len(of_a) == 14
    assert [data["supersedes"] for data in of_a] == [None, *(data["event_id"] for data in of_a[:-1])]
    assert len({sent.webhook_id for sent in house.sender.accepted}) == len(house.sender.accepted)
    assert house.log("EndpointBack")
    with house.app.store.read() as conn:
        assert events.undelivered(conn) == 0
        assert endpoints.troubled(conn) == {}


def test_retry_after_is_honoured(house: House) -> None:
    house.sender.fail_times, house.sender.failure = 1, throttled(7200)
    house.app.accept(submission(mail("价格问题")))
    house.app.worker.drain()
    with house.app.store.read() as conn:
        assert jobs.next_due(conn, ["deliver"]) == house.clock.now() + timedelta(seconds=7200)


def test_410_switches_the_endpoint_off_and_keeps_everything(house: House) -> None:
    house.sender.fail_times, house.sender.failure = 1, Outcome(OutcomeCode.GONE, 410, 0.01)
    house.app.accept(submission(mail("价格问题")))
    house.app.worker.drain()
    house.app.accept(submission(mail("合同问题")))
    house.app.worker.drain()
    house.clock.move(days=9)
    house.app.worker.drain()
    assert house.parked() == []
    assert len(house.sender.sent) == 1
    assert house.log("EndpointDisabled")
    with house.app.store.write() as conn:
        assert endpoints.disabled(conn) == {"tracker": "410 Gone"}
        endpoints.enable(conn, "tracker")
    house.app.worker.drain()
    assert len(house.payloads()) == 2


def test_when_the_tracker_is_back_what_waited_is_sent_at_once(house: House) -> None:
    house.sender.away = True
    house.app.accept(submission(mail("价格问题")))
    house.app.worker.drain()
    deliver = house.app.worker._steps["deliver:tracker"]
    assert not deliver.idle(house.clock.now())
    house.sender.away = False
    assert deliver.idle(house.clock.now())
    house.app.worker.drain()
    assert len(house.payloads()) == 1
    assert house.log("EndpointBack")[0]["waiting"] == 1
    assert not deliver.idle(house.clock.now())


def test_what_was_tried_in_vain_is_sent_at_once_though_another_got_through_first(house: House) -> None:
    house.sender.away = True
    house.app.accept(submission(mail("价格问题")))
    house.app.worker.drain()
    house.clock.move(seconds=10)
    house.app.worker.drain()
    assert len(house.sender.sent) == 2
    house.sender.away = False
    house.app.accept(submission(mail("合同问题")))
    house.app.worker.drain()
    # The third try of the first would come after five minutes.
    assert len(house.payloads()) == 1
    assert house.app.worker._steps["deliver:tracker"].idle(house.clock.now())
    house.app.worker.drain()
    assert len(house.payloads()) == 2


def test_chat_lines_become_one_complaint_sorted_when_the_customer_pauses(house: House) -> None:
    numbers = {house.chat(line, f"c{n}").number for n, line in enumerate(["在吗", "我要投诉", "服务态度太差"])}
    assert len(numbers) == 1
    house.app.worker.drain()
    assert house.payloads() == []
    house.clock.move(seconds=4)
    house.app.worker.drain()
    (payload,) = house.payloads()
    assert payload["data"]["matter"] == "在吗\n我要投诉\n服务态度太差"
    assert payload["data"]["messages"] == 3


def test_a_further_line_is_an_update_and_a_change_of_class_a_new_routing_in_order(house: House) -> None:
    house.chat("价格问题", "c1")
    for line, client_id in (("还在吗", "c2"), ("其实是危险", "c3")):
        house.app.worker.drain()
        house.clock.move(seconds=5)
        house.app.worker.drain()
        house.chat(line, client_id)
    house.app.worker.drain()
    house.clock.move(seconds=5)
    house.app.worker.drain()
    told = house.payloads()
    assert [payload["type"] for payload in told] == ["complaint.routed", "complaint.updated", "complaint.rerouted"]
    assert told[1]["data"]["new_message"] == "还在吗"
    assert [payload["data"]["supersedes"] for payload in told] == [None, told[0]["data"]["event_id"], told[1]["data"]["event_id"]]


def test_an_event_never_overtakes_an_earlier_one_of_its_complaint(house: House) -> None:
    house.chat("价格问题", "c1")
    house.clock.move(seconds=5)
    house.sender.fail_times = 1
    house.app.worker.drain()
    house.clock.move(seconds=1)
    house.chat("补充", "c2")
    house.app.worker.drain()
    house.clock.move(seconds=4.2)
    house.app.worker.drain()
    house.clock.move(seconds=5)
    house.app.worker.drain()
    assert [payload["type"] for payload in house.payloads()] == ["complaint.routed", "complaint.updated"]


def test_the_same_chat_line_again_gets_the_same_receipt_and_is_no_second_message(house: House) -> None:
    first, again = house.chat("价格问题", "c1"), house.chat("价格问题", "c1")
    assert (again.number, again.duplicate) == (first.number, True)
    house.clock.move(seconds=5)
    house.app.worker.drain()
    assert house.payloads()[0]["data"]["messages"] == 1


def test_acceptances_at_once_share_a_transaction(house: House) -> None:
    gate = threading.Barrier(16)

    def one(n: int) -> str:
        gate.wait()
        return house.app.accept(submission(key=f"k{n}")).number

    with ThreadPoolExecutor(16) as threads:
        numbers = list(threads.map(one, range(16)))
    assert len(set(numbers)) == 16
    groups = house.app.metrics.registry.get_sample_value("jiesu_commit_group_size_count")
    total = house.app.metrics.registry.get_sample_value("jiesu_commit_group_size_sum")
    assert total == 16
    assert groups < 16


def test_what_cannot_be_committed_is_not_acknowledged_and_others_are(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway import acceptance

    real = acceptance.submissions.take_in

    def broken(store, conn, offered, zone, now):
        if any(s.source_key == "bad" for s in offered):
            raise ZeroDivisionError
        return real(store, conn, offered, zone, now)

    monkeypatch.setattr(acceptance.submissions, "take_in", broken)
    gate = threading.Barrier(8)

    def one(n: int) -> str:
        gate.wait()
        try:
            return house.app.accept(submission(key="bad" if n == 3 else f"k{n}")).number
        except TryLater as error:
            return error.code

    with ThreadPoolExecutor(8) as threads:
        told = list(threads.map(one, range(8)))
    assert told[3] == "not_accepted"
    assert len({answer for answer in told if answer.startswith("TS-")}) == 7


def test_a_full_disk_is_told_as_try_later(sqlite_house: House) -> None:
    with sqlite_house.app.store.write() as conn:
        pages = conn.execute(text("PRAGMA page_count")).scalar_one()
        conn.exec_driver_sql(f"PRAGMA max_page_count={pages + 2}")
    with pytest.raises(TryLater):
        sqlite_house.app.accept(submission(b"x" * 1_000_000, key="big"))
    with sqlite_house.app.store.write() as conn:
        conn.exec_driver_sql("PRAGMA max_page_count=1000000")
    assert not sqlite_house.app.accept(submission(b"x" * 1_000_000, key="big")).duplicate


def test_a_locked_database_is_told_as_try_later(sqlite_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3

    other = sqlite3.connect(sqlite_house.settings.home / "jiesu.db", isolation_level=None)
    with sqlite_house.app.store.write() as conn:
        conn.exec_driver_sql("PRAGMA busy_timeout=50")
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(TryLater):
            sqlite_house.app.accept(submission(key="k"))
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert sqlite_house.app.accept(submission(key="k")).number


def test_a_restart_in_the_middle_goes_on_where_it_stopped(house: House) -> None:
    numbers = {house.app.accept(submission(mail("价格问题"))).number for _ in range(3)}
    house.restart()
    house.app.worker.drain()
    house.restart()
    assert house.app.worker.drain() == 0
    assert {payload["data"]["number"] for payload in house.payloads()} == numbers
    assert len(house.sender.accepted) == 3


def test_a_silent_call_is_a_complaint_to_be_called_back(house: House) -> None:
    raw = json.dumps({"TaskId": "t", "StatusText": "SUCCESS_WITH_NO_VALID_FRAGMENT", "StatusCode": 21050003}).encode()
    house.app.accept(submission(raw, channel=Channel.PHONE))
    house.app.worker.drain()
    ticket = house.payloads()[0]["data"]
    assert (ticket["rule"], ticket["department"]["code"]) == ("nothing_said", "customer_service")


def test_the_whole_complaint_is_behind_the_ticket_link(house: House) -> None:
    number = house.app.accept(submission(mail("价格问题", "长" * 5000))).number
    house.app.worker.drain()
    ticket = house.payloads()[0]["data"]
    assert ticket["matter_truncated"]
    assert len(house.sender.accepted[0].body) < 20_000
    whole = house.app.records.whole(number)
    assert len(whole["conversation"][0]["said"]) >= 5000
    assert house.app.records.whole("TS-1") is None


def test_nothing_changes_when_a_state_may_not_follow(house: House) -> None:
    from models.complaint import ALLOWED_MOVES, ComplaintState

    assert ALLOWED_MOVES[ComplaintState.RECEIVED] == {ComplaintState.ROUTED}
    with house.app.store.read() as conn:
        assert complaints.load(conn, ["TS-none"]) == {}


def test_a_tracker_that_listens_but_breaks_off_keeps_its_schedule(house: House) -> None:
    house.sender.fail_times, house.sender.failure = 99, Outcome(OutcomeCode.UNREACHABLE, None, 0.01)
    house.app.accept(submission(mail("价格问题")))
    deliver = house.app.worker._steps["deliver:tracker"]
    for _ in range(5):
        house.app.worker.drain()
        assert not deliver.idle(house.clock.now())
    assert len(house.sender.sent) == 1


class FullDisk(io.StringIO):
    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    settings = config.load({"JIESU_HOME": str(tmp_path)})
    sender = FakeSender()
    log = OperatorLog(stream=FullDisk())
    app = bootstrap.build(
        migrated.prepare(settings), clock=FakeClock(), log=log, sender=sender, champion=FakeChampion(FakeClassifier(explode_on="炸"))
    )
    assert app.accept(submission(mail("合同问题"))).number
    app.accept(submission(mail("x", "炸")))
    app.worker.drain()
    app.store.close()
    assert len(sender.accepted) == 1
    assert log.lost > 5


def test_a_report_waits_for_a_store_that_is_away_for_a_moment(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    real, times = house.app.worker._settle, iter(range(3))

    def settle(stage, reports):
        if next(times, None) is not None:
            raise TryLater("x", "x", "x")
        real(stage, reports)

    monkeypatch.setattr(house.app.worker, "_settle", settle)
    house.app.accept(submission(mail("合同问题")))
    house.app.worker.drain()
    assert len(house.payloads()) == 1
    assert house.parked() == []


def test_a_chat_that_is_caught_up_makes_one_event(house: House) -> None:
    for n in range(20):
        house.chat(f"第{n}句", f"c{n}")
    house.clock.move(seconds=30)
    house.app.worker.drain()
    assert len(house.payloads()) == 1
    assert house.payloads()[0]["data"]["messages"] == 20


def test_lines_stand_in_the_order_in_which_they_were_received(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    real = bootstrap.PARSERS[Channel.CHAT]

    def picky(offered):
        if offered.source_key.endswith("c1"):
            raise Unreadable("odd", "怪", "odd")
        return real(offered)

    monkeypatch.setitem(house.app.worker._steps["intake"]._parsers, Channel.CHAT, picky)
    for n in range(3):
        house.chat(f"第{n}句", f"c{n}")
        house.clock.move(milliseconds=10)
    house.clock.move(seconds=5)
    house.app.worker.drain()
    monkeypatch.setitem(house.app.worker._steps["intake"]._parsers, Channel.CHAT, real)
    with house.app.store.write() as conn:
        jobs.replay(conn, None, house.clock.now())
    house.app.worker.drain()
    assert house.payloads()[-1]["data"]["matter"] == "第0句\n第1句\n第2句"
    assert house.payloads()[-1]["data"]["new_message"] == "第1句"


@pytest.mark.parametrize("letter", ["长", '"', "\n", "a", "😀"])
def test_no_event_is_larger_than_the_specification_wants(house: House, letter: str) -> None:
    for n in range(3):
        house.chat("价格问题" + letter * 3990, f"c{n}")
        house.app.worker.drain()
        house.clock.move(seconds=5)
        house.app.worker.drain()
    assert len(house.sender.accepted) == 3
    assert all(len(sent.body) < 20_000 for sent in house.sender.accepted)
    assert house.payloads()[-1]["data"]["matter_truncated"]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_is_claimed_than_can_be_sent_before_the_lease_ends(tmp_path: Path, concurrency: int) -> None:
    house = House(tmp_path, JIESU_TRACKER_CONCURRENCY=str(concurrency), JIESU_TRACKER_TIMEOUT_SECONDS="60")
    deliver = house.app.worker._gates["deliver:tracker"]
    assert deliver.take(house.clock.now(), 32) == 2 * concurrency
    assert deliver.take(house.clock.now(), 32) == 0
    deliver.give_back(2 * concurrency, 1)
    assert deliver.take(house.clock.now(), 32) == 2 * concurrency
    house.app.close()
