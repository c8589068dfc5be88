"""What is drawn of each channel and run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sift_server.plotting.reduction import Reduction

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sift_py.data import ChannelReadings, Overview, Readings
    from sift_server.plotting.reduction import Numbers, Times

POINTS_MAX = 4_000
"""Points of a curve: twice the pixels that a picture is wide."""

CURVES_MAX = 60
"""Curves of a picture."""


class Kind(Enum):
    """How a curve is drawn."""

    NUMBER = "number"
    """As a line."""
    STATE = "state"
    """As steps between the names of states."""
    SWITCH = "switch"
    """As steps between off and on."""


class TooManyCurvesError(ValueError):
    """More curves than a picture has room for."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A curve.

    Attributes:
        name: Of the channel, or of the element of a bit field.
        run: Name of the run, or an empty string.
        unit: Of the channel.
        kind: How to draw it.
        states: Names of an enum's states, by key.
        times_ns: Nanoseconds since 1970, sorted.
        values: One for each time; an enum's are its keys, a bool's 0 and 1.
    """

    name: str
    run: str
    unit: str
    kind: Kind
    states: dict[int, str]
    times_ns: Times
    values: Numbers

    def state(self, key: int) -> str:
        """Name of a state; its number if it has none."""
        return self.states.get(key, str(key))

    @property
    def keys(self) -> list[int]:
        """The states that it has, sorted."""
        return sorted({int(each) for each in np.unique(self.values)})


def gathered(spans: Iterable[Readings], points_max: int = POINTS_MAX) -> tuple[list[Curve], int]:
    """Curves of consecutive spans, and how many channels were left out, as they have no numbers.

    Raises:
        TooManyCurvesError: There are more than `CURVES_MAX`.
    """
    found: dict[tuple[str, str], tuple[ChannelReadings, Reduction]] = {}
    left_out = set()
    for readings in spans:
        for each in readings:
            kind = _kind(each)
            if kind is None:
                left_out.add(each.name)
                continue
            if not len(each):
                continue
            key = (each.name, each.run_id)
            if key not in found:
                if len(found) == CURVES_MAX:
                    raise TooManyCurvesError(
                        f"there are more than {CURVES_MAX} curves, one for each channel and run;"
                        " name fewer"
                    )
                empty = Reduction(points_max, is_state=kind is not Kind.NUMBER)
                found[key] = each, empty
            found[key][1].add(each.timestamps_ns, _numbers(each.values))
    curves = []
    for about, overview in found.values():
        times_ns, values = overview.points()
        kind = _kind(about) or Kind.NUMBER
        curves.append(
            Curve(about.name, about.run, about.unit, kind, about.states, times_ns, values)
        )
    return curves, len(left_out)


def curve_of(overview: Overview, run: str) -> Curve:
    """The curve of an overview: the smallest and the largest value of each pixel."""
    table = overview.table
    starts = table["start"].cast(pa.int64()).to_numpy()
    low, high = (table[name].cast(pa.float64()).to_numpy() for name in ("minimum", "maximum"))
    return Curve(
        overview.channel,
        run,
        overview.unit,
        Kind.NUMBER,
        {},
        np.repeat(starts + overview.bucket_ns // 2, 2),
        np.column_stack([low, high]).ravel(),
    )


def is_number(readings: ChannelReadings) -> bool:
    """Whether a channel is drawn as a line, and is one channel, not an element of one."""
    return _kind(readings) is Kind.NUMBER and readings.data_type != "BIT_FIELD"


def _kind(readings: ChannelReadings) -> Kind | None:
    match readings.data_type:
        case "ENUM":
            return Kind.STATE
        case "BOOL":
            return Kind.SWITCH
        case "STRING" | "BYTES":
            return None
        case _:
            return Kind.NUMBER


def _numbers(values: Any) -> Any:  # noqa: ANN401 (of Arrow)
    return values.to_numpy()
