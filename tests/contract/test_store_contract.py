"""What the store promises, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from factories import MORNING, submission
from sqlalchemy import select

from gateway.store import complaints, endpoints, events, jobs, migrations, plans, submissions, talks, trained
from gateway.store.engine import Store
from gateway.store.events import Tried
from gateway.store.jobs import Job, NewJob
from models.delivery import Event, EventType, Outcome, OutcomeCode
from models.errors import BadSetting, Refused, TryLater
from models.submission import Channel, Receipt, Submission
from models.tables import messages, metadata, trained_models
from models.tables import submissions as submissions_table

SHANGHAI = ZoneInfo("Asia/Shanghai")
LEASE = timedelta(seconds=60)


def take_in(store: Store, *offered: Submission, at=MORNING) -> list[Receipt]:
    with store.write() as conn:
        return submissions.take_in(store, conn, offered, SHANGHAI, at)


def enqueue(store: Store, *new: NewJob, at=MORNING) -> None:
    with store.write() as conn:
        jobs.enqueue(conn, new, at)


def claim(store: Store, kind: str = "k", *, limit: int = 10, worker: str = "w", at=MORNING, behind_parked: bool = True) -> list[Job]:
    with store.write() as conn:
        return jobs.claim(store, conn, kind, limit=limit, lease=LEASE, worker=worker, now=at, behind_parked=behind_parked)


def job(name: str, *, kind: str = "k", order: str | None = None, **more) -> NewJob:
    return NewJob(kind, name, order or name, {"name": name}, **more)


# Migrations


def test_migrations_give_the_schema_of_tables(store: Store) -> None:
    with store.read() as conn:
        difference = compare_metadata(MigrationContext.configure(conn, opts={"compare_type": True}), metadata)
    assert difference == []


def test_the_head_that_start_up_trusts_is_the_scripts_head() -> None:
    script = ScriptDirectory(str(migrations.__path__[0]))
    assert script.get_current_head() == migrations.HEAD


def test_a_database_newer_than_the_program_is_refused(store: Store) -> None:
    from sqlalchemy import text

    with store.write() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(BadSetting, match="upgrade the program"):
        migrations.upgrade(store)


def test_two_nodes_may_migrate_at_once(store_url: str) -> None:
    stores = [Store(store_url) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(migrations.upgrade, stores))
    with stores[0].read() as conn:
        assert migrations.current(conn) == migrations.HEAD
    for opened in stores:
        opened.close()


# Submissions


def test_each_submission_gets_a_number_of_its_day_and_one_job(store: Store) -> None:
    receipts = take_in(store, submission(), submission(), at=MORNING)
    assert [r.number for r in receipts] == ["TS-20261123-0001", "TS-20261123-0002"]
    assert not any(r.duplicate for r in receipts)
    assert [j.payload["submission_id"] for j in claim(store, "intake")] == [r.submission_id for r in receipts]
    # 16:30 UTC is past midnight in Shanghai.
    assert take_in(store, submission(), at=MORNING.replace(hour=16, minute=30))[0].number == "TS-20261124-0001"


def test_the_raw_bytes_come_back_as_they_were(store: Store) -> None:
    raw = bytes(range(256)) * 40
    offered = submission(raw)
    receipt = take_in(store, offered)[0]
    with store.read() as conn:
        kept, number = submissions.load(conn, [receipt.submission_id])[receipt.submission_id]
    assert kept == offered
    assert number == receipt.number


def test_the_same_submission_again_gets_the_same_receipt_and_no_second_job(store: Store) -> None:
    first = take_in(store, submission(key="same"))[0]
    again = take_in(store, submission(key="same"), submission(), submission(key="same"))
    assert again[0] == again[2] == Receipt(first.submission_id, first.number, duplicate=True)
    assert not again[1].duplicate
    assert len(claim(store, "intake")) == 2


def test_twice_in_one_group_is_stored_once(store: Store) -> None:
    receipts = take_in(store, submission(key="a"), submission(key="b"), submission(key="a"))
    assert [r.duplicate for r in receipts] == [False, False, True]
    assert receipts[0].number == receipts[2].number == "TS-20261123-0001"
    assert receipts[1].number == "TS-20261123-0002"


def test_lines_of_one_conversation_share_a_number_and_waste_none(store: Store) -> None:
    def line(key: str) -> Submission:
        return submission(b"{}", channel=Channel.CHAT, key=key, conversation="talk")

    first = take_in(store, line("1"), line("2"), submission())
    assert [r.number for r in first] == ["TS-20261123-0002", "TS-20261123-0002", "TS-20261123-0001"] or [r.number for r in first] == [
        "TS-20261123-0001",
        "TS-20261123-0001",
        "TS-20261123-0002",
    ]
    assert take_in(store, line("3"))[0].number == first[0].number
    assert take_in(store, submission())[0].number == "TS-20261123-0003"
    with store.read() as conn:
        assert [one.number for one in talks.written(conn, ["talk"], "message/rfc822")] == [first[0].number] * 3


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError), store.write() as conn:
        submissions.take_in(store, conn, [submission(key="gone")], SHANGHAI, MORNING)
        raise RuntimeError
    with store.read() as conn:
        assert conn.execute(select(submissions_table.c.id)).all() == []
    assert claim(store, "intake") == []
    assert take_in(store, submission(key="gone"))[0].number == "TS-20261123-0001"


def test_many_threads_take_in_at_once_without_a_gap_or_a_double(store: Store) -> None:
    def one(n: int) -> Receipt:
        return take_in(store, submission(key=f"thread-{n % 30}"))[0]

    with ThreadPoolExecutor(8) as threads:
        receipts = []
        for future in [threads.submit(one, n) for n in range(60)]:
            try:
                receipts.append(future.result())
            except Exception as error:
                # Two nodes may insert the same key at the same moment; the second is told so and finds it when it tries again.
                assert type(error).__name__ == "IntegrityError"
    with store.read() as conn:
        rows = conn.execute(select(submissions_table.c.number)).scalars().all()
    assert len(rows) == len(set(rows)) == 30


# Jobs


def test_jobs_are_claimed_in_order_and_only_when_due(store: Store) -> None:
    later = MORNING + timedelta(seconds=5)
    enqueue(store, job("a"), job("b", run_at=later), job("c"))
    assert [j.number for j in claim(store)] == ["a", "c"]
    assert claim(store) == []
    assert [j.number for j in claim(store, at=later)] == ["b"]


def test_an_attempt_is_counted_when_it_is_claimed(store: Store) -> None:
    enqueue(store, job("a"))
    first = claim(store)[0]
    assert (first.attempts, first.unreported) == (1, 1)
    # The worker dies; its lease runs out.
    again = claim(store, worker="other", at=MORNING + LEASE)[0]
    assert (again.id, again.attempts, again.unreported) == (first.id, 2, 2)


def test_a_job_whose_worker_died_is_handed_out_alone(store: Store) -> None:
    enqueue(store, *(job(str(n)) for n in range(4)))
    assert len(claim(store)) == 4
    after = MORNING + LEASE
    enqueue(store, job("fresh"), at=after)
    assert [j.number for j in claim(store, at=after)] == ["0"]
    assert [j.number for j in claim(store, at=after)] == ["1"]


def test_a_late_worker_cannot_finish_what_another_has_taken_over(store: Store) -> None:
    enqueue(store, job("a"))
    mine = claim(store, worker="slow")[0]
    theirs = claim(store, worker="quick", at=MORNING + LEASE)[0]
    with store.write() as conn:
        assert not jobs.finish(conn, [mine], "slow")
        assert not jobs.retry(conn, mine, "slow", at=MORNING, code="c", reason="r")
        assert not jobs.park(conn, mine, "slow", code="c", reason="r")
        assert jobs.finish(conn, [theirs], "quick")


def test_jobs_of_one_order_key_run_one_after_another(store: Store) -> None:
    enqueue(store, job("1", order="x"), job("2", order="x"), job("3", order="y"))
    mine = claim(store)
    assert [j.number for j in mine] == ["1", "3"]
    assert claim(store) == []
    with store.write() as conn:
        assert jobs.retry(conn, mine[0], "w", at=MORNING + timedelta(seconds=9), code="c", reason="r")
    # The first waits for its next try, and the one behind it waits with it.
    assert claim(store) == []
    retried = claim(store, at=MORNING + timedelta(seconds=9))
    assert [j.number for j in retried] == ["1"]
    assert (retried[0].attempts, retried[0].unreported) == (2, 1)
    with store.write() as conn:
        assert jobs.finish(conn, [retried[0]], "w")
    assert [j.number for j in claim(store)] == ["2"]


@pytest.mark.parametrize(("behind_parked", "let_pass"), [(True, ["2"]), (False, [])])
def test_whether_a_parked_job_holds_back_those_behind_it(store: Store, behind_parked: bool, let_pass: list[str]) -> None:
    enqueue(store, job("1", order="x"), job("2", order="x"))
    first = claim(store)[0]
    with store.write() as conn:
        assert jobs.park(conn, first, "w", code="bad", reason="因为")
    assert [j.number for j in claim(store, behind_parked=behind_parked)] == let_pass


def test_parking_keeps_the_reason_and_replaying_forgets_the_count(store: Store) -> None:
    enqueue(store, job("a"))
    mine = claim(store)[0]
    with store.write() as conn:
        jobs.park(conn, mine, "w", code="unreadable", reason="读不懂")
    with store.read() as conn:
        assert [(p.number, p.reason_code, p.reason, p.attempts) for p in jobs.parked(conn)] == [("a", "unreadable", "读不懂", 1)]
    with store.write() as conn:
        assert [j.id for j in jobs.replay(conn, [mine.id, 999], MORNING)] == [mine.id]
        assert jobs.replay(conn, [mine.id], MORNING) == []
    assert claim(store)[0].attempts == 1


def test_no_job_is_claimed_twice_by_workers_at_once(store: Store) -> None:
    enqueue(store, *(job(str(n)) for n in range(200)))
    claimed: list[int] = []
    lock = threading.Lock()

    def work(name: str) -> None:
        while mine := claim(store, limit=7, worker=name):
            with lock:
                claimed.extend(j.id for j in mine)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == 200


def test_a_waiting_job_is_postponed_but_not_for_ever(store: Store) -> None:
    def again(seconds: float) -> None:
        now = MORNING + timedelta(seconds=seconds)
        with store.write() as conn:
            new = NewJob("k", "a", "a", {}, run_at=now + timedelta(seconds=4))
            jobs.postpone_or_enqueue(conn, new, now, latest_after=timedelta(seconds=10))

    for seconds in (0, 3, 6, 9):
        again(seconds)
    assert claim(store, at=MORNING + timedelta(seconds=9.9)) == []
    mine = claim(store, at=MORNING + timedelta(seconds=10))
    assert len(mine) == 1
    # While that one is at work, a further line makes a job of its own, which waits its turn.
    again(11)
    assert claim(store, at=MORNING + timedelta(seconds=20)) == []
    with store.write() as conn:
        jobs.finish(conn, [mine[0]], "w")
    assert len(claim(store, at=MORNING + timedelta(seconds=20))) == 1


def test_a_killed_process_leaves_its_jobs_to_the_next(store: Store) -> None:
    enqueue(store, job("a"))
    claim(store)
    with store.write() as conn:
        assert jobs.release_all_leases(conn, MORNING) == 1
    assert claim(store, worker="next")[0].unreported == 2


def test_a_job_that_was_in_hand_at_kill_after_kill_is_let_lie_longer_each_time(store: Store) -> None:
    enqueue(store, job("a"))
    now, waits = MORNING, []
    for n in range(6):
        assert [j.number for j in claim(store, at=now)] == ["a"]
        with store.write() as conn:
            assert jobs.release_all_leases(conn, now) == 1
            due = jobs.next_due(conn, ["k"])
        if due > now:
            # It keeps nobody else waiting.
            enqueue(store, job(f"b{n}"), at=now)
            other = claim(store, at=now)
            assert [j.number for j in other] == [f"b{n}"]
            with store.write() as conn:
                jobs.finish(conn, other, "w")
        waits.append((due - now).total_seconds())
        now = due
    assert waits == [0, 10, 120, 600, 600, 600]


def test_hastening_makes_waiting_jobs_of_one_endpoint_due(store: Store) -> None:
    later = MORNING + timedelta(hours=1)
    enqueue(
        store, *(job(name, order=f"{endpoint}:{name}", queue=endpoint) for name, endpoint in (("1", "main"), ("2", "other"), ("3", "main")))
    )
    with store.write() as conn:
        for mine, code in zip(jobs_claimed(store, conn, "main"), ("away", "throttled"), strict=True):
            jobs.retry(conn, mine, "w", at=later, code=code, reason="r")
    with store.write() as conn:
        assert jobs.hasten(conn, "k", "main", MORNING, code="away") == 1
        assert [j.number for j in jobs_claimed(store, conn, "main")] == ["1"]
        assert [j.number for j in jobs_claimed(store, conn, "other")] == ["2"]
        assert jobs.hasten(conn, "k", "main", MORNING) == 1
        assert [j.number for j in jobs_claimed(store, conn, "main")] == ["3"]


def jobs_claimed(store: Store, conn, queue: str) -> list[Job]:
    return jobs.claim(store, conn, "k", limit=10, lease=LEASE, worker="w", now=MORNING, behind_parked=True, queue=queue)


def test_jobs_of_one_kind_wait_for_those_of_another_of_the_same_complaint(store: Store) -> None:
    later = MORNING + timedelta(hours=1)
    enqueue(store, NewJob("triage", "A", "A", {}), NewJob("triage", "B", "B", {}), NewJob("triage", "C", "C", {}))
    # A has a line that is not read yet; B one that is being tried again much later, which must not hold it up.
    enqueue(store, NewJob("intake", "A", "A", {}), NewJob("intake", "B", "B", {}, run_at=later))
    with store.write() as conn:
        found = jobs.claim(store, conn, "triage", limit=9, lease=LEASE, worker="w", now=MORNING, behind_parked=True, after="intake")
    assert [j.number for j in found] == ["B", "C"]


def test_any_number_of_parked_jobs_is_put_back(store: Store) -> None:
    enqueue(store, *(job(str(n)) for n in range(1200)))
    with store.write() as conn:
        claimed = jobs.claim(store, conn, "k", limit=1200, lease=LEASE, worker="w", now=MORNING, behind_parked=True)
        for each in claimed:
            jobs.park(conn, each, "w", code="c", reason="r")
    with store.write() as conn:
        assert len(jobs.replay(conn, [each.id for each in claimed[:700]], MORNING)) == 700
        assert len(jobs.replay(conn, None, MORNING)) == 500


def test_an_sqlite_file_is_served_by_one_process_whatever_its_home(tmp_path) -> None:
    first, second = (Store(f"sqlite:///{tmp_path / 'x.db'}") for _ in range(2))
    first.hold_alone()
    with pytest.raises(Refused, match="already serving"):
        second.hold_alone()
    first.close()
    second.hold_alone()
    second.close()


def test_two_nodes_that_crown_at_once_leave_one_champion(store_url: str) -> None:
    stores = [Store(store_url) for _ in range(2)]
    migrations.upgrade(stores[0])

    def crown(n: int) -> None:
        with stores[n].write() as conn:
            trained.crown(stores[n], conn, f"v{n}", {}, b"x", MORNING)

    with ThreadPoolExecutor(2) as threads:
        for _ in range(10):
            list(threads.map(crown, range(2)))
    with stores[0].read() as conn:
        assert conn.execute(select(trained_models.c.version).where(trained_models.c.state == "champion")).scalars().all() in (
            ["v0"],
            ["v1"],
        )
    for opened in stores:
        opened.close()


# Everything else


def test_text_that_no_database_takes_is_made_storable(store: Store) -> None:
    receipt = take_in(store, submission())[0]
    with store.write() as conn:
        complaints.begin(store, conn, receipt.number, Channel.EMAIL, MORNING, "标题\x00\ud800")
        row = {
            "number": receipt.number,
            "submission_id": receipt.submission_id,
            "received_at": MORNING,
            "title": "",
            "said": "说\x00",
            "text": "\udfff",
            "machine": False,
            "parsed": {"details": {"k\x00": ["\ud800", 1]}, "hints": {"name": "林"}},
        }
        complaints.add_message(store, conn, row)
        complaints.add_message(store, conn, row)
    with store.read() as conn:
        kept = complaints.conversation(conn, [receipt.number])[receipt.number]
        assert complaints.load(conn, [receipt.number])[receipt.number].title == "标题\ufffd?"
        assert len(conn.execute(select(messages.c.id)).all()) == 1
    assert (kept[0].said, kept[0].hints.name) == ("说\ufffd", "林")
    assert kept[0].parsed["details"] == {"k\ufffd": ["?", 1]}


def test_an_event_has_one_delivery_an_endpoint_and_every_attempt_is_kept(store: Store) -> None:
    event = Event("evt_1", "TS-1", EventType.ROUTED, MORNING, '{"a":"中"}')
    with store.write() as conn:
        events.announce(conn, event, ["main", "other"])
    with store.write() as conn:
        mine = [
            job
            for queue in ("main", "other")
            for job in jobs.claim(store, conn, "deliver", limit=9, lease=LEASE, worker="w", now=MORNING, behind_parked=False, queue=queue)
        ]
    assert [j.order_key for j in mine] == ["main:TS-1", "other:TS-1"]
    with store.write() as conn:
        found = events.pending(conn, [j.payload["delivery_id"] for j in mine])
        assert {p.webhook_id for p in found.values()} == {"evt_1_main", "evt_1_other"}
        first = found[mine[0].payload["delivery_id"]]
        assert (first.payload, first.delivered) == (event.payload, False)
        events.record_attempts(conn, [Tried(first.id, Outcome(OutcomeCode.TIMEOUT, None, 1.5), MORNING)])
        events.record_attempts(conn, [Tried(first.id, Outcome(OutcomeCode.ACCEPTED, 204, 0.1, "好"), MORNING)])
    with store.read() as conn:
        assert [(a.code, a.status) for a in events.attempts_of(conn, "TS-1")] == [("timeout", None), ("accepted", 204)]
        assert events.undelivered(conn) == 1
        assert events.of_number(conn, "TS-1") == [event]


def test_an_endpoint_is_switched_off_and_on(store: Store) -> None:
    with store.write() as conn:
        endpoints.disable(store, conn, "main", "410", MORNING)
        endpoints.disable(store, conn, "main", "again", MORNING)
        assert endpoints.disabled(conn) == {"main": "410"}
        assert endpoints.standing(conn, "main").disabled == "410"
        endpoints.enable(conn, "main")
        assert endpoints.disabled(conn) == {}


def test_a_changed_plan_needs_a_new_version(store: Store) -> None:
    with store.write() as conn:
        plans.put_in_force(store, conn, "1", "aa", "文", MORNING)
        plans.put_in_force(store, conn, "1", "aa", "文", MORNING)
        plans.put_in_force(store, conn, "2", "bb", "文2", MORNING)
        with pytest.raises(BadSetting, match="new version"):
            plans.put_in_force(store, conn, "1", "cc", "改", MORNING)


def test_there_is_one_champion(store: Store) -> None:
    with store.write() as conn:
        assert trained.champion(conn) is None
        trained.crown(store, conn, "v1", {"figures": [0.5]}, b"1", MORNING)
        trained.crown(store, conn, "v2", {}, b"2", MORNING)
        assert trained.champion(conn) == trained.TrainedRow("v2", {}, b"2")
        trained.crown(store, conn, "v1", {}, b"other", MORNING)
        # A version's bytes never change.
        assert trained.champion(conn) == trained.TrainedRow("v1", {"figures": [0.5]}, b"1")
        assert trained.is_known(conn, "v2")
        assert not trained.is_known(conn, "v3")


def test_a_store_that_is_away_says_try_later(tmp_path) -> None:
    away = Store("postgresql://jiesu@127.0.0.1:1/none")
    with pytest.raises(TryLater), away.read():
        pass
    away.close()


@pytest.mark.parametrize("url", ["nonsense", "mysql://x/y"])
def test_an_address_that_is_no_store_is_named(url: str) -> None:
    with pytest.raises(BadSetting, match=r"store\.url"):
        Store(url)
