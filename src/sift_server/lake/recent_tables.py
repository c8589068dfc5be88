"""Row groups that were decoded a moment ago, for whoever asks for the next channel in them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

RECENT_BYTES_MAX = 32 * 1024 * 1024
"""Bytes of decoded row groups that are remembered: about a dozen, all readers together."""

Key: TypeAlias = "tuple[Path, int, frozenset[str]]"
"""A file, the number of a row group in it, and the columns that were read."""


class RecentTables:
    """The last row groups that were read. Safe from many threads.

    A flow of a thousand channels has a dozen of them in a row group, and is read channel by
    channel: each row group would be decoded a dozen times.
    """

    def __init__(self, bytes_max: int = RECENT_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._tables: OrderedDict[Key, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> Any | None:  # noqa: ANN401 (pyarrow has no types)
        """What was read, if it is still here."""
        with self._lock:
            table = self._tables.get(key)
            if table is not None:
                self._tables.move_to_end(key)
            return table

    def keep(self, key: Key, table: Any) -> None:  # noqa: ANN401
        """Remember what was read, in the place of what was not asked for longest."""
        with self._lock:
            if key in self._tables:
                return
            self._tables[key] = table
            self._bytes += table.nbytes
            while self._bytes > self._bytes_max:
                _, dropped = self._tables.popitem(last=False)
                self._bytes -= dropped.nbytes

    def forget(self, paths: Iterable[Path]) -> None:
        """Drop what is of files that are gone."""
        gone = set(paths)
        with self._lock:
            for key in [key for key in self._tables if key[0] in gone]:
                self._bytes -= self._tables.pop(key).nbytes
