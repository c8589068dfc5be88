"""A spill folder: the lanes of all programs that use it, and what was set aside.

```text
SPILL_DIR/
    01795608001750000000-4711-1/    a lane, see `lane`
    aside/                          what was damaged, cut off, or refused by the server
```
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sift_py.errors import SpillError
from sift_py.ingestion._internal.spill.disk import create_file, sync_file, sync_folder
from sift_py.ingestion._internal.spill.lane import Lane

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sift_py.ingestion.spill import SpillLimits

_ASIDE = "aside"
_NEW_LANE_ATTEMPTS_MAX = 10
_counter = itertools.count(1)
_logger = logging.getLogger(__name__)


class SpillFolder:
    """A folder. Safe from many threads.

    Attributes:
        path: Where it is.
        limits: How much it may hold.
        set_aside_files: What this program set aside.
    """

    def __init__(self, path: Path, limits: SpillLimits) -> None:
        """Make the folder if it is missing.

        Raises:
            SpillError: It can't be made, or not be written to.
        """
        self.path = path.absolute()
        self.limits = limits
        self.set_aside_files: list[str] = []
        self._losses: list[tuple[str, str]] = []
        try:
            self._make()
        except OSError as error:
            raise SpillError(f"the spill folder {path} can't be made: {error}.") from error
        if not os.access(path, os.W_OK | os.X_OK):
            raise SpillError(f"the spill folder {path} can't be written to.")

    def new_lane(self) -> Lane:
        """Make a lane of this program.

        Raises:
            OSError: It can't be made.
        """
        for _ in range(_NEW_LANE_ATTEMPTS_MAX):
            name = f"{time.time_ns():020d}-{os.getpid()}-{next(_counter)}"
            self._make()
            # Taken, or deleted, by another program between two steps.
            with contextlib.suppress(FileExistsError, FileNotFoundError):
                return Lane.create(self.path / name, self.limits.file_bytes_max, self.set_aside)
        raise OSError(errno.ENOLCK, "no file in it can be locked")

    def adopt_lanes(self) -> Iterator[Lane]:
        """Take over lanes of programs that ended, oldest first; empty ones are deleted."""
        for path in sorted(self.path.iterdir()):
            if path.name == _ASIDE or not path.is_dir():
                continue
            lane = Lane.adopt(path, self.limits.file_bytes_max, self.set_aside)
            if lane is None:
                continue
            if lane.files:
                yield lane
            else:
                lane.close()

    def size_bytes(self) -> int:
        """Bytes of all files in it."""
        size = 0
        for folder, _, names in os.walk(self.path):
            for name in names:
                # Other programs delete theirs at any moment.
                with contextlib.suppress(FileNotFoundError):
                    size += (Path(folder) / name).stat().st_size
        return size

    def set_aside(self, path: Path, data: bytes, why: str, is_lost: bool) -> None:
        """Keep bytes of a spill file that must not be sent, and report them.

        Args:
            path: The spill file.
            data: The bytes; none if the file itself is gone.
            why: Why they must not be sent.
            is_lost: Whether somebody was told that they are taken.
        """
        where = str(self._keep(data)) if data else str(path)
        if data:
            self.set_aside_files.append(where)
        if is_lost:
            self._losses.append((where, why))
        _logger.error(
            "%d bytes of the spill file %s are not sent: %s. See %s.", len(data), path, why, where
        )

    def take_losses(self) -> list[tuple[str, str]]:
        """What was taken and is not sent, since the last call: where it is, and why."""
        losses, self._losses = self._losses, []
        return losses

    def _keep(self, data: bytes) -> Path:
        folder = self.path / _ASIDE
        folder.mkdir(exist_ok=True)
        kept = folder / f"{time.time_ns():020d}-{os.getpid()}-{next(_counter)}"
        descriptor = create_file(kept, data)
        try:
            # It is about to be deleted where it was.
            sync_file(descriptor)
        finally:
            os.close(descriptor)
        sync_folder(folder)
        return kept

    def _make(self) -> None:
        if not self.path.is_dir():
            self.path.mkdir(parents=True, exist_ok=True)
            sync_folder(self.path.parent)
