"""Rows as bytes: checks the values of a row, puts them in order, and serialises them.

A program sends rows of few shapes, again and again. What can be said of a row from the names of its
channels alone (is each known, is none there twice, where does each go?) is worked out once for each
list of names and remembered as a plan; what is left to do for a row is to serialise its values and
to compare their types with the plan's, both in bulk.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataChannelValue
from sift_py.errors import IngestionValidationError
from sift_py.ingestion._internal.values import TAGS, encoder_of, shown
from sift_py.ingestion.channel import ChannelDataType, _channel_fqn
from sift_wire.messages import EMPTY_VALUE, VALUE_TAG, value_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sift_py.ingestion._internal.layout import FlowLayout
    from sift_py.ingestion._internal.values import Encoder

PLANS_MAX = 1024
"""Lists of names that are remembered for a flow; more make it start anew."""

_FLOW_KEYS = ("flow_name", "timestamp", "channel_values")
_KEYS_WITHOUT_COMPONENT = 2
_DOUBLE_BYTES = 9
_DOUBLE_SEPARATOR = bytes((VALUE_TAG, _DOUBLE_BYTES))
_DOUBLE_TAG = TAGS[ChannelDataType.DOUBLE]

_TYPED = {IngestWithConfigDataChannelValue}
_name_of = itemgetter("channel_name")
_value_of = itemgetter("value")
_serialize = IngestWithConfigDataChannelValue.SerializeToString


class _Plan(NamedTuple):
    """What is known of rows that give values for certain channels in a certain order.

    Attributes:
        encoders: One for each value that is given.
        tags: First byte of each serialised value, if none is empty.
        wire_order: For each value on the wire the index of the given value, or of the empty one
            behind them; None when the order is the same and none is missing.
        is_double: Whether all values that are given are doubles.
    """

    encoders: tuple[Encoder, ...]
    tags: bytes
    wire_order: tuple[int, ...] | None
    is_double: bool


def flow_parts(flow: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Return name, timestamp and values of a row.

    Raises:
        IngestionValidationError: It is not a mapping with these three, or the name is no str.
    """
    try:
        flow_name = flow["flow_name"]
        parts = flow_name, flow["timestamp"], flow["channel_values"]
    except (TypeError, KeyError, IndexError):
        keys = ", ".join(f"'{key}'" for key in _FLOW_KEYS)
        raise IngestionValidationError(
            f"a flow must be a dictionary with the keys {keys}, got {shown(flow)}."
        ) from None
    if not isinstance(flow_name, str):
        raise IngestionValidationError(
            f"'flow_name' of a flow must be a str, got {shown(flow_name)}."
        )
    return parts


class RowEncoder:
    """Encodes the values of a flow's rows. Safe from many threads."""

    def __init__(self, layout: FlowLayout) -> None:
        self.layout = layout
        self._encoders = tuple(encoder_of(layout.flow_name, channel) for channel in layout.channels)
        self._plans: dict[object, _Plan] = {}

    def named(self, channel_values: Iterable[Any]) -> bytes:
        """Check values that are given by name, and serialise them in the order of the wire.

        Channels without a value get an empty one.

        Raises:
            IngestionValidationError: In this order: they are no list; a channel has two values; a
                value does not fit its channel; a value is for no channel of the flow.
        """
        given = channel_values if type(channel_values) is list else self._listed(channel_values)
        names: object = None
        try:
            names = tuple(map(_name_of, given))
            values = list(map(_value_of, given))
            if given and max(map(len, given)) > _KEYS_WITHOUT_COMPONENT:
                components = tuple([value.get("component") for value in given])
                names = names, components
            plan = self._plans.get(names)
        except (TypeError, KeyError, IndexError, AttributeError):
            plan = None
        if plan is None:
            plan = self._plan(given)
            values = list(map(_value_of, given))
            if names is not None:
                if len(self._plans) >= PLANS_MAX:
                    self._plans.clear()
                self._plans[names] = plan
        return _encode(plan, values)

    def ordered(self, channel_values: Iterable[Any]) -> bytes:
        """Serialise values that are in the order of the config in the order of the wire.

        Typed values are not checked, plain ones are.

        Raises:
            IngestionValidationError: They are no list; a plain value does not fit its channel; or
                not as many values as channels, and plain ones among them or the orders differ.
        """
        values = channel_values if type(channel_values) is list else self._listed(channel_values)
        if set(map(type, values)) == _TYPED:
            parts = list(map(_serialize, values))
        elif len(values) == len(self._encoders):
            parts = [
                value.SerializeToString()
                if type(value) is IngestWithConfigDataChannelValue
                else encode(value)
                for encode, value in zip(self._encoders, values, strict=True)
            ]
        elif not values:
            parts = []
        else:
            raise self.layout.wrong_count(len(values))
        order = self.layout.wire_order
        if order is not None:
            if len(parts) != len(self._encoders):
                raise self.layout.wrong_count(len(parts))
            # An absent channel has index -1, which is the one behind the last.
            parts.append(EMPTY_VALUE)
            parts = [parts[at] for at in order]
        return value_fields(parts)

    def _listed(self, channel_values: Iterable[Any]) -> list[Any]:
        """Return values that came in something else than a list, such as a tuple or an array.

        A text or a mapping could be iterated over too, but not over its values.
        """
        iterator: Iterator[Any] | None = None
        if not isinstance(channel_values, str | bytes | bytearray | memoryview | Mapping):
            with suppress(TypeError):
                iterator = iter(channel_values)
        if iterator is None:
            raise IngestionValidationError(
                f"flow '{self.layout.flow_name}': 'channel_values' must be a list, got"
                f" {shown(channel_values)}."
            )
        return list(iterator)

    def _plan(self, given: Sequence[Any]) -> _Plan:
        flow_name = self.layout.flow_name
        channels = self.layout.channels
        by_fqn: dict[str, int] = {}
        for at, channel_value in enumerate(given):
            fqn, value = _named_value(flow_name, channel_value)
            if fqn in by_fqn:
                raise IngestionValidationError(
                    f"flow '{flow_name}': multiple values encountered for channel '{fqn}':"
                    f" {shown(given[by_fqn[fqn]]['value'])} and {shown(value)}."
                )
            by_fqn[fqn] = at
        unexpected = by_fqn.keys() - {channel.fqn for channel in channels}
        if unexpected:
            # Values that do not fit are named before channels that there are not.
            for channel, encode in zip(channels, self._encoders, strict=True):
                if channel.fqn in by_fqn:
                    encode(given[by_fqn[channel.fqn]]["value"])
            raise unexpected_channels(self.layout, [fqn for fqn in by_fqn if fqn in unexpected])
        # As `ordered`: the empty value is behind those that are given.
        index_of = [by_fqn.get(channel.fqn, -1) for channel in channels]
        order = self.layout.wire_order
        wire = index_of if order is None else [-1 if at < 0 else index_of[at] for at in order]
        encoders: list[Any] = [None] * len(given)
        tags = bytearray(len(given))
        for channel, encode, at in zip(channels, self._encoders, index_of, strict=True):
            if at >= 0:
                encoders[at] = encode
                tags[at] = TAGS[channel.data_type]
        return _Plan(
            tuple(encoders),
            bytes(tags),
            None if wire == list(range(len(given))) else tuple(wire),
            set(tags) == {_DOUBLE_TAG},
        )


def _encode(plan: _Plan, values: list[Any]) -> bytes:
    if set(map(type, values)) == _TYPED:
        parts = list(map(_serialize, values))
        if plan.is_double and plan.wire_order is None and set(map(len, parts)) == {_DOUBLE_BYTES}:
            fields = _DOUBLE_SEPARATOR + _DOUBLE_SEPARATOR.join(parts)
            if fields[2 :: _DOUBLE_BYTES + 2] == plan.tags:
                return fields
        if bytes([part[0] if part else 0 for part in parts]) != plan.tags:
            # Empty values, or such that do not fit: each is looked at.
            parts = [encode(value) for encode, value in zip(plan.encoders, values, strict=True)]
    else:
        parts = [encode(value) for encode, value in zip(plan.encoders, values, strict=True)]
    if plan.wire_order is not None:
        parts.append(EMPTY_VALUE)
        parts = [parts[at] for at in plan.wire_order]
    return value_fields(parts)


def _named_value(flow_name: str, channel_value: Any) -> tuple[str, object]:  # noqa: ANN401
    try:
        name, value = channel_value["channel_name"], channel_value["value"]
        component = channel_value.get("component")
        fqn = _channel_fqn(name, component)
        hash((name, component))
    except (TypeError, KeyError, IndexError, AttributeError):
        raise IngestionValidationError(
            f"flow '{flow_name}': a channel value must be a dictionary with the keys"
            f" 'channel_name' and 'value', got {shown(channel_value)}."
        ) from None
    return fqn, value


def unexpected_channels(layout: FlowLayout, fqns: Sequence[str]) -> IngestionValidationError:
    """Word that there are values for channels that the flow does not have."""
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
