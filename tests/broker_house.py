"""Readers of a broker for tests, by the library that consumers would use: queues and what is in them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import quote

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from rabbitmq import PASSWORD, RabbitMq

from models.delivery import Outgoing

_T = TypeVar("_T")
# 32 bytes that everybody may know.
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def with_channel(server: RabbitMq, work: Callable[[AbstractChannel], Awaitable[_T]], vhost: str = "") -> _T:
    """Lets `work` use a channel of its own."""

    async def run() -> _T:
        async with await aio_pika.connect(server.url(password=quote(PASSWORD, safe=""), vhost=vhost)) as connection:
            return await work(await connection.channel())

    return asyncio.run(run())


def bind(server: RabbitMq, queue: str, exchange: str, key: str = "#", **arguments: Any) -> None:
    """A queue of a consumer, bound to an exchange that is there already or is made as it should be."""

    async def work(channel: AbstractChannel) -> None:
        made = await channel.declare_exchange(exchange, "topic", durable=True)
        theirs = await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": "quorum", **arguments})
        await theirs.bind(made, key)

    with_channel(server, work)


def take(server: RabbitMq, queue: str) -> list[AbstractIncomingMessage]:
    """Everything in a queue, oldest first; it is empty afterwards."""

    async def work(channel: AbstractChannel) -> list[AbstractIncomingMessage]:
        found = []
        theirs = await channel.get_queue(queue)
        while (message := await theirs.get(fail=False)) is not None:
            await message.ack()
            found.append(message)
        return found

    return with_channel(server, work)


def waiting(server: RabbitMq, queue: str) -> int:
    """How many messages wait in a queue; 0 where there is none."""

    async def work(channel: AbstractChannel) -> int:
        try:
            return (await channel.declare_queue(queue, passive=True)).declaration_result.message_count or 0
        except aio_pika.exceptions.ChannelNotFoundEntity:
            return 0

    return with_channel(server, work)


def payload(number: str = "TS-20261123-0042", kind: str = "complaint.routed", **data: Any) -> str:
    """An event as far as a broker looks at it."""
    told = {
        "schema": "complaint.routed.v1",
        "number": number,
        "event_id": f"evt_{number}",
        "department": {"code": "engineering", "name": "工程部"},
        **data,
    }
    return json.dumps({"type": kind, "timestamp": "2026-11-23T01:00:00Z", "data": told}, ensure_ascii=False)


def outgoing(webhook_id: str = "evt_1", body: bytes = b"{}", topic: str = "complaint.routed.engineering") -> Outgoing:
    """An event on its way."""
    return Outgoing(webhook_id, "", SECRET, body, topic=topic)
