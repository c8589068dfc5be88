"""What times count from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift_files.errors import PlanError

if TYPE_CHECKING:
    from sift_files.plan import TimePlan

__all__ = ["start_of"]


def start_of(time: TimePlan) -> int:
    """What times count from.

    Raises:
        PlanError: They are relative, and nothing says from what.
    """
    if not time.format.is_relative:
        return 0
    if time.start_ns is None:
        raise PlanError(
            f"the times are {time.format.value.replace('_', ' ')}: say from when they count"
            " (--start-time)"
        )
    return time.start_ns
