"""A served folder for commands, and what is stored in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest
from typer.testing import CliRunner

from sift_py.data import read_channels
from sift_py.grpc.transport import use_sift_channel
from sift_server.commands.main import app
from sift_server.server import Server, ServerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result


class Served(NamedTuple):
    """A folder, and who serves it."""

    folder: Path
    server: Server

    def run(self, *command: object) -> Result:
        """Run a command on the folder."""
        words = [str(word) for word in command]
        return CliRunner().invoke(app, [*words, "--data-dir", str(self.folder)])

    def stored(self, asset: str, run: str | None = None) -> dict[str, list[tuple[int, object]]]:
        """Times and values of an asset's channels; of a run if one is named."""
        config = {"uri": f"http://{self.server.address}", "apikey": self.server.api_key}
        with use_sift_channel(config) as channel:
            readings = read_channels(asset, run=run, source=channel)
            return {
                name: list(
                    zip(
                        readings[name].timestamps_ns.tolist(),
                        map(_named(readings[name].states), readings[name].values.to_pylist()),
                        strict=True,
                    )
                )
                for name in readings.names
            }


def _named(states):
    """Names of an enum's keys; other values as they are."""
    return (lambda value: states[value]) if states else (lambda value: value)


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[Served]:
    """A server that all tests of a file share: each takes an asset of its own."""
    folder = tmp_path_factory.mktemp("served") / "telemetry"
    with Server(ServerSettings(folder, port=0)) as server:
        yield Served(folder, server)


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch) -> Path:
    """The user's caches are of the test alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    return tmp_path / "caches"
