"""What rows messages are, by the protobuf library alone and by the decoder; layouts for both."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataStreamRequest as Request
from sift_wire import kernels
from sift_wire.columns import DataType, FlowLayout, FlowRows
from sift_wire.flow_index import FlowIndex, UnknownFlowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sift_wire.block import RowBlock

MEMBERS = {
    DataType.DOUBLE: "double",
    DataType.STRING: "string",
    DataType.ENUM: "enum",
    DataType.BIT_FIELD: "bit_field",
    DataType.BOOL: "bool",
    DataType.FLOAT: "float",
    DataType.INT_32: "int32",
    DataType.UINT_32: "uint32",
    DataType.INT_64: "int64",
    DataType.UINT_64: "uint64",
    DataType.BYTES: "bytes",
}
ALL_TYPES = tuple(MEMBERS)
LAYOUTS = {
    ("config", "all"): FlowLayout("all", tuple(MEMBERS.values()), ALL_TYPES),
    ("config", "one"): FlowLayout("one", ("x",), (DataType.DOUBLE,)),
    ("config", "small"): FlowLayout("small", ("x",), (DataType.FLOAT,)),
    ("config", "none"): FlowLayout("none", (), ()),
    ("öther", "one"): FlowLayout("one", ("logs",), (DataType.STRING,)),
}
NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class KnownFlow:
    """A flow as a decoder knows it."""

    ingestion_config_id: str
    layout: FlowLayout


def index_of(layout_of: Callable[[str, str], FlowLayout]) -> FlowIndex[KnownFlow]:
    """An index that knows nothing yet."""
    return FlowIndex(lambda config, flow: KnownFlow(config, layout_of(config, flow)))


def layout_of(config: str, flow: str) -> FlowLayout:
    try:
        return LAYOUTS[config, flow]
    except KeyError:
        raise UnknownFlowError(f"no flow {flow!r} in {config!r}") from None


def value_of(rows: FlowRows, channel: int, row: int) -> Any:
    """A value as Python shows it; floating point as its bits, so that NaN equals itself."""
    if not rows.present[channel, row]:
        return None
    word = int(rows.words[channel, row])
    data_type = rows.layout.data_types[channel]
    if data_type.is_variable_width:
        text = rows.heap[word >> 32 : (word >> 32) + (word & 0xFFFFFFFF)]
        return text.decode() if data_type is DataType.STRING else text
    if data_type in (DataType.INT_32, DataType.INT_64):
        return word - 2**64 if word >= 2**63 else word
    if data_type is DataType.BOOL:
        return bool(word)
    return word


def expected_value(value: Any, data_type: DataType) -> Any:
    member = value.WhichOneof("type")
    if member in (None, "empty"):
        return None
    got = getattr(value, member)
    if data_type is DataType.DOUBLE:
        return struct.unpack("<Q", struct.pack("<d", got))[0]
    if data_type is DataType.FLOAT:
        # The bits as they were sent: Python's double would lose a signalling NaN.
        return struct.unpack("<I", value.SerializeToString()[1:5])[0]
    return got


Row = tuple[str, str, str, int, tuple[Any, ...]]


def rows_of(blocks: Iterable[RowBlock[KnownFlow]]) -> list[Row]:
    found = []
    for block in blocks:
        for group in range(len(block)):
            config, rows = block.flow(group).ingestion_config_id, block.rows(group)
            found += [
                (
                    config,
                    rows.layout.flow_name,
                    rows.run_id,
                    int(rows.timestamps_ns[row]),
                    tuple(value_of(rows, channel, row) for channel in range(len(rows.words))),
                )
                for row in range(len(rows.timestamps_ns))
            ]
    return found


def expected_row(data: bytes) -> Row | None:
    """The row of a message, or None if it does not fit; by the protobuf library alone."""
    try:
        request = Request.FromString(data)
    except DecodeError:
        return None
    layout = LAYOUTS.get((request.ingestion_config_id, request.flow))
    timestamp = request.timestamp
    if (
        layout is None
        or len(request.run_id.encode()) > kernels.RUN_ID_BYTES_MAX
        or not request.HasField("timestamp")
        or not 0 <= timestamp.nanos < NS_PER_S
        or not kernels.SECONDS_MIN <= timestamp.seconds <= kernels.SECONDS_MAX
        or len(request.channel_values) != len(layout.data_types)
        or any(
            value.WhichOneof("type") not in (None, "empty", MEMBERS[data_type])
            for value, data_type in zip(request.channel_values, layout.data_types, strict=True)
        )
    ):
        return None
    return (
        request.ingestion_config_id,
        request.flow,
        request.run_id,
        timestamp.seconds * NS_PER_S + timestamp.nanos,
        tuple(
            expected_value(value, data_type)
            for value, data_type in zip(request.channel_values, layout.data_types, strict=True)
        ),
    )
