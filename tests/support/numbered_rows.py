"""Rows whose time says which they are, of channels of numbers."""

from __future__ import annotations

import numpy as np

from sift_py.ingestion.channel import ChannelConfig, ChannelDataType
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig

START_NS = 1_780_000_000_000_000_000
STEP_NS = 1_000_000


def telemetry(*names: str, asset: str = "rig", flow: str = "flow") -> TelemetryConfig:
    """A flow of numbers."""
    channels = [ChannelConfig(name, ChannelDataType.DOUBLE, unit="m") for name in names]
    key = f"{asset} {flow} {names}"
    return TelemetryConfig(
        asset_name=asset, ingestion_client_key=key, flows=[FlowConfig(flow, channels)]
    )


def times_ns(first: int, count: int) -> np.ndarray:
    return START_NS + np.arange(first, first + count) * STEP_NS
