"""Helps to test programs that send telemetry.

- `ManualClock`: waits that take no time, and timestamps that are the same in each run.
"""

from sift_py.testing._clock import ManualClock

__all__ = ["ManualClock"]
