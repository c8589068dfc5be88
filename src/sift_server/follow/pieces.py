"""Rows of a flow become Arrow: encoded once for all who follow the same of it.

A piece has a row for each row of the flow and a column for each of its channels that are followed,
null where a row has no value. A stream of Arrow is cut into its messages here, so that followers
who got other things before share the bytes: a schema, record batches, and an end.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sift_server.lake.points import kind_of, words_to_arrow
from sift_server.query.arrow import TIME, value_arrays, value_fields
from sift_wire.columns import DataType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sift_server.lake import PointFlow
    from sift_server.query import ChannelInfo, RunInfo
    from sift_wire.columns import FlowRows

END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format"""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The channels of a flow that somebody follows.

    Attributes:
        flow: The flow.
        places: Their indices in it.
        channels: What is known of each.
        streams: What is known of their pieces, by run id.
    """

    flow: PointFlow
    places: Sequence[int]
    channels: Sequence[ChannelInfo]
    streams: dict[str, Stream] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """What pieces of one flow and run have in common.

    Attributes:
        plan: The channels.
        run_id: The run, or an empty string.
        schema: Of the record batches: `time`, and the columns of each channel.
        head: Its message.
    """

    plan: Plan
    run_id: str
    schema: Any
    head: bytes


class Piece(NamedTuple):
    """Rows that came.

    Attributes:
        stream: What they are of.
        body: Their message.
        first_ns: Their earliest time.
        last_ns: Their latest one.
    """

    stream: Stream
    body: bytes
    first_ns: int
    last_ns: int


def stream_of(plan: Plan, run: RunInfo | None) -> Stream:
    """Describe pieces of a flow and run.

    The metadata `sift` of the schema is a JSON object that says what the rows are of; that of each
    column says of which channel it is.
    """
    fields = [pa.field("time", TIME, nullable=False)]
    for channel in plan.channels:
        about = {
            "channel_id": channel.channel_id,
            "channel": channel.name,
            "data_type": channel.data_type.name,
            "unit": channel.unit,
            "enum_types": [[name, key] for name, key in channel.enum_types],
        }
        is_bits = channel.data_type is DataType.BIT_FIELD
        for name, kind in value_fields(channel):
            column = f"{channel.name}.{name}" if is_bits else channel.name
            fields.append(pa.field(column, kind, metadata={b"sift": _json(about)}))
    document = {
        "live": True,
        "asset": plan.flow.asset_name,
        "run_id": run.run_id if run is not None else "",
        "run": run.name if run is not None else "",
    }
    schema = pa.schema(fields, metadata={b"sift": _json(document)})
    run_id = run.run_id if run is not None else ""
    return Stream(plan, run_id, schema, schema.serialize().to_pybytes())


def piece_of(stream: Stream, parts: Sequence[FlowRows]) -> Piece:
    """Encode rows, in the order in which they came."""
    times = _joined([rows.timestamps_ns for rows in parts])
    columns = [pa.Array.from_buffers(TIME, len(times), [None, pa.py_buffer(times)])]
    for place, channel in zip(stream.plan.places, stream.plan.channels, strict=True):
        columns += _columns(channel, place, parts)
    batch = pa.RecordBatch.from_arrays(columns, schema=stream.schema)
    return Piece(stream, batch.serialize().to_pybytes(), int(times.min()), int(times.max()))


def _columns(channel: ChannelInfo, place: int, parts: Sequence[FlowRows]) -> list[Any]:
    kind = kind_of(channel.data_type)
    values = [
        words_to_arrow(kind, np.ascontiguousarray(rows.words[place]), rows.heap) for rows in parts
    ]
    found = value_arrays(channel, values[0] if len(values) == 1 else pa.concat_arrays(values))
    present = _joined([rows.present[place] for rows in parts])
    if present.all():
        return found
    mask = pa.array(present)
    return [pc.if_else(mask, each, pa.scalar(None, each.type)) for each in found]


def _joined(arrays: Sequence[Any]) -> Any:  # noqa: ANN401 (NumPy arrays of any type)
    return np.ascontiguousarray(arrays[0]) if len(arrays) == 1 else np.concatenate(arrays)


def _json(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
