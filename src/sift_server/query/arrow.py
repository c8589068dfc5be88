"""Points become Arrow record batches, typed as their channel is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sift_server.bit_fields import element_values
from sift_wire.columns import DataType

if TYPE_CHECKING:
    from sift_server.lake.overview import Overview
    from sift_server.query.reader import RunPoints
    from sift_server.query.values import AssetInfo, ChannelInfo, RunInfo

TIME = pa.timestamp("ns", tz="UTC")
"""Type of the column `time`. int64 underneath: every nanosecond of `lake.Points` fits."""

_VALUE_TYPES = {
    DataType.DOUBLE: pa.float64(),
    DataType.FLOAT: pa.float32(),
    DataType.INT_32: pa.int32(),
    DataType.INT_64: pa.int64(),
    DataType.UINT_32: pa.uint32(),
    DataType.UINT_64: pa.uint64(),
    DataType.ENUM: pa.uint32(),
    DataType.BOOL: pa.bool_(),
    DataType.STRING: pa.string(),
    DataType.BYTES: pa.binary(),
}

_WORD_VIEWS = {
    DataType.DOUBLE: np.float64,
    DataType.INT_64: np.int64,
    DataType.UINT_64: np.uint64,
}


def point_schema(
    channel: ChannelInfo, asset: AssetInfo, run: RunInfo | None, number: int, sampled_ms: int
) -> Any:  # noqa: ANN401 (pyarrow has no types)
    """The schema of a channel's points: `time`, and `value` or a column for each bit-field element.

    Its metadata has one entry, `sift`: a JSON object that says what the points are of.

    Args:
        channel: The channel.
        asset: Its asset.
        run: The run, or None for points without one.
        number: Of the query, counted from 0.
        sampled_ms: Milliseconds of time that one point stands for, or 0.
    """
    document = {
        "query": number,
        "channel_id": channel.channel_id,
        "channel": channel.name,
        "data_type": channel.data_type.name,
        "unit": channel.unit,
        "enum_types": [[name, key] for name, key in channel.enum_types],
        "asset_id": asset.asset_id,
        "asset": asset.name,
        "run_id": run.run_id if run is not None else "",
        "run": run.name if run is not None else "",
        "sampled_ms": sampled_ms,
    }
    columns = [("time", TIME), *value_fields(channel)]
    fields = [pa.field(name, kind, nullable=False) for name, kind in columns]
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return pa.schema(fields, metadata={b"sift": text.encode()})


def overview_batch(channel: ChannelInfo, asset: AssetInfo, overview: Overview) -> Any:  # noqa: ANN401
    """What a channel is like in buckets of time, as a record batch: a row a bucket.

    Columns are `start`, and `last_time`, `last`, `minimum` and `maximum` of the points of a bucket.
    The metadata `sift` of the schema says what of, and how wide buckets are (`bucket_ns`).
    """
    kind = _VALUE_TYPES[channel.data_type]
    document = {
        "channel_id": channel.channel_id,
        "channel": channel.name,
        "data_type": channel.data_type.name,
        "unit": channel.unit,
        "enum_types": [[name, key] for name, key in channel.enum_types],
        "asset": asset.name,
        "bucket_ns": overview.bucket_ns,
    }
    columns = {
        "start": _fixed(TIME, overview.starts_ns),
        "last_time": _fixed(TIME, overview.last_ns),
        "last": pa.array(overview.last).cast(kind),
        "minimum": pa.array(overview.minimum).cast(kind),
        "maximum": pa.array(overview.maximum).cast(kind),
    }
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return pa.record_batch(columns, metadata={b"sift": text.encode()})


def point_batch(schema: Any, channel: ChannelInfo, points: RunPoints) -> Any:  # noqa: ANN401
    """Points as a record batch of a schema that `point_schema` made; numbers are not copied."""
    times = _fixed(TIME, points.timestamps_ns)
    return pa.record_batch([times, *value_arrays(channel, points.values)], schema=schema)


def value_fields(channel: ChannelInfo) -> list[tuple[str, Any]]:
    """Names and types of the columns of a channel: `value`, or the elements of a bit field."""
    if channel.data_type is DataType.BIT_FIELD:
        return [(name, pa.uint32()) for name, _, _ in channel.bit_field_elements]
    return [("value", _VALUE_TYPES[channel.data_type])]


def value_arrays(channel: ChannelInfo, values: Any) -> list[Any]:  # noqa: ANN401
    """Values, as `lake.Points` has them, as the columns of a channel; numbers are not copied."""
    if channel.data_type is DataType.BIT_FIELD:
        return [
            pa.array(element_values(values, index, count).astype(np.uint32))
            for _, index, count in channel.bit_field_elements
        ]
    return [_values(channel.data_type, values)]


def _values(data_type: DataType, values: Any) -> Any:  # noqa: ANN401
    kind = _VALUE_TYPES[data_type]
    if data_type.is_variable_width:
        return values.cast(kind)
    words = values.to_numpy()
    if data_type in _WORD_VIEWS:
        return _fixed(kind, words)
    match data_type:
        case DataType.FLOAT:
            return _fixed(kind, words.astype(np.uint32))
        case DataType.BOOL:
            return pa.array(words != 0)
        case DataType.INT_32:
            return pa.array(words.view(np.int64).astype(np.int32))
        case _:
            return pa.array(words.astype(np.uint32))


def _fixed(kind: Any, values: Any) -> Any:  # noqa: ANN401
    """Values of as many bits as an Arrow type has, as an array of it."""
    contiguous = np.ascontiguousarray(values)
    return pa.Array.from_buffers(kind, len(contiguous), [None, pa.py_buffer(contiguous)])
