"""Reads channels of every type, of a run, with the newest published client.

    python read_data.py HOST:PORT API_KEY

Prints what it gets back as JSON, by column of its data frames; the server has an asset `rover`.
"""

import json
import sys
from datetime import UTC, datetime

from sift_client import SiftClient, SiftConnectionConfig

address, api_key = sys.argv[1:3]
client = SiftClient(
    connection_config=SiftConnectionConfig(
        grpc_url=address, rest_url=f"http://{address}", api_key=api_key, use_ssl=False
    )
)
rover = client.assets.find(name="rover")
found = client.channels.get_data(
    channels=client.channels.list_(asset=rover),
    run=client.runs.find(name="drive"),
    start_time=datetime(2026, 1, 1, tzinfo=UTC),
    end_time=datetime(2026, 1, 2, tzinfo=UTC),
    ignore_cache=True,
    show_progress=False,
)
print(
    json.dumps(
        {
            str(column): {
                "times": frame.index.astype("int64").tolist(),
                "values": frame[column].tolist(),
            }
            for frame in found.values()
            for column in frame
        }
    )
)
