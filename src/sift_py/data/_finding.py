"""What names of assets, runs and channels stand for on a server."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from sift.assets.v1.assets_pb2 import Asset, ListAssetsRequest
from sift.assets.v1.assets_pb2_grpc import AssetServiceStub
from sift.calculated_channels.v1.calculated_channels_pb2 import (
    ExpressionChannelReference as ReferenceMessage,
)
from sift.calculated_channels.v1.calculated_channels_pb2 import ExpressionRequest
from sift.calculated_channels.v2.calculated_channels_pb2 import (
    ListCalculatedChannelsRequest,
    ResolveCalculatedChannelRequest,
)
from sift.calculated_channels.v2.calculated_channels_pb2_grpc import CalculatedChannelServiceStub
from sift.channels.v3.channels_pb2 import Channel, ListChannelsRequest
from sift.channels.v3.channels_pb2_grpc import ChannelServiceStub
from sift.data.v2.data_pb2 import CalculatedChannelQuery as CalculatedMessage
from sift.data.v2.data_pb2 import ChannelQuery as ChannelMessage
from sift.data.v2.data_pb2 import Query
from sift.runs.v2.runs_pb2 import ListRunsRequest
from sift.runs.v2.runs_pb2_grpc import RunServiceStub
from sift_py._internal.lists import any_of, paged, quoted
from sift_py.data.query import CalculatedChannelQuery, ChannelQuery
from sift_py.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sift_py.grpc.transport import SiftChannel

_CHANNELS_PER_PAGE = 10_000
_PATTERN_SIGNS = frozenset("*?[")
_TOLD_MAX = 5


@dataclass(frozen=True)
class Asked:
    """Something to read, and what it is called in the answer."""

    name: str
    query: Query


class Finder:
    """Finds what names stand for. For one question: it remembers what it asked."""

    def __init__(self, channel: SiftChannel, asset_name: str) -> None:
        """Find an asset.

        Raises:
            DataError: There is none of the name.
        """
        self._channel = channel
        self._asset = self._find_asset(asset_name)
        self._runs: dict[str, str] = {}
        self._channels: dict[str, dict[str, Channel]] = {}
        """Channels by name and id: a name that had several data types has a channel of each."""
        self._has_all = False

    @property
    def asset_id(self) -> str:
        """Id of the asset."""
        return str(self._asset.asset_id)

    def run_id(self, run_name: str | None) -> str | None:
        """Id of a run; what is None or empty stays so.

        Raises:
            DataError: There is no run of the name, or several are.
        """
        if not run_name:
            return run_name
        if run_name not in self._runs:
            self._runs[run_name] = self._find_run(run_name)
        return self._runs[run_name]

    def check_names(self, names: Sequence[str]) -> None:
        """Check that channels are there, but for those that patterns stand for.

        Raises:
            DataError: There is none of a name.
        """
        plain = [name for name in names if not _PATTERN_SIGNS & set(name)]
        self._fetch(plain)
        for name in plain:
            if name not in self._channels:
                raise self._unknown(name)

    def channel_id(self, name: str) -> str:
        """Id of a channel; not of a calculated one. Of several data types it is the latest.

        Raises:
            DataError: There is none of the name.
        """
        self._fetch([name])
        channel = self._latest(name)
        if channel is None:
            raise self._unknown(name)
        return str(channel.channel_id)

    def find(
        self,
        channels: Iterable[str | ChannelQuery | CalculatedChannelQuery],
        run_name: str | None,
    ) -> list[Asked]:
        """Find channels, in their order, each once; those of a name in several data types, too.

        Args:
            channels: Names, with the signs of shell patterns (`*`, `?`, `[...]`) or without, or
                queries.
            run_name: The run of names, as in `ChannelQuery`.

        Raises:
            DataError: There is no channel, or no run, of a name, or several runs are.
        """
        wanted = list(channels)
        if any(isinstance(each, str) and _PATTERN_SIGNS & set(each) for each in wanted):
            self._fetch_all()
        else:
            self._fetch(_names_of(wanted))
        found: dict[tuple[str, str], Asked] = {}
        for each in wanted:
            for asked in self._asked(each, run_name):
                found.setdefault((asked.name, str(asked.query)), asked)
        return list(found.values())

    def _asked(
        self, wanted: str | ChannelQuery | CalculatedChannelQuery, run_name: str | None
    ) -> list[Asked]:
        if isinstance(wanted, CalculatedChannelQuery):
            return [self._expression(wanted)]
        if isinstance(wanted, ChannelQuery):
            return self._named(wanted.fqn(), wanted.run_name)
        if wanted not in self._channels and _PATTERN_SIGNS & set(wanted):
            names = [name for name in self._channels if fnmatchcase(name, wanted)]
            if not names:
                raise self._unknown(wanted)
            return [asked for name in names for asked in self._named(name, run_name)]
        return self._named(wanted, run_name)

    def _named(self, name: str, run_name: str | None) -> list[Asked]:
        run_id = self.run_id(run_name)
        if name in self._channels:
            queries = [
                ChannelMessage(channel_id=channel_id, run_id=run_id)
                for channel_id in self._channels[name]
            ]
            return [Asked(name, Query(channel=query)) for query in queries]
        request = self._calculated(name)
        message = CalculatedMessage(channel_key=name, expression=request, run_id=run_id)
        return [Asked(name, Query(calculated_channel=message))]

    def _expression(self, asked: CalculatedChannelQuery) -> Asked:
        request = ExpressionRequest(expression=asked.expression)
        for reference in asked.expression_channel_references:
            name = ChannelQuery(reference["channel_name"], reference.get("component")).fqn()
            data_type = reference.get("data_type")
            channel = self._latest(name, data_type.value if data_type else None)
            if channel is None:
                raise self._unknown(name)
            request.expression_channel_references.append(
                ReferenceMessage(
                    channel_reference=reference["reference"], channel_id=channel.channel_id
                )
            )
        message = CalculatedMessage(
            channel_key=asked.channel_key,
            expression=request,
            run_id=self.run_id(asked.run_name),
        )
        return Asked(asked.channel_key, Query(calculated_channel=message))

    def _calculated(self, name: str) -> ExpressionRequest:
        """The expression of a calculated channel of the asset."""
        stub: Any = CalculatedChannelServiceStub(self._channel)
        request = ListCalculatedChannelsRequest(
            filter=f"name == {quoted(name)} && is_archived == false"
        )
        errors = []
        for channel in paged(stub.ListCalculatedChannels, request, "calculated_channels"):
            resolving = ResolveCalculatedChannelRequest()
            resolving.identifier.id = channel.calculated_channel_id
            resolving.assets.ids.ids.append(self._asset.asset_id)
            answer = stub.ResolveCalculatedChannel(resolving)
            for resolved in answer.resolved:
                return resolved.expression_request  # type: ignore[no-any-return]
            errors += [each.error_message for each in answer.unresolved]
        if errors:
            raise DataError(f"the calculated channel {name!r} can't be read: {errors[0]}")
        raise self._unknown(name)

    def _find_run(self, run_name: str) -> str:
        stub: Any = RunServiceStub(self._channel)
        text = quoted(run_name)
        request = ListRunsRequest(
            filter=f"run_id == {text} || client_key == {text} || name == {text}",
            order_by="created_date desc",
        )
        runs = list(paged(stub.ListRuns, request, "runs"))
        if not runs:
            raise DataError(f"there is no run {run_name!r}.")
        exact = [run for run in runs if run_name in (run.run_id, run.client_key)]
        if len(exact or runs) > 1:
            ids = ", ".join(run.run_id for run in runs[:_TOLD_MAX])
            raise DataError(
                f"{len(runs)} runs are called {run_name!r}; name one by its id, the newest first:"
                f" {ids}"
            )
        return str((exact or runs)[0].run_id)

    def _find_asset(self, asset_name: str) -> Asset:
        stub: Any = AssetServiceStub(self._channel)
        request = ListAssetsRequest(filter=f"name == {quoted(asset_name)}", page_size=1)
        assets = stub.ListAssets(request).assets
        if not assets:
            names = [asset.name for asset in stub.ListAssets(ListAssetsRequest()).assets]
            raise DataError(f"there is no asset {asset_name!r}.{_hint(asset_name, names)}")
        return assets[0]  # type: ignore[no-any-return]

    def _fetch(self, names: Sequence[str]) -> None:
        missing = sorted({name for name in names if name not in self._channels})
        for first in range(0, len(missing), _NAMES_PER_CALL):
            self._list(f" && {any_of('name', missing[first : first + _NAMES_PER_CALL])}")

    def _fetch_all(self) -> None:
        if not self._has_all:
            self._list("")
            self._has_all = True

    def _list(self, more: str) -> None:
        stub: Any = ChannelServiceStub(self._channel)
        request = ListChannelsRequest(
            filter=f"asset_id == {quoted(self._asset.asset_id)}{more}",
            page_size=_CHANNELS_PER_PAGE,
        )
        for channel in paged(stub.ListChannels, request, "channels"):
            self._channels.setdefault(channel.name, {})[channel.channel_id] = channel

    def _latest(self, name: str, data_type: int | None = None) -> Channel | None:
        """The latest channel of a name, and of a data type if one is given."""
        found = [
            each
            for each in self._channels.get(name, {}).values()
            if data_type in (None, each.data_type)
        ]
        return max(found, key=_age, default=None)

    def _unknown(self, name: str) -> DataError:
        self._fetch_all()
        hint = _hint(name, self._channels)
        return DataError(f"the asset {self._asset.name!r} has no channel {name!r}.{hint}")


_NAMES_PER_CALL = 200
"""As many names as a filter may have."""


def _age(channel: Channel) -> tuple[int, int]:
    return channel.created_date.seconds, channel.created_date.nanos


def _names_of(wanted: Iterable[str | ChannelQuery | CalculatedChannelQuery]) -> list[str]:
    names: list[str] = []
    for each in wanted:
        if isinstance(each, CalculatedChannelQuery):
            names += [
                ChannelQuery(one["channel_name"], one.get("component")).fqn()
                for one in each.expression_channel_references
            ]
        else:
            names.append(each.fqn() if isinstance(each, ChannelQuery) else each)
    return names


def _hint(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(names), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
