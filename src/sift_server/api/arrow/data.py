"""Points of channels, and of expressions, as Arrow: `POST /arrow/v1/data`."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from sift.data.v2 import data_pb2
from sift_server.api.arrow.door import ArrowStream
from sift_server.api.services.data_pages import check_data_request, time_range
from sift_server.api.services.data_queries import DataQueries
from sift_server.errors import InvalidArgumentError
from sift_server.query import AssetInfo, RunInfo
from sift_server.query.arrow import point_batch, point_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sift_server.api.services.data_queries import DataQuery
    from sift_server.catalog import Catalog
    from sift_server.lake import PointStore


class DataQuestions:
    """Gives all points that a `GetDataRequest` is about; there are no pages.

    Queries are answered in their order, each with a stream for each run that it has points of, in
    the order of run ids. See `query.arrow.point_schema`.
    """

    def __init__(self, catalog: Catalog, store: PointStore) -> None:
        """Take what there is."""
        self._catalog = catalog
        self._store = store

    def __call__(self, asked: Any, /) -> Iterator[ArrowStream]:  # noqa: ANN401 (any JSON)
        """Answer the JSON form of a `GetDataRequest`.

        Raises:
            ServerError: As `data.v2` GetData does, before anything was given.
        """
        if not isinstance(asked, dict):
            raise InvalidArgumentError("the question is a JSON object, of a GetDataRequest")
        request = data_pb2.GetDataRequest()
        try:
            json_format.ParseDict(asked, request)
        except (json_format.ParseError, AttributeError, RecursionError, TypeError) as error:
            raise InvalidArgumentError(f"this is no GetDataRequest: {error}") from None
        if request.page_size or request.page_token:
            raise InvalidArgumentError("an answer of Arrow has no pages; leave page_size out")
        check_data_request(request)
        between = time_range(request)
        queries = DataQueries(self._catalog, self._store, *between, request.sample_ms)
        # All of them, so that an unknown one is the status of the answer.
        found = [queries.of(query, None) for query in request.queries]
        for number, query in enumerate(found):
            yield from self._streams(number, query)

    def _streams(self, number: int, query: DataQuery) -> Iterator[ArrowStream]:
        asset = self._catalog.assets.get(query.asset_id)
        about = AssetInfo(asset.asset_id, asset.name)
        for run_id, parts in groupby(query.read_all(), lambda points: points.run_id):
            run = None
            if run_id:
                run = RunInfo(run_id, self._catalog.runs.names([run_id]).get(run_id, ""))
            schema = point_schema(query.channel, about, run, number, query.sampled_ms)
            channel = query.channel
            yield ArrowStream(schema, (point_batch(schema, channel, points) for points in parts))
