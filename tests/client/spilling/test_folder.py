"""A spill folder is bounded, shared, and outlives programs."""
# ruff: noqa: PT012 - faults are made in the middle of what is tested

from __future__ import annotations

import math
import threading
import uuid

import pytest

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataStreamRequest
from sift_py.errors import (
    SpillError,
    SpillFullError,
)
from sift_py.ingestion._internal.spill.records import (
    FILE_MAGIC,
    record_bytes,
)
from sift_py.ingestion.service import IngestionService
from sift_py.ingestion.spill import SpillLimits
from sift_py.testing import FaultProxy
from sift_wire.messages import frame
from support.spilling import (
    QUICK,
    WAIT_S,
    config,
    numbers,
    release,
    row,
    spill_files,
    up_to,
)


class TestFolder:
    """It is bounded, shared, and outlives programs."""

    def test_a_full_folder_raises_in_the_end(self, server, proxy, open_service, asset, spill_dir):
        """After the wait that was chosen; what was taken before is safe, the rest the caller's."""
        limits = SpillLimits(folder_bytes_max=20_000, file_bytes_max=5_000, full_wait_ms=0)
        service = open_service(spill_limits=limits)
        proxy.refuse()
        taken = 0
        with pytest.raises(SpillFullError, match="folder_bytes_max") as error:
            while True:
                service.ingest_flows(*[row(taken + number) for number in range(10)])
                taken += 10
        assert "They were not taken" in str(error.value)
        assert 100 < taken < 1_000
        assert sum(path.stat().st_size for path in spill_files(spill_dir)) < 22_000
        proxy.heal()
        service.flush()
        assert len(numbers(server, asset)) == taken

    @pytest.mark.parametrize("full_wait_ms", [math.inf, 30_000])
    def test_a_full_folder_blocks(self, server, proxy, open_service, asset, full_wait_ms):
        """Until the server is back."""
        limits = SpillLimits(20_000, 5_000, full_wait_ms)
        service = open_service(spill_limits=limits)
        proxy.refuse()
        done = []

        def ingest():
            for start in range(0, 2_000, 10):
                service.ingest_flows(*[row(start + number) for number in range(10)])
                done.append(start)

        calling = threading.Thread(target=ingest)
        calling.start()
        calling.join(1)
        assert calling.is_alive()
        proxy.heal()
        calling.join(WAIT_S)
        assert not calling.is_alive()
        service.flush()
        assert numbers(server, asset) == up_to(2_000)

    def test_a_batch_that_never_fits_is_told_at_once(self, proxy, open_service):
        """There is nothing to wait for."""
        service = open_service(spill_limits=SpillLimits(1_000, 1_000, math.inf))
        proxy.refuse()
        with pytest.raises(SpillFullError):
            service.ingest_flows(*[row(number) for number in range(100)])

    def test_services_share_a_folder(self, server, proxy, open_service, asset, spill_dir):
        """Nobody sends what another one that lives has spilled."""
        second = open_service(asset=f"{asset} 2")
        with FaultProxy(server.address) as other, server.channel(other.uri) as channel:
            first = IngestionService(
                channel, config(asset), retry_policy=QUICK, spill_dir=spill_dir
            )
            other.refuse()
            first.ingest_flows(row(1))
            third = open_service(asset=f"{asset} 3")
            assert third.spill_status.files == ()
            proxy.refuse()
            second.ingest_flows(row(2))
            assert len(list(spill_dir.iterdir())) == 2
            proxy.heal()
            second.close()
            third.close()
            assert numbers(server, f"{asset} 2") == [2]
            assert numbers(server, asset) == []
            other.heal()
            first.close()
        assert numbers(server, asset) == [1]
        assert list(spill_dir.iterdir()) == []

    def test_data_for_another_server_is_left(self, proxy, open_service, spill_dir, caplog):
        """It is known by the ingestion config."""
        lane = spill_dir / "1-1-1"
        lane.mkdir(parents=True)
        path = lane / "0000000001.spill"
        request = IngestWithConfigDataStreamRequest(ingestion_config_id=str(uuid.uuid4()))
        frames = frame(request.SerializeToString())
        path.write_bytes(FILE_MAGIC + record_bytes(uuid.uuid4(), frames))
        with open_service():
            pass
        assert path.exists()
        assert "does not have" in caplog.text

    def test_data_of_other_configs_of_the_server_is_sent(
        self, server, proxy, open_service, asset, spill_dir
    ):
        """Whoever left it."""
        service = open_service(asset=f"{asset} 2")
        proxy.refuse()
        service.ingest_flows(row(1))
        release(service)
        proxy.heal()
        open_service().close()
        assert numbers(server, f"{asset} 2") == [1]

    def test_a_folder_that_cannot_be_used_is_refused(self, open_service, tmp_path):
        """When the service is made, not in the outage."""
        (tmp_path / "file").write_text("")
        with pytest.raises(SpillError, match="file"):
            open_service(spill_dir=tmp_path / "file" / "spill")
        with pytest.raises(SpillError, match="must be positive"):
            SpillLimits(folder_bytes_max=0)

    def test_a_folder_that_vanishes_is_made_again(
        self, server, proxy, open_service, asset, spill_dir
    ):
        """A cleaner of temporary folders must not cost data."""
        service = open_service()
        spill_dir.rmdir()
        proxy.refuse()
        service.ingest_flows(row(1))
        proxy.heal()
        service.close()
        assert numbers(server, asset) == [1]
