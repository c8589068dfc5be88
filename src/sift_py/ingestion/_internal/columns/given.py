"""Columns as users give them, in the four forms that the checks know.

Nothing but NumPy is imported. Who has a column of another library has loaded that library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class UnreadableError(Exception):
    """A column is of no kind that can be read: goes on after 'the column'."""


@dataclass(frozen=True, slots=True, eq=False)
class Array:
    """Numbers, bools or times.

    Attributes:
        values: Shape (rows,), in the byte order of the machine. Its dtype is of one of the kinds
            "biufM".
        present: Shape (rows,). False where there is no value; None if there is none missing.
    """

    values: NDArray[Any]
    present: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.values)

    def tolist(self) -> list[Any]:
        """Return Python's numbers, None for no value."""
        return _with_none(self.values, self.present)


@dataclass(frozen=True, slots=True, eq=False)
class Strings:
    """Strings, or strings of bytes, one behind the other.

    Attributes:
        offsets: int64, shape (rows + 1,). Where each begins in `data`, and the last one ends.
        data: uint8.
        is_text: Whether they are strings, in UTF-8.
        present: As in `Array`.
    """

    offsets: NDArray[np.int64]
    data: NDArray[np.uint8]
    is_text: bool
    present: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def tolist(self) -> list[Any]:
        """Return Python's `str` or `bytes`, None for no value."""
        data = self.data.tobytes()
        parts: list[Any] = [data[start:stop] for start, stop in pairwise(self.offsets.tolist())]
        if self.is_text:
            parts = [part.decode(errors="surrogateescape") for part in parts]
        if self.present is not None:
            parts = [
                part if there else None
                for part, there in zip(parts, self.present.tolist(), strict=True)
            ]
        return parts


@dataclass(frozen=True, slots=True, eq=False)
class Categories:
    """Values that are numbered.

    Attributes:
        codes: Shape (rows,), integers. The index of each value in `values`; anything where
            `present` is False.
        values: The values that there may be.
        present: As in `Array`.
    """

    codes: NDArray[Any]
    values: list[Any]
    present: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.codes)

    def tolist(self) -> list[Any]:
        """Return the values, None for no value."""
        values = [*self.values, None]
        codes = self.codes
        if self.present is not None:
            codes = np.where(self.present, codes, len(self.values))
        return [values[code] for code in codes.tolist()]


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """Python objects, None for no value."""

    values: list[Any]

    def __len__(self) -> int:
        return len(self.values)

    def tolist(self) -> list[Any]:
        """Return the objects."""
        return self.values


Given = Array | Strings | Categories | Objects


def given_of(column: object) -> Given:
    """Read a column of any kind but Arrow's.

    Raises:
        UnreadableError: It is none, or not one-dimensional.
    """
    if isinstance(column, Given):
        return column
    if isinstance(column, np.ndarray):
        return _of_numpy(column)
    if is_of_pandas(column):
        return _of_pandas(column)
    if isinstance(column, str | bytes | bytearray):
        raise UnreadableError(f"is one value of type {type(column).__name__}")
    if hasattr(column, "__array__"):
        return _of_numpy(np.asarray(column))
    if isinstance(column, memoryview) or type(column).__module__ == "array":
        return _of_numpy(np.asarray(column))
    if isinstance(column, Sequence):
        return Objects(list(column))
    raise UnreadableError(
        f"is a {type(column).__name__}: use an array of NumPy, a series of pandas or Polars, an"
        f" array of Arrow, or a list{lazy_hint(column)}"
    )


def lazy_hint(given: object) -> str:
    """What to add to 'this can't be used' if it is a plan of a data frame, as Polars has them."""
    return "; it is lazy, so call collect() first" if hasattr(given, "collect") else ""


def is_of_pandas(column: object) -> bool:
    """Whether an object is, or is derived from, one of pandas."""
    return any(base.__module__.partition(".")[0] == "pandas" for base in type(column).__mro__)


def _of_numpy(array: NDArray[Any]) -> Given:
    present = None
    if isinstance(array, np.ma.MaskedArray):
        present = None if array.mask is np.ma.nomask else ~np.ma.getmaskarray(array)
        array = array.data
    if array.ndim != 1:
        raise UnreadableError(f"has the shape {array.shape}: it must have one dimension")
    kind = array.dtype.kind
    if kind in "OUT":
        return _of_numpy_objects(array, present)
    if kind in "biufM":
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        return Array(array, present)
    if kind == "V" and array.dtype.names is None:
        size = array.dtype.itemsize
        data = np.ascontiguousarray(array).view(np.uint8)
        offsets = np.arange(len(array) + 1, dtype=np.int64) * size
        return Strings(offsets, data, is_text=False, present=present)
    if kind == "S":
        raise UnreadableError(
            f"has the dtype {array.dtype}, which does not keep zero bytes at the end: use"
            " dtype=object, a list of bytes, or uint8 for bit fields of one byte"
        )
    raise UnreadableError(f"has the dtype {array.dtype}, which no channel takes")


def _of_numpy_objects(array: NDArray[Any], present: NDArray[np.bool_] | None) -> Objects:
    values = _with_none(array, present)
    if array.dtype.kind == "T":
        missing = getattr(array.dtype, "na_object", None)
        values = [None if value is missing else value for value in values]
    return Objects(values)


def _of_pandas(column: Any) -> Given:  # noqa: ANN401 - pandas is no dependency
    """Read a series, index or array: its mask says what is missing; NaN of NumPy's floats stays."""
    dtype = getattr(column, "dtype", None)
    if dtype is None:
        raise UnreadableError(f"is a {type(column).__name__}: use a series")
    if isinstance(dtype, np.dtype) and dtype.kind != "O":
        return _of_numpy(column.to_numpy())
    if hasattr(dtype, "tz") and hasattr(dtype, "unit"):
        return Array(column.to_numpy(dtype=f"M8[{dtype.unit}]"))
    missing = np.asarray(column.isna(), np.bool_)
    present = ~missing if missing.any() else None
    array = getattr(column, "array", column)
    if hasattr(array, "codes") and hasattr(array, "categories"):
        return Categories(np.asarray(array.codes), list(array.categories), present)
    if hasattr(dtype, "numpy_dtype"):
        plain = np.dtype(dtype.numpy_dtype)
        if plain.kind in "biuf":
            filled = column.to_numpy(dtype=plain, na_value=plain.type(0))
            return Array(filled, present)
    values = column.to_numpy(dtype=object)
    return Objects(_with_none(values, present))


def _with_none(values: NDArray[Any], present: NDArray[np.bool_] | None) -> list[Any]:
    listed: list[Any] = values.tolist()
    if present is None:
        return listed
    return [value if there else None for value, there in zip(listed, present.tolist(), strict=True)]


def joined(parts: Sequence[Given]) -> Given:
    """Put chunks of one column together; all are of one form."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return Objects([])
    present = np.concatenate([_mask(part) for part in parts])
    arrays = [part for part in parts if isinstance(part, Array)]
    if arrays:
        return Array(np.concatenate([part.values for part in arrays]), present)
    categories = [part for part in parts if isinstance(part, Categories)]
    if categories:
        codes: list[NDArray[np.int64]] = []
        values: list[Any] = []
        for part in categories:
            codes.append(part.codes.astype(np.int64) + len(values))
            values += part.values
        return Categories(np.concatenate(codes), values, present)
    return _joined_strings([part for part in parts if isinstance(part, Strings)], present)


def _joined_strings(parts: Sequence[Strings], present: NDArray[np.bool_]) -> Strings:
    offsets: list[NDArray[np.int64]] = [np.zeros(1, np.int64)]
    data = []
    end = 0
    for part in parts:
        start, stop = int(part.offsets[0]), int(part.offsets[-1])
        offsets.append(part.offsets[1:] + (end - start))
        data.append(part.data[start:stop])
        end += stop - start
    return Strings(np.concatenate(offsets), np.concatenate(data), parts[0].is_text, present)


def _mask(part: Given) -> NDArray[np.bool_]:
    if isinstance(part, Objects) or part.present is None:
        return np.ones(len(part), np.bool_)
    return part.present
