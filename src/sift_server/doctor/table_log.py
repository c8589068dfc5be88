"""What is left of the Delta log of the table: commits and checkpoints, read without its library.

The library reads a table or fails. Here each commit and checkpoint is read for itself, so that it
can be said which one is damaged, and what the others say. The state of the table is what the newest
checkpoint that can be read says, with all commits behind it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from sift_server.lake.checksums import (
    PARTS_TAG,
    is_checkpoint_damaged,
    is_commit_damaged,
    parts_of,
)
from sift_server.lake.delta import APP_ID
from sift_server.lake.delta_log import LAST_CHECKPOINT
from sift_server.lake.schema import PARTITION_COLUMN, TABLE_SCHEMA, UINT64_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\.parquet")
_OTHER_CHECKPOINT = re.compile(r"\d{20}\.checkpoint\..+")

Action = dict[str, Any]

_UNFIT = (AttributeError, KeyError, TypeError, ValueError)
"""What is raised for actions that are not what they should be."""

_DELTA_TYPES = {
    pa.date32(): "date",
    pa.string(): "string",
    pa.int64(): "long",
    pa.float64(): "double",
    pa.float32(): "float",
    pa.bool_(): "boolean",
    pa.binary(): "binary",
    UINT64_TYPE: "decimal(20,0)",
}
_COLUMNS = {column.name: _DELTA_TYPES[column.type] for column in TABLE_SCHEMA}


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A data file that the table names.

    Attributes:
        path: Relative to the table's folder.
        action: The `add` action that names it.
        points: How many points it has; None if the program that wrote it did not say.
        parts: Its checksums, as the tag has them; empty if it has none.
    """

    path: str
    action: Action

    @property
    def size_bytes(self) -> int:
        """Size of the file."""
        return int(self.action["size"])

    @property
    def points(self) -> int | None:
        """Number of points, if it is said."""
        stats = json.loads(self.action.get("stats") or "{}")
        return stats.get("numRecords") if isinstance(stats, dict) else None

    @property
    def parts(self) -> str:
        """Checksums, as the tag has them; empty if there is none."""
        return str((self.action.get("tags") or {}).get(PARTS_TAG) or "")


@dataclass(slots=True)
class TableLog:
    """The Delta log as it was found.

    Attributes:
        newest: The newest version that any file is named after; -1 if none is.
        files: What the table names, by path.
        removed: Files that it named once, as far as it is known what it said of them.
        merged_from: Files that were merged, by the file that they were merged into.
        position: Log position that the table covers.
        protocol: The last one, or None.
        metadata: The last one, or None.
        damaged: Commits and checkpoints that can't be read, with the reason.
        missing: Versions of commits that are missing, though the table needs them.
        other_checkpoints: Checkpoints of a form that is not read here.
        unnamed: Commits that a crash left without a name.
    """

    newest: int = -1
    files: dict[str, NamedFile] = field(default_factory=dict)
    removed: dict[str, NamedFile | None] = field(default_factory=dict)
    merged_from: dict[str, tuple[str, ...]] = field(default_factory=dict)
    position: int = 0
    protocol: Action | None = None
    metadata: Action | None = None
    damaged: dict[Path, str] = field(default_factory=dict)
    missing: list[int] = field(default_factory=list)
    other_checkpoints: list[Path] = field(default_factory=list)
    unnamed: list[Path] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether nothing that the table needs is damaged or missing."""
        return not self.damaged and not self.missing and self.metadata is not None

    @property
    def has_columns(self) -> bool:
        """Whether it says of the table what a server says that makes one."""
        try:
            metadata = self.metadata or {}
            columns = {
                column["name"]: column["type"]
                for column in json.loads(metadata["schemaString"])["fields"]
            }
        except (ValueError, KeyError, TypeError):
            return False
        return _COLUMNS.items() <= columns.items() and metadata.get("partitionColumns") == [
            PARTITION_COLUMN
        ]

    def apply(self, actions: Iterable[Action]) -> None:
        """Follow the actions of a commit or a checkpoint."""
        added, gone = [], []
        for action in actions:
            if add := action.get("add"):
                path = unquote(add["path"])
                self.files[path] = _checked(NamedFile(path, add))
                self.removed.pop(path, None)
                added.append((path, bool(add.get("dataChange", True))))
            if remove := action.get("remove"):
                path = unquote(remove["path"])
                self.removed[path] = self.files.pop(path, None)
                gone.append(path)
            if (txn := action.get("txn")) and txn["appId"] == APP_ID:
                self.position = int(txn["version"])
            self.protocol = action.get("protocol") or self.protocol
            self.metadata = action.get("metaData") or self.metadata
        for path, has_changed in added:
            if gone and not has_changed:
                self.merged_from[path] = tuple(gone)


def _checked(file: NamedFile) -> NamedFile:
    """A file of which everything can be asked.

    Raises:
        ValueError: It is not said, or something else is.
    """
    parts_of(file.parts)
    if file.size_bytes < 0 or not isinstance(file.points, int | None):
        raise ValueError(f"{file.path} has a size that is none")
    return file


def read_table_log(folder: Path) -> TableLog:
    """Read the `_delta_log` of a table's folder; there may be none.

    Raises:
        OSError: A file can't be read.
    """
    log = TableLog()
    commits: dict[int, Path] = {}
    checkpoints: dict[int, Path] = {}
    if (folder / "_delta_log").is_dir():
        for path in (folder / "_delta_log").iterdir():
            if match := _COMMIT.fullmatch(path.name):
                commits[int(match[1])] = path
            elif match := _CHECKPOINT.fullmatch(path.name):
                checkpoints[int(match[1])] = path
            elif _OTHER_CHECKPOINT.fullmatch(path.name):
                log.other_checkpoints.append(path)
            elif path.name.startswith("_commit_"):
                log.unnamed.append(path)
    log.newest = max((*commits, *checkpoints), default=-1)
    last = folder / "_delta_log" / LAST_CHECKPOINT
    hint = last.read_bytes() if last.exists() else b""
    summed_up = _apply_checkpoint(log, checkpoints, hint)
    _look_back(log, [commits[version] for version in sorted(commits) if version <= summed_up])
    for version in range(summed_up + 1, max(commits, default=-1) + 1):
        if version not in commits:
            log.missing.append(version)
            continue
        actions = _commit_actions(commits[version])
        if isinstance(actions, str):
            log.damaged[commits[version]] = actions
        else:
            log.apply(actions)
    _check_last_checkpoint(log, last, checkpoints)
    return log


def _apply_checkpoint(log: TableLog, checkpoints: dict[int, Path], hint: bytes) -> int:
    """Begin with the newest checkpoint that can be read; returns its version, or -1."""
    for version in sorted(checkpoints, reverse=True):
        if is_checkpoint_damaged(version, checkpoints[version].read_bytes(), hint):
            log.damaged[checkpoints[version]] = "its checksum does not fit"
            continue
        try:
            actions = pq.read_table(checkpoints[version]).to_pylist(maps_as_pydicts="strict")
            TableLog().apply(actions)
        except (pa.ArrowException, OSError, *_UNFIT) as error:
            log.damaged[checkpoints[version]] = f"it can't be read ({_short(error)})"
            continue
        log.apply(actions)
        return version
    return -1


def _look_back(log: TableLog, commits: Iterable[Path]) -> None:
    """See what older commits say of files that are gone, which a checkpoint does not say."""
    before = TableLog()
    for path in commits:
        actions = _commit_actions(path)
        if not isinstance(actions, str):
            before.apply(actions)
    log.merged_from = before.merged_from
    known = before.files | before.removed
    gone = (log.removed | before.removed).keys() - log.files.keys()
    log.removed = {path: known.get(path) for path in gone}


def _commit_actions(path: Path) -> list[Action] | str:
    """The actions of a commit, or why they can't be known."""
    data = path.read_bytes()
    try:
        actions = [json.loads(line) for line in data.splitlines()]
    except ValueError as error:
        return f"it is not JSON ({_short(error)})"
    if not actions or not all(isinstance(action, dict) for action in actions):
        return "it has no actions" if not actions else "a line of it is no action"
    if is_commit_damaged(data, actions):
        return "its checksum does not fit"
    try:
        TableLog().apply(actions)
    except _UNFIT as error:
        return f"an action of it lacks something ({_short(error)})"
    return actions


def _check_last_checkpoint(log: TableLog, path: Path, checkpoints: dict[int, Path]) -> None:
    try:
        hint = json.loads(path.read_bytes())
        version = hint["version"]
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError):
        log.damaged[path] = "it does not say which checkpoint is the last one"
        return
    if version not in checkpoints and not log.other_checkpoints:
        log.damaged[path] = f"it names checkpoint {version}, which is not there"


def _short(error: BaseException) -> str:
    return str(error).partition("\n")[0][:200]
