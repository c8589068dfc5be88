"""A catalog on a real SQLite file, with a clock and ids that tests can foretell."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING

from sift_server.catalog import Catalog, ChannelConfig, FlowConfig
from sift_server.catalog.database import Database
from sift_wire.columns import DataType

if TYPE_CHECKING:
    from pathlib import Path

    from sift_server.catalog import ErrorQueueLimits

JANUARY_NS = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z."""


class StepClock:
    """Goes on by a microsecond and a nanosecond each time it is read; can be set."""

    def __init__(self) -> None:
        self.now_ns = JANUARY_NS
        self._lock = threading.Lock()

    def __call__(self) -> int:
        with self._lock:
            self.now_ns += 1_001
            return self.now_ns


def open_catalog(
    folder: Path, clock: StepClock | None = None, error_limits: ErrorQueueLimits | None = None
) -> Catalog:
    """Open the catalog of a folder; its ids go on where the last one ended."""
    numbers = itertools.count()
    prefix = f"{len(list(folder.iterdir()))}"
    return Catalog(
        Database.open(folder / "catalog.sqlite"),
        clock or StepClock(),
        lambda: f"id-{prefix}-{next(numbers)}",
        error_limits,
    )


def flow_of(name: str, *channels: str, data_type: DataType = DataType.DOUBLE) -> FlowConfig:
    """A flow whose channels have one type."""
    return FlowConfig(name, tuple(ChannelConfig(channel, data_type) for channel in channels))
