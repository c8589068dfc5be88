"""Tables of an older version become those of this one, with all that is in them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, text

from sift_server.catalog import (
    AnnotationType,
    CatalogSchemaError,
    ListRequest,
    migrations,
    tables,
)
from sift_server.catalog.database import Database
from sift_server.rules.registration import RuleRegistration
from support.catalogs import JANUARY_NS, flow_of, open_catalog

FOLDER = Path(__file__).parent


def written_by(version: int, folder: Path) -> Path:
    """The path of a catalog as a version wrote it, with rows in the tables."""
    path = folder / "catalog.sqlite"
    script = (FOLDER / f"version_{version}.sql").read_text(encoding="utf-8")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return path


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The path of a catalog of version 1."""
    return written_by(1, tmp_path)


def structure(path: Path) -> dict[str, object]:
    """All that can be said about tables, columns, keys and indexes."""
    with closing(Database.open(path)) as database, database.read() as connection:
        inspector = inspect(connection)
        return {
            name: (
                [{**column, "type": str(column["type"])} for column in inspector.get_columns(name)],
                inspector.get_pk_constraint(name),
                sorted(map(index_of, inspector.get_indexes(name))),
                sorted(inspector.get_unique_constraints(name), key=str),
                sorted(inspector.get_foreign_keys(name), key=str),
            )
            for name in inspector.get_table_names()
        }


def index_of(found: dict[str, Any]) -> tuple[str, ...]:
    """An index, with the condition of a partial one as text."""
    conditions = [f"{key}: {value}" for key, value in found["dialect_options"].items()]
    return found["name"], str(found["column_names"]), str(found["unique"]), *sorted(conditions)


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


def test_rules_in_json_of_version_3_are_rules(tmp_path):
    """As if they were declared now; what was no rule of today is kept as far as it can be read."""
    with open_catalog(written_by(3, tmp_path).parent) as catalog:
        (rover,) = catalog.assets.list(ListRequest("name == 'rover'")).items
        fast, driving = catalog.rules.live()
        assert (fast.name, fast.description) == ("too fast", "Faster than allowed.")
        assert (fast.asset_ids, fast.expression) == ((rover.asset_id,), "$1 > 5")
        assert (fast.references, fast.action.tags) == ({"$1": "wheel.speed"}, ("speed", "red"))
        assert fast.action.annotation_type is AnnotationType.REVIEW
        assert catalog.users.get(fast.action.assigned_to_user_id).name == "ellen@nostromo"
        assert (driving.expression, driving.references) == ('state == "driving"', {})
        assert driving.action.annotation_type is AnnotationType.PHASE
        rules = catalog.rules.list(ListRequest(order_by="name")).items
        assert [rule.content.name for rule in rules] == [
            "driving", "odd", "said nothing", "too fast",
        ]  # fmt: skip
        assert {tag.name for tag in catalog.tags.list(ListRequest()).items} == {
            "field", "red", "night", "speed",
        }  # fmt: skip
        assert catalog.users.owner().is_owner
        text = catalog.rules.view_json(rover.asset_id)
        kept = json.dumps(json.loads(text)[:2])
        result = RuleRegistration(catalog).update_json(rover.asset_id, kept)
        assert (result.created_count, result.updated_count, result.deleted_count) == (0, 0, 2)
        assert catalog.rules.live() == [fast, driving]


def test_a_migrated_catalog_is_written_to_like_a_new_one(old):
    """Rows go on behind those that were there."""
    with open_catalog(old.parent) as catalog:
        catalog.ingestion_configs.create("rover", "rover-v2", [flow_of("motor", "torque")])
        (new,) = catalog.channels.list(ListRequest("name == 'torque'")).items
        assert (new.config.name, new.asset_id) == ("torque", "id-2")


@pytest.mark.parametrize("version", [1, 3])
def test_a_migrated_database_is_made_as_a_new_one(tmp_path, version):
    """The same tables, columns, defaults, keys and indexes."""
    old = written_by(version, tmp_path)
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
