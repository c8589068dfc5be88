"""What an examination finds in a folder, and what a repair makes of it."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sift.ingestion_configs.v2.ingestion_configs_pb2 import ListIngestionConfigsRequest
from sift.ingestion_configs.v2.ingestion_configs_pb2_grpc import IngestionConfigServiceStub
from sift_server.catalog import (
    CalculatedContent,
    Catalog,
    ChannelConfig,
    ConditionStretches,
    FlowConfig,
    ListRequest,
    ReportDraft,
    ReportRule,
    RunDraft,
    Stretch,
)
from sift_server.doctor import LaterCatalogError, examine, repair
from sift_server.doctor.aside import Aside
from sift_server.doctor.log_state import read_log
from sift_server.lake.delta import APP_ID
from sift_server.log import LogCorruptionError
from sift_server.log.segment import HEADER_BYTES
from sift_server.rules.registration import RuleRegistration
from sift_server.server import Server, ServerSettings
from sift_wire.columns import DataType
from support.folders import (
    ASSET,
    FLOWS,
    T0,
    Folder,
    digests,
    make_folder,
    points_of,
    read_folder,
    send,
)
from support.serving import plain_channel
from support.telemetry import Config, find_or_create_config, ingest

VERSION_1 = Path(__file__).parents[1] / "catalog" / "version_1.sql"


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> Folder:
    """A folder of a server that was killed."""
    base = tmp_path_factory.mktemp("folder")
    return make_folder(base / "killed", base / "scratch")


def copy_of(folder: Folder, tmp_path: Path) -> Path:
    copy = tmp_path / "data"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder.path, copy)
    return copy


@pytest.mark.proves("repair-sound")
def test_a_folder_of_a_killed_server_is_sound_and_not_touched(killed: Folder, tmp_path: Path):
    """Nor is one that was stopped in order."""
    path = copy_of(killed, tmp_path)
    for _ in ("killed", "stopped"):
        before = digests(path)
        found = examine(path)
        assert found.report.problems == ()
        assert repair(path, found).done == ()
        assert digests(path) == before
        assert sorted(read_folder(path), key=str) == sorted(killed.all, key=str)


KINDS = {
    "data file": "lake/date=*/*.parquet",
    "commit": "lake/_delta_log/*.json",
    "checkpoint": "lake/_delta_log/*checkpoint*",
    "log": "log/*.log",
    "catalog": "catalog.sqlite",
    "format": "format",
    "api key": "api_key",
    "keys": "keys",
}
EXAMPLES = int(os.environ.get("DOCTOR_EXAMPLES", "8"))
"""Each takes a second."""
HARMS = ("flip", "truncate", "delete", "zero")


def harm(path: Path, how: str, place: float) -> None:
    data = bytearray(path.read_bytes())
    at = min(int(place * len(data)), len(data) - 1)
    if how == "flip":
        data[at] ^= 1 << at % 8
    elif how == "truncate":
        del data[at:]
    elif how == "zero":
        data[at : at + 512] = bytes(len(data[at : at + 512]))
    if how == "delete":
        path.unlink()
    else:
        path.write_bytes(data)


@pytest.mark.proves("repair-whole")
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(which=st.floats(0, 0.999), how=st.sampled_from(HARMS), place=st.floats(0, 1))
def test_what_is_harmed_is_named_and_mended(
    kind: str, which: float, how: str, place: float, killed: Folder, tmp_path: Path
):
    """Whatever happens to a file: the server starts again, with what is whole and nothing else."""
    path = copy_of(killed, tmp_path)
    files = sorted(path.glob(KINDS[kind]))
    harmed = files[int(which * len(files))]
    before = harmed.read_bytes()
    harm(harmed, how, place)
    if harmed.exists() and harmed.read_bytes() == before:
        return
    named = kind == "data file" and harmed.relative_to(path / "lake").as_posix() in table_files(
        killed.path
    )
    found = examine(path)
    if named or harmed.name.endswith(".checkpoint.parquet") or (kind == "keys" and how != "delete"):
        assert not found.report.is_sound
    mended = repair(path, found)
    # Messages whose config was lost go to the error queue: the one thing that is said and left.
    assert [each for each in mended.after.report.problems if each.is_mendable] == []
    assert kind == "catalog" or mended.after.report.is_sound
    points = read_folder(path)
    assert len(points) == len(set(points))
    assert set(points) <= killed.all
    if kind not in ("data file", "log", "catalog"):
        assert set(points) == killed.all
    if kind == "log":
        assert killed.in_table <= set(points)
    if kind in ("data file", "catalog"):
        assert killed.in_log <= set(points) or kind == "catalog"
    assert examine(path).report.problems == ()


def test_a_catalog_whose_tables_do_not_fit_each_other_is_made_anew(killed: Folder, tmp_path: Path):
    """SQLite reads each of them, and complains only when a row is to be removed."""
    path = copy_of(killed, tmp_path)
    with closing(sqlite3.connect(path / "catalog.sqlite")) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = replace(sql, 'assets (asset_id)', 'assets (asset_ie)')"
            " WHERE name = 'json_rules'"
        )
        connection.commit()
    found = examine(path)
    assert "mismatch" in str(found.report.problems)
    mended = repair(path, found)
    assert mended.after.report.is_sound
    assert set(read_folder(path)) == killed.all


def table_files(path: Path) -> list[str]:
    return sorted(pa.table(DeltaTable(path / "lake").get_add_actions())["path"].to_pylist())


def points_in(path: Path, row_group: int | None = None) -> set:
    file = pq.ParquetFile(path)
    groups = range(file.num_row_groups) if row_group is None else [row_group]
    return {
        (
            row["channel"],
            row["timestamp_ns"],
            row["value_double"] if row["channel"] == "x" else row["value_string"],
        )
        for group in groups
        for row in file.read_row_group(group).to_pylist()
    }


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def mended(path: Path) -> list[str]:
    """Repair a folder that something is wrong with, and say what was done."""
    found = examine(path)
    assert not found.report.is_sound
    done = repair(path, found)
    assert done.after.report.problems == ()
    return list(done.done)


@pytest.mark.proves("repair-whole")
def test_one_flipped_bit_costs_one_row_group(killed: Folder, tmp_path: Path):
    """Where neither the log nor what it was merged from has its points."""
    path = copy_of(killed, tmp_path)
    named = [path / "lake" / name for name in table_files(path)]
    harmed = max(named, key=lambda file: pq.read_metadata(file).num_rows)
    for file in set(path.glob("lake/date=*/*.parquet")) - set(named):
        file.unlink()
    lost = points_in(harmed, 1)
    forget_covered(path)
    at = pq.read_metadata(harmed).row_group(1).column(4).data_page_offset + 40
    flip(harmed, at)
    line, _ = mended(path)
    assert f"{len(lost)} are lost" in line
    assert set(read_folder(path)) == killed.all - lost
    (aside,) = path.glob("damaged/*/lake/*/*.parquet")
    assert aside.name == harmed.name


def forget_covered(path: Path) -> None:
    """Remove segments that the table has all of; a server does it now and then."""
    needed = whole_segments(path)
    for segment in path.glob("log/*.log"):
        if segment not in needed:
            segment.unlink()


@pytest.mark.proves("repair-whole")
def test_what_the_log_still_has_comes_back(tmp_path: Path):
    """Records that the table had are read again: once is what is read of them."""
    path = tmp_path / "data"
    for call in range(2):
        with Server(ServerSettings(path, port=0)) as server:
            channel = plain_channel(server.address, server.api_key)
            send(channel, find_or_create_config(channel, FLOWS, ASSET), call)
            channel.close()
    first, *_ = path.glob("lake/date=*/*.parquet")
    first.unlink()
    mended(path)
    points = read_folder(path)
    assert len(points) == len(set(points))
    assert set(points) == points_of(0) | points_of(1)


@pytest.mark.proves("repair-whole")
@pytest.mark.parametrize("how", ["flip", "delete"])
def test_points_of_a_merged_file_come_back_from_what_it_was_merged_from(
    killed: Folder, tmp_path: Path, how: str
):
    """While those are on disk, for an hour."""
    path = copy_of(killed, tmp_path)
    named = [path / "lake" / name for name in table_files(path)]
    harmed = max(named, key=lambda file: pq.read_metadata(file).num_rows)
    harm(harmed, how, 0.5)
    line, _ = mended(path)
    assert "in the table again: in 8 files that it was merged from" in line
    assert sorted(read_folder(path), key=str) == sorted(killed.all, key=str)


def whole_segments(path: Path) -> list[Path]:
    covered = DeltaTable(path / "lake").transaction_version(APP_ID)
    return [each.path for each in read_log(path / "log", covered, lambda _: None).needed]


@pytest.mark.proves("repair-whole")
def test_records_behind_a_damaged_one_are_kept(killed: Folder, tmp_path: Path):
    """Each of them has a checksum of its own, and its position."""
    path = copy_of(killed, tmp_path)
    segment = whole_segments(path)[1]
    flip(segment, HEADER_BYTES + 100)
    with pytest.raises(LogCorruptionError, match="damaged at byte 24"):
        read_folder(path)
    lines = mended(path)
    assert any("bytes from byte 24 on are lost" in line for line in lines)
    left = set(read_folder(path))
    lost = killed.all - left
    assert killed.in_table <= left
    (call,) = (call for call in range(killed.calls) if points_of(call) & lost)
    assert lost < points_of(call)
    times = [timestamp for _, timestamp, _ in lost]
    assert all(times.count(timestamp) == 2 for timestamp in times)
    (aside,) = path.glob(f"damaged/*/log/{segment.name}")
    assert aside.stat().st_size > 0


def test_a_missing_segment_costs_what_was_in_it(killed: Folder, tmp_path: Path):
    """And nothing behind it."""
    path = copy_of(killed, tmp_path)
    segment = whole_segments(path)[1]
    last = whole_segments(path)[-1]
    assert segment != last
    segment.unlink()
    assert any("lost are the" in line for line in mended(path))
    left = set(read_folder(path))
    assert killed.in_table <= left < killed.all
    assert points_of(killed.calls - 1) <= left


def test_after_a_log_was_lost_new_misfits_are_kept(killed: Folder, tmp_path: Path):
    """The new log begins behind all that the error queue knows: a position is given out once."""
    path = copy_of(killed, tmp_path)
    with Catalog.open(path / "catalog.sqlite") as catalog:
        queued = catalog.error_queue.list(ListRequest()).items
        late = dataclasses.replace(queued[0], position=10_000_001, index=0)
        catalog.error_queue.add([late])
    shutil.rmtree(path / "log")
    found = examine(path)
    assert {each.where for each in found.report.problems} == {"log"}
    repair(path, found)
    with Server(ServerSettings(path, port=0)) as server:
        channel = plain_channel(server.address, server.api_key)
        (config,) = (
            Config(channel, each.ingestion_config_id, each.asset_id, FLOWS)
            for each in IngestionConfigServiceStub(channel)
            .ListIngestionConfigs(ListIngestionConfigsRequest())
            .ingestion_configs
        )
        misfit = config.row("readings", T0, [0.0, ""])
        misfit.channel_values[0].string = "no number"
        ingest(channel, [misfit])
        channel.close()
    with Catalog.open(path / "catalog.sqlite") as catalog:
        kept = catalog.error_queue.list(ListRequest()).items
    assert len(kept) == len(queued) + 2
    assert kept[-1].position > 10_000_001


def test_commits_that_are_lost_cost_no_point(killed: Folder, tmp_path: Path):
    """Not even if the log has forgotten what they covered: their files are there."""
    path = copy_of(killed, tmp_path)
    forget_covered(path)
    *_, before, _, _ = sorted(path.glob("lake/_delta_log/*.json"))
    for commit in path.glob("lake/_delta_log/*.json"):
        if commit > before:
            commit.unlink()
    done = repair(path, examine(path))
    assert done.after.report.problems == ()
    # If the log has all of it still, there is no gap, and the files are leftovers.
    (line,) = (line for line in done.done if line.startswith("lake: "))
    assert "that no commit names" in line
    assert sorted(read_folder(path), key=str) == sorted(killed.all, key=str)


def test_without_a_delta_log_the_table_is_what_its_files_are(killed: Folder, tmp_path: Path):
    """Points that are in two of them are read once."""
    path = copy_of(killed, tmp_path)
    shutil.rmtree(path / "lake" / "_delta_log")
    mended(path)
    assert sorted(read_folder(path), key=str) == sorted(killed.all, key=str)
    assert DeltaTable(path / "lake").schema().to_json() == (
        DeltaTable(killed.path / "lake").schema().to_json()
    )


@pytest.mark.proves("repair-whole")
def test_without_a_catalog_the_table_names_its_channels(killed: Folder, tmp_path: Path):
    """Messages of the log keep their bytes: nobody knows what is in them, so the queue has them."""
    path = copy_of(killed, tmp_path)
    for file in path.glob("catalog.sqlite*"):
        file.unlink()
    found = examine(path)
    left = repair(path, found).after.report.problems
    assert ["ingestion config" in each.what for each in left] == [True]
    assert set(read_folder(path)) == killed.in_table
    with Catalog.open(path / "catalog.sqlite") as catalog:
        assert catalog.error_queue.totals().kept_messages == len(killed.in_log) / 2
        assert {each.name for each in catalog.assets.list(ListRequest()).items} == {ASSET}


RULE = {"expression": "x > 5", "type": "review", "tags": ["hot"]}


@pytest.mark.proves("repair-whole")
@pytest.mark.parametrize(
    ("harm", "named", "lost", "left"),
    [
        ("UPDATE rule_versions SET content_json = '{}' WHERE number = 2", "1 version", "", "b a1"),
        ("DELETE FROM rule_versions WHERE number = 2", "no newest version", "", "b a1"),
        ("DELETE FROM rule_versions WHERE rule_id = RULE", "no newest version", "1 rule ", "b"),
        ("DELETE FROM rules WHERE rule_id = RULE", "belong to", "rows of rule_versions", "b"),
        ("DELETE FROM assets", "belong to", "1 asset ", "b a2"),
        (
            "UPDATE annotations SET linked_channels_json = '5'", "channels of 1 annotation",
            "channels", "b a2",
        ),
        ("DELETE FROM annotations", "belong to", "annotation_tags", "b a2"),
        ("DELETE FROM tags; DELETE FROM users", "", "", "b a2"),
    ],
)  # fmt: skip
def test_rules_that_can_not_be_used_are_mended(
    tmp_path: Path, harm: str, named: str, lost: str, left: str
):
    """A rule is what its newest version says that there is; what belongs to nothing goes."""
    with Server(ServerSettings(tmp_path, port=0)):
        pass
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        flow = FlowConfig("f", (ChannelConfig("x", DataType.DOUBLE),))
        asset_id = catalog.ingestion_configs.create("rover", "k", [flow]).asset_id
        registration = RuleRegistration(catalog)
        for description in ("a1", "a2"):
            a = {**RULE, "name": "a", "description": description}
            rules = [{**RULE, "name": "b", "description": "b"}, a]
            registration.update_json(asset_id, json.dumps(rules))
        rule = next(one for one in catalog.rules.live() if one.name == "a")
        window = ConditionStretches(rule, asset_id, "", 0, None, [Stretch(1, 2)])
        catalog.annotations.replace([window])
    with closing(sqlite3.connect(tmp_path / "catalog.sqlite")) as connection:
        connection.executescript(harm.replace("RULE", f"'{rule.rule_id}'"))
    found = examine(tmp_path)
    if named:
        assert any(named in each.what for each in found.report.problems)
        assert lost in "\n".join(mended(tmp_path))
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        live = catalog.rules.live()
        assert sorted(one.description for one in live) == sorted(left.split())
        catalog.annotations.list(ListRequest())


@pytest.mark.proves("repair-whole")
@pytest.mark.parametrize(
    ("harm", "named", "lost", "left"),
    [
        (
            "UPDATE calculated_channel_versions SET content_json = '[]' WHERE number = 2",
            "1 version of a calculated channel", "", [("power", "v1"), ("heat", "h")],
        ),
        (
            "DELETE FROM calculated_channel_versions WHERE number = 2",
            "no newest version", "", [("power", "v1"), ("heat", "h")],
        ),
        (
            "DELETE FROM calculated_channel_versions WHERE calculated_channel_id = POWER",
            "no newest version", "1 calculated channel ", [("heat", "h")],
        ),
        (
            "DELETE FROM calculated_channels WHERE calculated_channel_id = POWER",
            "belong to", "rows of calculated_channel_versions", [("heat", "h")],
        ),
        ("DELETE FROM assets", "belong to", "1 asset ", [("power", "v2"), ("heat", "h")]),
    ],
)  # fmt: skip
def test_calculated_channels_that_can_not_be_used_are_mended(
    tmp_path: Path, harm: str, named: str, lost: str, left: list[tuple[str, str]]
):
    """One is what its newest version says that there is."""
    with Server(ServerSettings(tmp_path, port=0)):
        pass
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        flow = FlowConfig("f", (ChannelConfig("x", DataType.DOUBLE),))
        asset_id = catalog.ingestion_configs.create("rover", "k", [flow]).asset_id
        content = CalculatedContent("power", "x * 2", "v1", asset_ids=(asset_id,))
        power = catalog.calculated_channels.create(content)
        catalog.calculated_channels.update(power, dataclasses.replace(content, description="v2"))
        heat = dataclasses.replace(
            content, name="heat", description="h", has_all_assets=True, asset_ids=()
        )
        catalog.calculated_channels.create(heat)
    with closing(sqlite3.connect(tmp_path / "catalog.sqlite")) as connection:
        connection.executescript(harm.replace("POWER", f"'{power.calculated_channel_id}'"))
    found = examine(tmp_path)
    assert any(named in each.what for each in found.report.problems)
    assert lost in "\n".join(mended(tmp_path))
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        channels = catalog.calculated_channels.list(ListRequest(order_by="created_date")).items
        assert [(one.content.name, one.content.description) for one in channels] == left


@pytest.mark.proves("repair-whole")
@pytest.mark.parametrize(
    ("harm", "named", "lost"),
    [
        ("UPDATE reports SET annotation_tags_json = '5'", "tags for annotations of 1 rep", "tags"),
        ("UPDATE jobs SET status = 77", "status of 1 job is none", "1 job's status"),
        ("UPDATE report_rules SET status = 0", "1 rule of a report will", "1 status of a rule"),
        ("DELETE FROM jobs", "1 rule of a report will never end", "1 status of a rule of a report"),
        ("DELETE FROM report_rules", "1 row of report_annotations", "1 row of report_annotations"),
        ("DELETE FROM annotations", "1 row of report_annotations", "1 row of report_annotations"),
        ("DELETE FROM reports", "1 row of jobs", "1 row of report_rules"),
        ("DELETE FROM runs; DELETE FROM rules", "", ""),
    ],
)
def test_reports_that_can_not_be_used_are_mended(tmp_path: Path, harm: str, named: str, lost: str):
    """What nobody will evaluate any more ends in an error; what belongs to nothing goes."""
    with Server(ServerSettings(tmp_path, port=0)):
        pass
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        flow = FlowConfig("f", (ChannelConfig("x", DataType.DOUBLE),))
        asset_id = catalog.ingestion_configs.create("rover", "k", [flow]).asset_id
        rules = [{**RULE, "name": "a", "description": "a"}]
        RuleRegistration(catalog).update_json(asset_id, json.dumps(rules))
        (rule,) = catalog.rules.live()
        run_id = catalog.runs.create(RunDraft("r")).run_id
        report = catalog.reports.create(
            ReportDraft("r", run_id), [ReportRule(rule.rule_id, rule.rule_version_id, asset_id)]
        )
        of_report = report.summaries[0].report_rule_version_id
        window = ConditionStretches(
            rule, asset_id, run_id, 0, None, [Stretch(1, 2)], report_rule_version_id=of_report
        )
        catalog.annotations.replace([window])
    with closing(sqlite3.connect(tmp_path / "catalog.sqlite")) as connection:
        connection.executescript(harm)
    found = examine(tmp_path)
    if named:
        assert any(named in each.what for each in found.report.problems)
        assert lost in "\n".join(mended(tmp_path))
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        catalog.annotations.list(ListRequest("report_id == 'x'"))
        catalog.jobs.list(ListRequest())
        for one in catalog.reports.list(ListRequest()).items:
            if {each.status.name for each in one.summaries} & {"CREATED", "LIVE"}:
                assert catalog.jobs.get(one.job_id).status.name == "CREATED"


@pytest.mark.proves("repair-whole")
@pytest.mark.parametrize(
    ("harm", "named", "lost"),
    [
        ("UPDATE data_imports SET warnings_json = '5'", "warnings of 1 data import", "warnings"),
        ("UPDATE data_imports SET config_json = 'x'", "config of 1 data import", "config"),
        ("UPDATE jobs SET job_type = 77", "status of 1 job is none", "1 job's status"),
        ("DELETE FROM data_imports", "1 row of jobs", "1 row of jobs"),
    ],
)
def test_data_imports_that_can_not_be_used_are_mended(
    tmp_path: Path, harm: str, named: str, lost: str
):
    """They can be listed again, and so can their jobs."""
    with Server(ServerSettings(tmp_path, port=0)):
        pass
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        made = catalog.data_imports.create("csv_config", "{}")
        catalog.data_imports.receive(made.data_import_id, "a.csv", b"digest")
    with closing(sqlite3.connect(tmp_path / "catalog.sqlite")) as connection:
        connection.executescript(harm)
    assert any(named in each.what for each in examine(tmp_path).report.problems)
    assert lost in "\n".join(mended(tmp_path))
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        jobs = catalog.jobs.list(ListRequest()).items
        assert [one.job_type.name for one in jobs] in ([], ["DATA_IMPORT"])
        for one in catalog.data_imports.list(ListRequest()).items:
            assert one.warnings == ()


def test_leftovers_of_a_crash_are_named_and_removed(killed: Folder, tmp_path: Path):
    """If nothing else is wrong: log or table have what is in them."""
    path = copy_of(killed, tmp_path)
    source = path / "lake" / table_files(path)[0]
    shutil.copy(source, source.with_name("left.parquet"))
    source.with_name("half.parquet").write_bytes(source.read_bytes()[:100])
    found = examine(path)
    assert found.report.is_sound
    assert "2 files" in found.report.findings[0].what
    (line,) = repair(path, found).done
    assert "2 files" in line
    assert not list(path.glob("lake/*/left.parquet"))


def test_an_older_catalog_is_noted_and_left_to_the_server(killed: Folder, tmp_path: Path):
    """An examination changes nothing, also where opening a catalog would."""
    path = copy_of(killed, tmp_path)
    for file in path.glob("catalog.sqlite*"):
        file.unlink()
    with closing(sqlite3.connect(path / "catalog.sqlite")) as connection:
        connection.executescript(VERSION_1.read_text(encoding="utf-8"))
    before = digests(path)
    found = examine(path)
    assert digests(path) == before
    assert any("version 1, older than" in each.what for each in found.report.findings)


def test_a_later_catalog_is_left_alone(killed: Folder, tmp_path: Path):
    """This program can't know what is right there."""
    path = copy_of(killed, tmp_path)
    with closing(sqlite3.connect(path / "catalog.sqlite")) as connection:
        connection.execute("UPDATE schema_version SET version = 99")
        connection.commit()
    with pytest.raises(LaterCatalogError, match="version 99"):
        examine(path)


@pytest.mark.parametrize("stops_at", range(6))
def test_an_interrupted_repair_can_be_done_again(
    killed: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stops_at: int
):
    """Wherever it ended."""
    path = copy_of(killed, tmp_path)
    flip(whole_segments(path)[1], HEADER_BYTES + 100)
    flip(path / "lake" / table_files(path)[0], 50)
    flip(sorted(path.glob("lake/_delta_log/*.json"))[-2], 300)
    shutil.copytree(path, tmp_path / "again")
    count = 0

    def moving(self: Aside, file: Path) -> None:
        nonlocal count
        if count == stops_at:
            raise KeyboardInterrupt
        count += 1
        move(self, file)

    move = Aside.move
    monkeypatch.setattr(Aside, "move", moving)
    with suppress(KeyboardInterrupt):
        repair(path, examine(path))
    monkeypatch.undo()
    repair(path, examine(path))
    mended(tmp_path / "again")
    assert examine(path).report.problems == ()
    assert sorted(read_folder(path), key=str) == sorted(read_folder(tmp_path / "again"), key=str)


def test_the_small_files_are_mended(killed: Folder, tmp_path: Path):
    """A key that others could read is closed, one that is empty makes room for a new one."""
    path = copy_of(killed, tmp_path)
    (path / "format").write_text("?")
    (path / "api_key").chmod(0o644)
    (path / "keys").write_bytes(b"?")
    found = examine(path)
    assert {each.where for each in found.report.problems} == {"format", "api_key", "keys"}
    mended(path)
    assert (path / "api_key").stat().st_mode & 0o777 == 0o600
    assert (path / "format").read_text() == "1\n"
    (path / "api_key").write_text("")
    mended(path)
    assert not (path / "api_key").exists()
