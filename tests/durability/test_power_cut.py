"""The log on a disk whose power is cut: what was not synced is there, or not, sector by sector."""

from __future__ import annotations

import errno
import itertools
import os
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sift_server.log import FileLog, LogFailedError, LogLimits
from sift_server.log.files import Disk

if TYPE_CHECKING:
    from collections.abc import Sequence

SECTOR_BYTES = 64
"""Smaller than real ones, so that small records have many."""
LIVES = 12
GROUPS_MAX = 8
GROUP_RECORDS_MAX = 6
FAILED_SYNC = 0.06


class CuttableDisk(Disk):
    """Knows what is on disk and what only in the system's memory, over the lives of many logs.

    A sync that fails loses what it should have written: the system has it in memory, believes that
    it is on disk, and the next sync does nothing about it.
    """

    def __init__(self, choose: random.Random) -> None:
        self._choose = choose
        self.fails = False
        self._on_disk: dict[str, bytes] = {}
        self._entries: set[str] = set()
        self._dirty: dict[str, list[tuple[int, int]]] = {}

    def write(self, descriptor: int, buffers: Sequence[bytes | memoryview], offset: int) -> None:
        super().write(descriptor, buffers, offset)
        self._dirty.setdefault(_path(descriptor), []).append((offset, sum(map(len, buffers))))

    def sync(self, descriptor: int) -> None:
        path = _path(descriptor)
        dirty = self._dirty.pop(path, [])
        if self.fails:
            raise OSError(errno.EIO, "the disk is broken")
        now = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
        synced = bytearray(self._on_disk.get(path, b"")[: len(now)].ljust(len(now), b"\0"))
        for offset, count in dirty:
            synced[offset : offset + count] = now[offset : offset + count]
        self._on_disk[path] = bytes(synced[: len(now)])

    def sync_folder(self, folder: Path) -> None:
        self._entries = {str(path) for path in folder.glob("*.log")}

    def cut_power(self, folder: Path) -> None:
        """Leave in a folder what may be there when power comes back."""
        for path in folder.glob("*.log"):
            name = str(path)
            if name not in self._entries and self._choose.random() < 0.5:
                path.unlink()
                self._on_disk.pop(name, None)
                continue
            old = self._on_disk.get(name, b"")
            new = path.read_bytes()
            size = self._choose.randint(min(len(old), len(new)), max(len(old), len(new)))
            left = bytearray(old[:size].ljust(size, b"\0"))
            dirty = self._dirty.get(name, [])
            for start in range(0, size, SECTOR_BYTES):
                end = min(start + SECTOR_BYTES, size, len(new))
                is_dirty = any(start < at + count and at < end for at, count in dirty)
                if is_dirty and start < end and self._choose.random() < 0.5:
                    left[start:end] = new[start:end]
            path.write_bytes(left)
            self._on_disk[name] = bytes(left)
        self._dirty.clear()
        self.sync_folder(folder)


def _path(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


@pytest.mark.slow
@pytest.mark.proves("ok-durable", "ok-survives", "fsync-failed", "sync-group", "sync-segment")
@pytest.mark.parametrize("seed", range(25))
def test_what_was_acknowledged_is_there_after_any_power_cut(tmp_path: Path, seed: int):
    """Kills, power cuts and failed syncs in any order, on one log."""
    choose = random.Random(seed)
    disk = CuttableDisk(choose)
    numbers = itertools.count(1)
    limits = LogLimits(segment_bytes_max=choose.choice((200, 2_000)))
    acknowledged: list[bytes] = []
    sent: set[bytes] = set()
    for _ in range(LIVES):
        disk.fails = False
        log = FileLog.open(tmp_path, limits, disk)
        there = [record.payload for record in log.replay(0)]
        # Nothing acknowledged is missing, nothing is there that was not sent, each once, in order.
        assert [one for one in there if one in set(acknowledged)] == acknowledged
        assert set(there) <= sent
        assert len(there) == len(set(there))
        # What is read back now was told to whoever reads: it has to stay as well.
        acknowledged = there
        for _ in range(choose.randint(0, GROUPS_MAX)):
            disk.fails = choose.random() < FAILED_SYNC
            group = [
                b"%d " % next(numbers) * choose.randint(1, 60)
                for _ in range(choose.randint(1, GROUP_RECORDS_MAX))
            ]
            sent.update(group)
            acknowledged += _appended(log, group)
        log._failure = "the process is killed"
        log.close()
        if choose.random() < 0.6:
            disk.cut_power(tmp_path)


def _appended(log: FileLog, group: list[bytes]) -> list[bytes]:
    futures = []
    for payload in group:
        try:
            futures.append((payload, log.append(payload, lambda _: None)))
        except LogFailedError:
            break
    return [payload for payload, future in futures if future.exception(10) is None]
