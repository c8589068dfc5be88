"""Gives memory back to the system as soon as it is free.

A server moves arrays of some megabytes through many threads. glibc keeps what was freed of such
sizes, in an arena for each thread, and pyarrow's own allocator keeps more: after hours at full rate
a process holds twice what it uses.
"""

from __future__ import annotations

import ctypes

import pyarrow as pa

MMAP_THRESHOLD_BYTES = 1024 * 1024
"""Larger blocks are mapped on their own, and unmapped when they are freed."""

ARENAS_MAX = 2

# From glibc's malloc.h; see mallopt(3).
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8


def give_back_memory() -> None:
    """Set up this process so that freed memory goes back. Call it first thing in a process.

    For processes of our own only: it changes the allocator for everything in the process. Without
    glibc it does nothing but choose the system's allocator for pyarrow.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)
        mallopt(_M_ARENA_MAX, ARENAS_MAX)
    pa.set_memory_pool(pa.system_memory_pool())
