"""Configs as plain dicts, checked field by field before they are sent."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from sift_py.data_import.time_format import TimeFormatType
from sift_py.errors import DataImportConfigError
from sift_py.ingestion.channel import ChannelDataType

if TYPE_CHECKING:
    from collections.abc import Mapping

_INT_MAX = 2**32 - 1
_CHANNEL = {"name", "data_type", "units", "description", "component", "enum_types",
            "bit_field_elements"}  # fmt: skip


class Fields:
    """The fields of a dict, taken one by one; what nobody takes is a mistake."""

    def __init__(self, content: object, where: str) -> None:
        if not isinstance(content, dict):
            raise DataImportConfigError(f"{where} must be a dict, not {content!r}")
        self._left: dict[Any, Any] = dict(content)
        self.where = where

    def take(self, name: str, kind: type, default: Any = None, *, is_needed: bool = False) -> Any:  # noqa: ANN401
        """Take a field of a type.

        Raises:
            DataImportConfigError: It is not there and needed, or of another type.
        """
        value = self._left.pop(name, None)
        if value is None:
            if is_needed:
                raise DataImportConfigError(f"{self.where} needs {name!r}")
            return default
        if isinstance(value, Enum) and kind is str:
            value = value.value
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise DataImportConfigError(
                f"{name!r} of {self.where} must be a {kind.__name__}, not {value!r}"
            )
        return value

    def count(self, name: str, default: int | None = None) -> int:
        """Take a number from 1 on; needed if there is no default."""
        number: int = self.take(name, int, default, is_needed=default is None)
        if not 1 <= number <= _INT_MAX:
            raise DataImportConfigError(f"{name!r} of {self.where} counts from 1, and is {number}")
        return number

    def end(self) -> None:
        """Say that all fields are taken.

        Raises:
            DataImportConfigError: They are not.
        """
        if self._left:
            raise DataImportConfigError(
                f"{self.where} has {next(iter(self._left))!r}, which it can't have"
            )


def common_document(fields: Fields) -> dict[str, Any]:
    """What all configs say: asset and run."""
    return {
        "asset_name": fields.take("asset_name", str, is_needed=True),
        "run_name": fields.take("run_name", str, ""),
        "run_id": fields.take("run_id", str, ""),
    }


def time_document(content: object, where: str) -> tuple[dict[str, Any], Fields]:
    """The format of a time column, and the rest of its fields."""
    fields = Fields(content, where)
    text = fields.take("format", str, is_needed=True)
    known = TimeFormatType.from_str(text)
    if known is None:
        raise DataImportConfigError(
            f"'format' of {where} is {text!r}; it must be one of"
            f" {', '.join(one.value for one in TimeFormatType)}"
        )
    start = fields.take("relative_start_time", str)
    if known.is_relative() and start is None:
        raise DataImportConfigError(
            f"{where} is {known.value}, and needs a 'relative_start_time' to count from"
        )
    return {"format": known.value, "relative_start_time": start}, fields


def channel_document(content: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The channel of a column.

    Raises:
        DataImportConfigError: It is none; `where` says of which column.
    """
    fields = Fields(content, where)
    name = fields.take("name", str, is_needed=True)
    component = fields.take("component", str, "")
    data_type = _data_type(fields)
    document = {
        "name": f"{component}.{name}" if component else name,
        "data_type": data_type,
        "units": fields.take("units", str, ""),
        "description": fields.take("description", str, ""),
        "enum_types": _items(fields, "enum_types", {"name": str, "key": int, "is_signed": bool}),
        "bit_field_elements": _items(
            fields, "bit_field_elements", {"name": str, "index": int, "bit_count": int}
        ),
    }
    fields.end()
    for key, needed in (("enum_types", "ENUM"), ("bit_field_elements", "BIT_FIELD")):
        if document[key] and data_type != f"CHANNEL_DATA_TYPE_{needed}":
            raise DataImportConfigError(
                f"{where} has {key!r}, which only a channel of the type CHANNEL_DATA_TYPE_{needed}"
                f" can have, and is {data_type}"
            )
    return document


def split_channel(content: object, where: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a column says of its channel, and what else."""
    if not isinstance(content, dict):
        raise DataImportConfigError(f"{where} must be a dict, not {content!r}")
    channel = {name: value for name, value in content.items() if name in _CHANNEL}
    return channel, {name: value for name, value in content.items() if name not in _CHANNEL}


def _data_type(fields: Fields) -> str:
    value = fields.take("data_type", object, is_needed=True)
    known = value if isinstance(value, ChannelDataType) else None
    if isinstance(value, str):
        known = ChannelDataType.from_str(value)
    if known is None:
        raise DataImportConfigError(
            f"'data_type' of {fields.where} is {value!r}; it must be one of"
            f" {', '.join(f'CHANNEL_DATA_TYPE_{one.name}' for one in ChannelDataType)}"
        )
    return f"CHANNEL_DATA_TYPE_{known.name}"


def _items(fields: Fields, name: str, kinds: Mapping[str, type]) -> list[dict[str, Any]]:
    items = []
    for at, item in enumerate(fields.take(name, list, [])):
        inner = Fields(item, f"{name}[{at}] of {fields.where}")
        found = {key: inner.take(key, kind) for key, kind in kinds.items()}
        inner.end()
        if missing := [key for key in kinds if found[key] is None and key != "is_signed"]:
            raise DataImportConfigError(f"{inner.where} needs {missing[0]!r}")
        items.append({key: value for key, value in found.items() if value is not None})
    return items
