"""The configs of data imports: from messages to plans of `sift_files`, and back what was detected.

A module for each kind. `check` says what is wrong with a config before there is a file, `plan` what
is to be done with a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from google.protobuf import json_format

from sift.data_imports.v2 import data_imports_pb2 as pb
from sift_server.api.import_configs import csv, hdf5, mcap, parquet, tdms, ulog
from sift_server.errors import InvalidArgumentError, UnimplementedError

if TYPE_CHECKING:
    from pathlib import Path

    from sift_server.imports import ImportPlan

__all__ = ["CONFIG_KINDS", "config_of", "plan_of"]


class _Kind(Protocol):
    """What knows a kind of config."""

    def check(self, config: Any, /) -> None: ...  # noqa: ANN401 (a message)

    def plan(self, config: Any, path: Path, /) -> ImportPlan: ...  # noqa: ANN401


_KINDS: dict[str, tuple[type[Any], _Kind]] = {
    "csv_config": (pb.CsvConfig, csv),
    "parquet_config": (pb.ParquetConfig, parquet),
    "hdf5_config": (pb.Hdf5Config, hdf5),
    "tdms_config": (pb.TDMSConfig, tdms),
    "ulog_config": (pb.UlogConfig, ulog),
    "mcap_config": (pb.McapConfig, mcap),
}
CONFIG_KINDS = tuple(_KINDS)
_NOT_READ = {
    "ch10_config": "files of IRIG 106 chapter 10; convert it to CSV or Parquet first",
    "batch_config": "archives of several files; create a data import for each file",
}


def config_of(
    request: pb.CreateDataImportFromUploadRequest | pb.CreateDataImportFromUrlRequest,
) -> tuple[str, str]:
    """The kind of the config of a request, and its JSON; checked as far as it can be now.

    Raises:
        InvalidArgumentError: There is none, or more than one, or it can't be right.
        UnimplementedError: It is for files that this server does not read.
    """
    known = (*_KINDS, *_NOT_READ)
    given = [field.name for field, _ in request.ListFields() if field.name in known]
    if len(given) != 1:
        raise InvalidArgumentError(
            f"a data import has one config, and this one has {' and '.join(given) or 'none'}; give"
            f" it one of {', '.join(_KINDS)}"
        )
    (kind,) = given
    if kind in _NOT_READ:
        raise UnimplementedError(f"this server does not read {_NOT_READ[kind]}")
    config = getattr(request, kind)
    _KINDS[kind][1].check(config)
    return kind, json_format.MessageToJson(config, indent=None)


def plan_of(kind: str, document: str, path: Path) -> ImportPlan:
    """What to do with a file, by the kind of its config and the JSON of that.

    Raises:
        ServerError: The config does not fit the file.
        FilesError: The file is damaged, or none of its kind.
    """
    message, module = _KINDS[kind]
    return module.plan(json_format.Parse(document, message()), path)
