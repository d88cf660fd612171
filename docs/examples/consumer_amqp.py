"""A consumer of RabbitMQ: verifies each event and keeps one ticket for one key (pip install aio-pika standardwebhooks).

JIESU_SECRET=whsec_… python consumer_amqp.py amqps://USER:PASSWORD@HOST/VHOST
"""

import asyncio
import hmac
import json
import os
import sys
from datetime import UTC, datetime

import aio_pika
from standardwebhooks.webhooks import Webhook

CARRY_A_TICKET = {"complaint.routed", "complaint.rerouted", "complaint.updated", "complaint.reopened"}
STATUS = {"complaint.closed": "closed", "complaint.reopened": "open"}
QUEUE, DEAD = "tickets", "tickets.dead"
# What is rejected goes to the dead letters and is not lost on the way there; so does what ended the consumer 20 times.
ARGUMENTS = {
    "x-queue-type": "quorum",
    "x-dead-letter-exchange": DEAD,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
    "x-delivery-limit": 20,
}
seen, tickets = set(), {}


def is_ours(secret: str, message: aio_pika.abc.AbstractIncomingMessage) -> bool:
    """Whether it is truly signed. How old it is does not matter: what waits in a queue is, and the timestamp is signed with the rest."""
    try:
        message_id, timestamp, signatures = (str(message.headers[f"webhook-{name}"]) for name in ("id", "timestamp", "signature"))
        signed = Webhook(secret).sign(message_id, datetime.fromtimestamp(int(timestamp), UTC), message.body.decode())
    except (KeyError, ValueError, OverflowError, OSError):
        return False
    return any(hmac.compare_digest(signed.encode(), one.encode()) for one in signatures.split(" "))


def keep(event: dict, message_id: str) -> None:
    """One ticket for one key. In your program: seen and tickets in one transaction of your database."""
    kind, key = event["type"], event["data"].get("idempotency_key")
    if message_id not in seen:
        if kind in CARRY_A_TICKET:
            tickets[key] = {**event["data"], "status": tickets.get(key, {}).get("status", "open")}
        if kind in STATUS and key in tickets:
            tickets[key]["status"] = STATUS[kind]
        if kind == "complaint.erased":
            tickets.pop(key, None)
    seen.add(message_id)


async def consume(url: str, secret: str) -> None:
    async with await aio_pika.connect_robust(url) as connection:
        channel = await connection.channel()
        # One at a time, so that the order stays where one is put back.
        await channel.set_qos(prefetch_count=1)
        dead = await channel.declare_queue(DEAD, durable=True, arguments={"x-queue-type": "quorum"})
        await dead.bind(await channel.declare_exchange(DEAD, "fanout", durable=True))
        queue = await channel.declare_queue(QUEUE, durable=True, arguments=ARGUMENTS)
        await queue.bind("jiesu.events", "complaint.#")
        async for message in queue.iterator():
            if not is_ours(secret, message):
                await message.reject(requeue=False)
                continue
            # Acknowledged at the end of the block; put back where it fails, which is our own fault and not the message's.
            async with message.process(requeue=True):
                event = json.loads(message.body)
                keep(event, str(message.headers["webhook-id"]))
                print(message.routing_key, event["data"]["number"], len(tickets), flush=True)


if __name__ == "__main__":
    asyncio.run(consume(sys.argv[1], os.environ["JIESU_SECRET"]))
