"""Many endpoints: who is told of what, in which form, how fast, and what becomes of one that fails."""

from __future__ import annotations

import base64
import json
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import pytest
from factories import MORNING, FakeClock
from fakes import FakeSender
from handoff_house import House
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from gateway import config, home
from gateway.announcing import test_payload as a_test
from gateway.cloudevents import CloudEvents
from gateway.keyring import Keyring, Rotated
from gateway.store import endpoints, jobs
from gateway.tracker import sign
from models.correction import Source
from models.delivery import About, Event, EventType, Outcome, OutcomeCode
from models.endpoint import Filter
from models.errors import BadSetting, Refused
from models.verdict import ComplaintClass

TWO = """
[[endpoint]]
name = "bi"
url = "http://x.example/bi"
types = ["*"]

[[endpoint]]
name = "legal"
url = "http://x.example/legal"
classes = ["contract"]
"""


@pytest.fixture
def house(tmp_path: Path):
    made = House(tmp_path / "home", TWO)
    yield made
    made.app.close()


def test_each_endpoint_hears_what_it_asked_for(house: House) -> None:
    house.complain("价格问题")
    house.complain("合同问题", "合同问题")
    assert house.types("tracker") == ["routed", "routed"]
    assert sorted(house.types("bi")) == sorted(["received", "classified", "routed"] * 2)
    assert [event["data"]["class"] for event in house.told("legal")] == ["contract"]


def test_whom_it_no_longer_concerns_is_told_once(house: House) -> None:
    number = house.complain("合同问题", "合同问题")
    house.app.correcting.correct(number, ComplaintClass.PRICE, by="王静", source=Source.CONSOLE)
    house.app.worker.drain()
    assert house.types("legal") == ["routed", "rerouted"]
    assert house.told("legal")[-1]["data"]["class"] == "price"
    house.app.correcting.correct(number, ComplaintClass.PRODUCT_QUALITY, by="王静", source=Source.CONSOLE)
    house.app.worker.drain()
    assert house.types("legal") == ["routed", "rerouted"]


@pytest.mark.parametrize(
    ("filter_", "about", "takes"),
    [
        (Filter(estates=("御景湾",)), About(estate="御景湾"), True),
        (Filter(estates=("御景湾",)), About(estate="翠湖"), False),
        (Filter(estates=("御景湾",)), About(), False),
        (Filter(departments=("legal",), classes=("contract",)), About("contract", "legal"), True),
        (Filter(departments=("legal",), classes=("contract",)), About("contract", "sales"), False),
        (Filter(types=(EventType.CLOSED,)), About(), False),
    ],
)
def test_filters(filter_: Filter, about: About, takes: bool) -> None:
    assert filter_.takes(Event("e", "n", EventType.ROUTED, MORNING, "{}", (about,))) is takes


def test_an_endpoint_that_fails_holds_up_no_other_and_loses_nothing(house: House) -> None:
    house.sender.of["bi"] = FakeSender(fail_times=10**6)
    numbers = [house.complain() for _ in range(8)]
    assert [event["data"]["number"] for event in house.told("tracker")] == numbers
    assert house.told("bi") == []
    assert [line["endpoint"] for line in house.log("EndpointFailing")] == ["bi"]
    with house.app.store.read() as conn:
        assert endpoints.troubled(conn)["bi"].open
        assert endpoints.waiting(conn)["bi"].waiting == 24
    # Left alone: nothing is sent before its time, and then one.
    sent = len(house.sender.of["bi"].sent)
    house.app.worker.drain()
    assert len(house.sender.of["bi"].sent) == sent
    house.clock.move(seconds=7)
    house.app.worker.drain()
    assert len(house.sender.of["bi"].sent) == sent + 1
    house.sender.of["bi"].fail_times = 0
    house.clock.move(hours=1)
    house.app.worker.drain()
    by_number = {number: [e["type"].rpartition(".")[2] for e in house.told("bi") if e["data"]["number"] == number] for number in numbers}
    assert set(map(tuple, by_number.values())) == {("received", "classified", "routed")}


def test_one_event_that_is_never_taken_does_not_keep_the_circuit_open(house: House) -> None:
    house.complain("合同问题", "合同问题")
    poison = house.sender.of["tracker"].accepted[0].webhook_id
    house.sender.of["tracker"].accepted.clear()
    # The same event again, and from now on it breaks the receiver.
    house.sender.of["tracker"].fail_ids = {poison}
    house.app.redelivery.one(_deliveries(house)[0])
    for _ in range(9):
        house.app.worker.drain()
        house.clock.move(hours=25)
    with house.app.store.read() as conn:
        assert endpoints.troubled(conn)["tracker"].open
    house.complain()
    house.clock.move(hours=1)
    house.app.worker.drain()
    assert len(house.told("tracker")) == 1
    with house.app.store.read() as conn:
        trouble = endpoints.troubled(conn).get("tracker")
        assert trouble is None or not trouble.open


def test_one_event_that_fails_among_others_keeps_its_own_schedule(house: House) -> None:
    house.complain()
    house.sender.of["tracker"].fail_ids = {house.sender.of["tracker"].accepted[0].webhook_id}
    house.app.redelivery.one(_deliveries(house)[0])
    tries = []
    for _ in range(20):
        # Others are taken all the while.
        house.complain()
        house.clock.move(minutes=1)
        tries.append(sum(sent.webhook_id in house.sender.of["tracker"].fail_ids for sent in house.sender.of["tracker"].sent) - 1)
    # At once, after 5 s, after 5 min; the next is due after half an hour.
    assert (tries[0], tries[2], tries[-1]) == (1, 2, 3)
    with house.app.store.read() as conn:
        assert endpoints.troubled(conn) == {}


def _deliveries(house: House) -> list[int]:
    from sqlalchemy import select

    from models.tables import deliveries

    with house.app.store.read() as conn:
        return list(conn.execute(select(deliveries.c.id).where(deliveries.c.endpoint == "tracker").order_by(deliveries.c.id)).scalars())


def test_no_more_than_the_rate_is_sent(tmp_path: Path) -> None:
    house = House(tmp_path / "home", TWO.replace('types = ["*"]', 'types = ["complaint.routed"]\nrate_per_second = 3'))
    for _ in range(12):
        house.complain()
    assert len(house.told("tracker")) == 12
    told = [len(house.told("bi"))]
    for _ in range(4):
        house.clock.move(seconds=1)
        house.app.worker.drain()
        told.append(len(house.told("bi")))
    assert told == [3, 6, 9, 12, 12]
    house.app.close()


def test_the_most_that_are_sent_at_once_is_each_endpoints_own(tmp_path: Path) -> None:
    from gateway.clock import SystemClock
    from gateway.tracker import WebhookSender

    made = [WebhookSender(SystemClock(), allow_private_hosts=["127.0.0.1"], timeout_seconds=1, concurrency=n) for n in (1, 5)]
    try:
        assert [one._gate._value for one in made] == [1, 5]
    finally:
        for one in made:
            one.close()


def test_an_endpoint_that_is_off_keeps_everything_for_later(house: House) -> None:
    with house.app.store.write() as conn:
        endpoints.disable(house.app.store, conn, "legal", "by hand", house.clock.now())
    for _ in range(3):
        house.complain("合同问题", "合同问题")
    house.clock.move(days=30)
    house.app.worker.drain()
    assert house.told("legal") == []
    with house.app.store.write() as conn:
        endpoints.enable(conn, "legal")
    house.app.worker.drain()
    assert len(house.told("legal")) == 3


def test_what_waits_for_an_endpoint_that_is_gone_from_the_settings_is_put_aside_and_comes_back(tmp_path: Path) -> None:
    house = House(tmp_path / "home", TWO)
    house.sender.of["bi"] = FakeSender(away=True)
    house.complain()
    house.app.close()
    house.settings = house.settings.model_copy(update={"endpoint": []})
    house.build()
    with house.app.store.read() as conn:
        assert {job.reason_code for job in jobs.parked(conn)} == {"endpoint_unknown"}
        assert len(jobs.parked(conn)) == 3
    house.app.close()
    again = House(tmp_path / "home", TWO)
    again.app.worker.drain()
    assert again.types("bi") == ["received", "classified", "routed"]
    again.app.close()


# Secrets


def test_while_a_secret_is_replaced_both_are_good_and_afterwards_only_the_new_one(tmp_path: Path) -> None:
    clock = FakeClock(datetime.now(UTC))
    home.prepare(tmp_path)
    ring = Keyring("endpoint.bi.secret", tmp_path / "secrets" / "endpoint-bi.secret", clock.now)
    old = ring.secrets().new
    until = ring.rotate(timedelta(hours=24)).until
    both = ring.secrets()
    assert both.old == old != both.new
    assert ring.old_until() == until
    stamp = int(clock.now().timestamp())
    header = " ".join(sign(secret, "evt_1", stamp, b"{}") for secret in both.both())
    for secret in both.both():
        headers = {"webhook-id": "evt_1", "webhook-timestamp": str(stamp), "webhook-signature": header}
        assert Webhook(secret).verify("{}", headers) == {}
    # A gateway that runs already sees it, and after the overlap the former one signs no more.
    other = Keyring("endpoint.bi.secret", tmp_path / "secrets" / "endpoint-bi.secret", clock.now)
    assert other.secrets() == both
    clock.move(hours=25)
    assert other.secrets().both() == (both.new,)
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify("{}", {**headers, "webhook-signature": sign(both.new, "evt_1", stamp, b"{}")})


def test_a_second_change_within_the_overlap_is_refused_for_it_would_end_the_first_secret(tmp_path: Path) -> None:
    clock = FakeClock(datetime.now(UTC))
    home.prepare(tmp_path)
    ring = Keyring("endpoint.bi.secret", tmp_path / "secrets" / "endpoint-bi.secret", clock.now)
    first = ring.secrets().new
    until = ring.rotate(timedelta(hours=24)).until
    before = ring.secrets()
    with pytest.raises(Refused, match="--end-former") as refused:
        ring.rotate(timedelta(hours=24))
    assert until.isoformat(timespec="minutes") in refused.value.zh
    assert until.isoformat(timespec="minutes") in refused.value.en
    assert ring.secrets() == before
    assert before.old == first
    ring.rotate(timedelta(hours=24), end_former=True)
    assert ring.secrets().old == before.new
    # Once the overlap is over nothing of the kind is in the way.
    clock.move(hours=25)
    third = ring.secrets().new
    ring.rotate(timedelta(hours=1))
    assert ring.secrets().old == third


def test_of_two_changes_at_once_one_is_refused_and_the_first_secret_still_holds(tmp_path: Path) -> None:
    home.prepare(tmp_path)
    for n in range(20):
        file = tmp_path / "secrets" / f"{n}.secret"
        # As the console and the command line would, each in a process of its own.
        rings = [Keyring("k", file, lambda: datetime.now(UTC)) for _ in range(3)]
        first, at_once = rings[0].secrets().new, threading.Barrier(4)
        made: list[Rotated] = []
        refused: list[str] = []

        def change(ring: Keyring, at_once: threading.Barrier = at_once, made=made, told=refused) -> None:
            at_once.wait(20)
            try:
                made.append(ring.rotate(timedelta(hours=24)))
            except Refused as error:
                told.append(error.code)

        threads = [threading.Thread(target=change, args=(ring,)) for ring in (*rings, rings[0])]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert (len(made), refused) == (1, ["former_secret_holds"] * 3)
        assert {ring.secrets().both() for ring in rings} == {(made[0].secret, first)}
        assert made[0].secret not in repr(made[0])
    # Nothing unfinished is left beside the secrets.
    assert not [path for path in (tmp_path / "secrets").iterdir() if path.name.startswith(".") and path.suffix != ".lock"]


def test_a_secret_that_stands_in_the_settings_is_not_rotated(tmp_path: Path) -> None:
    ring = Keyring("tracker.secret", tmp_path / "x", FakeClock().now, fixed=home.webhook_secret())
    with pytest.raises(Refused, match=r"tracker\.secret is in the settings"):
        ring.rotate(timedelta(hours=1))


def test_a_secret_file_that_is_spoilt_is_named(tmp_path: Path) -> None:
    home.prepare(tmp_path)
    file = tmp_path / "secrets" / "a.secret"
    ring = Keyring("k", file, FakeClock().now)
    ring.rotate(timedelta(hours=1))
    spoilt = file.with_name("a.secret.old")
    spoilt.write_text("whsec_x\n")
    with pytest.raises(BadSetting, match=r"a\.secret\.old"):
        Keyring("k", file, FakeClock().now)


# Forms


PAYLOAD = json.dumps(
    {
        "type": "complaint.routed",
        "timestamp": "2026-11-23T01:00:00.000Z",
        "data": {"event_id": "evt_" + "0" * 32, "number": "TS-20261123-0001", "schema": "complaint.routed.v1", "title": '漏水 "急" 50%'},
    },
    ensure_ascii=False,
)


def test_a_structured_cloudevent_has_all_that_the_specification_wants() -> None:
    body, headers = CloudEvents("abc", "https://a.example").structured(PAYLOAD)
    event = json.loads(body)
    assert headers == {"content-type": "application/cloudevents+json; charset=utf-8"}
    assert {key: event[key] for key in ("specversion", "id", "source", "type", "subject", "time")} == {
        "specversion": "1.0",
        "id": "evt_" + "0" * 32,
        "source": "/jiesu/abc",
        "type": "complaint.routed",
        "subject": "TS-20261123-0001",
        "time": "2026-11-23T01:00:00.000Z",
    }
    assert event["dataschema"] == "https://a.example/api/v1/schemas/complaint.routed.v1.json"
    assert event["data"] == json.loads(PAYLOAD)["data"]
    assert all(name.isalnum() and name.islower() for name in event)


def test_a_binary_cloudevent_encodes_what_no_header_may_hold() -> None:
    told = json.loads(PAYLOAD)
    told["data"]["number"] = '漏水 "急" 50%'
    body, headers = CloudEvents("abc", "https://a.example").binary(json.dumps(told))
    assert headers["content-type"] == "application/json"
    assert headers["ce-subject"].isascii()
    assert not set(headers["ce-subject"]) & set(' "')
    assert unquote(headers["ce-subject"]) == '漏水 "急" 50%'
    assert json.loads(body) == told["data"]


def test_two_tests_of_one_moment_are_two_cloudevents() -> None:
    told = a_test("bi", MORNING)
    written = CloudEvents("abc", "https://a.example")
    ids = {written.event(told)["id"] for _ in range(3)} | {written.binary(told)[1]["ce-id"]}
    assert len(ids) == 4
    assert all(id_.startswith("test_") for id_ in ids)


@pytest.mark.parametrize("form", ["cloudevents-binary", "cloudevents-structured"])
def test_cloudevents_are_signed_over_the_bytes_that_are_sent(tmp_path: Path, form: str) -> None:
    house = House(tmp_path / "home", TWO.replace('types = ["*"]', f'format = "{form}"'))
    house.complain()
    (sent,) = house.sender.of["bi"].accepted
    told = json.loads(sent.body)
    assert (told["data"] if form.endswith("structured") else told)["number"] == "TS-20261123-0001"
    assert sent.headers["content-type"].startswith("application/")
    stamp = int(time.time())
    headers = {"webhook-id": "a", "webhook-timestamp": str(stamp), "webhook-signature": sign(sent.secret, "a", stamp, sent.body)}
    assert Webhook(sent.secret).verify(sent.body.decode(), headers)
    house.app.close()


# Tests and settings


def test_a_test_is_signed_and_counts_nowhere(house: House) -> None:
    outcome = house.app.endpoints.test("bi")
    assert outcome.code is OutcomeCode.ACCEPTED
    (told,) = house.told("bi")
    assert told["type"] == "endpoint.test"
    with house.app.store.read() as conn:
        assert endpoints.recent(conn, MORNING - timedelta(days=1)) == {}
    house.sender.of["legal"] = FakeSender(fail_times=1, failure=Outcome(OutcomeCode.GONE, 410, 0.1))
    assert house.app.endpoints.test("legal").code is OutcomeCode.GONE
    with house.app.store.read() as conn:
        assert endpoints.disabled(conn) == {}
    with pytest.raises(Refused, match="there is no endpoint nobody"):
        house.app.endpoints.test("nobody")


@pytest.mark.parametrize(
    ("spelt", "said"),
    [
        ('[[endpoint]]\nname = "a"\nurl = "http://a.example/"\n' * 2, "stands twice"),
        ('[[endpoint]]\nname = "Tracker!"\nurl = "http://a.example/"\n', "small letters"),
        ('[[endpoint]]\nname = "tracker"\nurl = "http://a.example/"\n', "not tracker"),
        ('[[endpoint]]\nurl = "http://a.example/"\n', r"endpoint\.#1\.name"),
        ('[[endpoint]]\nname = "a"\nurl = "ftp://a.example/"\n', "http://"),
        ('[[endpoint]]\nname = "a"\nurl = "http://a.example/"\ntypes = ["complaint.lost"]\n', "no event type"),
        ('[[endpoint]]\nname = "a"\nurl = "http://a.example/"\nclasses = ["weather"]\n', "no class"),
        ('[[endpoint]]\nname = "a"\nurl = "http://a.example/"\nformat = "xml"\n', "standard-webhooks"),
        ('[[endpoint]]\nname = "a"\nurl = "http://a.example/"\nrate_per_second = -1\n', "at least 0"),
        ('[[endpoint]]\nname = "a"\nurl = "http://a.example/"\ntimeout_seconds = 600\n', "at most 60"),
    ],
)
def test_a_wrong_endpoint_is_named(tmp_path: Path, spelt: str, said: str) -> None:
    (tmp_path / "jiesu.toml").write_text(spelt)
    with pytest.raises(BadSetting, match=said):
        config.load({"JIESU_HOME": str(tmp_path)})


def test_a_department_that_the_plan_does_not_know_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"endpoint\.bi\.departments"):
        House(tmp_path / "home", TWO.replace('types = ["*"]', 'departments = ["nobody"]'))


def test_one_thread_waits_for_nothing_but_its_own_endpoint(house: House) -> None:
    """A receiver that hangs holds its own lane's threads and nobody else's."""
    release, reached = threading.Event(), threading.Event()

    class Hanging(FakeSender):
        def send(self, outgoing):
            reached.set()
            release.wait(20)
            return super().send(outgoing)

    house.sender.of["bi"] = Hanging()
    house.app.worker.start()
    try:
        from factories import mail, submission

        house.app.accept(submission(mail("价格问题")))
        deadline = time.monotonic() + 20
        while not (house.told("tracker") and reached.is_set()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert house.told("bi") == []
    finally:
        release.set()
        house.app.worker.stop()


def test_the_library_takes_a_secret_of_ours() -> None:
    assert len(base64.b64decode(home.webhook_secret().removeprefix("whsec_"))) == 32
