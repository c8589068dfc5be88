"""What a user writes, and a strict type checker accepts."""

from datetime import UTC, datetime

from sift_py.errors import IngestionStreamError, SiftError
from sift_py.grpc.transport import SiftChannelConfig, use_sift_channel
from sift_py.ingestion.buffer import BufferedIngestionService
from sift_py.ingestion.channel import (
    ChannelConfig,
    ChannelDataType,
    double_value,
    empty_value,
    int32_value,
)
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import Flow, FlowConfig, FlowOrderedChannelValues
from sift_py.ingestion.manager import IngestionServicesManager
from sift_py.ingestion.service import IngestionService

config = TelemetryConfig(
    asset_name="rover",
    ingestion_client_key="rover-v1",
    flows=[
        FlowConfig(
            "readings",
            [
                ChannelConfig("velocity", ChannelDataType.DOUBLE, component="motor"),
                ChannelConfig("voltage", ChannelDataType.INT_32, unit="V"),
            ],
        )
    ],
)
row: Flow = {
    "flow_name": "readings",
    "timestamp": datetime.now(UTC),
    "channel_values": [
        {"channel_name": "velocity", "component": "motor", "value": double_value(1)},
        {"channel_name": "voltage", "value": empty_value()},
    ],
}
ordered: FlowOrderedChannelValues = {
    "flow_name": "readings",
    "timestamp": 1_700_000_000_000_000_000,
    "channel_values": [double_value(1.5), int32_value(5)],
}


def stream(buffer: BufferedIngestionService) -> None:
    buffer.try_ingest_flows(row, row)
    buffer.ingest_flows(ordered)
    buffer.flush()


with use_sift_channel(SiftChannelConfig(uri="http://localhost:50051", apikey="key")) as channel:
    service = IngestionService(channel, config, overwrite_rules=True)
    service.attach_run(channel, "run", tags=["a"])
    count: int = service.ingest_columns(
        "readings", [1, 2], {"motor.velocity": [1.5, None]}, on_progress=print
    )
    service.ingest_dataframe("readings", {"time": [1], "voltage": [5]}, timestamp_column="time")
    try:
        service.try_ingest_flows(
            {"flow_name": "readings", "timestamp": 5, "channel_values": []}, row
        )
        service.try_create_flow(FlowConfig("new", [ChannelConfig("n", ChannelDataType.BOOL)]))
    except IngestionStreamError as error:
        print(error.code().name, error.details())
    except SiftError as error:
        print(error.message)
    with service.buffered_ingestion(750, flush_interval_sec=0.5) as buffered:
        stream(buffered)
    manager = IngestionServicesManager.from_telemetry_configs(channel, {"a": config})
    with manager.ingestion_service("a") as a:
        a.ingest_flow(ordered)
