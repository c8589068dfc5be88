"""What every ingest log is, wherever it keeps its bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future


class LogError(RuntimeError):
    """Base of what a log raises."""


class LogCorruptionError(LogError):
    """Bytes that may have been acknowledged are damaged or gone; says where and what to do."""


class LogFailedError(LogError):
    """The log could not make bytes durable. Nothing that got this error is acknowledged."""


class LogFullError(LogFailedError):
    """The disk has no room for the bytes. Nothing was taken; the log goes on when it has."""


@dataclass(frozen=True, slots=True)
class LogLimits:
    """How much a log may hold at a time.

    Attributes:
        segment_bytes_max: A segment that has reached this size is followed by a new one.
        record_bytes_max: Largest record.
        pending_bytes_max: Bytes that wait for the disk; an append beyond it waits as well.
        free_bytes_min: Bytes of the disk that the log leaves free. What shortens the log, a flush,
            needs room itself.
    """

    segment_bytes_max: int = 128 * 1024 * 1024
    record_bytes_max: int = 256 * 1024 * 1024
    pending_bytes_max: int = 64 * 1024 * 1024
    free_bytes_min: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One appended record. Positions grow from record to record, over restarts as well."""

    position: int
    payload: bytes


class IngestLog(Protocol):
    """Appends records, makes them durable, and gives them back until they are discarded."""

    @property
    def durable_position(self) -> int:
        """Position of the last durable record; 0 before the first."""
        ...

    def append(self, payload: bytes | memoryview, on_durable: Callable[[int], None]) -> Future[int]:
        """Append a record.

        When it is durable, `on_durable` is called with its position, for one record after the
        other in the order of positions; then the future is done. Safe from many threads; waits
        while `pending_bytes_max` bytes are on their way.

        Raises:
            LogFullError: The disk is full; set on the future.
            LogFailedError: The log failed before, or is closed; also set on the future.
            ValueError: The record is empty, or larger than `record_bytes_max`.
        """
        ...

    def has_room(self, payload_bytes: int) -> bool:
        """Whether an append of that size would not have to wait now."""
        ...

    def replay(self, after_position: int) -> Iterator[LogRecord]:
        """Give back every durable record behind a position, in order.

        Raises:
            LogCorruptionError: A record is damaged, or was discarded already.
        """
        ...

    def discard(self, through_position: int) -> None:
        """Forget records up to and including a position, as far as that is cheap."""
        ...

    def close(self) -> None:
        """Make durable what is on its way, and close."""
        ...
