"""Sends events to an endpoint by Standard Webhooks 1.0.0. The only home of the HTTP client.

The client runs in a loop of its own in a thread of its own, so that the synchronous core can use it; connections are kept open.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache, partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp

from gateway.clock import Clock
from gateway.keyring import secret_bytes
from gateway.public_addresses import forbidden, listens, open_any, open_if_public
from models.delivery import Outcome, OutcomeCode, Outgoing

_T = TypeVar("_T")
# So much of an answer is kept, for the person who looks for the cause.
_ANSWER_BYTES = 500
_LONGEST_RETRY_AFTER = timedelta(days=1)


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


class WebhookSender:
    """Sends events; call it from any thread.

    allow_private_hosts: host names or addresses that may be private; all other private, loopback, link-local, multicast and metadata
    addresses are refused at the moment of connecting, on the very address that is connected to, so that no second look-up can differ.
    """

    def __init__(self, clock: Clock, *, allow_private_hosts: Sequence[str], timeout_seconds: float, concurrency: int) -> None:
        self._clock = clock
        self._allowed = {host.lower() for host in allow_private_hosts}
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._concurrency = concurrency
        # Shared by all callers, whatever their number.
        self._gate = asyncio.Semaphore(concurrency)
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="webhook-sender", daemon=True)
        self._thread.start()

    def send(self, outgoing: Sequence[Outgoing]) -> list[Outcome]:
        """Sends all at once, at most `concurrency` at a time. One outcome for each, in order; never raises."""
        if not outgoing:
            return []
        return self._run(self._send_all(outgoing))

    def post(self, url: str, body: bytes, *, most_answer: int) -> Outcome:
        """Posts one JSON body as it is, unsigned, under the same rules for addresses, and reads the answer up to `most_answer` bytes.

        Never raises.
        """
        return self._run(self._gated_post(url, body, most_answer))

    def reachable(self, url: str) -> bool:
        """Whether somebody listens at the address; sends nothing."""
        parts = urlsplit(url)
        try:
            return listens(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80), self._allowed)
        except ValueError:
            return False

    def close(self) -> None:
        """Gives the connections back and ends the thread."""
        self._run(self._close_sessions())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _close_sessions(self) -> None:
        for session in self._sessions.values():
            await session.close()

    async def _send_all(self, outgoing: Sequence[Outgoing]) -> list[Outcome]:
        async def gated(one: Outgoing) -> Outcome:
            async with self._gate:
                return await self._send_one(one)

        return list(await asyncio.gather(*(gated(one) for one in outgoing)))

    def _session(self, private: bool) -> aiohttp.ClientSession:
        """One pool for hosts that may be private and one for all others, each with its own check."""
        if private not in self._sessions:
            connector = aiohttp.TCPConnector(
                limit=self._concurrency,
                socket_factory=open_any if private else open_if_public,
                keepalive_timeout=30,
            )
            self._sessions[private] = aiohttp.ClientSession(connector=connector, timeout=self._timeout, trust_env=False)
        return self._sessions[private]

    async def _send_one(self, one: Outgoing) -> Outcome:
        headers = {
            **signature(one, int(self._clock.now().timestamp())),
            **one.headers,
        }
        return await self._post(one.url, one.body, headers, _first_words)

    async def _gated_post(self, url: str, body: bytes, most_answer: int) -> Outcome:
        async with self._gate:
            return await self._post(url, body, {}, partial(_whole, most=most_answer))

    async def _post(
        self, url: str, body: bytes, more: Mapping[str, str], reading: Callable[[aiohttp.StreamReader], Awaitable[bytes]]
    ) -> Outcome:
        headers = {"content-type": "application/json; charset=utf-8", "user-agent": "jiesu", **more}
        begun = time.perf_counter()
        try:
            session = self._session((urlsplit(url).hostname or "").lower() in self._allowed)
            async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                answer = (await reading(response.content)).decode("utf-8", "replace")
                seconds = time.perf_counter() - begun
                return Outcome(
                    _code(response.status),
                    response.status,
                    seconds,
                    answer,
                    _retry_after(response.headers.get("retry-after"), self._clock.now()),
                )
        except TimeoutError:
            return Outcome(OutcomeCode.TIMEOUT, None, time.perf_counter() - begun)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Outcome(_why_not(error), None, time.perf_counter() - begun, type(error).__name__)


async def _first_words(content: aiohttp.StreamReader) -> bytes:
    """What has come of an answer that only a person may want to read."""
    return await content.read(_ANSWER_BYTES)


async def _whole(content: aiohttp.StreamReader, most: int) -> bytes:
    """All of an answer that is to be understood, in however many pieces it comes."""
    read = bytearray()
    while len(read) < most and (piece := await content.read(most - len(read))):
        read += piece
    return bytes(read)


def _why_not(error: BaseException) -> OutcomeCode:
    if forbidden(error):
        return OutcomeCode.FORBIDDEN_ADDRESS
    # A certificate that is refused shows when somebody does listen.
    nobody = isinstance(error, aiohttp.ClientConnectorError) and not isinstance(error, aiohttp.ClientSSLError)
    return OutcomeCode.AWAY if nobody else OutcomeCode.UNREACHABLE


def _code(status: int) -> OutcomeCode:
    if 200 <= status < 300:
        return OutcomeCode.ACCEPTED
    if status == 410:
        return OutcomeCode.GONE
    if status in (429, 502, 503, 504):
        return OutcomeCode.THROTTLED
    if 300 <= status < 400:
        return OutcomeCode.REDIRECTED
    return OutcomeCode.CLIENT_ERROR if 400 <= status < 500 else OutcomeCode.SERVER_ERROR


def _retry_after(value: str | None, now: datetime) -> timedelta | None:
    """Seconds or an HTTP date (RFC 9110 10.2.3); nonsense is ignored, and nobody may ask for more than a day."""
    if not value:
        return None
    try:
        wait = timedelta(seconds=int(value))
    except (ValueError, OverflowError):
        try:
            wait = parsedate_to_datetime(value) - now
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(wait, timedelta(0)), _LONGEST_RETRY_AFTER)
