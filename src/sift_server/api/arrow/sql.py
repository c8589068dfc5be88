"""Answers to SQL as Arrow: `POST /arrow/v1/sql` with `{"statement": "SELECT ..."}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sift_server.api.arrow.door import ArrowStream
from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sift_server.sql.engine import SqlEngine


class SqlQuestions:
    """Gives the answer to a statement, as one stream."""

    def __init__(self, engine: SqlEngine) -> None:
        """Take what answers statements."""
        self._engine = engine

    def __call__(self, asked: Any, /) -> Iterator[ArrowStream]:  # noqa: ANN401 (any JSON)
        """Answer a statement.

        Raises:
            ServerError: As `SqlEngine.query`, before anything was given.
        """
        statement = asked.get("statement") if isinstance(asked, dict) else None
        if not isinstance(statement, str) or asked.keys() != {"statement"}:
            raise InvalidArgumentError(
                'a question of SQL is a JSON object {"statement": "SELECT ..."}, and nothing else'
            )
        schema, batches = self._engine.query(statement)
        with batches:
            yield ArrowStream(schema, batches)
