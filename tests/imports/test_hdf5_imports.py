"""HDF5 files by the protocol: what is in the file is read back, value by value."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import grpc
import h5py
import numpy as np
import pytest

from sift.data_imports.v2 import data_imports_pb2 as pb

if TYPE_CHECKING:
    from support.imports import ImportDoors

T0 = 1_767_225_600_000_000_000


def file_of(**datasets: Any) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, values in datasets.items():
            file[name.replace("__", "/")] = values
    return buffer.getvalue()


def data(value: str, data_type: str = "DOUBLE", time: str = "/t", **more: Any) -> dict[str, Any]:
    channel = {"name": more.pop("name", value), "dataType": f"CHANNEL_DATA_TYPE_{data_type}"}
    return {"timeDataset": time, "valueDataset": value, "channelConfig": channel, **more}


def config(*some: dict[str, Any], **more: Any) -> dict[str, Any]:
    nanoseconds = "TIME_FORMAT_ABSOLUTE_UNIX_NANOSECONDS"
    return {"assetName": "rover", "timeFormat": nanoseconds, "data": list(some), **more}


def test_every_value_of_a_file_comes_back(doors: ImportDoors):
    """Datasets with times of their own, columns of two dimensions, fields of compound types."""
    rows = np.array([(T0, 1.5), (T0 + 1, 2.5)], [("time", "i8"), ("v", "f4")])
    file = file_of(
        t=np.array([T0, T0 + 1]),
        deep__v=np.array([5e-324, np.inf]),
        n=np.array([2**63 - 1, -(2**63)]),
        both=np.array([[T0 + 5, 7], [T0 + 6, 8]]),
        rows=rows,
        text=["a", "ü"],
    )
    imported = doors.run(
        file,
        hdf5_config=config(
            data("/deep/v", name="v"),
            data("n", "INT_64"),
            data("text", "STRING"),
            data("both", "INT_64", "both", valueIndex=1),
            data("rows", "FLOAT", "rows", timeField="time", valueField="v"),
        ),
    )
    assert imported.status == pb.DATA_IMPORT_STATUS_SUCCEEDED, imported.error_message
    assert doors.points(imported) == {
        "v": [(T0, 5e-324), (T0 + 1, np.inf)],
        "n": [(T0, 2**63 - 1), (T0 + 1, -(2**63))],
        "text": [(T0, "a"), (T0 + 1, "ü")],
        "both": [(T0 + 5, 7), (T0 + 6, 8)],
        "rows": [(T0, 1.5), (T0 + 1, 2.5)],
    }


def test_relative_times(doors: ImportDoors):
    more = {
        "timeFormat": "TIME_FORMAT_RELATIVE_SECONDS",
        "relativeStartTime": "2026-01-01T00:00:00Z",
    }
    file = file_of(t=np.array([0.25, 0.5]), v=np.array([1.0, 2.0]))
    imported = doors.run(file, hdf5_config=config(data("v"), **more))
    assert doors.points(imported) == {"v": [(T0 + 250_000_000, 1.0), (T0 + 500_000_000, 2.0)]}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (config(), "has no data"),
        (config(data("v"), timeFormat="TIME_FORMAT_UNSPECIFIED"), "format 0"),
        (config(data("v"), data("w", name="v")), "two columns would be the channel 'v'"),
        (config(data("v", time="")), "needs a time_dataset"),
    ],
)
def test_a_config_that_can_not_be_right_is_refused(doors, given, said):
    with pytest.raises(grpc.RpcError, match=said):
        doors.create(hdf5_config=given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (config(data("none")), "no dataset 'none'"),
        (config(data("v", time="none")), "no dataset 'none'"),
        (config(data("v", valueIndex=3)), "has no column 3"),
        (config(data("v", valueField="x")), "no field 'x'"),
        (config(data("long")), "3 values"),
        (config(data("group")), "no dataset 'group'"),
    ],
)
def test_a_config_that_does_not_fit_is_said(doors, given, said):
    file = file_of(t=np.array([T0]), v=np.array([1.0]), long=np.zeros(3), group__x=np.zeros(1))
    imported = doors.run(file, "log.h5", hdf5_config=given)
    assert imported.status == pb.DATA_IMPORT_STATUS_FAILED
    assert said in imported.error_message
    broken = doors.run(file[:100], "log.h5", hdf5_config=config(data("v")))
    assert "log.h5 is damaged, or no HDF5 file" in broken.error_message


def test_what_is_in_a_file_is_found_out(doors: ImportDoors):
    """And can be imported as it was found, with the format of the times."""
    file = file_of(imu__time=np.array([T0]), imu__gyro=np.array([[1.5, 2.5]]))
    request = pb.DetectConfigRequest(data=file, type=pb.DATA_TYPE_KEY_HDF5)
    found = doors.stub.DetectConfig(request).hdf5_config
    assert [(one.value_dataset, one.value_index) for one in found.data] == [
        ("/imu/gyro", 0), ("/imu/gyro", 1),
    ]  # fmt: skip
    found.asset_name = "rover"
    found.time_format = pb.TIME_FORMAT_ABSOLUTE_UNIX_NANOSECONDS
    created = doors.stub.CreateDataImportFromUpload(
        pb.CreateDataImportFromUploadRequest(hdf5_config=found)
    )
    assert doors.upload(created.upload_url, file).status == 200
    points = doors.points(doors.wait(created.data_import_id))
    assert sorted(points.values()) == [[(T0, 1.5)], [(T0, 2.5)]]


def test_chunks_that_inflate_to_gigabytes_are_refused(doors: ImportDoors):
    """A file of some kilobytes may have them."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["t"] = np.array([T0])
        file.create_dataset("v", (2**27,), "f8", chunks=(2**26,), compression="gzip")
    imported = doors.run(buffer.getvalue(), hdf5_config=config(data("v")))
    assert "CHUNK_BYTES_MAX" in imported.error_message
