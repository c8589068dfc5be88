"""The fields of a decoded message, as plain values by path: `pose.position.x`, `ranges[3]`."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sift_files.plan import DataType
from sift_files.texts import ARROW_TYPES, values_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sift_files.plan import ColumnPlan

__all__ = ["ELEMENTS_MAX", "FieldKinds", "array_of_fields", "fields_of"]

ELEMENTS_MAX = 64
"""A list that is longer is data of its own, such as a picture, and no channels."""

_DEPTH_MAX = 32
_EXACT = 2**53
EXAMPLES_MAX = 3
_NOT_IN_JSON = {name: float(name) for name in ("NaN", "Infinity", "-Infinity")}
"""Numbers that JSON has no other way to write; the writer of MCAP files and Protocol Buffers do."""


def fields_of(message: Any) -> dict[str, bool | int | float | str]:  # noqa: ANN401 (of any library)
    """The fields that are values; those without one, raw bytes and long lists are left out."""
    return dict(_walk(message, "", 0))


class FieldKinds:
    """Counts what kinds of values a field has."""

    def __init__(self) -> None:
        self.examples: list[str] = []
        self._kinds: set[type] = set()
        self._least = self._most = 0

    def add(self, value: bool | float | str) -> None:
        """Count a value."""
        kind = type(value)
        self._kinds.add(kind)
        if kind is int:
            if value < self._least:  # type: ignore[operator]
                self._least = value  # type: ignore[assignment]
            elif value > self._most:  # type: ignore[operator]
                self._most = value  # type: ignore[assignment]
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(str(value))

    def decide(self) -> DataType:
        """The data type that keeps every value."""
        if self._kinds == {bool}:
            return DataType.BOOL
        if self._kinds == {int}:
            if self._least >= -(2**63) and self._most < 2**63:
                return DataType.INT_64
            if self._least >= 0 and self._most < 2**64:
                return DataType.UINT_64
        elif self._kinds <= {int, float} and max(-self._least, self._most) <= _EXACT:
            return DataType.DOUBLE
        return DataType.STRING


def array_of_fields(values: Sequence[object], column: ColumnPlan) -> tuple[Any, list[int]]:
    """Values of a column as an array of Arrow, and the places of those that do not fit."""
    if column.data_type in {DataType.STRING, DataType.ENUM}:
        texts = pa.array([_text(value) for value in values], pa.string())
        return values_of(texts, column.data_type, (), column.enum)
    kind = ARROW_TYPES[column.data_type]
    if column.data_type in {DataType.DOUBLE, DataType.FLOAT}:
        values = [_NOT_IN_JSON.get(one, one) if isinstance(one, str) else one for one in values]
    try:
        array, bad = pa.array(values, kind), []
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, TypeError):
        bad = [at for at, value in enumerate(values) if not _fits(value, kind)]
        gone = set(bad)
        array = pa.array([None if at in gone else one for at, one in enumerate(values)], kind)
    return (array.cast(pa.float32()) if column.data_type is DataType.FLOAT else array), bad


def _walk(
    value: Any,  # noqa: ANN401 (of any library)
    path: str,
    depth: int,
) -> Iterator[tuple[str, bool | int | float | str]]:
    if isinstance(value, np.generic):
        # Some of them are Python's floats, too, and not of its type.
        yield from _walk(value.item(), path, depth)
    elif isinstance(value, bool | int | float | str):
        yield path, value
    elif value is None or isinstance(value, bytes | bytearray | memoryview):
        return
    elif depth < _DEPTH_MAX:
        for name, one in _parts(value):
            joined = name if not path else path + name if name[0] == "[" else f"{path}.{name}"
            yield from _walk(one, joined, depth + 1)


def _parts(value: Any) -> Iterable[tuple[str, Any]]:  # noqa: ANN401 (of any library)
    if isinstance(value, dict):
        return ((str(name) or "''", one) for name, one in value.items())
    if hasattr(value, "DESCRIPTOR"):
        return _of_protobuf(value)
    if dataclasses.is_dataclass(value):
        return ((one.name, getattr(value, one.name)) for one in dataclasses.fields(value))
    if hasattr(value, "__slots__"):
        return ((name, getattr(value, name, None)) for name in value.__slots__)
    if hasattr(value, "__len__") and len(value) <= ELEMENTS_MAX:
        return ((f"[{at}]", one) for at, one in enumerate(value))
    return ()


def _of_protobuf(message: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 (of protobuf)
    for field in message.DESCRIPTOR.fields:
        if field.has_presence and not message.HasField(field.name):
            continue
        value = getattr(message, field.name)
        is_map = hasattr(value, "items")
        yield field.name, dict(value.items()) if is_map else value


def _fits(value: object, kind: Any) -> bool:  # noqa: ANN401 (a type of Arrow)
    try:
        pa.array([value], kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, TypeError):
        return False
    return True


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)
