"""The only HTTP client: for the senders of webhooks and the adapters of trackers, with its guard against private addresses.

The client runs in a loop of its own in a thread of its own, so that the synchronous core can use it; connections are kept open.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp

from gateway.clock import Clock
from gateway.public_addresses import forbidden, listens, open_any, open_if_public
from models.delivery import OutcomeCode

_T = TypeVar("_T")
_LONGEST_RETRY_AFTER = timedelta(days=1)
# So long is waited for the first words of an answer of which only the status counts.
_MOMENT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request brought. `status` None: nothing was answered, and `why` names the error.

    headers: by their names in small letters. body: at most as many bytes as were asked for; `whole` whether that is all of it.
    """

    code: OutcomeCode
    status: int | None
    seconds: float
    why: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    whole: bool = True
    retry_after: timedelta | None = None


class HttpClient:
    """Asks; call it from any thread.

    allow_private_hosts: host names or addresses that may be private; all other private, loopback, link-local, multicast and metadata
    addresses are refused at the moment of connecting, on the very address that is connected to, so that no second look-up can differ.
    concurrency: most connections at once. No cookie is kept from one request to the next.
    """

    def __init__(self, clock: Clock, *, allow_private_hosts: Sequence[str], timeout_seconds: float, concurrency: int, name: str) -> None:
        self._clock = clock
        self._allowed = {host.lower() for host in allow_private_hosts}
        self._timeout_seconds, self._concurrency = timeout_seconds, concurrency
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Runs a coroutine in the client's loop and waits for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def reachable(self, url: str) -> bool:
        """Whether somebody listens at the address; sends nothing."""
        parts = urlsplit(url)
        try:
            return listens(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80), self._allowed)
        except ValueError:
            return False

    def close(self) -> None:
        """Gives the connections back and ends the thread."""
        self.run(self._close_sessions())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        most_bytes: int,
        whole: bool = True,
        seconds: float | None = None,
    ) -> Answer:
        """One request, with no redirect followed; never raises.

        most_bytes: so much of the answer is read. whole: False where its first piece will do, and none where it takes more than a moment:
        the status is the answer then, and the words are for people only.
        seconds: until it is given up; else as was said when the client was made.
        """
        begun = time.perf_counter()
        try:
            session = self._session((urlsplit(url).hostname or "").lower() in self._allowed)
            timeout = aiohttp.ClientTimeout(total=seconds or self._timeout_seconds)
            sent = session.request(method, url, data=body, headers=headers, allow_redirects=False, timeout=timeout)
            async with sent as response:
                read, all_of_it = await _read(response, most_bytes) if whole else (await _first_piece(response, most_bytes), False)
                return Answer(
                    code_of(response.status),
                    response.status,
                    time.perf_counter() - begun,
                    headers={name.lower(): value for name, value in response.headers.items()},
                    body=read,
                    whole=all_of_it,
                    retry_after=_retry_after(response.headers.get("retry-after"), self._clock.now()),
                )
        except TimeoutError:
            return Answer(OutcomeCode.TIMEOUT, None, time.perf_counter() - begun)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(_why_not(error), None, time.perf_counter() - begun, type(error).__name__)

    async def _close_sessions(self) -> None:
        for session in self._sessions.values():
            await session.close()

    def _session(self, private: bool) -> aiohttp.ClientSession:
        """One pool for hosts that may be private and one for all others, each with its own check."""
        if private not in self._sessions:
            connector = aiohttp.TCPConnector(
                limit=self._concurrency,
                socket_factory=open_any if private else open_if_public,
                keepalive_timeout=30,
            )
            self._sessions[private] = aiohttp.ClientSession(
                connector=connector, trust_env=False, cookie_jar=aiohttp.DummyCookieJar(), middlewares=(_once,)
            )
        return self._sessions[private]


class _BrokenConnectionError(OSError):
    """The connection broke before an answer came."""


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Sends a request once. The library sends a PUT again whose connection broke, which may add a note twice; whoever asks looks first."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _BrokenConnectionError(type(error).__name__) from error


async def _read(response: aiohttp.ClientResponse, most: int) -> tuple[bytes, bool]:
    """The first bytes of an answer, and whether they are all."""
    pieces: list[bytes] = []
    left = most + 1
    while left > 0 and (piece := await response.content.read(left)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)[:most], left > 0


async def _first_piece(response: aiohttp.ClientResponse, most: int) -> bytes:
    """What of an answer comes within a moment; empty where nothing does, or where it breaks off."""
    try:
        async with asyncio.timeout(_MOMENT_SECONDS):
            return await response.content.read(most)
    except (TimeoutError, aiohttp.ClientError, OSError):
        return b""


def _why_not(error: BaseException) -> OutcomeCode:
    if forbidden(error):
        return OutcomeCode.FORBIDDEN_ADDRESS
    # A certificate that is refused shows when somebody does listen.
    nobody = isinstance(error, aiohttp.ClientConnectorError) and not isinstance(error, aiohttp.ClientSSLError)
    return OutcomeCode.AWAY if nobody else OutcomeCode.UNREACHABLE


def code_of(status: int) -> OutcomeCode:
    """What a status means for whoever asked."""
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
