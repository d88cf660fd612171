"""What every broker is given, whatever its kind, and how its address is set and shown."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from broker_house import outgoing, payload

from gateway import broker, config
from gateway.broker import BrokerSender, Message, NotTakenError, topic
from gateway.clock import SystemClock
from gateway.cloudevents import CloudEvents
from gateway.endpoints import of_settings
from models.delivery import OutcomeCode
from models.endpoint import Exchange, Format, without_password
from models.errors import BadSetting

BROKER = '[[endpoint]]\nname = "mq"\nkind = "rabbitmq"\nurl = "amqps://jiesu@mq.example/prod"\n'


class Shelf:
    """A broker in memory, as small as a second kind may be: what is on the shelf is kept."""

    host, port = "127.0.0.1", 1

    def __init__(self) -> None:
        self.kept: list[Message] = []
        self.most = self._now = 0
        self.closed = False

    async def publish(self, message: Message) -> None:
        self._now += 1
        self.most = max(self.most, self._now)
        await asyncio.sleep(0.01)
        self._now -= 1
        if message.topic == "full":
            raise NotTakenError(OutcomeCode.THROTTLED, "满 " * 1000, 7)
        self.kept.append(message)

    async def close(self) -> None:
        self.closed = True


def test_any_broker_is_given_the_same_and_no_more_at_once_than_was_said() -> None:
    shelf = Shelf()
    sender = BrokerSender(SystemClock(), shelf, concurrency=3, allow_private_hosts=["127.0.0.1"])
    outcomes = sender.send([outgoing(f"evt_{n}", topic="full" if n == 4 else "complaint.routed") for n in range(9)])
    assert [outcome.code for outcome in outcomes] == [OutcomeCode.THROTTLED if n == 4 else OutcomeCode.ACCEPTED for n in range(9)]
    assert (outcomes[4].status, len(outcomes[4].answer)) == (7, 500)
    assert shelf.most == 3
    assert {message.id for message in shelf.kept} == {f"evt_{n}" for n in range(9) if n != 4}
    assert set(shelf.kept[0].signature) == {"webhook-id", "webhook-timestamp", "webhook-signature"}
    assert sender.send([]) == []
    assert not sender.reachable("")
    sender.close()
    assert shelf.closed


def test_a_broker_that_never_says_goodbye_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Deaf(Shelf):
        async def close(self) -> None:
            await asyncio.sleep(3600)

    monkeypatch.setattr(broker, "_GOODBYE_SECONDS", 0.1)
    sender = BrokerSender(SystemClock(), Deaf(), concurrency=1, allow_private_hosts=[])
    begun = time.monotonic()
    sender.close()
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize(
    ("told", "sorted_by"),
    [
        (payload(), "complaint.routed.engineering"),
        (payload(kind="complaint.closed", department=None), "complaint.closed"),
        (payload(department={"code": "east.sales", "name": "东区销售部"}), "complaint.routed.east-sales"),
        ('{"type": "endpoint.test", "timestamp": "2026-11-23T01:00:00Z", "data": {"endpoint": "mq"}}', "endpoint.test"),
    ],
)
def test_the_topic_is_type_and_department(told: str, sorted_by: str) -> None:
    assert topic(told) == sorted_by


def test_the_attributes_stand_beside_the_body_as_they_are() -> None:
    body, kind, attributes = CloudEvents("房子", "https://x.example").apart(payload("TS-1", title="漏水"))
    assert kind == "application/json"
    assert '"title":"漏水"' in body.decode()
    # HTTP would have them encoded; here each broker writes them as its protocol does.
    assert attributes["source"] == "/jiesu/房子"
    assert attributes["dataschema"] == "https://x.example/api/v1/schemas/complaint.routed.v1.json"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("amqps://jiesu:p%40ss@mq.example/prod", "amqps://jiesu:…@mq.example/prod"),
        ("amqp://jiesu:pa/ss@mq.example/", "amqp://jiesu:…@mq.example/"),
        ("amqp://jiesu:p@ss@mq.example/", "amqp://jiesu:…@mq.example/"),
        ("amqp://jiesu@mq.example/", "amqp://jiesu@mq.example/"),
        ("https://bi.example:8443/hooks/@jiesu", "https://bi.example:8443/hooks/@jiesu"),
        ("https://u:p@bi.example/", "https://u:…@bi.example/"),
        ("https://[bad:p@x", "https://[bad:…@x"),
    ],
)
def test_no_password_is_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


def read(home: Path, text: str) -> config.Settings:
    (home / "jiesu.toml").write_text(text, "utf-8")
    return config.load({"JIESU_HOME": str(home), "JIESU_TRACKER_URL": ""})


def test_a_broker_is_set_like_any_endpoint(tmp_path: Path) -> None:
    (endpoint,) = of_settings(read(tmp_path, BROKER))
    assert endpoint.format is Format.CLOUDEVENTS_STRUCTURED
    assert endpoint.exchange == Exchange("jiesu.events", "", "", "")
    more = 'format = "standard-webhooks"\nexchange = "其他"\nqueue = "全部"\npassword_file = "p"\ntls_ca = "ca"\n'
    (endpoint,) = of_settings(read(tmp_path, BROKER + more))
    assert endpoint.format is Format.STANDARD_WEBHOOKS
    assert endpoint.exchange == Exchange("其他", "全部", "p", "ca")
    (webhook,) = of_settings(read(tmp_path, '[[endpoint]]\nname = "bi"\nurl = "https://bi.example/"\n'))
    assert (webhook.exchange, webhook.format) == (None, Format.STANDARD_WEBHOOKS)


@pytest.mark.parametrize(
    "url",
    [
        "amqp://mq.example/",
        "amqp://:geheim@mq.example/",
        "amqp://jiesu:geheim@/",
        "amqp://jiesu:geheim@mq.example:99999/",
        "amqp://jiesu:geheim@mq.example:0/",
        "amqp://jiesu:geheim@mq.example/a/b",
        "amqp://jiesu:geheim@mq.example/?no_verify_ssl=1",
        "amqp://jiesu:geheim@mq.example/#x",
        "amqp://jiesu:gehe/im@mq.example/",
        "https://jiesu:geheim@mq.example/",
        "",
    ],
)
def test_a_wrong_address_is_refused_and_its_password_not_told(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadSetting) as caught:
        read(tmp_path, BROKER.replace("amqps://jiesu@mq.example/prod", url))
    assert caught.value.key == "endpoint.mq.url"
    assert "geheim" not in str(caught.value)
    assert "gehe/im" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "amq.topic", "字" * 86, "a\nb"])
def test_a_name_that_no_exchange_can_have_is_refused(tmp_path: Path, name: str) -> None:
    spelt = name.replace("\n", "\\n")
    with pytest.raises(BadSetting, match=r"endpoint\.mq\.exchange"):
        read(tmp_path, f'{BROKER}exchange = "{spelt}"\n')
