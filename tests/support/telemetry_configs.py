"""Telemetry configs and rows that tests of the client share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sift_py.ingestion.channel import (
    ChannelBitFieldElement,
    ChannelConfig,
    ChannelDataType,
    ChannelEnumType,
    double_value,
    string_value,
)
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import Flow, FlowConfig
from sift_py.ingestion.rule.config import RuleActionCreatePhaseAnnotation, RuleConfig

if TYPE_CHECKING:
    from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataChannelValue

NOW = datetime(2026, 11, 24, 12, 0, 0, 123_456, tzinfo=UTC)

VELOCITY = ChannelConfig(
    "velocity", ChannelDataType.DOUBLE, "speed", unit="km/hr", component="mainmotor"
)
VOLTAGE = ChannelConfig("voltage", ChannelDataType.INT_32, "at the source", unit="Volts")
STATE = ChannelConfig(
    "vehicle_state",
    ChannelDataType.ENUM,
    enum_types=[ChannelEnumType("Accelerating", 0), ChannelEnumType("Stopped", 2)],
)
GPIO = ChannelConfig(
    "gpio",
    ChannelDataType.BIT_FIELD,
    bit_field_elements=[ChannelBitFieldElement("12v", 0, 1), ChannelBitFieldElement("led", 1, 4)],
)
LOG = ChannelConfig("log", ChannelDataType.STRING)

READINGS = FlowConfig("readings", [VELOCITY, VOLTAGE, STATE, GPIO])
LOGS = FlowConfig("logs", [LOG])


def telemetry_config(*flows: FlowConfig, **options: Any) -> TelemetryConfig:
    """The config of asset NostromoLV426; with two flows unless others are given."""
    defaults = {
        "asset_name": "NostromoLV426",
        "ingestion_client_key": "nostromo",
        "flows": list(flows or (READINGS, LOGS)),
    }
    return TelemetryConfig(**{**defaults, **options})


def rule(name: str = "stopped") -> RuleConfig:
    """A rule over one channel."""
    return RuleConfig(
        name=name,
        description="it stands",
        expression='$1 == "Stopped"',
        action=RuleActionCreatePhaseAnnotation(["motion"]),
        channel_references=[{"channel_reference": "$1", "channel_config": STATE}],
    )


def log_row(text: str = "all well") -> Flow:
    """A row of the flow `logs`."""
    return named("logs", log=string_value(text))


def velocity_row(velocity: float) -> Flow:
    """A row of the flow `readings` with one value."""
    return {
        "flow_name": "readings",
        "timestamp": NOW,
        "channel_values": [
            {
                "channel_name": "velocity",
                "component": "mainmotor",
                "value": double_value(velocity),
            }
        ],
    }


def named(flow_name: str, **values: IngestWithConfigDataChannelValue) -> Flow:
    """A row whose channels have no component."""
    return {
        "flow_name": flow_name,
        "timestamp": NOW,
        "channel_values": [
            {"channel_name": name, "value": value} for name, value in values.items()
        ],
    }
