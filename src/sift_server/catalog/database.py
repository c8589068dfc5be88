"""Where the catalog is kept: a SQLite file, or what a database URL names.

A transaction that returned is on disk: SQLite runs in WAL mode with `synchronous=FULL`. Readers see
one state of the database for as long as they read, and never wait for writers.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sqlalchemy import URL, create_engine, event, insert, inspect, make_url, select, update
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from sift_server import faults
from sift_server.catalog import patterns, tables
from sift_server.catalog.migrations import STEPS, migrate
from sift_server.errors import DiskFullError, ResourceExhaustedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Engine

BUSY_TIMEOUT_MS = 10_000
"""How long a transaction waits for another process that writes to the same SQLite file."""

CONNECTIONS_MAX = 16
"""Connections that are open at once; a thread that needs one more waits."""

CONNECTION_WAIT_MS = 30_000
"""How long a thread waits for a connection."""


READ_MS_MAX = 30_000
"""How long a question may take that has a filter of a client in it, or anything else."""

_STEPS_BETWEEN_LOOKS = 100_000
"""SQLite's steps between two looks at the clock: a millisecond or a few."""

WRITE_WAIT_MS = 30_000
"""How long a thread waits for other threads that write."""


_logger = logging.getLogger(__name__)


class CatalogSchemaError(RuntimeError):
    """The database holds tables of a version that this server can't use."""


class Database:
    """Transactions on the catalog's tables. Safe from many threads.

    Example:
        ```python
        database = Database.open("telemetry/catalog.sqlite")
        with database.write() as connection:
            connection.execute(insert(tables.assets).values(...))
        database.close()
        ```
    """

    def __init__(self, engine: Engine) -> None:
        """Take an engine, as `open` makes it."""
        self._engine = engine
        self._writer = engine.execution_options(sift_writes=True)
        # SQLite has one writer at a time. Threads that queue here take turns as soon as they can;
        # in SQLite they would sleep and look again.
        self._writing = threading.Lock()
        self._after_commit: list[Callable[[], None]] = []

    @classmethod
    def open(cls, address: str | Path, *, upgrades: bool = True) -> Database:
        """Open the database at a path or URL, and bring its tables to this version.

        An empty database gets them. Those of an older version are changed in one transaction: all
        of it, or nothing.

        Args:
            address: The path of a SQLite file, or a database URL of SQLAlchemy.
            upgrades: Whether tables of an older version may be changed. They must not while a
                server of that version uses them.

        Raises:
            CatalogSchemaError: The tables are of a later version, or can't or must not be changed.
            sqlalchemy.exc.OperationalError: The database can't be opened.
        """
        database = cls(_engine(_url(address)))
        try:
            database._prepare(upgrades=upgrades)
        except BaseException:
            database.close()
            raise
        return database

    @classmethod
    def open_to_read(cls, path: Path) -> Database:
        """Open a SQLite file that another process may be writing to; nothing in it is changed.

        Raises:
            FileNotFoundError: There is no such file.
            CatalogSchemaError: It holds no tables, or those of another version.
            sqlalchemy.exc.OperationalError: It can't be read.
        """
        if not path.is_file():
            raise FileNotFoundError(f"there is no catalog at {path}")
        file = f"file:{quote(str(path.absolute()))}"
        # Not `mode=ro`, which can't tidy up the files beside it that reading needs.
        engine = _engine(URL.create("sqlite", database=file, query={"mode": "rw", "uri": "true"}))
        event.listen(engine, "connect", _only_read)
        database = cls(engine)
        try:
            database._check_readable()
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Run a with-block on one state of the database.

        Raises:
            ResourceExhaustedError: It took longer than `READ_MS_MAX`.
        """
        until_s = time.monotonic() + READ_MS_MAX / 1_000
        with self._engine.connect() as connection:
            try:
                with _stopped_at(until_s, connection):
                    yield connection
            except OperationalError:
                if time.monotonic() < until_s:
                    raise
                raise ResourceExhaustedError(
                    f"the catalog was asked for more than it finds in {READ_MS_MAX:,} ms; ask for"
                    " less, by a filter that is simpler or has fewer operations"
                ) from None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Run a with-block as one transaction: all of it is on disk at its end, or none.

        Raises:
            DiskFullError: The disk is full.
            ResourceExhaustedError: Others have been writing for `WRITE_WAIT_MS`.
        """
        if not self._writing.acquire(timeout=WRITE_WAIT_MS / 1_000):
            raise ResourceExhaustedError(
                f"the catalog was busy with other changes for {WRITE_WAIT_MS:,} ms; try again"
            )
        try:
            with self._writer.begin() as connection:
                yield connection
                faults.reach("catalog.commit")
            faults.reach("catalog.committed")
            for call in self._after_commit:
                call()
        except OperationalError as error:
            if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                raise DiskFullError(
                    "the disk of the catalog is full. Free some space; nothing was changed."
                ) from None
            raise
        finally:
            self._after_commit.clear()
            self._writing.release()

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call something when the transaction is on disk; within the block of `write` only.

        Nobody writes meanwhile. If nothing comes to disk, nothing is called.
        """
        self._after_commit.append(call)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _prepare(self, *, upgrades: bool) -> None:
        with self.write() as connection:
            if not inspect(connection).has_table(tables.schema_version.name):
                tables.metadata.create_all(connection)
                connection.execute(
                    insert(tables.schema_version).values(version=tables.SCHEMA_VERSION)
                )
            # Another server that opens the database now waits here, where that is possible.
            query = select(tables.schema_version.c.version).with_for_update()
            version: int = connection.execute(query).scalar_one()
            self._check_version(version)
            if version < tables.SCHEMA_VERSION and not upgrades:
                raise CatalogSchemaError(
                    f"{self._where} has tables of version {version}, and the server that uses it"
                    f" is as old; this program knows version {tables.SCHEMA_VERSION}. Start a"
                    " server of this version instead"
                )
            if version < tables.SCHEMA_VERSION:
                self._bring_up(connection, version)
        if version < tables.SCHEMA_VERSION:
            _logger.info(
                "%s was brought from version %d to %d", self._where, version, tables.SCHEMA_VERSION
            )

    def _check_readable(self) -> None:
        with self.read() as connection:
            if not inspect(connection).has_table(tables.schema_version.name):
                raise CatalogSchemaError(f"{self._where} is empty")
            version: int = connection.execute(select(tables.schema_version.c.version)).scalar_one()
        self._check_version(version)
        if version < tables.SCHEMA_VERSION:
            raise CatalogSchemaError(
                f"{self._where} has tables of version {version}, which is older than"
                f" {tables.SCHEMA_VERSION}; serve the folder with this version of the server once,"
                " which brings it up"
            )

    def _check_version(self, version: int) -> None:
        if version not in range(1, tables.SCHEMA_VERSION + 1):
            raise CatalogSchemaError(
                f"{self._where} has tables of version {version}, this server knows version"
                f" {tables.SCHEMA_VERSION}; start the version of the server that wrote it, or"
                " serve another folder"
            )

    def _bring_up(self, connection: Connection, version: int) -> None:
        try:
            migrate(connection, version, STEPS)
            connection.execute(update(tables.schema_version).values(version=tables.SCHEMA_VERSION))
        except SQLAlchemyError as error:
            raise CatalogSchemaError(
                f"{self._where} could not be brought from version {version} to"
                f" {tables.SCHEMA_VERSION}, and is as it was: {error}"
            ) from error

    @property
    def _where(self) -> str:
        return f"the catalog at {self._engine.url.render_as_string()}"


def _url(address: str | Path) -> URL:
    if isinstance(address, str) and "://" in address:
        return make_url(address)
    return URL.create("sqlite", database=str(Path(address)))


def _engine(url: URL) -> Engine:
    is_sqlite = url.get_backend_name() == "sqlite"
    engine = create_engine(
        url,
        pool_size=CONNECTIONS_MAX,
        max_overflow=0,
        pool_timeout=CONNECTION_WAIT_MS / 1_000,
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1_000} if is_sqlite else {},
    )
    if is_sqlite:
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401
    # The driver would begin transactions at moments of its own choice; _begin_sqlite does it.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()
    # In place of SQLAlchemy's, which is Python's `re`: some patterns would never come to an end.
    connection.create_function("regexp", 2, patterns.is_found, deterministic=True)


def _only_read(connection: Any, _record: object) -> None:  # noqa: ANN401
    connection.execute("PRAGMA query_only=ON").close()


@contextmanager
def _stopped_at(until_s: float, connection: Connection) -> Iterator[None]:
    """End what SQLite is at when the clock of `time.monotonic` says so."""
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = connection.connection.driver_connection
    driver.set_progress_handler(lambda: time.monotonic() >= until_s, _STEPS_BETWEEN_LOOKS)
    try:
        yield
    finally:
        # Others use the connection after this one.
        driver.set_progress_handler(None, 0)


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that starts as a reader and then writes fails when another one wrote meanwhile;
    # one that is going to write says so at once and waits for its turn.
    writes = connection.get_execution_options().get("sift_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
