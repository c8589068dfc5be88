"""What of a file is acknowledged, for an import that is broken off and started again.

A note is a small JSON file in a folder of the user's caches. Its name is a hash of everything that
the rest of the import depends on: the bytes of the file, the plan, the run, and the ingestion
config, whose id the server made: on another server, or on a folder that was made anew, no note
fits. It may be deleted: then all is sent again, which changes no point.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sift_files import plan_document

if TYPE_CHECKING:
    from sift_files import FilePlan, OnError

__all__ = ["ImportNote", "NoteFolder", "content_hash"]

WRITE_INTERVAL_S = 1.0
"""How often a note is written, at most."""

NOTE_AGE_S_MAX = 7 * 24 * 3600
"""Notes that are older are not used, and removed."""

_VERSION = 1
_HASH = "sha256"


class NoteFolder:
    """A folder of notes."""

    def __init__(self, path: Path | None = None) -> None:
        """Take the folder; one in the user's caches without one."""
        caches = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        self._path = path or Path(caches) / "sift" / "imports"

    def note(
        self, content: str, plan: FilePlan, config_id: str, run_id: str, on_error: OnError
    ) -> ImportNote:
        """The note of an import, there or not."""
        document = plan_document(plan)
        document.pop("notes", None)
        parts = [_VERSION, content, document, config_id, run_id, on_error.value]
        name = hashlib.new(_HASH, json.dumps(parts, sort_keys=True).encode()).hexdigest()
        return ImportNote(self._path / f"{name}.json")

    def remove_old(self) -> None:
        """Remove notes that nobody came back for."""
        if self._path.is_dir():
            for path in self._path.glob("*.json"):
                if time.time() - path.stat().st_mtime > NOTE_AGE_S_MAX:
                    path.unlink(missing_ok=True)


@dataclass(slots=True)
class ImportNote:
    """How far an import is acknowledged."""

    path: Path
    _written_s: float = 0.0

    def read(self) -> tuple[int, int]:
        """The place behind what is acknowledged, and how many rows that is; zeros if none is."""
        try:
            if time.time() - self.path.stat().st_mtime > NOTE_AGE_S_MAX:
                return 0, 0
            document = json.loads(self.path.read_text(encoding="utf-8"))
            return int(document["place"]), int(document["rows"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0, 0

    def write(self, place: int, rows: int, *, at_once: bool = False) -> None:
        """Note a place, if the last one was noted a moment ago and not just now.

        A folder that can't be written to costs going on there, and nothing else.
        """
        if not at_once and time.monotonic() - self._written_s < WRITE_INTERVAL_S:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            new = self.path.with_suffix(f".{os.getpid()}")
            new.write_text(json.dumps({"place": place, "rows": rows}), encoding="utf-8")
            new.replace(self.path)
        except OSError:
            pass
        self._written_s = time.monotonic()

    def remove(self) -> None:
        """The import is complete."""
        self.path.unlink(missing_ok=True)


def content_hash(path: Path) -> str:
    """A hash of the bytes of a file, or of the files of a folder with their names."""
    if path.is_dir():
        parts = [(one.name, content_hash(one)) for one in sorted(path.iterdir()) if one.is_file()]
        return hashlib.new(_HASH, json.dumps(parts).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, _HASH).hexdigest()
