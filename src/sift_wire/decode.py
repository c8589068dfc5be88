"""Ingest messages become columns.

The compiled kernels take what every ordinary client sends. A message that they do not understand,
or that does not fit its flow, goes to the protobuf library. If that can read it, it is written anew
in the library's own canonical form, which the kernels do understand: fields in order, each once,
nothing unknown. What then still does not fit is rejected, in words. So there is one place that
fills columns, and one that says what is wrong.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic

import numpy as np
from google.protobuf.message import DecodeError

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataStreamRequest
from sift_wire import kernels
from sift_wire.block import RowBlock
from sift_wire.columns import EMPTY_VALUE_FIELD, DataType, FlowLayout
from sift_wire.flow_index import Flow, FlowIndex, FlowT, UnknownFlowError
from sift_wire.frames import Frames

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NANOS_MAX = 999_999_999
_SHOWN_VALUE_CHARACTERS_MAX = 60


class NotAtOnceError(Exception):
    """Messages need more than the kernels: a flow is not known yet, or one is unusual."""


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
class Decoded(Generic[FlowT]):
    """What became of some messages.

    Attributes:
        blocks: Rows, in order of arrival within a flow and run, as far as the messages were
            ordinary.
        rejected: Messages that do not fit, in order. If the last one ends the stream, no message
            behind it was looked at.
        n_messages: How many messages were looked at.
    """

    blocks: list[RowBlock[FlowT]]
    rejected: list[RejectedMessage]
    n_messages: int


def decode(frames: Frames, index: FlowIndex[FlowT], *, at_once: bool = False) -> Decoded[FlowT]:
    """Turn messages into columns, up to the first that does not fit and asks for the stream's end.

    Runs without the GIL for the most part; safe from many threads. Memory: up to five times the
    bytes of `frames`, which must be less than 4 GiB.

    Args:
        frames: Serialised `IngestWithConfigDataStreamRequest` messages.
        index: Knows the flows.
        at_once: Whether to decode them only if the kernels understand all, and no flow has to be
            asked for.

    Raises:
        NotAtOnceError: They can't be decoded at once.
    """
    return _decode(frames, None if at_once else _Asked(index), index)


def warm_up() -> None:
    """Compile the kernels, or load them from the disk, so that the first stream does not wait."""

    @dataclass(frozen=True)
    class Two:
        layout: FlowLayout

    layout = FlowLayout("", ("", ""), (DataType.DOUBLE, DataType.STRING))
    request = IngestWithConfigDataStreamRequest()
    request.timestamp.SetInParent()
    request.channel_values.add().double = 1.0
    request.channel_values.add().string = ""
    message = request.SerializeToString()
    decode(Frames.from_messages([message]), FlowIndex(lambda *_: Two(layout)))


class _Asked:
    """Asks for flows; remembers for a moment which there are not.

    A client that sends to a flow that there is not sends many such messages.
    """

    def __init__(self, index: FlowIndex[Any]) -> None:
        self._index = index
        self._unknown: dict[tuple[str, str], str] = {}

    def layout(self, ingestion_config_id: str, flow_name: str) -> FlowLayout:
        key = (ingestion_config_id, flow_name)
        if key in self._unknown:
            raise UnknownFlowError(self._unknown[key])
        try:
            flow: Flow = self._index.flow(ingestion_config_id, flow_name)
        except UnknownFlowError as error:
            self._unknown[key] = str(error)
            raise
        return flow.layout


def _decode(frames: Frames, asked: _Asked | None, index: FlowIndex[FlowT]) -> Decoded[FlowT]:
    blocks, misfits = decode_understood(frames, asked, index)
    if not misfits:
        return Decoded(blocks, [], len(frames))
    if asked is None:
        raise NotAtOnceError
    canonical, places, rejected = _read_anew(frames, misfits, asked)
    more, still = decode_understood(canonical, asked, index)
    blocks += more
    rejected += [_explained(places[number], canonical.message(number), asked) for number in still]
    rejected.sort(key=lambda message: message.index)
    for number, message in enumerate(rejected):
        if message.ends_stream:
            before = _decode(frames.select(0, message.index), asked, index)
            return Decoded(before.blocks, rejected[: number + 1], message.index + 1)
    return Decoded(blocks, rejected, len(frames))


def decode_understood(
    frames: Frames, asked: _Asked | None, index: FlowIndex[FlowT]
) -> tuple[list[RowBlock[FlowT]], list[int]]:
    """Decode what the kernels understand; return also the indexes of the other messages."""
    count = len(frames)
    if not count:
        return [], []
    data = np.frombuffer(frames.buffer, np.uint8)
    scan = np.empty((count, kernels.SCAN_COLUMNS), np.int64)
    kernels.scan_messages(data, frames.starts, frames.ends, scan)

    group_of = np.empty(count, np.int64)
    firsts = np.empty(count, np.int64)
    table = np.full(1 << (2 * count - 1).bit_length(), -1, np.int64)
    firsts = firsts[: kernels.group_messages(data, scan, group_of, firsts, table)]
    groups = np.zeros((len(firsts), kernels.GROUP_COLUMNS), np.int64)
    fields = index.find_flows(data, scan, firsts, groups)
    if (groups[:, kernels.FLOW] < 0).any():
        if asked is None:
            raise NotAtOnceError
        _ask(frames, scan[firsts[groups[:, kernels.FLOW] < 0]], asked)
        fields = index.find_flows(data, scan, firsts, groups)

    n_cells, n_rows, n_heap = kernels.plan_groups(scan, group_of, fields, groups)
    words = np.empty(n_cells, np.uint64)
    present = np.ones(n_cells, np.bool_)
    timestamps_ns = np.empty(n_rows, np.int64)
    heap = np.empty(n_heap, np.uint8)
    heap_bytes = kernels.fill_columns(
        data, scan, group_of, groups, fields, timestamps_ns, words, present, heap
    )
    run_ids = _number_runs(frames, data, scan, firsts, groups)
    understood = scan[:, kernels.UNDERSTOOD]
    misfits: list[int] = []
    if not understood.all():
        misfits = np.flatnonzero(understood == 0).tolist()
        groups = groups[groups[:, kernels.ROWS] > 0]
    if not len(groups):
        return [], misfits
    kept = heap[:heap_bytes].tobytes()
    return [RowBlock(index.flows, run_ids, groups, timestamps_ns, words, present, kept)], misfits


def _ask(frames: Frames, rows: NDArray[np.int64], asked: _Asked) -> None:
    """Make flows of messages known, as far as there are such flows."""
    for config_start, config_end, flow_start, flow_end in rows[
        :, kernels.CONFIG_START : kernels.FLOW_END + 1
    ].tolist():
        config = str(frames.buffer[config_start:config_end], "utf-8")
        with suppress(UnknownFlowError):
            asked.layout(config, str(frames.buffer[flow_start:flow_end], "utf-8"))


def _number_runs(
    frames: Frames,
    data: NDArray[np.uint8],
    scan: NDArray[np.int64],
    firsts: NDArray[np.int64],
    groups: NDArray[np.int64],
) -> tuple[str, ...]:
    """Number the runs of groups; return their ids."""
    first_of_run = np.empty(len(groups), np.int64)
    count = kernels.number_runs(data, scan, firsts, groups, first_of_run)
    extents = scan[first_of_run[:count], kernels.RUN_START : kernels.RUN_END + 1].tolist()
    names = [str(frames.buffer[start:end], "utf-8") for start, end in extents]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    if len(numbers) < count:
        groups[:, kernels.RUN] = np.array([numbers[name] for name in names])[groups[:, kernels.RUN]]
    return tuple(numbers)


def _read_anew(
    frames: Frames, indexes: list[int], asked: _Asked
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
            rejected.append(_explained(index, message, asked))
        else:
            canonical.append(anew)
            places.append(index)
    return Frames.from_messages(canonical), places, rejected


def _explained(index: int, message: bytes, asked: _Asked) -> RejectedMessage:
    request = IngestWithConfigDataStreamRequest.FromString(message)
    return RejectedMessage(
        index,
        request.ingestion_config_id,
        request.flow,
        _reason(request, asked),
        request.end_stream_on_validation_error,
    )


def _reason(request: IngestWithConfigDataStreamRequest, asked: _Asked) -> str:
    try:
        layout = asked.layout(request.ingestion_config_id, request.flow)
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
