"""The door for mail as the settings want it: in the gateway's own process, or with processes that take mail in (`smtp.acceptors`)."""

from __future__ import annotations

import ssl
from typing import Protocol

from connectors.base import LogIn, Offer
from connectors.smtp import SmtpDoor, SmtpOptions
from connectors.smtp_recipients import Recipients
from gateway.acceptors import Acceptors
from gateway.clock import Clock
from gateway.config import Settings
from gateway.oplog import OperatorLog
from gateway.relays import Relays
from models.errors import BadSetting


class Opened(Protocol):
    """What `serve` does with a door."""

    async def open(self) -> tuple[str, int]:
        """Begins to listen."""
        ...

    async def close(self, grace_seconds: float = 10) -> None:
        """Finishes what is in hand."""
        ...


def make(settings: Settings, offer: Offer, clock: Clock, log: OperatorLog) -> Opened:
    """The door. Raises `BadSetting`."""
    options = smtp_options(settings)
    log_in: LogIn | None = Relays(settings.relays_file, clock, log).log_in if settings.smtp.users else None
    if settings.smtp.acceptors == 1:
        return SmtpDoor(offer, clock.now, options, log_in)
    return Acceptors(offer, options, log_in, settings.smtp.acceptors, settings.model_dump_json(), log)


def smtp_options(settings: Settings) -> SmtpOptions:
    """The options of the door for mail."""
    smtp = settings.smtp
    return SmtpOptions(
        host=smtp.host,
        port=smtp.port,
        max_bytes=smtp.max_bytes,
        max_recipients=smtp.max_recipients,
        max_connections=smtp.max_connections,
        max_connections_per_address=smtp.max_connections_per_address,
        idle_seconds=smtp.idle_seconds,
        data_seconds=smtp.data_seconds,
        tls=_tls(smtp.tls_certificate, smtp.tls_key),
        trusted_relays=tuple(smtp.trusted_relays),
        recipients=Recipients(tuple(smtp.recipients), _mapped(smtp.estates), _mapped(smtp.brands)),
        auth_required=smtp.auth_required,
    )


def _mapped(pairs: list[str]) -> dict[str, str]:
    return {address.strip(): stands_for.strip() for address, _, stands_for in (pair.partition("=") for pair in pairs)}


def _tls(certificate: str, key: str) -> ssl.SSLContext | None:
    if not certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        raise BadSetting(
            "smtp.tls_certificate",
            f"证书或私钥无法使用（{error}）；两者都应为 PEM 且相互匹配",
            f"certificate or key cannot be used ({error}); both must be PEM and belong together",
        ) from None
    return context
