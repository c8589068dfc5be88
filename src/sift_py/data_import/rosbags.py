"""Bags of ROS, which are read here and sent as CSV: a bag of ROS 2 is a folder."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sift_py.data_import.config import CsvConfig
from sift_py.data_import.csv import CsvUploadService
from sift_py.data_import.time_format import TimeFormatType
from sift_py.errors import DataImportConfigError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sift_files import FilePlan
    from sift_py.data_import.status import DataImportService
    from sift_py.rest import SiftRestConfig

__all__ = ["RosbagsUploadService"]

_LEFT_OUT = " is left out: "


class RosbagsUploadService:
    """Uploads bags of ROS 1 and ROS 2. Needs the extra `rosbag`."""

    def __init__(self, rest_conf: SiftRestConfig) -> None:
        """Take where the server is, and the key."""
        self._csv_upload_service = CsvUploadService(rest_conf)

    def upload(
        self,
        path: str | Path,
        msg_dirs: Sequence[str | Path],
        store: Any,  # noqa: ANN401 (of rosbags)
        asset_name: str,
        ignore_errors: bool = False,
        run_name: str | None = None,
        run_id: str | None = None,
        handlers: dict[str, Callable[..., Any]] | None = None,
        show_progress: bool = True,
    ) -> DataImportService:
        """Upload a bag.

        Args:
            path: The bag.
            msg_dirs: Not needed: bags say what their messages are, and those of early releases have
                the types of ROS 2 Humble.
            store: Not needed, for the same reason.
            asset_name: Name of the asset.
            ignore_errors: Whether to leave topics out whose types are not known, instead of
                failing.
            run_name: Name of a new run for the points.
            run_id: Id of a run for the points.
            handlers: Not taken: read the bag with `sift_files`, and send what becomes of it.
            show_progress: Whether a terminal shows how much was sent.

        Raises:
            FileNotFoundError: There is no such bag.
            DataImportConfigError: It can't be read, or not all of it.
            DataImportError: The server refuses it, or can't be reached.
            MissingExtraError: The extra is not installed.
        """
        del msg_dirs, store
        if handlers:
            raise DataImportConfigError(
                "handlers of topics are not taken; read the bag with sift_files.read, and send what"
                " becomes of it with IngestionService.ingest_columns"
            )
        bag = Path(path)
        if not bag.exists():
            raise FileNotFoundError(f"there is no bag {path}")
        from sift_files import FilesError, MissingLibraryError, detect  # noqa: PLC0415 (an extra)

        with tempfile.TemporaryDirectory(prefix="sift-bag-") as folder:
            written = Path(folder) / f"{bag.stem}.csv"
            try:
                plan = detect(bag)
                lost = [note for note in plan.notes if _LEFT_OUT in note]
                if lost and not ignore_errors:
                    raise DataImportConfigError(f"{lost[0]}; leave it out with ignore_errors")
                columns = _write(bag, plan, written)
            except MissingLibraryError as error:
                raise MissingExtraError(str(error)) from None
            except FilesError as error:
                raise DataImportConfigError(str(error)) from None
            config = CsvConfig(
                {
                    "asset_name": asset_name,
                    "run_name": run_name or "",
                    "run_id": run_id or "",
                    "first_data_row": 2,
                    "time_column": {
                        "format": TimeFormatType.ABSOLUTE_UNIX_NANOSECONDS,
                        "column_number": 1,
                    },
                    "data_columns": columns,
                }
            )
            return self._csv_upload_service.upload(written, config, show_progress)


def _write(bag: Path, plan: FilePlan, target: Path) -> dict[int, dict[str, Any]]:
    """Write a bag as CSV, a column for each channel; returns what the columns are."""
    from sift_files import read  # noqa: PLC0415 (an extra)

    wanted = [column for table in plan.tables for column in table.wanted]
    at = {column.channel: number for number, column in enumerate(wanted, 1)}
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["time", *at])
        for batch in read(bag, plan):
            values = {at[name]: _values(array) for name, array in batch.columns.items()}
            for row, time_ns in enumerate(batch.times_ns.tolist()):
                cells: list[Any] = [time_ns] + [""] * len(at)
                for number, column in values.items():
                    cells[number] = "" if column[row] is None else column[row]
                writer.writerow(cells)
    return {
        number: {"name": column.channel, "data_type": f"CHANNEL_DATA_TYPE_{column.data_type.name}"}
        for number, column in enumerate(wanted, 2)
    }


def _values(array: Any) -> list[Any]:  # noqa: ANN401 (of NumPy or Arrow)
    return list(array.to_pylist() if hasattr(array, "to_pylist") else array.tolist())
