"""Copies the log as it is at one moment, while a server goes on with it."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, BinaryIO

from sift_server.backup.copying import copy_file
from sift_server.backup.manifest import BackupError
from sift_server.doctor.findings import Level
from sift_server.doctor.log_check import log_findings
from sift_server.doctor.log_state import read_log
from sift_server.log import FileLog
from sift_server.log.files import CLOSED_NAME
from sift_server.log.segment import HEADER_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_TRIES_MAX = 100


@dataclass(frozen=True, slots=True)
class OpenSegment:
    """A segment that can be read although the server may remove it.

    Attributes:
        name: Its name, which says at which position it begins.
        file: The file.
        size_bytes: Its size when it was opened.
    """

    name: str
    file: BinaryIO
    size_bytes: int

    @property
    def base(self) -> int:
        """Position at which it begins."""
        return int(self.name.partition(".")[0])


def open_segments(folder: Path, opened: ExitStack) -> list[OpenSegment]:
    """Open all segments: what was durable when this was called is in them.

    Args:
        folder: Folder of the log.
        opened: Closes them.

    Raises:
        BackupError: A segment is missing.
        OSError: One can't be read.
    """
    for _ in range(_TRIES_MAX):
        with ExitStack() as trying:
            try:
                files = [
                    (path.name, trying.enter_context(path.open("rb")))
                    for path in sorted(folder.glob("*.log"))
                    if path.stem.isdecimal()
                ]
            except FileNotFoundError:
                # The table had all of it meanwhile.
                continue
            segments = [
                OpenSegment(name, file, os.fstat(file.fileno()).st_size) for name, file in files
            ]
            # While they were listed, segments may have begun of which one was seen, and not those
            # before it.
            if all(
                before.base + before.size_bytes - HEADER_BYTES == after.base
                for before, after in pairwise(segments)
            ):
                opened.push(trying.pop_all())
                return segments
    raise BackupError(f"a segment in {folder} is missing or cut off. See 'sift doctor'.")


def copy_log(
    segments: list[OpenSegment],
    target: Path,
    covered: int,
    advance: Callable[[int], None],
) -> int:
    """Copy what the table does not have, up to the last record that is whole.

    Args:
        segments: The segments.
        target: The backup.
        covered: Position up to which the copy of the table has everything.
        advance: Told how many bytes were copied.

    Returns:
        Position up to which log and table have everything.

    Raises:
        BackupError: The log is damaged.
        OSError: A file can't be written.
    """
    folder = target / "log"
    folder.mkdir()
    ends = [after.base for after in segments[1:]]
    for number, segment in enumerate(segments):
        if number < len(ends) and ends[number] <= covered:
            continue
        copy_file(segment.file, folder, segment.name, segment.size_bytes, advance)
    state = read_log(folder, covered, lambda _: None)
    if state.segments and state.end > covered:
        for finding in log_findings(state, covered, queued=0):
            if finding.level is Level.PROBLEM:
                raise BackupError(f"{finding.where}: {finding.what} See 'sift doctor'.")
        last = state.segments[-1]
        whole_bytes = last.size_bytes - last.torn_bytes
        if whole_bytes < HEADER_BYTES:
            last.path.unlink()
        elif last.torn_bytes:
            # Nobody was told of what was being written.
            os.truncate(last.path, whole_bytes)
        (folder / CLOSED_NAME).write_text(f"{state.end}\n", encoding="ascii")
        return state.end
    for unneeded in state.segments:
        unneeded.path.unlink()
    FileLog.open(folder, covered_position=covered).close()
    return covered
