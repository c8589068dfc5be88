"""Streams a workload with the published Rust client, through its Python bindings.

    python rust.py ADDRESS API_KEY CHANNELS KIND ROWS

Requests are made before; what is timed is sending them and `finish()`, which waits for the server.
"""

import asyncio
import json
import sys
import time
import urllib.parse
import urllib.request

from sift_stream_bindings import (
    ChannelBitFieldElementPy,
    ChannelConfigPy,
    ChannelDataTypePy,
    ChannelEnumTypePy,
    FlowConfigPy,
    IngestionConfigFormPy,
    IngestWithConfigDataChannelValuePy,
    IngestWithConfigDataStreamRequestPy,
    SiftStreamBuilderPy,
    TimeValuePy,
)
from workload import BIT_FIELD_ELEMENTS, ENUM_TYPES, Workload

REQUESTS_PER_SEND = 10_000

TYPES = {
    "DOUBLE": "Double",
    "FLOAT": "Float",
    "INT_32": "Int32",
    "ENUM": "Enum",
    "BOOL": "Bool",
    "BIT_FIELD": "BitField",
    "STRING": "String",
}
VALUES = {
    "DOUBLE": IngestWithConfigDataChannelValuePy.double,
    "FLOAT": IngestWithConfigDataChannelValuePy.float,
    "INT_32": IngestWithConfigDataChannelValuePy.int32,
    "ENUM": IngestWithConfigDataChannelValuePy.enum_value,
    "BOOL": IngestWithConfigDataChannelValuePy.bool,
    "BIT_FIELD": IngestWithConfigDataChannelValuePy.bitfield,
    "STRING": IngestWithConfigDataChannelValuePy.string,
}


def flow_of(workload: Workload) -> FlowConfigPy:
    """The flow, with what its types need."""
    return FlowConfigPy(
        "flow",
        [
            ChannelConfigPy(
                name,
                "",
                "",
                getattr(ChannelDataTypePy, TYPES[data_type]),
                [ChannelEnumTypePy(*each) for each in ENUM_TYPES] if data_type == "ENUM" else [],
                [ChannelBitFieldElementPy(*each) for each in BIT_FIELD_ELEMENTS]
                if data_type == "BIT_FIELD"
                else [],
            )
            for name, data_type in zip(workload.names(), workload.types(), strict=True)
        ],
    )


def requests_of(workload: Workload, config_id: str) -> list:
    """A request for each row."""
    empty = IngestWithConfigDataChannelValuePy.empty()
    makers = [VALUES[data_type] for data_type in workload.types()]
    known: dict = {}
    requests = []
    for timestamp_ns, row in zip(workload.timestamps_ns(), workload.repeated_rows(), strict=True):
        values = known.get(id(row))
        if values is None:
            values = known[id(row)] = [
                empty if value is None else make(value)
                for make, value in zip(makers, row, strict=True)
            ]
        timestamp = TimeValuePy.from_timestamp_nanos(timestamp_ns)
        requests.append(
            IngestWithConfigDataStreamRequestPy(config_id, "flow", timestamp, values, "", False, "")
        )
    return requests


async def main(address: str, api_key: str, workload: Workload) -> None:
    """Stream it and print the seconds that it took."""
    builder = SiftStreamBuilderPy(f"http://{address}", api_key)
    asset = f"rust-{workload.name}-{time.time_ns()}"
    live = builder.ingestion_config(
        IngestionConfigFormPy(asset, asset, [flow_of(workload)])
    ).live_only()
    live.metrics_streaming_interval = None
    stream = await live.build()
    requests = requests_of(workload, config_id_of(address, api_key, asset))
    batches = [
        requests[first : first + REQUESTS_PER_SEND]
        for first in range(0, len(requests), REQUESTS_PER_SEND)
    ]
    del requests
    start = time.perf_counter()
    for batch in batches:
        await stream.send_requests(batch)
    await stream.finish()
    print(json.dumps({"seconds": time.perf_counter() - start, "asset": asset}))


def config_id_of(address: str, api_key: str, client_key: str) -> str:
    """Ask the server over its REST door, which needs no generated code here."""
    query = urllib.parse.urlencode({"filter": f"client_key == '{client_key}'"})
    request = urllib.request.Request(
        f"http://{address}/api/v2/ingestion-configs?{query}",
        headers={"authorization": f"Bearer {api_key}"},
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)["ingestionConfigs"][0]["ingestionConfigId"]


if __name__ == "__main__":
    channels, kind, rows = sys.argv[3:6]
    asyncio.run(main(sys.argv[1], sys.argv[2], Workload(int(channels), kind, int(rows))))
