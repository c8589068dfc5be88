"""Reads channels by the names of published releases. `sift_py.data.read_channels` is one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift_py.data._finding import Finder
from sift_py.data.query import DataQueryResult, DataQueryResultSet
from sift_py.data.reading import read_asked, request_between
from sift_py.data.readings import Readings

if TYPE_CHECKING:
    from sift_py.data.query import DataQuery
    from sift_py.data.readings import ChannelReadings
    from sift_py.grpc.transport import SiftChannel

__all__ = ["DataService"]


class DataService:
    """Reads what a `DataQuery` asks for. Safe from many threads.

    Example:
        ```python
        query = DataQuery(
            asset_name="NostromoLV426",
            start_time="2026-07-04T18:09:08Z",
            end_time="2026-07-04T18:09:11Z",
            channels=[ChannelQuery("velocity", component="mainmotor", run_name="hot fire 12")],
        )
        result = DataService(channel).execute(query)
        frame = pandas.DataFrame(result.channel("mainmotor.velocity").columns())
        ```
    """

    def __init__(self, channel: SiftChannel) -> None:
        """Take what `sift_py.grpc.transport.use_sift_channel` opened."""
        self._channel = channel

    def execute(self, query: DataQuery, bust_cache: bool = False) -> DataQueryResult:
        """Read everything that a query asks for.

        Args:
            query: What to read.
            bust_cache: Not needed: nothing is remembered from one query to the next.

        Raises:
            DataError: There is no asset, channel or run of a name, or several runs are.
            DataReadError: The server refused, or broke off.
        """
        del bust_cache
        asked = Finder(self._channel, query.asset_name).find(query.channels, None)
        request = request_between(query.start_time, query.end_time, query.sample_ms)
        readings = read_asked(self._channel, request, asked, progress=False)
        sets: dict[str, dict[tuple[str, str], list[ChannelReadings]]] = {}
        for each in readings:
            key = each.name, each.channel_id
            sets.setdefault(each.channel, {}).setdefault(key, []).append(each)
        return DataQueryResult(
            {
                channel: [_result_set(name, parts) for (name, _), parts in by_key.items()]
                for channel, by_key in sets.items()
            }
        )


def _result_set(name: str, parts: list[ChannelReadings]) -> DataQueryResultSet:
    ((timestamps_ns, values),) = Readings(parts).to_numpy().values()
    return DataQueryResultSet.of(name, timestamps_ns, values)
