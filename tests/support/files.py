"""Files to read: what a plan makes of them, value by value."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sift_files import FilePlan, OnError, detect, read

if TYPE_CHECKING:
    from pathlib import Path


def started(plan: FilePlan, start_ns: int = 0) -> FilePlan:
    """The plan with a start for times that are relative."""
    return plan.with_tables(
        tuple(
            table
            if table.time is None
            else dataclasses.replace(table, time=dataclasses.replace(table.time, start_ns=start_ns))
            for table in plan.tables
        )
    )


def points_of(
    path: Path, plan: FilePlan | None = None, start: int = 0, on_error: OnError = OnError.STOP
) -> dict[str, list[tuple[int, object]]]:
    """Times and values of each channel; kept texts as `NAME.text`."""
    points: dict[str, list[tuple[int, object]]] = {}
    for batch in read(path, plan or started(detect(path)), start=start, on_error=on_error):
        for channel, values in batch.columns.items():
            array = pa.array(values) if isinstance(values, np.ndarray) else values
            assert len(array) == len(batch.times_ns)
            points.setdefault(channel, []).extend(
                (time, value)
                for time, value in zip(batch.times_ns.tolist(), array.to_pylist(), strict=True)
                if value is not None
            )
        for kept in batch.kept:
            points.setdefault(f"{kept.channel}.text", []).append((kept.time_ns, kept.text))
    return points


def types_of(plan: FilePlan) -> dict[str, str]:
    """Data types by channel."""
    return {one.channel: one.data_type.value for table in plan.tables for one in table.columns}
