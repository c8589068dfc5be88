"""Examines the table: its log, and each file that it names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from sift_server.doctor.data_files import FileHealth, file_health
from sift_server.doctor.findings import Finding, Level, counted, note, problem, sized
from sift_server.doctor.table_log import TableLog, read_table_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_LOST_LOG = (
    "Which files the table has is not known for sure. Other programs may not be able to read it,"
    " and a server may not start, or take the log for the table's when it is not."
)
_REBUILD = (
    "Repair sets it aside and sums up anew what all others say. Files that no commit names come"
    " back into the table, which changes no point: if one is there twice, it is read once."
)


@dataclass(slots=True)
class LakeState:
    """A table as it was found.

    Attributes:
        folder: The table's folder.
        log: Its log.
        health: What is wrong with files that the table names; those that are whole are not in it.
        leftovers: Files that no commit names or named, with their sizes.
        findings: All of it in words.
    """

    folder: Path
    log: TableLog
    health: dict[str, FileHealth] = field(default_factory=dict)
    leftovers: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def points(self) -> int:
        """Points that the table says it has."""
        return sum(file.points or 0 for file in self.log.files.values())

    @property
    def size_bytes(self) -> int:
        """Bytes of the files of the table."""
        return sum(file.size_bytes for file in self.log.files.values())


def examine_lake(
    folder: Path, *, is_quick: bool, advance: Callable[[int], None] = lambda _: None
) -> LakeState:
    """Examine a table, and only read it.

    Args:
        folder: The table's folder; it may be missing.
        is_quick: Whether to read footers of files only, not all of their bytes.
        advance: Told how many bytes of files were read.

    Raises:
        OSError: A commit can't be read.
    """
    state = LakeState(folder, read_table_log(folder))
    for file in state.log.files.values():
        health = file_health(
            folder / file.path,
            file.size_bytes,
            file.points,
            file.parts,
            is_quick=is_quick,
            advance=advance,
        )
        if health.why:
            state.health[file.path] = health
    for path in sorted(folder.rglob("*.parquet")):
        relative = path.relative_to(folder).as_posix()
        if (
            not relative.startswith("_delta_log/")
            and relative not in state.log.files
            and relative not in state.log.removed
        ):
            state.leftovers[relative] = path.stat().st_size
    state.findings = [*_log_findings(state), *_file_findings(state), *_leftover_findings(state)]
    return state


def _log_findings(state: LakeState) -> Iterator[Finding]:
    log = state.log
    if log.newest < 0:
        yield problem(
            "lake",
            "The table has no log: no commit says which files are in it.",
            _LOST_LOG,
            _REBUILD,
        )
        return
    for path, why in log.damaged.items():
        kind = "checkpoint" if "checkpoint" in path.name else "commit"
        yield problem(
            f"lake/_delta_log/{path.name}", f"This {kind} is damaged: {why}.", _LOST_LOG, _REBUILD
        )
    if log.missing:
        first, last = log.missing[0], log.missing[-1]
        versions = f"{first}" if first == last else f"{first} to {last}"
        yield problem(
            "lake/_delta_log",
            f"The commits of {counted(len(log.missing), 'version')} are missing, of {versions},"
            " and no checkpoint sums them up.",
            _LOST_LOG,
            _REBUILD,
        )
    yield from _reading_findings(state)
    if log.unnamed:
        yield note(
            "lake/_delta_log",
            f"A crash left {counted(len(log.unnamed), 'commit')} without a name.",
            "What it would have had is in the log of the server; the next start removes it.",
        )


def _reading_findings(state: LakeState) -> Iterator[Finding]:
    """Whether other programs see in the table what is seen here."""
    log = state.log
    if log.is_whole and not log.has_columns:
        yield problem(
            "lake/_delta_log",
            "What the table says of its columns is not what it should be.",
            _LOST_LOG,
            _REBUILD,
        )
    elif log.is_whole:
        seen = _seen_by_others(state.folder)
        if isinstance(seen, str):
            yield problem(
                "lake/_delta_log",
                f"Programs that read Delta can't read the table: {seen[:200]}.",
                _LOST_LOG,
                _REBUILD,
            )
        elif seen != (log.newest, len(log.files)):
            version, named = seen
            yield problem(
                "lake/_delta_log",
                f"Programs that read Delta see {counted(named, 'file')} in version {version};"
                f" there are {len(log.files):,} in version {log.newest}.",
                _LOST_LOG,
                _REBUILD,
            )
    elif not log.damaged and not log.missing:
        yield problem(
            "lake/_delta_log", "No commit says what columns there are.", _LOST_LOG, _REBUILD
        )


def _seen_by_others(folder: Path) -> tuple[int, int] | str:
    """Version and number of files that the library sees, or why it can't read the table."""
    try:
        table = DeltaTable(str(folder))
        return table.version(), len(table.file_uris())
    except (DeltaError, OSError, ValueError) as error:
        return str(error)
    except BaseException as error:
        # What the library panics for is no Exception.
        if type(error).__name__ != "PanicException":
            raise
        return str(error)


def _file_findings(state: LakeState) -> Iterator[Finding]:
    for path, health in state.health.items():
        points = state.log.files[path].points
        said = counted(points, "point") if points is not None else "an unknown number of points"
        if health.is_missing:
            means = f"The table says that it has {said}. Reads that need it fail."
        elif health.row_groups:
            means = (
                f"Of {said}, {health.points:,} are in row groups that are whole. Reads that need"
                " the others fail, or give wrong values."
            )
        else:
            means = f"It has {said}. Reads that need it fail, or give wrong values."
        yield problem(
            f"lake/{path}",
            f"This file of the table is not what it was: {health.why}.",
            means,
            "Restore it from a backup: it never changes. Repair takes it out of the table and sets"
            " it aside; what is whole in it, or what the files that it was merged from and the log"
            " still have, stays in the table.",
        )


def _leftover_findings(state: LakeState) -> Iterator[Finding]:
    if not state.leftovers:
        return
    yield Finding(
        Level.NOTE,
        "lake",
        f"No commit names {counted(len(state.leftovers), 'file')} of"
        f" {sized(sum(state.leftovers.values()))}, {min(state.leftovers)} for example.",
        "A flush or a merge that a crash ended leaves such files: log or table have their points."
        " A server removes them when they are older than its retention.",
        "Repair removes them, if nothing is wrong with log and table; else it takes what they have"
        " into the table.",
    )
