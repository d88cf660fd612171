"""Opens the database and hands out transactions.

SQLite: one connection writes and it alone checkpoints (versions before 3.51.3 can damage a WAL that two connections reset), others read;
`synchronous=FULL`, because the 250 to a mail sender promises that the disk has it. PostgreSQL: an ordinary pool.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from models.errors import BadSetting, Refused, TryLater

# How long a writer waits for another process's transaction before it gives up with TryLater.
BUSY_SECONDS = 10
# How long an erasure tries to cut the log of writes while others read.
_FORGET_SECONDS = 5.0


class Store:
    """A database, and the ways to speak to it.

    `checkpoints` is True for the one process that serves; commands that run beside it leave the WAL alone.
    """

    def __init__(self, url: str, *, checkpoints: bool = True) -> None:
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise BadSetting(
                "store.url",
                "不是数据库地址，例如 sqlite:///var/jiesu.db 或 postgresql://用户:密码@主机/库名",
                "not a database URL; write e.g. sqlite:///var/jiesu.db or postgresql://user:password@host/name",
            ) from None
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if not self.is_sqlite and parsed.get_backend_name() != "postgresql":
            raise BadSetting(
                "store.url",
                f"不支持 {parsed.get_backend_name()}，请用 sqlite 或 postgresql",
                f"{parsed.get_backend_name()} is not supported; use sqlite or postgresql",
            )
        self.url = parsed
        self.checkpoints = checkpoints
        self._held: int | None = None
        self._waiting, self._counting = 0, threading.Lock()
        try:
            if self.is_sqlite:
                if parsed.database:
                    Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
                self._writer = _sqlite_engine(parsed, pool_size=1, readonly=False, checkpoints=checkpoints)
                self._reader = _sqlite_engine(parsed, pool_size=8, readonly=True, checkpoints=False)
            else:
                self._writer = create_engine(parsed, pool_size=8, max_overflow=8, pool_pre_ping=True, hide_parameters=True)
                self._reader = self._writer
        except NoSuchModuleError:
            raise BadSetting("store.url", f"没有驱动 {parsed.drivername}", f"no driver for {parsed.drivername}") from None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes; committed at the end of the block, rolled back when the block raises.

        Raises `TryLater` when the database cannot be reached, is locked, or its disk is full.
        """
        with _translated(), ExitStack() as stack:
            self._count(+1)
            try:
                conn = stack.enter_context(self._writer.begin())
            finally:
                self._count(-1)
            yield conn

    def _count(self, one: int) -> None:
        with self._counting:
            self._waiting += one

    @property
    def somebody_waits(self) -> bool:
        """Whether another transaction waits until the present one is over: then a long one does well to end early."""
        return self.is_sqlite and self._waiting > 0

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with _translated(), self._reader.connect() as conn:
            yield conn

    @property
    def writer(self) -> Engine:
        """The engine that writes, for migrations."""
        return self._writer

    def insert(self, table: Table) -> Any:
        """An INSERT that knows `on_conflict_do_nothing`, which both databases spell alike."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def forget_log(self) -> None:
        """After an erasure: what the log of writes (WAL) still holds of it goes into the file, and the log is cut; as far as it can be now.

        Only where this process checkpoints; beside a gateway that serves, its own next checkpoints overwrite the log.
        """
        if not (self.is_sqlite and self.checkpoints):
            return
        deadline = time.monotonic() + _FORGET_SECONDS
        while not self._cut_log() and time.monotonic() < deadline:
            # Somebody reads what was there before. Whoever wants to write meanwhile may.
            time.sleep(0.05)

    def _cut_log(self) -> bool:
        """Cuts the log of writes, if that can be done at once. Whether it was."""
        with _translated(), self._writer.connect() as conn:
            # Not by SQLAlchemy, which would begin a transaction first, and there is no checkpoint inside one.
            plain: Any = conn.connection.driver_connection
            # It would wait for readers with the writers' lock in its hand, and nothing could be taken in.
            plain.execute("PRAGMA busy_timeout=0")
            try:
                busy, _, _ = plain.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                plain.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
        return not busy

    def hold_alone(self) -> None:
        """Holds an SQLite file for this process, the one that serves. Raises `Refused` when another serves it, from whatever home."""
        if not self.is_sqlite or not self.url.database:
            return
        handle = os.open(f"{self.url.database}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise Refused(
                "store_in_use",
                f"已有一个网关在使用 {self.url.database}；请先停止它，或改用 PostgreSQL",
                f"a gateway is already serving {self.url.database}; stop it, or use PostgreSQL",
            ) from None
        self._held = handle

    def close(self) -> None:
        """Gives all connections back."""
        if self._held is not None:
            os.close(self._held)
            self._held = None
        self._reader.dispose()
        self._writer.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    """Turns what the driver raises when the database is away into TryLater; everything else is a bug and passes."""
    try:
        yield
    except PoolTimeout as error:
        raise TryLater("store_busy", "数据库正忙，请稍后再试", "the store is busy; try again later") from error
    except DBAPIError as error:
        if not _may_pass(error):
            raise
        raise TryLater("store_unavailable", "数据库暂时不可用，请稍后再试", "the store is unavailable; try again later") from error


# What SQLite says when another holds the lock, or the disk or file is at fault (sqlite.org/rescode.html, primary codes).
_SQLITE_MAY_PASS = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
    }
)
# Classes of SQLSTATE that may pass: connection, rollback, resources, not in the right state, operator, system (PostgreSQL, Appendix A).
_SQLSTATE_MAY_PASS = ("08", "40", "53", "55", "57", "58")


def _may_pass(error: DBAPIError) -> bool:
    """Whether the same statement may succeed later; what is wrong with the statement itself is a bug and stays one."""
    if error.connection_invalidated:
        return True
    if isinstance(error.orig, sqlite3.Error):
        return (getattr(error.orig, "sqlite_errorcode", None) or 0) & 0xFF in _SQLITE_MAY_PASS
    state = getattr(error.orig, "sqlstate", None)
    # Without a state the server was never reached.
    return state.startswith(_SQLSTATE_MAY_PASS) if state else isinstance(error, OperationalError)


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switches to WAL. On a new database two that do so at once are told `locked` without the usual waiting, so we wait ourselves."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _sqlite_engine(url: Any, *, pool_size: int, readonly: bool, checkpoints: bool) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=pool_size,
        max_overflow=0,
        # What customers wrote stays out of error texts.
        hide_parameters=True,
        pool_timeout=BUSY_SECONDS,
        connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS},
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _record: object) -> None:
        # The driver's own transaction handling would begin late and deferred; ours begins at once (see `begin`).
        connection.isolation_level = None
        if not readonly:
            _write_ahead(connection)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        if not readonly:
            # What is erased or moved leaves zeroes behind in the file, not its bytes (PIPL 47).
            connection.execute("PRAGMA secure_delete=ON")
        if not checkpoints:
            connection.execute("PRAGMA wal_autocheckpoint=0")
        if readonly:
            connection.execute("PRAGMA query_only=ON")

    @event.listens_for(engine, "begin")
    def begin(conn: Connection) -> None:
        # A writer takes the lock now: a deferred transaction that upgrades later fails with BUSY at once, without waiting.
        conn.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")

    return engine
