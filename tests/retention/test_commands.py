"""`sift delete` and `sift retention` as a person or a program runs them, and the doors behind."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typer.testing import CliRunner

from sift_py.data import read_channels
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

START_NS = 1_790_000_000_000_000_000
CONFIG = TelemetryConfig(
    asset_name="rover",
    flows=[
        FlowConfig(
            "motor",
            [ChannelConfig(name, ChannelDataType.DOUBLE) for name in ("speed", "debug")],
        )
    ],
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "telemetry"
    with Server(ServerSettings(path, port=0)) as server:
        key = {"uri": f"http://{server.address}", "apikey": server.api_key}
        with use_sift_channel(key) as channel:
            service = IngestionService(channel, CONFIG)
            service.attach_run(channel, "first drive")
            numbers = np.arange(10)
            columns = {"speed": numbers * 1.0, "debug": numbers * 1.0}
            service.ingest_columns("motor", START_NS + numbers * 10**9, columns)
        yield path


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(
        app, [*arguments, "--data-dir", str(folder)], input="", catch_exceptions=False
    )


def points(folder: Path) -> int:
    return read_channels("rover", source=folder).points


def test_a_dry_run_deletes_nothing_and_yes_is_needed(folder: Path):
    wanted = ["delete", "--asset", "rover", "--channel", "debug", "--end", "2026-09-21T14:13:24Z"]

    said = run(folder, *wanted, "--dry-run")
    asked = run(folder, *wanted)

    assert said.exit_code == 0
    assert said.stdout.startswith("would delete 4 points (about ")
    assert (asked.exit_code, "say --yes" in asked.stderr) == (2, True)
    assert points(folder) == 20
    done = run(folder, *wanted, "--yes", "--json")
    assert json.loads(done.stdout)["points"] == 4
    assert json.loads(done.stdout)["deleted"] is True
    assert points(folder) == 16


def test_a_run_is_deleted_whole(folder: Path):
    result = run(folder, "delete", "--run", "first drive", "--yes")

    assert result.stdout.startswith("deleted 20 points (about ")
    assert result.stdout.endswith(" of the run 'first drive', of all assets\n")
    assert points(folder) == 0
    assert not list((folder / "lake").glob("date=*/*.parquet"))
    again = run(folder, "delete", "--run", "first drive", "--yes")
    assert (again.exit_code, again.stderr) == (1, "sift delete: there is no run 'first drive'\n")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([], 2, "either a --run or an --asset"),
        (["--run", "a", "--asset", "b"], 2, "either a --run or an --asset"),
        (["--run", "a", "--start", "2026-01-01T00:00:00Z"], 2, "a run is deleted whole"),
        (["--asset", "rover", "--start", "yesterday"], 2, "--start: "),
        (["--asset", "none"], 1, "there is no asset 'none'"),
        (["--asset", "rover", "--channel", "sped"], 1, "no channel 'sped'"),
    ],
)
def test_what_is_wrong_is_told(folder: Path, arguments: list[str], status: int, words: str):
    result = run(folder, "delete", *arguments, "--yes")

    assert (result.exit_code, words in result.stderr) == (status, True), result.stderr
    assert points(folder) == 20


def test_policies_are_set_listed_and_removed(folder: Path):
    made = run(folder, "retention", "set", "--asset", "rover", "--age", "30d", "--size", "20GiB")
    assert made.stdout == "of rover is kept: what is younger than 30d and the newest 20.0 GiB\n"
    listed = run(folder, "retention", "list")
    assert listed.stdout.splitlines() == ["ASSET  AGE  SIZE", "rover  30d  20.0 GiB"]
    assert json.loads(run(folder, "retention", "list", "--json").stdout)[0]["age_s"] == 30 * 86_400
    run(folder, "retention", "set", "--asset", "rover", "--age", "36h")
    assert run(folder, "retention", "list").stdout.splitlines()[1] == "rover  36h  -"
    run(folder, "retention", "remove", "--asset", "rover")
    assert run(folder, "retention", "list").stdout.splitlines() == ["ASSET  AGE  SIZE"]
    assert run(folder, "retention", "remove", "--asset", "rover").exit_code == 1
    for wrong in (["--age", "1m"], ["--size", "20"], []):
        assert run(folder, "retention", "set", "--asset", "rover", *wrong).exit_code == 2


def test_rest_has_it_too(folder: Path):
    uri = (folder / "address").read_text().strip()
    key = (folder / "api_key").read_text().strip()
    asset_id = json.loads(
        run(folder, "retention", "set", "--asset", "rover", "--age", "9w", "--json").stdout
    )["asset_id"]

    def call(method: str, path: str, body: object = None) -> object:
        request = urllib.request.Request(
            f"{uri}{path}",
            json.dumps(body).encode() if body is not None else None,
            {"authorization": f"Bearer {key}", "content-type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request) as response:
            return json.loads(response.read())

    found = call("POST", "/api/v1/points:delete", {"assetId": asset_id, "validateOnly": True})
    assert found["points"] == "20"
    (policy,) = call("GET", "/api/v1/retention-policies")["retentionPolicies"]
    assert policy["ageSeconds"] == str(9 * 7 * 86_400)
    call("DELETE", f"/api/v1/retention-policies/{asset_id}")
    assert run(folder, "retention", "list", "--json").stdout.strip() == "[]"


def test_a_server_enforces_policies_by_itself(folder: Path, tmp_path: Path):
    """Of points of September 2026, soon after it starts; a policy is kept like all else."""
    run(folder, "retention", "set", "--asset", "rover", "--age", "1h")
    # Moves what is in memory into the table, where it is looked at first.
    run(folder, "delete", "--asset", "rover", "--dry-run")
    copy = tmp_path / "copy"
    assert CliRunner().invoke(app, ["backup", str(folder), str(copy)]).exit_code == 0
    restored = tmp_path / "restored"
    assert CliRunner().invoke(app, ["restore", str(copy), str(restored)]).exit_code == 0

    with Server(ServerSettings(restored, port=0)):
        due_s = time.monotonic() + 30
        while points(restored) and time.monotonic() < due_s:
            time.sleep(0.1)
        assert points(restored) == 0
