"""Whole tables of the catalog, for readers that look for themselves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from sift_server.catalog import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Row, Select

    from sift_server.catalog.context import Context

_assets, _channels, _runs = tables.assets.c, tables.channels.c, tables.runs.c
_configs, _flows = tables.ingestion_configs.c, tables.flows.c
_annotations = tables.annotations_table.c


class Listing:
    """All rows of a table, in the order in which they were made. Safe from many threads.

    What was deleted is left out, what was archived is there.
    """

    def __init__(self, context: Context) -> None:
        self._database = context.database

    def assets(self) -> Iterator[Row[Any]]:
        """The assets."""
        return self._rows(select(tables.assets).order_by(_assets.sequence))

    def channels(self) -> Iterator[Row[Any]]:
        """The channels, with the name of their asset as `asset`."""
        return self._rows(
            select(tables.channels, _assets.name.label("asset"))
            .join(tables.assets)
            .order_by(_channels.sequence)
        )

    def channel_ids(self, asset_id: str) -> dict[str, list[str]]:
        """Ids of the channels of an asset, by their names; a name may have several data types."""
        found: dict[str, list[str]] = {}
        query = select(_channels.name, _channels.channel_id).where(_channels.asset_id == asset_id)
        for row in self._rows(query):
            found.setdefault(row.name, []).append(row.channel_id)
        return found

    def runs(self) -> Iterator[Row[Any]]:
        """The runs."""
        return self._rows(select(tables.runs).order_by(_runs.sequence))

    def flows(self) -> Iterator[Row[Any]]:
        """The flows, with the name of their asset as `asset`."""
        return self._rows(
            select(
                tables.flows, _configs.asset_id, _configs.client_key, _assets.name.label("asset")
            )
            .join(
                tables.ingestion_configs, _configs.ingestion_config_id == _flows.ingestion_config_id
            )
            .join(tables.assets, _assets.asset_id == _configs.asset_id)
            .order_by(_flows.sequence)
        )

    def annotations(self) -> Iterator[Row[Any]]:
        """The annotations."""
        return self._rows(
            select(tables.annotations_table)
            .where(_annotations.deleted_ns.is_(None))
            .order_by(_annotations.sequence)
        )

    def annotation_assets(self) -> dict[str, list[str]]:
        """Names of the assets of each annotation, in order."""
        of = tables.annotation_assets.c
        found: dict[str, list[str]] = {}
        for row in self._rows(
            select(of.annotation_id, _assets.name)
            .join(tables.assets, _assets.asset_id == of.asset_id)
            .order_by(of.annotation_id, of.position)
        ):
            found.setdefault(row.annotation_id, []).append(row.name)
        return found

    def enum_states(self) -> Iterator[tuple[str, int, str]]:
        """Channel id, key and name of each state of each enum channel; each key once."""
        query = select(_channels.channel_id, _channels.enum_types_json)
        for row in self._rows(query.where(_channels.enum_types_json != "[]")):
            names = {int(key): str(name) for name, key, *_ in json.loads(row.enum_types_json)}
            for key, name in names.items():
                yield row.channel_id, key, name

    def _rows(self, query: Select[Any]) -> Iterator[Row[Any]]:
        with self._database.read() as connection:
            yield from connection.execute(query).yield_per(1_000)
