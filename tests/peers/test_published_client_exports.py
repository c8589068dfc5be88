"""The published client exports data, waits, downloads, and finds the values in the files."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from exports.conftest import ROWS, START_NS, stream, times_ns
from sift_py.grpc.transport import use_sift_channel
from sift_server.readback import list_channels
from sift_server.server import Server, ServerSettings
from support.peer_env import peer_python

PROGRAM = Path(__file__).parent / "programs" / "export_data.py"


@pytest.mark.peer
@pytest.mark.slow
def test_it_exports_data(tmp_path: Path):
    """By runs, assets, times and expressions, in one file and in several."""
    with Server(ServerSettings(tmp_path / "telemetry", port=0)) as server:
        config = {"uri": f"http://{server.address}", "apikey": server.api_key}
        with use_sift_channel(config) as channel:
            ids = stream(channel)
            names = {each.name: each.channel_id for each in list_channels(channel, ids.rover)}
        asked = {
            "runs": ids.runs,
            "asset": ids.rover,
            "channel": names["count"],
            "start": "2026-05-28T00:00:00+00:00",
            "stop": "2026-05-29T00:00:00+00:00",
        }
        done = subprocess.run(
            # Isolated, so that nothing of ours is on its path.
            [peer_python(("sift-stack-py[parquet]==0.25.0",)), "-I", PROGRAM,
             server.address, server.api_key, tmp_path, json.dumps(asked)],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert "EXPORT_OUTPUT_FORMAT_SUN" in found.pop("sun")
    assert found.pop("job") == ["DATA_EXPORT", "FINISHED"]

    def only(name: str) -> Path:
        (file,) = found[name]
        return tmp_path / name / file

    run = parquet.read_table(only("run"))
    assert run["rover.motor.speed"].drop_null().to_pylist() == [n / 3 for n in range(ROWS)]
    assert run["time"][0].cast(pa.int64()).as_py() == START_NS
    rows = csv.read_csv(only("asset")).to_pylist()
    assert [row["count"] for row in rows] == 2 * [n + 2**53 + 1 for n in range(ROWS)]
    channel = parquet.read_table(only("channel"))
    assert channel.column_names == ["time", "count"]
    assert channel["time"].cast(pa.int64()).to_pylist() == [*times_ns(0), *times_ns(1)]
    half = parquet.read_table(only("calculated"))
    assert half["half"].to_pylist() == [n / 3 / 2.0 for n in range(ROWS)]
    assert found["split"] == [
        "rover_drive_1.csv", "rover_drive_2.csv", "station_drive_1.csv", "station_drive_2.csv",
    ]  # fmt: skip
