"""The part of the wiring that knows by which means each kind of endpoint is told: one maker of senders a kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from urllib.parse import unquote, urlsplit

from gateway.broker import BrokerSender
from gateway.clock import SystemClock
from gateway.cloudevents import CloudEvents
from gateway.config import Settings, secret_file
from gateway.deliver import Sender
from gateway.endpoints import Endpoints, MakeSender, check_departments, check_secret, of_settings
from gateway.rabbitmq import RabbitLink
from gateway.tracker import WebhookSender
from gateway.trackers import making
from gateway.trackers.making import Surroundings
from models.endpoint import TICKET_KINDS, Endpoint, EndpointKind, Exchange


def endpoints_of(around: Surroundings, installation_name: str, address: str, sender: Sender | None = None) -> Endpoints:
    """Everybody who is told of events.

    address: of the web server as seen from outside. sender: stands in for all senders.
    """

    settings, clock = around.settings, around.clock

    def webhook(endpoint: Endpoint) -> Sender:
        return WebhookSender(
            clock,
            allow_private_hosts=endpoint.allow_private_hosts,
            timeout_seconds=endpoint.timeout_seconds,
            concurrency=endpoint.concurrency,
        )

    def rabbitmq(endpoint: Endpoint) -> Sender:
        return BrokerSender(
            clock, _rabbitmq_link(settings, endpoint), concurrency=endpoint.concurrency, allow_private_hosts=endpoint.allow_private_hosts
        )

    # A further kind of endpoint has its row here and its maker above.
    makers: Mapping[EndpointKind, MakeSender] = {
        EndpointKind.WEBHOOK: webhook,
        EndpointKind.RABBITMQ: rabbitmq,
        **dict.fromkeys(TICKET_KINDS, partial(making.sender_of, around=around)),
    }
    if sender is not None:
        standing_in = sender
        makers = {kind: lambda _: standing_in for kind in makers}
    return Endpoints(settings, clock, makers, CloudEvents(installation_name, address))


def check(settings: Settings, departments: Sequence[str]) -> None:
    """Whether the plan knows the departments that endpoints wait for, and every secret, broker's password and tracker's key can be read.

    Connects to nobody. Raises `BadSetting`.
    """
    check_departments(of_settings(settings), departments)
    making.check(settings, SystemClock())
    for endpoint in of_settings(settings):
        check_secret(settings, endpoint.name)
        if endpoint.kind is EndpointKind.RABBITMQ:
            _rabbitmq_link(settings, endpoint)


def _rabbitmq_link(settings: Settings, endpoint: Endpoint) -> RabbitLink:
    where = endpoint.exchange or Exchange()
    in_url = unquote(urlsplit(endpoint.url).password or "")
    file = settings.home / (where.password_file or f"secrets/endpoint-{endpoint.name}.password")

    def password() -> str:
        return in_url or secret_file(file, f"endpoint.{endpoint.name}.password_file")

    return RabbitLink(endpoint, password, str(settings.home / where.tls_ca) if where.tls_ca else "")
