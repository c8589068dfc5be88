"""Channels of the catalog as what expressions can name, and their points as signals."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sift_server.bit_fields import element_values
from sift_server.expressions import Column, Signal, Source, Texts, Type
from sift_server.lake import points_once
from sift_wire.columns import DataType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sift_server.catalog import Channel
    from sift_server.lake import Points

_TYPES = {
    DataType.DOUBLE: Type.DOUBLE,
    DataType.FLOAT: Type.DOUBLE,
    DataType.STRING: Type.STRING,
    DataType.ENUM: Type.STRING,
    DataType.BOOL: Type.BOOL,
    DataType.INT_32: Type.INT,
    DataType.UINT_32: Type.INT,
    DataType.INT_64: Type.INT,
    DataType.UINT_64: Type.INT,
}


@dataclass(frozen=True, slots=True)
class SourceKey:
    """What points a source has; the `key` of a `Source`.

    Attributes:
        channel_id: The channel.
        data_type: Its data type.
        element: Of an element of a bit field: its index and its number of bits.
        element_name: Its name.
        names: Of an enum: the name of each number.
    """

    channel_id: str
    data_type: DataType
    element: tuple[int, int] | None = None
    element_name: str = ""
    names: Mapping[int, str] = field(default_factory=dict, compare=False)

    def signal(self, points: Points) -> Signal:
        """Points in any order as a signal.

        A point that is there more than once is one. Of several values at one time the last one
        holds, in the order in which reading gives them.
        """
        points = points_once(points)
        times_ns = points.timestamps_ns
        column = self._column(points.values)
        is_last = np.ones(len(times_ns), np.bool_)
        is_last[:-1] = times_ns[:-1] != times_ns[1:]
        if is_last.all():
            return Signal(times_ns, column)
        places = np.flatnonzero(is_last)
        return Signal(times_ns[places], column.take(places))

    def _column(self, values: Any) -> Column:  # noqa: ANN401 (pyarrow has no types)
        kind = _TYPES.get(self.data_type)
        if self.element is not None:
            return Column(Type.INT, element_values(values, *self.element))
        if self.data_type is DataType.STRING:
            return Column(Type.STRING, Texts(values))
        words = values.to_numpy()
        match self.data_type:
            case DataType.DOUBLE:
                found = words.view(np.float64)
            case DataType.FLOAT:
                found = words.astype(np.uint32).view(np.float32).astype(np.float64)
            case DataType.BOOL:
                found = words != 0
            case DataType.UINT_64:
                found = words
            case DataType.ENUM:
                return Column(Type.STRING, self._enum_texts(words))
            case _:
                found = words.view(np.int64)
        assert kind is not None  # noqa: S101 - of bytes there are no sources
        return Column(kind, found)

    def _enum_texts(self, words: Any) -> Texts:  # noqa: ANN401
        numbers, codes = np.unique(words, return_inverse=True)
        # A number without a name is called by its digits.
        names = [self.names.get(number, str(number)) for number in numbers.tolist()]
        return Texts(pa.array(names, pa.large_string()), codes.astype(np.int64))


def source_of(channel: Channel) -> Source:
    """A channel as a source."""
    config = channel.config
    data_type = config.data_type
    if data_type is DataType.BIT_FIELD:
        elements = {
            one.name: Source(
                f"{config.fqn}.{one.name}",
                SourceKey(channel.channel_id, data_type, (one.index, one.bit_count), one.name),
                Type.INT,
            )
            for one in config.bit_field_elements
        }
        return Source(config.fqn, SourceKey(channel.channel_id, data_type), None, None, elements)
    names = {one.key: one.name for one in config.enum_types}
    key = SourceKey(channel.channel_id, data_type, names=names)
    source = Source(config.fqn, key, _TYPES.get(data_type))
    if data_type is not DataType.ENUM:
        return source
    digits = frozenset(map(str, names))
    return replace(source, choices=frozenset(names.values()), named_digits=digits)
