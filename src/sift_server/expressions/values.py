"""Values of an expression: whole columns of one type, in which some may be missing."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

INT_64_MAX = np.iinfo(np.int64).max


class Type(enum.Enum):
    """Type of a value, by the name that messages give it."""

    BOOL = "a bool"
    INT = "an integer"
    DOUBLE = "a double"
    STRING = "a string"

    @property
    def is_number(self) -> bool:
        """Whether one can calculate with it."""
        return self in (Type.INT, Type.DOUBLE)


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """Strings, one a place, or few different ones and which of them is where.

    Attributes:
        strings: Arrow array of large_string without nulls.
        codes: int64: for each place the index in `strings`; None if `strings` has one a place.
    """

    strings: Any
    codes: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.strings) if self.codes is None else len(self.codes)

    def take(self, places: NDArray[np.int64]) -> Texts:
        """The strings of these places."""
        if self.codes is not None:
            return Texts(self.strings, self.codes[places])
        return Texts(self.strings.take(pa.array(places)))

    def __getitem__(self, places: slice) -> Texts:
        if self.codes is not None:
            return Texts(self.strings, self.codes[places])
        return Texts(self.strings[places])

    def plain(self) -> Any:  # noqa: ANN401 (pyarrow has no types)
        """The strings as one Arrow array, one a place."""
        return self.strings if self.codes is None else self.strings.take(pa.array(self.codes))

    def spread(self, found: Any) -> Any:  # noqa: ANN401 (of any NumPy type)
        """Turn what was found for each of `strings`, an array, into what holds for each place."""
        return found if self.codes is None else found[self.codes]


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """Values of one type.

    Attributes:
        type: What they are.
        values: By type: bool, int64 or uint64, float64, each of shape (points,); or `Texts`. Of a
            literal the Python value.
        known: bool, shape (points,): where there is a value; None if there is one everywhere. What
            `values` has elsewhere means nothing.
    """

    type: Type
    values: Any
    known: NDArray[np.bool_] | None = None

    @property
    def is_literal(self) -> bool:
        """Whether it is one value, the same at all times."""
        return not isinstance(self.values, np.ndarray | Texts)

    def __len__(self) -> int:
        return len(self.values)

    def take(self, places: NDArray[np.int64]) -> Self:
        """The values of these places."""
        values = self.values.take(places)
        known = None if self.known is None else self.known[places]
        return type(self)(self.type, values, known)

    def part(self, start: int, end: int) -> Self:
        """The values of these places, which are not copied."""
        known = None if self.known is None else self.known[start:end]
        return type(self)(self.type, self.values[start:end], known)

    def only(self, known: NDArray[np.bool_] | None) -> Self:
        """The same values, missing also where `known` is False."""
        return type(self)(self.type, self.values, both_known(self.known, known))

    def known_places(self) -> NDArray[np.bool_]:
        """`known`, written out."""
        return np.ones(len(self), np.bool_) if self.known is None else self.known

    def doubles(self) -> Any:  # noqa: ANN401 (an array, or a float)
        """Numbers as doubles, rounded where they have to be."""
        if self.is_literal:
            return float(self.values)
        return self.values.astype(np.float64, copy=False)

    def signed(self) -> Self:
        """Integers as int64, missing where they are larger."""
        if self.is_literal or self.values.dtype == np.int64:
            return self
        fits = self.values <= INT_64_MAX
        known = None if fits.all() else fits
        return type(self)(self.type, self.values.astype(np.int64), both_known(self.known, known))

    def written_out(self, count: int) -> Self:
        """The column with `count` values, also if it is a literal."""
        if not self.is_literal:
            return self
        if self.type is Type.STRING:
            strings = pa.array([self.values], pa.large_string())
            return type(self)(self.type, Texts(strings, np.zeros(count, np.int64)))
        return type(self)(self.type, np.full(count, self.values, _DTYPES[self.type]))


_DTYPES = {Type.BOOL: np.bool_, Type.INT: np.int64, Type.DOUBLE: np.float64}


def both_known(
    left: NDArray[np.bool_] | None, right: NDArray[np.bool_] | None
) -> NDArray[np.bool_] | None:
    """Where two columns both have a value, each given as `Column.known`."""
    if left is None:
        return right
    return left if right is None else left & right


def joined(first: Column, second: Column) -> Column:
    """The values of two columns of one type, one behind the other."""
    if not len(first):
        return second
    if not len(second):
        return first
    known = None
    if first.known is not None or second.known is not None:
        known = np.concatenate([first.known_places(), second.known_places()])
    if first.type is Type.STRING:
        return Column(Type.STRING, _joined_texts(first.values, second.values), known)
    return Column(first.type, np.concatenate([first.values, second.values]), known)


def _joined_texts(first: Texts, second: Texts) -> Texts:
    if first.codes is None or second.codes is None:
        return Texts(pa.concat_arrays([first.plain(), second.plain()]))
    codes = np.concatenate([first.codes, second.codes])
    if first.strings is second.strings or first.strings.equals(second.strings):
        return Texts(first.strings, codes)
    if len(first.strings) + len(second.strings) > len(codes):
        # More strings than places: they would become more and more.
        return Texts(pa.concat_arrays([first.plain(), second.plain()]))
    codes[len(first.codes) :] += len(first.strings)
    return Texts(pa.concat_arrays([first.strings, second.strings]), codes)


def blank(like: Column, count: int) -> Column:
    """A column of the same type without any value, `count` points long."""
    known = np.zeros(count, np.bool_)
    if like.type is Type.STRING:
        texts = Texts(pa.array([""], pa.large_string()), np.zeros(count, np.int64))
        return Column(Type.STRING, texts, known)
    return Column(like.type, np.zeros(count, like.values.dtype), known)
