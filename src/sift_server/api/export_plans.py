"""What the requests of `sift.exports.v1` ask for, as plans.

Names of columns: a channel's own name, behind that of its asset where a file has several assets,
and behind that of its run where it has several runs: `asset.run.channel`.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.protobuf import json_format

from sift.calculated_channels.v2 import calculated_channels_pb2 as calculated_pb
from sift.data.v2 import data_pb2
from sift.exports.v1 import exports_pb2 as pb
from sift_files.names import unique
from sift_files.writers import WrittenFormat
from sift_server.api.services.calculated_channels_v2 import CalculatedChannelService
from sift_server.api.services.convert import INT_64_MAX, INT_64_MIN, from_timestamp
from sift_server.catalog import ListRequest
from sift_server.errors import InvalidArgumentError, ResourceExhaustedError, UnimplementedError
from sift_server.exports import ExportPlan, PlannedColumn, PlannedFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from google.protobuf.timestamp_pb2 import Timestamp

    from sift_server.catalog import Catalog, Channel
    from sift_server.lake import PointStore

EXPORT_COLUMNS_MAX = 100_000
"""Columns of an export, of all of its files."""

_FORMATS = {
    pb.EXPORT_OUTPUT_FORMAT_CSV: WrittenFormat.CSV,
    pb.EXPORT_OUTPUT_FORMAT_PARQUET: WrittenFormat.PARQUET,
}
_ASSETS_PER_PAGE = 1_000
_NOT_IN_FILE_NAMES = re.compile(r"[^\w.+-]+")
_FILE_NAME_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class _Source:
    """What points are of.

    Attributes:
        asset_id: The asset.
        run_id: The run; None for points of whatever run.
        name: Of the channel.
        query: The question for its points.
        unit: Of an expression.
    """

    asset_id: str
    run_id: str | None
    name: str
    query: data_pb2.Query
    unit: str = ""


@dataclass(frozen=True, slots=True)
class _Selection:
    """Which part of everything is asked for.

    Attributes:
        asset_ids: Assets; None for those of the channels.
        run_ids: Runs; None for points of whatever run.
        start_ns: Earliest time.
        end_ns: Time that is no longer included.
    """

    asset_ids: list[str] | None
    run_ids: list[str] | None
    start_ns: int
    end_ns: int


class ExportPlans:
    """Makes plans of requests. Safe from many threads."""

    def __init__(self, catalog: Catalog, store: PointStore) -> None:
        self._catalog = catalog
        self._store = store
        self._calculated = CalculatedChannelService(catalog, store)

    def of_json(self, request_json: str) -> ExportPlan:
        """The plan of a request that was kept; raises as `plan`."""
        return self.plan(json_format.Parse(request_json, pb.ExportDataRequest()))

    def plan(self, request: pb.ExportDataRequest) -> ExportPlan:
        """The plan of a request.

        Raises:
            InvalidArgumentError: It contradicts itself, or lacks something.
            NotFoundError: It names what is not there.
            UnimplementedError: It wants what this server does not do.
            ResourceExhaustedError: It has too many columns.
        """
        file_format = _format_of(request)
        options = request.export_options
        selection = self._selection(request)
        if options.split_export_by_run and selection.run_ids is None:
            raise InvalidArgumentError(
                "split_export_by_run is for exports of runs: name them, as runs_and_time_range"
            )
        sources = list(self._sources(request, selection))
        groups: dict[tuple[str, str | None], list[_Source]] = {}
        for source in sources:
            key = (
                source.asset_id if options.split_export_by_asset else "",
                source.run_id if options.split_export_by_run else "",
            )
            groups.setdefault(key, []).append(source)
        if not groups:
            groups["", ""] = []
        asset_names, run_names = self._names(sources)
        names = [
            _file_name(asset_names.get(asset_id, ""), run_names.get(run_id or "", ""))
            for asset_id, run_id in groups
        ]
        files = [
            PlannedFile(name, _columns(mine, options, asset_names, run_names))
            for name, mine in zip(unique(names), groups.values(), strict=True)
        ]
        return ExportPlan(file_format, tuple(files), selection.start_ns, selection.end_ns)

    def _selection(self, request: pb.ExportDataRequest) -> _Selection:
        match request.WhichOneof("time_selection"):
            case "time_range":
                if not (request.channel_ids or request.calculated_channel_configs):
                    raise InvalidArgumentError(
                        "an export of a time range needs channel_ids or calculated_channel_configs;"
                        " exports of runs or assets take all of their channels"
                    )
                asked = request.time_range
                return _Selection(None, None, *_times(asked.start_time, asked.stop_time, asked))
            case "runs_and_time_range":
                return self._of_runs(request.runs_and_time_range)
            case "assets_and_time_range":
                return self._of_assets(request.assets_and_time_range)
            case _:
                raise InvalidArgumentError(
                    "say what to export: time_range, runs_and_time_range or assets_and_time_range"
                )

    def _of_runs(self, asked: pb.RunsAndTimeRange) -> _Selection:
        run_ids = list(dict.fromkeys(asked.run_ids))
        if not run_ids:
            raise InvalidArgumentError("runs_and_time_range names no run")
        for run_id in run_ids:
            self._catalog.runs.get(run_id)
        start_ns, end_ns = INT_64_MIN, INT_64_MAX
        if asked.HasField("start_time"):
            start_ns = from_timestamp(asked.start_time, "start_time")
        if asked.HasField("stop_time"):
            end_ns = from_timestamp(asked.stop_time, "stop_time")
        return _Selection(None, run_ids, start_ns, end_ns)

    def _of_assets(self, asked: pb.AssetsAndTimeRange) -> _Selection:
        asset_ids = list(dict.fromkeys(asked.asset_ids))
        if not asset_ids:
            raise InvalidArgumentError("assets_and_time_range names no asset")
        for asset_id in asset_ids:
            self._catalog.assets.get(asset_id)
        return _Selection(asset_ids, None, *_times(asked.start_time, asked.stop_time, asked))

    def _sources(self, request: pb.ExportDataRequest, selection: _Selection) -> Iterator[_Source]:
        channels = self._channels(request, selection)
        run_ids = [None] if selection.run_ids is None else selection.run_ids
        count = len(run_ids) * (len(channels) + len(request.calculated_channel_configs))
        if count > EXPORT_COLUMNS_MAX:
            raise ResourceExhaustedError(
                f"the export has up to {count:,} columns; the limit is {EXPORT_COLUMNS_MAX:,}"
                " (EXPORT_COLUMNS_MAX). Name channels, or export in parts"
            )
        for channel in channels:
            for run_id in run_ids:
                asked = data_pb2.ChannelQuery(channel_id=channel.channel_id, run_id=run_id)
                query = data_pb2.Query(channel=asked)
                yield _Source(channel.asset_id, run_id, channel.config.fqn, query)
        if request.calculated_channel_configs:
            asset_ids = list(dict.fromkeys(each.asset_id for each in channels))
            for config in request.calculated_channel_configs:
                yield from self._expressions(config, asset_ids or self._assets(selection), run_ids)

    def _channels(self, request: pb.ExportDataRequest, selection: _Selection) -> Sequence[Channel]:
        if request.channel_ids:
            wanted = list(dict.fromkeys(request.channel_ids))
            found = [self._catalog.channels.get(channel_id) for channel_id in wanted]
            allowed = selection.asset_ids
            for channel in found:
                if allowed is not None and channel.asset_id not in allowed:
                    raise InvalidArgumentError(
                        f"the channel {channel.config.fqn!r} ({channel.channel_id}) is of none of"
                        " the assets that assets_and_time_range names"
                    )
            return found
        if request.calculated_channel_configs:
            return []
        return [
            channel
            for asset_id in self._assets(selection)
            for channel in self._catalog.channels.of_asset(asset_id)
        ]

    def _assets(self, selection: _Selection) -> list[str]:
        """The assets that are named, or have points in the runs that are, or all."""
        if selection.asset_ids is not None:
            return selection.asset_ids
        if selection.run_ids is None:
            return self._all_assets()
        return [each for each in self._all_assets() if self._has_points(each, selection)]

    def _has_points(self, asset_id: str, selection: _Selection) -> bool:
        """Whether an asset has points in one of the runs."""
        wanted = set(selection.run_ids or ())
        for channel in self._catalog.channels.of_asset(asset_id):
            view = self._store.view(channel.channel_id, channel.config.data_type)
            if wanted & set(view.run_ids(selection.start_ns, selection.end_ns)):
                return True
        return False

    def _expressions(
        self,
        config: pb.CalculatedChannelConfig,
        asset_ids: Iterable[str],
        run_ids: Sequence[str | None],
    ) -> Iterator[_Source]:
        asking = calculated_pb.ResolveCalculatedChannelRequest()
        asked = asking.calculated_channel_configuration
        asked.asset_configuration.all_assets = True
        asked.query_configuration.sel.expression = config.expression
        references = asked.query_configuration.sel.expression_channel_references
        references.extend(config.channel_references)
        # Published clients look channels up, and send their ids.
        by_id = self._catalog.channels.with_ids(each.channel_identifier for each in references)
        for reference in references:
            if reference.channel_identifier in by_id:
                reference.channel_identifier = by_id[reference.channel_identifier].config.fqn
        of_ids = {channel.asset_id for channel in by_id.values()}
        asking.assets.ids.ids.extend(each for each in asset_ids if {each} >= of_ids)
        if not asking.assets.ids.ids:
            raise InvalidArgumentError(
                f"the calculated channel {config.name!r} is of no asset that is exported, or of"
                " channels of several"
            )
        answer = self._calculated.resolve_calculated_channel(asking)
        if not answer.resolved:
            why = answer.unresolved[0].error_message if answer.unresolved else "there is no asset"
            raise InvalidArgumentError(f"the calculated channel {config.name!r}: {why}")
        for one in answer.resolved:
            for run_id in run_ids:
                query = data_pb2.CalculatedChannelQuery(
                    channel_key=config.name, expression=one.expression_request, run_id=run_id
                )
                yield _Source(
                    one.asset_id, run_id, config.name,
                    data_pb2.Query(calculated_channel=query), config.units,
                )  # fmt: skip

    def _all_assets(self) -> list[str]:
        """All assets, by name."""
        found: list[str] = []
        page_token = ""
        while True:
            page = self._catalog.assets.list(
                ListRequest(order_by="name", page_size=_ASSETS_PER_PAGE, page_token=page_token)
            )
            found += [asset.asset_id for asset in page.items]
            page_token = page.next_token
            if not page_token:
                return found

    def _names(self, sources: Iterable[_Source]) -> tuple[dict[str, str], dict[str, str]]:
        """Names of assets and runs, by their ids."""
        asset_ids = {each.asset_id for each in sources}
        run_ids = {each.run_id for each in sources if each.run_id}
        assets = {asset_id: self._catalog.assets.get(asset_id).name for asset_id in asset_ids}
        return assets, self._catalog.runs.names(run_ids)


def _format_of(request: pb.ExportDataRequest) -> WrittenFormat:
    options = request.export_options
    if options.use_legacy_format:
        raise UnimplementedError("this server has no legacy format; leave use_legacy_format out")
    if options.embed_channel_configs and request.output_format != pb.EXPORT_OUTPUT_FORMAT_PARQUET:
        raise UnimplementedError(
            "this server embeds configs of channels in Parquet only, always; leave"
            " embed_channel_configs out"
        )
    found = _FORMATS.get(request.output_format)
    if found is None:
        name = pb.ExportOutputFormat.Name(request.output_format)
        raise UnimplementedError(
            f"this server exports EXPORT_OUTPUT_FORMAT_CSV and EXPORT_OUTPUT_FORMAT_PARQUET, not"
            f" {name}"
        )
    return found


def _columns(
    sources: Iterable[_Source],
    options: pb.ExportOptions,
    asset_names: dict[str, str],
    run_names: dict[str, str],
) -> tuple[PlannedColumn, ...]:
    """The columns of a file."""
    parts: dict[tuple[str, str | None, str], list[_Source]] = {}
    for source in sources:
        run_id = None if options.combine_runs else source.run_id
        parts.setdefault((source.asset_id, run_id, source.name), []).append(source)
    has_assets = len({asset_id for asset_id, _, _ in parts}) > 1
    has_runs = len({run_id for _, run_id, _ in parts}) > 1
    names = []
    for asset_id, run_id, name in parts:
        before = [asset_names[asset_id]] if has_assets else []
        before += [run_names.get(run_id or "", "")] if has_runs else []
        names.append(".".join([*before, name]))
    if options.simplify_channel_names:
        short = [name.rpartition(".")[2] for name in names]
        counts = Counter(short)
        names = [
            mine if mine and counts[mine] == 1 else name
            for mine, name in zip(short, names, strict=True)
        ]
    return tuple(
        PlannedColumn(name, tuple(each.query for each in mine), mine[0].unit)
        for name, mine in zip(unique(names), parts.values(), strict=True)
    )


def _file_name(asset: str, run: str) -> str:
    """What a file is called that is of an asset, a run, or both."""
    text = "_".join(filter(None, (asset, run))) or "export"
    return _NOT_IN_FILE_NAMES.sub("_", text).strip("._")[:_FILE_NAME_CHARACTERS] or "export"


def _times(
    start: Timestamp, stop: Timestamp, asked: pb.TimeRange | pb.AssetsAndTimeRange
) -> tuple[int, int]:
    """Start and stop, which both have to be there."""
    for name in ("start_time", "stop_time"):
        if not asked.HasField(name):
            raise InvalidArgumentError(
                f"this export needs start_time and stop_time; {name} is missing"
            )
    start_ns, stop_ns = from_timestamp(start, "start_time"), from_timestamp(stop, "stop_time")
    if stop_ns < start_ns:
        raise InvalidArgumentError("stop_time is before start_time")
    return start_ns, stop_ns
