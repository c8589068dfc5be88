"""A folder with an asset of every type in two runs, and a channel to its server."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from sift_py.grpc.transport import use_sift_channel
from sift_py.ingestion.channel import (
    ChannelBitFieldElement,
    ChannelConfig,
    ChannelDataType,
    ChannelEnumType,
)
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.service import IngestionService

START_NS = 1_780_000_000_123_456_789
STEP_NS = 1_000_001
ROWS = 50

NUMBERS = {
    "d": (ChannelDataType.DOUBLE, np.linspace(-1e300, 1e300, ROWS)),
    "f": (ChannelDataType.FLOAT, np.linspace(-1, 1, ROWS, dtype=np.float32)),
    "i32": (ChannelDataType.INT_32, (np.arange(ROWS) - 2**31).astype(np.int32)),
    "i64": (ChannelDataType.INT_64, np.arange(-(2**63), -(2**63) + ROWS)),
    "u32": (ChannelDataType.UINT_32, np.arange(ROWS, dtype=np.uint32) + np.uint32(2**32 - 100)),
    "u64": (ChannelDataType.UINT_64, np.arange(ROWS, dtype=np.uint64) + np.uint64(2**64 - 100)),
    "b": (ChannelDataType.BOOL, np.arange(ROWS) % 3 == 0),
}
TEXTS = [f"line {row} \N{GREEK SMALL LETTER OMEGA}" for row in range(ROWS)]

CONFIG = TelemetryConfig(
    asset_name="rig",
    ingestion_client_key="rig-1",
    flows=[
        FlowConfig(
            "numbers",
            [ChannelConfig(name, kind, unit="m") for name, (kind, _) in NUMBERS.items()],
        ),
        FlowConfig(
            "states",
            [
                ChannelConfig(
                    "mode",
                    ChannelDataType.ENUM,
                    enum_types=[ChannelEnumType("off", 0), ChannelEnumType("on", 7)],
                ),
                ChannelConfig(
                    "bits",
                    ChannelDataType.BIT_FIELD,
                    bit_field_elements=[
                        ChannelBitFieldElement("low", 0, 3),
                        ChannelBitFieldElement("high", 3, 5),
                    ],
                ),
                ChannelConfig("text", ChannelDataType.STRING),
            ],
        ),
    ],
)


def times_ns(rows: int = ROWS, start_ns: int = START_NS) -> np.ndarray:
    return start_ns + np.arange(rows) * STEP_NS


@pytest.fixture(scope="session")
def rig(tmp_path_factory):
    """`folder`, `channel`, and the ids of runs: everything in run `one`, numbers in `two`, too."""
    folder = tmp_path_factory.mktemp("rig") / "telemetry"
    with use_sift_channel({"uri": f"embedded:{folder}"}) as channel:
        service = IngestionService(channel, CONFIG)
        service.attach_run(channel, "one")
        one = service.run_id
        columns = {name: values for name, (_, values) in NUMBERS.items()}
        service.ingest_columns("numbers", times_ns(), columns)
        # Every other time, between those of the numbers.
        service.ingest_columns(
            "states",
            times_ns()[::2] + 5,
            {
                "mode": np.array([(0, 7, 9)[row % 3] for row in range(ROWS // 2)], np.uint32),
                "bits": [bytes([row]) for row in range(ROWS // 2)],
                "text": TEXTS[::2],
            },
        )
        service.attach_run(channel, "two")
        two = service.run_id
        service.ingest_columns(
            "numbers",
            times_ns(10, START_NS + 3600 * 10**9),
            {name: values[:10] for name, values in columns.items()},
        )
        yield SimpleNamespace(folder=folder, channel=channel, one=one, two=two)
