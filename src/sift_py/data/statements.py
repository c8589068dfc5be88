"""SQL: answers of a server to statements, as Arrow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sift_py.data._source import connected
from sift_py.errors import DataError
from sift_py.grpc._answers import status_error
from sift_py.grpc._channel import TargetChannel

if TYPE_CHECKING:
    from sift_py.data._source import Source
    from sift_py.grpc._answers import Answer
    from sift_py.grpc.transport import SiftChannel

__all__ = ["StatementBatches", "sql", "statement_batches"]

_PATH = "/arrow/v1/sql"
_ERROR_KEY = b"sift.error"


def sql(statement: str, *, source: Source | None = None) -> Any:  # noqa: ANN401 (pyarrow has no types)
    """Have a statement of SQL answered by a server, which has it read points and catalog.

    Args:
        statement: One statement that only reads. `SHOW TABLES` lists what there is.
        source: A channel, a URI or the folder of a server; None is the URI in the environment
            variable `SIFT_URI`, with the key in `SIFT_API_KEY`. A channel is best for many calls.

    Returns:
        A `pyarrow.Table`.

    Raises:
        DataError: There is no source.
        DataReadError: The server refused the statement, and says where it is wrong; or it took too
            much; or it broke off.

    Example:
        ```python
        frame = sql(
            "SELECT channel, max(value) FROM points WHERE asset = 'rover' GROUP BY channel",
            source="./telemetry",
        ).to_pandas()
        ```
    """
    with connected(source) as channel, statement_batches(channel, statement) as batches:
        return pa.Table.from_batches(list(batches), batches.schema)


@contextmanager
def statement_batches(channel: SiftChannel, statement: str) -> Iterator[StatementBatches]:
    """Have a statement answered; gives record batches as they come, also what fits no memory.

    The answer is broken off at the end of the with-block.

    Args:
        channel: As `use_sift_channel` makes it.
        statement: As for `sql`.

    Raises:
        DataReadError: As for `sql`; in the with-block too, if it goes wrong in the middle.
        DataError: The channel was made by the gRPC library, which has no such answers.
    """
    if not isinstance(channel, TargetChannel):
        raise DataError(
            "SQL needs a channel that use_sift_channel made, not one of the gRPC library"
        )
    with channel.answers().ask(_PATH, {"statement": statement}) as answer:
        yield StatementBatches(answer)


class StatementBatches(Iterator[Any]):
    """The record batches of an answer. For one thread.

    Attributes:
        schema: Their Arrow schema.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._file = pa.PythonFile(answer, mode="r")
        self._reader = self._open()
        self.schema: Any = self._reader.schema

    def __next__(self) -> Any:  # noqa: ANN401
        """The next batch.

        Raises:
            DataReadError: The server could not go on, or broke off.
        """
        try:
            return self._reader.read_next_batch()
        except StopIteration:
            if not self._answer.is_at_end:
                # What is behind the end says why it is none.
                self._open()
            raise

    def _open(self) -> Any:  # noqa: ANN401
        reader = pa.ipc.open_stream(self._file)
        metadata = reader.schema.metadata or {}
        if _ERROR_KEY in metadata:
            raise status_error(json.loads(metadata[_ERROR_KEY]))
        return reader
