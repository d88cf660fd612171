"""Sends events to an endpoint by Standard Webhooks 1.0.0."""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache

from gateway import circuit
from gateway.clock import Clock
from gateway.http_client import Answer, HttpClient
from gateway.keyring import secret_bytes
from models.delivery import Outcome, Outgoing

# So much of an answer is kept, for the person who looks for the cause.
_ANSWER_BYTES = 500
_HEADERS = {"content-type": "application/json; charset=utf-8", "user-agent": "jiesu"}


def sign(secret: str, webhook_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` of a body: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.

    Raises `BadSetting` when the secret is not `whsec_` and base64.
    """
    signed = hmac.digest(_key(secret), f"{webhook_id}.{timestamp}.".encode() + body, "sha256")
    return "v1," + base64.b64encode(signed).decode()


@lru_cache(maxsize=64)
def _key(secret: str) -> bytes:
    """The key inside a secret, once for all events that it signs."""
    return secret_bytes(secret)


def signature(one: Outgoing, timestamp: int) -> dict[str, str]:
    """The headers that a receiver verifies. `timestamp`: seconds, new for each try."""
    return {
        "webhook-id": one.webhook_id,
        "webhook-timestamp": str(timestamp),
        # Two while a secret is being replaced; the receiver takes either.
        "webhook-signature": " ".join(
            sign(secret, one.webhook_id, timestamp, one.body) for secret in (one.secret, one.old_secret) if secret
        ),
    }


async def through(
    gate: asyncio.Semaphore, outgoing: Sequence[Outgoing], send_one: Callable[[Outgoing], Awaitable[Outcome]]
) -> list[Outcome]:
    """Sends all at once, but no more at a time than the gate lets. One outcome for each, in order.

    Once the receiver asks for time nothing more is begun; the gate lets them in in order, so it is the last that have no outcome.
    """
    asked = False

    async def gated(one: Outgoing) -> Outcome | None:
        nonlocal asked
        async with gate:
            if asked:
                return None
            outcome = await send_one(one)
            asked = asked or circuit.asks_for_time(outcome)
            return outcome

    return [outcome for outcome in await asyncio.gather(*map(gated, outgoing)) if outcome is not None]


class WebhookSender:
    """Sends events; call it from any thread. The parameters are those of `HttpClient`; `concurrency` is shared by all callers."""

    def __init__(self, clock: Clock, *, allow_private_hosts: Sequence[str], timeout_seconds: float, concurrency: int) -> None:
        self._clock = clock
        self._client = HttpClient(
            clock,
            allow_private_hosts=allow_private_hosts,
            timeout_seconds=timeout_seconds,
            concurrency=concurrency,
            name="webhook-sender",
        )
        # Shared by all callers, whatever their number.
        self._gate = asyncio.Semaphore(concurrency)

    def send(self, outgoing: Sequence[Outgoing]) -> list[Outcome]:
        """Sends all at once, at most `concurrency` at a time. One outcome for each that was begun, in order; never raises."""
        if not outgoing:
            return []
        return self._client.run(through(self._gate, outgoing, self._send_one))

    def post(self, url: str, body: bytes, *, most_answer: int) -> Outcome:
        """Posts one JSON body as it is, unsigned, under the same rules for addresses, and reads the answer up to `most_answer` bytes.

        Never raises.
        """
        return self._client.run(self._gated_post(url, body, most_answer))

    def reachable(self, url: str) -> bool:
        """Whether somebody listens at the address; sends nothing."""
        return self._client.reachable(url)

    def close(self) -> None:
        """Gives the connections back and ends the thread."""
        self._client.close()

    async def _send_one(self, one: Outgoing) -> Outcome:
        headers = {**_HEADERS, **signature(one, int(self._clock.now().timestamp())), **one.headers}
        # Of an answer that only a person may want to read the first words will do.
        return _outcome(await self._client.ask("POST", one.url, headers=headers, body=one.body, most_bytes=_ANSWER_BYTES, whole=False))

    async def _gated_post(self, url: str, body: bytes, most_answer: int) -> Outcome:
        async with self._gate:
            return _outcome(await self._client.ask("POST", url, headers=_HEADERS, body=body, most_bytes=most_answer))


def _outcome(answer: Answer) -> Outcome:
    said = answer.why or answer.body.decode("utf-8", "replace")
    return Outcome(answer.code, answer.status, answer.seconds, said, answer.retry_after)
