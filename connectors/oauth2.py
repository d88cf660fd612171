"""Access tokens for mailboxes that want OAuth2 (RFC 6749 6), from a refresh token that the token endpoint may change with every use."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import urlencode, urlsplit

from connectors.imap_troubles import Trouble
from models.errors import JiesuError

# An access token is used until so long before its end.
_SPARE = timedelta(seconds=60)
_MOST_BYTES = 262_144
# What an access token holds where the endpoint does not say (RFC 6749 5.1 leaves it open).
_USUAL_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class OAuth2Options:
    """How access tokens are had. `client_secret` gives it at each use; empty where the client has none."""

    token_url: str
    client_id: str
    client_secret: Callable[[], str]
    scope: str
    tls_context: ssl.SSLContext | None = None
    seconds: float = 60.0


class TokenShelf(Protocol):
    """Where the refresh token is kept."""

    def refresh_token(self) -> str:
        """The newest one."""
        ...

    def keep(self, token: str, until: datetime | None) -> None:
        """Keeps a new one; returns when it is on disk."""
        ...


class Tokens:
    """Gives access tokens, each while it holds. A new refresh token is on disk before its access token is used."""

    def __init__(self, options: OAuth2Options, shelf: TokenShelf, now: Callable[[], datetime]) -> None:
        self._options, self._shelf, self._now = options, shelf, now
        self._access, self._until = "", now()
        # A new refresh token that could not be kept yet: the old one is of no use any more.
        self._unkept: tuple[str, datetime | None] | None = None

    def access_token(self) -> str:
        """A token that holds. Raises `Trouble`."""
        self._keep()
        if not self._access or self._until <= self._now():
            self._refresh()
        return self._access

    def forget(self) -> None:
        """The server refused the access token: the next one is new."""
        self._access = ""

    def _keep(self) -> None:
        if self._unkept is not None:
            try:
                self._shelf.keep(*self._unkept)
            except JiesuError:
                raise Trouble("store_unavailable") from None
            self._unkept = None

    def _refresh(self) -> None:
        try:
            current = self._shelf.refresh_token()
        except Trouble:
            raise
        except JiesuError:
            raise Trouble("store_unavailable") from None
        asked = {"grant_type": "refresh_token", "refresh_token": current, "client_id": self._options.client_id}
        if secret := self._options.client_secret():
            asked["client_secret"] = secret
        if self._options.scope:
            asked["scope"] = self._options.scope
        answer = self._post(asked)
        access = answer.get("access_token")
        if not isinstance(access, str) or not access:
            raise Trouble("token_answer")
        now = self._now()
        self._access = access
        self._until = now + timedelta(seconds=_seconds(answer.get("expires_in"), _USUAL_SECONDS)) - _SPARE
        new = answer.get("refresh_token")
        if isinstance(new, str) and new and new != current:
            lasts = _seconds(answer.get("refresh_token_expires_in"), 0)
            self._unkept = (new, now + timedelta(seconds=lasts) if lasts else None)
            # While this fails nobody gets the access token.
            self._keep()

    def _post(self, asked: dict[str, str]) -> dict[str, object]:
        options = self._options
        where = urlsplit(options.token_url)
        host = where.hostname or ""
        connection: http.client.HTTPConnection = (
            http.client.HTTPSConnection(host, where.port, timeout=options.seconds, context=options.tls_context)
            if where.scheme == "https"
            else http.client.HTTPConnection(host, where.port, timeout=options.seconds)
        )
        try:
            path = (where.path or "/") + (f"?{where.query}" if where.query else "")
            headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
            connection.request("POST", path, urlencode(asked), headers)
            answer = connection.getresponse()
            body = answer.read(_MOST_BYTES)
        except (OSError, http.client.HTTPException):
            raise Trouble("token_unreachable") from None
        finally:
            connection.close()
        try:
            told = json.loads(body)
        except (ValueError, RecursionError):
            told = None
        if answer.status in (400, 401, 403):
            # RFC 6749 5.2: the code says why, and holds nothing secret.
            said = told.get("error") if isinstance(told, dict) else None
            raise Trouble("token_refused", str(said or answer.status)[:80])
        if answer.status >= 500 or answer.status == 429:
            raise Trouble("token_unreachable", str(answer.status))
        if answer.status != 200 or not isinstance(told, dict):
            raise Trouble("token_answer", str(answer.status))
        return told


def _seconds(value: object, default: float) -> float:
    """Some endpoints write numbers as text."""
    try:
        seconds = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return default
    return seconds if 0 < seconds < 3.2e8 else default
