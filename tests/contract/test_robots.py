"""Robots tell people: in the makers' own forms, within their limits, once for each cause, and nothing of whose complaint it is."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from factories import FakeClock, submission
from fakes import FakeSender
from mailboxes import MailServer
from robot_house import MAIL, RobotHouse, robot
from robot_makers import KEY, SECRET, Maker
from sqlalchemy import insert
from standardwebhooks.webhooks import Webhook

from gateway import bootstrap, config, robots, rules, ticket
from gateway.answering import Told
from gateway.erasing import Reason
from gateway.store import complaints, jobs, mailboxes, migrations, notices, open_terms
from gateway.store.engine import Store
from models.answer import MailCode, MailOutcome
from models.correction import Source
from models.delivery import Outcome, OutcomeCode
from models.errors import BadSetting, Refused
from models.notice import Notice, NoticeKind, Robot, RobotKind
from models.status import StatusCode, StatusReport
from models.tables import assignments as assignment_table
from models.tables import complaints as complaint_table
from models.verdict import ComplaintClass, Risk

DANGER = "危险 楼盘=云栖里 房号=6栋1503 我叫林树，电话13800001111，卫生间漏水"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def wecom(clock: FakeClock) -> Iterator[Maker]:
    with Maker("wecom", now=clock.now) as maker:
        yield maker


class Houses:
    """Makes houses on one clock, and closes them."""

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        self._folder, self._clock = folder, clock
        self._made: list[RobotHouse] = []

    def __call__(self, robots: str, **environment: str) -> RobotHouse:
        made = RobotHouse(self._folder / f"home{len(self._made)}", robots, self._clock, **environment)
        self._made.append(made)
        return made

    def close(self) -> None:
        for one in self._made:
            one.app.close()


@pytest.fixture
def houses(tmp_path: Path, clock: FakeClock) -> Iterator[Houses]:
    made = Houses(tmp_path, clock)
    yield made
    made.close()


# ---- The makers' forms -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "secret"), [("wecom", ""), ("dingtalk", SECRET), ("dingtalk", ""), ("feishu", SECRET), ("feishu", "")])
def test_a_risk_is_told_at_once_in_the_makers_form_and_without_whose_it_is(
    houses: Houses, clock: FakeClock, kind: str, secret: str
) -> None:
    with Maker(kind, secret, clock.now) as maker:
        house = houses(robot("leads", kind, maker.url, **({"secret": secret} if secret else {})))
        number = house.complain("漏水", f"产品质量 {DANGER}")
        (text,) = maker.texts
    for told in ("【接诉】", number, "人身安全", "产品质量", "项目工程部", "云栖里", "紧急", "11-23 11:00"):
        assert told in text, told
    assert f"https://jiesu.example/console/complaints/{number}" in json.dumps(maker.shown[0])
    for personal in ("林树", "13800001111", "1503", "卫生间", "lin@mail.example"):
        assert personal not in json.dumps(maker.shown[0], ensure_ascii=False)
    # No header of a webhook's, and nothing that opens the robot, in what is logged.
    assert not [name for name in maker.headers[0] if name.startswith("webhook-")]
    log = house.stream.getvalue()
    assert KEY not in log
    assert SECRET not in log
    assert house.log("NoticesTold")[0]["notices"] == 1
    assert not house.log("Fault")


def test_a_yes_by_http_with_a_no_in_the_body_is_a_no_and_says_why(houses: Houses, wecom: Maker, clock: FakeClock) -> None:
    wrong = wecom.url.replace(KEY, "a-key-that-was-taken-away")
    house = houses(robot("leads", "wecom", wrong))
    house.complain("漏水", DANGER)
    assert wecom.shown == []
    (line,) = house.log("NoticesNotTold")
    assert (line["code"], line["status"], line["maker_code"]) == ("refused", 200, 93000)
    assert "key 无效" in line["zh"]
    assert "key in the address" in line["en"]
    assert "a-key-that" not in house.stream.getvalue()
    state = house.state("leads")
    assert (state.failing, state.waiting, state.last_told) == (True, 1, None)
    # The maker quotes the path; the key in it is not kept.
    assert "a-key-that" not in state.last_error.outcome.said
    assert "invalid webhook url" in state.last_error.outcome.said
    # Not hammered: left alone for a while, and longer each time.
    for _ in range(10):
        clock.move(seconds=1)
        house.app.worker.drain()
    assert len(wecom.asked) == 1
    clock.move(minutes=2)
    house.app.worker.drain()
    assert len(wecom.asked) == 2
    # A person need not wait for the end of that pause.
    clock.move(seconds=4)
    assert house.app.alarms.robots.test("leads", by="tests").maker_code == 93000


def test_a_robot_that_was_set_right_tells_all_that_waited(houses: Houses, wecom: Maker, clock: FakeClock) -> None:
    wecom.answers = [(200, {"errcode": 93000, "errmsg": "invalid webhook url"})] * 3
    house = houses(robot("leads", "wecom", wecom.url))
    numbers = [house.complain("漏水", DANGER) for _ in range(3)]
    for _ in range(20):
        clock.move(minutes=5)
        house.app.worker.drain()
    assert [sum(f"**{number} " in text or f"】{number} " in text for text in wecom.texts) for number in numbers] == [1, 1, 1]
    assert (house.state("leads").failing, house.state("leads").waiting) == (False, 0)


def test_what_a_robot_never_could_tell_is_parked_and_told_once_put_back(houses: Houses, wecom: Maker, clock: FakeClock) -> None:
    house = houses(robot("leads", "wecom", wecom.url))
    wecom.answers = [(500, "oops")] * 100
    house.complain("漏水", DANGER)
    for _ in range(60):
        clock.move(hours=1)
        house.app.worker.drain()
    assert len(wecom.asked) == 10
    assert house.state("leads").parked == 1
    # A notice of what robots could not tell would go round in circles.
    house.look()
    assert house.notices("overdue")
    assert not house.notices("parked")
    wecom.answers = []
    house.app.quarantine.replay(None, "tests")
    clock.move(minutes=16)
    house.app.worker.drain()
    assert house.notices("risk")[0].number in wecom.texts[0]
    assert (house.state("leads").waiting, house.state("leads").parked) == (0, 0)


@pytest.mark.parametrize(
    ("kind", "answer", "code", "hold"),
    [
        ("dingtalk", (200, {"errcode": 130101, "errmsg": "send too fast, exceed 20 times per minute"}), "throttled", 600),
        ("feishu", (400, {"code": 19024, "msg": "Key Words Not Found"}), "refused", 5),
        ("wecom", (200, "<html>sign in to the guest network</html>"), "strange", 5),
    ],
)
def test_after_a_no_the_robot_is_left_alone_and_all_is_told_in_the_end(
    houses: Houses, clock: FakeClock, kind: str, answer: tuple[int, Any], code: str, hold: int
) -> None:
    with Maker(kind, now=clock.now) as maker:
        maker.answers = [answer]
        house = houses(robot("leads", kind, maker.url))
        house.complain("漏水", DANGER)
        (line,) = house.log("NoticesNotTold")
        assert (line["code"], line["hold_seconds"]) == (code, hold)
        assert line["zh"]
        assert line["en"]
        clock.move(seconds=hold - 1)
        house.app.worker.drain()
        assert len(maker.asked) == 1
        # Whatever it was, it is told in the end.
        clock.move(minutes=10)
        house.app.worker.drain()
        assert len(maker.shown) == 1


# ---- Limits ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["wecom", "dingtalk", "feishu"])
def test_a_storm_is_gathered_within_the_limit_and_nothing_is_lost(houses: Houses, clock: FakeClock, kind: str) -> None:
    with Maker(kind, now=clock.now) as maker:
        house = houses(robot("leads", kind, maker.url, notices=["risk"]))
        numbers = []
        for _ in range(40):
            numbers.append(house.complain("漏水", DANGER))
            clock.move(milliseconds=250)
        for _ in range(30):
            clock.move(milliseconds=500)
            house.app.worker.drain()
        refused = [json.loads(body) for _, _, body in maker.asked if json.loads(body) not in maker.shown]
        text = "\n".join(maker.texts)
    assert refused == []
    told = {number for number in numbers if number in text}
    counted = sum(int(part.split(" 条")[0]) for part in text.split("另有 ")[1:])
    assert len(told) + counted == len(numbers)
    assert len(maker.shown) <= (26 if kind == "feishu" else 7)
    assert house.state("leads").waiting == 0
    assert all(at for _, by in house.app.alarms.robots.newest(500) for at in by.values())


def test_many_at_once_are_one_message_that_the_maker_takes(houses: Houses, wecom: Maker, clock: FakeClock) -> None:
    house = houses(robot("leads", "wecom", wecom.url))
    with house.app.store.write() as conn:
        for n in range(300):
            facts = {"risk": ["safety"], "priority": "urgent", "reply_due": "2026-11-23T03:00:00.000Z"}
            number = f"TS-20261123-{n:04d}"
            departments = ("project", "lead_group")
            notice = Notice(f"k{n}", NoticeKind.RISK, clock.now(), number, number, departments, "product_quality", "楼" * 400, True, facts)
            house.app.alarms.noticing.put(conn, notice, clock.now())
    house.app.worker.drain()
    (text,) = wecom.texts
    assert len(text.encode()) <= 4096
    assert "300 条提醒" in text
    assert "另有 29" in text
    assert "https://jiesu.example/console/robots" in text
    assert house.state("leads").waiting == 0
    assert house.state("leads").last_told.notices == 300


def test_a_test_keeps_to_the_limit_too(houses: Houses, wecom: Maker, clock: FakeClock) -> None:
    house = houses(robot("leads", "wecom", wecom.url))
    test = house.app.alarms.robots.test
    assert test("leads", by="tests").code == "accepted"
    assert "测试" in wecom.texts[0]
    with pytest.raises(Refused, match="频率限制"):
        test("leads", by="tests")
    clock.move(seconds=4)
    assert test("leads", by="tests").code == "accepted"
    with pytest.raises(Refused, match="没有机器人"):
        test("nobody", by="tests")
    assert len(house.log("RobotTested")) == 2
    assert house.notices() == []


def test_what_comes_from_outside_makes_nothing_in_a_message(houses: Houses, clock: FakeClock) -> None:
    for kind in ("wecom", "dingtalk", "feishu"):
        with Maker(kind, now=clock.now) as maker:
            house = houses(robot("leads", kind, maker.url))
            house.complain("漏水", "危险 楼盘=<@all>[点我](http://evil.example)<font>138\u202e00001111#*_`")
            sent = json.dumps(maker.shown[0], ensure_ascii=False)
        assert "<@all>" not in sent
        assert "](http://evil" not in sent
        assert "@all" not in sent
        assert "\u202e" not in sent
        assert "00001111" not in sent


# ---- Terms (预案 4.3) --------------------------------------------------------------------------------------------------------------------


def test_terms_are_told_before_and_after_they_end_and_never_twice(houses: Houses, wecom: Maker, clock: FakeClock) -> None:
    house = houses(robot("leads", "wecom", wecom.url))
    number = house.complain("价格问题", "价格问题 楼盘=云栖里")
    for _ in range(24 * 6 + 1):
        clock.move(minutes=60)
        house.look()
        house.look()
        clock.move(seconds=5)
        house.app.worker.drain()
    told = [(one.kind, one.facts["term"]) for one in house.notices()]
    assert told == [("due_soon", "reply"), ("overdue", "reply"), ("due_soon", "resolve"), ("overdue", "resolve")]
    texts = wecom.texts
    assert f"{number} 还有 6 小时 到答复期限" in texts[0]
    assert f"{number} 未按期答复" in texts[1]
    assert "知会：" in texts[1]
    assert "投诉处理领导小组" in texts[1]
    assert "领导小组" not in texts[0]
    assert "未按期办结" in texts[3]
    assert len(texts) == 4
    with house.app.store.read() as conn:
        assert open_terms.to_look_at(conn, clock.now() + timedelta(days=900), 10) == []


def test_a_term_that_is_kept_is_not_told(houses: Houses, wecom: Maker, clock: FakeClock) -> None:
    house = houses(robot("leads", "wecom", wecom.url))
    taken_on = house.complain("价格问题", "价格问题")
    answered = house.complain("价格问题", "价格问题")

    def report(number: str, status: StatusCode) -> None:
        house.app.statuses.take(StatusReport("tracker", f"{number}{status}", number, status, clock.now(), 1, None, "", "", "tests"))

    report(taken_on, StatusCode.ACCEPTED)
    with house.app.store.write() as conn:
        house.app.answering.tell(conn, answered, Told.IN_PROGRESS, "您好", source_key="x", by="王静", now=clock.now())
    clock.move(hours=30)
    house.look()
    assert house.notices() == []
    clock.move(hours=70)
    house.look()
    assert sorted((one.number, one.kind, one.facts["term"]) for one in house.notices()) == sorted(
        [(taken_on, "due_soon", "resolve"), (answered, "due_soon", "resolve")]
    )
    report(taken_on, StatusCode.RESOLVED)
    clock.move(hours=100)
    house.look()
    assert [one.number for one in house.notices("overdue")] == [answered]


def test_a_term_that_moves_is_told_by_the_new_one_and_still_once(houses: Houses, wecom: Maker, clock: FakeClock) -> None:
    house = houses(robot("leads", "wecom", wecom.url))
    number = house.complain("价格问题", "价格问题")
    clock.move(hours=23)
    house.look()
    # A contract's reply is due after 48 hours; its second notice is of the same term, and is not told again.
    house.app.correcting.correct(number, ComplaintClass.CONTRACT, by="王静", source=Source.CONSOLE)
    clock.move(hours=2)
    house.look()
    assert [one.kind for one in house.notices()] == ["due_soon"]
    clock.move(hours=24)
    house.look()
    assert [one.kind for one in house.notices()] == ["due_soon", "overdue"]
    assert house.notices("overdue")[0].klass == "contract"
    house.app.correcting.correct(number, ComplaintClass.PRICE, by="王静", source=Source.CONSOLE)
    house.minute()
    assert len(house.notices("overdue")) == 1


def test_without_robots_nothing_is_kept_but_terms_do_not_pile_up(houses: Houses, clock: FakeClock) -> None:
    house = houses("")
    house.complain("价格问题", "价格问题 危险")
    clock.move(days=30)
    house.look()
    assert house.notices() == []
    with house.app.store.read() as conn:
        assert open_terms.to_look_at(conn, clock.now() + timedelta(days=900), 10) == []


# ---- Risks and groups ------------------------------------------------------------------------------------------------------------------


def test_a_further_risk_is_told_and_the_same_is_not(houses: Houses, wecom: Maker, clock: FakeClock) -> None:
    house = houses(robot("leads", "wecom", wecom.url))
    number = house.complain("价格问题", "价格问题 风险=legal")
    assert [one.risks for one in house.notices("risk")] == [("legal",)]
    house.complain("合同问题", "合同问题")
    assert len(house.notices("risk")) == 1
    with house.app.store.write() as conn:
        triaged = _triaged(house, number, ("legal", "safety"))
        house.app.alarms.noticing.risks(conn, triaged, clock.now())
        house.app.alarms.noticing.risks(conn, triaged, clock.now())
        house.app.alarms.noticing.risks(conn, _triaged(house, number, ("safety",)), clock.now())
    assert [one.risks for one in house.notices("risk")] == [("legal",), ("legal", "safety")]


def _triaged(house: RobotHouse, number: str, risks: tuple[str, ...]) -> Any:
    """What a triage decides about a complaint whose risks are these."""
    with house.app.store.read() as conn:
        row = complaints.load(conn, [number])[number]
        body = complaints.latest_verdict(conn, number)
        messages = complaints.conversation(conn, [number])[number]
    assert body is not None
    verdict = replace(ticket.verdict_of(body, row.customer), risk=tuple(map(Risk, risks)))
    assignment = rules.assign(rules.Facts(verdict, said_nothing=False, machine=False), house.app.plan, row.received_at)
    return house.app.announcer.triaged(row, messages, row.customer, verdict, assignment)


def test_homes_of_one_estate_that_complain_of_the_same_are_a_group(houses: Houses, wecom: Maker, clock: FakeClock) -> None:
    house = houses(robot("leads", "wecom", wecom.url, notices=["group"]))

    def complain(unit: str, klass: str = "产品质量", estate: str = "云栖里") -> str:
        clock.move(minutes=20)
        return house.complain(klass, f"{klass} 楼盘={estate} 房号={unit}")

    complain("1栋101")
    complain("1栋101")
    complain("1栋101")
    complain("1栋102", klass="价格问题")
    complain("1栋103", estate="星河湾")
    numbers = [complain("1栋102")]
    house.look()
    # The same home three times is no group.
    assert house.notices() == []
    numbers.append(complain("1栋103"))
    house.look()
    house.minute()
    (one,) = house.notices()
    assert (one.estate, one.klass, one.facts["homes"], one.facts["count"]) == ("云栖里", "product_quality", 3, 5)
    assert one.departments == ("project", "lead_group")
    assert "云栖里 出现群诉：72 小时内 3 户投诉产品质量" in wecom.texts[0]
    assert all(number in wecom.texts[0] for number in numbers)
    assert "1栋" not in wecom.texts[0]
    complain("1栋104")
    house.look()
    assert len(house.notices()) == 1
    # Doubled.
    complain("1栋105")
    complain("1栋106")
    house.look()
    assert [one.facts["homes"] for one in house.notices()] == [3, 6]
    clock.move(days=10)
    house.look()
    assert len(house.notices()) == 2


@pytest.mark.parametrize("store", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_no_notice_says_where_somebody_lived_who_is_erased(
    houses: Houses, wecom: Maker, clock: FakeClock, store: str, request: pytest.FixtureRequest
) -> None:
    url = {} if store == "sqlite" else {"JIESU_STORE_URL": request.getfixturevalue("postgres_url")}
    house = houses(robot("leads", "wecom", wecom.url, notices=["group", "risk"]), **url)
    numbers = [house.complain("产品质量", f"产品质量 危险 楼盘=云栖里 房号=1栋10{n}") for n in range(3)]
    house.look()
    house.app.erasing.erase(numbers[0], reason=Reason.PERSON_ASKED, by="王芳")
    (group,) = house.notices("group")
    assert (group.estate, group.facts["numbers"], group.facts["homes"]) == ("云栖里", [], 3)
    assert {one.number: one.estate for one in house.notices("risk")} == {numbers[0]: None, numbers[1]: "云栖里", numbers[2]: "云栖里"}
    # It can still be shown, and told.
    assert "云栖里" in house.app.alarms.robots.words.item(group, "zh", clock.now()).title
    house.app.erasing.erase(numbers[1], reason=Reason.PERSON_ASKED, by="王芳")


# ---- The system ------------------------------------------------------------------------------------------------------------------------


def test_an_endpoint_that_fails_is_off_or_is_back(houses: Houses, wecom: Maker, clock: FakeClock) -> None:
    house = houses(robot("leads", "wecom", wecom.url, notices=["endpoint_failing", "endpoint_disabled", "endpoint_back"]))
    house.sender.of["tracker"] = tracker = FakeSender(fail_times=5)
    for _ in range(5):
        house.complain()
    house.look()
    house.minute()
    assert [one.kind for one in house.notices()] == ["endpoint_failing"]
    assert "接收方 tracker 一直失败" in wecom.texts[0]
    assert "server_error 500" in wecom.texts[0].replace("＿", "_")
    for _ in range(5):
        house.minute()
    assert [one.kind for one in house.notices()] == ["endpoint_failing", "endpoint_back"]
    tracker.failure, tracker.fail_times = Outcome(OutcomeCode.GONE, 410, 0.01, ""), 1
    house.complain()
    house.minute()
    assert "答复 410，已停用" in wecom.texts[-1]
    house.app.redelivery.enable("tracker", by="tests")
    house.minute()
    house.minute()
    kinds = ["endpoint_failing", "endpoint_back", "endpoint_disabled", "endpoint_back"]
    assert [one.kind for one in house.notices()] == kinds
    assert len(wecom.shown) == 4
    house.app.redelivery.disable("tracker", by="张三")
    house.minute()
    assert "已被人停用" in wecom.texts[-1]
    assert "张三" not in json.dumps(wecom.shown, ensure_ascii=False)


def test_an_endpoint_that_refuses_the_events_of_many_is_told_though_its_circuit_is_closed(
    houses: Houses, wecom: Maker, clock: FakeClock
) -> None:
    house = houses(robot("leads", "wecom", wecom.url, notices=["endpoint_failing", "endpoint_back"]))
    # As RabbitMQ says that no queue takes it.
    no = Outcome(OutcomeCode.CLIENT_ERROR, 312, 0.0, "no queue takes it")
    house.sender.of["tracker"] = FakeSender(fail_times=10**6, failure=no)
    for _ in range(4):
        house.complain()
    house.look()
    assert house.notices() == []
    assert house.app.redelivery.troubles() == []
    house.complain()
    house.look()
    house.minute()
    (one,) = house.notices()
    assert (one.kind, one.facts["refused"], one.facts["waiting"]) == ("endpoint_failing", 5, 5)
    assert "接收方 tracker 拒收 5 件投诉的事件" in wecom.texts[0]
    assert house.app.redelivery.troubles() == ["tracker"]
    (state,) = house.app.redelivery.states()
    assert (state.circuit, state.refused) == ("closed", 5)
    # Nor is it well once every try is used up.
    for _ in range(12):
        clock.move(hours=25)
        house.look()
    (state,) = house.app.redelivery.states()
    assert (state.refused, state.waiting.parked, len(house.notices())) == (5, 5, 1)
    # Once queues are bound and a person has it all sent again, it is.
    house.sender.of["tracker"].fail_times = 0
    house.app.quarantine.replay(None, by="王芳")
    house.look()
    assert house.app.redelivery.troubles() == []
    assert [one.kind for one in house.notices()] == ["endpoint_failing", "endpoint_back"]


def test_what_is_parked_is_told_by_reason_and_again_when_it_doubles(houses: Houses, wecom: Maker, clock: FakeClock) -> None:
    house = houses(robot("leads", "wecom", wecom.url, notices=["parked"]))

    def park(count: int) -> None:
        with house.app.store.write() as conn:
            jobs.enqueue(conn, [jobs.NewJob("triage", f"TS-X-{n}", f"x{n}", {}) for n in range(count)], clock.now())
            store = house.app.store
            for _ in range(count):
                lease = timedelta(minutes=1)
                (job,) = jobs.claim(store, conn, "triage", limit=1, lease=lease, worker="w", now=clock.now(), behind_parked=True)
                assert jobs.park(conn, job, "w", code="fault", reason="why")

    park(2)
    house.look()
    house.minute()
    assert [one.facts["count"] for one in house.notices()] == [2]
    assert "2 个任务搁置：分类派单" in wecom.texts[0]
    park(1)
    house.minute()
    assert len(house.notices()) == 1
    park(1)
    house.minute()
    assert [one.facts["count"] for one in house.notices()] == [2, 4]
    with house.app.store.write() as conn:
        for job in jobs.replay(conn, None, clock.now()):
            assert job
        conn.exec_driver_sql("DELETE FROM jobs WHERE kind = 'triage'")
    house.minute()
    park(1)
    house.minute()
    assert [one.facts["count"] for one in house.notices()] == [2, 4, 1]


def test_an_unexplained_reconciliation_is_told_once_a_day(houses: Houses, wecom: Maker, clock: FakeClock) -> None:
    house = houses(robot("leads", "wecom", wecom.url), JIESU_REPORT_RECONCILE_HOUR="9")
    house.complain()
    with house.app.store.write() as conn:
        conn.exec_driver_sql("UPDATE deliveries SET delivered_at = NULL")
    assert house.app.nightly_reconciliation.look()
    # Done once more, as by another node that found nothing of the first: people hear of a day once.
    with house.app.store.write() as conn:
        conn.exec_driver_sql("DELETE FROM reconciliations")
    assert house.app.nightly_reconciliation.look()
    house.app.worker.drain()
    assert len(house.notices("unexplained")) == 1
    assert "对账发现 1 件去向不明" in wecom.texts[0]


def test_a_mailbox_that_fails_and_is_back(houses: Houses, wecom: Maker, clock: FakeClock) -> None:
    box = '[[mailbox]]\nname = "kefu"\nhost = "imap.example"\nuser = "kefu@x.example"\npassword = "x"\n'
    house = houses(robot("leads", "wecom", wecom.url) + box)
    with house.app.store.write() as conn:
        mailboxes.register(house.app.store, conn, "kefu", "INBOX")
        for _ in range(3):
            mailboxes.failed(conn, "kefu", clock.now(), "not_let_in", "林树 的密码不对", "x")
    house.look()
    house.minute()
    assert [one.kind for one in house.notices()] == ["mailbox_failing"]
    assert "邮箱 kefu 收不到邮件" in wecom.texts[0]
    assert "林树" not in wecom.texts[0]
    with house.app.store.write() as conn:
        mailboxes.succeeded(conn, "kefu", clock.now(), 0)
    house.minute()
    assert [one.kind for one in house.notices()] == ["mailbox_failing", "mailbox_back"]


# ---- Whom, when, in which language -----------------------------------------------------------------------------------------------------


def test_each_robot_tells_what_it_is_for(houses: Houses, clock: FakeClock) -> None:
    with Maker("wecom", now=clock.now) as all_of_it, Maker("dingtalk", now=clock.now) as legal, Maker("feishu", now=clock.now) as safety:
        house = houses(
            robot("all", "wecom", all_of_it.url)
            + robot("legal", "dingtalk", legal.url, departments=["legal"], language="en")
            + robot("safety", "feishu", safety.url, risks=["safety"], notices=["risk"], estates=["云栖里"])
        )
        price = house.complain("价格问题", "价格问题 风险=legal 楼盘=云栖里")
        danger = house.complain("产品质量", "产品质量 危险 楼盘=云栖里")
        house.complain("产品质量", "产品质量 危险 楼盘=星河湾")
        house.app.redelivery.disable("tracker", by="x")
        for _ in range(3):
            house.minute()
        # The plan wants the legal department to know of every legal risk, whosever the complaint is.
        (told,) = [text for text in legal.texts if price in text]
        assert "risk found: legal steps" in told
        assert "Sales" in told
        assert not any(danger in text or "endpoint" in text for text in legal.texts)
        assert [danger in text for text in safety.texts] == [True]
        assert any("已被人停用" in text for text in all_of_it.texts)


def test_in_quiet_hours_only_what_is_urgent_is_told(houses: Houses, wecom: Maker, clock: FakeClock) -> None:
    clock.at = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
    house = houses(robot("leads", "wecom", wecom.url, quiet="22:30-07:00", notices=["risk"]))
    quiet = [house.complain("价格问题", "价格问题 风险=legal") for _ in range(2)]
    urgent = house.complain("产品质量", "产品质量 危险")
    assert [urgent in text for text in wecom.texts] == [True]
    for _ in range(7):
        clock.move(hours=1)
        house.app.worker.drain()
    assert len(wecom.shown) == 1
    clock.at = datetime(2026, 11, 23, 23, 1, tzinfo=UTC)
    house.app.worker.drain()
    assert len(wecom.shown) == 2
    assert all(number in wecom.texts[1] for number in quiet)


def test_a_program_is_told_by_standard_webhooks(houses: Houses, clock: FakeClock, tmp_path: Path) -> None:
    clock.at = datetime.now(UTC)
    with Maker("webhook", now=clock.now) as maker:
        house = houses(robot("desk", "webhook", maker.url))
        number = house.complain("产品质量", "产品质量 危险")
        house.complain("产品质量", "产品质量 危险")
        house.complain("产品质量", "产品质量 危险")
        clock.move(seconds=5)
        house.app.worker.drain()
        secret = (house.settings.secrets_folder / "robot-desk.secret").read_text().strip()
        for headers, (_, _, body) in zip(maker.headers, maker.asked, strict=True):
            assert Webhook(secret).verify(body, headers)
    first, second = maker.shown
    assert (first["type"], first["data"]["number"], first["data"]["facts"]["risk"]) == ("notice.risk", number, ["safety"])
    assert (second["type"], len(second["data"]["notices"])) == ("notice.gathered", 2)
    assert first["data"]["id"] == maker.headers[0]["webhook-id"]


def test_by_mail_every_recipient_is_told_once(houses: Houses, clock: FakeClock) -> None:
    with MailServer(tls="none", auth=False) as server:
        more = {f"JIESU_{key.upper()}": str(value) for key, value in server.settings().items()}
        toml = robot("leads", "email", recipients=["a@lead.example", "b@lead.example"], notices=["risk"])
        house = houses(toml, **more)
        house.app.close()
        # The real door, where the house has one in memory.
        app = bootstrap.build(house.settings, clock=clock, log=house.app.log, sender=house.sender, champion=house.app.champion)
        house.app = app
        server.answers["RCPT"] = ["451 later"]
        number = house.complain("产品质量", "产品质量 危险", sender="noreply@mail.example")
        assert len(server.taken) == 1
        for _ in range(4):
            clock.move(minutes=2)
            house.app.worker.drain()
        told = [one for one in server.taken if "人身安全" in str(one.message["Subject"])]
    assert sorted(one.rcpt_tos[0] for one in told) == ["a@lead.example", "b@lead.example"]
    message = told[0].message
    assert message["Auto-Submitted"] == "auto-generated"
    assert number in str(message["Subject"])
    body = message.get_content()
    assert f"https://jiesu.example/console/complaints/{number}" in body
    assert "林树" not in body


def test_a_notice_that_comes_back_rings_no_bell(houses: Houses, clock: FakeClock) -> None:
    house = houses(robot("leads", "email", recipients=["lead@x.example"]), **MAIL)
    house.complain("产品质量", "产品质量 危险", sender="noreply@mail.example")
    clock.move(seconds=5)
    # Somebody forwards the lead's box to the address where complaints come in, and the words of a notice tell of danger.
    raw = house.mailer.taken[-1].raw
    number = house.app.accept(submission(raw, at=clock.now())).number
    house.app.worker.drain()
    with house.app.store.write() as conn:
        triaged = _triaged(house, number, ("safety",))
        assert all(message.machine for message in triaged.messages)
        house.app.alarms.noticing.risks(conn, triaged, clock.now())
    clock.move(days=30)
    house.look()
    assert not [one for one in house.notices() if one.number == number]


def test_what_a_mail_server_says_of_several_recipients(houses: Houses, clock: FakeClock) -> None:
    house = houses(robot("leads", "email", recipients=["a@lead.example", "b@lead.example"], notices=["risk"]), **MAIL)
    refused = MailOutcome(MailCode.REFUSED, 550, 0.1, "no such box a@lead.example")
    house.mailer.outcomes = [refused, MailOutcome(MailCode.ACCEPTED, 250, 0.1)]
    house.complain("产品质量", "产品质量 危险", sender="noreply@mail.example")
    (line,) = house.log("NoticesTold")
    assert "1 个收件人被拒收" in line["zh"]
    clock.move(minutes=1)
    house.mailer.outcomes = [refused, refused]
    house.complain("产品质量", "产品质量 危险", sender="noreply@mail.example")
    (line,) = house.log("NoticesNotTold")
    assert (line["code"], line["status"]) == ("mail", 550)
    assert "a@lead.example" not in house.stream.getvalue()


# ---- Crashes and nodes -----------------------------------------------------------------------------------------------------------------


def test_a_notice_outlives_a_crash_between_its_cause_and_its_telling(houses: Houses, wecom: Maker, clock: FakeClock) -> None:
    house = houses(robot("leads", "wecom", wecom.url))

    def die(*_: object) -> Any:
        raise SystemExit

    house.app.alarms.robots.tell = die  # type: ignore[method-assign]
    with pytest.raises(SystemExit):
        house.complain("漏水", DANGER)
    house.app.close()
    house.build()
    # The message that the dead one had in hand holds the robot for the time that a try takes at most.
    house.app.worker.drain()
    assert wecom.shown == []
    clock.move(seconds=11)
    house.app.worker.drain()
    assert len(wecom.shown) == 1
    clock.move(minutes=10)
    house.look()
    assert len(wecom.shown) == 1


def test_what_waits_for_a_robot_that_is_gone_is_parked_and_comes_back_with_it(houses: Houses, wecom: Maker, clock: FakeClock) -> None:
    wecom.answers = [(500, "oops")]
    house = houses(robot("leads", "wecom", wecom.url))
    house.complain("漏水", DANGER)
    settings = house.settings
    house.app.close()
    house.settings = settings.model_copy(update={"robot": []})
    house.build()
    assert [(job.kind, job.code) for job in house.app.quarantine.parked()] == [("notice", "unknown_robot")]
    house.app.close()
    house.settings = settings
    house.build()
    clock.move(minutes=1)
    house.app.worker.drain()
    assert len(wecom.shown) == 1


@pytest.mark.postgres
def test_two_nodes_tell_nothing_twice_and_keep_to_the_limit_together(
    houses: Houses, wecom: Maker, clock: FakeClock, postgres_url: str
) -> None:
    both = [houses(robot("leads", "wecom", wecom.url), JIESU_STORE_URL=postgres_url, JIESU_GENERAL_NODE=f"n{n}") for n in range(2)]
    numbers = [both[n % 2].complain("价格问题", "价格问题 风险=legal 楼盘=云栖里") for n in range(6)]
    for _ in range(11):
        clock.move(hours=3)
        threads = [threading.Thread(target=house.look) for house in both]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        for _ in range(8):
            clock.move(seconds=1)
            threads = [threading.Thread(target=house.app.worker.drain) for house in both]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
    told = [one.key for one in both[0].notices()]
    assert len(told) == len(set(told))
    assert {one.kind for one in both[0].notices()} == {"risk", "due_soon", "overdue"}
    assert {one.number for one in both[0].notices("overdue")} == set(numbers)
    # Every notice stood in exactly one message that was taken.
    of_taken = "JOIN robot_messages r ON r.id = m.message_id WHERE r.code = 'accepted'"
    with both[0].app.store.read() as conn:
        times = conn.exec_driver_sql(f"SELECT count(*) FROM message_notices m {of_taken} GROUP BY m.notice_id").scalars().all()
    assert list(times) == [1] * len(told)
    assert len(wecom.asked) == len(wecom.shown)
    gaps = [later - at for (at, _, _), (later, _, _) in zip(wecom.asked, wecom.asked[1:], strict=False)]
    assert min(gaps) >= timedelta(seconds=4)
    assert not both[0].log("Fault") + both[1].log("Fault")


@pytest.mark.postgres
def test_of_two_nodes_that_would_send_at_the_same_moment_one_does(clock: FakeClock, postgres_url: str) -> None:
    stores = [Store(postgres_url) for _ in range(2)]
    migrations.upgrade(stores[0])
    known, both, got = Robot("leads", RobotKind.WECOM), threading.Barrier(2, timeout=20), []

    def reserve(store: Store) -> None:
        with store.write() as conn:
            # Both have a transaction under way.
            conn.exec_driver_sql("SELECT 1")
            both.wait()
            got.append(notices.reserve(store, conn, known, clock.now()))

    for _ in range(25):
        clock.move(seconds=20)
        threads = [threading.Thread(target=reserve, args=(store,)) for store in stores]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    for store in stores:
        store.close()
    assert sum(one is not None for one in got) == 25
    assert len(got) == 50


# ---- Settings --------------------------------------------------------------------------------------------------------------------------

WRONG = [
    (robot("a", "wecom", "https://qyapi.weixin.qq.com/cgi-bin/webhook/send"), "robot.a.url", "key=…"),
    (robot("a", "dingtalk", "https://oapi.dingtalk.com/robot/send"), "robot.a.url", "access_token=…"),
    (robot("a", "wecom"), "robot.a.url", "robot-a.url"),
    (robot("a", "wecom", f"ftp://x/?key={KEY}"), "robot.a.url", "https://"),
    (robot("a", "email"), "robot.a.recipients", "收件人"),
    (robot("a", "email", recipients=["a@x.example"]), "robot.a.kind", "mail.enabled"),
    (robot("a", "email", recipients=["nobody"]), "robot.a.recipients", "邮箱地址"),
    (f'[mail]\nfrom_address = "t@x.example"\n{robot("a", "email", recipients=["T+b@x.example"])}', "robot.a.recipients", "受理投诉的地址"),
    (robot("a", "email", recipients=[f"{n}@x.example" for n in range(21)]), "robot.a.recipients", "20"),
    (robot("a", "wecom", f"https://x.example/?key={KEY}", per_minute=21), "robot.a.per_minute", "20"),
    (robot("a", "wecom", f"https://x.example/?key={KEY}", secret="SEC"), "robot.a.secret", "没有签名密钥"),
    (robot("a", "webhook", "https://x.example/", secret="SEC"), "robot.a.secret", "whsec_"),
    (robot("a", "wecom", f"https://x.example/?key={KEY}", notices=["oerdue"]), "robot.a.notices", "overdue"),
    (robot("a", "wecom", f"https://x.example/?key={KEY}", quiet="22-7"), "robot.a.quiet", "22:00-07:30"),
    (robot("a", "wecom", f"https://x.example/?key={KEY}", departments=["nobody"]), "robot.a.departments", "project"),
    (robot("a", "wecom", f"https://x.example/?key={KEY}") * 2, "robot.name", "用了两次"),
    (robot("a", "pager", f"https://x.example/?key={KEY}"), "robot.a.kind", "wecom"),
    (robot("a", "wecom", f"https://x.example/?key={KEY}", kid="x"), "robot.a.kid", "没有这个设置"),
]


@pytest.mark.parametrize(("toml", "key", "remedy"), WRONG)
def test_a_wrong_setting_names_the_robot_the_key_and_the_remedy_and_shows_no_key(tmp_path: Path, toml: str, key: str, remedy: str) -> None:
    (tmp_path / "jiesu.toml").write_text(toml, "utf-8")
    with pytest.raises(BadSetting) as caught:
        settings = config.load({"JIESU_HOME": str(tmp_path)})
        robots.of_settings(settings, list(bootstrap.load_plan(settings).departments))
    assert caught.value.key == key
    assert remedy in caught.value.zh
    assert caught.value.en
    assert KEY not in str(caught.value)


def test_keys_may_live_in_files(houses: Houses, clock: FakeClock, tmp_path: Path) -> None:
    with Maker("feishu", SECRET, clock.now) as maker:
        secrets = tmp_path / "home0" / "secrets"
        secrets.mkdir(parents=True)
        (secrets / "robot-leads.url").write_text(maker.url + "\n")
        (secrets / "robot-leads.secret").write_text(SECRET + "\n")
        for file in secrets.iterdir():
            file.chmod(0o600)
        house = houses(robot("leads", "feishu"))
        house.complain("漏水", DANGER)
        assert len(maker.shown) == 1
    known = house.app.alarms.robots.known["leads"]
    assert KEY not in repr(known)
    assert SECRET not in repr(known)
    assert house.state("leads").address == "http://" + maker.url.split("/")[2] + "/…"


def test_a_private_address_is_refused_unless_it_is_allowed(houses: Houses, wecom: Maker) -> None:
    toml = robot("leads", "wecom", wecom.url).replace('allow_private_hosts = ["127.0.0.1"]', "")
    house = houses(toml)
    house.complain("漏水", DANGER)
    assert wecom.asked == []
    assert house.log("NoticesNotTold")[0]["code"] == "forbidden_address"


def test_a_message_under_way_when_nobody_settles_it_counts_for_the_limit(houses: Houses, wecom: Maker, clock: FakeClock) -> None:
    house = houses(robot("leads", "wecom", wecom.url))
    store, known = house.app.store, house.app.alarms.robots.known["leads"]
    with store.write() as conn:
        first = notices.reserve(store, conn, known, clock.now())
        assert first is not None
        assert notices.reserve(store, conn, known, clock.now()) is None
        notices.give_up(conn, first)
        assert notices.reserve(store, conn, known, clock.now()) is not None


# ---- Faults of ours --------------------------------------------------------------------------------------------------------------------


def test_a_notice_that_nobody_can_put_into_words_silences_no_other(houses: Houses, wecom: Maker, clock: FakeClock) -> None:
    house = houses(robot("leads", "wecom", wecom.url))
    with house.app.store.write() as conn:
        house.app.alarms.noticing.put(conn, Notice("poison", NoticeKind.OVERDUE, clock.now(), "TS-1", "TS-1"), clock.now())
    number = house.complain("漏水", DANGER)
    assert [number in text for text in wecom.texts] == [True]
    assert house.log("Fault")[0]["where"] == "words of a notice"
    for _ in range(40):
        clock.move(hours=1)
        house.app.worker.drain()
    assert [(job.kind, job.number) for job in house.app.quarantine.parked()] == [("notice", "TS-1")]
    assert len(wecom.shown) == 1


def test_a_fault_while_telling_leaves_the_robot_alone_and_loses_nothing(houses: Houses, wecom: Maker, clock: FakeClock) -> None:
    house = houses(robot("leads", "wecom", wecom.url))
    robots_, real = house.app.alarms.robots, house.app.alarms.robots.tell

    def fail(*_: object) -> Any:
        raise ZeroDivisionError

    robots_.tell = fail  # type: ignore[method-assign]
    for _ in range(3):
        house.complain("漏水", DANGER)
    assert len(house.log("Fault")) == 1
    assert (house.log("NoticesNotTold")[0]["code"], house.state("leads").waiting) == ("fault", 3)
    robots_.tell = real  # type: ignore[method-assign]
    clock.move(minutes=2)
    house.app.worker.drain()
    clock.move(seconds=5)
    house.app.worker.drain()
    assert house.state("leads").waiting == 0


def test_a_test_that_arrives_and_a_new_start_bring_what_waits(houses: Houses, wecom: Maker, clock: FakeClock) -> None:
    house = houses(robot("leads", "wecom", wecom.url, notices=["risk"]))
    wecom.answers = [(500, "oops")] * 6
    house.complain("漏水", DANGER)
    for _ in range(5):
        clock.move(hours=2)
        house.app.worker.drain()
    asked = len(wecom.asked)
    clock.move(minutes=16)
    house.app.worker.drain()
    assert len(wecom.asked) == asked
    wecom.answers = []
    assert house.app.alarms.robots.test("leads", by="tests").code == "accepted"
    clock.move(seconds=5)
    house.app.worker.drain()
    assert len(wecom.shown) == 2
    wecom.answers = [(500, "oops")] * 6
    house.complain("漏水", DANGER)
    for _ in range(5):
        clock.move(hours=2)
        house.app.worker.drain()
    wecom.answers = []
    clock.move(minutes=16)
    house.app.close()
    house.build()
    house.app.worker.drain()
    assert len(wecom.shown) == 3


# ---- Upgrades --------------------------------------------------------------------------------------------------------------------------


def test_after_an_upgrade_the_terms_that_lie_ahead_are_known_and_old_ones_ring_no_bell(store_url: str) -> None:
    opened, now = Store(store_url), datetime.now(UTC)
    settings = Config()
    settings.set_main_option("script_location", "gateway.store:migrations")
    settings.set_main_option("path_separator", "os")
    with opened.write() as conn:
        settings.attributes["connection"] = conn
        command.upgrade(settings, "0009")
        for number, state, reply, resolve in (("TS-1", "routed", -1, 30), ("TS-2", "closed", 5, 30), ("TS-3", "in_progress", 5, 30)):
            row = {"number": number, "channel": "email", "received_at": now, "state": state, "round": 1, "title": ""}
            conn.execute(insert(complaint_table).values(**row))
            made = {"number": number, "at": now, "department": "sales", "priority": "normal", "rule": "x", "plan_version": "1"}
            for hours in (1000, 0):
                # The newest counts.
                dues = {"reply_due": reply + hours, "resolve_due": resolve + hours}
                body = {key: ticket.iso(now + timedelta(hours=due)) for key, due in dues.items()}
                conn.execute(insert(assignment_table).values(**made, body=body))
    migrations.upgrade(opened)
    with opened.read() as conn:
        found = open_terms.to_look_at(conn, now + timedelta(days=90), 10)
    opened.close()
    assert sorted((one.number, one.term.value) for one in found) == [("TS-1", "resolve"), ("TS-3", "reply"), ("TS-3", "resolve")]
    (reply,) = [one for one in found if one.term == "reply"]
    assert abs(reply.due - (now + timedelta(hours=5))) < timedelta(seconds=1)
    assert abs(reply.begun - now) < timedelta(seconds=1)
