"""Mends the catalog: keeps every row, and makes up for lost ones from what others say of them.

What can be known of a lost row:

- a channel of a flow: all of it, from the flow;
- any other channel that the table has points of: its id, name and asset, and its data type if only
  one is kept in that column of the table. INT_64 and BYTES stand for the others: the points are
  readable, under that type;
- an asset: its name, from points of its channels;
- an ingestion config: its asset, from the channels of its flows, but not its client key. Messages
  in the log find their flow; a client that comes back gets a new config with the same channels.

Runs, rules, calculated channels, annotations, reports, tags and API keys that are lost stay lost. A
rule or calculated channel whose newest version is lost is what the one before says; a rule of a
report that no job evaluates any more ends in an error, and so does a data import whose config is
lost.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select

from sift_server.catalog import tables
from sift_server.catalog.database import Database
from sift_server.catalog.error_room import ErrorQueueTotals, read_totals, write_totals
from sift_server.doctor.calculated_rows import mend_calculated_channels
from sift_server.doctor.catalog_copy import BESIDE_SUFFIXES, copied_catalog
from sift_server.doctor.catalog_salvage import salvage
from sift_server.doctor.findings import counted
from sift_server.doctor.import_rows import mend_imports
from sift_server.doctor.report_rows import mend_reports
from sift_server.doctor.rule_rows import drop_orphans, mend_rules
from sift_server.lake.delta_log import sync_folder
from sift_server.lake.points import Kind
from sift_wire.columns import DataType

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sqlalchemy import Connection

    from sift_server.doctor.aside import Aside
    from sift_server.doctor.catalog_check import CatalogState
    from sift_server.doctor.lake_names import LakeChannel

_TYPES = {
    Kind.DOUBLE: DataType.DOUBLE,
    Kind.FLOAT: DataType.FLOAT,
    Kind.INT64: DataType.INT_64,
    Kind.UINT64: DataType.UINT_64,
    Kind.BOOL: DataType.BOOL,
    Kind.STRING: DataType.STRING,
    Kind.BYTES: DataType.BYTES,
}

_assets, _channels = tables.assets, tables.channels
_configs, _flows = tables.ingestion_configs, tables.flows


def mend_catalog(
    path: Path,
    state: CatalogState,
    lake_channels: Mapping[str, LakeChannel],
    aside: Aside,
) -> list[str]:
    """Put a mended catalog in the place of one that something is wrong with.

    Args:
        path: The catalog.
        state: What was found of it.
        lake_channels: Channels that the table has points of, by id.
        aside: Where the old one goes.

    Returns:
        What was done and what is lost, in sentences.

    Raises:
        OSError: A file can't be written.
    """
    done: list[str] = []
    was_there = path.exists()
    with copied_catalog(path, path.parent) as copy:
        if state.is_readable:
            mended = copy
        else:
            mended = copy.with_name("mended.sqlite")
            rows = salvage(copy, mended)
            found = ", ".join(counted(count, f"row of {name}", f"rows of {name}")
                              for name, count in rows.items() if count)  # fmt: skip
            done.append(
                f"catalog.sqlite: a new one has what could be read: {found or 'no row'}."
                if was_there
                else "catalog.sqlite: a new one was made."
            )
        with closing(Database.open(mended)) as database, database.write() as connection:
            done += _make_up(connection, lake_channels)
        with closing(Database.open(mended)) as database, database.read() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        ready = path.with_name(f"{path.name}.new")
        shutil.copyfile(mended, ready)
        if was_there:
            shutil.copymode(path, ready)
    with ready.open("rb") as file:
        os.fsync(file.fileno())
    for suffix in ("", *BESIDE_SUFFIXES):
        aside.copy(path.with_name(path.name + suffix))
    for suffix in BESIDE_SUFFIXES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    ready.replace(path)
    sync_folder(path.parent)
    return done


def _make_up(connection: Connection, lake_channels: Mapping[str, LakeChannel]) -> list[str]:
    # Rows may go before those that belong to them.
    connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
    done = [
        *_drop_unreadable(connection),
        *mend_rules(connection),
        *mend_calculated_channels(connection),
    ]
    flow_channels = _channels_of_flows(connection)
    names = _asset_names(connection, lake_channels, flow_channels)
    counts = {
        "asset": _add_assets(connection, names),
        "ingestion config": _add_configs(connection, lake_channels, flow_channels),
        "channel": _add_flow_channels(connection, flow_channels)
        + _add_lake_channels(connection, lake_channels),
    }
    done += [
        f"catalog.sqlite: {counted(count, what)} that were lost are there again, as flows and table"
        " tell of them."
        for what, count in counts.items()
        if count
    ]
    done += drop_orphans(connection)
    done += mend_reports(connection)
    done += mend_imports(connection)
    _count_errors(connection)
    return done


def _drop_unreadable(connection: Connection) -> list[str]:
    """Flows and rules that are no JSON: nobody can use them."""
    done = []
    for table, key, column, what in (
        (_flows, _flows.c.flow_id, _flows.c.channels_json, "flow"),
        (tables.json_rules, tables.json_rules.c.asset_id, tables.json_rules.c.rules_json, "rule"),
    ):
        bad = [
            row_key
            for row_key, document in connection.execute(select(key, column)).all()
            if _json_of(document) is None
        ]
        for row_key in bad:
            connection.execute(delete(table).where(key == row_key))
        if bad:
            done.append(f"catalog.sqlite: {counted(len(bad), what)} that can't be read are lost.")
    return done


def _json_of(document: Any) -> Any:  # noqa: ANN401 (as it is there)
    try:
        return json.loads(document)
    except (ValueError, TypeError):
        return None


def _channels_of_flows(connection: Connection) -> dict[str, list[list[Any]]]:
    """What flows say of their channels, by ingestion config."""
    found: dict[str, list[list[Any]]] = {}
    query = select(_flows.c.ingestion_config_id, _flows.c.channels_json)
    for config_id, document in connection.execute(query):
        found.setdefault(config_id, []).extend(_json_of(document) or [])
    return found


def _asset_names(
    connection: Connection,
    lake_channels: Mapping[str, LakeChannel],
    flow_channels: Mapping[str, list[list[Any]]],
) -> dict[str, str]:
    """Names of assets by id, as points of their channels have them."""
    names = {}
    for channel_id, asset_id in connection.execute(
        select(_channels.c.channel_id, _channels.c.asset_id)
    ):
        if channel_id in lake_channels:
            names[asset_id] = lake_channels[channel_id].asset
    configs = select(_configs.c.ingestion_config_id, _configs.c.asset_id)
    for config_id, asset_id in connection.execute(configs):
        for channel in flow_channels.get(config_id, ()):
            if channel[0] in lake_channels:
                names[asset_id] = lake_channels[channel[0]].asset
    return names


def _add_assets(connection: Connection, names: Mapping[str, str]) -> int:
    """Assets that something in the catalog belongs to, and that are not there."""
    there = set(connection.execute(select(_assets.c.asset_id)).scalars())
    wanted = {
        asset_id
        for column in (
            _channels.c.asset_id,
            _configs.c.asset_id,
            tables.json_rules.c.asset_id,
            tables.rules.c.json_asset_id,
            tables.rule_assets.c.asset_id,
            tables.annotation_assets.c.asset_id,
            tables.calculated_channel_assets.c.asset_id,
        )
        for asset_id in connection.execute(select(column).distinct()).scalars()
        if asset_id is not None
    }
    for asset_id in sorted(wanted - there):
        _add_asset(connection, asset_id, names.get(asset_id) or f"recovered {asset_id}")
    return len(wanted - there)


def _add_asset(connection: Connection, asset_id: str, name: str) -> None:
    taken = connection.execute(select(_assets.c.asset_id).where(_assets.c.name == name)).first()
    now_ns = time.time_ns()
    connection.execute(
        insert(_assets).values(
            asset_id=asset_id,
            name=f"{name} (recovered {asset_id})" if taken else name,
            organization_id="",
            created_ns=now_ns,
            modified_ns=now_ns,
        )
    )


def _asset_id(connection: Connection, name: str, new_id: str) -> str:
    """The id of an asset of a name, which is made if there is none."""
    query = select(_assets.c.asset_id).where(_assets.c.name == name)
    found: str | None = connection.execute(query).scalar_one_or_none()
    if found is None:
        _add_asset(connection, new_id, name)
    return found or new_id


def _add_configs(
    connection: Connection,
    lake_channels: Mapping[str, LakeChannel],
    flow_channels: Mapping[str, list[list[Any]]],
) -> int:
    """Configs that flows belong to, and that are not there."""
    there = set(connection.execute(select(_configs.c.ingestion_config_id)).scalars())
    now_ns = time.time_ns()
    for config_id in sorted(flow_channels.keys() - there):
        ids = [channel[0] for channel in flow_channels[config_id]]
        query = select(_channels.c.asset_id).where(_channels.c.channel_id.in_(ids[:500])).limit(1)
        asset_id = connection.execute(query).scalar_one_or_none()
        if asset_id is None:
            names = [lake_channels[each].asset for each in ids if each in lake_channels]
            name = names[0] if names else f"recovered {config_id}"
            asset_id = _asset_id(connection, name, config_id)
        connection.execute(
            insert(_configs).values(
                ingestion_config_id=config_id,
                asset_id=asset_id,
                created_ns=now_ns,
                modified_ns=now_ns,
            )
        )
    return len(flow_channels.keys() - there)


def _add_flow_channels(connection: Connection, flow_channels: Mapping[str, list[list[Any]]]) -> int:
    there = set(connection.execute(select(_channels.c.channel_id)).scalars())
    query = select(_configs.c.ingestion_config_id, _configs.c.asset_id)
    asset_ids = {row.ingestion_config_id: row.asset_id for row in connection.execute(query)}
    added = 0
    for config_id, channels in flow_channels.items():
        for channel_id, name, component, data_type, unit, description, enums, bits in channels:
            if channel_id in there:
                continue
            there.add(channel_id)
            added += _add_channel(
                connection,
                channel_id=channel_id,
                asset_id=asset_ids[config_id],
                name=f"{component}.{name}" if component else name,
                component=component,
                local_name=name,
                data_type=data_type,
                unit=unit,
                description=description,
                enum_types_json=json.dumps(enums),
                bit_field_elements_json=json.dumps(bits),
            )
    return added


def _add_lake_channels(connection: Connection, lake_channels: Mapping[str, LakeChannel]) -> int:
    there = set(connection.execute(select(_channels.c.channel_id)).scalars())
    added = 0
    for channel_id in sorted(lake_channels.keys() - there):
        channel = lake_channels[channel_id]
        if channel.kind is not None:
            added += _add_channel(
                connection,
                channel_id=channel_id,
                # An asset that is made here has an id that no other has: that of its first channel.
                asset_id=_asset_id(connection, channel.asset, channel_id),
                name=channel.name,
                component="",
                local_name=channel.name,
                data_type=int(_TYPES[channel.kind]),
                unit="",
                description="",
                enum_types_json="[]",
                bit_field_elements_json="[]",
            )
    return added


def _add_channel(connection: Connection, **values: Any) -> int:  # noqa: ANN401 (columns)
    now_ns = time.time_ns()
    statement = insert(_channels).prefix_with("OR IGNORE")
    found = connection.execute(statement.values(**values, created_ns=now_ns, modified_ns=now_ns))
    return found.rowcount


def _count_errors(connection: Connection) -> None:
    queue = tables.error_queue.c
    count, size_bytes = connection.execute(
        select(func.count(), func.coalesce(func.sum(queue.size_bytes), 0)).select_from(
            tables.error_queue
        )
    ).one()
    before = read_totals(connection)
    write_totals(
        connection,
        ErrorQueueTotals(
            int(count),
            int(size_bytes),
            before.dropped_messages,
            before.dropped_bytes,
            before.dropped_first_ns,
            before.dropped_last_ns,
            before.dropped_until,
        ),
    )
