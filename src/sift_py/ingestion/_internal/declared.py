"""Checks what a user declared of flows, rules and runs: what no message could carry. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import index
from typing import TYPE_CHECKING

from sift_py.errors import SiftError, TelemetryConfigValidationError
from sift_py.ingestion._internal.shown import shown_plain
from sift_py.ingestion.channel import (
    ChannelBitFieldElement,
    ChannelConfig,
    ChannelDataType,
    ChannelEnumType,
)

if TYPE_CHECKING:
    from sift_py.ingestion.flow import FlowConfig

ENUM_KEY_MAX = 2**32 - 1
BIT_INDEX_MAX = 2**31 - 1
BIT_COUNT_MAX = 2**32 - 1


def check_flow(flow: FlowConfig) -> None:
    """Check the types and ranges of a flow's fields, and of its channels'.

    Raises:
        TelemetryConfigValidationError: One is wrong; names flow, channel, field and value.
    """
    _check_text(flow.name, "the name of a flow")
    for channel in flow.channels:
        _check_channel(channel, f"flow '{flow.name}'")


def checked_tags(
    tags: Iterable[str] | None, where: str, error_class: type[SiftError]
) -> list[str] | None:
    """Return tags as a list: the same one, if they are one.

    Raises:
        SiftError: One of that class; they are something else, a text for example.
    """
    if tags is None:
        return None
    if isinstance(tags, str | bytes | Mapping) or not isinstance(tags, Iterable):
        hint = f": write [{shown_plain(tags)}]" if isinstance(tags, str) else ""
        raise error_class(f"{where}: 'tags' must be a list of str, got {shown_plain(tags)}{hint}.")
    listed = tags if isinstance(tags, list) else list(tags)
    for tag in listed:
        if not isinstance(tag, str) or not is_unicode(tag):
            raise error_class(
                f"{where}: each of 'tags' must be a str of Unicode, got {shown_plain(tag)}."
            )
    return listed


def _check_channel(channel: ChannelConfig, flow: str) -> None:
    _check_text(channel.name, f"{flow}: the name of a channel")
    if channel.component is not None:
        _check_text(channel.component, f"{flow}: the component of channel '{channel.name}'")
    where = f"{flow}, channel '{channel.fqn()}'"
    if not isinstance(channel.data_type, ChannelDataType):
        raise TelemetryConfigValidationError(
            f"{where}: expected 'data_type' to be a ChannelDataType, got"
            f" {shown_plain(channel.data_type)}.{_hint(channel.data_type)}"
        )
    for name in ("description", "unit"):
        text = getattr(channel, name)
        if text is not None:
            _check_text(text, f"{where}: '{name}'")
    for enum_type in channel.enum_types:
        if not isinstance(enum_type, ChannelEnumType):
            raise _not_a(ChannelEnumType, enum_type, f"{where}: an item of 'enum_types'")
        _check_text(enum_type.name, f"{where}: the name of an enum type")
        of = f"{where}: the key of enum type '{enum_type.name}'"
        _check_integer(enum_type.key, of, ENUM_KEY_MAX)
    for element in channel.bit_field_elements:
        if not isinstance(element, ChannelBitFieldElement):
            raise _not_a(
                ChannelBitFieldElement, element, f"{where}: an item of 'bit_field_elements'"
            )
        _check_text(element.name, f"{where}: the name of a bit field element")
        of = f"of bit field element '{element.name}'"
        _check_integer(element.index, f"{where}: the index {of}", BIT_INDEX_MAX)
        _check_integer(element.bit_count, f"{where}: the bit_count {of}", BIT_COUNT_MAX)


def _hint(data_type: object) -> str:
    """Name the data type that is meant by a spelling."""
    meant = ChannelDataType.from_str(data_type) if isinstance(data_type, str) else None
    return "" if meant is None else f" Use ChannelDataType.{meant.name}."


def is_unicode(text: str) -> bool:
    """Whether a text can be sent: it has no surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_text(text: object, what: str) -> None:
    if not isinstance(text, str):
        raise _not_a(str, text, what)
    if not is_unicode(text):
        raise TelemetryConfigValidationError(
            f"{what} has half of a surrogate pair: {shown_plain(text)}."
        )


def _check_integer(number: object, what: str, largest: int) -> None:
    try:
        is_in_range = 0 <= index(number) <= largest  # type: ignore[arg-type]
    except TypeError:
        is_in_range = False
    if not is_in_range:
        raise TelemetryConfigValidationError(
            f"{what} must be an int from 0 to {largest}, got {shown_plain(number)}."
        )


def _not_a(kind: type, value: object, what: str) -> TelemetryConfigValidationError:
    return TelemetryConfigValidationError(
        f"{what} must be a {kind.__name__}, got {shown_plain(value)}."
    )
