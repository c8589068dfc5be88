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
from sift_wire.columns import DataType, FlowLayout
from sift_wire.flow_index import Flow, FlowIndex, FlowT, UnknownFlowError
from sift_wire.frames import Frames
from sift_wire.rejection import RejectedMessage, explained, unreadable

if TYPE_CHECKING:
    from numpy.typing import NDArray


MESSAGES_MAX = 65_536
"""Messages that are decoded at a time: each takes more than a hundred bytes meanwhile."""

MISFITS_MAX = 16_384
"""Messages that the kernels do not take, among those: each costs microseconds, and if it does not
fit, half a kilobyte or more until it is in the error queue."""

MISFITS_AT_ONCE_MAX = 64
"""The same if the caller has no time."""


class NotAtOnceError(Exception):
    """The caller has no time, and a flow is not known yet, or too many messages are unusual."""


@dataclass(frozen=True, slots=True)
class Decoded(Generic[FlowT]):
    """What became of some messages.

    Attributes:
        blocks: Rows, in order of arrival within a flow and run, as far as the messages were
            ordinary.
        rejected: Messages that do not fit, in order. If the last one ends the stream, no message
            behind it was looked at.
        n_messages: How many messages were looked at: the others are to be decoded by another call,
            unless the stream ends.
    """

    blocks: list[RowBlock[FlowT]]
    rejected: list[RejectedMessage]
    n_messages: int


def decode(frames: Frames, index: FlowIndex[FlowT], *, at_once: bool = False) -> Decoded[FlowT]:
    """Turn messages into columns, up to the first that does not fit and asks for the stream's end.

    Of many messages only the first are looked at, so that memory is bounded whatever they are: no
    more than `MESSAGES_MAX`, and no more than `MISFITS_MAX` that are unusual or do not fit.

    Runs without the GIL for the most part; safe from many threads. Memory: up to five times the
    bytes of `frames`, which must be less than 4 GiB.

    Args:
        frames: Serialised `IngestWithConfigDataStreamRequest` messages.
        index: Knows the flows.
        at_once: Whether to decode them only if all can be in no time: no flow has to be asked for,
            and no more than `MISFITS_AT_ONCE_MAX` messages are unusual or do not fit.

    Raises:
        NotAtOnceError: They can't be decoded at once.
    """
    if at_once and len(frames) > MESSAGES_MAX:
        raise NotAtOnceError
    frames = frames.select(0, min(len(frames), MESSAGES_MAX))
    return _decode(frames, _Asked(index, at_once=at_once), index)


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

    def __init__(self, index: FlowIndex[Any], *, at_once: bool = False) -> None:
        """Take the index; `at_once` lets it give only what it knows already."""
        self.at_once = at_once
        self._index = index
        self._unknown: dict[tuple[str, str], str] = {}

    def layout(self, ingestion_config_id: str, flow_name: str) -> FlowLayout:
        key = (ingestion_config_id, flow_name)
        if key in self._unknown:
            raise UnknownFlowError(self._unknown[key])
        if self.at_once and not self._index.knows(ingestion_config_id, flow_name):
            raise NotAtOnceError
        try:
            flow: Flow = self._index.flow(ingestion_config_id, flow_name)
        except UnknownFlowError as error:
            self._unknown[key] = str(error)
            raise
        return flow.layout


def _decode(frames: Frames, asked: _Asked, index: FlowIndex[FlowT]) -> Decoded[FlowT]:
    blocks, misfits = decode_understood(frames, asked, index)
    if not misfits:
        return Decoded(blocks, [], len(frames))
    if asked.at_once and len(misfits) > MISFITS_AT_ONCE_MAX:
        raise NotAtOnceError
    if len(misfits) > MISFITS_MAX:
        frames = frames.select(0, misfits[MISFITS_MAX])
        blocks, misfits = decode_understood(frames, asked, index)
    canonical, places, rejected = _read_anew(frames, misfits, asked)
    more, still = decode_understood(canonical, asked, index)
    blocks += more
    rejected += [
        explained(
            places[number],
            IngestWithConfigDataStreamRequest.FromString(canonical.message(number)),
            asked.layout,
        )
        for number in still
    ]
    rejected.sort(key=lambda message: message.index)
    for number, message in enumerate(rejected):
        if message.ends_stream:
            before = _decode(frames.select(0, message.index), asked, index)
            return Decoded(before.blocks, rejected[: number + 1], message.index + 1)
    return Decoded(blocks, rejected, len(frames))


def decode_understood(
    frames: Frames, asked: _Asked, index: FlowIndex[FlowT]
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
        if asked.at_once:
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
            rejected.append(unreadable(index, message, error))
            continue
        request.DiscardUnknownFields()
        anew = request.SerializeToString(deterministic=True)
        if anew == message:
            # The kernels saw just this and did not take it.
            rejected.append(explained(index, request, asked.layout))
        else:
            canonical.append(anew)
            places.append(index)
    return Frames.from_messages(canonical), places, rejected
