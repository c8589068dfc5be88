"""`sift sql`, and `sift_py.data.sql`, as a person or a program runs them."""

from __future__ import annotations

import csv
import io
import json
import time
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from sift_py.data import sql
from sift_py.data.statements import statement_batches
from sift_py.errors import DataError, DataReadError
from sift_py.grpc.transport import use_sift_channel
from sift_py.ingestion.channel import ChannelConfig, ChannelDataType
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.service import IngestionService
from sift_server.commands.main import app
from sift_server.server import Server, ServerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

START_NS = 1_790_000_000_000_000_001
CONFIG = TelemetryConfig(
    asset_name="rover",
    flows=[
        FlowConfig(
            "motor",
            [
                ChannelConfig("speed", ChannelDataType.DOUBLE, unit="rpm"),
                ChannelConfig("count", ChannelDataType.INT_64),
                ChannelConfig("text", ChannelDataType.STRING),
            ],
        )
    ],
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("sql") / "telemetry"
    with Server(ServerSettings(path, port=0)) as server:
        key = {"uri": f"http://{server.address}", "apikey": server.api_key}
        with use_sift_channel(key) as channel:
            service = IngestionService(channel, CONFIG)
            service.attach_run(channel, "first drive")
            service.ingest_columns(
                "motor",
                START_NS + np.arange(3),
                {
                    "speed": np.array([1.5, np.nan, np.inf]),
                    "count": np.array([2**62 + 1, -1, 0]),
                    "text": ["a,b", 'say "hi"', "line\nbreak"],
                },
            )
        yield path


def run(folder: Path, *arguments: str, input: str | None = None) -> Result:  # noqa: A002
    return CliRunner().invoke(
        app, ["sql", *arguments, "--data-dir", str(folder)], input=input, catch_exceptions=False
    )


def test_a_table_has_names_types_and_aligned_cells(folder: Path):
    result = run(folder, "SELECT speed, count, text FROM rover.motor ORDER BY timestamp_ns")

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        " speed                count  text",
        "double                int64  string",
        "------  -------------------  -----------",
        "   1.5  4611686018427387905  a,b",
        '   nan                   -1  say "hi"',
        "   inf                    0  line\\nbreak",
    ]
    assert result.stderr.startswith("3 rows, ")


def test_a_table_is_cut_and_says_so(folder: Path):
    result = run(folder, "FROM range(1000000)", "--rows", "2")

    assert result.stdout.splitlines()[2:] == ["-----", "    0", "    1"]
    assert result.stderr.startswith("the first 2 rows; --rows shows more")


def test_the_statement_may_come_from_standard_input(folder: Path):
    result = run(folder, "--json", input="SELECT 1 AS one\n")

    assert json.loads(result.stdout) == [{"one": 1}]


def test_json_keeps_every_value(folder: Path):
    result = run(
        folder, "SELECT time, speed, count, text, run FROM rover.motor ORDER BY time", "--json"
    )

    assert [
        (row["speed"], row["count"], row["text"], row["run"]) for row in json.loads(result.stdout)
    ] == [
        (1.5, 2**62 + 1, "a,b", "first drive"),
        ("nan", -1, 'say "hi"', "first drive"),
        ("inf", 0, "line\nbreak", "first drive"),
    ]
    assert json.loads(result.stdout)[0]["time"] == "2026-09-21 14:13:20.000000001"
    assert json.loads(run(folder, "FROM points LIMIT 0", "--json").stdout) == []


def test_csv_is_read_by_others(folder: Path):
    result = run(
        folder,
        "SELECT count, text, [1, 2] AS list, 'ab'::BLOB AS data, NULL AS nothing"
        " FROM rover.motor ORDER BY time",
        "--format",
        "csv",
    )

    assert list(csv.reader(io.StringIO(result.stdout))) == [
        ["count", "text", "list", "data", "nothing"],
        [str(2**62 + 1), "a,b", "[1, 2]", "6162", ""],
        ["-1", 'say "hi"', "[1, 2]", "6162", ""],
        ["0", "line\nbreak", "[1, 2]", "6162", ""],
    ]


@pytest.mark.parametrize("name", ["out.parquet", "out.arrow", "out.csv", "out.json"])
def test_a_file_is_written_whole(folder: Path, tmp_path: Path, name: str):
    path = tmp_path / name
    result = run(folder, "SELECT range AS n FROM range(200000)", "--output", str(path))

    assert result.exit_code == 0
    assert result.stderr.startswith(f"wrote {path}")
    if path.suffix == ".parquet":
        assert pq.read_table(path)["n"].to_pylist() == list(range(200_000))
    elif path.suffix == ".arrow":
        assert pa.ipc.open_stream(path.read_bytes()).read_all().num_rows == 200_000
    elif path.suffix == ".csv":
        assert len(path.read_text().splitlines()) == 200_001
    else:
        assert len(json.loads(path.read_text())) == 200_000


def test_what_breaks_off_leaves_no_file_and_the_old_one(folder: Path, tmp_path: Path):
    path = tmp_path / "out.csv"
    path.write_text("old")
    statement = (
        "SELECT CASE WHEN range = 3000000 THEN error('here') ELSE '' END FROM range(4000000)"
    )
    result = run(folder, statement, "--output", str(path))

    assert result.exit_code == 2
    assert "here" in result.stderr
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["SELECT sped FROM rover.motor"],
            "line 1: SELECT sped FROM rover.motor\n               ^",
        ),
        (["DROP TABLE runs"], "nothing can be changed here"),
        (["SELECT 1", "--output", "what.txt"], "--format csv, json, parquet or arrow"),
        (["SELECT 1", "--json", "--format", "csv"], "contradict"),
        (["SELECT 1", "--format", "table", "--output", "x.csv"], "another --format"),
    ],
)
def test_what_is_wrong_is_told(folder: Path, arguments: list[str], words: str):
    result = run(folder, *arguments)

    assert result.exit_code == 2
    assert words in result.stderr


def test_python_has_answers_as_arrow(folder: Path):
    table = sql("SELECT timestamp_ns, speed FROM rover.motor ORDER BY 1", source=folder)
    nothing: Any = sql("SELECT 1 AS one WHERE false", source=folder)

    assert table["timestamp_ns"].to_pylist() == [START_NS, START_NS + 1, START_NS + 2]
    assert (nothing.schema.names, nothing.num_rows) == (["one"], 0)
    with pytest.raises(DataReadError, match="SELEKT") as caught:
        sql("SELEKT", source=folder)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_python_has_answers_batch_by_batch(folder: Path):
    uri = (folder / "address").read_text().strip()
    key = (folder / "api_key").read_text().strip()
    with use_sift_channel({"uri": uri, "apikey": key}) as channel:
        with statement_batches(channel, "FROM range(100000000000)") as batches:
            assert next(batches).num_rows > 0
        with (
            pytest.raises(DataReadError, match="here"),
            statement_batches(
                channel,
                "SELECT CASE WHEN range = 3000000 THEN error('here') ELSE '' END"
                " FROM range(4000000)",
            ) as batches,
        ):
            for _ in batches:
                pass


def test_a_channel_of_the_library_has_no_sql():
    with (
        grpc.insecure_channel("127.0.0.1:1") as channel,
        pytest.raises(DataError, match="use_sift_channel"),
        statement_batches(channel, "SELECT 1"),
    ):
        pass


def test_a_key_without_the_scope_to_read_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch):
    made = CliRunner().invoke(
        app,
        ["keys", "create", "writer", "--scope", "write", "--json", "--data-dir", str(folder)],
    )
    monkeypatch.setenv("SIFT_API_KEY", json.loads(made.stdout)["key"])

    # Within a second the server knows of a key.
    time.sleep(1.5)

    with pytest.raises(DataReadError, match="needs an API key with the scope read"):
        sql("SELECT 1", source=folder)
