"""Where a curve has no points: a line across it would say what nobody measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sift_server.plotting.reduction import Numbers, Times

__all__ = ["bridges", "interrupted"]

USUAL_STEPS = 10
"""A gap is longer than so many steps between most points."""


def interrupted(times_ns: Times, values: Numbers) -> tuple[Times, Numbers]:
    """The curve with a NaN in each gap, so that no line is drawn across it."""
    before = _gaps(times_ns) + 1
    return np.insert(times_ns, before, times_ns[before]), np.insert(values, before, np.nan)


def bridges(times_ns: Times, values: Numbers) -> tuple[Times, Numbers]:
    """The lines across the gaps alone, with a NaN behind each of them."""
    first = _gaps(times_ns)
    last = first + 1
    times = np.column_stack([times_ns[first], times_ns[last], times_ns[last]]).ravel()
    nothing = np.full(len(first), np.nan)
    return times, np.column_stack([values[first], values[last], nothing]).ravel()


def _gaps(times_ns: Times) -> Times:
    """The places of the last points before gaps."""
    steps = np.diff(times_ns)
    # Of a bin there are two points at one time.
    usual = np.median(steps[steps > 0]) if (steps > 0).any() else 0
    return np.flatnonzero(steps > USUAL_STEPS * usual)
