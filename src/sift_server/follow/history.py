"""What a follower reads from the store: what was there before, and what it missed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sift_server.lake import points_once
from sift_server.query import AssetInfo, RunInfo, RunPoints, channel_info
from sift_server.query.arrow import point_batch, point_schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sift_server.catalog import Catalog, Channel
    from sift_server.follow.backlog import Backlog
    from sift_server.follow.selection import Selection
    from sift_server.lake import ChannelView, PointStore, StoreSnapshot
    from sift_server.query import ChannelInfo


class History:
    """Points of a backlog, as they are stored. For one thread."""

    def __init__(
        self,
        catalog: Catalog,
        selection: Selection,
        backlog: Backlog,
        stored: PointStore | StoreSnapshot,
    ) -> None:
        """Take what is followed, and where the points are.

        Args:
            catalog: Knows the channels.
            selection: What is followed.
            backlog: What is to be read of it.
            stored: Points as they were at one moment; or a store, whose channels are read as they
                are when it is their turn, so that nothing is held up to then.
        """
        self._catalog = catalog
        self._selection = selection
        self._backlog = backlog
        self._stored = stored

    def streams(self) -> Iterator[tuple[Any, Iterator[Any]]]:
        """Schema and record batches of each channel and run, as `query.arrow` makes them.

        Points are sorted by time, each once; one window of the table is in memory at a time.
        """
        for channel in self._channels():
            asset = self._catalog.assets.get(channel.asset_id)
            info = channel_info(channel)
            view = self._stored.view(channel.channel_id, channel.config.data_type)
            for run_id, first_ns, last_ns in self._parts(view):
                run = None
                if run_id:
                    run = RunInfo(run_id, self._catalog.runs.names([run_id]).get(run_id, ""))
                schema = point_schema(info, AssetInfo(asset.asset_id, asset.name), run, 0, 0)
                yield schema, _batches(schema, info, view, run_id, first_ns, last_ns)

    def _channels(self) -> Sequence[Channel]:
        selection, channels = self._selection, self._catalog.channels
        if self._backlog.rest is None:
            ids = {channel_id for _, channel_id in self._backlog.parts}
            return list(channels.with_ids(ids).values())
        if selection.asset_id is None:
            return list(channels.with_ids(selection.channel_ids).values())
        return [
            channel
            for channel in channels.of_asset(selection.asset_id)
            if selection.has_name(channel.config.fqn)
        ]

    def _parts(self, view: ChannelView) -> Iterator[tuple[str, int, int]]:
        """Runs of which something is to be read, and the time, the ends included."""
        rest, parts = self._backlog.rest, self._backlog.parts
        known = {run_id: part for (run_id, each), part in parts.items() if each == view.channel_id}
        runs = set(known)
        if rest is not None:
            runs.update(view.run_ids(rest[0], _behind(rest[1])))
        for run_id in sorted(runs):
            part = known.get(run_id, rest)
            if part is not None and self._selection.run_id in (None, run_id):
                yield run_id, *part


def _batches(
    schema: Any,  # noqa: ANN401 (pyarrow has no types)
    channel: ChannelInfo,
    view: ChannelView,
    run_id: str,
    first_ns: int,
    last_ns: int,
) -> Iterator[Any]:
    for window in view.read(run_id, first_ns, _behind(last_ns)):
        points = points_once(window)
        yield point_batch(schema, channel, RunPoints(run_id, points.timestamps_ns, points.values))


_NS_MAX = 2**63 - 1


def _behind(time_ns: int) -> int:
    """The end, which is excluded, of what includes a time. Nothing is later than `_NS_MAX - 1`."""
    return min(time_ns + 1, _NS_MAX)
