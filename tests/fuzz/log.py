"""The target that reads the ingest log: it has what checks, and all of it, or is refused."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from fuzz.log_damage import folder_of
from fuzz.log_format import Contents, DamageError, contents, segment_name
from sift_server.doctor.log_state import read_log, whole_records
from sift_server.log import FileLog, LogCorruptionError, LogLimits
from sift_server.log.files import Disk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fuzz.log_format import Files

_APPENDED = b"appended by the next process"


class _FastDisk(Disk):
    """Syncs nothing: no power is cut here."""

    def sync(self, descriptor: int) -> None:
        """Leave it to the system."""

    def sync_folder(self, folder: Path) -> None:
        """Leave it to the system."""


def target(folder: Path) -> Callable[[bytes], None]:
    """What feeds a log in a folder, which is emptied each time."""

    def feed(data: bytes) -> None:
        files, covered = folder_of(data)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        check(folder, files, covered)

    return feed


def check(folder: Path, files: Files, covered: int) -> None:
    """Open a log; it opens if it must, has what it must, and goes on, or nothing in it changes."""
    try:
        expected = contents(files, covered)
    except DamageError:
        expected = None
    _check_state(folder, expected, covered)
    log = _opened(folder, covered)
    assert (log is None) == (expected is None)
    if log is None or expected is None:
        # All that is added is a copy of what is damaged.
        left = {path.name: path.read_bytes() for path in folder.iterdir()}
        assert {name: left.get(name) for name in files} == files
        assert all(".damaged-" in name for name in left.keys() - files.keys())
        return
    _assert_has(log, expected, covered)
    position = log.append(_APPENDED, lambda _: None).result(10)
    grown = Contents(expected.begin, position, (*expected.records, (position, _APPENDED)))
    _assert_has(log, grown, covered)
    log.close()
    log = _opened(folder, covered)
    assert log is not None
    _assert_has(log, grown, covered)
    log.close()


def _check_state(folder: Path, expected: Contents | None, covered: int) -> None:
    """Whoever only examines the folder finds the same records, and no damage where none is."""
    state = read_log(folder, covered, lambda _: None)
    found = [(record.position, record.payload) for record in whole_records(state)]
    if expected is not None:
        assert set(expected.records) <= set(found)
        # A segment that the table covers may be anything, and say that it belongs elsewhere.
        if all(segment_name(each.base) == each.path.name for each in state.segments):
            assert not any(each.damaged for each in state.needed)


def _opened(folder: Path, covered: int) -> FileLog | None:
    try:
        return FileLog.open(folder, LogLimits(free_bytes_min=0), _FastDisk(), covered)
    except LogCorruptionError:
        return None


def _assert_has(log: FileLog, expected: Contents, covered: int) -> None:
    assert log.durable_position == expected.end
    try:
        found = [(record.position, record.payload) for record in log.replay(covered)]
    except LogCorruptionError:
        found = None
    if expected.begin <= covered <= expected.end:
        assert found == [each for each in expected.records if each[0] > covered]
    else:
        assert found is None
