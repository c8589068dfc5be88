"""Picks the points of some channels from blocks of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sift_server.lake import Points
from sift_server.lake.points import kind_of, words_to_arrow
from sift_server.rules.part import Part
from sift_wire import kernels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sift_server.lake import PointBlock, PointFlow
    from sift_wire.columns import DataType

ChannelPoints = dict[str, tuple["DataType", list[Points]]]
"""Points of channels by id, and their data types."""


class WatchedChannels:
    """Some channels, and where flows have them. Not thread-safe."""

    def __init__(self, channel_ids: frozenset[str]) -> None:
        self._channel_ids = channel_ids
        self._places: dict[int, tuple[PointFlow, tuple[int, ...]]] = {}
        """By the `id` of a flow, which is kept so that no other gets it: indices of channels."""

    def points(self, blocks: Sequence[PointBlock]) -> dict[str, ChannelPoints]:
        """The points of the channels in some blocks, by run id."""
        found: dict[str, ChannelPoints] = {}
        for block, group, flow, places in self._groups(blocks):
            rows = block.rows(group)
            channels = found.setdefault(rows.run_id, {})
            for place in places:
                present = rows.present[place]
                is_whole = present.all()
                times_ns = rows.timestamps_ns if is_whole else rows.timestamps_ns[present]
                if not len(times_ns):
                    continue
                data_type = flow.layout.data_types[place]
                words = rows.words[place] if is_whole else rows.words[place][present]
                values = words_to_arrow(kind_of(data_type), np.ascontiguousarray(words), rows.heap)
                _, parts = channels.setdefault(flow.channel_ids[place], (data_type, []))
                parts.append(Points(times_ns, values))
        return found

    def extents(self, blocks: Sequence[PointBlock]) -> dict[str, dict[str, Part]]:
        """In which time some blocks may have points of the channels, by run id and channel id.

        Much faster than `points`: a block is one time for all that is in it.
        """
        found: dict[str, dict[str, Part]] = {}
        for block, group, flow, places in self._groups(blocks):
            times_ns = block.timestamps_ns
            part = Part(int(times_ns.min()), int(times_ns.max()))
            run_id = block.run_ids[block.groups[group, kernels.RUN]]
            channels = found.setdefault(run_id, {})
            for place in places:
                channel_id = flow.channel_ids[place]
                known = channels.get(channel_id, part)
                channels[channel_id] = part.with_part(known)
        return found

    def _groups(
        self, blocks: Sequence[PointBlock]
    ) -> Iterator[tuple[PointBlock, int, PointFlow, tuple[int, ...]]]:
        for block in blocks:
            for group, number in enumerate(block.groups[:, kernels.FLOW].tolist()):
                flow = block.flows[number]
                places = self._places_of(flow)
                if places:
                    yield block, group, flow, places

    def _places_of(self, flow: PointFlow) -> tuple[int, ...]:
        known = self._places.get(id(flow))
        if known is None:
            places = tuple(
                index
                for index, channel_id in enumerate(flow.channel_ids)
                if channel_id in self._channel_ids
            )
            known = self._places[id(flow)] = flow, places
        return known[1]
