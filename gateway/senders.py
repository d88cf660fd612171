"""The part of the wiring that knows by which means each kind of endpoint is told: one maker of senders a kind."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.clock import Clock
from gateway.cloudevents import CloudEvents
from gateway.config import Settings
from gateway.deliver import Sender
from gateway.endpoints import Endpoints, MakeSender
from gateway.tracker import WebhookSender
from models.endpoint import Endpoint, EndpointKind


def endpoints_of(settings: Settings, clock: Clock, installation_name: str, address: str, sender: Sender | None = None) -> Endpoints:
    """Everybody who is told of events.

    address: of the web server as seen from outside. sender: stands in for all senders.
    """

    def webhook(endpoint: Endpoint) -> Sender:
        return WebhookSender(
            clock,
            allow_private_hosts=endpoint.allow_private_hosts,
            timeout_seconds=endpoint.timeout_seconds,
            concurrency=endpoint.concurrency,
        )

    # A further kind of endpoint has its row here and its maker above.
    makers: Mapping[EndpointKind, MakeSender] = {EndpointKind.WEBHOOK: webhook}
    if sender is not None:
        standing_in = sender
        makers = {kind: lambda _: standing_in for kind in makers}
    return Endpoints(settings, clock, makers, CloudEvents(installation_name, address))
