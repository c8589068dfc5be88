"""Imports files with the published client, by both of its libraries.

Arguments: the server's address, an API key, and a folder with `flight.csv`, `embedded.csv` and
`flight.parquet`. Prints what came back as JSON.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

from sift_client import SiftClient, SiftConnectionConfig  # noqa: E402
from sift_client.sift_types.data_import import DataTypeKey, TimeFormat  # noqa: E402

from sift_py.data_import.config import CsvConfig  # noqa: E402
from sift_py.data_import.csv import CsvUploadService  # noqa: E402
from sift_py.data_import.parquet import ParquetUploadService  # noqa: E402
from sift_py.data_import.time_format import TimeFormatType  # noqa: E402

ADDRESS, API_KEY, FOLDER = sys.argv[1:]
folder = Path(FOLDER)
config = {"uri": f"http://{ADDRESS}", "apikey": API_KEY, "use_ssl": False}


def told(service) -> list[str]:
    ended = service.wait_until_complete()
    return [ended.data_import_id, ended.status.as_human_str(), ended.error_message]


csv = CsvUploadService(config)
parquet = ParquetUploadService(config)
by_sift_py = {
    "simple": told(
        csv.simple_upload("rover", folder / "flight.csv", run_name="simple", units_row=None)
    ),
    "wrong": told(
        csv.upload(
            folder / "flight.csv",
            CsvConfig(
                {
                    "asset_name": "rover",
                    "first_data_row": 2,
                    "time_column": {"format": "TIME_FORMAT_ABSOLUTE_RFC3339", "column_number": 1},
                    "data_columns": {9: {"name": "none", "data_type": "CHANNEL_DATA_TYPE_DOUBLE"}},
                }
            ),
        )
    ),
    "parquet": told(
        parquet.flat_dataset_upload(
            "rover",
            folder / "flight.parquet",
            "time",
            TimeFormatType.ABSOLUTE_UNIX_NANOSECONDS,
            run_name="parquet",
        )
    ),
}

client = SiftClient(
    connection_config=SiftConnectionConfig(
        api_key=API_KEY, grpc_url=ADDRESS, rest_url=f"http://{ADDRESS}", use_ssl=False
    )
)


def ended(job) -> list[object]:
    job = job.wait_until_complete()
    found = job.get_data_import()
    status = job.job_status_details
    return [
        found.id_, found.status.name, found.error_message, job.job_status.name,
        job.job_type.name, status.points_processed, status.points_total,
        job.get_import_run().name,
    ]  # fmt: skip


detected = client.data_import.detect_config(folder / "flight.csv")
by_sift_client = {
    "csv": ended(
        client.data_import.import_from_path(
            folder / "flight.csv", asset="rover", run_name="csv", show_progress=False
        )
    ),
    "embedded": ended(
        client.data_import.import_from_path(
            folder / "embedded.csv", asset="rover", show_progress=False
        )
    ),
    "parquet": ended(
        client.data_import.import_from_path(
            folder / "flight.parquet",
            asset="rover",
            data_type=DataTypeKey.PARQUET_FLATDATASET,
            time_format=TimeFormat.ABSOLUTE_UNIX_NANOSECONDS,
            show_progress=False,
        )
    ),
    "detected": [[one.name, one.data_type.name] for one in detected.data_columns],
    "listed": [one.status.name for one in client.data_import.list_()],
}
print(json.dumps({"sift_py": by_sift_py, "sift_client": by_sift_client}))
