"""The database: durable, checked, safe."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from sqlalchemy import insert, text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.schema import CreateTable

from sift_server.catalog import (
    CHANNEL_FIELDS,
    AnnotationType,
    Attributes,
    Calculated,
    Catalog,
    CatalogSchemaError,
    JsonRule,
    ListRequest,
    RejectedEntry,
    RunDraft,
    tables,
)
from sift_server.catalog.annotations import ANNOTATION_FIELDS
from sift_server.catalog.assets import ASSET_FIELDS
from sift_server.catalog.database import Database
from sift_server.catalog.filters import where
from sift_server.catalog.jobs import JOB_FIELDS
from sift_server.catalog.report_templates import TEMPLATE_FIELDS
from sift_server.catalog.reports import REPORT_FIELDS, SUMMARY_FIELDS
from sift_server.catalog.runs import RUN_FIELDS
from sift_server.catalog.tables import SCHEMA_VERSION
from sift_server.errors import AlreadyExistsError, DiskFullError, ResourceExhaustedError
from support.catalogs import flow_of, open_catalog


def test_everything_is_there_after_reopening(tmp_path):
    """Assets, configs, flows, channels, runs, rules and the error queue."""

    def everything(catalog):
        config = catalog.ingestion_configs.list(ListRequest()).items[0]
        flow = catalog.ingestion_configs.flow(config.ingestion_config_id, "f")
        return (
            config,
            flow.channel_ids,
            flow.layout.channel_names,
            flow.layout.data_types,
            *[
                part.list(ListRequest()).items
                for part in (
                    catalog.assets,
                    catalog.channels,
                    catalog.runs,
                    catalog.error_queue,
                    catalog.tags,
                )
            ],
            catalog.rules.view_json(config.asset_id),
            catalog.rules.live(),
            catalog.rules.changes,
            catalog.users.owner(),
        )

    with open_catalog(tmp_path) as catalog:
        config = catalog.ingestion_configs.create("asset", "key", [flow_of("f", "x", "y")])
        catalog.runs.create(RunDraft("run", attributes=Attributes(("t",), (("k", 1.0),))))
        rule = JsonRule("r", "", Calculated("x > 5"), AnnotationType.PHASE, ("t", "u"), "ellen")
        catalog.rules.replace_json(config.asset_id, '[{"name":"r"}]', [rule])
        catalog.error_queue.add([RejectedEntry(1, 0, "why", b"\0", "c", "f", 5)])
        before = everything(catalog)
    with open_catalog(tmp_path) as catalog:
        assert everything(catalog) == before
        with pytest.raises(AlreadyExistsError):
            catalog.ingestion_configs.create("asset", "key", [])


@pytest.mark.proves("sync-catalog")
def test_sqlite_is_durable_and_keeps_references(tmp_path):
    """WAL, every commit synced, foreign keys on: on every connection."""
    with closing(Database.open(tmp_path / "catalog.sqlite")) as database:
        pragmas = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
        with database.read() as one, database.read() as two, database.write() as three:
            for connection in (one, two, three):
                for pragma, expected in pragmas.items():
                    assert connection.execute(text(f"PRAGMA {pragma}")).scalar() == expected


def test_tables_of_a_later_version_are_refused(tmp_path):
    """The message names both versions and says what to do; nothing is changed."""
    path = tmp_path / "catalog.sqlite"
    with closing(Database.open(path)) as database, database.write() as connection:
        connection.execute(update(tables.schema_version).values(version=99))
    with pytest.raises(
        CatalogSchemaError, match=rf"version 99, this server knows version {SCHEMA_VERSION};"
    ):
        Database.open(path)


def test_a_catalog_is_read_beside_its_writer(tmp_path):
    """And after it; who only reads it can't change it, and leaves no file behind."""
    path = tmp_path / "catalog.sqlite"
    with open_catalog(tmp_path) as catalog:
        catalog.runs.create(RunDraft("first"))
        with Catalog.open_to_read(path) as reader:
            catalog.runs.create(RunDraft("second"))
            assert len(reader.runs.list(ListRequest()).items) == 2
    with Catalog.open_to_read(path) as reader:
        assert len(reader.runs.list(ListRequest("name.contains('s')")).items) == 2
        with pytest.raises(OperationalError, match="readonly"):
            reader.runs.create(RunDraft("third"))
    assert [file.name for file in tmp_path.iterdir()] == ["catalog.sqlite"]


def test_only_a_catalog_of_this_version_is_read(tmp_path):
    """What it is otherwise is said; nothing is made, nothing is changed."""
    path = tmp_path / "what's this? 100%.sqlite"
    with pytest.raises(FileNotFoundError, match=r"no catalog at .*this"):
        Catalog.open_to_read(path)
    path.touch()
    with pytest.raises(CatalogSchemaError, match="is empty"):
        Catalog.open_to_read(path)
    for version, words in ((1, "serve the folder with this version"), (99, "version 99")):
        with closing(Database.open(path)) as database, database.write() as connection:
            connection.execute(update(tables.schema_version).values(version=version))
        with pytest.raises(CatalogSchemaError, match=words):
            Catalog.open_to_read(path)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"UPDATE schema_version SET version = {SCHEMA_VERSION}")
            connection.commit()


def test_a_database_is_opened_by_url_as_well(tmp_path):
    """The address of a bigger installation is a URL."""
    with closing(Database.open(f"sqlite:///{tmp_path}/by_url.sqlite")):
        assert (tmp_path / "by_url.sqlite").exists()


def test_a_transaction_that_fails_leaves_nothing(tmp_path):
    """All of it, or none."""
    with closing(Database.open(tmp_path / "catalog.sqlite")) as database:

        def change_and_fail() -> None:
            with database.write() as connection:
                connection.execute(update(tables.schema_version).values(version=SCHEMA_VERSION + 1))
                connection.execute(insert(tables.schema_version).values(version=None))

        with pytest.raises(IntegrityError):
            change_and_fail()
        with database.read() as connection:
            version = connection.execute(text("SELECT version FROM schema_version")).scalar()
    assert version == SCHEMA_VERSION


@pytest.mark.proves("full-disk-catalog")
def test_a_full_disk_is_told_from_other_failures(tmp_path):
    """As something that passes; nothing is changed, and the next transaction is taken."""
    with closing(Database.open(tmp_path / "catalog.sqlite")) as database:
        with database.write() as connection:
            connection.execute(text("CREATE TABLE large (data)"))

        def fill(pages_max: int) -> None:
            with database.write() as connection:
                connection.execute(text(f"PRAGMA max_page_count = {pages_max}"))
                connection.execute(text("INSERT INTO large VALUES (zeroblob(1000000))"))

        with pytest.raises(DiskFullError, match="disk of the catalog is full"):
            fill(1)
        fill(1_000_000)
        with database.read() as connection:
            assert connection.execute(text("SELECT count(*) FROM large")).scalar() == 1


def test_a_reader_sees_one_state(tmp_path):
    """What is committed while a reader reads is not half in its answer."""
    with closing(Database.open(tmp_path / "catalog.sqlite")) as database:
        query = text("SELECT version FROM schema_version")
        with database.read() as reader:
            assert reader.execute(query).scalar() == SCHEMA_VERSION
            with database.write() as writer:
                writer.execute(update(tables.schema_version).values(version=SCHEMA_VERSION + 1))
            assert reader.execute(query).scalar() == SCHEMA_VERSION
        with database.read() as reader:
            assert reader.execute(query).scalar() == SCHEMA_VERSION + 1


KILLED = """
import os, sys
from sift_server.catalog import Catalog, RunDraft
catalog = Catalog.open(sys.argv[1])
catalog.runs.create(RunDraft("kept"))
os._exit(9)
"""


@pytest.mark.proves("catalog-durable")
def test_what_returned_survives_a_kill(tmp_path):
    """A process that dies after a call returned has lost nothing of it."""
    path = tmp_path / "catalog.sqlite"
    command = [sys.executable, "-c", KILLED, str(path)]
    assert subprocess.run(command, check=False, timeout=60).returncode == 9
    with open_catalog(tmp_path) as catalog:
        assert [run.draft.name for run in catalog.runs.list(ListRequest()).items] == ["kept"]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_writer_does_not_wait_for_ever(tmp_path, monkeypatch):
    """When others write too long, the caller is told so."""
    monkeypatch.setattr("sift_server.catalog.database.WRITE_WAIT_MS", 10)

    def write(database: Database) -> None:
        with database.write():
            pass

    with (
        closing(Database.open(tmp_path / "catalog.sqlite")) as database,
        database.write(),
        pytest.raises(ResourceExhaustedError, match="busy with other changes for 10 ms"),
    ):
        write(database)


FILTERS = (
    (
        RUN_FIELDS,
        """name.matches('a') && !is_archived && tag_name in ['a'] && metadata.a > 5
        && duration > duration('5s') && size(name) > 3 && stop_time.getFullYear() == 2026""",
    ),
    (RUN_FIELDS, "annotation_state == 'ANNOTATION_STATE_OPEN' && annotation_comments_count > 5"),
    (ASSET_FIELDS, "name_lower == 'a' && archived_date == null"),
    (ANNOTATION_FIELDS, "report_id == 'a' && state == 'ANNOTATION_STATE_OPEN' && !pending"),
    (
        REPORT_FIELDS,
        "report_type == 'REPORT_TYPE_CANVAS' && tag_name == 'b' && run_id in ['c'] || is_archived",
    ),
    (SUMMARY_FIELDS, "status == 'REPORT_RULE_STATUS_ERROR' && display_order > 5"),
    (TEMPLATE_FIELDS, "tag_id == 'a' || rule_id == 'b' && client_key == null"),
    (JOB_FIELDS, "job_status != 'JOB_STATUS_FAILED' && started_date > now() - duration('1h')"),
    (CHANNEL_FIELDS, "active && name in ['a', 'b'] || is_archived == true"),
)


def test_tables_and_filters_can_be_said_to_postgresql():
    """Nothing in them is of SQLite alone."""
    dialect = postgresql.dialect()
    for table in tables.metadata.sorted_tables:
        assert str(CreateTable(table).compile(dialect=dialect))
    for fields, text_ in FILTERS:
        assert str(where(text_, fields, 0).compile(dialect=dialect))
    assert "BIGSERIAL" in str(CreateTable(tables.runs).compile(dialect=dialect))
