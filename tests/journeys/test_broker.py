"""A whole gateway beside a real RabbitMQ: every event reaches the queue, in order, through whatever befalls the broker."""

from __future__ import annotations

import json
import os
import queue as queues
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from aio_pika import Message
from aio_pika.abc import AbstractChannel
from broker_house import bind, take, waiting, with_channel
from cloudevents.core.bindings.amqp import AMQPMessage, from_amqp_event
from cloudevents.core.formats.json import JSONFormat
from console_house import complain, person
from fakes import eventually
from rabbitmq import PASSWORD, RabbitMq
from running import RunningGateway
from standardwebhooks.webhooks import Webhook

from gateway import cli, home
from gateway.erasing import Reason
from models.delivery import OutcomeCode
from models.staff import Role

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "consumer_amqp.py"


def told_to(server: RabbitMq, folder: Path, **keys: object) -> RunningGateway:
    """A gateway whose one endpoint is the broker, with the password in its file."""
    values = {"name": "mq", "kind": "rabbitmq", "url": server.url(), "types": ["*"], "allow_private_hosts": ["127.0.0.1"], **keys}
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    (folder / "jiesu.toml").write_text("[[endpoint]]\n" + "\n".join(lines) + "\n")
    password = folder / "secrets" / "endpoint-mq.password"
    password.parent.mkdir(mode=0o700)
    password.write_text(PASSWORD)
    password.chmod(0o600)
    return RunningGateway(folder, wired=True, tracker_url="")


def secret_of(gateway: RunningGateway) -> str:
    return gateway.app.endpoints.get("mq").keyring.secrets().new


@pytest.mark.parametrize("form", ["cloudevents-structured", "cloudevents-binary", "standard-webhooks"])
def test_every_event_arrives_in_order_and_verifies(message_broker: RabbitMq, tmp_path: Path, form: str) -> None:
    # Nobody has said that it is to be structured: for a broker that is usual.
    keys = {} if form == "cloudevents-structured" else {"format": form}
    with told_to(message_broker, tmp_path, exchange=f"jiesu.{form}", queue=form, **keys) as gateway:
        numbers = [complain(gateway, f"价格问题 {n}") for n in range(3)]
        eventually(lambda: waiting(message_broker, form) == 9)
        messages, secret = take(message_broker, form), secret_of(gateway)
    by_number = defaultdict(list)
    for message in messages:
        headers = {name: str(value) for name, value in message.headers.items()}
        told = Webhook(secret).verify(message.body.decode(), headers)
        if form == "standard-webhooks":
            assert message.content_type == "application/json; charset=utf-8"
            kind, data = told["type"], told["data"]
        else:
            properties = {name: value for name, value in message.headers.items() if not name.startswith(("webhook-", "x-"))}
            event = from_amqp_event(AMQPMessage({"content-type": message.content_type}, properties, message.body), JSONFormat())
            kind, data = event.get_type(), event.get_data()
            assert event.get_id() == data["event_id"]
            assert event.get_subject() == data["number"]
            assert str(event.get_source()).startswith("/jiesu/")
            # Structured: everything stands in the body and nothing beside it.
            assert bool(properties) is (form == "cloudevents-binary")
        # Only a ticket names a department.
        assert message.routing_key == (f"{kind}.sales" if kind == "complaint.routed" else kind)
        assert message.message_id == f"{data['event_id']}_mq"
        by_number[data["number"]].append(kind.removeprefix("complaint."))
    assert by_number == {number: ["received", "classified", "routed"] for number in numbers}


def test_a_broker_that_dies_and_comes_back_misses_nothing(message_broker: RabbitMq, tmp_path: Path) -> None:
    with told_to(message_broker, tmp_path, exchange="jiesu.killed", queue="killed") as gateway:
        numbers = [complain(gateway, f"价格问题 {n}") for n in range(2)]
        eventually(lambda: waiting(message_broker, "killed") == 6)
        message_broker.settle()
        message_broker.kill()
        try:
            numbers += [complain(gateway, f"合同问题 {n}") for n in range(3)]
            eventually(lambda: gateway.log("DeliveryAttempt")[-1]["code"] != "accepted")
        finally:
            message_broker.start()
        eventually(lambda: waiting(message_broker, "killed") >= 15)
        eventually(lambda: gateway.app.redelivery.states()[0].waiting.waiting == 0)
        assert gateway.app.redelivery.troubles() == []
    seen, by_number = set(), defaultdict(list)
    for message in take(message_broker, "killed"):
        # What was confirmed while nobody heard it comes once more under the same id.
        if message.message_id not in seen:
            seen.add(message.message_id)
            told = json.loads(message.body)
            by_number[told["subject"]].append(told["type"].removeprefix("complaint."))
    assert by_number == {number: ["received", "classified", "routed"] for number in numbers}
    assert {line["code"] for line in gateway.log("DeliveryAttempt")} - {"accepted"}
    assert PASSWORD not in json.dumps(gateway.log())


def test_what_nobody_takes_waits_until_somebody_does(message_broker: RabbitMq, tmp_path: Path) -> None:
    with told_to(message_broker, tmp_path, exchange="jiesu.unbound", types=["complaint.routed"]) as gateway:
        complain(gateway, "价格问题")
        eventually(lambda: gateway.log("DeliveryAttempt"))
        first = gateway.log("DeliveryAttempt")[0]
        assert (first["code"], first["status"]) == ("client_error", 312)
        bind(message_broker, "late", "jiesu.unbound", "complaint.routed.*")
        # It is the event's and not the endpoint's fault, so the circuit stays closed, and the schedule brings it.
        eventually(lambda: waiting(message_broker, "late") == 1)
        assert gateway.app.redelivery.troubles() == []
        lead = person(gateway, "王静", Role.LEAD)
        assert "没有队列接收 complaint.routed." in lead.get("/console/deliveries").text


def test_operators_see_and_test_it_without_its_password(
    message_broker: RabbitMq, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = message_broker.url(password=quote(PASSWORD, safe=""))
    shown = message_broker.url(password="…")
    with told_to(message_broker, tmp_path, url=url, exchange="jiesu.tested", queue="tested") as gateway:
        lead = person(gateway, "王静", Role.LEAD)
        lead.post("/console/endpoints/mq/test", {"csrf": lead.csrf("/console/endpoints")})
        page = lead.get("/console/endpoints").text
        assert "mq：已接收" in page
        assert shown in page
        assert quote(PASSWORD, safe="") not in page
        (message,) = take(message_broker, "tested")
        assert message.routing_key == "endpoint.test"
        assert json.loads(message.body)["type"] == "endpoint.test"
        assert gateway.app.endpoints.test("mq").code is OutcomeCode.ACCEPTED
    for name in [name for name in os.environ if name.startswith("JIESU_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("JIESU_HOME", str(tmp_path))
    monkeypatch.setenv("JIESU_TRACKER_URL", "")
    for command, word in ((["list", "--json"], shown), (["test", "mq"], "accepted"), (["list"], "mq")):
        monkeypatch.setattr("sys.argv", ["jiesu", "endpoints", *command])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr().out
        assert ended.value.code == 0
        assert word in said
        assert quote(PASSWORD, safe="") not in said


@contextmanager
def example(message_broker: RabbitMq, secret: str) -> Iterator[queues.Queue[str]]:
    """The documented consumer as a program of its own; the lines that it prints."""
    url = message_broker.url(password=quote(PASSWORD, safe=""))
    environment = os.environ | {"JIESU_SECRET": secret}
    with subprocess.Popen([sys.executable, str(EXAMPLE), url], env=environment, stdout=subprocess.PIPE, text=True) as program:
        try:
            lines: queues.Queue[str] = queues.Queue()
            assert program.stdout is not None
            threading.Thread(target=lambda: [lines.put(line) for line in program.stdout], daemon=True).start()  # type: ignore[union-attr]
            yield lines
        finally:
            program.kill()


def bound(server: RabbitMq) -> bool:
    """Whether the example has bound its queue: one binding to the exchange that has every queue, and its own."""
    bindings = 'length([B || B <- rabbit_binding:list(<<"/">>), element(4, element(4, B)) == <<"tickets">>])'
    return "2" in server.tell(bindings)


def empty(server: RabbitMq) -> None:
    """Nothing of other tests lies in the queues of the example, which stay bound."""
    for queue in ("tickets", "tickets.dead"):
        if waiting(server, queue):
            take(server, queue)


def lying(server: RabbitMq, message_id: str, secret: str, *, age: timedelta, body: str | None = None, **changed: str) -> None:
    """An event that was published so long ago, signed with a secret, lies in the queue."""
    at = datetime.now(UTC) - age
    text = body or json.dumps({"type": "complaint.routed", "data": {"number": message_id, "idempotency_key": message_id}})
    stamp = str(int(at.timestamp()))
    headers = {"webhook-id": message_id, "webhook-timestamp": stamp, "webhook-signature": Webhook(secret).sign(message_id, at, text)}

    async def work(channel: AbstractChannel) -> None:
        made = await channel.get_exchange("jiesu.events")
        await made.publish(Message(text.encode(), headers=headers | changed, message_id=message_id), "complaint.routed.sales")

    with_channel(server, work)


def test_the_example_is_a_consumer(message_broker: RabbitMq, tmp_path: Path) -> None:
    with told_to(message_broker, tmp_path, queue="all") as gateway:
        secret = secret_of(gateway)
        empty(message_broker)
        # Makes the exchange that the consumer binds to.
        assert gateway.app.endpoints.test("mq").code is OutcomeCode.ACCEPTED
        with example(message_broker, secret) as lines:
            eventually(lambda: bound(message_broker))
            number = complain(gateway, "价格问题")
            heard = [lines.get(timeout=20).split() for _ in range(3)]
            assert heard[-1] == ["complaint.routed.sales", number, "1"]
            gateway.app.erasing.erase(number, reason=Reason.PERSON_ASKED, by="王静")
            assert lines.get(timeout=20).split() == ["complaint.erased", number, "0"]
        # While nobody consumes, an hour passes; then there is one that is old, and some that are forged.
        old, forged = timedelta(hours=1), home.webhook_secret()
        lying(message_broker, "old", secret, age=old)
        lying(message_broker, "forged", forged, age=timedelta(0))
        lying(message_broker, "another-time", secret, age=old, **{"webhook-timestamp": str(int(time.time()))})
        lying(message_broker, "no-signature", secret, age=old, **{"webhook-signature": "v1"})
        lying(message_broker, "no-time", secret, age=old, **{"webhook-timestamp": "yesterday"})
        with example(message_broker, secret) as lines:
            # What was printed and not acknowledged when the first one ended comes once more.
            heard = next(words for _ in range(2) if (words := lines.get(timeout=20).split())[0] != "complaint.erased")
            assert heard == ["complaint.routed.sales", "old", "1"]
            eventually(lambda: waiting(message_broker, "tickets.dead") == 4)
            # What comes afterwards is taken as before.
            lying(message_broker, "new", secret, age=timedelta(0))
            assert lines.get(timeout=20).split() == ["complaint.routed.sales", "new", "2"]
        dead = {message.message_id for message in take(message_broker, "tickets.dead")}
        assert dead == {"forged", "another-time", "no-signature", "no-time"}


def test_what_the_example_fails_on_is_put_back(message_broker: RabbitMq, tmp_path: Path) -> None:
    with told_to(message_broker, tmp_path, queue="all") as gateway:
        secret = secret_of(gateway)
        empty(message_broker)
        assert gateway.app.endpoints.test("mq").code is OutcomeCode.ACCEPTED
        with example(message_broker, secret):
            eventually(lambda: bound(message_broker))
        empty(message_broker)
        # Truly signed, and the consumer cannot do anything with it: it ends, and the message is there again.
        lying(message_broker, "strange", secret, age=timedelta(0), body="[]")
        with example(message_broker, secret) as lines, pytest.raises(queues.Empty):
            lines.get(timeout=3)
        eventually(lambda: waiting(message_broker, "tickets") == 1)
        assert waiting(message_broker, "tickets.dead") == 0
        (message,) = take(message_broker, "tickets")
        assert (message.message_id, message.redelivered) == ("strange", True)
