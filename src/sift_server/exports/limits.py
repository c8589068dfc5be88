"""What exported files may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExportLimits:
    """What exports may take.

    Attributes:
        files_max: Files that are kept; the oldest makes room for another one.
        exports_bytes_max: All of them together; likewise. A single one that is larger fails.
        kept_s: How long a file is kept.
        disk_reserve_bytes: What exports leave free of the disk: the log needs it.
        batch_points: Points that are in memory at a time, about.
        url_valid_s: How long a URL is good for.
        urls_max: URLs that are good at a time; the oldest is forgotten for another one.
        downloads_max: Downloads at a time.
    """

    files_max: int = 100
    exports_bytes_max: int = 16 * 1024**3
    kept_s: int = 24 * 3_600
    disk_reserve_bytes: int = 1024**3
    batch_points: int = 1_000_000
    url_valid_s: int = 3_600
    urls_max: int = 10_000
    downloads_max: int = 16
