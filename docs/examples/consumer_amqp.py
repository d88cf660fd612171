"""A consumer of RabbitMQ: verifies each event and keeps one ticket for one key (pip install aio-pika standardwebhooks).

JIESU_SECRET=whsec_… python consumer_amqp.py amqps://USER:PASSWORD@HOST/VHOST
"""

import asyncio
import os
import sys

import aio_pika
from standardwebhooks import Webhook


async def consume(url: str, secret: str) -> None:
    seen, tickets = set(), {}
    async with await aio_pika.connect_robust(url) as connection:
        queue = await (await connection.channel()).declare_queue("tickets", durable=True, arguments={"x-queue-type": "quorum"})
        await queue.bind("jiesu.events", "complaint.routed.#")
        async for message in queue.iterator():
            # Acknowledged at the end of the block; what does not verify is put aside (dead letters).
            async with message.process():
                event = Webhook(secret).verify(message.body.decode(), message.headers)
                if message.message_id not in seen:
                    tickets[event["data"]["idempotency_key"]] = event["data"]
                seen.add(message.message_id)
                print(message.routing_key, event["data"]["number"], len(tickets), flush=True)


if __name__ == "__main__":
    asyncio.run(consume(sys.argv[1], os.environ["JIESU_SECRET"]))
