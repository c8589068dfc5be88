"""How much memory conditions take for what they remember."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sift_server.errors import ResourceExhaustedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sift_server.rules.condition import Condition

CONDITION_BYTES_MAX = 128 * 1024 * 1024
"""Bytes that a condition may remember of a run: the points of its windows, mostly."""

CONDITIONS_BYTES_MAX = 256 * 1024 * 1024
"""Bytes that all conditions together may remember, while data comes."""


def memory_bytes(memories: Iterable[Any]) -> int:
    """Bytes of what an expression remembers at places in time; what they share is counted once.

    Args:
        memories: See `Expression.advance`.
    """
    seen: set[int] = set()
    return sum(_bytes(memory, seen) for memory in memories)


def check_memory(condition: Condition, memory: Any) -> None:  # noqa: ANN401 (see `Expression`)
    """Check how much a condition remembers.

    Raises:
        ResourceExhaustedError: It is too much.
    """
    if not condition.remembers:
        return
    nbytes = memory_bytes([memory])
    if nbytes > CONDITION_BYTES_MAX:
        raise too_much(condition, nbytes)


def too_much(condition: Condition, nbytes: int) -> ResourceExhaustedError:
    """The error of a condition that remembers too much."""
    return ResourceExhaustedError(
        f"the condition {condition.expression.text!r} remembers {nbytes >> 20:,} MiB: it may"
        f" remember {CONDITION_BYTES_MAX >> 20} MiB (CONDITION_BYTES_MAX), and all together"
        f" {CONDITIONS_BYTES_MAX >> 20} MiB (CONDITIONS_BYTES_MAX); use shorter windows, or a"
        " channel with fewer points"
    )


def _bytes(value: Any, seen: set[int]) -> int:  # noqa: ANN401
    if isinstance(value, np.ndarray):
        while isinstance(value.base, np.ndarray):
            value = value.base
    if value is None or isinstance(value, int | float | str) or id(value) in seen:
        return 0
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, pa.Array | pa.ChunkedArray):
        return int(value.get_total_buffer_size())
    if isinstance(value, tuple):
        return sum(_bytes(each, seen) for each in value)
    if dataclasses.is_dataclass(value):
        return sum(_bytes(getattr(value, each.name), seen) for each in dataclasses.fields(value))
    return sum(_bytes(each, seen) for each in getattr(value, "__dict__", {}).values())
