"""Databases that are migrated already: the migrations are run for real once in a process, and what they made is copied."""

from __future__ import annotations

import atexit
import shutil
import sqlite3
import tempfile
from functools import cache
from pathlib import Path

from gateway.config import Settings
from gateway.store import migrations
from gateway.store.engine import Store

_SQLITE = "sqlite:///"


def prepare(settings: Settings) -> Settings:
    """Puts a migrated database where these settings look for a file of SQLite that is not there yet. Returns the settings."""
    put(settings.store_url)
    return settings


def put(url: str) -> None:
    """The same for the URL of a store; nothing for PostgreSQL, whose migrations run for real wherever a test uses it."""
    path = Path(url.removeprefix(_SQLITE))
    if url.startswith(_SQLITE) and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_template(), path)


@cache
def _template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="jiesu-migrated-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    store = Store(f"{_SQLITE}{folder / 'made.db'}")
    migrations.upgrade(store)
    store.close()
    with sqlite3.connect(folder / "made.db") as made:
        made.execute("VACUUM INTO ?", (str(folder / "template.db"),))
    made.close()
    return folder / "template.db"
