"""Streams a workload row by row, with any client library of the `sift_py` API.

    python rows.py ADDRESS API_KEY CHANNELS KIND ROWS HOW

HOW is one of

- `buffered`: `buffered_ingestion().try_ingest_flows`, dictionaries with typed values, made before;
- `ordered`: `ingest_flows`, typed values in order, made before, 1,000 flows a call;
- `plain`: as `buffered`, but with plain values, and rows made while they are sent (ours only);
- `plain-ordered`: as `ordered`, but with plain values, rows made while they are sent (ours only).

What is timed ends when the server has acknowledged everything.
"""

import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from workload import BIT_FIELD_ELEMENTS, ENUM_TYPES, START_NS, STEP_NS, Workload

from sift_py.grpc.transport import SiftChannelConfig, _use_insecure_sift_channel
from sift_py.ingestion.channel import (
    ChannelBitFieldElement,
    ChannelConfig,
    ChannelDataType,
    ChannelEnumType,
    bit_field_value,
    bool_value,
    double_value,
    empty_value,
    enum_value,
    float_value,
    int32_value,
    string_value,
)
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.service import IngestionService

FLOWS_PER_CALL = 1_000

VALUES = {
    "DOUBLE": double_value,
    "FLOAT": float_value,
    "INT_32": int32_value,
    "ENUM": enum_value,
    "BOOL": bool_value,
    "BIT_FIELD": bit_field_value,
    "STRING": string_value,
}


def config_of(workload: Workload, asset: str) -> TelemetryConfig:
    """A telemetry config with the one flow."""
    channels = [
        ChannelConfig(
            name,
            ChannelDataType[data_type],
            enum_types=[ChannelEnumType(*each) for each in ENUM_TYPES]
            if data_type == "ENUM"
            else [],
            bit_field_elements=[ChannelBitFieldElement(*each) for each in BIT_FIELD_ELEMENTS]
            if data_type == "BIT_FIELD"
            else [],
        )
        for name, data_type in zip(workload.names(), workload.types(), strict=True)
    ]
    return TelemetryConfig(asset, asset, flows=[FlowConfig("flow", channels)])


def datetimes(workload: Workload) -> Iterator[datetime]:
    """Time of each row; the published client takes nothing else."""
    start = datetime.fromtimestamp(START_NS // 10**9, UTC)
    step = timedelta(microseconds=STEP_NS // 1_000)
    return (start + index * step for index in range(workload.rows))


def typed_rows(workload: Workload, *, named: bool) -> Iterator[dict]:
    """Flows with typed values. Rows that repeat share their values."""
    makers = [VALUES[data_type] for data_type in workload.types()]
    names = workload.names()
    known = {}
    for timestamp, row in zip(datetimes(workload), workload.repeated_rows(), strict=True):
        values = known.get(id(row))
        if values is None and named:
            values = known[id(row)] = [
                {"channel_name": name, "value": make(value)}
                for name, make, value in zip(names, makers, row, strict=True)
                if value is not None
            ]
        elif values is None:
            values = known[id(row)] = [
                empty_value() if value is None else make(value)
                for make, value in zip(makers, row, strict=True)
            ]
        yield {"flow_name": "flow", "timestamp": timestamp, "channel_values": values}


def batches_of(flows: list) -> list[list]:
    """Cut flows into what one call takes."""
    return [flows[at : at + FLOWS_PER_CALL] for at in range(0, len(flows), FLOWS_PER_CALL)]


def buffered(service: IngestionService, workload: Workload) -> float:
    """Seconds of buffered ingestion by name."""
    batches = batches_of(list(typed_rows(workload, named=True)))
    start = time.perf_counter()
    with service.buffered_ingestion() as buffer:
        for batch in batches:
            buffer.try_ingest_flows(*batch)
    return time.perf_counter() - start


def ordered(service: IngestionService, workload: Workload) -> float:
    """Seconds of ingestion in order."""
    batches = batches_of(list(typed_rows(workload, named=False)))
    start = time.perf_counter()
    for batch in batches:
        service.ingest_flows(*batch)
    return time.perf_counter() - start


def plain(service: IngestionService, workload: Workload) -> float:
    """Seconds of building rows of plain values and buffered ingestion by name."""
    names = workload.names()
    source = batches_of(list(zip(workload.timestamps_ns(), workload.repeated_rows(), strict=True)))
    start = time.perf_counter()
    with service.buffered_ingestion() as buffer:
        for batch in source:
            buffer.try_ingest_flows(
                *[
                    {
                        "flow_name": "flow",
                        "timestamp": timestamp_ns,
                        "channel_values": [
                            {"channel_name": name, "value": value}
                            for name, value in zip(names, row, strict=True)
                        ],
                    }
                    for timestamp_ns, row in batch
                ]
            )
    return time.perf_counter() - start


def plain_ordered(service: IngestionService, workload: Workload) -> float:
    """Seconds of building rows of plain values and ingestion in order."""
    source = batches_of(list(zip(workload.timestamps_ns(), workload.repeated_rows(), strict=True)))
    start = time.perf_counter()
    for batch in source:
        service.ingest_flows(
            *[
                {"flow_name": "flow", "timestamp": timestamp_ns, "channel_values": row}
                for timestamp_ns, row in batch
            ]
        )
    return time.perf_counter() - start


if __name__ == "__main__":
    address, api_key, channels, kind, rows, how = sys.argv[1:7]
    what = Workload(int(channels), kind, int(rows))
    asset_name = f"{how}-{what.name}-{time.time_ns()}"
    with _use_insecure_sift_channel(SiftChannelConfig(uri=address, apikey=api_key)) as channel:
        ingestion = IngestionService(channel, config_of(what, asset_name))
        seconds = globals()[how.replace("-", "_")](ingestion, what)
    print(json.dumps({"seconds": seconds, "asset": asset_name}))
