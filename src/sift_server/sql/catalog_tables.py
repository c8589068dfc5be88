"""The catalog as Arrow tables: `assets`, `channels`, `flows`, `runs`, `annotations`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sift_server.catalog import AnnotationState, AnnotationType
from sift_server.sql.flow_views import FlowChannel, FlowViews
from sift_wire.columns import DataType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sift_server.catalog import Listing

_TIME = pa.timestamp("ns")
_TEXT = pa.string()

SCHEMAS: dict[str, Any] = {
    "assets": pa.schema(
        [("asset", _TEXT), ("asset_id", _TEXT), ("created", _TIME), ("archived", _TIME)]
    ),
    "channels": pa.schema(
        [
            ("asset", _TEXT),
            ("channel", _TEXT),
            ("data_type", _TEXT),
            ("unit", _TEXT),
            ("description", _TEXT),
            ("enum_types", pa.map_(pa.int64(), _TEXT)),
            (
                "bit_fields",
                pa.list_(pa.struct([("name", _TEXT), ("index", pa.int64()), ("bits", pa.int64())])),
            ),
            ("channel_id", _TEXT),
            ("created", _TIME),
        ]
    ),
    "flows": pa.schema(
        [
            ("asset", _TEXT),
            ("flow", _TEXT),
            ("view", _TEXT),
            ("channels", pa.list_(_TEXT)),
        ]
    ),
    "runs": pa.schema(
        [
            ("run", _TEXT),
            ("description", _TEXT),
            ("start", _TIME),
            ("stop", _TIME),
            ("client_key", _TEXT),
            ("run_id", _TEXT),
            ("created", _TIME),
            ("archived", _TIME),
        ]
    ),
    "annotations": pa.schema(
        [
            ("annotation", _TEXT),
            ("type", _TEXT),
            ("state", _TEXT),
            ("start", _TIME),
            ("stop", _TIME),
            ("is_pending", pa.bool_()),
            ("run", _TEXT),
            ("assets", pa.list_(_TEXT)),
            ("description", _TEXT),
            ("start_ns", pa.int64()),
            ("stop_ns", pa.int64()),
            ("rule_id", _TEXT),
            ("run_id", _TEXT),
            ("annotation_id", _TEXT),
            ("created", _TIME),
            ("archived", _TIME),
        ]
    ),
}
"""Columns of each table. Times are nanoseconds in UTC."""

ABOUT = {
    "points": "Every point, each once: asset, channel, run, time, value",
    "channels": "What is measured, with data type and unit",
    "runs": "Named stretches of time",
    "annotations": "What rules and people noted",
    "assets": "What sends telemetry",
    "flows": "Channels that are sent together, each with the name of its wide view",
    "tables": "This list",
}
"""What each table is about, but wide views."""

_BATCH_ROWS = 10_000


def catalog_table(name: str, listing: Listing) -> Any:  # noqa: ANN401 (pyarrow has no types)
    """Read a table of `SCHEMAS`."""
    rows = {
        "assets": _assets,
        "channels": _channels,
        "flows": _flows,
        "runs": _runs,
        "annotations": _annotations,
    }[name](listing)
    return _table(SCHEMAS[name], rows)


def list_of_tables(views: FlowViews) -> Any:  # noqa: ANN401
    """The table `tables`."""
    rows = [*ABOUT.items()]
    rows += (
        (view.sql_name, f"The flow {view.flow} of {view.asset}, a row a time") for view in views
    )
    return _table(pa.schema([("table", _TEXT), ("about", _TEXT)]), rows)


def enum_states(listing: Listing) -> Any:  # noqa: ANN401
    """The states of all enum channels."""
    schema = pa.schema([("channel_id", _TEXT), ("key", pa.int64()), ("name", _TEXT)])
    return _table(schema, listing.enum_states())


def flow_views(listing: Listing) -> FlowViews:
    """The wide views of all flows."""
    return FlowViews((row.asset, row.name, _channels_of(row)) for row in listing.flows())


def _table(schema: Any, rows: Iterable[Iterable[Any]]) -> Any:  # noqa: ANN401
    batches = []
    waiting = []
    for row in rows:
        waiting.append(row)
        if len(waiting) == _BATCH_ROWS:
            batches.append(_batch(schema, waiting))
            waiting = []
    if waiting:
        batches.append(_batch(schema, waiting))
    return pa.Table.from_batches(batches, schema)


def _batch(schema: Any, rows: list[Iterable[Any]]) -> Any:  # noqa: ANN401
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.record_batch(arrays, schema=schema)


def _assets(listing: Listing) -> Iterator[Iterable[Any]]:
    return ((row.name, row.asset_id, row.created_ns, row.archived_ns) for row in listing.assets())


def _channels(listing: Listing) -> Iterator[Iterable[Any]]:
    for row in listing.channels():
        bits = json.loads(row.bit_field_elements_json)
        yield (
            row.asset,
            row.name,
            DataType(row.data_type).name,
            row.unit,
            row.description,
            list({key: name for name, key, *_ in json.loads(row.enum_types_json)}.items()),
            [{"name": name, "index": index, "bits": count} for name, index, count in bits],
            row.channel_id,
            row.created_ns,
        )


def _flows(listing: Listing) -> Iterator[Iterable[Any]]:
    for view in flow_views(listing):
        names = [channel.name for channel in view.columns.values()]
        yield view.asset, view.flow, view.sql_name, names


def _runs(listing: Listing) -> Iterator[Iterable[Any]]:
    for row in listing.runs():
        yield (
            row.name,
            row.description,
            row.start_ns,
            row.stop_ns,
            row.client_key,
            row.run_id,
            row.created_ns,
            row.archived_ns,
        )


def _annotations(listing: Listing) -> Iterator[Iterable[Any]]:
    assets = listing.annotation_assets()
    runs = {row.run_id: row.name for row in listing.runs()}
    for row in listing.annotations():
        yield (
            row.name,
            AnnotationType(row.annotation_type).name.lower(),
            None if row.state is None else AnnotationState(row.state).name.lower(),
            row.start_ns,
            row.end_ns,
            row.is_pending,
            runs.get(row.run_id),
            assets.get(row.annotation_id, []),
            row.description,
            row.start_ns,
            row.end_ns,
            row.rule_id,
            row.run_id,
            row.annotation_id,
            row.created_ns,
            row.archived_ns,
        )


def _channels_of(row: Any) -> tuple[FlowChannel, ...]:  # noqa: ANN401 (a row of the database)
    return tuple(
        FlowChannel(
            channel_id,
            f"{component}.{name}" if component else name,
            DataType(data_type),
            tuple((state, key) for state, key, *_ in enum_types),
        )
        for channel_id, name, component, data_type, _, _, enum_types, _ in json.loads(
            row.channels_json
        )
    )
