"""What a channel is like in buckets of time, as Arrow: `POST /arrow/v1/overview`.

The question is a JSON object:

```text
channel_id    the channel: of numbers, an enum or bools
run_id        the run; an empty string for what has none; all if left out
start_ns      the earliest time; that of the first point if left out
end_ns        time that is no longer included; behind the last point if left out
buckets       how many buckets there are, at the most
```

The answer is one stream: see `query.arrow.overview_batch`. Buckets without points are left out.
What it costs grows with the buckets and the files of the table, not with the points.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sift_server.api.arrow.asked import NS_MAX, NS_MIN, object_of, text_of, time_of
from sift_server.api.arrow.door import ArrowStream
from sift_server.errors import InvalidArgumentError
from sift_server.query import AssetInfo, channel_info
from sift_server.query.arrow import overview_batch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sift_server.catalog import Catalog
    from sift_server.lake import PointStore
    from sift_server.lake.overview import Overview
    from sift_wire.columns import DataType

BUCKETS_MAX = 1_000_000
"""Buckets of an answer."""

_KNOWN = frozenset({"channel_id", "run_id", "start_ns", "end_ns", "buckets"})


class OverviewQuestions:
    """Gives the overview of a channel, as one stream."""

    def __init__(self, catalog: Catalog, store: PointStore) -> None:
        """Take what there is."""
        self._catalog = catalog
        self._store = store

    def __call__(self, asked: Any, /) -> Iterator[ArrowStream]:  # noqa: ANN401 (any JSON)
        """Answer a question.

        Raises:
            InvalidArgumentError: It is none, or the channel is one of strings or bytes.
            NotFoundError: There is no such channel.
        """
        asked = object_of(asked, _KNOWN)
        channel = self._catalog.channels.get(text_of(asked, "channel_id") or "")
        data_type = channel.config.data_type
        if data_type.is_variable_width:
            raise InvalidArgumentError(
                f"the channel {channel.config.fqn!r} has {data_type.name} values, of which none is"
                " the smallest or the largest; read its points"
            )
        run_id, buckets = text_of(asked, "run_id"), asked.get("buckets")
        if type(buckets) is not int or not 1 <= buckets <= BUCKETS_MAX:
            raise InvalidArgumentError(
                f"buckets is a number from 1 to BUCKETS_MAX = {BUCKETS_MAX:,}, not {buckets!r:.40}"
            )
        start_ns = time_of(asked.get("start_ns", NS_MIN), "start_ns")
        end_ns = time_of(asked.get("end_ns", NS_MAX), "end_ns")
        if end_ns <= start_ns:
            raise InvalidArgumentError(f"end_ns, {end_ns}, is not behind start_ns, {start_ns}")
        ends = "start_ns" in asked, "end_ns" in asked
        overview = self._fitted(
            channel.channel_id, data_type, start_ns, end_ns, run_id, buckets, ends
        )
        asset = self._catalog.assets.get(channel.asset_id)
        batch = overview_batch(
            channel_info(channel), AssetInfo(asset.asset_id, asset.name), overview
        )
        yield ArrowStream(batch.schema, iter([batch]))

    def _fitted(
        self,
        channel_id: str,
        data_type: DataType,
        start_ns: int,
        end_ns: int,
        run_id: str | None,
        buckets: int,
        ends: tuple[bool, bool],
    ) -> Overview:
        """The overview of the time in which there are points, if no other end is asked for.

        Each look tells it more closely: to a bucket at the beginning, exactly at the end.
        """
        while True:
            overview = self._store.overview(
                channel_id, data_type, start_ns, end_ns, run_id, buckets
            )
            if not len(overview.starts_ns):
                return overview
            first_ns, last_ns = start_ns, end_ns
            if not ends[0]:
                first_ns = max(start_ns, int(overview.starts_ns[0]))
            if not ends[1]:
                last_ns = int(overview.last_ns.max()) + 1
            # No fewer than half of the buckets are wide enough for a picture.
            if last_ns - first_ns > (end_ns - start_ns) // 2 or overview.bucket_ns == 1:
                return overview
            start_ns, end_ns = first_ns, last_ns
