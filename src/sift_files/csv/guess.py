"""What data type a column of texts has, so that no value is lost."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sift_files.plan import DataType

__all__ = ["TypeGuess"]

MISFIT_SHARE_MAX = 0.05
"""Where so few cells do not fit, they are mistakes of the file; where more do, all is text."""

_WHOLE = r"^[+-]?[0-9]+$"
_LEADING_ZERO = r"^[+-]?0[0-9]"
_HEX = r"^0[xX][0-9a-fA-F]{1,16}$"
_NUMBER = r"(?i)^[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|nan|inf|infinity)$"
_BOOL = r"(?i)^(?:true|false)$"
_NO_VALUE = r"(?i)^(?:na|n/a|#n/a|null|none|nil|-|--|\?)$"
_EXACT = 2**53
_DIGITS_MAX = 30


class TypeGuess:
    """Counts the kinds of cells of one column."""

    def __init__(self) -> None:
        self.examples: list[str] = []
        self.no_value: Counter[str] = Counter()
        self._whole = self._hexes = self._numbers = self._bools = self._others = 0
        self._zeros = 0
        self._least = self._most = 0

    @property
    def values(self) -> int:
        """How many cells have something."""
        return self._whole + self._hexes + self._numbers + self._bools + self._others

    def add_texts(self, texts: Any, examples_max: int = 3, decimal: str = ".") -> None:  # noqa: ANN401 (of Arrow)
        """Count cells by their texts."""
        texts = pc.utf8_trim_whitespace(texts).drop_null()
        texts = texts.filter(pc.not_equal(texts, ""))
        for text in texts[: examples_max - len(self.examples)].to_pylist():
            self.examples.append(text)
        if decimal != ".":
            texts = pc.replace_substring(texts, decimal, ".")
        whole = pc.match_substring_regex(texts, _WHOLE)
        numbers = texts.filter(whole)
        self._whole += len(numbers)
        if len(numbers):
            self._zeros += _count(numbers, _LEADING_ZERO)
            self._add_range(numbers)
        rest = texts.filter(pc.invert(whole))
        if not len(rest):
            return
        self._numbers += (found := _count(rest, _NUMBER))
        if found:
            self._zeros += _count(rest, _LEADING_ZERO + r"[0-9]*\.")
        if found == len(rest):
            return
        rest = rest.filter(pc.invert(pc.match_substring_regex(rest, _NUMBER)))
        self._hexes += (hexes := _count(rest, _HEX))
        self._bools += (bools := _count(rest, _BOOL))
        nothing = rest.filter(pc.match_substring_regex(rest, _NO_VALUE))
        self.no_value.update(nothing.to_pylist())
        self._others += len(rest) - hexes - bools - len(nothing)

    def add_values(self, array: Any, data_type: DataType) -> None:  # noqa: ANN401 (of Arrow)
        """Count cells that are of a data type all of them."""
        count = len(array) - array.null_count
        if data_type in {DataType.INT_64, DataType.UINT_64}:
            self._whole += count
            if count:
                least, most = (value.as_py() for value in pc.min_max(array).values())
                self._least, self._most = min(self._least, least), max(self._most, most)
        elif data_type is DataType.DOUBLE:
            self._numbers += count
        elif data_type is DataType.BOOL:
            self._bools += count
        else:
            self._others += count

    def decide(self) -> tuple[DataType, str]:
        """The data type, and a note where it is not what one may expect."""
        numbers = self._whole + self._hexes + self._numbers
        if numbers and not self._is_much(self._bools + self._others):
            return self._number()
        if self._bools and not self._is_much(numbers + self._others):
            return DataType.BOOL, ""
        return DataType.STRING, "some are numbers, too many are not" if numbers else ""

    def _number(self) -> tuple[DataType, str]:
        if self._zeros:
            return DataType.STRING, "numbers with zeros in front are kept as text"
        if self._numbers:
            if self._hexes:
                return DataType.STRING, "hexadecimal numbers and fractions are kept as text"
            if max(-self._least, self._most) > _EXACT:
                return (
                    DataType.STRING,
                    "whole numbers that a double can't hold, and fractions, are kept as text",
                )
            return DataType.DOUBLE, ""
        if self._hexes and self._least >= 0 and self._most < 2**64:
            return DataType.UINT_64, ""
        if not self._hexes and self._least >= -(2**63) and self._most < 2**63:
            return DataType.INT_64, ""
        if not self._hexes and self._least >= 0 and self._most < 2**64:
            return DataType.UINT_64, ""
        return DataType.STRING, "whole numbers that no integer type holds are kept as text"

    def _is_much(self, others: int) -> bool:
        return others > MISFIT_SHARE_MAX * self.values

    def _add_range(self, numbers: Any) -> None:  # noqa: ANN401 (of Arrow)
        texts = pc.replace_substring_regex(numbers, r"^\+", "")
        try:
            least, most = (value.as_py() for value in pc.min_max(texts.cast(pa.int64())).values())
        except pa.ArrowInvalid:
            values = [int(text[:_DIGITS_MAX]) for text in texts.to_pylist()]
            least, most = min(values), max(values)
        self._least, self._most = min(self._least, least), max(self._most, most)


def _count(texts: Any, pattern: str) -> int:  # noqa: ANN401 (of Arrow)
    return pc.sum(pc.match_substring_regex(texts, pattern)).as_py() or 0
