"""Names of the wide views: one for each flow of an asset, `"asset"."flow"`, and of their columns.

Names of SQL do not tell large letters from small ones, and some are taken. Where two names would be
the same, the one that was there later gets `_2`, `_3`, ... behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sift_wire.columns import DataType

_SCHEMAS_TAKEN = ("information_schema", "main", "memory", "pg_catalog", "system", "temp")
ROW_COLUMNS = ("time", "timestamp_ns", "run", "run_id")
"""Columns of a wide view that are not channels."""


@dataclass(frozen=True, slots=True)
class FlowChannel:
    """A channel of a wide view.

    Attributes:
        name: Its fully qualified name.
        enum_types: `(name, key)` of each state.
    """

    channel_id: str
    name: str
    data_type: DataType
    enum_types: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class FlowView:
    """A wide view.

    Attributes:
        asset: Name of the asset.
        flow: Name of the flow. Several configs of the asset may have one of that name: then the
            view has the channels of all.
        schema: What the asset is called in SQL.
        name: What the flow is called in SQL.
        columns: What each channel is called, in order.
    """

    asset: str
    flow: str
    schema: str
    name: str
    columns: Mapping[str, FlowChannel]

    @property
    def sql_name(self) -> str:
        """What to write in a statement."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"


class FlowViews:
    """The views of some flows."""

    def __init__(self, flows: Iterable[tuple[str, str, tuple[FlowChannel, ...]]]) -> None:
        """Take asset, name and channels of each flow, in the order in which they were made."""
        by_asset: dict[str, dict[str, dict[str, FlowChannel]]] = {}
        for asset, flow, channels in flows:
            known = by_asset.setdefault(asset, {}).setdefault(flow, {})
            for channel in channels:
                known.setdefault(channel.channel_id, channel)
        self._views: dict[tuple[str, str], FlowView] = {}
        for schema, asset in _distinct(by_asset, _SCHEMAS_TAKEN):
            for name, flow in _distinct(by_asset[asset], ()):
                channels_of = by_asset[asset][flow].values()
                names = _distinct([each.name for each in channels_of], ROW_COLUMNS)
                columns = {
                    column: each for (column, _), each in zip(names, channels_of, strict=True)
                }
                view = FlowView(asset, flow, schema, name, columns)
                self._views[schema.lower(), name.lower()] = view

    def find(self, schema: str, name: str) -> FlowView | None:
        """The view of a name, however it is written."""
        return self._views.get((schema.lower(), name.lower()))

    def __iter__(self) -> Iterator[FlowView]:
        return iter(self._views.values())


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def _distinct(names: Iterable[str], taken: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each name as it is called, and as it is."""
    seen = set(taken)
    for name in names:
        called, number = name, 1
        while called.lower() in seen:
            number += 1
            called = f"{name}_{number}"
        seen.add(called.lower())
        yield called, name
