"""Events at a real RabbitMQ: what arrives, in which order, and what is said where it does not."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from broker_house import SECRET, bind, outgoing, take, with_channel
from rabbitmq import PASSWORD, RabbitMq
from standardwebhooks.webhooks import Webhook

from gateway.broker import BrokerSender, Message
from gateway.clock import SystemClock
from gateway.rabbitmq import RabbitLink
from models.delivery import Outcome, OutcomeCode
from models.endpoint import Endpoint, EndpointKind, Exchange

Make = Callable[..., BrokerSender]


@pytest.fixture
def make(message_broker: RabbitMq) -> Iterator[Make]:
    """Senders to the broker, closed afterwards."""
    made: list[BrokerSender] = []

    def sender(
        url: str = "",
        *,
        exchange: str = "jiesu.events",
        queue: str = "",
        password: str = PASSWORD,
        allowed=("127.0.0.1", "localhost"),
        timeout: float = 10,
        ca: str = "",
    ) -> BrokerSender:
        where = Exchange(exchange, queue)
        endpoint = Endpoint(
            "mq", url or message_broker.url(), EndpointKind.RABBITMQ, timeout_seconds=timeout, allow_private_hosts=allowed, exchange=where
        )
        made.append(BrokerSender(SystemClock(), RabbitLink(endpoint, lambda: password, ca), concurrency=16, allow_private_hosts=allowed))
        return made[-1]

    yield sender
    for one in made:
        one.close()


def only(outcomes: list[Outcome]) -> Outcome:
    (outcome,) = outcomes
    return outcome


def test_what_arrives_is_kept_and_signed(make: Make, message_broker: RabbitMq) -> None:
    sent = outgoing("evt_1_mq", '{"题":"漏水"}'.encode())
    assert only(make(queue="whole").send([sent])).code is OutcomeCode.ACCEPTED
    (message,) = take(message_broker, "whole")
    assert message.message_id == "evt_1_mq"
    assert message.routing_key == "complaint.routed.engineering"
    assert message.exchange == "jiesu.events"
    assert message.delivery_mode == 2
    assert message.app_id == "jiesu"
    headers = {name: str(value) for name, value in message.headers.items()}
    assert Webhook(SECRET).verify(message.body.decode(), headers) == {"题": "漏水"}
    assert "quorum" in message_broker.tell("[amqqueue:get_type(Q) || Q <- rabbit_amqqueue:list(), amqqueue:is_durable(Q)]")


def test_hundreds_at_once_arrive_each_once_and_one_after_another_in_order(make: Make, message_broker: RabbitMq) -> None:
    sender = make(queue="many")
    assert {one.code for one in sender.send([outgoing(f"evt_{n}") for n in range(300)])} == {OutcomeCode.ACCEPTED}
    assert sorted(message.message_id for message in take(message_broker, "many")) == sorted(f"evt_{n}" for n in range(300))
    for n in range(30):
        sender.send([outgoing(f"evt_{n}")])
    assert [message.message_id for message in take(message_broker, "many")] == [f"evt_{n}" for n in range(30)]


def test_the_topic_leads_to_whoever_asked_for_it(make: Make, message_broker: RabbitMq) -> None:
    bind(message_broker, "of-legal", "jiesu.topics", "complaint.*.legal")
    bind(message_broker, "of-routed", "jiesu.topics", "complaint.routed.#")
    sender = make(exchange="jiesu.topics")
    for key in ("complaint.routed.legal", "complaint.routed.sales", "complaint.updated.legal"):
        assert only(sender.send([outgoing(f"evt_{key}", topic=key)])).code is OutcomeCode.ACCEPTED
    assert [message.routing_key for message in take(message_broker, "of-legal")] == ["complaint.routed.legal", "complaint.updated.legal"]
    assert [message.routing_key for message in take(message_broker, "of-routed")] == ["complaint.routed.legal", "complaint.routed.sales"]


def test_what_no_queue_takes_is_no_success(make: Make, message_broker: RabbitMq) -> None:
    bind(message_broker, "some", "jiesu.some", "complaint.routed.#")
    sender = make(exchange="jiesu.some")
    lost, kept = sender.send([outgoing("evt_1", topic="complaint.received"), outgoing("evt_2")])
    assert (lost.code, lost.status) == (OutcomeCode.CLIENT_ERROR, 312)
    assert "complaint.received" in lost.answer
    assert "jiesu.some" in lost.answer
    assert kept.code is OutcomeCode.ACCEPTED
    tested = only(sender.send([outgoing("test_1", topic="endpoint.test")]))
    assert tested.status == 312
    assert "logged in" in tested.answer
    # And once somebody takes it, the same connection brings it.
    bind(message_broker, "some", "jiesu.some", "complaint.received.#")
    assert only(sender.send([outgoing("evt_1", topic="complaint.received")])).code is OutcomeCode.ACCEPTED


def test_a_queue_that_refuses_is_asked_again_later(make: Make, message_broker: RabbitMq) -> None:
    async def full(channel) -> None:
        made = await channel.declare_exchange("jiesu.full", "topic", durable=True)
        queue = await channel.declare_queue("full", durable=True, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
        await queue.bind(made, "#")

    with_channel(message_broker, full)
    sender = make(exchange="jiesu.full")
    outcomes = [only(sender.send([outgoing(f"evt_{n}")])) for n in range(4)]
    assert outcomes[0].code is OutcomeCode.ACCEPTED
    assert outcomes[-1].code is OutcomeCode.THROTTLED
    assert "nack" in outcomes[-1].answer
    take(message_broker, "full")
    assert only(sender.send([outgoing("evt_9")])).code is OutcomeCode.ACCEPTED


@pytest.mark.parametrize(
    ("url", "password", "code", "status", "said"),
    [
        ({}, "wrong", OutcomeCode.CLIENT_ERROR, 403, "密码"),
        ({"user": "nobody"}, PASSWORD, OutcomeCode.CLIENT_ERROR, 403, "nobody"),
        ({"vhost": "nowhere"}, PASSWORD, OutcomeCode.SERVER_ERROR, 530, "nowhere"),
    ],
)
def test_whoever_may_not_come_in_is_told_why(make: Make, message_broker: RabbitMq, url, password, code, status, said) -> None:
    outcome = only(make(message_broker.url(**url), password=password).send([outgoing()]))
    assert (outcome.code, outcome.status) == (code, status)
    assert said in outcome.answer
    assert PASSWORD not in outcome.answer
    assert "wrong" not in outcome.answer


def test_an_exchange_of_another_kind_is_said_to_be_one(make: Make, message_broker: RabbitMq) -> None:
    async def fanout(channel) -> None:
        await channel.declare_exchange("of-others", "fanout", durable=True)
        await channel.declare_queue("classic", durable=True)

    with_channel(message_broker, fanout)
    for sender in (make(exchange="of-others"), make(queue="classic")):
        outcome = only(sender.send([outgoing()]))
        assert (outcome.code, outcome.status) == (OutcomeCode.CLIENT_ERROR, 406)
        assert "PRECONDITION_FAILED" in outcome.answer


def test_who_may_only_write_publishes_to_what_is_there(make: Make, message_broker: RabbitMq) -> None:
    bind(message_broker, "writers", "jiesu.writers")
    message_broker.tell('rabbit_auth_backend_internal:add_user(<<"writer">>, <<"w">>, <<"t">>)')
    message_broker.tell(
        'rabbit_auth_backend_internal:set_permissions(<<"writer">>, <<"/">>, <<"^$">>, <<"jiesu.writers">>, <<"^$">>, <<"t">>)'
    )
    writer = message_broker.url(user="writer")
    assert only(make(writer, password="w", exchange="jiesu.writers").send([outgoing()])).code is OutcomeCode.ACCEPTED
    refused = only(make(writer, password="w", exchange="jiesu.none").send([outgoing()]))
    assert (refused.code, refused.status) == (OutcomeCode.CLIENT_ERROR, 404)
    forbidden = only(make(writer, password="w", exchange="jiesu.writers", queue="mine").send([outgoing()]))
    assert (forbidden.code, forbidden.status) == (OutcomeCode.CLIENT_ERROR, 403)
    assert "writer" in forbidden.answer


def test_an_alarm_of_the_broker_makes_us_wait(make: Make, message_broker: RabbitMq) -> None:
    sender = make(queue="alarmed", timeout=1)
    sender.send([outgoing("evt_0")])
    message_broker.alarm(True)
    try:
        outcomes = [only(sender.send([outgoing(f"evt_{n}")])) for n in range(1, 4)]
        assert outcomes[-1].code is OutcomeCode.THROTTLED
        assert "alarm" in outcomes[-1].answer
        # Once it is known, nobody waits for the time to run out.
        assert outcomes[-1].seconds < 0.5
    finally:
        message_broker.alarm(False)
    deadline = time.monotonic() + 5
    while only(sender.send([outgoing("evt_9")])).code is not OutcomeCode.ACCEPTED:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    arrived = [message.message_id for message in take(message_broker, "alarmed")]
    assert arrived[0] == "evt_0"
    assert arrived[-1] == "evt_9"


def test_whoever_ends_in_the_middle_still_hears_of_every_message(message_broker: RabbitMq) -> None:
    where = Exchange("jiesu.ended", "ended")
    endpoint = Endpoint("mq", message_broker.url(), EndpointKind.RABBITMQ, allow_private_hosts=("127.0.0.1",), exchange=where)
    some = threading.Semaphore(0)

    class Counting(RabbitLink):
        async def publish(self, message: Message) -> None:
            await super().publish(message)
            some.release()

    sender = BrokerSender(SystemClock(), Counting(endpoint, lambda: PASSWORD), concurrency=16, allow_private_hosts=[])
    told: list[Outcome] = []
    sending = threading.Thread(target=lambda: told.extend(sender.send([outgoing(f"evt_{n}") for n in range(9000)])))
    sending.start()
    for _ in range(20):
        assert some.acquire(timeout=30)
    sender.close()
    sending.join(30)
    assert len(told) == 9000
    confirmed = sum(outcome.code is OutcomeCode.ACCEPTED for outcome in told)
    assert 0 < confirmed < 9000
    assert {outcome.code for outcome in told} == {OutcomeCode.ACCEPTED, OutcomeCode.UNREACHABLE}
    assert len(take(message_broker, "ended")) >= confirmed


def test_what_was_confirmed_outlives_a_killed_broker(make: Make, message_broker: RabbitMq) -> None:
    sender = make(queue="outlives")
    assert only(sender.send([outgoing("evt_first")])).code is OutcomeCode.ACCEPTED
    message_broker.settle()
    sent = [outgoing(f"evt_{n}") for n in range(48)]
    outcomes = sender.send(sent)
    killing = threading.Timer(0.2, message_broker.kill)
    killing.start()
    while all(outcome.code is OutcomeCode.ACCEPTED for outcome in outcomes):
        more = [outgoing(f"evt_{len(sent) + n}") for n in range(48)]
        sent += more
        outcomes += sender.send(more)
    killing.join()
    message_broker.start()
    confirmed = {one.webhook_id for one, outcome in zip(sent, outcomes, strict=True) if outcome.code is OutcomeCode.ACCEPTED}
    assert 0 < len(confirmed) < len(sent)
    assert {outcome.code for outcome in outcomes} <= {OutcomeCode.ACCEPTED, OutcomeCode.UNREACHABLE, OutcomeCode.AWAY}
    # The same sender goes on; what was not confirmed may have arrived all the same, under its id.
    again = [one for one in sent if one.webhook_id not in confirmed]
    assert {outcome.code for outcome in sender.send(again)} == {OutcomeCode.ACCEPTED}
    arrived = [message.message_id for message in take(message_broker, "outlives")]
    assert {"evt_first"} | {one.webhook_id for one in sent} == set(arrived)


def test_over_tls_the_certificate_is_checked(make: Make, message_broker: RabbitMq) -> None:
    ca = str(message_broker.ca)
    named = message_broker.url(host="localhost", tls=True)
    assert only(make(named, ca=ca, queue="tls").send([outgoing()])).code is OutcomeCode.ACCEPTED
    strange = only(make(named).send([outgoing()]))
    assert strange.code is OutcomeCode.UNREACHABLE
    assert "tls_ca" in strange.answer
    # The certificate is for the name, and the address is another name.
    other = only(make(message_broker.url(tls=True), ca=ca).send([outgoing()]))
    assert other.code is OutcomeCode.UNREACHABLE


def test_private_addresses_are_refused_unless_the_host_is_named(make: Make, message_broker: RabbitMq) -> None:
    for host in ("127.0.0.1", "localhost"):
        sender = make(message_broker.url(host=host), allowed=())
        assert only(sender.send([outgoing()])).code is OutcomeCode.FORBIDDEN_ADDRESS
        assert not sender.reachable("")
    assert make().reachable("")


def test_nobody_there_is_away_and_a_stranger_is_not_understood(make: Make) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        gone = f"amqp://u@127.0.0.1:{probe.getsockname()[1]}/"
        assert only(make(gone).send([outgoing()])).code is OutcomeCode.AWAY
    assert only(make("amqp://u@no-such-host.invalid/", allowed=("no-such-host.invalid",)).send([outgoing()])).code is OutcomeCode.AWAY
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with server.accept()[0] as caller:
                caller.recv(100)
                caller.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        assert only(make(f"amqp://u@127.0.0.1:{server.getsockname()[1]}/").send([outgoing()])).code is OutcomeCode.UNREACHABLE


def test_who_never_answers_costs_no_more_than_the_timeout(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = make(f"amqp://u@127.0.0.1:{server.getsockname()[1]}/", timeout=0.3)
        begun = time.monotonic()
        assert {one.code for one in sender.send([outgoing("a"), outgoing("b")])} == {OutcomeCode.TIMEOUT}
        assert time.monotonic() - begun < 2
        assert only(sender.send([outgoing("a")])).code is OutcomeCode.TIMEOUT


def test_a_password_that_was_changed_counts_at_once(make: Make, message_broker: RabbitMq) -> None:
    passwords = ["wrong", "wrong", PASSWORD]
    endpoint = Endpoint(
        "mq", message_broker.url(), EndpointKind.RABBITMQ, allow_private_hosts=("127.0.0.1",), exchange=Exchange(queue="changed")
    )
    sender = BrokerSender(SystemClock(), RabbitLink(endpoint, lambda: passwords.pop(0)), concurrency=1, allow_private_hosts=["127.0.0.1"])
    assert [only(sender.send([outgoing(str(n))])).code for n in range(2)] == [OutcomeCode.CLIENT_ERROR, OutcomeCode.ACCEPTED]
    sender.close()
