"""What is in a backup: every file with its size and SHA-256, in `manifest.json`.

```text
{"format": 1, "made": "2026-11-25T15:00:00Z", "position": 1234, "points": 5000,
 "files": [{"path": "lake/...", "bytes": 10, "sha256": "..."}, ...],
 "sha256": "..."}
```

The last entry is the SHA-256 of the document without it, as `json.dumps` writes it with sorted keys
and no blanks. The manifest is written last: a folder without it is no backup.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

NAME = "manifest.json"
FORMAT = 1


class BackupError(RuntimeError):
    """A backup can't be made, or is not whole; says why and what to do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a backup, with its path relative to it."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup has.

    Attributes:
        made: When it was begun, as RFC 3339 has it, in UTC.
        position: Position of the log up to which it has everything.
        points: Points of the table; those that are in the log only are not counted.
        entries: All files but the manifest.
    """

    made: str
    position: int
    points: int
    entries: tuple[Entry, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(entry.size_bytes for entry in self.entries)

    def to_json(self) -> str:
        """The document."""
        document: dict[str, Any] = {
            "format": FORMAT,
            "made": self.made,
            "position": self.position,
            "points": self.points,
            "files": [
                {"path": entry.path, "bytes": entry.size_bytes, "sha256": entry.sha256}
                for entry in self.entries
            ],
        }
        return json.dumps({**document, "sha256": _digest(document)}, indent=1) + "\n"


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a backup.

    Raises:
        BackupError: The folder is no backup that is whole, or one of a later version.
    """
    path = folder / NAME
    try:
        document = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise BackupError(
            f"{folder} is no backup that is whole: it has no {NAME}, which is written last"
        ) from None
    except ValueError:
        raise BackupError(f"{path} is damaged: it is not JSON") from None
    try:
        digest = document.pop("sha256")
        if document["format"] > FORMAT:
            raise BackupError(
                f"{folder} has format {document['format']}, and this program knows {FORMAT}: use"
                " the 'sift restore' of the version that made it"
            )
        manifest = Manifest(
            document["made"],
            document["position"],
            document["points"],
            tuple(Entry(file["path"], file["bytes"], file["sha256"]) for file in document["files"]),
        )
    except (AttributeError, KeyError, TypeError):
        raise BackupError(f"{path} is damaged: something is missing in it") from None
    if digest != _digest(document):
        raise BackupError(f"{path} is damaged: its own SHA-256 does not fit")
    for entry in manifest.entries:
        parts = PurePosixPath(entry.path).parts
        if not parts or ".." in parts or parts[0] == "/":
            raise BackupError(f"{path} names {entry.path!r}, which is not in the backup")
    return manifest


def _digest(document: dict[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
