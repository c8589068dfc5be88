"""Exports data with the published client.

Arguments: the server's address, an API key, a folder for the files, and as JSON the ids of runs, an
asset and a channel, and a start and a stop as RFC 3339. Prints what came back as JSON.
"""

from __future__ import annotations

import json
import sys
import warnings
from datetime import datetime
from pathlib import Path

warnings.simplefilter("ignore")

from sift_client import SiftClient, SiftConnectionConfig  # noqa: E402
from sift_client.sift_types.export import ExportOutputFormat  # noqa: E402

ADDRESS, API_KEY, FOLDER, IDS = sys.argv[1:]
ids = json.loads(IDS)
start, stop = (datetime.fromisoformat(ids[name]) for name in ("start", "stop"))
client = SiftClient(
    connection_config=SiftConnectionConfig(
        api_key=API_KEY, grpc_url=ADDRESS, rest_url=f"http://{ADDRESS}", use_ssl=False
    )
)


def files(name: str, job) -> list[str]:
    folder = Path(FOLDER) / name
    paths = client.jobs.wait_and_download(
        job, polling_interval_secs=1, output_dir=folder, show_progress=False
    )
    return sorted(str(path.relative_to(folder)) for path in paths)


export = client.data_export.export
found = {
    "run": files("run", export(output_format=ExportOutputFormat.PARQUET, runs=[ids["runs"][0]])),
    "asset": files(
        "asset",
        export(
            output_format=ExportOutputFormat.CSV,
            assets=[ids["asset"]],
            start_time=start,
            stop_time=stop,
        ),
    ),
    "channel": files(
        "channel",
        export(
            output_format=ExportOutputFormat.PARQUET,
            start_time=start,
            stop_time=stop,
            channels=[ids["channel"]],
        ),
    ),
    "split": files(
        "split",
        export(
            output_format=ExportOutputFormat.CSV,
            runs=ids["runs"],
            split_export_by_run=True,
            split_export_by_asset=True,
        ),
    ),
    "calculated": files(
        "calculated",
        export(
            output_format=ExportOutputFormat.PARQUET,
            runs=[ids["runs"][0]],
            calculated_channels=[
                {
                    "name": "half",
                    "expression": "$1 / 2.0",
                    "expression_channel_references": [
                        {"channel_reference": "$1", "channel_identifier": "motor.speed"}
                    ],
                    "all_assets": True,
                }
            ],
        ),
    ),
}
try:
    export(output_format=ExportOutputFormat.SUN, runs=ids["runs"])
except Exception as error:  # noqa: BLE001 - whatever the client makes of it
    found["sun"] = str(error)
job = client.jobs.list_()[0]
found["job"] = [job.job_type.name, job.job_status.name]
print(json.dumps(found))
