"""Parquet files."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sift_py.data_import._uploads import Uploads
from sift_py.data_import.config import ParquetConfig
from sift_py.data_import.parquet_complex_types import ParquetComplexTypesImportModeType
from sift_py.data_import.time_format import TimeFormatType
from sift_py.errors import DataImportConfigError

if TYPE_CHECKING:
    from sift_py.data_import.status import DataImportService

__all__ = ["ParquetUploadService"]

_MAGIC = b"PAR1"
_END_BYTES = 8
"""What is behind the footer: its length, and the magic bytes."""


class ParquetUploadService(Uploads):
    """Uploads Parquet files, which the server reads."""

    DETECT_CONFIG_PATH = "/api/v0/data-imports:detect-config"

    def upload(
        self, path: str | Path, parquet_config: ParquetConfig, show_progress: bool = True
    ) -> DataImportService:
        """Upload a file.

        Args:
            path: The file.
            parquet_config: What is in it.
            show_progress: Whether a terminal shows how much was sent.

        Raises:
            FileNotFoundError: There is no such file.
            DataImportError: The server refuses it, or can't be reached.
        """
        config = {"parquet_config": parquet_config.to_dict()}
        return self._upload_file(path, config, show_progress=show_progress)

    def upload_from_url(self, url: str, parquet_config: ParquetConfig) -> DataImportService:
        """Have the server fetch a file.

        Raises:
            DataImportConfigError: The URL is none that servers fetch files from.
            DataImportError: The server refuses it, or can't be reached.
        """
        return self._from_url(url, {"parquet_config": parquet_config.to_dict()})

    def flat_dataset_upload(
        self,
        asset_name: str,
        path: str | Path,
        time_path: str,
        time_format: TimeFormatType = TimeFormatType.ABSOLUTE_UNIX_NANOSECONDS,
        complex_types_import_mode: ParquetComplexTypesImportModeType = (
            ParquetComplexTypesImportModeType.BOTH
        ),
        run_name: str | None = None,
        run_id: str | None = None,
        relative_start_time: str | None = None,
    ) -> DataImportService:
        """Upload a file each of whose columns is a channel; the server finds out their types.

        Args:
            asset_name: Name of the asset.
            path: The file.
            time_path: The column with the times.
            time_format: What the times mean.
            complex_types_import_mode: What becomes of lists and maps.
            run_name: Name of a new run for the points.
            run_id: Id of a run for the points.
            relative_start_time: What relative times count from, in RFC 3339.

        Raises:
            FileNotFoundError: There is no such file.
            DataImportConfigError: It is no Parquet file, or has no such column.
            DataImportError: The server refuses it, or can't be reached.
        """
        footer, offset = _footer(Path(path))
        question = {
            "data": base64.b64encode(footer).decode("ascii"),
            "type": "DATA_TYPE_KEY_PARQUET_FLATDATASET",
        }
        found = self._rest.call("POST", self.DETECT_CONFIG_PATH, question)
        flat = found.get("parquetConfig", {}).get("flatDataset", {})
        columns = [_column(one) for one in flat.get("dataColumns", [])]
        known = {flat.get("timeColumn", {}).get("path"), *(one["path"] for one in columns)}
        if time_path not in known:
            names = ", ".join(sorted(map(repr, known - {None})))
            raise DataImportConfigError(f"{path} has no column {time_path!r}; it has {names}")
        config = {
            "asset_name": asset_name,
            "run_name": run_name or "",
            "run_id": run_id or "",
            "flat_dataset": {
                "time_column": {
                    "path": time_path,
                    "format": time_format,
                    **({"relative_start_time": relative_start_time} if relative_start_time else {}),
                },
                "data_columns": [one for one in columns if one["path"] != time_path],
            },
            "footer_offset": offset,
            "footer_length": len(footer),
            "complex_types_import_mode": complex_types_import_mode,
        }
        return self.upload(path, ParquetConfig(config))


def _column(document: dict[str, Any]) -> dict[str, Any]:
    channel = document.get("channelConfig", {})
    return {
        "path": document["path"],
        "channel_config": {
            "name": channel.get("name", document["path"]),
            "data_type": channel.get("dataType", ""),
            "units": channel.get("units", ""),
            "description": channel.get("description", ""),
        },
    }


def _footer(path: Path) -> tuple[bytes, int]:
    """The footer of a file, and where it begins."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - _END_BYTES, 0))
        end = file.read()
        length = int.from_bytes(end[:4], "little")
        offset = size - _END_BYTES - length
        if end[4:] != _MAGIC or offset < len(_MAGIC):
            raise DataImportConfigError(f"{path} is no Parquet file: it does not end like one")
        file.seek(offset)
        return file.read(length), offset
