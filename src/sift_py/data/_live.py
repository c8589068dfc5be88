"""What a server tells those who follow: rows as they come, and how far that is."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sift_py.data._pieces import about_of
from sift_py.data.reading import readings_of
from sift_py.data.readings import ChannelReadings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

_ABOUT_KEY = b"sift"
_BEAT_KEY = b"sift.beat"


class LiveStream:
    """What the schema of a stream says of its record batches."""

    def __init__(self, schema: Any) -> None:  # noqa: ANN401 (pyarrow has no types)
        metadata = schema.metadata or {}
        self.is_beat = _BEAT_KEY in metadata
        """Whether it says only that the server is there."""
        self._document: dict[str, Any] | None = None
        self.is_live = False
        """Whether it has what came just now, and not what was stored."""
        if _ABOUT_KEY in metadata:
            self._document = json.loads(metadata[_ABOUT_KEY])
            self.is_live = bool(self._document.get("live"))
        self._columns = [
            (field.name, json.loads(field.metadata[_ABOUT_KEY]))
            for field in schema
            if field.metadata and _ABOUT_KEY in field.metadata
        ]

    def readings(self, batch: Any) -> list[ChannelReadings]:  # noqa: ANN401
        """The points of a record batch, channel by channel; none of rows without a value."""
        document = self._document
        if document is None:
            return []
        if not self.is_live:
            about = about_of(document)
            return list(readings_of(about.channel, about, [batch]))
        all_times = batch.column(0)
        found = []
        for number, (name, about) in enumerate(self._columns, 1):
            values, times = batch.column(number), all_times
            if values.null_count:
                is_there = values.is_valid()
                values, times = values.filter(is_there), times.filter(is_there)
            if len(values):
                found.append(
                    ChannelReadings(
                        name,
                        about["channel"],
                        about["channel_id"],
                        about["data_type"],
                        about["unit"],
                        {key: state for state, key in about["enum_types"]},
                        document["asset"],
                        document["run"],
                        document["run_id"],
                        0,
                        pa.chunked_array([times]),
                        pa.chunked_array([values]),
                    )
                )
        return found


class Marks:
    """How far each channel came in each run, so that it can be gone on with behind that."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str, str], tuple[int, set[str]]] = {}
        """By run id, channel id and name of the readings: the latest time, and its values."""
        self.latest_ns: int | None = None
        """The latest time of all."""

    def note(self, readings: Iterable[ChannelReadings]) -> None:
        """Take what came."""
        for each in readings:
            key = (each.run_id, each.channel_id, each.name)
            times_ns = each.timestamps_ns
            latest_ns = int(times_ns.max())
            before_ns, values = self._last.get(key, (None, set[str]()))
            if before_ns is not None and latest_ns < before_ns:
                continue
            found = set(_texts_at(each, times_ns, latest_ns))
            self._last[key] = latest_ns, found | values if latest_ns == before_ns else found
            if self.latest_ns is None or latest_ns > self.latest_ns:
                self.latest_ns = latest_ns

    def question(self) -> dict[str, dict[str, int]]:
        """The marks as a question has them."""
        marks: dict[str, dict[str, int]] = {}
        for (run_id, channel_id, _), (latest_ns, _values) in self._last.items():
            marks.setdefault(run_id, {})[channel_id] = latest_ns
        return marks

    def behind(self, readings: Sequence[ChannelReadings]) -> list[ChannelReadings]:
        """Leave out what came before: points of the latest time with the same values."""
        kept = []
        for each in readings:
            latest_ns, values = self._last.get(
                (each.run_id, each.channel_id, each.name), (None, set[str]())
            )
            if latest_ns is not None:
                times_ns = each.timestamps_ns
                is_new = times_ns > latest_ns
                for place in np.flatnonzero(times_ns == latest_ns).tolist():
                    is_new[place] = repr(each.values[place].as_py()) not in values
                kept.append(_filtered(each, is_new))
            else:
                kept.append(each)
        return [each for each in kept if len(each)]


def _texts_at(each: ChannelReadings, times_ns: NDArray[np.int64], time_ns: int) -> list[str]:
    """The values of a time, told apart by their bits."""
    places = np.flatnonzero(times_ns == time_ns).tolist()
    return [repr(each.values[place].as_py()) for place in places]


def _filtered(each: ChannelReadings, mask: NDArray[np.bool_]) -> ChannelReadings:
    if mask.all():
        return each
    chosen = pa.array(mask)
    return replace(each, times=each.times.filter(chosen), values=each.values.filter(chosen))
