"""Files of IRIG 106 chapter 10, which a class of the user's gives as CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sift_py.data_import._uploads import Uploads
from sift_py.data_import.config import CsvConfig
from sift_py.data_import.time_format import TimeFormatType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sift_py.data_import.status import DataImportService

__all__ = ["BaseCh10File", "Ch10UploadService"]

READ_BYTES = 16 * 1024


class BaseCh10File:
    """The base of classes that give a file as CSV.

    A class has `initialize_csv_data_columns`, and gives bytes: by `read(size)`, or by being
    iterated over. The first row is a header, the first column has the times.

    Attributes:
        csv_config_data_columns: The `data_columns` of a `CsvConfig`.
        gzip: Whether the bytes are gzip.
    """

    csv_config_data_columns: dict[int, dict[str, Any]]
    gzip: bool = False

    def initialize_csv_data_columns(self) -> None:
        """Set `csv_config_data_columns`."""
        raise NotImplementedError(
            f"{type(self).__name__} needs a method initialize_csv_data_columns, which sets"
            " csv_config_data_columns"
        )


class Ch10UploadService(Uploads):
    """Uploads what such a class gives."""

    def upload(
        self,
        ch10_file: BaseCh10File,
        asset_name: str,
        time_format: TimeFormatType = TimeFormatType.ABSOLUTE_UNIX_NANOSECONDS,
        run_name: str | None = None,
        run_id: str | None = None,
    ) -> DataImportService:
        """Upload a file.

        Args:
            ch10_file: The file.
            asset_name: Name of the asset.
            time_format: What the times mean.
            run_name: Name of a new run for the points.
            run_id: Id of a run for the points.

        Raises:
            DataImportConfigError: The columns can't be right.
            DataImportError: The server refuses it, or can't be reached.
        """
        ch10_file.initialize_csv_data_columns()
        config = CsvConfig(
            {
                "asset_name": asset_name,
                "run_name": run_name or "",
                "run_id": run_id or "",
                "first_data_row": 2,
                "time_column": {"format": time_format, "column_number": 1},
                "data_columns": ch10_file.csv_config_data_columns,
            }
        )
        return self._upload_chunks(
            lambda: _bytes_of(ch10_file),
            {"csv_config": config.to_dict()},
            is_gzip=ch10_file.gzip,
        )


def _bytes_of(file: Any) -> Iterator[bytes]:  # noqa: ANN401 (a class of the user's)
    if hasattr(file, "read"):
        while data := file.read(READ_BYTES):
            yield _as_bytes(data)
        return
    for data in file:
        yield _as_bytes(data)


def _as_bytes(data: str | bytes) -> bytes:
    return data.encode() if isinstance(data, str) else data
