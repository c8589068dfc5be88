"""Why a message does not fit: a cause that can be counted, and a sentence for people."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sift_wire import kernels
from sift_wire.columns import EMPTY_VALUE_FIELD, FlowLayout
from sift_wire.flow_index import UnknownFlowError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataStreamRequest

    FindLayout = Callable[[str, str], FlowLayout]

_NANOS_MAX = 999_999_999
_NS_PER_S = 1_000_000_000
_SHOWN_VALUE_CHARACTERS_MAX = 60


class Cause(enum.StrEnum):
    """Why a message does not fit, in few words that are always the same."""

    UNREADABLE = "unreadable"
    UNKNOWN_FLOW = "unknown flow"
    NO_TIMESTAMP = "no timestamp"
    TIMESTAMP_OUT_OF_RANGE = "timestamp out of range"
    WRONG_NUMBER_OF_VALUES = "wrong number of values"
    WRONG_TYPE = "wrong type"
    RUN_ID_TOO_LONG = "run id too long"


@dataclass(frozen=True, slots=True)
class RejectedMessage:
    """A message that does not fit.

    Attributes:
        index: Its place among the messages.
        ingestion_config_id: What it names, or an empty string if it can't be read.
        flow_name: What it names, or an empty string if it can't be read.
        channel_name: The channel whose value does not fit, or an empty string if it is not one
            channel that the message fails for.
        timestamp_ns: Its timestamp, or None if there is none that can be kept.
        cause: Why it does not fit.
        reason: A sentence that names flow, channel and value.
        ends_stream: Whether it asks for the stream to end if it does not fit.
    """

    index: int
    ingestion_config_id: str
    flow_name: str
    channel_name: str
    timestamp_ns: int | None
    cause: Cause
    reason: str
    ends_stream: bool


def unreadable(index: int, message: bytes, error: Exception) -> RejectedMessage:
    """Say that bytes are no message; it can't ask for the end of its stream."""
    reason = f"the message of {len(message)} bytes is no IngestWithConfigDataStreamRequest: {error}"
    return RejectedMessage(index, "", "", "", None, Cause.UNREADABLE, reason, ends_stream=False)


def explained(
    index: int, request: IngestWithConfigDataStreamRequest, find_layout: FindLayout
) -> RejectedMessage:
    """Say why a message that the protobuf library can read does not fit.

    Args:
        index: Its place among the messages.
        request: The message.
        find_layout: Gives the layout of a config's flow, or raises `UnknownFlowError`.
    """
    cause, reason, channel_name = _misfit(request, find_layout)
    return RejectedMessage(
        index,
        request.ingestion_config_id,
        request.flow,
        channel_name,
        _timestamp_ns(request),
        cause,
        reason,
        request.end_stream_on_validation_error,
    )


class _Misfit(NamedTuple):
    cause: Cause
    reason: str
    channel_name: str = ""


def _misfit(request: IngestWithConfigDataStreamRequest, find_layout: FindLayout) -> _Misfit:
    try:
        layout = find_layout(request.ingestion_config_id, request.flow)
    except UnknownFlowError as error:
        return _Misfit(Cause.UNKNOWN_FLOW, str(error))
    flow = f"flow {request.flow!r}"
    run_id_bytes = len(request.run_id.encode())
    if run_id_bytes > kernels.RUN_ID_BYTES_MAX:
        return _Misfit(
            Cause.RUN_ID_TOO_LONG,
            f"{flow}: the run id has {run_id_bytes} bytes; at most {kernels.RUN_ID_BYTES_MAX} are"
            " taken",
        )
    if not request.HasField("timestamp"):
        return _Misfit(Cause.NO_TIMESTAMP, f"{flow}: the message has no timestamp")
    seconds, nanos = request.timestamp.seconds, request.timestamp.nanos
    if not 0 <= nanos <= _NANOS_MAX:
        return _Misfit(
            Cause.TIMESTAMP_OUT_OF_RANGE,
            f"{flow}: the timestamp has {nanos} nanos; they are 0 to {_NANOS_MAX}",
        )
    if not kernels.SECONDS_MIN <= seconds <= kernels.SECONDS_MAX:
        return _Misfit(
            Cause.TIMESTAMP_OUT_OF_RANGE,
            f"{flow}: the timestamp, {seconds} s after 1970, is not between the years 1677 and"
            " 2262",
        )
    values = request.channel_values
    if len(values) != len(layout.data_types):
        return _Misfit(
            Cause.WRONG_NUMBER_OF_VALUES,
            f"{flow}: the message has {len(values)} values, but the flow has"
            f" {len(layout.data_types)} channels; a channel without a value is sent as an empty"
            " value",
        )
    for value, name, data_type in zip(values, layout.channel_names, layout.data_types, strict=True):
        member = value.WhichOneof("type")
        if member is None:
            continue
        field = value.DESCRIPTOR.fields_by_name[member]
        if field.number not in (EMPTY_VALUE_FIELD, data_type.value_field):
            return _Misfit(
                Cause.WRONG_TYPE,
                f"{flow}, channel {name!r}: the value {_shown(getattr(value, member))} is sent as"
                f" {member!r}, but the channel's data type is {data_type.name}",
                name,
            )
    return _Misfit(Cause.UNREADABLE, f"{flow}: the message can't be read")


def _timestamp_ns(request: IngestWithConfigDataStreamRequest) -> int | None:
    seconds, nanos = request.timestamp.seconds, request.timestamp.nanos
    is_kept = (
        request.HasField("timestamp")
        and 0 <= nanos <= _NANOS_MAX
        and kernels.SECONDS_MIN <= seconds <= kernels.SECONDS_MAX
    )
    return seconds * _NS_PER_S + nanos if is_kept else None


def _shown(value: object) -> str:
    text = repr(value)
    if len(text) > _SHOWN_VALUE_CHARACTERS_MAX:
        return text[:_SHOWN_VALUE_CHARACTERS_MAX] + "…"
    return text
