"""Tells a message broker of events. What every broker is given is made here; how one kind is spoken to is a `Link` in a file of its own."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from gateway.clock import Clock
from gateway.public_addresses import listens
from gateway.tracker import signature, through
from models.delivery import Outcome, OutcomeCode, Outgoing

_T = TypeVar("_T")
# So much of what a broker said is kept, for the person who looks for the cause.
_SAID_CHARACTERS = 500
# So long the last words to a broker may take when the gateway ends.
_GOODBYE_SECONDS = 5.0


def topic(payload: str) -> str:
    """What a broker sorts an event by: its type and, where a department must act, that: `complaint.routed.engineering`.

    Words are separated by dots; a dot in a department's code would make two words of it, and becomes a hyphen.
    """
    told = json.loads(payload)
    department = (told["data"].get("department") or {}).get("code", "").replace(".", "-")
    return f"{told['type']}.{department}" if department else str(told["type"])


@dataclass(frozen=True, slots=True)
class Message:
    """One event on its way to a broker.

    id: the same on every try, so that consumers can drop doubles. signature: the three headers of Standard Webhooks over `body`.
    attributes: those of a CloudEvent that do not stand in the body, under their own names.
    """

    id: str
    topic: str
    body: bytes
    content_type: str
    signature: Mapping[str, str]
    attributes: Mapping[str, str]


class NotTakenError(Exception):
    """The broker has not said that it keeps the message. `said`: why, for a person; never with a password in it."""

    def __init__(self, code: OutcomeCode, said: str, status: int | None = None) -> None:
        super().__init__(said)
        self.code, self.said, self.status = code, said, status


class Link(Protocol):
    """The connection to one broker. Made without connecting, and used in one event loop only."""

    @property
    def host(self) -> str:
        """Where it is."""
        ...

    @property
    def port(self) -> int:
        """The port, or the usual one."""
        ...

    async def publish(self, message: Message) -> None:
        """Returns once the broker keeps the message on disk for somebody; connects first where need be, within the endpoint's time.

        Many may wait at once. Raises `NotTakenError`; the next call connects anew where the connection broke.
        """
        ...

    async def close(self) -> None:
        """Hangs up."""
        ...


class BrokerSender:
    """Sends events to a broker over a link; call it from any thread. The link lives in a loop of its own in a thread of its own.

    concurrency: most messages that wait for their confirmation at once. allow_private_hosts: as of the link.
    """

    def __init__(self, clock: Clock, link: Link, *, concurrency: int, allow_private_hosts: Sequence[str]) -> None:
        self._clock, self._link = clock, link
        self._allowed = {host.lower() for host in allow_private_hosts}
        self._gate = asyncio.Semaphore(concurrency)
        self._ending = False
        self._loop = asyncio.new_event_loop()
        # What a connection dies of is said by the outcomes; the loop's own log would quote what was under way.
        self._loop.set_exception_handler(lambda *_: None)
        self._thread = threading.Thread(target=self._loop.run_forever, name="broker-sender", daemon=True)
        self._thread.start()

    def send(self, outgoing: Sequence[Outgoing]) -> list[Outcome]:
        """Sends all at once, at most `concurrency` at a time. One outcome for each that was begun, in order; never raises."""
        return self._run(through(self._gate, outgoing, self._send_one)) if outgoing else []

    def reachable(self, url: str) -> bool:
        """Whether somebody listens where the link leads; sends nothing."""
        return listens(self._link.host, self._link.port, self._allowed)

    def close(self) -> None:
        """Hangs up and ends the thread."""
        self._run(self._hang_up())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _hang_up(self) -> None:
        self._ending = True
        try:
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await self._link.close()
        except TimeoutError:
            pass
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:
            # What was under way learns that the connection is gone, and is told as a try that failed.
            _, left = await asyncio.wait(left, timeout=1)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _send_one(self, one: Outgoing) -> Outcome:
        signed = signature(one, int(self._clock.now().timestamp()))
        kind = one.headers.get("content-type", "application/json; charset=utf-8")
        begun = time.perf_counter()
        try:
            if self._ending:
                raise NotTakenError(OutcomeCode.UNREACHABLE, "网关正在停止 / the gateway is stopping")
            await self._link.publish(Message(one.webhook_id, one.topic, one.body, kind, signed, one.attributes))
        except NotTakenError as error:
            return Outcome(error.code, error.status, time.perf_counter() - begun, error.said[:_SAID_CHARACTERS])
        return Outcome(OutcomeCode.ACCEPTED, None, time.perf_counter() - begun)
