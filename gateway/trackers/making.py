"""Makes the sender of an endpoint whose events become tickets, with what reads back how they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from gateway import config
from gateway.attachments import Attachments
from gateway.clock import Clock
from gateway.config import Settings
from gateway.endpoints import Endpoints
from gateway.http_client import HttpClient
from gateway.oplog import OperatorLog
from gateway.polling import Polled
from gateway.sections_handoff import EndpointSection
from gateway.store.engine import Store
from gateway.trackers import mapping
from gateway.trackers.base import Adapter
from gateway.trackers.mapped import Mapped, MappedOptions
from gateway.trackers.reading import TicketSource
from gateway.trackers.redmine import Redmine, RedmineOptions
from gateway.trackers.rt import Rt, RtOptions
from gateway.trackers.sender import TicketOptions, TicketSender
from gateway.trackers.settings import USUAL_STATUSES
from models.endpoint import TICKET_KINDS, Endpoint, EndpointKind
from models.errors import BadSetting
from models.status import StatusCode


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every such sender needs of the house."""

    settings: Settings
    clock: Clock
    store: Store
    attachments: Attachments
    log: OperatorLog


def section_of(settings: Settings, name: str) -> EndpointSection:
    """The settings of an endpoint that is not `[tracker]`."""
    return next(one for one in settings.endpoint if one.name == name)


def sender_of(endpoint: Endpoint, around: Surroundings) -> TicketSender:
    """The sender of an endpoint. Raises `BadSetting` where its key or mapping cannot be used."""
    told = section_of(around.settings, endpoint.name)
    # First what may raise, so that no client is left open.
    adapter = _adapter(told, around.settings, around.clock)
    client = HttpClient(
        around.clock,
        allow_private_hosts=endpoint.allow_private_hosts,
        timeout_seconds=endpoint.timeout_seconds,
        concurrency=endpoint.concurrency + 1,
        name=f"tickets-{endpoint.name}",
    )
    options = TicketOptions(told.files, told.largest_file_bytes, ZoneInfo(around.settings.general.timezone))
    return TicketSender(endpoint, adapter, client, around.store, around.attachments, around.clock, options, around.log.fault)


def polled_of(endpoints: Endpoints, settings: Settings, store: Store) -> Sequence[Polled]:
    """Those of the endpoints that are asked how their tickets stand."""
    found = []
    for name, served in endpoints.served.items():
        if not isinstance(served.sender, TicketSender):
            continue
        told = section_of(settings, name)
        statuses = _statuses(told, settings)
        if told.poll_seconds and statuses:
            source = TicketSource(served.sender, store, statuses, tells_customer=told.tells_customer)
            found.append(Polled(source, told.poll_seconds, source.have_read))
    return found


def check(settings: Settings, clock: Clock) -> None:
    """Whether every such endpoint has its key and mapping. Raises `BadSetting`, which names endpoint, key and remedy."""
    for told in settings.endpoint:
        if told.kind in TICKET_KINDS:
            _adapter(told, settings, clock)


def _adapter(told: EndpointSection, settings: Settings, clock: Clock) -> Adapter:
    key = _api_key(told, settings)
    if told.kind is EndpointKind.REDMINE:
        return Redmine(
            RedmineOptions(
                told.url,
                key,
                told.project,
                told.tracker,
                int(told.key_field or 0),
                told.priority_map,
                told.reopened_status,
                told.markup or "textile",
                tuple(told.status_map),
            )
        )
    if told.kind is EndpointKind.RT:
        options = RtOptions(told.url, key, told.queue, told.key_field, told.priority_map, told.reopened_status)
        return Rt(options, clock.now)
    found = mapping.load(settings.home, told.mapping, f"endpoint.{told.name}.mapping")
    for place in sorted(found.known):
        if place.startswith("values.") and place.removeprefix("values.") not in told.values:
            name = place.removeprefix("values.")
            raise BadSetting(
                f"endpoint.{told.name}.values", f"映射 {told.mapping} 还要 {name}", f"the mapping {told.mapping} wants {name} too"
            )
    return Mapped(found, MappedOptions(told.url, key, told.values, told.priority_map, told.markup), clock.now)


def _api_key(told: EndpointSection, settings: Settings) -> str:
    if told.api_key:
        return told.api_key
    where = f"endpoint.{told.name}.api_key_file"
    key = config.secret_file(settings.home / Path(told.api_key_file or f"secrets/endpoint-{told.name}.api-key"), where)
    if not (key.isascii() and key.isprintable()):
        raise BadSetting(where, "密钥应为一行可打印的 ASCII 字符", "the key must be one line of printable ASCII")
    return key


def _statuses(told: EndpointSection, settings: Settings) -> Mapping[str, StatusCode]:
    if told.status_map:
        return {name: StatusCode(code) for name, code in told.status_map.items()}
    if told.kind is EndpointKind.MAPPED:
        return mapping.load(settings.home, told.mapping, f"endpoint.{told.name}.mapping").statuses
    return USUAL_STATUSES[told.kind]
