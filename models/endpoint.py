"""Endpoints: who is told of events, of which, in which form, and how much at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from models.delivery import About, Event, EventType


class EndpointKind(StrEnum):
    """By which means an endpoint is told. Each kind has one sender (`gateway/endpoints.py`)."""

    # HTTP, signed by Standard Webhooks 1.0.0.
    WEBHOOK = "webhook"


class Format(StrEnum):
    """How an event is written for a webhook."""

    STANDARD_WEBHOOKS = "standard-webhooks"
    # CloudEvents 1.0, HTTP binding 3.1: attributes in headers, the data as the body.
    CLOUDEVENTS_BINARY = "cloudevents-binary"
    # CloudEvents 1.0, HTTP binding 3.2: everything in the body.
    CLOUDEVENTS_STRUCTURED = "cloudevents-structured"


# What an endpoint is told where it does not say: what makes and changes tickets.
USUAL_TYPES = (EventType.ROUTED, EventType.REROUTED, EventType.UPDATED)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events an endpoint is told of; an empty filter of class, department or estate lets all pass."""

    types: tuple[EventType, ...] = USUAL_TYPES
    classes: tuple[str, ...] = ()
    departments: tuple[str, ...] = ()
    estates: tuple[str, ...] = ()

    def takes(self, event: Event) -> bool:
        """Whether the event is for this endpoint."""
        return event.type in self.types and any(self._matches(about) for about in event.about)

    def _matches(self, about: About) -> bool:
        return (
            (not self.classes or about.klass in self.classes)
            and (not self.departments or about.department in self.departments)
            and (not self.estates or about.estate in self.estates)
        )


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Somebody who is told of events.

    rate_per_second: most tries in a second; 0 for no limit. concurrency: most tries at once, on each node.
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
