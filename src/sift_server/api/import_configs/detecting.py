"""Configs found out from a file, or a part of it that says what is in it."""

from __future__ import annotations

import io
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import parquet as parquet_files

from sift.data_imports.v2 import data_imports_pb2 as pb
from sift_files import FilesError, detect
from sift_server.api.import_configs import csv, hdf5, parquet, tdms
from sift_server.api.import_configs.embedded import embedded_config
from sift_server.errors import InvalidArgumentError, UnimplementedError

if TYPE_CHECKING:
    from collections.abc import Callable

_MAGIC = b"PAR1"


def detected_config(request: pb.DetectConfigRequest) -> pb.DetectConfigResponse:
    """Find out what is in a file.

    Of a CSV file, `data` is its beginning; of a Parquet file, its footer or all of it; of others,
    all of it.

    Raises:
        InvalidArgumentError: It is no file of the type, or nothing is in it.
        UnimplementedError: The type is one that is found out about elsewhere.
    """
    detector = _DETECTORS.get(request.type)
    if detector is None:
        names = {number: name for name, number in pb.DataTypeKey.items()}
        raise UnimplementedError(
            f"configs are not detected of {names.get(request.type, request.type)}; ask for one of"
            f" {', '.join(names[each] for each in _DETECTORS)}, or import the file with an empty"
            " list of data"
        )
    if not request.data:
        raise InvalidArgumentError("there is no data to detect a config of")
    with tempfile.TemporaryDirectory(prefix="sift-detect-") as folder:
        path = Path(folder) / "data"
        try:
            return detector(request.data, path)
        except FilesError as error:
            raise InvalidArgumentError(str(error).replace(str(path), "the data")) from None


def _csv(data: bytes, path: Path) -> pb.DetectConfigResponse:
    # The last row may be cut off.
    end = data.rfind(b"\n") + 1
    path.write_bytes(data[:end] if data.count(b"\n") > 1 else data)
    config = embedded_config(path)
    if config is None:
        plan = detect(path)
        if plan.csv is None:
            raise InvalidArgumentError("the data is no CSV")
        config = csv.detected(plan, plan.csv.first_row)
    return pb.DetectConfigResponse(csv_config=config)


def _hdf5(data: bytes, path: Path) -> pb.DetectConfigResponse:
    path.write_bytes(data)
    return pb.DetectConfigResponse(hdf5_config=hdf5.detected(path))


def _tdms(data: bytes, path: Path) -> pb.DetectConfigResponse:
    path.write_bytes(data)
    return pb.DetectConfigResponse(tdms_config=tdms.detected(path))


def _parquet(data: bytes, path: Path, *, is_flat: bool) -> pb.DetectConfigResponse:
    if data.startswith(_MAGIC):
        path.write_bytes(data)
        schema = None
    else:
        metadata = _footer(data)
        schema = metadata.schema.to_arrow_schema()
        # What the columns are, the footer says; there is nothing else to look at.
        parquet_files.write_table(schema.empty_table(), path)
    config = parquet.detected(path, is_flat=is_flat)
    config.footer_length = len(data) if schema is not None else 0
    return pb.DetectConfigResponse(parquet_config=config)


def _footer(data: bytes) -> Any:  # noqa: ANN401 (of Arrow)
    """The metadata of a footer, with or without its length and the magic bytes behind it."""
    if not data.endswith(_MAGIC):
        data += len(data).to_bytes(4, "little") + _MAGIC
    try:
        return parquet_files.read_metadata(io.BytesIO(_MAGIC + data))
    except (pa.ArrowException, OSError) as error:
        raise InvalidArgumentError(f"the data is no footer of a Parquet file: {error}") from None


_DETECTORS: dict[pb.DataTypeKey.ValueType, Callable[[bytes, Path], pb.DetectConfigResponse]] = {
    pb.DATA_TYPE_KEY_CSV: _csv,
    pb.DATA_TYPE_KEY_PARQUET_FLATDATASET: partial(_parquet, is_flat=True),
    pb.DATA_TYPE_KEY_PARQUET_SINGLE_CHANNEL_PER_ROW: partial(_parquet, is_flat=False),
    pb.DATA_TYPE_KEY_HDF5: _hdf5,
    pb.DATA_TYPE_KEY_TDMS: _tdms,
}
