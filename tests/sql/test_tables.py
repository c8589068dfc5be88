"""What the tables have: every point once, hot or stored, and the catalog."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest

from sift_server.catalog import AnnotationDraft, ChannelConfig, EnumType, RunDraft
from sift_wire.columns import DataType
from sql.conftest import START_NS, Bench, open_bench

if TYPE_CHECKING:
    from pathlib import Path

EVERY_TYPE = {
    DataType.DOUBLE: -0.0,
    DataType.FLOAT: 0.1,
    DataType.INT_32: -(2**31),
    DataType.UINT_32: 2**32 - 1,
    DataType.INT_64: -(2**63),
    DataType.UINT_64: 2**64 - 1,
    DataType.BOOL: True,
    DataType.STRING: "naïve 'quote'",
    DataType.BYTES: b"\0\xff",
    DataType.BIT_FIELD: b"\x05",
    DataType.ENUM: 1,
}


def test_hot_and_stored_points_are_one_table(bench: Bench):
    bench.publish([(0, [1.0, 0]), (10, [2.0, 1])])
    bench.store.flush()
    bench.publish([(20, [3.0, None])])

    assert bench.rows(
        "SELECT asset, channel, run, timestamp_ns, value, value_enum FROM points"
        " ORDER BY channel, timestamp_ns"
    ) == [
        ("rig", "mode", None, START_NS, 0.0, "off"),
        ("rig", "mode", None, START_NS + 10, 1.0, "on"),
        ("rig", "speed", None, START_NS, 1.0, None),
        ("rig", "speed", None, START_NS + 10, 2.0, None),
        ("rig", "speed", None, START_NS + 20, 3.0, None),
    ]


def test_a_point_that_was_sent_again_is_there_once(bench: Bench):
    rows = [(ns, [float(ns), 1]) for ns in range(100)]
    for _ in range(3):
        bench.publish(rows)
        bench.store.flush()
    bench.publish(rows[50:])
    bench.publish([(99, [99.5, None]), (100, [1.0, 1])])

    assert bench.rows("SELECT channel, count(*) FROM points GROUP BY 1 ORDER BY 1") == [
        ("mode", 101),
        ("speed", 102),
    ]
    assert bench.rows("SELECT sum(value) FROM points WHERE channel = 'speed'") == [
        (sum(range(100)) + 99.5 + 1.0,)
    ]


def test_points_differ_by_the_bits_of_their_values(bench: Bench):
    nans = [
        struct.unpack("<d", struct.pack("<Q", bits))[0] for bits in (0x7FF8 << 48, 0xFFF8 << 48)
    ]
    rows = [(0, [value, None]) for value in (0.0, -0.0, *nans)]
    for _ in range(2):
        bench.publish(rows)
        bench.store.flush()

    found = bench.table("SELECT value_double FROM points")["value_double"].to_pylist()

    assert sorted(struct.pack(">d", value) for value in found) == sorted(
        struct.pack(">d", value) for _, (value, _) in rows
    )


def test_points_of_runs_differ_and_have_its_name(bench: Bench):
    run = bench.catalog.runs.create(RunDraft("first flight"))
    bench.publish([(0, [1.0, None])])
    bench.publish([(0, [1.0, None])], run=run.run_id)
    bench.store.flush()
    bench.publish([(0, [1.0, None])], run="one that is gone")

    assert bench.rows("SELECT run, run_id FROM points ORDER BY ALL NULLS FIRST") == [
        (None, None),
        (None, "one that is gone"),
        ("first flight", run.run_id),
    ]


@pytest.mark.parametrize("is_hot", [False, True])
def test_values_of_every_type_survive(tmp_path: Path, is_hot: bool):
    bench = open_bench(tmp_path)
    bench.flow(
        "rig",
        "all",
        [
            ChannelConfig(kind.name, kind, enum_types=(EnumType("on", 1, False),))
            if kind is DataType.ENUM
            else ChannelConfig(kind.name, kind)
            for kind in EVERY_TYPE
        ],
    )
    bench.publish([(1, list(EVERY_TYPE.values()))], ("rig", "all"))
    if not is_hot:
        bench.store.flush()

    (row,) = bench.table("SELECT * FROM rig.all").to_pylist()
    points = {each["channel"]: each for each in bench.table("FROM points").to_pylist()}

    wanted: dict[str, Any] = {kind.name: value for kind, value in EVERY_TYPE.items()}
    wanted["FLOAT"] = struct.unpack("<f", struct.pack("<f", 0.1))[0]
    assert points["UINT_64"]["value_uint64"] == 2**64 - 1
    assert points["INT_64"]["value_int64"] == -(2**63)
    assert points["BIT_FIELD"]["value_bytes"] == b"\x05"
    assert points["STRING"]["value_string"] == wanted["STRING"]
    assert points["ENUM"]["value_enum"] == "on"
    assert points["BOOL"]["value"] == 1.0
    assert points["STRING"]["value"] is None
    wanted["ENUM"] = "on"
    assert {name: row[name] for name in wanted} == wanted
    assert str(row["DOUBLE"]) == "-0.0"
    assert (row["timestamp_ns"], row["time"].value) == (START_NS + 1, START_NS + 1)
    bench.engine.close()


@pytest.mark.parametrize("ns", [-(2**63), -(2**63) + 1, 2**63 - 1])
def test_times_that_are_none_in_sql_keep_their_nanoseconds(bench: Bench, ns: int):
    bench.publish([(ns - START_NS, [1.0, None])])

    assert bench.rows("SELECT timestamp_ns, value FROM points") == [(ns, 1.0)]
    assert len(bench.rows("FROM points")) == 1
    assert len(bench.rows("FROM rig.one")) == 1


def test_a_row_of_a_wide_view_is_a_time_of_a_run(bench: Bench):
    bench.flow("rig", "two", [ChannelConfig("load", DataType.INT_32)])
    run = bench.catalog.runs.create(RunDraft("first flight"))
    bench.publish([(0, [1.0, 0]), (10, [None, 1]), (20, [3.0, None])])
    bench.publish([(0, [7])], ("rig", "two"))
    bench.store.flush()
    bench.publish([(0, [1.0, 0]), (10, [2.0, None])], run=run.run_id)
    bench.publish([(0, [0.5, 0])])

    assert bench.rows(
        "SELECT timestamp_ns, run, speed, mode FROM rig.one ORDER BY ALL NULLS FIRST"
    ) == [
        # Of two values at one time the larger one.
        (START_NS, None, 1.0, "off"),
        (START_NS, "first flight", 1.0, "off"),
        (START_NS + 10, None, None, "on"),
        (START_NS + 10, "first flight", 2.0, None),
        (START_NS + 20, None, 3.0, None),
    ]


def test_wide_views_have_names_that_can_be_written(bench: Bench):
    bench.flow("main", "Flow.one", [ChannelConfig("a", DataType.DOUBLE)])
    bench.flow("Rig", 'say "hi"', [ChannelConfig("time", DataType.DOUBLE)])
    bench.flow(
        "rig",
        "ONE",
        [
            ChannelConfig("Speed", DataType.DOUBLE),
            ChannelConfig("speed", DataType.INT_64),
            ChannelConfig("speed", DataType.STRING, component="motor"),
        ],
    )
    bench.publish([(0, [1.5])], ("Rig", 'say "hi"'))
    bench.publish([(0, [2.5, 3, "fast"])], ("rig", "ONE"))

    views = dict(bench.rows("SELECT asset || ' ' || flow, view FROM flows"))

    assert views == {
        "rig one": '"rig"."one"',
        "main Flow.one": '"main_2"."Flow.one"',
        'Rig say "hi"': '"Rig_2"."say ""hi"""',
        "rig ONE": '"rig"."ONE_2"',
    }
    assert bench.rows(f"SELECT time_2 FROM {views[_HI]}") == [(1.5,)]
    assert bench.rows(f'SELECT Speed, speed_2, "motor.speed" FROM {views["rig ONE"]}') == [
        (2.5, 3, "fast")
    ]


_HI = 'Rig say "hi"'


def test_the_catalog_is_tables(bench: Bench):
    run = bench.catalog.runs.create(RunDraft("first flight", start_ns=5, stop_ns=7))
    asset_id = bench.catalog.ingestion_configs.create("rig", "other", []).asset_id
    bench.catalog.annotations.create(
        AnnotationDraft("too fast", 5, 6, asset_ids=(asset_id,), run_id=run.run_id)
    )

    assert bench.rows("SELECT asset, channel, data_type, unit, enum_types FROM channels") == [
        ("rig", "speed", "DOUBLE", "m/s", []),
        ("rig", "mode", "ENUM", "", [(0, "off"), (1, "on")]),
    ]
    assert bench.rows("SELECT run, epoch_ns(start), epoch_ns(stop) FROM runs") == [
        ("first flight", 5, 7)
    ]
    assert bench.rows("SELECT annotation, type, run, assets, start_ns FROM annotations") == [
        ("too fast", "review", "first flight", ["rig"], 5)
    ]
    assert bench.rows("SELECT asset FROM assets") == [("rig",)]
    assert [name for name, _ in bench.rows("SHOW TABLES")] == [
        "points",
        "channels",
        "runs",
        "annotations",
        "assets",
        "flows",
        "tables",
        '"rig"."one"',
    ]


def test_points_and_catalog_can_be_joined(bench: Bench):
    bench.publish([(0, [1.0, 0])])

    assert bench.rows(
        "WITH last AS (SELECT channel_id, max(timestamp_ns) AS newest FROM points GROUP BY 1)"
        " SELECT c.channel, c.unit, newest FROM last JOIN channels c USING (channel_id)"
        " WHERE c.unit != ''"
    ) == [("speed", "m/s", START_NS)]


def test_moments_have_an_offset_and_nanoseconds(bench: Bench):
    bench.publish([(1, [1.0, None])])

    assert bench.rows(
        "SELECT ns('2025-10-09T08:53:20.000000001Z'), ns('2025-10-09 10:53:20+02')"
    ) == [(START_NS + 1, START_NS)]
    assert bench.rows(
        "SELECT count(*) FROM points WHERE timestamp_ns = ns('2025-10-09T08:53:20.000000001Z')"
    ) == [(1,)]


def test_an_empty_folder_has_empty_tables(tmp_path: Path):
    bench = open_bench(tmp_path)
    for name in ("points", "channels", "runs", "annotations", "assets", "flows"):
        assert bench.rows(f"FROM {name}") == []
    assert bench.rows("SELECT count(*) FROM points") == [(0,)]
    bench.engine.close()


def test_files_stay_while_an_answer_reads_them(bench: Bench, tmp_path: Path):
    for number in range(8):
        bench.publish([(number * 1000 + ns, [float(ns), 1]) for ns in range(100)])
        bench.store.flush()
    schema, batches = bench.engine.query("SELECT value FROM points ORDER BY timestamp_ns")
    while bench.store.compact():
        pass
    bench.store.tidy()

    with batches:
        assert sum(batch.num_rows for batch in batches) == 1600
    assert schema.names == ["value"]
