"""Publishes to RabbitMQ over AMQP 0-9-1 and returns once the broker has confirmed. The only home of its client."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange
from aio_pika.connection import make_url
from aiormq.connection import TransportFactory
from aiormq.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelAccessRefused,
    ChannelClosed,
    ChannelInvalidStateError,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    ConnectionClosed,
    ConnectionInternalError,
    ConnectionNotAllowed,
    ConnectionResourceError,
    DeliveryError,
    InvalidFrameError,
    ProbableAuthenticationError,
    PublishError,
)

from gateway.broker import Message, NotTakenError
from gateway.event_schemas import TEST
from gateway.public_addresses import forbidden, open_any, open_if_public
from models.delivery import OutcomeCode
from models.endpoint import Endpoint, Exchange
from models.errors import BadSetting

# Their logs quote addresses and messages.
for _name in ("aio_pika", "aiormq"):
    logging.getLogger(_name).addHandler(logging.NullHandler())
    logging.getLogger(_name).propagate = False

# Names of CloudEvents' attributes in AMQP (AMQP binding 3.1.3.1); the underscore is the one that the specification prefers.
_PREFIX = "cloudEvents_"
# A broker that is gone without a word is noticed after three times so many seconds.
_HEARTBEAT_SECONDS = 20
# So long saying goodbye may take before the connection is cut.
_CLOSE_SECONDS = 3.0
# Reply codes of AMQP 0-9-1: those that the library does not hand on, and those that it has a kind of error for.
_NO_ROUTE, _ACCESS_REFUSED, _NOT_ALLOWED = 312, 403, 530
_STATUS: Mapping[type[AMQPError], int] = {
    ChannelNotFoundEntity: 404,
    ConnectionResourceError: 506,
    ConnectionNotAllowed: 530,
    ConnectionInternalError: 541,
}


class RabbitLink:
    """One connection with one channel, opened at the first message and again after it broke.

    password: gives the one to log in with, anew for each connection, so that a changed one counts at once; raises `BadSetting`.
    Raises `BadSetting` where the certificates cannot be used or the password cannot be read.
    """

    def __init__(self, endpoint: Endpoint, password: Callable[[], str], tls_ca: str = "") -> None:
        parts = urlsplit(endpoint.url)
        self.host, self._secure = parts.hostname or "", parts.scheme == "amqps"
        self.port = parts.port or (5671 if self._secure else 5672)
        self._parts, self._user = parts, unquote(parts.username or "")
        self._exchange, self._timeout = endpoint.exchange or Exchange(), endpoint.timeout_seconds
        self._password = password
        password()
        self._context = _trust(endpoint.name, tls_ca) if self._secure else None
        self._way = _CheckedWay(self.host, self.port, self._context, {host.lower() for host in endpoint.allow_private_hosts})
        self._opening: asyncio.Task[_Open] | None = None
        # Held here, because a loop does not hold its tasks.
        self._closing: set[asyncio.Task[None]] = set()

    async def publish(self, message: Message) -> None:
        """Returns once a queue keeps the message: the broker confirms only then. Raises `NotTakenError`."""
        opened: _Open | None = None
        try:
            async with asyncio.timeout(self._timeout):
                opened = await self._opened()
                if await opened.is_blocked():
                    raise _blocked()
                await opened.exchange.publish(_amqp(message), message.topic, mandatory=True)
        except NotTakenError:
            raise
        except PublishError as error:
            raise self._unroutable(message, error) from None
        except DeliveryError:
            raise NotTakenError(
                OutcomeCode.THROTTLED,
                "RabbitMQ 没有收下（nack）：队列已满，或仲裁队列没有多数节点 / "
                "RabbitMQ refused it (nack): a queue is full, or its quorum is gone",
            ) from None
        except TimeoutError:
            raise await self._too_long(opened) from None
        except asyncio.CancelledError:
            # The library cancels what waits when a connection goes; otherwise somebody wants us to end.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self._drop(opened)
            raise NotTakenError(OutcomeCode.UNREACHABLE, _BROKE) from None
        except Exception as error:
            self._drop(opened)
            raise self._understood(error) from None

    async def close(self) -> None:
        """Hangs up."""
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await (await opening).close()
        await asyncio.gather(*self._closing)

    # ---- The connection --------------------------------------------------------------------------------------------------------------

    async def _opened(self) -> _Open:
        """The connection that all share; whoever comes first opens it."""
        last = self._opening
        if last is not None and last.done():
            if last.cancelled() or last.exception():
                self._opening = None
            elif last.result().is_gone():
                self._drop(last.result())
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._open())
        return await asyncio.shield(self._opening)

    async def _open(self) -> _Open:
        where = self._parts.netloc.rpartition("@")[2]
        whom = f"{quote(self._user, safe='')}:{quote(self._password(), safe='')}@{where}"
        address = make_url(self._parts._replace(netloc=whom).geturl(), heartbeat=_HEARTBEAT_SECONDS, name="jiesu")
        async with asyncio.timeout(self._timeout):
            # The library makes a way of its own to the host unless it is given one.
            connection = aio_pika.Connection(address, ssl_context=self._context)
            connection.kwargs["transport_factory"] = self._way
            opened = _Open(connection)
            try:
                await connection.connect()
                await opened.prepare(self._exchange)
            except BaseException:
                await opened.close()
                raise
        return opened

    def _drop(self, opened: _Open | None) -> None:
        """Leaves a connection that broke; the next message opens another. What is still under way in it fails."""
        opening = self._opening
        if opened is None or opening is None or not opening.done() or opening.cancelled() or opening.exception():
            return
        if opening.result() is opened:
            self._opening = None
            closing = asyncio.ensure_future(opened.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def _too_long(self, opened: _Open | None) -> NotTakenError:
        if opened is not None and await opened.is_blocked():
            # It is still there and reads again in its own time. Cut off, it might take what it has twice, and out of order.
            return _blocked()
        self._drop(opened)
        return NotTakenError(OutcomeCode.TIMEOUT, f"{self._timeout:g} 秒内没有答复 / no answer within {self._timeout:g} seconds")

    # ---- What went wrong, in words ---------------------------------------------------------------------------------------------------

    def _unroutable(self, message: Message, error: PublishError) -> NotTakenError:
        name, key = self._exchange.name, message.topic
        zh = f"没有队列接收 {key}：请在交换机 {name} 上绑定队列，或设置 queue，或在 types 中去掉该事件"
        en = f"no queue takes {key}: bind one to the exchange {name}, or set queue, or take the event out of types"
        if key == TEST:
            zh = f"已连接并登录，但没有队列接收 {key}：请在交换机 {name} 上绑定 # 或 endpoint.#，或设置 queue"
            en = f"connected and logged in, but no queue takes {key}: bind # or endpoint.# to the exchange {name}, or set queue"
        return NotTakenError(OutcomeCode.CLIENT_ERROR, f"{zh} / {en}", getattr(error.frame, "reply_code", None) or _NO_ROUTE)

    def _understood(self, error: Exception) -> NotTakenError:
        if isinstance(error, BadSetting):
            return NotTakenError(OutcomeCode.CLIENT_ERROR, str(error), _ACCESS_REFUSED)
        if forbidden(error):
            return NotTakenError(OutcomeCode.FORBIDDEN_ADDRESS, "")
        if isinstance(error, ProbableAuthenticationError | AuthenticationError):
            return NotTakenError(
                OutcomeCode.CLIENT_ERROR,
                f"RabbitMQ 不认用户 {self._user} 或其密码 / RabbitMQ does not know the user {self._user} or its password",
                _ACCESS_REFUSED,
            )
        if isinstance(error, InvalidFrameError) and "Connection.Close" in str(error):
            # The library keeps nothing of an answer that turns us away once the password was right: then it is the virtual host.
            vhost = unquote(self._parts.path.removeprefix("/")) or "/"
            return NotTakenError(
                OutcomeCode.SERVER_ERROR,
                f"RabbitMQ 不让用户 {self._user} 进入虚拟主机 {vhost}：它不存在、无权限或已满 / "
                f"RabbitMQ does not let the user {self._user} into the virtual host {vhost}: there is none, it is closed to them, or full",
                _NOT_ALLOWED,
            )
        if isinstance(error, ChannelPreconditionFailed):
            return NotTakenError(
                OutcomeCode.CLIENT_ERROR,
                f"交换机或队列已存在且类型不同（应为持久 topic 交换机、quorum 队列），请改名或删去：{_words(error)} / "
                "the exchange or queue is there and of another kind (a durable topic exchange and a quorum queue are wanted): "
                "choose another name or delete it",
                406,
            )
        if isinstance(error, ChannelAccessRefused):
            return NotTakenError(
                OutcomeCode.CLIENT_ERROR,
                f"用户 {self._user} 没有权限，请用 rabbitmqctl set_permissions 授权：{_words(error)} / "
                f"the user {self._user} may not do that; grant it by rabbitmqctl set_permissions",
                _ACCESS_REFUSED,
            )
        if isinstance(error, ConnectionClosed | ChannelClosed):
            status = _STATUS.get(type(error)) or next((one for one in error.args if isinstance(one, int)), None)
            return NotTakenError(_of_reply(status), f"RabbitMQ：{_words(error)}", status)
        if isinstance(error, _NobodyThereError):
            return NotTakenError(OutcomeCode.AWAY, type(error.__cause__).__name__)
        if isinstance(error, ssl.SSLError):
            return NotTakenError(
                OutcomeCode.UNREACHABLE,
                f"TLS 失败（自签证书请设置 tls_ca）/ TLS failed (set tls_ca for a certificate of your own): {error.reason or error}",
            )
        if isinstance(error, AMQPError | ChannelInvalidStateError | OSError):
            return NotTakenError(OutcomeCode.UNREACHABLE, _BROKE)
        # A fault in the library must cost one try and not the lane.
        return NotTakenError(OutcomeCode.UNREACHABLE, type(error).__name__)


_BROKE = "连接中断，未得到确认 / the connection broke before it was confirmed"


def _blocked() -> NotTakenError:
    return NotTakenError(
        OutcomeCode.THROTTLED,
        "RabbitMQ 暂停接收（内存或磁盘告警）/ RabbitMQ takes nothing for now (its alarm of memory or disk is on)",
    )


class _Open:
    """A connection that is open, with its channel and exchange."""

    exchange: AbstractExchange

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self._channel: AbstractChannel | None = None

    async def prepare(self, wanted: Exchange) -> None:
        """Opens a channel with confirms, and makes what is not there: the exchange, and where it is wanted a queue for everything."""
        self.exchange = await self._declared(wanted.name)
        if wanted.queue:
            channel = await self._fresh()
            queue = await channel.declare_queue(wanted.queue, durable=True, arguments={"x-queue-type": "quorum"})
            await queue.bind(self.exchange, "#")

    async def _declared(self, name: str) -> AbstractExchange:
        channel = await self._fresh()
        try:
            return await channel.declare_exchange(name, aio_pika.ExchangeType.TOPIC, durable=True)
        except ChannelAccessRefused:
            # Who may only write may publish to one that somebody else has made. The refusal closed the channel.
            channel = await self._fresh()
            return await channel.get_exchange(name, ensure=True)

    async def _fresh(self) -> AbstractChannel:
        if self._channel is None or self._channel.is_closed:
            self._channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True).__aenter__()
        return self._channel

    def is_gone(self) -> bool:
        """Whether nothing can be published any more."""
        return not self._connection.connected.is_set() or self._channel is None or self._channel.is_closed

    async def is_blocked(self) -> bool:
        """Whether the broker has said that it takes nothing for now."""
        transport = self._connection.transport
        if transport is None:
            return False
        try:
            async with asyncio.timeout(0):
                await transport.ready()
        except TimeoutError:
            return True
        return False

    async def close(self) -> None:
        """Hangs up; waits no longer than a little for the broker."""
        # What was cut off the first time is only marked as closed the second time; else the library would close it once more at its end,
        # in whatever thread.
        for _ in range(2):
            with suppress(asyncio.CancelledError, Exception):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await self._connection.close()


class _NobodyThereError(OSError):
    """No address of the host could be connected to."""


class _CheckedWay(TransportFactory):
    """Connects to the very address that was checked, so that no second look-up can differ; TLS goes by the host's name."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None, allowed: Collection[str]) -> None:
        self._host, self._port, self._context = host, port, context
        self._open = open_any if host.lower() in allowed else open_if_public

    async def create(self, url: Any, **_: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A stream to the broker. Raises `PrivateAddressError`, `_NobodyThereError`, or what TLS raises."""
        connected = await self._connect()
        if self._context is None:
            return await asyncio.open_connection(sock=connected)
        return await asyncio.open_connection(sock=connected, ssl=self._context, server_hostname=self._host)

    async def _connect(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        try:
            addresses = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise _NobodyThereError from error
        last = OSError()
        for address in addresses:
            probe = self._open(address)
            probe.setblocking(False)
            try:
                await loop.sock_connect(probe, address[4])
            except BaseException as error:
                probe.close()
                if not isinstance(error, OSError):
                    raise
                last = error
            else:
                return probe
        raise _NobodyThereError from last


def _trust(name: str, tls_ca: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=tls_ca or None)
    except (ssl.SSLError, OSError) as error:
        raise BadSetting(
            f"endpoint.{name}.tls_ca",
            f"证书文件 {tls_ca} 无法使用（{error}）；应为 PEM",
            f"the certificates in {tls_ca} cannot be used ({error}); the file must be PEM",
        ) from None


def _amqp(message: Message) -> aio_pika.Message:
    """As it stands in AMQP: kept on disk, with the signature and the attributes as headers."""
    headers = {f"{_PREFIX}{name}": value for name, value in message.attributes.items()}
    return aio_pika.Message(
        message.body,
        headers={**message.signature, **headers},
        content_type=message.content_type,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=message.id,
        app_id="jiesu",
    )


def _of_reply(status: int | None) -> OutcomeCode:
    """What a reply code of AMQP 0-9-1 means: 3xx is the connection's, 4xx what we asked for, 5xx that it may not be had at all."""
    if status is None or status < 400:
        return OutcomeCode.UNREACHABLE
    return OutcomeCode.CLIENT_ERROR if status < 500 else OutcomeCode.SERVER_ERROR


def _words(error: AMQPError) -> str:
    """What the broker said."""
    return str(error.args[-1]) if error.args else type(error).__name__
