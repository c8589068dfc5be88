"""Spilling: what can't be sent goes to disk until the server is back.

See `spill_dir` of `sift_py.ingestion.service.IngestionService`.
"""

from __future__ import annotations

from dataclasses import dataclass

from sift_py.errors import SpillError

__all__ = ["DEFAULT_SPILL_LIMITS", "SpillLimits", "SpillStatus"]


@dataclass(frozen=True, slots=True)
class SpillLimits:
    """How much a spill folder may hold, and what happens when it is full.

    Attributes:
        folder_bytes_max: Bytes of all files in the folder, those of other programs and what was
            set aside among them.
        file_bytes_max: A file that has reached this size is followed by a new one. Files are
            deleted when everything in them was acknowledged.
        full_wait_ms: How long an ingest call waits for room in a full folder before it raises
            `SpillFullError`: 0 raises at once, `math.inf` waits for ever.

    Raises:
        SpillError: A limit is not positive.
    """

    folder_bytes_max: int = 4 * 1024 * 1024 * 1024
    file_bytes_max: int = 16 * 1024 * 1024
    full_wait_ms: float = 60_000

    def __post_init__(self) -> None:
        if not (self.folder_bytes_max > 0 and self.file_bytes_max > 0 and self.full_wait_ms >= 0):
            raise SpillError(f"the limits of a spill folder must be positive, got {self}.")


DEFAULT_SPILL_LIMITS = SpillLimits()


@dataclass(frozen=True, slots=True)
class SpillStatus:
    """What of a service's data is on disk.

    Attributes:
        pending_bytes: Bytes that are not acknowledged, in `files`.
        files: Spill files with such bytes, oldest first.
        set_aside: Files with what was damaged or refused while this service sent.
        last_error: Why the last attempt to send failed; None if it did not.
    """

    pending_bytes: int = 0
    files: tuple[str, ...] = ()
    set_aside: tuple[str, ...] = ()
    last_error: Exception | None = None
