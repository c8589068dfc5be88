"""CSV files."""

from __future__ import annotations

import csv
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from sift_py.data_import._uploads import Uploads
from sift_py.data_import.config import CsvConfig
from sift_py.data_import.time_format import TimeFormatType
from sift_py.errors import DataImportConfigError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sift_py.data_import.status import DataImportService

__all__ = ["CsvUploadService"]


class CsvUploadService(Uploads):
    """Uploads CSV files, which the server reads."""

    RUN_PATH = "/api/v2/runs"

    def upload(
        self, path: str | Path, csv_config: CsvConfig, show_progress: bool = True
    ) -> DataImportService:
        """Upload a file.

        Args:
            path: The file; it may be compressed with gzip.
            csv_config: What is in it.
            show_progress: Whether a terminal shows how much was sent.

        Raises:
            FileNotFoundError: There is no such file.
            DataImportError: The server refuses it, or can't be reached.
        """
        config = {"csv_config": csv_config.to_dict()}
        return self._upload_file(path, config, show_progress=show_progress)

    def upload_from_url(self, url: str, csv_config: CsvConfig) -> DataImportService:
        """Have the server fetch a file.

        Raises:
            DataImportConfigError: The URL is none that servers fetch files from.
            DataImportError: The server refuses it, or can't be reached.
        """
        return self._from_url(url, {"csv_config": csv_config.to_dict()})

    def simple_upload(
        self,
        asset_name: str,
        path: str | Path,
        first_data_row: int = 2,
        time_column: int = 1,
        time_format: TimeFormatType = TimeFormatType.ABSOLUTE_DATETIME,
        run_name: str | None = None,
        run_id: str | None = None,
        units_row: int | None = None,
        descriptions_row: int | None = None,
        relative_start_time: str | None = None,
    ) -> DataImportService:
        """Upload a file whose first row has the names of the channels.

        The types of the columns are found out by reading all of it. Columns without any value are
        left out. Needs the extra `csv`: `pip install 'sift-py[csv]'`.

        Args:
            asset_name: Name of the asset.
            path: The file.
            first_data_row: The first row of data; rows and columns count from 1.
            time_column: The column with the times.
            time_format: What the times mean.
            run_name: Name of a new run for the points.
            run_id: Id of a run for the points.
            units_row: The row with the units of the channels, if there is one.
            descriptions_row: The row with their descriptions, if there is one.
            relative_start_time: What relative times count from, in RFC 3339.

        Raises:
            FileNotFoundError: There is no such file.
            DataImportConfigError: The file has no such rows or columns.
            DataImportError: The server refuses it, or can't be reached.
            MissingExtraError: The extra is not installed.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"there is no file {path}")
        last = max(1, units_row or 0, descriptions_row or 0)
        if first_data_row <= last:
            raise DataImportConfigError(
                f"the first row of data, {first_data_row}, must be behind row {last}"
            )
        rows = _first_rows(path, first_data_row - 1)
        headers = rows[0]
        if not 1 <= time_column <= len(headers):
            raise DataImportConfigError(
                f"{path} has {len(headers)} columns, and the times are said to be in column"
                f" {time_column}"
            )
        units = rows[units_row - 1] if units_row else []
        descriptions = rows[descriptions_row - 1] if descriptions_row else []
        config = {
            "asset_name": asset_name,
            "run_name": run_name or "",
            "run_id": run_id or "",
            "first_data_row": first_data_row,
            "time_column": {
                "format": time_format,
                "column_number": time_column,
                **({"relative_start_time": relative_start_time} if relative_start_time else {}),
            },
            "data_columns": {
                number: {
                    "name": headers[number - 1],
                    "data_type": data_type,
                    "units": _at(units, number),
                    "description": _at(descriptions, number),
                }
                for number, data_type in _types(path, first_data_row, time_column).items()
            },
        }
        return self.upload(path, CsvConfig(config))


def _at(cells: Sequence[str], number: int) -> str:
    return cells[number - 1].strip() if number <= len(cells) else ""


def _first_rows(path: str | Path, count: int) -> list[list[str]]:
    with Path(path).open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = [row for row, _ in zip(csv.reader(file), range(count), strict=False)]
    if len(rows) < count:
        raise DataImportConfigError(f"{path} has {len(rows)} rows, and data is said to begin below")
    return rows


def _types(path: str | Path, first_data_row: int, time_column: int) -> dict[int, str]:
    """The data types of the columns that have values, by their numbers."""
    try:
        from sift_files import Hints, UnreadableFileError  # noqa: PLC0415 (only when used)
        from sift_files.csv import detect_csv  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"finding out types needs NumPy and Arrow: pip install 'sift-py[csv]' ({error})."
        ) from None
    with tempfile.TemporaryDirectory(prefix="sift-csv-") as folder:
        looked_at = Path(path)
        if first_data_row > 2:  # noqa: PLR2004 (a header, and data)
            looked_at = Path(folder) / looked_at.name
            _write_without(Path(path), looked_at, first_data_row)
        try:
            plan = detect_csv(looked_at, Hints(delimiter=",", time=(str(time_column),)))
        except UnreadableFileError as error:
            raise DataImportConfigError(str(error)) from None
    (table,) = plan.tables
    return {
        int(column.path): f"CHANNEL_DATA_TYPE_{column.data_type.name}" for column in table.wanted
    }


def _write_without(source: Path, target: Path, first_data_row: int) -> None:
    """Copy a file without the rows between its header and its data."""
    with source.open("rb") as file, target.open("wb") as copy:
        copy.write(file.readline())
        for _ in range(first_data_row - 2):
            file.readline()
        shutil.copyfileobj(file, copy)
