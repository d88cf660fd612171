"""A whole gateway beside a real RabbitMQ: every event reaches the queue, in order, through whatever befalls the broker."""

from __future__ import annotations

import json
import os
import queue as queues
import subprocess
import sys
import threading
from collections import defaultdict
from pathlib import Path
from urllib.parse import quote

import pytest
from broker_house import bind, take, waiting
from cloudevents.core.bindings.amqp import AMQPMessage, from_amqp_event
from cloudevents.core.formats.json import JSONFormat
from console_house import complain, person
from fakes import eventually
from rabbitmq import PASSWORD, RabbitMq
from running import RunningGateway
from standardwebhooks.webhooks import Webhook

from gateway import cli
from models.delivery import OutcomeCode
from models.staff import Role

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "consumer_amqp.py"


def told_to(server: RabbitMq, home: Path, **keys: object) -> RunningGateway:
    """A gateway whose one endpoint is the broker, with the password in its file."""
    values = {"name": "mq", "kind": "rabbitmq", "url": server.url(), "types": ["*"], "allow_private_hosts": ["127.0.0.1"], **keys}
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    (home / "jiesu.toml").write_text("[[endpoint]]\n" + "\n".join(lines) + "\n")
    password = home / "secrets" / "endpoint-mq.password"
    password.parent.mkdir(mode=0o700)
    password.write_text(PASSWORD)
    password.chmod(0o600)
    return RunningGateway(home, wired=True, tracker_url="")


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


def test_the_example_is_a_consumer(message_broker: RabbitMq, tmp_path: Path) -> None:
    with told_to(message_broker, tmp_path, queue="all") as gateway:
        environment = os.environ | {"JIESU_SECRET": secret_of(gateway)}
        # Makes the exchange that the consumer binds to.
        assert gateway.app.endpoints.test("mq").code is OutcomeCode.ACCEPTED
        url = message_broker.url(password=quote(PASSWORD, safe=""))
        command = [sys.executable, str(EXAMPLE), url]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as program:
            try:
                lines: queues.Queue[str] = queues.Queue()
                assert program.stdout is not None
                threading.Thread(target=lambda: [lines.put(line) for line in program.stdout], daemon=True).start()  # type: ignore[union-attr]
                bindings = 'length([B || B <- rabbit_binding:list(<<"/">>), element(4, element(4, B)) == <<"tickets">>])'
                # One to the exchange that has every queue, and the consumer's own.
                eventually(lambda: "2" in message_broker.tell(bindings))
                number = complain(gateway, "价格问题")
                assert lines.get(timeout=20).split() == ["complaint.routed.sales", number, "1"]
            finally:
                program.kill()
