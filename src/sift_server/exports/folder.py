"""The folder of exported files. Each has the id of its job for its name.

A file is written under another name and renamed when all of it is there.
"""

from __future__ import annotations

import shutil
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sift_server.errors import DiskFullError, ResourceExhaustedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sift_server.exports.limits import ExportLimits

_PARTIAL = ".part"
_NS_PER_S = 1_000_000_000


class ExportFolder:
    """The files, and how much room they take. Safe from many threads."""

    def __init__(self, path: Path, limits: ExportLimits) -> None:
        """Take the folder; it is made when the first file comes."""
        self.path = path
        self.limits = limits
        self._lock = threading.Lock()

    def path_of(self, job_id: str) -> Path:
        """Where the file of a job is, if it is there. The id is one of the catalog."""
        return self.path / job_id

    @contextmanager
    def begun(self, job_id: str) -> Iterator[Path]:
        """Gives a folder for what a job makes; it is gone in the end."""
        folder = self.path / f"{job_id}{_PARTIAL}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def check_room(self, folder: Path) -> None:
        """Check what a job has made until now, and remove the oldest files if it needs room.

        Raises:
            ResourceExhaustedError: It is too large.
            DiskFullError: The disk is full.
        """
        size = sum(file.stat().st_size for file in folder.iterdir())
        if size > self.limits.exports_bytes_max:
            raise ResourceExhaustedError(
                f"the export has more than exports_bytes_max = {self.limits.exports_bytes_max:,}"
                " bytes; export in parts, such as hour by hour"
            )
        if shutil.disk_usage(self.path).free < self.limits.disk_reserve_bytes:
            raise DiskFullError(
                "the disk has no room for exports, which leave"
                f" {self.limits.disk_reserve_bytes:,} bytes of it free for the log"
            )
        self._make_room(size)

    def keep(self, job_id: str, made: Path) -> None:
        """Take the file that a job made."""
        self._make_room(made.stat().st_size)
        made.replace(self.path_of(job_id))

    def sweep(self, now_ns: int) -> None:
        """Remove files that are too old, and what is left of jobs that broke off."""
        for path in self._all():
            if path.name.endswith(_PARTIAL):
                shutil.rmtree(path, ignore_errors=True)
            elif path.stat().st_mtime_ns < now_ns - self.limits.kept_s * _NS_PER_S:
                path.unlink(missing_ok=True)

    def _make_room(self, size: int) -> None:
        with self._lock:
            kept = [each for each in self._all() if not each.name.endswith(_PARTIAL)]
            kept.sort(key=lambda each: each.stat().st_mtime_ns, reverse=True)
            for number, path in enumerate(kept, 1):
                size += path.stat().st_size
                if number >= self.limits.files_max or size > self.limits.exports_bytes_max:
                    path.unlink()

    def _all(self) -> list[Path]:
        return list(self.path.iterdir()) if self.path.is_dir() else []
