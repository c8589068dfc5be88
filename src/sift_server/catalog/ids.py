"""Ids of resources: UUIDs of version 7, which sort in the order in which they were made.

So the channels of a flow, which are made together, lie together in the table's files, and in the
indexes of the database. Format: RFC 9562, section 5.7, with a finer clock in `rand_a` as section
6.2, method 3, has it.
"""

from __future__ import annotations

import os
import threading
import time
import uuid

_NS_PER_MS = 1_000_000
_FINE_BITS = 12
_RANDOM_BITS = 62
_VERSION, _VARIANT = 7 << 76, 2 << 62


class IdSource:
    """Makes ids, each larger than the one before. Safe from many threads."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def __call__(self) -> str:
        """A new id, such as `019a9f6c-31e4-7c3a-9d0f-5b1c27e8a644`."""
        milliseconds, rest_ns = divmod(time.time_ns(), _NS_PER_MS)
        now = milliseconds << _FINE_BITS | (rest_ns << _FINE_BITS) // _NS_PER_MS
        with self._lock:
            # A clock that stands still, or goes back, must not be seen.
            now = self._last = max(now, self._last + 1)
        milliseconds, fine = divmod(now, 1 << _FINE_BITS)
        random = int.from_bytes(os.urandom(8), "big") >> (64 - _RANDOM_BITS)
        return str(uuid.UUID(int=milliseconds << 80 | _VERSION | fine << 64 | _VARIANT | random))
