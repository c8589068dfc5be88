"""Rows as bytes: checks the values of a row, puts them in order, and serialises them.

A program sends rows of few shapes, again and again. What can be said of a row from the names of its
channels alone (is each known, is none there twice, where does each go?) is worked out once for each
list of names and remembered as a plan; what is left to do for a row is to serialise its values and
to compare their types with the plan's, both in bulk, for many rows at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataChannelValue
from sift_py.errors import IngestionValidationError
from sift_py.ingestion._internal.values import TAGS, encoder_of, shown
from sift_py.ingestion.channel import ChannelDataType, _channel_fqn
from sift_wire.messages import (
    DOUBLE_BYTES,
    EMPTY_VALUE,
    VALUE_TAG,
    cut,
    double_fields_of_rows,
    value_fields_of_rows,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sift_py.ingestion._internal.layout import FlowLayout
    from sift_py.ingestion._internal.values import Encoder

PLANS_MAX = 1024
"""Lists of names that are remembered for a flow; more make it start anew."""

_FLOW_KEYS = ("flow_name", "timestamp", "channel_values")
_KEYS_WITHOUT_COMPONENT = 2
_DOUBLE_SEPARATOR = bytes((VALUE_TAG, DOUBLE_BYTES))
_DOUBLE_TAG = TAGS[ChannelDataType.DOUBLE]

_TYPED = {IngestWithConfigDataChannelValue}
_FLOATS = {float}
_name_of = itemgetter("channel_name")
_value_of = itemgetter("value")
_serialize = IngestWithConfigDataChannelValue.SerializeToString


@dataclass(frozen=True, eq=False, slots=True)
class _Plan:
    """What is known of rows that give values for certain channels in a certain order.

    Attributes:
        encoders: One for each value that is given.
        tags: First byte of each serialised value, if none is empty.
        wire_order: For each value on the wire the index of the given value, or of the empty one
            behind them; None when the order is the same and none is missing.
        is_double: Whether all values that are given are doubles, and go on the wire as they are.
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
        self._is_double = {each.data_type for each in layout.channels} == {ChannelDataType.DOUBLE}

    def named(self, channel_values: Iterable[Any]) -> bytes:
        """Check values that are given by name, and serialise them in the order of the wire.

        Channels without a value get an empty one.

        Raises:
            IngestionValidationError: In this order: they are no list; a channel has two values; a
                value does not fit its channel; a value is for no channel of the flow.
        """
        given = channel_values if type(channel_values) is list else self._listed(channel_values)
        return self.named_rows([given])[0]

    def named_rows(self, rows: Sequence[Sequence[Any]]) -> list[bytes]:
        """Check and serialise rows as `named` does.

        Args:
            rows: The values of each row.

        Raises:
            IngestionValidationError: As in `named`, but not always of the first row that is wrong.
        """
        given = list(chain.from_iterable(rows))
        try:
            has_components = bool(given) and max(map(len, given)) > _KEYS_WITHOUT_COMPONENT
        except TypeError:
            has_components = True
        plans = [self._plan_of(row, has_components=has_components) for row in rows]
        try:
            values = list(map(_value_of, given))
        except (TypeError, KeyError, IndexError):
            for row in rows:
                # Says what is wrong with it.
                self._plan(row)
            raise
        return _encode(plans, values)

    def _plan_of(self, given: Sequence[Any], *, has_components: bool) -> _Plan:
        names: object = None
        try:
            names = tuple(map(_name_of, given))
            if has_components:
                names = names, tuple([value.get("component") for value in given])
            plan = self._plans.get(names)
        except (TypeError, KeyError, IndexError, AttributeError):
            plan = None
        if plan is None:
            plan = self._plan(given)
            if len(self._plans) >= PLANS_MAX:
                self._plans.clear()
            self._plans[names] = plan
        return plan

    def ordered(self, channel_values: Iterable[Any]) -> bytes:
        """Serialise values that are in the order of the config in the order of the wire.

        Typed values are not checked, plain ones are.

        Raises:
            IngestionValidationError: They are no list; a plain value does not fit its channel; or
                not as many values as channels, and plain ones among them or the orders differ.
        """
        values = channel_values if type(channel_values) is list else self._listed(channel_values)
        return self.ordered_rows([values])()[0]

    def ordered_rows(self, rows: Sequence[Sequence[Any]]) -> Callable[[], list[bytes]]:
        """Check rows as `ordered` does.

        Args:
            rows: The values of each row; each row has as many.

        Returns:
            What serialises the values of each row. It raises nothing, and does not see what becomes
            of the lists in the meantime.

        Raises:
            IngestionValidationError: As in `ordered`.
        """
        values = list(chain.from_iterable(rows))
        width = len(rows[0])
        order = self.layout.wire_order
        types = set(map(type, values))
        if width != len(self._encoders) and (order is not None or not types <= _TYPED):
            raise self.layout.wrong_count(width)
        if types <= _TYPED:
            return partial(_serialized, values, len(rows), order)
        if types == _FLOATS and self._is_double and order is None:
            return partial(double_fields_of_rows, values, len(rows))
        parts = [
            value.SerializeToString()
            if type(value) is IngestWithConfigDataChannelValue
            else encode(value)
            for encode, value in zip(self._encoders * len(rows), values, strict=True)
        ]
        return partial(_fields, parts, len(rows), order)

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
        is_in_order = wire == list(range(len(given)))
        return _Plan(
            tuple(encoders),
            bytes(tags),
            None if is_in_order else tuple(wire),
            is_in_order and set(tags) == {_DOUBLE_TAG},
        )


def _encode(plans: list[_Plan], values: list[Any]) -> list[bytes]:
    """Serialise the values of rows.

    Args:
        plans: That of each row.
        values: Those of the first row, of the second and so on.
    """
    rows = len(plans)
    types = set(map(type, values))
    is_double = all(plan.is_double for plan in set(plans))
    if types == _TYPED:
        tags = b"".join([plan.tags for plan in plans])
        parts = list(map(_serialize, values))
        if is_double and set(map(len, parts)) == {DOUBLE_BYTES}:
            fields = _DOUBLE_SEPARATOR + _DOUBLE_SEPARATOR.join(parts)
            if fields[2 :: DOUBLE_BYTES + 2] == tags:
                return cut(fields, rows)
        if bytes([part[0] if part else 0 for part in parts]) != tags:
            # Empty values, or such that do not fit: each is looked at.
            parts = _each(plans, values)
    elif types == _FLOATS and is_double:
        return double_fields_of_rows(values, rows)
    else:
        parts = _each(plans, values)
    if any(plan.wire_order is not None for plan in set(plans)):
        parts = _placed(parts, [(len(plan.encoders), plan.wire_order) for plan in plans])
    return value_fields_of_rows(parts, rows)


def _each(plans: list[_Plan], values: list[Any]) -> list[bytes]:
    encoders = chain.from_iterable([plan.encoders for plan in plans])
    return [encode(value) for encode, value in zip(encoders, values, strict=True)]


def _serialized(
    values: list[IngestWithConfigDataChannelValue], rows: int, wire_order: tuple[int, ...] | None
) -> list[bytes]:
    return _fields(list(map(_serialize, values)), rows, wire_order)


def _fields(parts: list[bytes], rows: int, wire_order: tuple[int, ...] | None) -> list[bytes]:
    if wire_order is not None:
        parts = _placed(parts, [(len(parts) // rows, wire_order)] * rows)
    return value_fields_of_rows(parts, rows)


def _placed(parts: list[bytes], rows: Iterable[tuple[int, tuple[int, ...] | None]]) -> list[bytes]:
    """Put serialised values in the order of the wire.

    Args:
        parts: Those of the first row, of the second and so on.
        rows: For each row how many values it has, and `_Plan.wire_order`.
    """
    placed: list[bytes] = []
    start = 0
    for count, wire_order in rows:
        row = parts[start : start + count]
        start += count
        if wire_order is not None:
            # An absent channel has index -1, which is the one behind the last.
            row.append(EMPTY_VALUE)
            row = [row[at] for at in wire_order]
        placed += row
    return placed


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
