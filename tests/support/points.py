"""Blocks of points for tests of the lake and of queries, and what they should read as."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sift_wire import kernels
from sift_wire.block import RowBlock
from sift_wire.columns import DataType, FlowLayout

if TYPE_CHECKING:
    from sift_server.lake import PointBlock

SIGNED = (DataType.INT_32, DataType.INT_64)


def make_layout(flow_name: str, data_types: dict[str, DataType]) -> FlowLayout:
    return FlowLayout(flow_name, tuple(data_types), tuple(data_types.values()))


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow as the lake knows it."""

    asset_name: str
    channel_ids: tuple[str, ...]
    layout: FlowLayout
    asset_id: str = "asset"


def make_block(
    layout: FlowLayout,
    channel_ids: tuple[str, ...],
    rows: list[tuple[int, list[Any]]],
    run_id: str = "",
) -> PointBlock:
    """A block of one group: `(nanoseconds, values)`; None stands for no value."""
    heap = bytearray()
    words = np.zeros((len(channel_ids), len(rows)), np.uint64)
    present = np.zeros((len(channel_ids), len(rows)), np.bool_)
    for row, (_, values) in enumerate(rows):
        for channel, (value, data_type) in enumerate(zip(values, layout.data_types, strict=True)):
            if value is not None:
                words[channel, row] = to_word(value, data_type, heap)
                present[channel, row] = True
    times = np.array([time for time, _ in rows], np.int64)
    groups = np.zeros((1, kernels.GROUP_COLUMNS), np.int64)
    groups[0, kernels.CHANNELS] = len(channel_ids)
    groups[0, [kernels.ROWS, kernels.ROWS_MAX]] = len(rows)
    return RowBlock(
        [Flow("rig", channel_ids, layout)],
        (run_id,),
        groups,
        times,
        words.reshape(-1),
        present.reshape(-1),
        bytes(heap),
    )


def to_word(value: Any, data_type: DataType, heap: bytearray) -> int:
    if data_type.is_variable_width:
        data = value.encode() if isinstance(value, str) else value
        heap += data
        return (len(heap) - len(data)) << 32 | len(data)
    if data_type is DataType.DOUBLE:
        return struct.unpack("<Q", struct.pack("<d", value))[0]
    if data_type is DataType.FLOAT:
        return struct.unpack("<I", struct.pack("<f", value))[0]
    return int(value) % 2**64


def plain(values: Any, data_type: DataType) -> list[Any]:
    """Values that were read, comparable with `comparable`."""
    listed = values.to_pylist()
    if data_type in SIGNED:
        return [each - 2**64 if each >= 2**63 else each for each in listed]
    return listed


def comparable(value: Any, data_type: DataType) -> Any:
    """A value as `plain` gives it: floating point by its bits."""
    if data_type in (DataType.DOUBLE, DataType.FLOAT, DataType.BOOL):
        return to_word(value, data_type, bytearray())
    return value
