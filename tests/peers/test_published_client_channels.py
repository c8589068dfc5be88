"""The newest published client changes and archives channels on our server."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from sift_server.server import Server, ServerSettings
from support.peer_env import peer_python
from support.serving import plain_channel
from support.telemetry import Type, create_config

PROGRAM = Path(__file__).parent / "programs" / "note_on_channels.py"


@pytest.mark.peer
@pytest.mark.slow
def test_the_newest_client_changes_channels(tmp_path: Path):
    """One thing at a time; what it changed is what it finds and shows."""
    with Server(ServerSettings(tmp_path / "telemetry", port=0)) as server:
        with plain_channel(server.address, server.api_key) as channel:
            create_config(channel, {"f": {"speed": Type.CHANNEL_DATA_TYPE_DOUBLE}})
        done = subprocess.run(
            # Isolated, so that nothing of ours is on its path.
            [
                peer_python(("sift-stack-py==0.25.0",)), "-I", "-W", "ignore",
                PROGRAM, server.address, server.api_key,
            ],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    metadata = {"gain": 2.5, "side": "left", "spare": True}
    assert json.loads(done.stdout) == {
        "before": ["", "", {}, False],
        "description": ["of both wheels", "", {}, False],
        "unit": ["of both wheels", "km/h", {}, False],
        "metadata": ["of both wheels", "km/h", metadata, False],
        "is_archived": ["of both wheels", "km/h", metadata, True],
        "archived": [1, 1, 0],
        "back": [1, 0, 1],
        "described": ["speed"],
        "with metadata": ["speed"],
        "got": ["of both wheels", "km/h", metadata, True],
    }
