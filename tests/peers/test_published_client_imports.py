"""The published client imports files, by both of its libraries; each value is read back."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from pyarrow import parquet

from sift_server.server import Server, ServerSettings
from support.imports import ImportDoors
from support.peer_env import peer_python
from support.serving import plain_channel

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = Path(__file__).parent / "programs" / "import_files.py"
T0 = 1_767_225_600 * 10**9
TIMES = [T0, T0 + 10**9 + 1]
CSV = """time,speed (m/s),on,n
2026-01-01T00:00:00Z,1.5,true,-9007199254740993
2026-01-01T00:00:01.000000001Z,2.5,false,2
"""
EMBEDDED = """Time,Speed
"{""format"": ""TIME_FORMAT_ABSOLUTE_UNIX_NANOSECONDS""}",\
"{""name"": ""velocity"", ""units"": ""m/s"", ""dataType"": ""CHANNEL_DATA_TYPE_FLOAT""}"
17,0.5
"""
TABLE = {
    "time": TIMES,
    "v": [1.0, 2.0],
    "text": ["a", "grün"],
    "list": [[1], [2, 3]],
    "struct": [{"x": 1}, {"x": 2**60 + 1}],
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(ServerSettings(tmp_path / "telemetry", port=0)) as running:
        yield running


def timed(*values: object) -> list[tuple[int, object]]:
    return list(zip(TIMES, values, strict=True))


@pytest.mark.peer
@pytest.mark.slow
def test_it_imports_files(tmp_path: Path, server: Server):
    """CSV and Parquet; what goes wrong is said in words."""
    (tmp_path / "flight.csv").write_text(CSV)
    (tmp_path / "embedded.csv").write_text(EMBEDDED)
    parquet.write_table(pa.table(TABLE), tmp_path / "flight.parquet")
    done = subprocess.run(
        # Isolated, so that nothing of ours is on its path.
        [peer_python(("sift-stack-py[parquet]==0.25.0",)), "-I", PROGRAM,
         server.address, server.api_key, tmp_path],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    by_sift_py, by_sift_client = found["sift_py"], found["sift_client"]
    assert {name: one[1:] for name, one in by_sift_py.items()} == {
        "simple": ["DATA_IMPORT_STATUS_SUCCEEDED", ""],
        "wrong": [
            "DATA_IMPORT_STATUS_FAILED",
            "the config names column 9, and the rows of the file have 4 cells",
        ],
        "parquet": ["DATA_IMPORT_STATUS_SUCCEEDED", ""],
    }
    done_well = ["SUCCEEDED", None, "FINISHED", "DATA_IMPORT"]
    assert [by_sift_client[name][1:] for name in ("csv", "embedded", "parquet")] == [
        [*done_well, 6, 6, "csv"],
        [*done_well, 1, 1, "embedded.csv"],
        [*done_well, 6, 6, "flight.parquet"],
    ]
    assert by_sift_client["detected"] == [["speed", "DOUBLE"], ["on", "BOOL"], ["n", "INT_64"]]
    assert sorted(by_sift_client["listed"]) == ["FAILED"] + ["SUCCEEDED"] * 5
    with plain_channel(server.address, server.api_key) as channel:
        doors = ImportDoors(server.address, server.api_key, channel)
        csv = [
            doors.get(each["simple" if each is by_sift_py else "csv"][0]) for each in found.values()
        ]
        for imported, speed in zip(csv, ("speed (m/s)", "speed"), strict=True):
            assert doors.points(imported, speed, "on", "n") == {
                speed: timed(1.5, 2.5),
                "on": timed(True, False),
                "n": timed(-9007199254740993, 2),
            }
        embedded = doors.get(by_sift_client["embedded"][0])
        assert doors.points(embedded, "velocity")["velocity"] == [(17, 0.5)]
        for each in (by_sift_py, by_sift_client):
            assert doors.points(doors.get(each["parquet"][0]), "v", "text", "struct.x") == {
                "v": timed(1.0, 2.0),
                "text": timed("a", "grün"),
                "struct.x": timed(1, 2**60 + 1),
            }
