"""Checks a row, value by value, and puts its values in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataChannelValue
from sift_py.errors import IngestionValidationError
from sift_py.ingestion._internal.layout import EMPTY_VALUE
from sift_py.ingestion.channel import _channel_fqn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sift_py.ingestion._internal.layout import FlowLayout, LayoutChannel
    from sift_py.ingestion.channel import ChannelValue

EMPTY_FIELD = "empty"
VALUE_CHARS_MAX = 80
"""How much of a value a message shows."""

_FLOW_KEYS = ("flow_name", "timestamp", "channel_values")


def flow_parts(flow: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Return name, timestamp and values of a row.

    Raises:
        IngestionValidationError: It is not a mapping with these three.
    """
    try:
        return flow["flow_name"], flow["timestamp"], flow["channel_values"]
    except (TypeError, KeyError, IndexError):
        keys = ", ".join(f"'{key}'" for key in _FLOW_KEYS)
        raise IngestionValidationError(
            f"a flow must be a dictionary with the keys {keys}, got {shown(flow)}."
        ) from None


def named_values(
    layout: FlowLayout, channel_values: Iterable[ChannelValue]
) -> list[IngestWithConfigDataChannelValue]:
    """Check values that are given by name, and return them in the order of the config.

    Channels without a value get an empty one.

    Raises:
        IngestionValidationError: In this order: a channel has two values; a value does not fit its
            channel; a value is for no channel of the flow.
    """
    by_fqn: dict[str, IngestWithConfigDataChannelValue] = {}
    for channel_value in channel_values:
        fqn, value = _named_value(layout.flow_name, channel_value)
        if fqn in by_fqn:
            raise IngestionValidationError(
                f"flow '{layout.flow_name}': multiple values encountered for channel '{fqn}':"
                f" {shown(by_fqn[fqn])} and {shown(value)}."
            )
        by_fqn[fqn] = value
    values = []
    for channel in layout.channels:
        value = by_fqn.pop(channel.fqn, EMPTY_VALUE)
        _check_value(layout.flow_name, channel, value)
        values.append(value)
    if by_fqn:
        raise _unexpected(layout, list(by_fqn))
    return values


def shown(value: object) -> str:
    """Return a value as messages show it, on one line and not too long."""
    if isinstance(value, IngestWithConfigDataChannelValue):
        field = value.WhichOneof("type")
        text = "no value" if field is None else f"{field} {getattr(value, field)!r}"
        text = EMPTY_FIELD if field == EMPTY_FIELD else text
    else:
        text = repr(value)
    return text if len(text) <= VALUE_CHARS_MAX else f"{text[:VALUE_CHARS_MAX]}..."


def _named_value(
    flow_name: str, channel_value: ChannelValue
) -> tuple[str, IngestWithConfigDataChannelValue]:
    try:
        name, value = channel_value["channel_name"], channel_value["value"]
        component = channel_value.get("component")
    except (TypeError, KeyError, IndexError, AttributeError):
        raise IngestionValidationError(
            f"flow '{flow_name}': a channel value must be a dictionary with the keys"
            f" 'channel_name' and 'value', got {shown(channel_value)}."
        ) from None
    return _channel_fqn(name, component), value


def _check_value(
    flow_name: str, channel: LayoutChannel, value: IngestWithConfigDataChannelValue
) -> None:
    try:
        field: str | None = value.WhichOneof("type")
    except AttributeError:
        field = None
    if field not in {channel.value_field, EMPTY_FIELD}:
        type_name = channel.data_type.as_human_str()
        raise IngestionValidationError(
            f"flow '{flow_name}': value for '{channel.fqn}' expected to be a '{type_name}',"
            f" got {shown(value)}. Use {type_name}_value(...), or empty_value() for no value."
        )


def _unexpected(layout: FlowLayout, fqns: Sequence[str]) -> IngestionValidationError:
    names = ", ".join(f"'{fqn}'" for fqn in fqns)
    expected = {channel.fqn for channel in layout.channels}
    hints = [
        f" '{fqn}' may be meant for '{other}': then give the 'component' too."
        for fqn in fqns
        for other in expected
        if other.endswith(f".{fqn}")
    ]
    return IngestionValidationError(
        f"flow '{layout.flow_name}': unexpected channel(s) {names}.{''.join(hints)}"
    )
