"""Where `read_channels` reads from."""

from __future__ import annotations

import pytest

from data.conftest import CONFIG, NUMBERS, ROWS, times_ns
from sift_py.data import read_channels
from sift_py.errors import DataError
from sift_py.grpc.transport import use_sift_channel
from sift_py.ingestion.service import IngestionService
from support.serving import serving


def fill(uri: str, key: str = "") -> None:
    with use_sift_channel({"uri": uri, "apikey": key}) as channel:
        service = IngestionService(channel, CONFIG)
        service.ingest_columns("numbers", times_ns(), {"d": NUMBERS["d"][1]})


def test_a_folder_is_read_whether_it_is_served_or_not(tmp_path, monkeypatch):
    folder = tmp_path / "telemetry"
    fill(f"embedded:{folder}")
    assert read_channels("rig", "d", source=folder).points == ROWS
    assert read_channels("rig", "d", source=str(folder)).points == ROWS
    with serving(folder) as server:
        assert read_channels("rig", "d", source=folder).points == ROWS
        uri = f"http://{server.address}"
        monkeypatch.setenv("SIFT_URI", uri)
        monkeypatch.setenv("SIFT_API_KEY", server.api_key)
        assert read_channels("rig", "d").points == ROWS
        assert read_channels("rig", "d", source=uri).points == ROWS
        config = {"uri": uri, "apikey": server.api_key}
        assert read_channels("rig", "d", source=config).points == ROWS


def test_without_a_source_it_says_what_to_pass(tmp_path, monkeypatch):
    monkeypatch.delenv("SIFT_URI", raising=False)
    with pytest.raises(DataError, match="pass source="):
        read_channels("rig", "d")
    with pytest.raises(DataError, match="is not the folder of a server"):
        read_channels("rig", "d", source=tmp_path)
