"""What statements may take."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024

MEMORY_STATUS = 77
"""Exit status of a process that had no memory left to say so."""


@dataclass(frozen=True, slots=True)
class SqlLimits:
    """What statements may take.

    Attributes:
        statements_max: Statements that are answered at a time.
        wait_ms_max: How long one more waits for its turn.
        working_ms_max: How long a statement may work; the time in which nobody takes what there is
            does not count.
        memory_bytes_max: Bytes that DuckDB may hold for a statement. The system refuses its process
            more than twice as much.
        spill_bytes_max: Bytes of a statement on disk, where its memory has no room.
        threads: Threads of a statement.
        statement_chars_max: Characters of a statement.
    """

    statements_max: int = 2
    wait_ms_max: int = 2_000
    working_ms_max: int = 60_000
    memory_bytes_max: int = 512 * 1024 * 1024
    spill_bytes_max: int = 2_048 * 1024 * 1024
    threads: int = 2
    statement_chars_max: int = 100_000
