"""Streams a workload column by column, with our client.

    python columns.py ADDRESS API_KEY CHANNELS KIND ROWS

What is timed is one call of `ingest_columns`, which encodes, sends, and waits for the server.
"""

import json
import sys
import time

import numpy as np
from rows import config_of
from workload import Workload

from sift_py.grpc.transport import SiftChannelConfig, use_sift_channel
from sift_py.ingestion.service import IngestionService


def arrays_of(workload: Workload) -> dict[str, object]:
    """Each channel's values: arrays of NumPy, masked where values are absent; lists of texts."""
    arrays: dict[str, object] = {}
    kinds = {"DOUBLE": np.float64, "FLOAT": np.float32, "INT_32": np.int32, "ENUM": np.uint32}
    for name, data_type, column in zip(
        workload.names(), workload.types(), workload.columns(), strict=True
    ):
        repeats = -(-workload.rows // len(column))
        if data_type in {"BIT_FIELD", "STRING"}:
            values = np.array(column * repeats, object)[: workload.rows]
        else:
            kind = kinds.get(data_type, np.bool_)
            known = np.array([0 if value is None else value for value in column], kind)
            values = np.tile(known, repeats)[: workload.rows]
        if any(value is None for value in column):
            absent = np.tile([value is None for value in column], repeats)[: workload.rows]
            values = np.ma.masked_array(values, absent)
        arrays[name] = values
    return arrays


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
