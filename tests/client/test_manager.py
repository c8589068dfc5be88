"""The manager: services of several telemetry configs on one channel."""

from __future__ import annotations

import pytest

from sift_py.errors import SiftError
from sift_py.ingestion.manager import IngestionServiceManagerError, IngestionServicesManager
from sift_py.ingestion.service import IngestionService
from support.telemetry_configs import LOGS, READINGS, log_row, telemetry_config, velocity_row

CONFIGS = {
    "logs": telemetry_config(LOGS, ingestion_client_key="logs"),
    "readings": telemetry_config(READINGS, ingestion_client_key="readings"),
}


@pytest.mark.parametrize("spelling", ["from_telemetry_configs", "from_telementry_configs"])
def test_each_config_has_its_service(server, channel, spelling):
    """Rows go to the ingestion config whose service is asked for; both spellings work."""
    manager = getattr(IngestionServicesManager, spelling)(
        channel=channel, telemetry_configs=CONFIGS
    )
    with manager.ingestion_service("logs") as logs:
        logs.try_ingest_flow(log_row())
    with manager.ingestion_service("readings") as readings:
        readings.try_ingest_flow(velocity_row(1.0))
    assert [row.ingestion_config_id for row in server.rows] == ["config-1", "config-2"]
    assert manager.transport_channel is channel
    assert list(manager.ingestion_services) == ["logs", "readings"]


def test_builders_make_services_with_options(server, channel):
    """Each is called with the channel."""
    manager = IngestionServicesManager.from_builders(
        channel,
        {
            "strict": lambda channel: IngestionService(
                channel, CONFIGS["logs"], end_stream_on_error=True
            )
        },
    )
    assert manager["strict"].end_stream_on_error


def test_services_made_elsewhere_will_do(channel):
    """They are found by item and by method; what is not there is None."""
    service = IngestionService(channel, CONFIGS["logs"])
    manager = IngestionServicesManager(channel, {"logs": service})
    assert manager["logs"] is service
    assert manager.get_ingestion_service_by_identifier("logs") is service
    assert manager["other"] is None
    assert manager.get_ingestion_service_by_identifier("other") is None


def test_a_with_block_needs_a_service_that_exists(channel):
    """The message names what was asked for and what there is."""
    manager = IngestionServicesManager.from_telemetry_configs(channel, CONFIGS)
    with (
        pytest.raises(IngestionServiceManagerError, match=r"'other'.*'logs', 'readings'") as error,
        manager.ingestion_service("other"),
    ):
        pass
    assert isinstance(error.value, SiftError)
    empty = IngestionServicesManager(channel, {})
    with pytest.raises(KeyError, match="none"), empty.ingestion_service("other"):
        pass
