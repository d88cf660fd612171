"""Who is told of events, from the settings: filters, secrets, forms and senders; and what operators do with endpoints."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from gateway import home
from gateway.announcing import test_payload
from gateway.broker import topic
from gateway.clock import Clock, SystemClock
from gateway.cloudevents import CloudEvents
from gateway.config import Settings
from gateway.deliver import Sender
from gateway.keyring import Keyring, Secrets
from gateway.oplog import OperatorLog
from gateway.sections import EVERY
from gateway.store.events import PendingDelivery
from models.delivery import EventType, Outcome, OutcomeCode, Outgoing
from models.endpoint import (
    BROKERS,
    TICKET_CONCURRENCY,
    TICKET_KINDS,
    TICKET_TYPES,
    Audience,
    Endpoint,
    EndpointKind,
    Exchange,
    Filter,
    Format,
)
from models.errors import BadSetting, Refused

# How long the former secret signs too, unless it is said otherwise.
OVERLAP = timedelta(hours=24)
# Makes the sender of one kind of endpoint.
MakeSender = Callable[[Endpoint], Sender]


def of_settings(settings: Settings) -> list[Endpoint]:
    """Every endpoint; `[tracker]` is the one of that name, and is not there without an address."""
    found = []
    if settings.tracker.url:
        own = settings.tracker
        found.append(
            Endpoint(
                "tracker",
                own.url,
                filter=Filter(_types(own.types)),
                rate_per_second=own.rate_per_second,
                concurrency=own.concurrency,
                timeout_seconds=own.timeout_seconds,
                allow_private_hosts=tuple(own.allow_private_hosts),
            )
        )
    for one in settings.endpoint:
        tickets = one.kind in TICKET_KINDS
        types = TICKET_TYPES if tickets and "types" not in one.model_fields_set else _types(one.types)
        at_once = TICKET_CONCURRENCY if tickets and "concurrency" not in one.model_fields_set else one.concurrency
        wanted = Filter(types, tuple(one.classes), tuple(one.departments), tuple(one.estates))
        found.append(
            Endpoint(
                one.name,
                one.url,
                one.kind,
                wanted,
                one.format,
                one.rate_per_second,
                at_once,
                one.timeout_seconds,
                tuple(one.allow_private_hosts),
                Exchange(one.exchange, one.queue, one.password_file, one.tls_ca) if one.kind in BROKERS else None,
            )
        )
    return found


def _types(names: Sequence[str]) -> tuple[EventType, ...]:
    return tuple(EventType) if EVERY in names else tuple(map(EventType, names))


def keyring_of(settings: Settings, name: str, clock: Clock) -> Keyring:
    """The secrets of one endpoint, made at their first use. Raises `BadSetting`."""
    key, file, fixed = _secret_of(settings, name)
    return Keyring(key, file, clock.now, fixed=fixed)


def check_secret(settings: Settings, name: str) -> None:
    """Whether the signing secret of an endpoint can be used, where there is one already. Makes none. Raises `BadSetting`."""
    _, file, fixed = _secret_of(settings, name)
    if fixed or file.exists():
        keyring_of(settings, name, SystemClock())


def _secret_of(settings: Settings, name: str) -> tuple[str, Path, str]:
    """The setting, the file, and what stands in the settings themselves."""
    if name == "tracker":
        return "tracker.secret", settings.secrets_folder / "tracker.secret", settings.tracker.secret
    one = next(one for one in settings.endpoint if one.name == name)
    file = settings.home / one.secret_file if one.secret_file else settings.secrets_folder / f"endpoint-{name}.secret"
    return f"endpoint.{name}.secret", file, one.secret


@dataclass(frozen=True, slots=True)
class Served:
    """An endpoint with what it is reached by."""

    endpoint: Endpoint
    keyring: Keyring
    sender: Sender


class _Off:
    """Stands in for the sender of an endpoint that cannot be used: a test fails, and says why."""

    def __init__(self, error: BadSetting) -> None:
        self._error = error

    def send(self, outgoing: Sequence[Outgoing]) -> list[Outcome]:
        """Sends nothing."""
        return [Outcome(OutcomeCode.CLIENT_ERROR, 403, 0.0, str(self._error)) for _ in outgoing]

    def reachable(self, url: str) -> bool:
        """Never."""
        return False


class Endpoints:
    """All endpoints of a gateway, by name.

    make: the maker of senders for each kind. cloudevents: writes the forms that are not Standard Webhooks' own.
    off: endpoints whose own secret, key or password cannot be used, and why. A file that went missing stops neither the gateway nor
    other endpoints: what is for this one waits, untried, until it is put right and the gateway is started again. Another node whose file
    is sound goes on meanwhile.
    """

    def __init__(self, settings: Settings, clock: Clock, make: Mapping[EndpointKind, MakeSender], cloudevents: CloudEvents) -> None:
        self._clock, self._cloudevents = clock, cloudevents
        self.served: dict[str, Served] = {}
        self.off: dict[str, BadSetting] = {}
        for endpoint in of_settings(settings):
            name = endpoint.name
            try:
                keyring = keyring_of(settings, name, clock)
                self.served[name] = Served(endpoint, keyring, make[endpoint.kind](endpoint))
            except BadSetting as error:
                self.off[name] = error
                # Nothing is signed by it, and nothing that comes in can be.
                nobodys = Keyring(f"endpoint.{name}.secret", settings.secrets_folder / "none", clock.now, fixed=home.webhook_secret())
                self.served[name] = Served(endpoint, nobodys, _Off(error))

    @property
    def working(self) -> list[Served]:
        """Those that are sent to."""
        return [served for name, served in self.served.items() if name not in self.off]

    @property
    def audience(self) -> Audience:
        """Who is told of what."""
        return Audience({name: served.endpoint.filter for name, served in self.served.items()})

    def get(self, name: str) -> Served:
        """The endpoint of this name. Raises `Refused`."""
        if name not in self.served:
            known = ", ".join(self.served) or "—"
            asked = name[:40]
            raise Refused("no_such_endpoint", f"没有接收方 {asked}；已有：{known}", f"there is no endpoint {asked}; there are: {known}")
        return self.served[name]

    def dressed(self, name: str) -> Callable[[Sequence[PendingDelivery]], list[Outgoing]]:
        """What makes of deliveries what is sent."""
        served = self.served[name]

        def dress(pending: Sequence[PendingDelivery]) -> list[Outgoing]:
            secrets = served.keyring.secrets()
            return [self._outgoing(served, secrets, one.webhook_id, one.payload) for one in pending]

        return dress

    def test(self, name: str) -> Outcome:
        """Sends a test at once, which is about no complaint, counts nowhere and is not tried again. Raises `Refused`."""
        served = self.get(name)
        now = self._clock.now()
        webhook_id = f"test_{random.randbytes(12).hex()}"
        (outcome,) = served.sender.send([self._outgoing(served, served.keyring.secrets(), webhook_id, test_payload(name, now))])
        return outcome

    def signing(self) -> dict[str, tuple[str, ...]]:
        """The secrets that hold now, by endpoint. One whose file cannot be read any more has none, and keeps no other from being heard."""
        found: dict[str, tuple[str, ...]] = {}
        for name, served in self.served.items():
            with suppress(BadSetting):
                found[name] = served.keyring.secrets().both()
        return found

    def unusable(self, name: str) -> BadSetting | None:
        """What is wrong with an endpoint's own secret, key or password, since the start or by now; None where nothing is."""
        try:
            self.served[name].keyring.secrets()
        except BadSetting as error:
            return error
        return self.off.get(name)

    def warn(self, log: OperatorLog) -> None:
        """Says in the log which are off, and why."""
        for name, error in self.off.items():
            log.write("EndpointOff", endpoint=name, zh=error.zh, en=error.en)

    def close(self) -> None:
        """Gives the senders' connections back."""
        for sender in {id(served.sender): served.sender for served in self.served.values()}.values():
            closing: Callable[[], None] | None = getattr(sender, "close", None)
            if closing is not None:
                closing()

    def _outgoing(self, served: Served, secrets: Secrets, webhook_id: str, payload: str) -> Outgoing:
        form = served.endpoint.format
        headers: dict[str, str] = {}
        attributes: dict[str, str] = {}
        body, broker = payload.encode(), served.endpoint.kind in BROKERS
        if form is Format.CLOUDEVENTS_STRUCTURED:
            body, headers = self._cloudevents.structured(payload)
        elif form is Format.CLOUDEVENTS_BINARY and broker:
            body, kind, attributes = self._cloudevents.apart(payload)
            headers = {"content-type": kind}
        elif form is Format.CLOUDEVENTS_BINARY:
            body, headers = self._cloudevents.binary(payload)
        where = topic(payload) if broker else ""
        return Outgoing(webhook_id, served.endpoint.url, secrets.new, body, secrets.old, headers, where, attributes)


def check_departments(endpoints: Sequence[Endpoint], departments: Sequence[str]) -> None:
    """An endpoint that waits for a department that the plan does not know would hear of nothing. Raises `BadSetting`."""
    for endpoint in endpoints:
        for code in endpoint.filter.departments:
            if code not in departments:
                known = ", ".join(departments)
                raise BadSetting(
                    f"endpoint.{endpoint.name}.departments",
                    f"预案中没有部门 “{code}”，可以写 {known}",
                    f"the plan has no department '{code}'; write {known}",
                )
