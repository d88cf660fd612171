"""A gateway that looks into mailboxes, for the tests."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dovecot import PASSWORD, Dovecot
from fakes import eventually
from running import RunningGateway

from models.submission import Channel

_users = itertools.count(1)
_mails = itertools.count(1)


def user() -> str:
    """Somebody whose mailbox nobody has used yet."""
    return f"user{next(_users)}"


def letter(words: str = "墙面渗水", *, message_id: str | None = None, extra: str = "") -> bytes:
    """A mail, each with its own Message-ID."""
    known = message_id or f"<{next(_mails)}@mail.example>"
    head = f"From: lin@mail.example\r\nTo: tousu@jiesu.example\r\nSubject: complaint\r\nDate: Mon, 23 Nov 2026 09:00:00 +0800\r\n{extra}"
    return f"{head}Message-ID: {known}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{words}\r\n".encode()


def settings(home: Path, *tables: Mapping[str, Any]) -> Path:
    """A home whose settings file has these mailboxes."""
    home.mkdir(parents=True, exist_ok=True)
    lines = []
    for table in tables:
        lines.append("[[mailbox]]")
        lines += [f"{key} = {_toml(value)}" for key, value in table.items()]
    (home / "jiesu.toml").write_text("\n".join(lines) + "\n", "utf-8")
    return home


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, int | float) else f'"{value}"'


def box(server: Dovecot, who: str, **more: Any) -> dict[str, Any]:
    """The settings of a mailbox on this server."""
    plain = {"name": who, "host": "localhost", "port": server.plain, "tls": "none", "user": who, "password": PASSWORD, "poll_seconds": 1}
    return {**plain, **more}


def taken(gateway: RunningGateway, count: int, seconds: float = 20) -> list[bytes]:
    """Waits until so many mails are taken in; all that are."""
    eventually(lambda: len(gateway.committed(Channel.EMAIL)) >= count, seconds)
    return [one.raw for one in gateway.committed(Channel.EMAIL)]


def looked(gateway: RunningGateway, name: str, seconds: float = 20) -> None:
    """Waits until a look that began after now has come to its end."""
    now = gateway.app.clock.now()
    gateway.app.mailboxes.look(name, "test")
    eventually(
        lambda: any(one.name == name and one.succeeded_at and one.succeeded_at > now for one in gateway.app.mailboxes.health()), seconds
    )


def health(gateway: RunningGateway, name: str) -> Any:
    """How a mailbox does."""
    return next(one for one in gateway.app.mailboxes.health() if one.name == name)
