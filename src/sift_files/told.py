"""What files that this project wrote say of their columns: what channels they were.

Columns, datasets and topics have the texts `channel`, `data_type` (such as `INT_32`), `unit`, and
of an enum `enum_types`, a JSON object of keys by name. See `sift_files.writers`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from sift_files.plan import DataType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sift_files.plan import ColumnPlan

__all__ = ["as_told"]

_DATA_TYPES = {one.name: one for one in DataType}


def as_told(
    column: ColumnPlan, attributes: Mapping[str, str], *, keeps_type: bool = True
) -> ColumnPlan:
    """A column as the channel that it was; as it is, if nothing is said of it.

    Args:
        column: The column, as it looks.
        attributes: What is said of it.
        keeps_type: Whether the format has types, so that only an enum's is to be told.
    """
    data_type = _DATA_TYPES.get(attributes.get("data_type", ""))
    if data_type is None:
        return column
    told = replace(
        column,
        channel=attributes.get("channel", column.channel),
        unit=attributes.get("unit", column.unit),
    )
    states = _states(attributes.get("enum_types", ""))
    if data_type is DataType.ENUM:
        return replace(told, data_type=data_type, enum=states) if states else told
    if data_type is DataType.BIT_FIELD:
        # Its elements are columns, and channels, of their own.
        data_type = DataType.UINT_32
    return told if keeps_type else replace(told, data_type=data_type)


def _states(text: str) -> dict[str, int]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    is_so = isinstance(found, dict) and all(type(key) is int for key in found.values())
    return found if is_so else {}
