"""Tables of an older version become those of this one, with all that is in them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from sift_server.catalog import CatalogSchemaError, ListRequest, migrations, tables
from sift_server.catalog.database import Database
from support.catalogs import JANUARY_NS, flow_of, open_catalog

VERSION_1 = Path(__file__).with_name("version_1.sql")
"""A catalog as the first version wrote it, with rows in every table."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The path of a catalog of version 1."""
    path = tmp_path / "catalog.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1.read_text(encoding="utf-8"))
    return path


def structure(path: Path) -> dict[str, object]:
    """All that can be said about tables, columns, keys and indexes."""
    with closing(Database.open(path)) as database, database.read() as connection:
        inspector = inspect(connection)
        return {
            name: (
                [{**column, "type": str(column["type"])} for column in inspector.get_columns(name)],
                inspector.get_pk_constraint(name),
                sorted(inspector.get_indexes(name), key=str),
                sorted(inspector.get_unique_constraints(name), key=str),
                sorted(inspector.get_foreign_keys(name), key=str),
            )
            for name in inspector.get_table_names()
        }


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def test_each_version_has_a_step_to_the_next():
    """None is missing, none too many."""
    assert len(migrations.STEPS) == tables.SCHEMA_VERSION - 1


def test_everything_of_version_1_is_there(old):
    """Opening it is all that an upgrade needs."""
    with open_catalog(old.parent) as catalog:
        (config,) = catalog.ingestion_configs.list(ListRequest()).items
        assert config.client_key == "rover-v1"
        asset = catalog.assets.get(config.asset_id)
        assert asset.name == "rover"
        assert asset.attributes.tags == ("field", "red")
        assert dict(asset.attributes.metadata) == {
            "serial": "R-7", "mass_kg": 12.5, "is_spare": False,
        }  # fmt: skip
        motor = catalog.ingestion_configs.flow(config.ingestion_config_id, "motor")
        assert motor.layout.channel_names == ("wheel.speed", "state", "bits")
        channels = catalog.channels.list(ListRequest(order_by="created_date")).items
        assert [one.channel_id for one in channels[:3]] == list(motor.channel_ids)
        (run,) = catalog.runs.list(ListRequest()).items
        assert (run.draft.name, run.draft.attributes.tags) == ("drive", ("night",))
        assert "too fast" in catalog.rules.view_json(config.asset_id)
        kept = catalog.error_queue.list(ListRequest()).items
        assert [(one.flow_name, one.received_ns - JANUARY_NS) for one in kept] == [
            ("motor", 0), ("motor", 1), ("", 2),
        ]  # fmt: skip
        assert kept[2].message == b"\xff\xff"
        assert [one.asset_name for one in kept] == ["rover", "", ""]
        totals = catalog.error_queue.totals()
        assert (totals.kept_messages, totals.kept_bytes) == (3, sum(one.size_bytes for one in kept))


def test_a_migrated_catalog_is_written_to_like_a_new_one(old):
    """Rows go on behind those that were there."""
    with open_catalog(old.parent) as catalog:
        catalog.ingestion_configs.create("rover", "rover-v2", [flow_of("motor", "torque")])
        (new,) = catalog.channels.list(ListRequest("name == 'torque'")).items
        assert (new.config.name, new.asset_id) == ("torque", "id-2")


def test_a_migrated_database_is_made_as_a_new_one(old, tmp_path):
    """The same tables, columns, defaults, keys and indexes."""
    assert structure(old) == structure(tmp_path / "new.sqlite")


def test_a_second_opening_changes_nothing(old):
    """It is of this version then."""
    Database.open(old).close()
    before = dump(old)
    Database.open(old).close()
    assert dump(old) == before


def test_a_step_that_fails_leaves_the_old_version(old, monkeypatch):
    """Also what the steps before it did is taken back; the error says so, and why."""
    before = dump(old)

    def fails(connection) -> None:
        connection.execute(text("UPDATE assets SET name = 'changed'"))
        connection.execute(text("UPDATE there_is_no_such_table SET x = 1"))

    monkeypatch.setattr("sift_server.catalog.database.STEPS", (*migrations.STEPS, fails))
    with pytest.raises(CatalogSchemaError, match=r"is as it was: .*no such table"):
        Database.open(old)
    assert dump(old) == before
    monkeypatch.undo()
    Database.open(old).close()
