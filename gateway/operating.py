"""The hand-off as commands need it, beside a gateway that serves: the same parts as `bootstrap` wires, without worker and classifier."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from gateway.alarms import robots_of
from gateway.attachments import Attachments
from gateway.bootstrap import OPENERS, base_address, load_plan, mail_server, open_store
from gateway.clock import SystemClock
from gateway.config import Settings
from gateway.endpoints import Endpoints
from gateway.mailer import SmtpMailer
from gateway.oplog import OperatorLog
from gateway.reconcile import Reconciliation
from gateway.redelivery import Redelivery
from gateway.robots import Robots
from gateway.senders import endpoints_of
from gateway.store import installation
from gateway.trackers.making import Surroundings


@dataclass(frozen=True, slots=True)
class Operating:
    """What commands need beside a gateway that serves: no worker and no classifier."""

    endpoints: Endpoints
    redelivery: Redelivery
    reconciliation: Reconciliation
    robots: Robots


@contextmanager
def operating(settings: Settings) -> Iterator[Operating]:
    """The hand-off of these settings, for a command."""
    store, clock = open_store(settings), SystemClock()
    with store.write() as conn:
        name = installation.name(store, conn)
    mailer = SmtpMailer(server) if (server := mail_server(settings)) else None
    log = OperatorLog(settings.log.format, settings.log.level)
    endpoints = endpoints_of(Surroundings(settings, clock, store, Attachments(store, OPENERS), log), name, base_address(settings))
    zone = ZoneInfo(settings.general.timezone)
    try:
        robots = robots_of(settings, store, clock, log, load_plan(settings), name, base_address(settings), mailer)
        reconciliation = Reconciliation(store, clock, list(endpoints.served), zone)
        with closing(robots):
            yield Operating(endpoints, Redelivery(store, clock, endpoints, log), reconciliation, robots)
    finally:
        endpoints.close()
        store.close()
