"""TDMS files."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from sift_py.data_import._uploads import Uploads
from sift_py.errors import DataImportConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from sift_py.data_import.status import DataImportService

__all__ = ["TdmsTimeFormat", "TdmsUploadService"]


class TdmsTimeFormat(Enum):
    """Where the times of channels are."""

    WAVEFORM = "waveform"
    TIME_CHANNEL = "time_channel"


class TdmsUploadService(Uploads):
    """Uploads TDMS files, which the server reads as they are."""

    def upload(
        self,
        path: str | Path,
        asset_name: str,
        prefix_channel_with_group: bool = False,
        group_into_components: bool = False,
        ignore_errors: bool = False,
        run_name: str | None = None,
        run_id: str | None = None,
        tdms_time_format: TdmsTimeFormat = TdmsTimeFormat.WAVEFORM,
        include_metadata: bool = False,
    ) -> DataImportService:
        """Upload a file. The server finds out where the times of each group are.

        Args:
            path: The file.
            asset_name: Name of the asset.
            prefix_channel_with_group: Taken as the server does it: a channel whose name is in
                several groups has its group before it.
            group_into_components: The same.
            ignore_errors: Whether to leave channels without times out, instead of failing.
            run_name: Name of a new run for the points.
            run_id: Id of a run for the points.
            tdms_time_format: Found out by the server.
            include_metadata: Whether to make properties of the file metadata of the run.

        Raises:
            FileNotFoundError: There is no such file.
            DataImportConfigError: Metadata without a run.
            DataImportError: The server refuses it, or can't be reached.
        """
        del prefix_channel_with_group, group_into_components, tdms_time_format
        if include_metadata and not (run_name or run_id):
            raise DataImportConfigError(
                "include_metadata makes properties of the file metadata of a run; give a run_name"
                " or a run_id"
            )
        config: dict[str, Any] = {
            "asset_name": asset_name,
            "run_name": run_name or "",
            "run_id": run_id or "",
            "fallback_method": (
                "TDMS_FALLBACK_METHOD_IGNORE_ERROR"
                if ignore_errors
                else "TDMS_FALLBACK_METHOD_FAIL_ON_ERROR"
            ),
            "import_file_properties": include_metadata,
        }
        return self._upload_file(path, {"tdms_config": config}, show_progress=False)
