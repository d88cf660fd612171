"""Sends events to an endpoint by Standard Webhooks 1.0.0. The only home of the HTTP client.

The client runs in a loop of its own in a thread of its own, so that the synchronous core can use it; connections are kept open.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import socket
import threading
import time
from collections.abc import Coroutine, Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp

from gateway.clock import Clock
from gateway.keyring import secret_bytes
from models.delivery import Outcome, OutcomeCode, Outgoing

_T = TypeVar("_T")
# So much of an answer is kept, for the person who looks for the cause.
_ANSWER_BYTES = 500
_LONGEST_RETRY_AFTER = timedelta(days=1)


def sign(secret: str, webhook_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` of a body: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.

    Raises `BadSetting` when the secret is not `whsec_` and base64.
    """
    signed = hmac.new(secret_bytes(secret), f"{webhook_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(signed.digest()).decode()


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

    def reachable(self, url: str) -> bool:
        """Whether somebody listens at the address; sends nothing."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        open_socket = _open if host.lower() in self._allowed else _open_if_public
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
            for address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                with open_socket(address) as probe:
                    probe.settimeout(1)
                    if probe.connect_ex(address[4]) == 0:
                        return True
        except (OSError, ValueError):
            return False
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
                socket_factory=_open if private else _open_if_public,
                keepalive_timeout=30,
            )
            self._sessions[private] = aiohttp.ClientSession(connector=connector, timeout=self._timeout, trust_env=False)
        return self._sessions[private]

    async def _send_one(self, one: Outgoing) -> Outcome:
        timestamp = int(self._clock.now().timestamp())
        headers = {
            "content-type": "application/json; charset=utf-8",
            "user-agent": "jiesu",
            "webhook-id": one.webhook_id,
            "webhook-timestamp": str(timestamp),
            # Two while a secret is being replaced; the receiver takes either.
            "webhook-signature": " ".join(
                sign(secret, one.webhook_id, timestamp, one.body) for secret in (one.secret, one.old_secret) if secret
            ),
            **one.headers,
        }
        begun = time.perf_counter()
        try:
            session = self._session((urlsplit(one.url).hostname or "").lower() in self._allowed)
            async with session.post(one.url, data=one.body, headers=headers, allow_redirects=False) as response:
                answer = (await response.content.read(_ANSWER_BYTES)).decode("utf-8", "replace")
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


class _PrivateAddressError(OSError):
    """The address that was about to be connected to is not public."""


def _why_not(error: BaseException) -> OutcomeCode:
    if _forbidden(error):
        return OutcomeCode.FORBIDDEN_ADDRESS
    # A certificate that is refused shows when somebody does listen.
    nobody = isinstance(error, aiohttp.ClientConnectorError) and not isinstance(error, aiohttp.ClientSSLError)
    return OutcomeCode.AWAY if nobody else OutcomeCode.UNREACHABLE


def _forbidden(error: BaseException) -> bool:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, _PrivateAddressError) or isinstance(getattr(seen, "os_error", None), _PrivateAddressError):
            return True
        if isinstance(seen, BaseExceptionGroup) and any(_forbidden(part) for part in seen.exceptions):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _open(address: Any) -> socket.socket:
    family, kind, protocol, _, _ = address
    return socket.socket(family, kind, protocol)


def _open_if_public(address: Any) -> socket.socket:
    ip = ipaddress.ip_address(address[4][0].partition("%")[0])
    if not all(one.is_global and not one.is_multicast for one in _meant(ip)):
        raise _PrivateAddressError(f"{ip} is not public")
    return _open(address)


# Prefixes of IPv6 that carry an IPv4 address in their last 32 bits: NAT64 (RFC 6052) and the old compatible form (RFC 4291 2.5.5.1).
_CARRIERS = tuple(ipaddress.IPv6Network(prefix) for prefix in ("64:ff9b::/96", "::/96"))
# Never public, though the standard library does not say so: local NAT64 (RFC 8215) and the old site-local form (RFC 3879).
_NEVER = tuple(ipaddress.IPv6Network(prefix) for prefix in ("64:ff9b:1::/48", "fec0::/10"))


def _meant(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Every address that a packet to this one may end at."""
    if isinstance(ip, ipaddress.IPv4Address):
        return [ip]
    if any(ip in network for network in _NEVER):
        return [ipaddress.IPv4Address(0)]
    inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
    if inner is None and any(ip in network for network in _CARRIERS):
        inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    if inner is not None:
        return [inner]
    return [ip]


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
