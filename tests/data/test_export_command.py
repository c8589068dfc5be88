"""`sift export`: a file has what `read_channels` gives, however many spans it takes."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import h5py
import pyarrow as pa
import pytest
from mcap.reader import make_reader
from pyarrow import parquet
from typer.testing import CliRunner

import sift_files
from data.conftest import ROWS, START_NS, STEP_NS
from sift_py.data import iter_channels, read_channels
from sift_server.commands.main import app


@pytest.fixture(params=[10, 1_000_000])
def batch_points(request, monkeypatch):
    """Many spans, and one."""
    some = functools.partial(iter_channels, batch_points=request.param)
    monkeypatch.setattr("sift_server.commands.export.iter_channels", some)
    return request.param


def run(rig, tmp_path, name, *words):
    command = ["export", "--asset", "rig", "-o", str(tmp_path / name), *words]
    return CliRunner().invoke(app, [*command, "--data-dir", str(rig.folder)])


def exported(rig, tmp_path, name, *words):
    done = run(rig, tmp_path, name, *words)
    assert done.exit_code == 0, done.stderr
    return tmp_path / name


def whole(rig, *channels, layout="wide", **more):
    return read_channels("rig", channels or "*", source=rig.channel, **more).to_arrow(layout)


def test_a_parquet_file_is_the_wide_table(rig, tmp_path, batch_points):
    table = parquet.read_table(exported(rig, tmp_path, "one.parquet", "--run", "one"))
    expected = whole(rig, run="one")
    assert table.to_pylist() == expected.to_pylist()
    assert table.schema.field("mode").metadata == {
        **expected.schema.field("mode").metadata,
        b"enum_types": b'{"off": 0, "on": 7}',
    }
    assert table.schema.metadata[b"sift"] == b'{"asset": "rig", "layout": "wide"}'


def test_an_arrow_file_has_the_same_rows(rig, tmp_path, batch_points):
    path = exported(rig, tmp_path, "one.arrow", "--run", "one")
    assert pa.ipc.open_file(path).read_all().to_pylist() == whole(rig, run="one").to_pylist()


def test_long_tables_have_a_row_a_point(rig, tmp_path, batch_points):
    path = exported(rig, tmp_path, "d.parquet", "d", "mode", "--run", "one", "--layout", "long")
    table = parquet.read_table(path)
    expected = whole(rig, "d", "mode", run="one", layout="long")
    assert table.column_names == expected.column_names
    assert sorted(table.to_pylist(), key=str) == sorted(expected.to_pylist(), key=str)
    about = json.loads(table.schema.metadata[b"sift"])
    assert about["channels"]["d"] == {"data_type": "DOUBLE", "unit": "m", "enum_types": {}}
    assert about["channels"]["mode"]["enum_types"] == {"off": 0, "on": 7}


def test_several_runs_have_a_column(rig, tmp_path, batch_points):
    rows = parquet.read_table(exported(rig, tmp_path, "all.parquet", "i*")).to_pylist()
    assert sorted(rows, key=str) == sorted(whole(rig, "i*").to_pylist(), key=str)
    assert {row["run"] for row in rows} == {"one", "two"}


def test_hdf5_and_mcap_have_the_points_of_each_channel(rig, tmp_path, batch_points):
    readings = read_channels("rig", run="one", source=rig.channel)
    with h5py.File(exported(rig, tmp_path, "one.h5", "--run", "one")) as file:
        for each in readings:
            group = file[each.name]
            assert group["time"][:].tolist() == each.timestamps_ns.tolist()
            if each.data_type == "STRING":
                assert [one.decode() for one in group["value"][:]] == each.values.to_pylist()
            else:
                assert group["value"][:].tolist() == each.values.to_pylist()
    points = {each.name: [] for each in readings}
    with exported(rig, tmp_path, "one.mcap", "--run", "one").open("rb") as file:
        for _, channel, message in make_reader(file).iter_messages():
            value = json.loads(message.data)["value"]
            points[channel.topic[1:]].append((message.log_time, value))
    for each in readings:
        expected = zip(each.timestamps_ns.tolist(), each.named_values().to_pylist(), strict=True)
        assert points[each.name] == list(expected)


@pytest.mark.parametrize("name", ["one.csv", "one.parquet"])
def test_what_is_exported_can_be_read_as_a_file(rig, tmp_path, batch_points, name):
    """Value by value, nanosecond by nanosecond, with units."""
    path = exported(rig, tmp_path, name, "--run", "one")
    plan = sift_files.detect(path)
    (table,) = plan.tables
    units = {each.channel: each.unit for each in table.columns}
    found = {}
    for batch in sift_files.read(path, plan):
        for channel, values in batch.columns.items():
            mine = zip(batch.times_ns.tolist(), pa.array(values).to_pylist(), strict=True)
            found.setdefault(channel, []).extend(each for each in mine if each[1] is not None)
    for each in read_channels("rig", run="one", source=rig.channel):
        # A file of text has no keys of states.
        named = each.named_values() if name == "one.csv" else each.values
        values = named.to_pylist()
        if name == "one.csv" and each.data_type == "FLOAT":
            # The digits of a float, which a file of text takes for those of a double.
            found[each.name] = [
                (time, pa.scalar(value, pa.float32()).as_py()) for time, value in found[each.name]
            ]
        assert found[each.name] == list(zip(each.timestamps_ns.tolist(), values, strict=True))
        assert units[each.name] == each.unit


def test_times_and_samples_are_chosen(rig, tmp_path):
    start = "2026-05-28T20:26:40.123456789Z"
    table = parquet.read_table(
        exported(rig, tmp_path, "d.parquet", "d", "--run", "one", "--start", start, "--json")
    )
    assert table.num_rows == ROWS
    end = "2026-05-28T20:26:40.125456791Z"
    path = exported(rig, tmp_path, "e.parquet", "d", "--run", "one", "--end", end)
    times = parquet.read_table(path)["time"].cast(pa.int64()).to_pylist()
    assert times == [START_NS, START_NS + STEP_NS]
    path = exported(rig, tmp_path, "s.parquet", "d", "--run", "one", "--sample", "10ms")
    assert 3 <= parquet.read_table(path).num_rows < 20


def test_what_was_written_is_said(rig, tmp_path):
    done = run(rig, tmp_path, "d.csv", "d", "i32", "--run", "two")
    path = tmp_path / "d.csv"
    assert done.stdout == f"20 points of 2 channels in {path}, 1 KiB.\n"
    document = json.loads(run(rig, tmp_path, "j.csv", "d", "--run", "two", "--json").stdout)
    assert document["points"] == document["rows"] == 10
    assert document["first"] == "2026-05-28T21:26:40.123456789Z"
    assert document["bytes"] == (tmp_path / "j.csv").stat().st_size


@pytest.mark.parametrize(
    ("name", "words", "code", "message"),
    [
        ("x.xlsx", (), 2, "does not say in which format"),
        ("x.mcap", ("--layout", "long"), 2, "--layout is of files with rows"),
        ("x.csv", ("--start", "noon"), 2, "--start takes a time"),
        ("x.csv", ("--sample", "1us"), 2, "--sample takes whole milliseconds"),
        ("x.csv", ("mood",), 1, "no channel 'mood'. Did you mean 'mode'?"),
        ("x.csv", ("--end", "2000-01-01"), 1, "there are no such points"),
        ("no/x.csv", (), 1, "No such file or directory"),
    ],
)
def test_what_can_not_be_is_said_and_leaves_nothing(rig, tmp_path, name, words, code, message):
    done = run(rig, tmp_path, name, *words)
    assert done.exit_code == code
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_only_if_asked(rig, tmp_path):
    path = Path(tmp_path / "d.csv")
    path.write_text("mine")
    done = run(rig, tmp_path, "d.csv", "d")
    assert done.exit_code == 1
    assert "is there; replace it with --force" in done.stderr
    assert path.read_text() == "mine"
    exported(rig, tmp_path, "d.csv", "d", "--force")
    assert path.read_text() != "mine"
