"""Exports survive a restart, and what is left of broken ones does not."""

from __future__ import annotations

import pytest

from exports.conftest import Exports, fetched, stream
from exports.test_exports import CSV, of_assets
from sift_py.grpc.transport import use_sift_channel
from sift_server.catalog import JobType
from sift_server.server import Server, ServerSettings


@pytest.fixture
def opened(tmp_path):
    """Serves the folder anew each time."""

    def open_(channel_of):
        with (
            Server(ServerSettings(tmp_path / "telemetry", port=0)) as server,
            use_sift_channel(
                {"uri": f"http://{server.address}", "apikey": server.api_key}
            ) as channel,
        ):
            return channel_of(Exports(server, channel))

    return open_


def test_a_job_that_was_interrupted_is_done_at_the_next_start(opened, tmp_path, monkeypatch):
    exports_folder = tmp_path / "telemetry" / "exports"

    def interrupted(exports):
        ids = stream(exports.channel)
        claim = "sift_server.catalog.jobs.Jobs.claim"
        with monkeypatch.context() as patched:
            patched.setattr(claim, lambda *_: None)
            job_id = exports.begin(**of_assets(ids.rover), output_format=CSV)
            (exports_folder / f"{job_id}.part").mkdir(parents=True)
            (exports_folder / f"{job_id}.part" / "export.csv").write_text("half")
            exports.server.stop()
        return job_id

    job_id = opened(interrupted)
    data = opened(lambda exports: fetched(exports.url(exports.ended(job_id).job_id))[1])
    assert data.startswith(b'"time"')
    assert [each.name for each in exports_folder.iterdir()] == [job_id]
    again = opened(lambda exports: fetched(exports.url(job_id))[1])
    assert again == data


def test_exports_have_their_type_of_job():
    assert JobType.DATA_EXPORT == 3
