"""Where a repair puts what it takes out of a folder: nothing is deleted that had a user's data."""

from __future__ import annotations

import itertools
import shutil
from typing import TYPE_CHECKING

from sift_server.lake.delta_log import sync_folder

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "damaged"


class Aside:
    """A new folder in the data folder, with the same folders in it; made when it is needed."""

    def __init__(self, data_dir: Path, name: str) -> None:
        """Take the data folder, and a name for this repair."""
        self._data_dir = data_dir
        names = (name if number == 1 else f"{name}-{number}" for number in itertools.count(1))
        self.path = next(
            path for path in (data_dir / FOLDER / each for each in names) if not path.exists()
        )

    @property
    def is_used(self) -> bool:
        """Whether something is in it."""
        return self.path.exists()

    def move(self, path: Path) -> None:
        """Move a file or folder of the data folder here, if it is there."""
        if path.exists():
            target = self._place(path)
            path.rename(target)
            sync_folder(path.parent)
            sync_folder(target.parent)

    def copy(self, path: Path) -> None:
        """Copy a file of the data folder here, if it is there."""
        if path.exists():
            target = self._place(path)
            shutil.copy2(path, target)
            sync_folder(target.parent)

    def _place(self, path: Path) -> Path:
        target = self.path / path.relative_to(self._data_dir)
        target.parent.mkdir(parents=True, exist_ok=True)
        return target
