"""The answer to one statement, batch by batch."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from sift_server.errors import InvalidArgumentError, ResourceExhaustedError, ServerError
from sift_server.sql.channel import ChannelClosedError, ChannelTimeoutError, Frame
from sift_server.sql.limits import MEMORY_STATUS, MIB
from sift_server.sql.place import underlined

if TYPE_CHECKING:
    from collections.abc import Callable

    from sift_server.lake import StoreSnapshot
    from sift_server.sql.limits import SqlLimits
    from sift_server.sql.process import WorkerProcess
    from sift_server.sql.tables import StatementTables

_ADVICE = (
    "Ask for less: of fewer channels, or of a shorter time, WHERE timestamp_ns BETWEEN ... AND ..."
)


class SqlAnswer(Iterator[Any]):
    """Record batches, made as they are taken. For one thread at a time, but for `cancel`.

    Holds a process, and the files that it reads, until all batches were taken or it is closed.
    """

    def __init__(
        self, worker: WorkerProcess, limits: SqlLimits, statement: str, ended: Callable[[], None]
    ) -> None:
        """Take a process that nobody uses.

        Args:
            worker: The process.
            limits: What the statement may take.
            statement: The statement.
            ended: Called once, when nothing is held any more.
        """
        self._worker = worker
        self._limits = limits
        self._statement = statement
        self._ended = ended
        self._is_ended = False
        self._is_cancelled = False
        self._left_s = limits.working_ms_max / 1_000
        self._snapshot: StoreSnapshot | None = None

    def named(self) -> dict[str, Any]:
        """Have the statement checked; gives what it names.

        Raises:
            ServerError: It is refused.
        """
        limits = self._limits
        document = {
            "statement": self._statement,
            "memory_bytes_max": limits.memory_bytes_max,
            "spill_bytes_max": limits.spill_bytes_max,
            "threads": limits.threads,
            # Should this process be killed, the other one has an end too.
            "cpu_s_max": limits.threads * (limits.working_ms_max // 1_000 + 5),
        }
        self._send(Frame.STATEMENT, document)
        return dict(json.loads(self._receive()))

    def begin(self, tables: StatementTables) -> Any:  # noqa: ANN401 (pyarrow)
        """Give the process its tables, and have the answer begun; gives the Arrow schema.

        Args:
            tables: What the statement names.

        Raises:
            ServerError: The statement can't be answered.
        """
        self._snapshot = tables.snapshot
        document = {
            "tables": list(tables.files),
            "statements": tables.statements,
            "paths": tables.paths,
        }
        try:
            self._worker.channel.send_files(list(tables.files.values()))
        except ChannelClosedError:
            raise self._death() from None
        self._send(Frame.TABLES, document)
        return pa.ipc.open_stream(pa.py_buffer(self._receive())).schema

    def __next__(self) -> Any:  # noqa: ANN401
        """The next batch.

        Raises:
            ServerError: The statement can't be answered to its end.
        """
        if self._is_ended:
            raise StopIteration
        try:
            data = self._receive()
        except BaseException:
            self.close()
            raise
        if not data:
            self.close()
            raise StopIteration
        return pa.ipc.open_stream(pa.py_buffer(data)).read_next_batch()

    def cancel(self) -> None:
        """End the statement at once. Called from any thread; the one that waits is told."""
        self._is_cancelled = True
        self._worker.kill()

    def close(self) -> None:
        """Let go of what is held."""
        if self._is_ended:
            return
        self._is_ended = True
        try:
            self._worker.end()
        finally:
            self._snapshot = None
            self._ended()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _send(self, frame: Frame, document: dict[str, Any]) -> None:
        try:
            self._worker.channel.send_document(frame, document)
        except ChannelClosedError:
            raise self._death() from None

    def _receive(self) -> bytearray:
        """Wait for what comes next; nothing is the end of the answer."""
        began_s = time.monotonic()
        try:
            frame, data = self._worker.receive(self._left_s)
        except ChannelTimeoutError:
            raise self._too_long() from None
        except ChannelClosedError:
            raise self._death() from None
        finally:
            self._left_s -= time.monotonic() - began_s
        if frame is Frame.ERROR:
            raise self._refusal(json.loads(data))
        return data

    def _refusal(self, said: dict[str, Any]) -> Exception:
        message = said["message"].strip()
        match said["kind"]:
            case "memory":
                return self._too_much()
            case "internal":
                return RuntimeError(message)
            case _:
                return InvalidArgumentError(underlined(message, self._statement, said["place"]))

    def _death(self) -> Exception:
        """Why the process is gone without a word."""
        if self._is_cancelled:
            return ResourceExhaustedError("the server is stopping; try again later")
        status = self._worker.status()
        if status == -signal.SIGXCPU:
            return self._too_long()
        if status < 0 or status == MEMORY_STATUS:
            return self._too_much()
        return RuntimeError(f"the process of a statement ended with the status {status}")

    def _too_long(self) -> ServerError:
        return ResourceExhaustedError(
            f"the statement worked for {self._limits.working_ms_max / 1_000:g} s, which is the"
            f" limit. {_ADVICE}"
        )

    def _too_much(self) -> ServerError:
        return ResourceExhaustedError(
            f"the statement needs more than the {self._limits.memory_bytes_max // MIB} MiB of"
            f" memory and {self._limits.spill_bytes_max // MIB} MiB of disk that one may have."
            f" {_ADVICE}"
        )
