"""Streams every data type, with rules and a run; runs with any client library of this API.

    python stream_every_type.py HOST:PORT API_KEY

It uses what the published client offers and nothing else. What it sends follows from the row's
number, so that a reader knows what to expect; see `test_published_client_streams.py`.
"""

import sys
from datetime import UTC, datetime, timedelta

from sift_py.grpc.transport import SiftChannelConfig, _use_insecure_sift_channel
from sift_py.ingestion.channel import (
    ChannelBitFieldElement,
    ChannelConfig,
    ChannelDataType,
    ChannelEnumType,
    bit_field_value,
    bool_value,
    double_value,
    enum_value,
    float_value,
    int32_value,
    int64_value,
    string_value,
    uint32_value,
    uint64_value,
)
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.rule.config import (
    RuleActionCreateDataReviewAnnotation,
    RuleActionCreatePhaseAnnotation,
    RuleConfig,
)
from sift_py.ingestion.service import IngestionService

ROWS = 2500
START = datetime(2024, 7, 1, 12, 0, 0, 123456, tzinfo=UTC)

state = ChannelConfig(
    "vehicle_state",
    ChannelDataType.ENUM,
    enum_types=[ChannelEnumType("Idle", 0), ChannelEnumType("Accelerating", 1)],
)
velocity = ChannelConfig(
    "velocity", ChannelDataType.DOUBLE, unit="km/h", component="mainmotor", description="speed"
)
config = TelemetryConfig(
    asset_name="NostromoLV426",
    ingestion_client_key="nostromo_lv_426",
    flows=[
        FlowConfig(
            "readings",
            [
                velocity,
                ChannelConfig("voltage", ChannelDataType.INT_32),
                state,
                ChannelConfig(
                    "gpio",
                    ChannelDataType.BIT_FIELD,
                    bit_field_elements=[
                        ChannelBitFieldElement("12v", 0, 1),
                        ChannelBitFieldElement("charge", 1, 3),
                        ChannelBitFieldElement("heater", 7, 1),
                    ],
                ),
                ChannelConfig("temperature", ChannelDataType.FLOAT),
                ChannelConfig("armed", ChannelDataType.BOOL),
                ChannelConfig("count", ChannelDataType.UINT_32),
                ChannelConfig("offset", ChannelDataType.INT_64),
                ChannelConfig("serial", ChannelDataType.UINT_64),
            ],
        ),
        FlowConfig("logs", [ChannelConfig("log", ChannelDataType.STRING)]),
    ],
    rules=[
        RuleConfig(
            name="overheating",
            description="Too fast while accelerating",
            expression='$1 == "Accelerating" && $2 > $3',
            channel_references=[
                {"channel_reference": "$1", "channel_config": state},
                {"channel_reference": "$2", "channel_config": velocity},
            ],
            action=RuleActionCreateDataReviewAnnotation(assignee="ellen@nostromo", tags=["heat"]),
            sub_expressions={"$3": 80},
        ),
        RuleConfig(
            name="failure",
            description="",
            expression='contains($1, "failure")',
            channel_references=[{"channel_reference": "$1", "channel_identifier": "log"}],
            action=RuleActionCreatePhaseAnnotation(),
        ),
    ],
)


def reading(row: int) -> dict:
    values = [
        {"channel_name": "velocity", "component": "mainmotor", "value": double_value(row * 0.1)},
        {"channel_name": "voltage", "value": int32_value(row - 1000)},
        {"channel_name": "vehicle_state", "value": enum_value(row % 2)},
        {"channel_name": "gpio", "value": bit_field_value(bytes([row % 256]))},
        {"channel_name": "temperature", "value": float_value(row / 4)},
        {"channel_name": "armed", "value": bool_value(row % 3 == 0)},
        {"channel_name": "count", "value": uint32_value(row)},
        {"channel_name": "offset", "value": int64_value(-row * 2**40)},
        {"channel_name": "serial", "value": uint64_value(2**64 - 1 - row)},
    ]
    # Every fifth row is partial.
    return {
        "flow_name": "readings",
        "timestamp": START + timedelta(microseconds=1001 * row),
        "channel_values": values[:3] if row % 5 == 0 else values,
    }


def log(row: int) -> dict:
    return {
        "flow_name": "logs",
        "timestamp": START + timedelta(microseconds=1001 * row),
        "channel_values": [{"channel_name": "log", "value": string_value("line %d ✓" % row)}],
    }


uri, key = sys.argv[1:]
with _use_insecure_sift_channel(SiftChannelConfig(uri=uri, apikey=key)) as channel:
    service = IngestionService(channel, config, overwrite_rules=True)
    service.attach_run(channel, "hot fire", description="a run", tags=["test"])
    with service.buffered_ingestion() as buffered:
        for row in range(ROWS):
            buffered.try_ingest_flows(reading(row))
            if row % 10 == 0:
                buffered.try_ingest_flows(log(row))
    # The same again, as a client does that is not sure: it must change nothing.
    service.ingest(*[service.try_create_ingestion_request(**reading(row)) for row in range(100)])
    service.detach_run()
    service.try_ingest_flows(log(1_000_000))
    print(service.ingestion_config.asset_id)
