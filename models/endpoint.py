"""Endpoints: who is told of events, of which, in which form, and how much at a time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from models.delivery import About, Event, EventType


class EndpointKind(StrEnum):
    """By which means an endpoint is told. Each kind has one sender (`gateway/senders.py`)."""

    # HTTP, signed by Standard Webhooks 1.0.0.
    WEBHOOK = "webhook"
    # AMQP 0-9-1 to a topic exchange, with the same signature.
    RABBITMQ = "rabbitmq"

    # Tracking systems in which adapters make tickets: Redmine 5, Request Tracker 5, and any other by a mapping.
    REDMINE = "redmine"
    RT = "rt"
    MAPPED = "mapped"


# The kinds that are brokers: events go there under a topic, to whoever has bound a queue to it.
BROKERS = frozenset({EndpointKind.RABBITMQ})


class Format(StrEnum):
    """How an event is written."""

    STANDARD_WEBHOOKS = "standard-webhooks"
    # CloudEvents 1.0, HTTP and AMQP binding 3.1: attributes in headers, the data as the body.
    CLOUDEVENTS_BINARY = "cloudevents-binary"
    # CloudEvents 1.0, HTTP and AMQP binding 3.2: everything in the body.
    CLOUDEVENTS_STRUCTURED = "cloudevents-structured"


# What an endpoint is told where it does not say: what makes and changes tickets.
USUAL_TYPES = (EventType.ROUTED, EventType.REROUTED, EventType.UPDATED, EventType.REOPENED)
# The kinds whose events become tickets, and what these are told where the settings do not say: all that people who handle them must know.
TICKET_KINDS = frozenset({EndpointKind.REDMINE, EndpointKind.RT, EndpointKind.MAPPED})
TICKET_TYPES = (*USUAL_TYPES, EventType.CUSTOMER_RATED, EventType.CLOSED, EventType.ERASED)
# Most tickets that are written at once, where the settings do not say: such systems have few processes.
TICKET_CONCURRENCY = 4


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events an endpoint is told of; an empty filter of class, department or estate lets all pass."""

    types: tuple[EventType, ...] = USUAL_TYPES
    classes: tuple[str, ...] = ()
    departments: tuple[str, ...] = ()
    estates: tuple[str, ...] = ()

    def takes(self, event: Event) -> bool:
        """Whether the event is for this endpoint."""
        return event.type in self.types and any(self.matches(about) for about in event.about)

    def matches(self, about: About) -> bool:
        """Whether a complaint of this kind is for this endpoint, whatever happens to it."""
        return (
            (not self.classes or about.klass in self.classes)
            and (not self.departments or about.department in self.departments)
            and (not self.estates or about.estate in self.estates)
        )


@dataclass(frozen=True, slots=True)
class Exchange:
    """Where in a broker events go.

    name: of the exchange. queue: of one that takes everything, and is made where there is none; empty for none.
    password_file, tls_ca: files, relative to the home; empty for the usual ones.
    """

    name: str = "jiesu.events"
    queue: str = ""
    password_file: str = ""
    tls_ca: str = ""


def without_password(url: str) -> str:
    """An address as it may be shown. What stands before the last @ is hidden even where the address is not well formed."""
    try:
        parts = urlsplit(url)
        if parts.port != 0 and "@" not in parts.netloc:
            return url
    except ValueError:
        pass
    return re.sub(r"(://[^:/@]*):.*@", r"\1:…@", url)


def without_secrets(url: str) -> str:
    """An address as it may be shown, without the values of its query: a key to the receiver often stands there."""
    shown = without_password(url)
    if "://" not in shown:
        return shown
    where, mark, query = shown.partition("#")[0].partition("?")
    return where + mark + "".join(part if part in "&;" else _without_value(part) for part in re.split("([&;])", query))


def _without_value(part: str) -> str:
    name, equals, _ = part.partition("=")
    return f"{name}=…" if equals else "…"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Somebody who is told of events.

    rate_per_second: most tries in a second; 0 for no limit. concurrency: most tries at once, on each node.
    exchange: None unless it is a broker.
    """

    name: str
    url: str
    kind: EndpointKind = EndpointKind.WEBHOOK
    filter: Filter = Filter()
    format: Format = Format.STANDARD_WEBHOOKS
    rate_per_second: float = 0.0
    concurrency: int = 16
    timeout_seconds: float = 20.0
    allow_private_hosts: tuple[str, ...] = ()
    exchange: Exchange | None = None

    @property
    def shown_url(self) -> str:
        """Its address as it may be shown."""
        return without_secrets(self.url)


@dataclass(frozen=True, slots=True)
class Audience:
    """All endpoints' filters, by name."""

    filters: Mapping[str, Filter]

    def of(self, event: Event) -> list[str]:
        """The names of those who are told of this event."""
        return [name for name, wanted in self.filters.items() if wanted.takes(event)]


class Circuit(StrEnum):
    """How an endpoint stands."""

    # It takes what it is sent.
    CLOSED = "closed"
    # It failed again and again: events are kept, and one is tried now and then.
    OPEN = "open"
    # Switched off by 410 or by hand: events are kept until somebody switches it on.
    DISABLED = "disabled"
