"""How many points there are, and from when to when: by reading them, and keeping none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from sift.data.v2.data_pb2 import ChannelQuery
from sift_py.data._pieces import read_pieces
from sift_py.data._progress import ReadProgress
from sift_py.data.reading import request_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sift_py.grpc.transport import SiftChannel


@dataclass(slots=True)
class Extent:
    """Points of a channel: how many, and the times of the first and last, None if there are none.

    Elements of a bit field share their points.
    """

    points: int = 0
    first_ns: int | None = None
    last_ns: int | None = None

    def add(self, points: int, first_ns: int, last_ns: int) -> None:
        """Count points that came, sorted by time."""
        self.points += points
        self.first_ns = first_ns if self.first_ns is None else min(self.first_ns, first_ns)
        self.last_ns = last_ns if self.last_ns is None else max(self.last_ns, last_ns)

    def add_all(self, other: Extent) -> None:
        """Count those of another channel, too."""
        if other.first_ns is not None and other.last_ns is not None:
            self.add(other.points, other.first_ns, other.last_ns)


def channel_extents(
    channel: SiftChannel, channel_ids: Sequence[str], run_id: str | None = None
) -> list[Extent]:
    """The extents of channels; shows on a terminal how much was read, if it takes long.

    Args:
        channel: Channel to the server.
        channel_ids: Which channels.
        run_id: None for any points, an empty string for those without a run, else a run's id.
    """
    found = [Extent() for _ in channel_ids]
    shown = ReadProgress(wanted=None)
    request = request_of(None, None, None)
    for channel_id in channel_ids:
        request.queries.add(channel=ChannelQuery(channel_id=channel_id, run_id=run_id))
    for about, batch in read_pieces(channel, request):
        if batch.num_rows:
            times = batch.column(0).cast(pa.int64())
            extent = found[about.query]
            extent.add(batch.num_rows, times[0].as_py(), times[-1].as_py())
            shown.add(batch.num_rows)
    shown.end()
    return found
