"""Reads channels of every type with the earlier published client.

    python read_data_early.py HOST:PORT API_KEY SAMPLE_MS

Prints what it gets back as JSON, by channel; the server has an asset `rover`.
"""

import asyncio
import base64
import inspect
import json
import sys
from datetime import UTC, datetime

from sift_py.data.query import CalculatedChannelQuery, ChannelQuery, DataQuery
from sift_py.data.service import DataService
from sift_py.grpc.transport import use_sift_async_channel

address, api_key, sample_ms = sys.argv[1:4]
CREDENTIALS = {"uri": address, "apikey": api_key, "use_ssl": False}
NAMES = ["double", "float", "int32", "uint32", "int64", "uint64", "bool", "string", "enum", "bits"]
# Clients of those days name a component apart.
knows_components = "component" in inspect.signature(ChannelQuery).parameters
SPEED = {"channel_name": "speed", "component": "motor"}
if not knows_components:
    SPEED = {"channel_name": "motor.speed"}


def query(sample_ms, channels):
    return DataQuery(
        asset_name="rover",
        start_time=datetime(2026, 1, 1, tzinfo=UTC),
        end_time=datetime(2026, 1, 2, tzinfo=UTC),
        sample_ms=sample_ms,
        channels=channels,
    )


def column(named):
    """The one column of a dictionary."""
    (values,) = named.values()
    return values


def plain(value):
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


async def read():
    async with use_sift_async_channel(CREDENTIALS) as channel:
        service = DataService(channel)
        channels = [ChannelQuery(channel_name=name, run_name="drive") for name in NAMES]
        channels.append(ChannelQuery(run_name="drive", **SPEED))
        channels.append(
            CalculatedChannelQuery(
                channel_key="double speed",
                run_name="drive",
                expression="$1 * 2",
                expression_channel_references=[{"reference": "$1", **SPEED}],
            )
        )
        result = await service.execute(query(int(sample_ms), channels))
        return {
            one.identifier: {
                "times": [str(time) for time in column(one.time_column())],
                "values": [plain(value) for value in column(one.value_column())],
            }
            for one in result.all_channels()
        }


print(json.dumps(asyncio.run(read())))
