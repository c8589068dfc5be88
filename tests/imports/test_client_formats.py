"""Files of formats of the field, uploaded by the names of published releases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from nptdms import ChannelObject, TdmsWriter

from sift_py.data_import.config import Hdf5Config
from sift_py.data_import.hdf5 import Hdf5UploadService
from sift_py.data_import.tdms import TdmsUploadService
from sift_py.errors import DataImportConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from support.imports import ImportDoors

T0 = 1_767_225_600_000_000_000


def test_hdf5_files(doors: ImportDoors, tmp_path: Path):
    """By the names of published releases; columns count from 1 there."""
    path = tmp_path / "log.h5"
    with h5py.File(path, "w") as file:
        file["t"], file["v"] = np.array([T0]), np.array([[0.5, 1.5]])
    made = Hdf5Config(
        {
            "asset_name": "rover",
            "run_name": "drive",
            "time": {"format": "TIME_FORMAT_ABSOLUTE_UNIX_NANOSECONDS"},
            "data": [
                {
                    "name": "second", "data_type": "CHANNEL_DATA_TYPE_DOUBLE",
                    "time_dataset": "t", "value_dataset": "v", "value_column": 2,
                }
            ],
        }
    )  # fmt: skip
    service = Hdf5UploadService({"uri": f"http://{doors.address}", "apikey": doors.api_key})
    assert service.get_previous_upload_run_id() == ""
    imported = service.upload(path, made).wait_until_complete()
    assert doors.points(doors.get(imported.data_import_id)) == {"second": [(T0, 1.5)]}
    assert service.get_previous_upload_run_id() == imported.run_id != ""


def test_tdms_files(doors: ImportDoors, tmp_path: Path):
    """By the names of published releases."""
    path = tmp_path / "burn.tdms"
    wave = {"wf_start_time": np.datetime64("2026-01-01", "us"), "wf_increment": 0.25}
    with TdmsWriter(path) as writer:
        writer.write_segment([ChannelObject("engine", "thrust", np.array([1.5, 2.5]), wave)])
    service = TdmsUploadService({"uri": f"http://{doors.address}", "apikey": doors.api_key})
    imported = service.upload(path, "rover", run_name="burn", include_metadata=False)
    done = imported.wait_until_complete()
    found = doors.points(doors.get(done.data_import_id), "thrust")
    assert found == {"thrust": [(T0, 1.5), (T0 + 250_000_000, 2.5)]}
    with pytest.raises(DataImportConfigError, match="metadata of a run"):
        service.upload(path, "rover", include_metadata=True)
