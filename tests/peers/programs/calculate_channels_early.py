"""Declares, changes, lists and reads calculated channels with the earlier published client.

    python calculate_channels_early.py HOST:PORT API_KEY

Prints what it gets back as JSON; the server has an asset `rover` with channels `v` and `i`.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime

from sift_py.calculated_channels.config import CalculatedChannelConfig, CalculatedChannelUpdate
from sift_py.calculated_channels.service import CalculatedChannelService
from sift_py.data.query import CalculatedChannelQuery, ChannelQuery, DataQuery
from sift_py.data.service import DataService
from sift_py.grpc.transport import use_sift_async_channel, use_sift_channel

address, api_key = sys.argv[1:3]
CREDENTIALS = {"uri": address, "apikey": api_key, "use_ssl": False}
channel = use_sift_channel(CREDENTIALS)
service = CalculatedChannelService(channel)
REFERENCES = [
    {"channel_reference": "$1", "channel_identifier": "v"},
    {"channel_reference": "$2", "channel_identifier": "i"},
]


def shown(config):
    return {
        "name": config.name,
        "expression": config.expression,
        "description": config.description,
        "units": config.units,
        "assets": config.asset_names,
        "all assets": config.all_assets,
    }


power, validation = service.create_calculated_channel(
    CalculatedChannelConfig(
        name="power",
        expression="$1 * $2",
        channel_references=REFERENCES,
        units="W",
        client_key="power-key",
        asset_names=["rover"],
    )
)
changed, _ = service.update_calculated_channel(
    power, CalculatedChannelUpdate(expression="$1 * $2 + 1", channel_references=REFERENCES), "plus"
)
named, _ = service.update_calculated_channel(changed, CalculatedChannelUpdate(name="watts"))
listed, _ = service.list_calculated_channels(filter="name == 'watts'")
versions, _ = service.list_calculated_channel_versions(client_key="power-key")
lost, lost_validation = service.create_calculated_channel(
    CalculatedChannelConfig(
        name="lost",
        expression="$1 + 1",
        channel_references=[{"channel_reference": "$1", "channel_identifier": "nothing"}],
        all_assets=True,
    )
)
query = DataQuery(
    asset_name="rover",
    start_time=datetime(2026, 1, 1, tzinfo=UTC),
    end_time=datetime(2026, 1, 2, tzinfo=UTC),
    channels=[
        ChannelQuery(channel_name="v", run_name="drive"),
        CalculatedChannelQuery(
            channel_key="power",
            run_name="drive",
            expression="$1 * $2",
            expression_channel_references=[
                {"reference": "$1", "channel_name": "v"},
                {"reference": "$2", "channel_name": "i"},
            ],
        ),
    ],
)


async def read():
    async with use_sift_async_channel(CREDENTIALS) as async_channel:
        result = await DataService(async_channel).execute(query)
        return {one.identifier: one.value_column() for one in result.all_channels()}


print(
    json.dumps(
        {
            "created": shown(power),
            "changed": shown(changed),
            "named": shown(named),
            "got": shown(service.get_calculated_channel(client_key="power-key")),
            "listed": [shown(one) for one in listed],
            "versions": len(versions),
            "lost": str(lost_validation),
            "read": asyncio.run(read()),
        }
    )
)
