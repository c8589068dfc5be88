"""Values of the data service are the bytes that protobuf writes, and read back by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from sift.data.v1 import data_pb2 as v1
from sift.data.v2 import data_pb2 as v2
from sift_wire.columns import DataType
from sift_wire.data_messages import bytes_values, number_values
from support.points import to_word

if TYPE_CHECKING:
    from types import ModuleType

NS_PER_S = 10**9
TIMES = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([-(2**63), 2**63 - 1, 0, 1, -1, NS_PER_S, -NS_PER_S, NS_PER_S - 1]),
    st.integers(1_767_225_600 * NS_PER_S, 1_767_225_601 * NS_PER_S),
)
NUMBERS = {
    DataType.DOUBLE: ("Double", st.floats() | st.sampled_from([0.0, -0.0, 5e-324])),
    DataType.FLOAT: ("Float", st.floats(width=32) | st.sampled_from([0.0, -0.0])),
    DataType.INT_32: ("Int32", st.integers(-(2**31), 2**31 - 1)),
    DataType.UINT_32: ("Uint32", st.integers(0, 2**32 - 1)),
    DataType.INT_64: ("Int64", st.integers(-(2**63), 2**63 - 1)),
    DataType.UINT_64: ("Uint64", st.integers(0, 2**64 - 1)),
    DataType.ENUM: ("Enum", st.integers(0, 2**32 - 1)),
    DataType.BOOL: ("Bool", st.booleans()),
}


def serialised(package: ModuleType, name: str, times: list[int], values: list[Any]) -> bytes:
    """What protobuf writes."""
    value_type = getattr(package, f"{name}Value")
    return getattr(package, f"{name}Values")(
        values=[
            value_type(
                timestamp=Timestamp(seconds=time // NS_PER_S, nanos=time % NS_PER_S), value=value
            )
            for time, value in zip(times, values, strict=True)
        ]
    ).SerializeToString()


@pytest.mark.parametrize("package", [v1, v2])
@pytest.mark.parametrize("data_type", list(NUMBERS), ids=lambda one: one.name)
@given(data=st.data())
def test_numbers_are_written_as_protobuf_writes_them(package, data_type, data):
    """All types, extreme values and times; a double keeps its bits, also those of a NaN."""
    name, values = NUMBERS[data_type]
    points = data.draw(st.lists(st.tuples(TIMES, values)))
    times = [time for time, _ in points]
    words = np.array([to_word(value, data_type, bytearray()) for _, value in points], np.uint64)
    written = number_values(data_type, np.array(times, np.int64), words)
    assert written == serialised(package, name, times, [value for _, value in points])


@pytest.mark.parametrize("package", [v1, v2])
@given(points=st.lists(st.tuples(TIMES, st.text() | st.sampled_from(["x" * 127, "é" * 9_000]))))
def test_strings_are_written_as_protobuf_writes_them(package, points):
    """Empty ones, and those whose length takes more than a byte; byte values are the same."""
    times = [time for time, _ in points]
    texts = [text for _, text in points]
    data = [text.encode() for text in texts]
    before = b"what is in front"
    offsets = np.cumsum([len(before), *map(len, data)])
    heap = np.frombuffer(before + b"".join(data), np.uint8)
    written = bytes_values(np.array(times, np.int64), offsets, heap)
    assert written == serialised(package, "String", times, texts)
    assert written == serialised(package, "Bytes", times, data)


def test_a_bit_field_element_is_written_as_protobuf_writes_it():
    """As a number of 32 bits."""
    times, words = np.array([1, 2]), np.array([0, 2**32 - 1], np.uint64)
    element = v2.BitFieldElementValues(name="low")
    element.MergeFromString(number_values(DataType.UINT_32, times, words))
    assert [(one.timestamp.nanos, one.value) for one in element.values] == [(1, 0), (2, 2**32 - 1)]
