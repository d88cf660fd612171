"""Brings a database to the newest schema; Alembic does the work."""

from __future__ import annotations

from sqlalchemy import Connection, inspect, text

from gateway.store.engine import Store
from models.errors import BadSetting

# The newest revision; a test holds it equal to what the migration scripts say, so that a start-up need not load Alembic to know.
HEAD = "0014"


def current(conn: Connection) -> str | None:
    """The revision of this database; None when it is empty."""
    if not inspect(conn).has_table("alembic_version"):
        return None
    return conn.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def upgrade(store: Store) -> None:
    """Migrates to the newest schema, in one transaction; does nothing when it is there already.

    Several nodes may start at once: the second waits for the first and finds nothing left to do.
    """
    with store.read() as conn:
        if current(conn) == HEAD:
            return
    with store.write() as conn:
        if not store.is_sqlite:
            conn.execute(text("SELECT pg_advisory_xact_lock(20261123)"))
        found = current(conn)
        if found == HEAD:
            return
        if found is not None and found > HEAD:
            raise BadSetting(
                "store.url",
                f"数据库版本 {found} 比本程序新，请升级程序",
                f"the database is at {found}, newer than this program; upgrade the program",
            )
        _run(conn)


def _run(conn: Connection) -> None:
    # Alembic takes 0.2 s to load and is wanted once in a database's life.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "gateway.store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = conn
    command.upgrade(config, "head")
