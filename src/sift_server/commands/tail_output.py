"""Points as lines, for people and for programs."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import typer

from sift_server.commands.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sift_py.data import ChannelReadings, Readings

_NS_PER_S = 1_000_000_000
_TEXT_CHARACTERS_MAX = 200


class Point(NamedTuple):
    """A point of a channel, or of an element of a bit field.

    Attributes:
        timestamp_ns: Nanoseconds since 1970 in UTC.
        channel: Its readings.
        value: As Python has it; a state of an enum by its name.
    """

    timestamp_ns: int
    channel: ChannelReadings
    value: Any


def points_of(readings: Readings, counts: Iterable[int]) -> list[Point]:
    """The last so many points of each channel that came, by time."""
    points = []
    for channel, count in zip(readings, counts, strict=True):
        if not count:
            continue
        times_ns = channel.timestamps_ns[-count:].tolist()
        values = channel.values[-count:].to_pylist()
        if channel.data_type == "ENUM":
            values = [channel.states.get(value, str(value)) for value in values]
        elif channel.data_type == "FLOAT":
            values = [np.float32(value) for value in values]
        points += [
            Point(time_ns, channel, value) for time_ns, value in zip(times_ns, values, strict=True)
        ]
    points.sort(key=lambda point: point.timestamp_ns)
    return points


def json_line(point: Point) -> str:
    """A point as a JSON object. Numbers that JSON has no words for are strings, bytes base64."""
    channel, value = point.channel, point.value
    if isinstance(value, bytes):
        value = base64.b64encode(value).decode("ascii")
    elif isinstance(value, float | np.float32):
        value = float(str(value)) if np.isfinite(value) else str(float(value))
    document = {
        "time": time_text(point.timestamp_ns),
        "timestamp_ns": point.timestamp_ns,
        "channel": channel.name,
        "value": value,
        "unit": channel.unit,
        "run": channel.run,
        "asset": channel.asset,
    }
    return json.dumps(document, ensure_ascii=False)


class PointLines:
    """Points as aligned lines: the columns grow with what comes."""

    def __init__(self, *, in_colour: bool) -> None:
        self._in_colour = in_colour
        self._name_width = 0
        self._value_width = 0

    def line(self, point: Point) -> str:
        """A point as a line."""
        name = shown(point.channel.name)
        value = _value_text(point.value)
        self._name_width = max(self._name_width, len(name))
        if len(value) <= _TEXT_CHARACTERS_MAX // 8:
            self._value_width = max(self._value_width, len(value))
        is_number = not isinstance(point.value, str | bytes)
        pad = str.rjust if is_number else str.ljust
        parts = [
            time_text(point.timestamp_ns),
            name.ljust(self._name_width),
            pad(value, self._value_width),
        ]
        if self._in_colour:
            parts = [
                typer.style(parts[0], dim=True),
                typer.style(parts[1], fg=typer.colors.CYAN),
                typer.style(parts[2], bold=True),
            ]
        if point.channel.unit:
            parts.append(shown(point.channel.unit))
        return "  ".join(parts).rstrip()


def time_text(timestamp_ns: int) -> str:
    """A time in UTC, with all its nanoseconds, as RFC 3339 has it."""
    seconds, nanoseconds = divmod(timestamp_ns, _NS_PER_S)
    return f"{np.datetime64(seconds, 's')}.{nanoseconds:09}Z"


def _value_text(value: Any) -> str:  # noqa: ANN401
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return shown(value, _TEXT_CHARACTERS_MAX)
        case bytes():
            return shown(value.hex(" "), _TEXT_CHARACTERS_MAX)
        case _:
            return str(value)
