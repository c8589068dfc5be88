"""The door of SQL: a statement in, record batches out."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from sift_server.errors import InvalidArgumentError, ResourceExhaustedError
from sift_server.sql.answer import SqlAnswer
from sift_server.sql.file_facts import FileFacts
from sift_server.sql.limits import SqlLimits
from sift_server.sql.process import WorkerPool
from sift_server.sql.tables import StatementTables

if TYPE_CHECKING:
    from sift_server.catalog import Catalog
    from sift_server.lake import PointStore


class SqlEngine:
    """Answers statements over points and catalog. Safe from many threads.

    A statement sees all points that were published before it, hot or stored, each once.

    Example:
        ```python
        engine = SqlEngine(catalog, store)
        schema, batches = engine.query("SELECT channel, max(value) FROM points GROUP BY channel")
        with batches:
            table = pa.Table.from_batches(batches, schema)
        ```
    """

    def __init__(
        self, catalog: Catalog, store: PointStore, limits: SqlLimits | None = None
    ) -> None:
        """Take what there is. No process is started before there is a statement."""
        self._catalog = catalog
        self._store = store
        self._limits = limits or SqlLimits()
        self._turns = threading.BoundedSemaphore(self._limits.statements_max)
        self._pool = WorkerPool()
        self._facts = FileFacts()
        self._lock = threading.Lock()
        self._answers: set[SqlAnswer] = set()
        self._is_closed = False

    def query(self, statement: str) -> tuple[Any, SqlAnswer]:
        """Begin to answer a statement.

        Returns:
            The Arrow schema, and the record batches.

        Raises:
            InvalidArgumentError: The statement can't be read, or is refused; says where.
            ResourceExhaustedError: It needs more than the limits allow, or others are at work.
        """
        allowed = self._limits.statement_chars_max
        if len(statement) > allowed:
            raise InvalidArgumentError(
                f"the statement has {len(statement):,} characters; {allowed:,} is the limit"
            )
        if not _is_text(statement):
            raise InvalidArgumentError("the statement has characters that are none of Unicode's")
        answer = self._answer(statement)
        try:
            named = answer.named()
            tables = StatementTables(self._catalog, self._store, self._facts)
            try:
                tables.describe(named, statement)
                return answer.begin(tables), answer
            finally:
                tables.close()
        except BaseException:
            answer.close()
            raise

    def close(self) -> None:
        """End all statements; those who wait for an answer are told."""
        with self._lock:
            self._is_closed = True
            answers = list(self._answers)
        for answer in answers:
            answer.cancel()
        self._pool.close()

    def _answer(self, statement: str) -> SqlAnswer:
        if not self._turns.acquire(timeout=self._limits.wait_ms_max / 1_000):
            raise ResourceExhaustedError(
                f"the server answers {self._limits.statements_max} statements at a time, which is"
                " the limit; try again when they are done"
            )
        try:
            worker = self._pool.take()
        except BaseException:
            self._turns.release()
            raise
        answer = SqlAnswer(worker, self._limits, statement, lambda: self._ended(answer))
        with self._lock:
            self._answers.add(answer)
            is_closed = self._is_closed
        if is_closed:
            answer.cancel()
        return answer

    def _ended(self, answer: SqlAnswer) -> None:
        with self._lock:
            self._answers.discard(answer)
        self._turns.release()


def _is_text(statement: str) -> bool:
    try:
        statement.encode()
    except UnicodeEncodeError:
        return False
    return True
