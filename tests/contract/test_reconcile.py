"""Reconciliation: nothing is unexplained in a store that is whole, and what is taken out of it by hand is counted."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from factories import mail, submission
from fakes import FakeSender
from handoff_house import House
from sqlalchemy import delete, select, update
from typer.testing import CliRunner

from gateway.cli import cli
from gateway.erasing import Reason
from gateway.reconcile import BUCKETS, NightlyReconciliation
from gateway.store import endpoints, jobs
from models.correction import Source
from models.delivery import Outcome, OutcomeCode
from models.errors import Refused
from models.submission import Channel
from models.tables import attempts, complaints, deliveries, events, messages, submissions
from models.tables import jobs as jobs_table
from models.verdict import ComplaintClass

TWO = """
[[endpoint]]
name = "legal"
url = "http://x.example/legal"
classes = ["contract"]
"""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def house(request: pytest.FixtureRequest, tmp_path: Path):
    url = {} if request.param == "sqlite" else {"JIESU_STORE_URL": request.getfixturevalue("postgres_url")}
    made = House(tmp_path / "home", TWO, **url)
    yield made
    made.app.close()


def chat(house: House, line: str, conversation: str) -> str:
    raw = json.dumps({"id": line, "text": line}).encode()
    key = f"{conversation}:{line}"
    sent = submission(raw, channel=Channel.CHAT, key=key, conversation=conversation, at=house.clock.now())
    return house.app.accept(sent).number


def fill(house: House) -> None:
    """Three mails, a chat of two lines, one unreadable call: six submissions, five complaints."""
    for subject in ("价格问题", "合同问题", "服务态度"):
        house.complain(subject, subject)
    chat(house, "价格问题", "talk")
    chat(house, "在吗", "talk")
    house.app.accept(submission(b'{"unknown": 1}', channel=Channel.PHONE, at=house.clock.now()))
    house.clock.move(seconds=9)
    house.app.worker.drain()


def report(house: House) -> dict[str, Any]:
    found = house.app.reconciliation.days(35).as_json()
    assert all(one["sum"] == found["accepted"] for one in found["endpoints"].values())
    return found


def counts(house: House, endpoint: str = "tracker") -> dict[str, int]:
    found = report(house)["endpoints"][endpoint]
    return {bucket: found[bucket] for bucket in BUCKETS if found[bucket]}


def test_everything_is_somewhere(house: House) -> None:
    fill(house)
    found = report(house)
    assert (found["accepted"], found["complaints"], found["unexplained"]) == (6, 5, 0)
    assert counts(house) == {"delivered": 4, "joined": 1, "parked": 1}
    assert counts(house, "legal") == {"delivered": 1, "joined": 1, "parked": 1, "not_for_it": 3}


def test_what_waits_what_is_given_up_and_what_is_parked_are_told_apart(house: House) -> None:
    # One event that the receiver never takes, another that waits behind an endpoint that is off.
    house.sender.of["legal"] = FakeSender(fail_times=10**6, failure=Outcome(OutcomeCode.CLIENT_ERROR, 422, 0.1))
    house.complain("合同问题", "合同问题")
    for _ in range(11):
        house.clock.move(hours=26)
        house.app.worker.drain()
    assert counts(house, "legal") == {"dead": 1}
    with house.app.store.write() as conn:
        endpoints.disable(house.app.store, conn, "legal", "by hand", house.clock.now())
    house.complain("合同问题", "合同问题")
    assert counts(house, "legal") == {"dead": 1, "pending": 1}
    house.app.accept(submission(mail("合同问题"), at=house.clock.now()))
    # Nothing was read yet.
    assert counts(house, "legal") == {"dead": 1, "pending": 2}
    assert report(house)["unexplained"] == 0


def _one(house: House, table: Any, column: Any, *where: Any) -> Any:
    with house.app.store.read() as conn:
        return conn.execute(select(column).where(*where).order_by(column).limit(1)).scalar_one()


def test_a_job_that_is_gone_is_counted(house: House) -> None:
    house.sender.of["tracker"] = FakeSender(fail_times=1)
    number = house.complain()
    with house.app.store.write() as conn:
        assert conn.execute(delete(jobs_table).where(jobs_table.c.kind == "deliver")).rowcount == 1
    found = report(house)
    assert found["unexplained"] == 1
    assert found["endpoints"]["tracker"]["why"] == {"no_job": 1}
    assert found["endpoints"]["tracker"]["numbers"] == [number]


@pytest.mark.parametrize(
    ("harm", "why"),
    [("event", "no_event"), ("delivery", "no_delivery"), ("message", "not_read"), ("intake", "not_read"), ("triage", "not_sorted")],
)
def test_whatever_is_taken_out_is_counted(house: House, harm: str, why: str) -> None:
    fill(house)
    first = _one(house, complaints, complaints.c.number)
    with house.app.store.write() as conn:
        if harm in ("event", "delivery"):
            ids = select(deliveries.c.id).where(deliveries.c.number == first)
            conn.execute(delete(attempts).where(attempts.c.delivery_id.in_(ids)))
            conn.execute(delete(deliveries).where(deliveries.c.number == first))
        if harm == "event":
            conn.execute(delete(events).where(events.c.number == first))
        if harm == "message":
            conn.execute(delete(messages).where(messages.c.number == first))
        if harm == "intake":
            assert conn.execute(delete(jobs_table).where(jobs_table.c.kind == "intake")).rowcount == 1
        if harm == "triage":
            conn.execute(update(complaints).where(complaints.c.number == first).values(triaged_through=0))
    found = report(house)
    assert found["unexplained"] == 1
    assert found["endpoints"]["tracker"]["why"] == {why: 1}


def test_a_submission_that_is_gone_leaves_its_number(house: House) -> None:
    for _ in range(2):
        house.app.accept(submission(mail("价格问题"), at=house.clock.now()))
    with house.app.store.write() as conn:
        conn.execute(delete(jobs_table))
        conn.execute(delete(submissions).where(submissions.c.id == 1))
        jobs.enqueue(conn, [jobs.NewJob("intake", "TS-20261123-0002", "TS-20261123-0002", {"submission_id": 2})], house.clock.now())
    found = report(house)
    assert (found["lost_numbers"], found["unexplained"]) == ({"20261123": 1}, 1)


def test_a_period_is_a_period(house: House) -> None:
    fill(house)
    at = house.clock.now()
    assert house.app.reconciliation.report(at + timedelta(days=1), at + timedelta(days=2)).as_json()["accepted"] == 0
    assert house.app.reconciliation.report(at - timedelta(days=1), at + timedelta(days=1)).as_json()["accepted"] == 6


# ---- Later messages of the same complaint ---------------------------------------------------------------------------------------------


def sorted_line(house: House, line: str, conversation: str = "talk") -> str:
    number = chat(house, line, conversation)
    house.clock.move(seconds=9)
    house.app.worker.drain()
    return number


def of_days(house: House, since: datetime, until: datetime, endpoint: str = "tracker") -> dict[str, int]:
    found = house.app.reconciliation.report(since, until).as_json()["endpoints"][endpoint]
    assert found["sum"] == sum(found[bucket] for bucket in BUCKETS)
    return {bucket: found[bucket] for bucket in BUCKETS if found[bucket]}


REFUSES = Outcome(OutcomeCode.CLIENT_ERROR, 422, 0.1)


@pytest.mark.parametrize("fate", ["delivered", "dead", "pending", "parked", "no_job", "no_delivery", "no_event"])
def test_what_becomes_of_a_later_message_is_told_of_that_one(house: House, fate: str) -> None:
    begun = house.clock.now()
    number = sorted_line(house, "价格问题")
    later = house.clock.now() + timedelta(days=20)
    assert of_days(house, begun, later) == {"delivered": 1}
    house.clock.move(days=25)
    if fate != "delivered":
        house.sender.of["tracker"] = FakeSender(fail_times=10**6, failure=REFUSES)
    assert sorted_line(house, "还没有人来") == number
    if fate == "dead":
        for _ in range(11):
            house.clock.move(hours=26)
            house.app.worker.drain()
    with house.app.store.write() as conn:
        newest = conn.execute(select(events.c.id).order_by(events.c.seq.desc()).limit(1)).scalar_one()
        if fate == "parked":
            parked = {"state": "parked", "reason_code": "by_hand"}
            assert conn.execute(update(jobs_table).where(jobs_table.c.kind == "deliver").values(**parked)).rowcount == 1
        if fate.startswith("no_"):
            assert conn.execute(delete(jobs_table).where(jobs_table.c.kind == "deliver")).rowcount == 1
        if fate in ("no_delivery", "no_event"):
            ids = select(deliveries.c.id).where(deliveries.c.event_id == newest)
            conn.execute(delete(attempts).where(attempts.c.delivery_id.in_(ids)))
            conn.execute(delete(deliveries).where(deliveries.c.event_id == newest))
        if fate == "no_event":
            conn.execute(delete(events).where(events.c.id == newest))
    # What is over stays as it was, and the later one says what became of it.
    assert of_days(house, begun, later) == {"delivered": 1}
    bucket = "unexplained" if fate.startswith("no_") else fate
    assert of_days(house, later, house.clock.now() + timedelta(days=1)) == {bucket: 1}


def test_messages_that_are_sorted_together_have_one_event(house: House) -> None:
    house.sender.of["tracker"] = FakeSender(fail_times=10**6, failure=REFUSES)
    for line in ("价格问题", "在吗", "快一点"):
        chat(house, line, "talk")
    house.clock.move(seconds=9)
    house.app.worker.drain()
    assert counts(house) == {"pending": 1, "joined": 2}
    house.sender.of["tracker"] = FakeSender()
    house.clock.move(hours=26)
    house.app.worker.drain()
    assert counts(house) == {"delivered": 1, "joined": 2}
    # Two more, at another time: one event of their own.
    chat(house, "合同问题", "talk")
    sorted_line(house, "合同问题，定金不退")
    assert counts(house) == {"delivered": 2, "joined": 3}


def test_what_staff_decides_and_the_end_go_with_the_last_message(house: House) -> None:
    begun = house.clock.now()
    number = sorted_line(house, "价格问题")
    later = house.clock.now() + timedelta(days=20)
    house.clock.move(days=25)
    sorted_line(house, "还没有人来")
    house.sender.of["tracker"] = FakeSender(fail_times=10**6, failure=REFUSES)
    house.app.correcting.correct(number, ComplaintClass.CONTRACT, by="王静", source=Source.CONSOLE)
    house.app.worker.drain()
    assert of_days(house, begun, later) == {"delivered": 1}
    assert of_days(house, later, house.clock.now() + timedelta(days=1)) == {"pending": 1}
    house.app.erasing.erase(number, reason=Reason.PERSON_ASKED, by="王静")
    house.app.worker.drain()
    assert of_days(house, begun, later) == {"delivered": 1}
    assert of_days(house, later, house.clock.now() + timedelta(days=1)) == {"pending": 1}
    assert report(house)["unexplained"] == 0


def test_an_event_that_is_gone_from_the_middle_is_missed(house: House) -> None:
    for line in ("价格问题", "还没有人来", "第三次说了"):
        sorted_line(house, line)
    with house.app.store.write() as conn:
        middle = conn.execute(select(events.c.id).where(events.c.type == "complaint.updated").order_by(events.c.seq).limit(1)).scalar_one()
        ids = select(deliveries.c.id).where(deliveries.c.event_id == middle)
        conn.execute(delete(attempts).where(attempts.c.delivery_id.in_(ids)))
        conn.execute(delete(deliveries).where(deliveries.c.event_id == middle))
        conn.execute(delete(events).where(events.c.id == middle))
    found = report(house)["endpoints"]["tracker"]
    assert (found["why"], found["delivered"]) == ({"no_event": 1}, 1)


@pytest.mark.parametrize("seed", range(4))
def test_a_day_that_is_over_stays_as_it_was(house: House, seed: int) -> None:
    chance = random.Random(seed)
    days: list[tuple[datetime, datetime]] = []
    reports: list[dict[str, Any]] = []
    for day in range(6):
        since = house.clock.now()
        # Nobody takes anything on the last day.
        if day == 5:
            house.sender.of["tracker"] = FakeSender(fail_times=10**6, failure=REFUSES)
        for n in range(chance.randint(1, 5)):
            chat(house, chance.choice(["价格问题", "合同问题", "还没有人来"]) + f" {day}-{n}", f"talk-{chance.randint(1, 3)}")
            if chance.random() < 0.6:
                house.clock.move(seconds=9)
                house.app.worker.drain()
        house.clock.move(hours=20)
        house.app.worker.drain()
        days.append((since, house.clock.now()))
        now = [house.app.reconciliation.report(*one).as_json() for one in days]
        assert now[:-1] == reports
        assert now[-1]["unexplained"] == 0
        assert now[-1]["endpoints"]["tracker"]["sum"] == now[-1]["accepted"]
        reports = now
    assert reports[-1]["endpoints"]["tracker"]["delivered"] == 0
    assert reports[-1]["endpoints"]["tracker"]["pending"] >= 1
    assert all(one["endpoints"]["tracker"]["pending"] == 0 for one in reports[:-1])


# ---- At night -------------------------------------------------------------------------------------------------------------------------


def test_it_is_done_once_a_night_and_a_person_is_warned(house: House) -> None:
    house.sender.of["tracker"] = FakeSender(fail_times=1)
    house.complain()
    nightly: NightlyReconciliation = house.app.nightly_reconciliation
    # It was never done. The clock of the tests stands at nine in the morning in Shanghai.
    assert nightly.look()
    assert not nightly.look()
    house.stream.truncate(0)
    house.stream.seek(0)
    house.clock.move(hours=17)
    assert not nightly.look()
    house.clock.move(hours=1)
    assert nightly.look()
    assert not nightly.look()
    assert (nightly.unexplained, len(house.log("Reconciled"))) == (0, 1)
    with house.app.store.write() as conn:
        conn.execute(delete(jobs_table).where(jobs_table.c.kind == "deliver"))
    house.clock.move(hours=24)
    assert nightly.look()
    (line,) = house.log("Unexplained")
    assert (line["count"], line["why"], line["level"]) == (1, {"no_job": 1}, "warning")
    assert house.app.metrics.registry.get_sample_value("jiesu_unexplained") == 1


def test_a_night_on_which_nobody_was_there_is_made_up_for_at_the_next_start(house: House) -> None:
    house.sender.of["tracker"] = FakeSender(fail_times=1)
    house.complain()
    assert house.app.nightly_reconciliation.look()
    with house.app.store.write() as conn:
        conn.execute(delete(jobs_table).where(jobs_table.c.kind == "deliver"))
    house.app.close()
    # Down from nine until noon of the next day, over three in the morning.
    house.clock.move(hours=27)
    house.build()
    nightly = house.app.nightly_reconciliation
    assert nightly.look()
    assert (nightly.unexplained, len(house.log("Unexplained"))) == (1, 1)
    assert not nightly.look()
    house.app.close()
    # Started once more on that day: nothing is done again, and the figure is the one that was found.
    house.clock.move(hours=1)
    house.build()
    nightly = house.app.nightly_reconciliation
    assert not nightly.look()
    assert house.app.metrics.registry.get_sample_value("jiesu_unexplained") == 1


def test_a_clock_that_was_ahead_and_is_put_right_ends_no_reconciling(house: House) -> None:
    nightly = house.app.nightly_reconciliation
    house.clock.move(days=365)
    assert nightly.look()
    house.clock.move(days=-365)
    assert nightly.look()
    assert not nightly.look()
    house.clock.move(days=1)
    assert nightly.look()


def test_a_period_that_ends_before_it_begins_is_refused(house: House) -> None:
    at = house.clock.now()
    with pytest.raises(Refused, match=r"起始日期晚于截止日期.*first day comes after") as refused:
        house.app.reconciliation.report(at, at - timedelta(days=1))
    assert refused.value.code == "dates_reversed"


@pytest.mark.parametrize("command", [["report", "reconcile"], ["endpoints", "redeliver", "tracker"]])
def test_the_commands_refuse_reversed_dates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    House(tmp_path / "home").app.close()
    monkeypatch.setenv("JIESU_HOME", str(tmp_path / "home"))
    done = CliRunner().invoke(cli, [*command, "--from", "2026-11-30", "--to", "2026-11-01"])
    assert done.exit_code == 1
    assert getattr(done.exception, "code", "") == "dates_reversed"
    assert "对调" in str(done.exception)
    assert CliRunner().invoke(cli, [*command, "--from", "2026-11-30", "--to", "2026-11-30"]).exit_code == 0


def test_the_command_tells_it_and_fails_when_something_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(tmp_path / "home", TWO)
    house.sender.of["tracker"] = FakeSender(fail_times=1)
    house.complain()
    monkeypatch.setenv("JIESU_HOME", str(tmp_path / "home"))
    period = ["--from", "2026-11-01", "--to", "2026-11-30"]
    done = CliRunner().invoke(cli, ["report", "reconcile", "--json", *period])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["accepted"], told["endpoints"]["tracker"]["pending"], told["unexplained"]) == (1, 1, 0)
    with house.app.store.write() as conn:
        conn.execute(delete(jobs_table))
    house.app.close()
    done = CliRunner().invoke(cli, ["report", "reconcile", *period])
    assert done.exit_code == 1
    assert getattr(done.exception, "code", "") == "unexplained"
    assert "no_job" in done.output
    assert CliRunner().invoke(cli, ["report", "reconcile", "--from", "yesterday"]).exit_code == 1
