"""Ingest messages become columns.

The compiled kernels take what every ordinary client sends. A message that they do not understand,
or that does not fit its flow, goes to the protobuf library. If that can read it, it is written anew
in the library's own canonical form, which the kernels do understand: fields in order, each once,
nothing unknown. What then still does not fit is rejected, in words. So there is one place that
fills columns, and one that says what is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from google.protobuf.message import DecodeError

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataStreamRequest
from sift_wire import kernels
from sift_wire.columns import EMPTY_VALUE_FIELD, DataType, FlowLayout, FlowRows
from sift_wire.frames import Frames

if TYPE_CHECKING:
    from collections.abc import Callable

    LayoutOf = Callable[[str, str], FlowLayout]

_NANOS_MAX = 999_999_999
_SHOWN_VALUE_CHARACTERS_MAX = 60


class UnknownFlowError(LookupError):
    """There is no such ingestion config, or it has no such flow; the text says which."""


@dataclass(frozen=True, slots=True, eq=False)
class DecodedBatch:
    """Rows of one flow and run that came in one go."""

    ingestion_config_id: str
    flow_name: str
    rows: FlowRows


@dataclass(frozen=True, slots=True)
class RejectedMessage:
    """A message that does not fit.

    Attributes:
        index: Its place among the messages.
        ingestion_config_id: What it names, or an empty string if it can't be read.
        flow_name: What it names, or an empty string if it can't be read.
        reason: A sentence that names flow, channel and value.
        ends_stream: Whether it asks for the stream to end if it does not fit.
    """

    index: int
    ingestion_config_id: str
    flow_name: str
    reason: str
    ends_stream: bool


@dataclass(frozen=True, slots=True)
class Decoded:
    """What became of some messages.

    Attributes:
        batches: Rows, in order of arrival within a flow and run, as far as the messages were
            ordinary.
        rejected: Messages that do not fit, in order. If the last one ends the stream, no message
            behind it was looked at.
        n_messages: How many messages were looked at.
    """

    batches: list[DecodedBatch]
    rejected: list[RejectedMessage]
    n_messages: int


def decode(frames: Frames, layout_of: LayoutOf) -> Decoded:
    """Turn messages into columns, up to the first that does not fit and asks for the stream's end.

    Runs without the GIL for the most part; safe from many threads. Memory: up to five times the
    bytes of `frames`, which must be less than 4 GiB.

    Args:
        frames: Serialised `IngestWithConfigDataStreamRequest` messages.
        layout_of: Tells a flow's layout from ingestion config id and flow name. Raises
            `UnknownFlowError` if there is none.
    """
    batches, misfits = _decode(frames, layout_of)
    rejected: list[RejectedMessage] = []
    if misfits:
        canonical, places, rejected = _read_anew(frames, misfits, layout_of)
        more, still = _decode(canonical, layout_of)
        batches += more
        rejected += [
            _explained(places[index], canonical.message(index), layout_of) for index in still
        ]
        rejected.sort(key=lambda message: message.index)
        for number, message in enumerate(rejected):
            if message.ends_stream:
                before = decode(frames.select(0, message.index), layout_of)
                return Decoded(before.batches, rejected[: number + 1], message.index + 1)
    return Decoded(batches, rejected, len(frames))


def warm_up() -> None:
    """Compile the kernels, or load them from the disk, so that the first stream does not wait."""
    layout = FlowLayout("", ("", ""), (DataType.DOUBLE, DataType.STRING))
    request = IngestWithConfigDataStreamRequest()
    request.timestamp.SetInParent()
    request.channel_values.add().double = 1.0
    request.channel_values.add().string = ""
    decode(Frames.from_messages([request.SerializeToString()]), lambda *_: layout)


def _decode(frames: Frames, layout_of: LayoutOf) -> tuple[list[DecodedBatch], list[int]]:
    """Decode what the kernels understand; return also the indexes of the other messages."""
    count = len(frames)
    if not count:
        return [], []
    data = np.frombuffer(frames.buffer, np.uint8)
    scan = np.empty((count, kernels.SCAN_COLUMNS), np.int64)
    kernels.scan_messages(data, frames.starts, frames.ends, scan)

    group_of = np.empty(count, np.int64)
    first_of_group = np.empty(count, np.int64)
    table = np.full(1 << (2 * count - 1).bit_length(), -1, np.int64)
    n_groups = kernels.group_messages(data, scan, group_of, first_of_group, table)

    firsts = scan[first_of_group[:n_groups], : kernels.RUN_END + 1].tolist()
    names = [
        (
            str(frames.buffer[config_start:config_end], "utf-8"),
            str(frames.buffer[flow_start:flow_end], "utf-8"),
            str(frames.buffer[run_start:run_end], "utf-8"),
        )
        for config_start, config_end, flow_start, flow_end, run_start, run_end in firsts
    ]
    layouts = [_known_layout(layout_of, config, flow) for config, flow, _ in names]
    groups = np.zeros((len(layouts), kernels.GROUP_COLUMNS), np.int64)
    groups[:, kernels.CHANNELS] = [-1 if one is None else len(one.data_types) for one in layouts]
    fields = np.frombuffer(
        b"".join([layout.value_fields for layout in layouts if layout is not None]), np.uint8
    )
    n_cells, n_rows, n_heap = kernels.plan_groups(scan, group_of, fields, groups)
    words = np.empty(n_cells, np.uint64)
    present = np.ones(n_cells, np.bool_)
    timestamps_ns = np.empty(n_rows, np.int64)
    heap = np.empty(n_heap, np.uint8)
    kernels.fill_columns(data, scan, group_of, groups, fields, timestamps_ns, words, present, heap)

    batches = []
    for (config, flow, run), layout, group in zip(names, layouts, groups.tolist(), strict=True):
        rows = group[kernels.ROWS]
        if layout is None or not rows:
            continue
        shape = group[kernels.CHANNELS], group[kernels.ROWS_MAX]
        first_cell, first_row = group[kernels.CELLS_START], group[kernels.ROWS_START]
        cells = slice(first_cell, first_cell + shape[0] * shape[1])
        own_words = words[cells].reshape(shape)
        own_present = present[cells].reshape(shape)
        if rows < shape[1]:
            own_words, own_present = own_words[:, :rows], own_present[:, :rows]
        heap_bytes = group[kernels.HEAP_BYTES]
        heap_start = group[kernels.HEAP_START]
        own_heap = heap[heap_start : heap_start + heap_bytes].tobytes() if heap_bytes else b""
        times_ns = timestamps_ns[first_row : first_row + rows]
        flow_rows = FlowRows(layout, run, times_ns, own_words, own_present, own_heap)
        batches.append(DecodedBatch(config, flow, flow_rows))
    understood = scan[:, kernels.UNDERSTOOD]
    misfits: list[int] = [] if understood.all() else np.flatnonzero(understood == 0).tolist()
    return batches, misfits


def _known_layout(layout_of: LayoutOf, config: str, flow: str) -> FlowLayout | None:
    try:
        return layout_of(config, flow)
    except UnknownFlowError:
        return None


def _read_anew(
    frames: Frames, indexes: list[int], layout_of: LayoutOf
) -> tuple[Frames, list[int], list[RejectedMessage]]:
    """Write messages in canonical form; also where each was, and those that can't be read."""
    canonical = []
    places = []
    rejected = []
    for index in indexes:
        message = frames.message(index)
        try:
            request = IngestWithConfigDataStreamRequest.FromString(message)
        except DecodeError as error:
            reason = (
                f"the message of {len(message)} bytes is no IngestWithConfigDataStreamRequest:"
                f" {error}"
            )
            rejected.append(RejectedMessage(index, "", "", reason, ends_stream=False))
            continue
        request.DiscardUnknownFields()
        anew = request.SerializeToString(deterministic=True)
        if anew == message:
            # The kernels saw just this and did not take it.
            rejected.append(_explained(index, message, layout_of))
        else:
            canonical.append(anew)
            places.append(index)
    return Frames.from_messages(canonical), places, rejected


def _explained(index: int, message: bytes, layout_of: LayoutOf) -> RejectedMessage:
    request = IngestWithConfigDataStreamRequest.FromString(message)
    return RejectedMessage(
        index,
        request.ingestion_config_id,
        request.flow,
        _reason(request, layout_of),
        request.end_stream_on_validation_error,
    )


def _reason(request: IngestWithConfigDataStreamRequest, layout_of: LayoutOf) -> str:
    try:
        layout = layout_of(request.ingestion_config_id, request.flow)
    except UnknownFlowError as error:
        return str(error)
    flow = f"flow {request.flow!r}"
    if not request.HasField("timestamp"):
        return f"{flow}: the message has no timestamp"
    seconds, nanos = request.timestamp.seconds, request.timestamp.nanos
    if not 0 <= nanos <= _NANOS_MAX:
        return f"{flow}: the timestamp has {nanos} nanos; they are 0 to {_NANOS_MAX}"
    if not kernels.SECONDS_MIN <= seconds <= kernels.SECONDS_MAX:
        return (
            f"{flow}: the timestamp, {seconds} s after 1970, is not between the years 1677 and 2262"
        )
    values = request.channel_values
    if len(values) != len(layout.data_types):
        return (
            f"{flow}: the message has {len(values)} values, but the flow has"
            f" {len(layout.data_types)} channels; a channel without a value is sent as an empty"
            " value"
        )
    for value, name, data_type in zip(values, layout.channel_names, layout.data_types, strict=True):
        member = value.WhichOneof("type")
        if member is None:
            continue
        field = value.DESCRIPTOR.fields_by_name[member]
        if field.number not in (EMPTY_VALUE_FIELD, data_type.value_field):
            return (
                f"{flow}, channel {name!r}: the value {_shown(getattr(value, member))} is sent as"
                f" {member!r}, but the channel's data type is {data_type.name}"
            )
    return f"{flow}: the message can't be read"


def _shown(value: object) -> str:
    text = repr(value)
    if len(text) > _SHOWN_VALUE_CHARACTERS_MAX:
        return text[:_SHOWN_VALUE_CHARACTERS_MAX] + "…"
    return text
