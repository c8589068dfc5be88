"""Names are names: whatever they would be in a path, in SQL, in a filter or in JSON."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING

import pytest

from sift.assets.v1 import assets_pb2, assets_pb2_grpc
from sift.runs.v2 import runs_pb2, runs_pb2_grpc
from support.telemetry import Type, create_config, ingest, read_points

if TYPE_CHECKING:
    from pathlib import Path

    import grpc

    from sift_server.server import Server

NAMES = [
    "../../outside",
    "/etc/passwd",
    "a/b=c/date=2026-01-01",
    "..",
    "a\\..\\b",
    "a\0b",
    "'; DROP TABLE assets; --",
    "' OR '1'='1",
    '" || true || "',
    "\\",
    "\\'",
    "%s %d {0} {name} ${HOME} $(id) `id`",
    "%2e%2e%2f",
    "<script>alert(1)</script>",
    "a\r\nset-cookie: b",
    "\u202eevil\u2066",
    "🛰" * 50,
    "a" * 1_000,
]
T0 = 1_700_000_000_000_000_000


def quoted(text: str) -> str:
    """A string of CEL; every escape of JSON is one."""
    return json.dumps(text, ensure_ascii=False)


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_name_comes_back_and_leads_nowhere(
    server: Server, channel: grpc.Channel, tmp_path: Path, name: str
):
    """Of an asset, a flow, a channel, a value and a run; filters find it, and nothing else."""
    before = {path.name for path in tmp_path.parent.iterdir()}
    create_config(channel, {"f": {"c": Type.CHANNEL_DATA_TYPE_DOUBLE}}, asset="other", key="other")
    config = create_config(channel, {name: {name: Type.CHANNEL_DATA_TYPE_STRING}}, asset=name)
    ingest(channel, [config.row(name, T0, [name])])
    assert read_points(channel, config.asset_id, name) == [(T0, name)]

    assets = assets_pb2_grpc.AssetServiceStub(channel)
    text = f"name == {quoted(name)}"
    found = assets.ListAssets(assets_pb2.ListAssetsRequest(filter=text)).assets
    assert [one.name for one in found] == [name]
    text = f"name.contains({quoted(name)}) && name.endsWith({quoted(name)})"
    found = assets.ListAssets(assets_pb2.ListAssetsRequest(filter=text)).assets
    assert [one.name for one in found] == [name]
    runs = runs_pb2_grpc.RunServiceStub(channel)
    run = runs.CreateRun(runs_pb2.CreateRunRequest(name=name, tags=[name], client_key="k")).run
    text = f"tag_name == {quoted(name)}"
    assert runs.ListRuns(runs_pb2.ListRunsRequest(filter=text)).runs[0].run_id == run.run_id

    key = {"authorization": f"Bearer {server.api_key}"}
    query = urllib.parse.urlencode({"filter": f"name == {quoted(name)}"})
    request = urllib.request.Request(f"http://{server.address}/api/v1/assets?{query}", headers=key)
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert [one["name"] for one in json.load(answer)["assets"]] == [name]

    server.stop()
    folder = tmp_path / "telemetry"
    assert {path.name for path in tmp_path.parent.iterdir()} == before
    assert {path.name for path in tmp_path.iterdir()} == {folder.name}
    # Data lies by date, in files that are named by chance.
    for path in (folder / "lake").rglob("*.parquet"):
        assert path.relative_to(folder / "lake").parts[0].startswith("date=2023-11-14")


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_an_id_is_looked_up_and_nothing_else(server: Server, name: str):
    """In a path of REST: it is not found, or no path of the protocol."""
    key = {"authorization": f"Bearer {server.api_key}"}
    path = urllib.parse.quote(name, safe="")
    url = f"http://{server.address}/api/v1/assets/{path}"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(url, headers=key), timeout=10)
    with caught.value as answer:
        assert answer.status in (404, 501)
        assert b"passwd:" not in answer.read()
