"""What a query of `GetData` is about, and what reads its points."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from sift.calculated_channels.v1 import calculated_channels_pb2
from sift_server.api.services.expression_requests import from_request
from sift_server.calculated import DATA_TYPES, CalculatedReader, Resolution
from sift_server.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError
from sift_server.expressions import check_condition
from sift_server.query import (
    ChannelInfo,
    PointReader,
    channel_info,
    channel_sources,
    is_sampled,
    read_sampled,
)
from sift_server.rules.sources import SourceKey
from sift_wire.columns import DataType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sift.data.v2 import data_pb2
    from sift_server.calculated import Resolved
    from sift_server.catalog import CalculatedChannel, Catalog, Channel
    from sift_server.expressions import Expression
    from sift_server.lake import PointStore
    from sift_server.query import Page, RunPoints

    _ReadFrom: TypeAlias = Callable[[str | None, int], Page]
    """Reads a page behind a cursor, of at most so many points."""

VALUES_AT_A_TIME = 256 * 1024
"""Values of an expression, or samples, that are computed at a time when all are read."""

_ASSETS_TOLD_MAX = 12
"""How many assets a message lists."""

_SEPARATOR = "/"

_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class DataQuery:
    """A query.

    Attributes:
        channel: What the answer says of the channel.
        asset_id: Its asset.
        width: How many values of the answer a point makes.
        read: Reads a page of at most so many points.
        read_all: Reads everything from the beginning, a little at a time.
        sampled_ms: How long the buckets are of each of which there is one point; 0 if there are
            all points.
    """

    channel: ChannelInfo
    asset_id: str
    width: int
    read: Callable[[int], Page]
    read_all: Callable[[], Iterator[RunPoints]]
    sampled_ms: int = 0


class DataQueries:
    """Finds out what queries are about. For one request."""

    def __init__(
        self, catalog: Catalog, store: PointStore, start_ns: int, end_ns: int, sample_ms: int
    ) -> None:
        """Take what there is, the time that is asked about, the end excluded, and how closely."""
        self._catalog = catalog
        self._store = store
        self._sample_ms = sample_ms
        self._points = PointReader(store)
        self._values = CalculatedReader(store)
        self._start_ns = start_ns
        self._end_ns = end_ns
        self._resolution = Resolution(catalog)

    def of(self, query: data_pb2.Query, cursor: str | None) -> DataQuery:
        """Return what a query is about: a channel, a calculated channel, or an expression.

        Args:
            query: The query.
            cursor: Where to go on: `next_cursor` of the page before, or None for the first one.

        Raises:
            NotFoundError: There is no such channel.
            InvalidArgumentError: An expression does not fit its channels.
            FailedPreconditionError: A calculated channel is of no or of several assets.
        """
        if query.WhichOneof("query") == "calculated_channel":
            return self._of_expression(query.calculated_channel, cursor)
        asked = query.channel
        run_id = asked.run_id if asked.HasField("run_id") else None
        try:
            channel = self._catalog.channels.get(asked.channel_id)
        except NotFoundError:
            if not asked.channel_id:
                raise
            try:
                calculated = self._catalog.calculated_channels.get(asked.channel_id)
            except NotFoundError:
                calculated = None
            if calculated is None:
                raise
            return self._of_calculated(calculated, run_id, cursor)
        data_type = channel.config.data_type

        asked_for = (channel.channel_id, data_type, self._start_ns, self._end_ns, run_id)
        sampled_ms = self._sampled_ms(data_type)

        def read(after: str | None, limit: int) -> Page:
            if sampled_ms:
                sources = channel_sources(self._store, *asked_for)
                return read_sampled(sources, data_type, sampled_ms * _NS_PER_MS, after, limit)
            return self._points.read(*asked_for, after, limit)

        def read_all() -> Iterator[RunPoints]:
            return _all(read) if sampled_ms else self._points.read_all(*asked_for)

        return DataQuery(
            channel_info(channel),
            channel.asset_id,
            _width(channel),
            partial(read, cursor),
            read_all,
            sampled_ms,
        )

    def _sampled_ms(self, data_type: DataType) -> int:
        return self._sample_ms if is_sampled(data_type) else 0

    def _of_expression(
        self, asked: data_pb2.CalculatedChannelQuery, cursor: str | None
    ) -> DataQuery:
        expression = self._resolution.inline(from_request(asked.expression))
        if asked.mode == calculated_channels_pb2.EXPRESSION_MODE_RULES:
            check_condition(expression)
        info = ChannelInfo(asked.channel_key, asked.channel_key, DATA_TYPES[expression.type])
        first = expression.sources[0].key
        assert isinstance(first, SourceKey)  # noqa: S101 - made by `source_of`
        asset_id = self._resolution.nesting.channel(first.channel_id).asset_id
        run_id = asked.run_id if asked.HasField("run_id") else None
        read = self._reading(expression, run_id, asked.combine_run_data)
        sampled_ms = self._sampled_ms(info.data_type)
        return DataQuery(info, asset_id, 1, partial(read, cursor), partial(_all, read), sampled_ms)

    def _of_calculated(
        self, channel: CalculatedChannel, run_id: str | None, cursor: str | None
    ) -> DataQuery:
        if cursor is None:
            resolved, behind = self._only(channel), None
        else:
            # Pages are of the version and the asset that the first one was of.
            version_id, asset_id, behind = _parts(cursor)
            channel = self._resolution.nesting.version(version_id)
            resolved = self._resolution.of_asset(
                channel.content, asset_id, channel.calculated_channel_id
            )
        info = ChannelInfo(
            channel.calculated_channel_id,
            channel.content.name,
            DATA_TYPES[resolved.expression.type],
            channel.content.units or "",
        )
        read_values = self._reading(resolved.expression, run_id)

        def read(limit: int) -> Page:
            page = read_values(behind, limit)
            if page.next_cursor is None:
                return page
            parts = (channel.version_id, resolved.asset_id, page.next_cursor)
            return replace(page, next_cursor=_SEPARATOR.join(parts))

        sampled_ms = self._sampled_ms(info.data_type)
        return DataQuery(info, resolved.asset_id, 1, read, partial(_all, read_values), sampled_ms)

    def _only(self, channel: CalculatedChannel) -> Resolved:
        """The one asset that a calculated channel fits."""
        fitting, errors = [], []
        for asset_id in self._catalog.calculated_channels.assets_of(channel.content):
            try:
                fitting.append(
                    self._resolution.of_asset(
                        channel.content, asset_id, channel.calculated_channel_id
                    )
                )
            except InvalidArgumentError as error:
                errors.append(str(error))
        name = channel.content.name
        if not fitting:
            why = f": {errors[0]}" if errors else ""
            raise FailedPreconditionError(
                f"the calculated channel {name!r} fits none of its {len(errors):,} assets{why}"
            )
        if len(fitting) > 1:
            shown = [
                repr(self._catalog.assets.get(one.asset_id).name)
                for one in fitting[:_ASSETS_TOLD_MAX]
            ]
            more = ["..."] if len(fitting) > _ASSETS_TOLD_MAX else []
            raise FailedPreconditionError(
                f"the calculated channel {name!r} is one of {len(fitting):,} assets,"
                f" {', '.join(shown + more)}, and a query of its id does not say of which; resolve"
                " it for an asset (ResolveCalculatedChannel), and ask for the expression that comes"
                " back by a calculated_channel query"
            )
        return fitting[0]

    def _reading(
        self, expression: Expression, run_id: str | None, combines_runs: bool = False
    ) -> _ReadFrom:
        asked_for = (expression, self._start_ns, self._end_ns, run_id)
        data_type = DATA_TYPES[expression.type]
        sampled_ms = self._sampled_ms(data_type)

        def read(after: str | None, limit: int) -> Page:
            if sampled_ms:
                sources = self._values.sources(*asked_for, combines_runs=combines_runs)
                return read_sampled(sources, data_type, sampled_ms * _NS_PER_MS, after, limit)
            return self._values.read(*asked_for, after, limit, combines_runs=combines_runs)

        return read


def _all(read: _ReadFrom) -> Iterator[RunPoints]:
    """Everything from the beginning, page by page."""
    cursor = None
    while True:
        page = read(cursor, VALUES_AT_A_TIME)
        yield from page.runs
        cursor = page.next_cursor
        if cursor is None:
            return


def _parts(cursor: str) -> tuple[str, str, str]:
    """The version, the asset, and what is behind them in a cursor of a calculated channel."""
    try:
        version_id, asset_id, behind = cursor.split(_SEPARATOR)
    except ValueError:
        raise InvalidArgumentError(
            "page_token is none that this server gave; leave it out for the first page"
        ) from None
    return version_id, asset_id, behind


def _width(channel: Channel) -> int:
    if channel.config.data_type is not DataType.BIT_FIELD:
        return 1
    return max(1, len(channel.config.bit_field_elements))
