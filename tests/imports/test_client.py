"""`sift_py.data_import` against a server: what is uploaded is read back."""

from __future__ import annotations

import gzip
import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pyarrow as pa
import pytest
from pyarrow import parquet

from sift_py.data_import import ch10, config, csv, hdf5, status, tdms
from sift_py.data_import.ch10 import BaseCh10File, Ch10UploadService
from sift_py.data_import.config import CsvConfig, Hdf5Config, ParquetConfig
from sift_py.data_import.csv import CsvUploadService
from sift_py.data_import.parquet import ParquetUploadService
from sift_py.data_import.parquet_complex_types import ParquetComplexTypesImportModeType
from sift_py.data_import.status import DataImport, DataImportService, DataImportStatusType
from sift_py.data_import.time_format import TimeFormatType
from sift_py.errors import ChannelUriError, DataImportConfigError, DataImportError
from sift_py.rest import SiftRestConfig, compute_uri
from sift_server.imports import UrlPolicy

if TYPE_CHECKING:
    from support.imports import ImportDoors

T0 = 1_767_225_600_000_000_000
SUCCEEDED, FAILED = DataImportStatusType.SUCCEEDED, DataImportStatusType.FAILED


@pytest.fixture
def rest(doors: ImportDoors) -> SiftRestConfig:
    return {"uri": f"http://{doors.address}", "apikey": doors.api_key}


def points(doors: ImportDoors, imported: DataImport, *names: str) -> dict[str, Any]:
    assert (imported.status, imported.error_message) == (SUCCEEDED, "")
    return doors.points(doors.get(imported.data_import_id), *names)


def test_a_simple_upload_finds_out_types(doors, rest, tmp_path):
    """Of whole columns; the names of channels are those of the header, as they are there."""
    path = tmp_path / "flight.csv"
    path.write_text(
        "time,speed (m/s),n,on,note,none\n"
        "2026-01-01T00:00:00Z,1,9007199254740993,true,a,\n"
        "2026-01-01 00:00:01.000000001,2.5,2,false,b,\n"
    )
    imported = CsvUploadService(rest).simple_upload("rover", path, run_name="drive")
    found = points(doors, imported.wait_until_complete())
    times = [T0, T0 + 10**9 + 1]
    assert found == {
        "speed (m/s)": [(times[0], 1.0), (times[1], 2.5)],
        "n": [(times[0], 9007199254740993), (times[1], 2)],
        "on": [(times[0], True), (times[1], False)],
        "note": [(times[0], "a"), (times[1], "b")],
    }


def test_rows_of_units_and_descriptions(doors, rest, tmp_path):
    """They are no data, and the channels have them."""
    path = tmp_path / "flight.csv"
    path.write_text("t,v\nsome text,\n-,m/s\n-,how fast\n0.5,1.5\n")
    service = CsvUploadService(rest).simple_upload(
        "rover", path, 5, 1, TimeFormatType.RELATIVE_SECONDS, units_row=3, descriptions_row=4,
        relative_start_time="2026-01-01T00:00:00Z",
    )  # fmt: skip
    imported = service.wait_until_complete()
    assert points(doors, imported) == {"v": [(T0 + 500_000_000, 1.5)]}
    channel = imported.csv_config["dataColumns"]["2"]
    assert (channel["units"], channel["description"]) == ("m/s", "how fast")


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("t,v\n1,2\n", {"time_column": 3}, "2 columns"),
        ("t,v\n1,2\n", {"units_row": 2}, "must be behind row 2"),
        ("t,v\n1,2\n", {"first_data_row": 9}, "has 2 rows"),
        ("t,v\n1,2\n", {"time_format": TimeFormatType.RELATIVE_HOURS}, "relative_start_time"),
    ],
)
def test_a_simple_upload_that_can_not_be_is_refused_here(rest, tmp_path, text, options, said):
    path = tmp_path / "flight.csv"
    path.write_text(text)
    with pytest.raises(DataImportConfigError, match=said):
        CsvUploadService(rest).simple_upload("rover", path, **options)
    with pytest.raises(FileNotFoundError):
        CsvUploadService(rest).simple_upload("rover", tmp_path / "none.csv")


def csv_config(**more: Any) -> dict[str, Any]:
    return {
        "asset_name": "rover",
        "first_data_row": 2,
        "time_column": {"format": "TIME_FORMAT_ABSOLUTE_UNIX_NANOSECONDS", "column_number": 1},
        "data_columns": {2: {"name": "v", "component": "wheel", "data_type": "double"}},
        **more,
    }


def test_a_config_says_what_is_in_a_file(doors, rest, tmp_path):
    """What does not fit is the import's error, and no exception."""
    path = tmp_path / "flight.csv"
    path.write_text("t,v\n1,0.5\n")
    service = CsvUploadService(rest).upload(path, CsvConfig(csv_config()), show_progress=False)
    imported = service.wait_until_complete()
    assert points(doors, imported) == {"wheel.v": [(1, 0.5)]}
    path.write_text("t,v\n1,fast\n")
    wrong = CsvUploadService(rest).upload(path, CsvConfig(csv_config()))
    service.extend(wrong)
    assert [one.status for one in service.wait_until_all_complete()] == [SUCCEEDED, FAILED]
    failed = list(service.get_data_imports())[1]
    assert "flight.csv, line 2, column v: 'fast'" in failed.error_message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"asset_name": None}, "needs 'asset_name'"),
        ({"asset_name": 7}, "must be a str, not 7"),
        ({"first_data_row": 0}, "counts from 1, and is 0"),
        ({"first_data_row": True}, "must be a int"),
        ({"color": "red"}, "has 'color'"),
        ({"time_column": {"format": "noon", "column_number": 1}}, "it must be one of TIME_FORMAT"),
        (
            {"time_column": {"format": TimeFormatType.RELATIVE_SECONDS, "column_number": 1}},
            "needs a 'relative_start_time'",
        ),
        ({"data_columns": {"a": {}}}, "one is 'a'"),
        ({"data_columns": {2: {"name": "v", "data_type": "complex"}}}, "it must be one of CHANNEL"),
        ({"data_columns": {2: {"name": "v", "data_type": "double", "z": 1}}}, "has 'z'"),
        (
            {
                "data_columns": {
                    2: {"name": "v", "data_type": "double", "enum_types": [{"name": "a", "key": 1}]}
                }
            },
            "CHANNEL_DATA_TYPE_ENUM",
        ),
    ],
)
def test_a_config_that_can_not_be_right_is_refused_when_it_is_made(change, said):
    with pytest.raises(DataImportConfigError, match=said):
        CsvConfig(csv_config(**change))


def test_configs_are_json_of_the_protocol():
    made = CsvConfig(csv_config(run_name="drive"))
    assert json.loads(made.to_json()) == made.to_dict()
    assert made.to_dict()["data_columns"]["2"]["data_type"] == "CHANNEL_DATA_TYPE_DOUBLE"
    made = Hdf5Config(
        {
            "asset_name": "rover",
            "time": {"format": TimeFormatType.ABSOLUTE_UNIX_SECONDS},
            "data": [
                {
                    "name": "v", "data_type": "double", "time_dataset": "/t",
                    "value_dataset": "/v", "value_column": 2,
                }
            ],
        }
    ).to_dict()  # fmt: skip
    assert (made["data"][0]["time_index"], made["data"][0]["value_index"]) == (0, 1)
    with pytest.raises(DataImportConfigError, match="complex_types_import_mode"):
        ParquetConfig({"asset_name": "rover", "complex_types_import_mode": "SOME"})


def test_a_flat_parquet_file(doors, rest, tmp_path):
    """The server says what is in its footer."""
    path = tmp_path / "flight.parquet"
    table = pa.table({"when": [T0], "v": [0.5], "text": ["ü"], "l": [[1]], "s": [{"x": 2**60}]})
    parquet.write_table(table, path)
    service = ParquetUploadService(rest).flat_dataset_upload("rover", path, "when")
    imported = service.wait_until_complete()
    assert points(doors, imported) == {
        "v": [(T0, 0.5)], "text": [(T0, "ü")], "s.x": [(T0, 2**60)],
    }  # fmt: skip
    with pytest.raises(DataImportConfigError, match="no column 'time'; it has"):
        ParquetUploadService(rest).flat_dataset_upload("rover", path, "time")
    path.write_bytes(b"no such file")
    with pytest.raises(DataImportConfigError, match="no Parquet file"):
        ParquetUploadService(rest).flat_dataset_upload("rover", path, "when")


class Recording(BaseCh10File):
    """A recording as CSV, line by line."""

    def initialize_csv_data_columns(self) -> None:
        self.csv_config_data_columns = {2: {"name": "v", "data_type": "double"}}

    def __iter__(self):
        yield "t,v\n"
        yield b"1,0.5\n"


class Compressed(Recording):
    gzip = True

    def __init__(self) -> None:
        self._left = gzip.compress(b"t,v\n1,0.5\n")

    def read(self, size: int) -> bytes:
        given, self._left = self._left[:size], self._left[size:]
        return given


@pytest.mark.parametrize("recording", [Recording, Compressed])
def test_recordings_of_chapter_10(doors, rest, recording):
    """Which a class of the user's gives as CSV."""
    service = Ch10UploadService(rest).upload(recording(), "rover")
    assert points(doors, service.wait_until_complete()) == {"v": [(1, 0.5)]}
    with pytest.raises(NotImplementedError):
        Ch10UploadService(rest).upload(BaseCh10File(), "rover")


def test_the_server_says_no(rest, tmp_path):
    """In words, with a status of gRPC's."""
    path = tmp_path / "flight.csv"
    path.write_text("t,v\n1,0.5\n")
    with pytest.raises(DataImportError, match="give one of them") as refused:
        CsvUploadService(rest).upload(path, CsvConfig(csv_config(run_name="a", run_id="b")))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(DataImportError) as refused:
        DataImportService(rest, "none").get_data_import()
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    with pytest.raises(DataImportError) as refused:
        DataImportService({**rest, "apikey": "wrong"}, "none").get_data_import()
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    with pytest.raises(DataImportError, match="--import-urls"):
        CsvUploadService(rest).upload_from_url("https://host/file.csv", CsvConfig(csv_config()))
    with pytest.raises(DataImportConfigError, match="scheme 'file'"):
        CsvUploadService(rest).upload_from_url("file:///a.csv", CsvConfig(csv_config()))
    nobody: SiftRestConfig = {"uri": "http://127.0.0.1:1", "apikey": "key"}
    with pytest.raises(DataImportError, match="can't be reached") as refused:
        DataImportService(nobody, "none").get_data_import()
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("settings", [{"import_urls": UrlPolicy.ANY}])
def test_files_behind_urls(rest):
    service = CsvUploadService(rest).upload_from_url(
        "http://127.0.0.1:1/file.csv", CsvConfig(csv_config())
    )
    assert "can't be fetched" in service.wait_until_complete().error_message


def test_names_of_the_protocol():
    assert TimeFormatType.from_str("TIME_FORMAT_RELATIVE_HOURS") is TimeFormatType.RELATIVE_HOURS
    assert TimeFormatType.from_str("hours") is None
    assert TimeFormatType.RELATIVE_HOURS.is_relative()
    assert TimeFormatType.RELATIVE_HOURS.as_human_str() == "TIME_FORMAT_RELATIVE_HOURS"
    both = ParquetComplexTypesImportModeType.BOTH
    assert ParquetComplexTypesImportModeType.from_str(both.as_human_str()) is both
    assert DataImportStatusType.from_str(FAILED.as_human_str()) is FAILED
    with pytest.raises(ValueError, match="no status"):
        DataImport.convert_status("DONE")


@pytest.mark.parametrize(
    ("restconf", "uri"),
    [
        ({"uri": "host:1", "apikey": ""}, "https://host:1"),
        ({"uri": "host:1", "apikey": "", "use_ssl": False}, "http://host:1"),
        ({"uri": "http://host:1", "apikey": ""}, "http://host:1"),
    ],
)
def test_uris_are_as_in_published_releases(restconf, uri):
    assert compute_uri(restconf) == uri
    with pytest.raises(ChannelUriError):
        compute_uri({"uri": "embedded:folder", "apikey": ""})


def test_names_are_those_of_published_releases():
    """With the parameters that published programs give by name."""
    for function, names in {
        CsvUploadService.simple_upload: "asset_name path first_data_row time_column time_format"
        " run_name run_id units_row descriptions_row relative_start_time",
        ParquetUploadService.flat_dataset_upload: "asset_name path time_path time_format"
        " complex_types_import_mode run_name run_id relative_start_time",
        hdf5.Hdf5UploadService.upload: "path hdf5_config show_progress",
        tdms.TdmsUploadService.upload: "path asset_name prefix_channel_with_group"
        " group_into_components ignore_errors run_name run_id tdms_time_format include_metadata",
        Ch10UploadService.upload: "ch10_file asset_name time_format run_name run_id",
    }.items():
        assert list(inspect.signature(function).parameters)[1:] == names.split()
    for module in (ch10, config, csv, hdf5, status, tdms):
        assert all(hasattr(module, name) for name in module.__all__)
    assert Path(csv.__file__).name == "csv.py"
