"""What files that clients send may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImportLimits:
    """What uploads and imports may take.

    Attributes:
        upload_bytes_max: Largest file, inflated.
        uploads_bytes_max: All files that wait for their import, or may be retried, together.
        uploads_at_once_max: Uploads that are under way at a time.
        disk_reserve_bytes: What uploads leave free of the disk: the log needs it.
        silence_ms_max: How long an upload, or a server that a file is fetched from, may send
            nothing.
        failed_kept_s: How long the file of an import that failed is kept, so that it can be
            retried.
        points_max: Most points of a file.
        warnings_max: Most warnings that are kept of an import; the rest is counted.
    """

    upload_bytes_max: int = 16 * 1024**3
    uploads_bytes_max: int = 64 * 1024**3
    uploads_at_once_max: int = 8
    disk_reserve_bytes: int = 1024**3
    silence_ms_max: int = 60_000
    failed_kept_s: int = 24 * 3_600
    points_max: int = 20_000_000_000
    warnings_max: int = 50
