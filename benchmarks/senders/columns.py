"""Streams a workload column by column, with our client.

    python columns.py ADDRESS API_KEY CHANNELS KIND ROWS

What is timed is one call of `ingest_columns`, which encodes, sends, and waits for the server.
"""

import json
import sys
import time

import numpy as np
from arrays import arrays_of
from rows import config_of
from workload import Workload

from sift_py.grpc.transport import SiftChannelConfig, use_sift_channel
from sift_py.ingestion.service import IngestionService

if __name__ == "__main__":
    address, api_key, channels, kind, rows = sys.argv[1:6]
    what = Workload(int(channels), kind, int(rows))
    asset_name = f"columns-{what.name}-{time.time_ns()}"
    arrays = arrays_of(what)
    times = np.array(what.timestamps_ns(), np.int64)
    config = SiftChannelConfig(uri=f"http://{address}", apikey=api_key)
    with use_sift_channel(config) as channel:
        ingestion = IngestionService(channel, config_of(what, asset_name))
        start = time.perf_counter()
        ingestion.ingest_columns("flow", times, arrays)
        seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "asset": asset_name}))
